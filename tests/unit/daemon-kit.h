/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The broker's objects without a broker: a loop that the test turns, accounts, endpoints on real
 * sockets, leases, one client, and what a watcher is told.
 */

#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "daemon/process.h"
#include "daemon/services.h"
#include "daemon/socket-factory.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

enum {
        /* Long enough to be over in no test. */
        KIT_RETAIN_USEC = 3600 * 1000000U,
};

typedef struct Kit {
        int n_fds; /* before anything was made */
        Services services;
        Subject *subject;
        User *user;
        LeaseOwner connection;
        Watcher watcher;
        char told[512]; /* the words of the events, a blank after each */
} Kit;

static inline void kit_notify(Watcher *watcher, const Event *event) {
        Kit *kit = (Kit *)((char *)watcher - offsetof(Kit, watcher));
        size_t n = strlen(kit->told);

        snprintf(kit->told + n, sizeof(kit->told) - n, "%s ", event->what);
}

/* As subject_new() makes them of a connection; with pid 0, which is nobody's. */
static inline Subject *kit_subject(uid_t uid) {
        Subject *subject = calloc(1, sizeof(*subject));

        cr_assert(ne(ptr, subject, NULL));
        subject->n_refs = 1;
        subject->uid = uid;
        subject->gid = uid;
        return subject;
}

/* The kit must stay where it is. @steering is the kit's from now on. */
static inline void kit_init_with(Kit *kit, uid_t uid, int n_fds, Steering *steering) {
        *kit = (Kit){ .n_fds = n_fds };
        accounts_init(&kit->services.accounts);
        kit->services.accounts.turns = &kit->services.poller.turns;
        kit->services.steering = steering;
        kit->services.families = (AddressFamilies){ .ipv4 = true, .ipv6 = true, .mapped = true };
        cr_assert(ge(int, sd_event_new(&kit->services.event), 0));
        cr_assert(zero(int, poller_init(&kit->services.poller, sd_event_get_fd(kit->services.event))));
        cr_assert(zero(int, id_source_init(&kit->services.ids)));
        cr_assert(zero(int, endpoint_registry_init(&kit->services.endpoints,
                                                   &(EndpointServices){
                                                           .event = kit->services.event,
                                                           .poller = &kit->services.poller,
                                                           .hub = &kit->services.hub,
                                                           .ids = &kit->services.ids,
                                                           .steering = steering,
                                                   })));
        kit->watcher.notify = kit_notify;
        LIST_INSERT_HEAD(&kit->services.hub.watchers, &kit->watcher, entry);
        LIST_INIT(&kit->connection.leases);
        kit->subject = kit_subject(uid);
        cr_assert(zero(int, accounts_user(&kit->services.accounts, uid, &kit->user)));
}

static inline void kit_init(Kit *kit, uid_t uid) {
        kit_init_with(kit, uid, leaks_count_fds(), NULL);
}

/* Groups are steered; the test is skipped where they cannot be. */
static inline void kit_init_steered(Kit *kit, uid_t uid) {
        int n_fds = leaks_count_fds(), r;
        const char *reason = NULL;
        Steering *steering = NULL;

        r = steering_new(&steering, &reason);
        if (r == STEERING_E_UNAVAILABLE)
                cr_skip_test("%s", reason);
        cr_assert(zero(int, r));
        kit_init_with(kit, uid, n_fds, steering);
}

/* Checks that nothing is left of what the kit and the test made. */
static inline void kit_end(Kit *kit) {
        lease_owner_end(&kit->connection, MEMBER_LEAVE_LOST, "the test ends");
        cr_assert(zero(sz, lease_registry_count(&kit->services.leases)));
        endpoint_registry_deinit(&kit->services.endpoints);
        cr_assert(zero(sz, endpoint_registry_count(&kit->services.endpoints)));
        kit->services.steering = steering_free(kit->services.steering);
        cr_assert(zero(sz, kit->services.accounts.used[RESOURCE_LEASES]));
        kit->user = user_unref(kit->user);
        accounts_deinit(&kit->services.accounts);
        kit->subject = subject_unref(kit->subject);
        poller_deinit(&kit->services.poller);
        kit->services.event = sd_event_unref(kit->services.event);
        message_buffer_deinit(&kit->services.buffer);
        message_buffer_deinit(&kit->services.event_buffer);
        leaks_expect_fds(kit->n_fds);
}

/* Everything that the loop and the poller can do now. */
static inline void kit_turn(Kit *kit) {
        Poller *poller = &kit->services.poller;
        int r;

        do {
                group_settle(&kit->services.endpoints);
                while ((r = sd_event_run(kit->services.event, 0)) > 0)
                        ;
                cr_assert(zero(int, r));
                /* The poller would wait for ever. */
                if (poller->turns.n_items == 0 &&
                    poll(&(struct pollfd){ .fd = poller->epoll_fd, .events = POLLIN }, 1, 0) == 0)
                        return;
                r = poller_run(poller, true);
        } while (r >= 0);
        cr_assert(zero(int, r));
}

/* What the watcher was told since this was asked last. */
static inline void kit_expect_told(Kit *kit, const char *words) {
        KIT_EXPECT_TEXT(kit->told, words);
        kit->told[0] = '\0';
}

/* An endpoint of the kit's own user. */
static inline int kit_endpoint_new(Kit *kit, const Address *address, const char *name, Sharing sharing,
                                   const Options *options, uint64_t retain_usec, Endpoint **ret) {
        Tenant own = tenant_of(NULL, kit->subject->uid);

        return endpoint_new(&kit->services.endpoints, address, name, sharing, options, retain_usec, &own,
                            kit->subject, ret);
}

/* Of a path: @file becomes the file that was made. */
static inline int kit_socket_of_file(const Address *address, Sharing sharing, SocketFile *file,
                                     Address *ret_bound) {
        SocketSpec spec = { .address = *address, .sharing = sharing, .file = file };
        SocketFailure failure;
        int fd;

        cr_assert(zero(int, socket_factory_open(&spec, &fd, ret_bound, &failure)));
        return fd;
}

static inline int kit_socket(const Address *address, Sharing sharing, Address *ret_bound) {
        return kit_socket_of_file(address, sharing, NULL, ret_bound);
}

/* A new endpoint with one member. Port 0 is the kernel's choice. */
static inline Member *kit_open(Kit *kit, const char *network, const char *text, Sharing sharing,
                               uint64_t retain_usec) {
        Address address = kit_address(network, text), bound;
        SocketFile file = SOCKET_FILE_DEFAULT;
        int fd = kit_socket_of_file(&address, sharing, &file, &bound);
        Endpoint *endpoint;
        Member *member;

        cr_assert(zero(int, kit_endpoint_new(kit, &bound, NULL, sharing, NULL, retain_usec, &endpoint)));
        endpoint->file = file;
        cr_assert(zero(int, endpoint_add_member(endpoint, fd, &member)));
        cr_assert(zero(int, member_enter(member, false, MEMBER_WEIGHT_DEFAULT)));
        return member;
}

/* A further member of a group. */
static inline Member *kit_join(Endpoint *endpoint) {
        Address bound;
        int fd = kit_socket(&endpoint->address, SHARING_GROUP, &bound);
        Member *member;

        cr_assert(zero(int, endpoint_add_member(endpoint, fd, &member)));
        cr_assert(zero(int, member_enter(member, false, MEMBER_WEIGHT_DEFAULT)));
        return member;
}

/* A lease of another user, on the connection of the kit's client. */
static inline Lease *kit_lease_of(Kit *kit, uid_t uid, Member *member) {
        Subject *subject = kit_subject(uid);
        LeaseTerms terms = { .subject = subject, .user = kit->user, .connection = &kit->connection };
        Lease *lease;

        cr_assert(zero(int, lease_new(&kit->services.leases, member, &terms, &lease)));
        subject_unref(subject);
        return lease;
}

/* A lease of the kit's client, not committed; it ends with @process or, if that is NULL,
 * the connection. */
static inline Lease *kit_lease(Kit *kit, Member *member, Process *process) {
        LeaseTerms terms = {
                .subject = kit->subject,
                .user = kit->user,
                .connection = &kit->connection,
                .process = process,
        };
        Lease *lease;

        cr_assert(zero(int, lease_new(&kit->services.leases, member, &terms, &lease)));
        return lease;
}

/* A committed lease of a new endpoint. */
static inline Lease *kit_acquire(Kit *kit, const char *network, const char *text, Sharing sharing,
                                 uint64_t retain_usec) {
        Lease *lease = kit_lease(kit, kit_open(kit, network, text, sharing, retain_usec), NULL);

        lease_commit(lease, false);
        kit_expect_told(kit, "acquired ");
        return lease;
}
