/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Groups seen from outside: a broker, a connection that holds members and one that watches, and which
 * member is given what comes.
 */

#include "tests/integration/acquire-kit.h"

enum {
        GROUP_MEMBERS_MAX = 8,
        /* By chance all of them reach the same one of two members once in a million times. */
        GROUP_CLIENTS = 20,
};

#define GROUP_CONFIG "[Broker]\nSocketMode=0666\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n"

typedef struct Stage {
        Kit kit;
        int control;
        int watch;
} Stage;

static inline void stage_begin_as_set(Stage *stage, const char *config, const Harness *how) {
        kit_start_as_set(&stage->kit, config, how);
        stage->control = harness_connect(&stage->kit.harness);
        stage->watch = kit_watch(&stage->kit, stage->control);
}

static inline void stage_end(Stage *stage) {
        close(stage->control);
        close(stage->watch);
        kit_stop(&stage->kit);
}

/* Skips the test where the broker steers nothing. */
static inline void stage_begin(Stage *stage, const char *config) {
        stage_begin_as_set(stage, config, &(Harness){ .uid = geteuid() });
        if (kit_is_capable(stage->control, "steer"))
                return;
        stage_end(stage);
        cr_skip_test("the broker cannot steer here");
}

/* ---- members ------------------------------------------------------------------------------------- */

/* A new group, with @more in the request. */
static inline KitSocket stage_found(Stage *stage, const char *network, const char *more) {
        const char *host = strchr(network, '6') ? "[::1]" : "127.0.0.1";
        KitSocket held =
                kit_acquire(stage->control, "{'network':'%s','address':'%s:0'%s}", network, host, more);

        json_decref(kit_event(stage->watch, "acquired"));
        return held;
}

/* Held by @control: one member more for the group of @first. */
static inline KitSocket stage_join_by(Stage *stage, int control, const KitSocket *first,
                                      const char *more) {
        KitSocket held = kit_acquire(control, "{'network':'%s','address':'%s'%s}",
                                     kit_text(first->reply, "network"), kit_address(first), more);

        json_decref(kit_event(stage->watch, kit_true(held.reply, "adopted") ? "adopted" : "acquired"));
        return held;
}

static inline KitSocket stage_join(Stage *stage, const KitSocket *first, const char *more) {
        return stage_join_by(stage, stage->control, first, more);
}

static inline void stage_release(Stage *stage, KitSocket *held) {
        kit_release(stage->control, held);
        json_decref(kit_event(stage->watch, "released"));
}

/* The last one: the endpoint goes with it. */
static inline void stage_finish(Stage *stage, KitSocket *held) {
        char endpoint[64];

        snprintf(endpoint, sizeof(endpoint), "%s", kit_text(held->reply, "endpoint"));
        stage_release(stage, held);
        kit_expect_event(stage->watch, "closed", endpoint);
}

/* Ready, Drain: @method of one lease. */
static inline void stage_say(Stage *stage, const char *method, const KitSocket *held) {
        json_auto_t *reply = kit_call(stage->control, method, "{'leases':['%s']}", kit_lease(held));

        kit_expect_success(reply);
}

static inline void stage_set_weight(Stage *stage, const KitSocket *held, int weight) {
        json_auto_t *reply = kit_call(stage->control, "SetWeight", "{'leases':['%s'],'weight':%d}",
                                      kit_lease(held), weight);

        kit_expect_success(reply);
}

/* The next event is @what, about the lease of @held. */
static inline void stage_expect(Stage *stage, const char *what, const KitSocket *held) {
        json_auto_t *event = kit_event(stage->watch, what);

        KIT_EXPECT_TEXT(kit_text(event, "lease"), kit_lease(held));
        KIT_EXPECT_TEXT(kit_text(event, "endpoint"), kit_text(held->reply, "endpoint"));
}

static inline void stage_expect_no_event(const Stage *stage) {
        kit_ping(stage->control);
        cr_assert(not(kit_is_readable(stage->watch)));
}

static inline void stage_ready(Stage *stage, const KitSocket *held) {
        stage_say(stage, "Ready", held);
        stage_expect(stage, "readied", held);
}

/* What List says of the member of @held; the caller's to decref. */
static inline json_t *stage_member(const Stage *stage, const KitSocket *held) {
        json_auto_t *endpoint = kit_describe(stage->control, held);
        json_t *member;
        size_t i;

        json_array_foreach(kit_at(endpoint, "members"), i, member) {
                if (strcmp(kit_text(member, "leases.0.lease"), kit_lease(held)) == 0)
                        return json_incref(member);
        }
        cr_fatal("no member of %s", kit_lease(held));
        return NULL;
}

static inline void stage_expect_state(const Stage *stage, const KitSocket *held, const char *state) {
        json_auto_t *member = stage_member(stage, held);

        KIT_EXPECT_TEXT(kit_text(member, "state"), state);
}

static inline long long stage_number(const Stage *stage, const KitSocket *held, const char *key) {
        json_auto_t *member = stage_member(stage, held);

        return kit_number(member, key);
}

/* ---- flows --------------------------------------------------------------------------------------- */

static inline bool group_is_dgram(const KitSocket *member) {
        return kit_int_option(member->fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM;
}

/* A client that has come: connected, or with a datagram sent. The caller's to close. */
static inline int group_come(const KitSocket *member) {
        int client = kit_connect(member->fd);

        if (group_is_dgram(member))
                cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
        return client;
}

/* Takes one of those that came to @member, as soon as there is one. */
static inline void group_take(const KitSocket *member) {
        char byte;
        int fd;

        kit_wait_readable(member->fd);
        if (group_is_dgram(member)) {
                cr_assert(eq(int, (int)recv(member->fd, &byte, 1, 0), 1));
                return;
        }
        fd = accept(member->fd, NULL, NULL);
        cr_assert(fd >= 0, "%m");
        close(fd);
}

/* All @n of @clients, which wait, are @member's, in whatever order: a byte comes through to each. */
static inline void group_serve_all(const KitSocket *member, const int *clients, size_t n) {
        int served[GROUP_CLIENTS];

        for (size_t i = 0; i < n; i++) {
                kit_wait_readable(member->fd);
                served[i] = accept(member->fd, NULL, NULL);
                cr_assert(served[i] >= 0, "%m");
                cr_assert(eq(int, (int)send(served[i], "x", 1, MSG_NOSIGNAL), 1));
        }
        for (size_t i = 0; i < n; i++) {
                kit_wait_readable(clients[i]);
                cr_assert(eq(int, (int)recv(clients[i], (char[1]){ 0 }, 1, 0), 1));
                close(clients[i]);
        }
        for (size_t i = 0; i < n; i++)
                close(served[i]);
}

/* One client comes. Returns which of @members took it. */
static inline size_t group_serve(const KitSocket *members, size_t n) {
        struct pollfd p[GROUP_MEMBERS_MAX];
        int client = group_come(&members[0]);
        size_t which = 0;

        for (size_t i = 0; i < n; i++)
                p[i] = (struct pollfd){ .fd = members[i].fd, .events = POLLIN };
        cr_assert(eq(int, poll(p, n, KIT_PATIENCE_MSEC), 1));
        while (!p[which].revents)
                which++;
        group_take(&members[which]);
        close(client);
        return which;
}

/* Clients come: to @which of @members and to no other. */
static inline void group_expect_only(const KitSocket *members, size_t n, size_t which) {
        for (int i = 0; i < GROUP_CLIENTS; i++)
                cr_assert(eq(sz, group_serve(members, n), which));
}

static inline void group_count(const KitSocket *members, size_t n, size_t n_clients,
                               size_t ret_counts[static GROUP_MEMBERS_MAX]) {
        memset(ret_counts, 0, GROUP_MEMBERS_MAX * sizeof(*ret_counts));
        for (size_t i = 0; i < n_clients; i++)
                ret_counts[group_serve(members, n)]++;
}
