/* SPDX-License-Identifier: BSD-2-Clause */

/* The methods that need no chapter of their own. */

#include "daemon/methods.h"

#include <errno.h>

#include "build-config.h"
#include "daemon/describe.h"
#include "daemon/group.h"
#include "daemon/judge.h"
#include "daemon/lease-list.h"
#include "daemon/listing.h"
#include "daemon/refusal.h"
#include "proto/error.h"
#include "proto/interface.h"

int method_release(Context *context, const void *p) {
        const LeasesIn *in = p;
        LeaseList leases;
        int r = lease_list_find(context, &in->leases, &leases);

        if (r != 0)
                return r < 0 ? error_trace(r) : 0;
        for (size_t i = 0; i < leases.n; i++)
                lease_end(leases.items[i], MEMBER_LEAVE_RELEASED, "released by its holder");
        return context_reply(context, NULL);
}

static bool may_see(const Context *context, const Endpoint *endpoint) {
        return judge_sees(context->services->config->policy, context->subject, endpoint);
}

/* By id, name or address. Of several tenants' endpoints of one name the first that this client
 * may see. */
static Endpoint *find_visible(const Context *context, const char *text) {
        const EndpointRegistry *registry = &context->services->endpoints;
        Endpoint *endpoint = endpoint_find_named(registry, text);

        while (endpoint && !may_see(context, endpoint))
                endpoint = LIST_NEXT(endpoint, by_name);
        if (endpoint)
                return endpoint;
        endpoint = endpoint_find_any(registry, text);
        return endpoint && may_see(context, endpoint) ? endpoint : NULL;
}

/* Whether it is soon done: everything is counted once for each member, and once for each lease of it. */
static bool is_short(const Services *services) {
        return endpoint_registry_count(&services->endpoints) <= LISTING_STEP &&
               lease_registry_count(&services->leases) <= LISTING_STEP;
}

int method_list(Context *context, const void *p) {
        const ListIn *in = p;
        EndpointRegistry *registry = &context->services->endpoints;
        size_t n = in->endpoint ? 1 : endpoint_registry_count(registry), i = 0;
        EndpointInfo *infos;
        Endpoint *endpoint;
        int r;

        if (context->silent)
                return 0;
        if (!in->endpoint && !is_short(context->services))
                return error_trace(context->list(context));
        infos = message_allocate(context->message, n * sizeof(*infos));
        if (!infos)
                return error_origin(-ENOMEM);
        endpoint = in->endpoint ? find_visible(context, in->endpoint) : registry->by_key;
        if (!endpoint && in->endpoint)
                return context_refuse(context, WIRE_ERROR_NO_SUCH_ENDPOINT,
                                      &(ErrorParameters){ .endpoint = in->endpoint });
        for (; endpoint; endpoint = in->endpoint ? NULL : endpoint->hh.next) {
                if (!in->endpoint && !may_see(context, endpoint))
                        continue;
                r = describe_endpoint(endpoint, context->message, &infos[i++]);
                if (r < 0)
                        return error_trace(r);
        }
        return context_reply(context, &(ListOut){ .endpoints = { .items = infos, .n = i } });
}

int method_watch(Context *context, const void *p) {
        int r;

        if (!context->more)
                return context_refuse(context, WIRE_ERROR_EXPECTED_MORE, NULL);
        r = context->watch(context);
        if (r > 0)
                r = refuse_quota(context, NULL, RESOURCE_WATCHES, r);
        return r < 0 ? error_trace(r) : 0;
}

int method_get_status(Context *context, const void *p) {
        const Services *services = context->services;
        const RecoveryTally *recovered = &services->recovered;
        const FdStore *store = services->state.store;
        bool succeeds = recovered->found || recovered->n_foreign > 0;
        /* What the interface promises for GetStatus. */
        const struct {
                const char *name;
                bool there;
        } known[] = {
                { "ipv4", services->families.ipv4 },
                { "ipv6", services->families.ipv6 },
                { "dualStack", services->families.mapped },
                { "peerPidfd", services->peer_pidfd },
                { "passRights", services->pass_rights },
                { "privilegedPorts", services->privileged_ports },
                { "unprivileged", !services->confinement.stays_root },
                { "seccomp", services->confinement.filtered },
                { "steer", services->endpoints.steering },
                { "migrate", services->endpoints.steering || group_migrate_req() },
                { "fdstore", store },
                { "netns", namespaces_can_enter(&services->namespaces) },
        };
        const char *capabilities[sizeof(known) / sizeof(known[0])];
        size_t n = 0;

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                if (known[i].there)
                        capabilities[n++] = known[i].name;
        return context_reply(
                context,
                &(GetStatusOut){
                        .version = PROJECT_VERSION,
                        .started_usec = (int64_t)services->started_usec,
                        .connections = (int64_t)services->accounts.used[RESOURCE_CONNECTIONS],
                        .endpoints = (int64_t)endpoint_registry_count(&services->endpoints),
                        .leases = (int64_t)lease_registry_count(&services->leases),
                        .capabilities = { .items = capabilities, .n = n },
                        .warnings = { .items = services->warnings.items, .n = services->warnings.n },
                        .recovered = succeeds ? (int64_t)recovered->n_members : WIRE_ABSENT,
                        .lost = succeeds ? (int64_t)recovered->n_lost : WIRE_ABSENT,
                        .foreign = succeeds ? (int64_t)recovered->n_foreign : WIRE_ABSENT,
                        .kept = store ? (int64_t)fd_store_count(store) : WIRE_ABSENT,
                        .not_kept = store ? (int64_t)fd_store_count_refused(store) : WIRE_ABSENT,
                });
}

int method_get_info(Context *context, const void *p) {
        static const char *const interfaces[] = { "io.reuseportd", "org.varlink.service" };

        return context_reply(context, &(GetInfoOut){
                                              .vendor = "reuseportd",
                                              .product = "reuseportd",
                                              .version = PROJECT_VERSION,
                                              .url = PROJECT_URL,
                                              .interfaces = { .items = (void *)interfaces, .n = 2 },
                                      });
}

int method_get_interface_description(Context *context, const void *p) {
        const GetInterfaceDescriptionIn *in = p;
        const char *description = interface_description(in->interface);

        if (!description)
                return context_refuse(context, WIRE_ERROR_INTERFACE_NOT_FOUND,
                                      &(ErrorParameters){ .interface = in->interface });
        return context_reply(context, &(GetInterfaceDescriptionOut){ .description = description });
}
