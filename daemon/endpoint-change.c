/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An Acquire is all or none, and that goes for endpoints that others made, too. What is noted before a
 * change is what the kernel says of the socket, not what the broker once set: its holder may have
 * changed it since.
 *
 * One thing is not taken back, and nobody misses it: a socket that was to be a group member keeps
 * SO_LOCK_FILTER. The kernel does not unlock, and clients have no filter to attach.
 */

#include "daemon/endpoint-change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/multicast.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/message.h"

void endpoint_change_begin(EndpointChange *change, const Lease *lease) {
        const Endpoint *endpoint = lease->member->endpoint;

        *change = (EndpointChange){
                .lease = lease,
                .sharing = endpoint->sharing,
                .requested = endpoint->requested,
                .retain_usec = endpoint->retain_usec,
                .steering = endpoint->group.mode,
        };
}

int endpoint_change_rename(EndpointChange *change, const char *name) {
        Endpoint *endpoint = change->lease->member->endpoint;
        _cleanup_(freep) char *before = NULL;
        int r;

        if (!name || (endpoint->name && strcmp(endpoint->name, name) == 0))
                return 0;
        if (endpoint->name) {
                before = strdup(endpoint->name);
                if (!before)
                        return error_origin(-ENOMEM);
        }
        r = endpoint_rename(endpoint, name);
        if (r < 0)
                return error_trace(r);
        change->renamed = true;
        change->name = ptr_take(before);
        return 0;
}

/* The options that a bound socket with those of @have has to be given to have those of @want. */
static Options options_to_set(const Options *want, const Options *have) {
        Options changes = *want;

        /* Part of the address, so it is as asked, and a bound socket refuses it whatever the value. */
        changes.ipv6_only = TRISTATE_ABSENT;
        /* Joining again is refused as well. */
        if (have && multicast_groups_equal(&want->multicast_groups, &have->multicast_groups))
                changes.multicast_groups = (WireList){ 0 };
        return changes;
}

/* As endpoint_change_reshape(), of the socket alone. */
static int reshape_socket(EndpointChange *change, Sharing sharing, const Options *want,
                          SocketFailure *ret_failure) {
        const Endpoint *endpoint = change->lease->member->endpoint;
        SocketSpec spec = { .address = endpoint->address, .sharing = sharing };
        int fd = change->lease->member->fd, r;
        Options changes;

        if (want) {
                change->options = malloc(sizeof(*change->options));
                if (!change->options)
                        return error_origin(-ENOMEM);
                changes = options_to_set(want, endpoint->requested);
                socket_options_save(fd, &endpoint->address, endpoint->requested, &changes,
                                    change->options);
                spec.options = &changes;
        }
        change->reshaped = true;
        r = socket_factory_reshape(fd, &spec, ret_failure);
        /* All groups are joined or none, and if they are, what comes after them does not fail. */
        if (r != 0 && want)
                change->options->changes.multicast_groups = (WireList){ 0 };
        return r;
}

int endpoint_change_reshape(EndpointChange *change, Sharing sharing, uint64_t retain_usec,
                            const Options *options, SocketFailure *ret_failure) {
        Endpoint *endpoint = change->lease->member->endpoint;
        _cleanup_(freep) void *requested = NULL;
        OptionRefusal conflict;
        int r = 0;

        if (options)
                r = wire_copy(&wire_options, options, &requested);
        if (r < 0)
                return error_trace(r);
        if (sharing != endpoint->sharing ||
            socket_options_compare(options, endpoint->requested, change->lease->member->fd,
                                   &endpoint->address, &conflict) != 0)
                r = reshape_socket(change, sharing, options, ret_failure);
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        if (requested)
                endpoint->requested = ptr_take(requested);
        endpoint->sharing = sharing;
        endpoint->retain_usec = retain_usec;
        endpoint_touch(endpoint);
        return 0;
}

int endpoint_change_regroup(EndpointChange *change, SteeringMode steering) {
        Endpoint *endpoint = change->lease->member->endpoint;

        if (endpoint->sharing == change->sharing && endpoint->group.mode == steering)
                return 0;
        change->regrouped = true;
        endpoint->group.mode = steering;
        endpoint_touch(endpoint);
        return group_refound(change->lease->member);
}

/*
 * Answers may be under way for a while, and others come meanwhile. Leases are numbered in the order in
 * which they began, and the last to begin is the first of its member: no other need be looked at.
 */
static bool acquired_since(const Lease *own) {
        const Member *member;

        TAILQ_FOREACH (member, &own->member->endpoint->members, entry)
                if (!LIST_EMPTY(&member->leases) && LIST_FIRST(&member->leases)->id > own->id)
                        return true;
        return false;
}

/* Nobody is there to be told what fails in here. */
static void put_socket_back(const EndpointChange *change) {
        const Member *member = change->lease->member;
        const Address *address = &member->endpoint->address;
        SocketSpec spec = { .address = *address, .sharing = change->sharing };
        SocketFailure failure;
        Options backlog;

        if (change->options) {
                socket_options_restore(member->fd, address, change->options);
                wire_init(&wire_options, &backlog);
                /* Of 0, which only a holder can have set, no more than of none. */
                if (change->options->changes.backlog != WIRE_ABSENT &&
                    change->options->before.options.backlog > 0)
                        backlog.backlog = change->options->before.options.backlog;
                spec.options = &backlog;
        }
        /* What cannot be put back stays as it is. */
        (void)socket_factory_reshape(member->fd, &spec, &failure);
}

static void put_name_back(const EndpointChange *change) {
        Endpoint *endpoint = change->lease->member->endpoint;
        const char *name = change->name;

        /* Nobody loses a name for the sake of one who had it before. */
        if (name && endpoint_find_of_tenant(endpoint->registry, name, &endpoint->tenant))
                name = NULL;
        if (endpoint_rename(endpoint, name) < 0)
                (void)endpoint_rename(endpoint, NULL);
}

static void put_back(const EndpointChange *change) {
        Endpoint *endpoint = change->lease->member->endpoint;

        if (change->reshaped)
                put_socket_back(change);
        if (endpoint->requested != change->requested)
                free(endpoint->requested);
        endpoint->requested = change->requested;
        endpoint->sharing = change->sharing;
        endpoint->retain_usec = change->retain_usec;
        endpoint->group.mode = change->steering;
        endpoint_touch(endpoint);
        if (change->regrouped && group_refound(change->lease->member) != 0)
                log_fault(LOG_ERR, "a group cannot be steered as before");
        if (change->renamed)
                put_name_back(change);
}

void endpoint_change_undo(EndpointChange *change) {
        if (change->lease && !acquired_since(change->lease))
                put_back(change);
        endpoint_change_commit(change);
}

void endpoint_change_commit(EndpointChange *change) {
        if (change->lease && change->requested != change->lease->member->endpoint->requested)
                free(change->requested);
        free(change->name);
        free(change->options);
        *change = (EndpointChange){ 0 };
}
