/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Ready, Drain, SetWeight: a holder says how much of the new traffic its members take. All or none: with
 * one lease that cannot be had, nothing is changed.
 */

#include "daemon/group-resume.h"
#include "daemon/lease-list.h"
#include "daemon/methods.h"
#include "daemon/refusal.h"
#include "daemon/steering.h"
#include "proto/error.h"

static const char *why_unsteered(const Context *context, const Endpoint *endpoint) {
        if (endpoint->sharing != SHARING_GROUP)
                return "only the members of a group are steered";
        return group_can_be_steered(&endpoint->address) ? context->services->no_steering
                                                        : group_kernel_reason;
}

/* Only in a steered group can a member be told apart from the others. */
static int check_steered(Context *context, const char *feature, const LeaseList *leases) {
        for (size_t i = 0; i < leases->n; i++) {
                Endpoint *endpoint = leases->items[i]->member->endpoint;
                int r = group_look_again(endpoint);

                if (r != 0)
                        return refuse_steering(context, feature, r);
                if (group_is_steered(endpoint))
                        continue;
                return refuse(context, WIRE_ERROR_NOT_SUPPORTED,
                              &(ErrorParameters){ .feature = feature,
                                                  .reason = why_unsteered(context, endpoint) });
        }
        return 0;
}

/* Finds the leases for @feature, or answers. Returns as the steps of a method do. */
static int find_steered(Context *context, const char *feature, const WireList *texts, LeaseList *ret) {
        int r = lease_list_find(context, texts, ret);

        return r == 0 ? check_steered(context, feature, ret) : r;
}

int method_ready(Context *context, const void *p) {
        const LeasesIn *in = p;
        LeaseList leases;
        int r = find_steered(context, "Ready", &in->leases, &leases);

        if (r != 0)
                return r < 0 ? error_trace(r) : 0;
        for (size_t i = 0; i < leases.n; i++)
                member_ready(leases.items[i]->member, leases.items[i]);
        return context_reply(context, NULL);
}

int method_drain(Context *context, const void *p) {
        const LeasesIn *in = p;
        LeaseList leases;
        int r = find_steered(context, "Drain", &in->leases, &leases);

        if (r != 0)
                return r < 0 ? error_trace(r) : 0;
        for (size_t i = 0; i < leases.n; i++)
                member_drain(leases.items[i]->member);
        return context_reply(context, NULL);
}

int method_set_weight(Context *context, const void *p) {
        const SetWeightIn *in = p;
        LeaseList leases;
        int r;

        if (in->weight < 0 || in->weight > STEERING_WEIGHT_MAX)
                return context_refuse(context, WIRE_ERROR_INVALID_PARAMETER,
                                      &(ErrorParameters){ .parameter = "weight" });
        r = find_steered(context, "SetWeight", &in->leases, &leases);
        if (r != 0)
                return r < 0 ? error_trace(r) : 0;
        for (size_t i = 0; i < leases.n; i++)
                member_set_weight(leases.items[i]->member, (uint32_t)in->weight);
        return context_reply(context, NULL);
}
