/* SPDX-License-Identifier: BSD-2-Clause */

/* The registry of endpoints: made, found, named, closed. Their members are member.c's; what was asked
 * for is acquire.c's. */

#include "daemon/endpoint.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/group-resume.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/message.h"

int endpoint_registry_init(EndpointRegistry *registry, const EndpointServices *services) {
        int r;

        *registry = (EndpointRegistry){
                .n_at_port = calloc(UINT16_MAX + 1, sizeof(*registry->n_at_port)),
                .event = services->event,
                .hub = services->hub,
                .ids = services->ids,
                .steering = services->steering,
                .marks = services->marks,
                .on_shut_down = services->on_shut_down,
        };
        r = registry->n_at_port ? group_settle_init(registry) : error_origin(-ENOMEM);
        if (r == 0)
                r = group_survivors_init(registry);
        if (r == 0)
                r = departures_init(&registry->departures, services->event, &registry->timers_changed);
        if (r == 0)
                r = drains_init(&registry->drains, services->event, &registry->timers_changed,
                                services->no_socket_diag);
        if (r == 0)
                r = alarm_set_init(&registry->alarms, services->poller);
        if (r == 0)
                r = health_monitor_init(&registry->health, services->steering, services->poller,
                                        services->event, &registry->timers_changed);
        return error_trace(r);
}

void endpoint_registry_deinit(EndpointRegistry *registry) {
        Endpoint *endpoint, *next;

        if (!registry->event)
                return;
        HASH_ITER (hh, registry->by_key, endpoint, next)
                endpoint_close(endpoint, "the broker stops");
        health_monitor_deinit(&registry->health);
        alarm_set_deinit(&registry->alarms);
        drains_deinit(&registry->drains);
        departures_deinit(&registry->departures);
        timer_deinit(&registry->survivors_look);
        timer_deinit(&registry->settle_rest);
        free(ptr_take(registry->n_at_port));
}

size_t endpoint_registry_count(const EndpointRegistry *registry) {
        return HASH_CNT(hh, registry->by_key);
}

const char *endpoint_key_in(const Namespace *network_namespace, const Address *address,
                            char buffer[static ENDPOINT_KEY_MAX]) {
        char *end = buffer;

        if (network_namespace)
                end += sprintf(end, "netns:%" PRIu64 "/", network_namespace->cookie);
        end += strlen(address_network(address, end));
        *end = ' ';
        address_format(address, end + 1);
        return buffer;
}

const char *endpoint_key(const Address *address, char buffer[static ENDPOINT_KEY_MAX]) {
        return endpoint_key_in(NULL, address, buffer);
}

Endpoint *endpoint_find(const EndpointRegistry *registry, const char *key) {
        Endpoint *endpoint;

        HASH_FIND(hh, registry->by_key, key, strlen(key), endpoint);
        return endpoint;
}

bool endpoint_name_is_valid(const char *name) {
        size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

        return n > 0 && n <= NAME_SIZE_MAX && name[n] == '\0';
}

static EndpointName *name_find(const EndpointRegistry *registry, const char *text) {
        EndpointName *name;

        HASH_FIND(hh, registry->by_name, text, strlen(text), name);
        return name;
}

Endpoint *endpoint_find_named(const EndpointRegistry *registry, const char *text) {
        const EndpointName *name = name_find(registry, text);

        return name ? LIST_FIRST(&name->endpoints) : NULL;
}

Endpoint *endpoint_find_of_tenant(const EndpointRegistry *registry, const char *text,
                                  const Tenant *tenant) {
        Endpoint *endpoint = endpoint_find_named(registry, text);

        while (endpoint && !tenant_equal(&endpoint->tenant, tenant))
                endpoint = LIST_NEXT(endpoint, by_name);
        return endpoint;
}

Endpoint *endpoint_find_any(const EndpointRegistry *registry, const char *text) {
        Endpoint *endpoint = endpoint_find_named(registry, text) ?: endpoint_find(registry, text);
        uint64_t id = id_parse(registry->ids, 'e', text);

        if (!endpoint && id > 0)
                for (endpoint = registry->by_key; endpoint && endpoint->id != id;)
                        endpoint = endpoint->hh.next;
        return endpoint;
}

void endpoint_touch(Endpoint *endpoint) {
        state_mark_touch(&endpoint->saved, endpoint->registry->marks, STATE_ENDPOINT);
}

static Endpoint *endpoint_free(Endpoint *endpoint) {
        state_mark_end(&endpoint->saved);
        free(endpoint->key);
        free(endpoint->requested);
        namespace_unref(endpoint->network_namespace);
        subject_unref(endpoint->maker);
        free(endpoint);
        return NULL;
}

int endpoint_new(EndpointRegistry *registry, const Address *address, const char *name, Sharing sharing,
                 const Options *requested, uint64_t retain_usec, const Tenant *tenant, Subject *maker,
                 Endpoint **ret) {
        return error_trace(endpoint_new_in(registry, NULL, address, name, sharing, requested,
                                           retain_usec, tenant, maker, ret));
}

int endpoint_new_in(EndpointRegistry *registry, Namespace *network_namespace, const Address *address,
                    const char *name, Sharing sharing, const Options *requested, uint64_t retain_usec,
                    const Tenant *tenant, Subject *maker, Endpoint **ret) {
        char key[ENDPOINT_KEY_MAX];
        Endpoint *endpoint;
        void *copy = NULL;
        int r = 0;

        endpoint = calloc(1, sizeof(*endpoint));
        if (!endpoint)
                return error_origin(-ENOMEM);
        endpoint->registry = registry;
        endpoint->network_namespace = namespace_ref(network_namespace);
        endpoint->address = *address;
        address_network(address, endpoint->network);
        endpoint->sharing = sharing;
        endpoint->retain_usec = retain_usec;
        endpoint->tenant = *tenant;
        endpoint->maker = subject_ref(maker);
        TAILQ_INIT(&endpoint->members);
        TAILQ_INIT(&endpoint->departing);
        endpoint->key = strdup(endpoint_key_in(network_namespace, address, key));
        if (!endpoint->key)
                r = error_origin(-ENOMEM);
        if (r == 0 && requested)
                r = wire_copy(&wire_options, requested, &copy);
        endpoint->requested = copy;
        if (r < 0) {
                endpoint_free(endpoint);
                return error_trace(r);
        }
        endpoint->id = id_next(registry->ids);
        HASH_ADD_KEYPTR(hh, registry->by_key, endpoint->key, strlen(endpoint->key), endpoint);
        if (hash_add_failed(hh, endpoint)) {
                endpoint_free(endpoint);
                return error_origin(-ENOMEM);
        }
        registry->n_at_port[address_port(address)]++;
        if (name) {
                r = endpoint_rename(endpoint, name);
                if (r < 0) {
                        endpoint_close(endpoint, NULL);
                        return error_trace(r);
                }
        }
        endpoint_touch(endpoint);
        *ret = endpoint;
        return 0;
}

/* A name that no endpoint has. Returns NULL if there is no memory. */
static EndpointName *name_new(EndpointRegistry *registry, const char *text) {
        size_t n = strlen(text);
        EndpointName *name = malloc(sizeof(*name) + n + 1);

        if (!name)
                return NULL;
        LIST_INIT(&name->endpoints);
        memcpy(name->text, text, n + 1);
        HASH_ADD_KEYPTR(hh, registry->by_name, name->text, n, name);
        if (hash_add_failed(hh, name)) {
                free(name);
                return NULL;
        }
        return name;
}

static void endpoint_leave_name(Endpoint *endpoint) {
        EndpointName *name = endpoint->under;

        if (!name)
                return;
        LIST_REMOVE(endpoint, by_name);
        if (LIST_EMPTY(&name->endpoints)) {
                HASH_DEL(endpoint->registry->by_name, name);
                free(name);
        }
        endpoint->under = NULL;
        endpoint->name = NULL;
}

int endpoint_rename(Endpoint *endpoint, const char *text) {
        EndpointName *name = NULL;

        if (text) {
                name = name_find(endpoint->registry, text) ?: name_new(endpoint->registry, text);
                if (!name)
                        return error_origin(-ENOMEM);
        }
        if (name == endpoint->under)
                return 0;
        endpoint_leave_name(endpoint);
        if (name) {
                LIST_INSERT_HEAD(&name->endpoints, endpoint, by_name);
                endpoint->under = name;
                endpoint->name = name->text;
        }
        endpoint_touch(endpoint);
        return 0;
}

/* ---- walks -------------------------------------------------------------------------------------- */

void endpoint_cursor_begin(EndpointCursor *cursor, EndpointRegistry *registry) {
        *cursor = (EndpointCursor){ .endpoint = registry->by_key };
        LIST_INSERT_HEAD(&registry->cursors, cursor, entry);
}

void endpoint_cursor_enter(EndpointCursor *cursor) {
        cursor->inside = true;
        cursor->member = TAILQ_FIRST(&cursor->endpoint->members);
}

void endpoint_cursor_next(EndpointCursor *cursor) {
        cursor->inside = cursor->cut = false;
        cursor->endpoint = cursor->endpoint->hh.next;
}

void endpoint_cursor_end(EndpointCursor *cursor) {
        LIST_REMOVE(cursor, entry);
}

void endpoint_unlink_member(Member *member) {
        Endpoint *endpoint = member->endpoint;
        EndpointCursor *cursor;

        LIST_FOREACH (cursor, &endpoint->registry->cursors, entry)
                if (cursor->inside && cursor->member == member)
                        cursor->member = TAILQ_NEXT(member, entry);
        TAILQ_REMOVE(&endpoint->members, member, entry);
}

static void endpoint_step_over(Endpoint *endpoint) {
        EndpointCursor *cursor;

        LIST_FOREACH (cursor, &endpoint->registry->cursors, entry) {
                if (cursor->endpoint != endpoint)
                        continue;
                cursor->cut = cursor->cut || cursor->inside;
                cursor->inside = false;
                cursor->endpoint = endpoint->hh.next;
        }
}

Endpoint *endpoint_close(Endpoint *endpoint, const char *reason) {
        EndpointRegistry *registry = endpoint->registry;
        const Member *first = TAILQ_FIRST(&endpoint->members);
        Subject *holder = first && first->last_holder ? subject_ref(first->last_holder) : NULL;

        /* Nobody finds what is about to go. */
        socket_file_remove(&endpoint->file, endpoint->address.u.un.sun_path);
        group_dissolve(endpoint);
        while (!TAILQ_EMPTY(&endpoint->members))
                member_close(TAILQ_FIRST(&endpoint->members));
        while (!TAILQ_EMPTY(&endpoint->departing))
                member_close(TAILQ_FIRST(&endpoint->departing));
        group_deinit(endpoint);
        if (reason)
                event_hub_emit(registry->hub, &(Event){ .what = "closed",
                                                        .endpoint = endpoint,
                                                        .subject = holder,
                                                        .reason = reason });
        subject_unref(holder);
        endpoint_step_over(endpoint);
        HASH_DELETE(hh, registry->by_key, endpoint);
        registry->n_at_port[address_port(&endpoint->address)]--;
        endpoint_leave_name(endpoint);
        return endpoint_free(endpoint);
}

Member *endpoint_parked_member(const Endpoint *endpoint) {
        Member *member;

        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (member->state == MEMBER_PARKED || !member->orphan)
                        break;
        return member && member->state == MEMBER_PARKED ? member : NULL;
}

Member *endpoint_orphan(const Endpoint *endpoint) {
        Member *member = TAILQ_FIRST(&endpoint->members);

        if (member && member->orphan && LIST_EMPTY(&member->leases))
                return member;
        member = TAILQ_FIRST(&endpoint->departing);
        return member && member->orphan ? member : NULL;
}

const Lease *endpoint_first_lease(const Endpoint *endpoint) {
        const Member *member;

        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (!LIST_EMPTY(&member->leases))
                        return LIST_FIRST(&member->leases);
        return NULL;
}
