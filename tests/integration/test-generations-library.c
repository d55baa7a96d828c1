/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Generations through the library: who of a group is given new connections, and when a holder may go.
 */

#include <pthread.h>

#include "tests/integration/library-kit.h"

TestSuite(generations_library, .timeout = 60);

enum {
        CLIENTS = 20,
};

/* A broker, and a connection to it. Skips the test where the broker steers nothing. */
typedef struct Stage {
        Kit kit;
        reuse_client *client;
} Stage;

static bool broker_steers(reuse_client *client) {
        json_auto_t *json = NULL;
        json_t *capability;
        char *text = NULL;
        size_t i;

        cr_assert(zero(int, reuse_client_call(client, "GetStatus", NULL, &text, NULL)));
        json = json_loads(text, 0, NULL);
        free(text);
        json_array_foreach(kit_at(json, "capabilities"), i, capability) {
                if (strcmp(json_string_value(capability), "steer") == 0)
                        return true;
        }
        return false;
}

static void stage_end(Stage *stage) {
        reuse_client_free(stage->client);
        kit_stop(&stage->kit);
}

static void stage_begin(Stage *stage) {
        library_begin(&stage->kit, KIT_CONFIG);
        stage->client = library_connect(&stage->kit);
        if (broker_steers(stage->client))
                return;
        reuse_client_free(stage->client);
        harness_stop(&stage->kit.harness);
        cr_skip_test("the broker cannot steer here");
}

/* A member of the group "web"; port 0 is the port of the first. */
static reuse_sockets *stage_join(const Stage *stage, const char *options) {
        char spec[128];

        snprintf(spec, sizeof(spec), "tcp:127.0.0.1:0,name=web,%s", options);
        return library_acquire(stage->client, spec);
}

static const char *lease_of(const reuse_sockets *sockets) {
        return reuse_sockets_get_lease(sockets, 0);
}

static int fd_of(const reuse_sockets *sockets) {
        return reuse_sockets_get_fd(sockets, 0);
}

/* What List says of the member of @lease, under @key; the caller's to decref. */
static json_t *member_value(const Stage *stage, const char *lease, const char *key) {
        json_auto_t *json = NULL;
        json_t *member, *value = NULL;
        char *text = NULL;
        size_t i;

        cr_assert(zero(int,
                       reuse_client_call(stage->client, "List", "{\"endpoint\":\"web\"}", &text, NULL)));
        json = json_loads(text, 0, NULL);
        free(text);
        json_array_foreach(kit_at(json, "endpoints.0.members"), i, member) {
                if (strcmp(kit_text(member, "leases.0.lease"), lease) == 0)
                        value = json_incref(kit_at(member, key));
        }
        cr_assert(value != NULL, "no %s of %s", key, lease);
        return value;
}

static void expect_state(const Stage *stage, const reuse_sockets *sockets, const char *state) {
        json_auto_t *value = member_value(stage, lease_of(sockets), "state");

        KIT_EXPECT_TEXT(json_string_value(value), state);
}

/* Clients come, and all of them to @holder. */
static void expect_all_served_by(const reuse_sockets *holder, const reuse_sockets *other) {
        for (int i = 0; i < CLIENTS; i++)
                kit_expect_served(fd_of(holder));
        cr_assert(eq(int, kit_is_readable(fd_of(other)), false));
}

static void take(int holder) {
        int client;

        kit_wait_readable(holder);
        client = accept(holder, NULL, NULL);
        cr_assert(client >= 0, "%m");
        close(client);
}

/* ---- refused ------------------------------------------------------------------------------------ */

static int weigh(reuse_client *client, const char *const *leases, size_t n, reuse_error **ret_error) {
        return reuse_client_set_weight(client, leases, n, 5, ret_error);
}

static int drain_and_wait(reuse_client *client, const char *const *leases, size_t n,
                          reuse_error **ret_error) {
        return reuse_client_drain_wait(client, leases, n, REUSE_TIMEOUT_INFINITE, ret_error);
}

typedef int (*Verb)(reuse_client *client, const char *const *leases, size_t n, reuse_error **ret_error);

static const Verb verbs[] = { reuse_client_ready, reuse_client_drain, weigh, drain_and_wait };

enum {
        N_VERBS = sizeof(verbs) / sizeof(*verbs),
};

Test(generations_library, with_a_lease_that_is_none_nothing_changes) {
        reuse_sockets *live, *standby;
        Stage stage;

        stage_begin(&stage);
        live = stage_join(&stage, "weight=7");
        standby = stage_join(&stage, "standby=yes,weight=7");
        for (size_t i = 0; i < N_VERBS; i++) {
                const char *const unknown[] = { lease_of(live), lease_of(standby), "l1-none" };
                const char *const twice[] = { lease_of(live), lease_of(standby), lease_of(live) };
                reuse_error *error = NULL;

                cr_assert(eq(int, verbs[i](stage.client, unknown, 3, &error), -ENOENT));
                library_expect_error(error, -ENOENT, "io.reuseportd.NoSuchLease", "\"l1-none\"");
                cr_assert(eq(int, verbs[i](stage.client, twice, 3, &error), -ENOENT));
                library_expect_error(error, -ENOENT, "io.reuseportd.NoSuchLease", lease_of(live));
        }
        expect_state(&stage, live, "live");
        expect_state(&stage, standby, "standby");
        for (size_t i = 0; i < 2; i++) {
                json_auto_t *weight = member_value(&stage, lease_of(i ? live : standby), "weight");

                cr_assert(eq(llong, json_integer_value(weight), 7));
        }
        reuse_sockets_free(standby);
        reuse_sockets_free(live);
        stage_end(&stage);
}

Test(generations_library, lease_that_has_ended) {
        reuse_sockets *kept, *gone;
        const char *lease;
        Stage stage;

        stage_begin(&stage);
        kept = stage_join(&stage, "weight=1");
        gone = stage_join(&stage, "weight=1");
        lease = lease_of(gone);
        cr_assert(zero(int, reuse_client_release(stage.client, &lease, 1, NULL)));
        for (size_t i = 0; i < N_VERBS; i++)
                cr_assert(eq(int, verbs[i](stage.client, &lease, 1, NULL), -ENOENT));
        reuse_sockets_free(gone);
        reuse_sockets_free(kept);
        stage_end(&stage);
}

static const char *const unsteered[] = {
        "tcp:127.0.0.1:0,sharing=shared",
        "tcp:127.0.0.1:0,sharing=exclusive",
        "unix:@reuse-generations",
};

Test(generations_library, only_groups_are_steered) {
        Stage stage;

        stage_begin(&stage);
        for (size_t i = 0; i < sizeof(unsteered) / sizeof(*unsteered); i++) {
                reuse_sockets *sockets = library_acquire(stage.client, unsteered[i]);
                const char *lease = lease_of(sockets);

                for (size_t j = 0; j < N_VERBS; j++) {
                        reuse_error *error = NULL;

                        cr_assert(eq(int, verbs[j](stage.client, &lease, 1, &error), -EOPNOTSUPP), "%s",
                                  unsteered[i]);
                        library_expect_error(error, -EOPNOTSUPP, "io.reuseportd.NotSupported", "group");
                }
                cr_assert(zero(int, reuse_client_release(stage.client, &lease, 1, NULL)));
                reuse_sockets_free(sockets);
        }
        stage_end(&stage);
}

/* A broker that may not load a program. */
Test(generations_library, without_steering) {
        static const char *const specs[] = { "tcp:127.0.0.1:0,standby=yes", "tcp:127.0.0.1:0,weight=5",
                                             "udp:127.0.0.1:0,steering=cpu" };
        reuse_sockets *sockets = NULL;
        reuse_client *client;
        const char *lease;
        Kit kit;

        kit_require_root();
        kit_start_as(&kit, KIT_CONFIG, KIT_UID);
        client = library_connect(&kit);
        cr_assert(eq(int, broker_steers(client), false));
        for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++) {
                reuse_request *request = library_request(specs[i]);

                cr_assert(eq(int, reuse_client_acquire(client, request, &sockets, NULL), -EOPNOTSUPP),
                          "%s", specs[i]);
                reuse_request_free(request);
        }
        sockets = library_acquire(client, "tcp:127.0.0.1:0,standby=no");
        lease = lease_of(sockets);
        for (size_t i = 0; i < N_VERBS; i++) {
                reuse_error *error = NULL;

                cr_assert(eq(int, verbs[i](client, &lease, 1, &error), -EOPNOTSUPP));
                library_expect_error(error, -EOPNOTSUPP, "io.reuseportd.NotSupported", "CAP_BPF");
        }
        reuse_sockets_free(sockets);
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(generations_library, weights_that_are_none) {
        static const int weights[] = { -1, 101, INT32_MAX, INT32_MIN };
        reuse_sockets *sockets;
        const char *lease;
        Stage stage;

        stage_begin(&stage);
        sockets = stage_join(&stage, "weight=9");
        lease = lease_of(sockets);
        for (size_t i = 0; i < sizeof(weights) / sizeof(*weights); i++) {
                json_auto_t *weight = NULL;
                reuse_request *request;
                char spec[64];

                snprintf(spec, sizeof(spec), "tcp:127.0.0.1:0,weight=%d", weights[i]);
                request = library_request(spec);
                cr_assert(eq(int, reuse_client_acquire(stage.client, request, &sockets, NULL), -EINVAL));
                reuse_request_free(request);
                cr_assert(eq(int, reuse_client_set_weight(stage.client, &lease, 1, weights[i], NULL),
                             -EINVAL));
                weight = member_value(&stage, lease, "weight");
                cr_assert(eq(llong, json_integer_value(weight), 9));
        }
        reuse_sockets_free(sockets);
        stage_end(&stage);
}

/* ---- not yet ------------------------------------------------------------------------------------ */

Test(generations_library, drained_is_not_before_the_queue_is_empty) {
        reuse_sockets *old, *new;
        reuse_error *error = NULL;
        const char *lease;
        Stage stage;
        int waiting;

        stage_begin(&stage);
        old = stage_join(&stage, "weight=10");
        new = stage_join(&stage, "standby=yes");
        lease = lease_of(old);
        waiting = kit_connect(fd_of(old));
        cr_assert(eq(int, reuse_client_drain_wait(stage.client, &lease, 1, 0, &error), -ETIMEDOUT));
        library_expect_error(error, -ETIMEDOUT, NULL, "at 1 of 1 sockets");
        expect_state(&stage, old, "draining");
        /* It is still the holder's to serve. */
        take(fd_of(old));
        cr_assert(zero(int,
                       reuse_client_drain_wait(stage.client, &lease, 1, REUSE_TIMEOUT_INFINITE, NULL)));
        close(waiting);
        reuse_sockets_free(new);
        reuse_sockets_free(old);
        stage_end(&stage);
}

/* ---- generations -------------------------------------------------------------------------------- */

Test(generations_library, standby_takes_nothing_until_ready_and_drained_nothing_from_then_on) {
        reuse_sockets *old, *new;
        const char *leases[2];
        Stage stage;

        stage_begin(&stage);
        old = stage_join(&stage, "steering=roundRobin");
        new = stage_join(&stage, "standby=yes,steering=roundRobin");
        leases[0] = lease_of(old);
        leases[1] = lease_of(new);
        expect_state(&stage, new, "standby");
        expect_all_served_by(old, new);

        cr_assert(zero(int, reuse_client_ready(stage.client, &leases[1], 1, NULL)));
        expect_state(&stage, new, "live");
        kit_expect_both_served(fd_of(old), fd_of(new));
        cr_assert(zero(int,
                       reuse_client_drain_wait(stage.client, leases, 1, REUSE_TIMEOUT_INFINITE, NULL)));
        expect_state(&stage, old, "draining");
        expect_all_served_by(new, old);

        /* And back. */
        cr_assert(zero(int, reuse_client_ready(stage.client, leases, 1, NULL)));
        cr_assert(zero(int, reuse_client_drain(stage.client, &leases[1], 1, NULL)));
        expect_all_served_by(old, new);
        cr_assert(zero(int, reuse_client_ready(stage.client, leases, 2, NULL)));
        kit_expect_both_served(fd_of(old), fd_of(new));
        reuse_sockets_free(new);
        reuse_sockets_free(old);
        stage_end(&stage);
}

Test(generations_library, drained_is_told_again_to_who_asks_again) {
        reuse_sockets *old, *new;
        const char *lease;
        Stage stage;

        stage_begin(&stage);
        old = stage_join(&stage, "weight=10");
        new = stage_join(&stage, "weight=10");
        lease = lease_of(old);
        for (int i = 0; i < 5; i++)
                cr_assert(zero(int, reuse_client_drain_wait(stage.client, &lease, 1,
                                                            REUSE_TIMEOUT_INFINITE, NULL)));
        reuse_sockets_free(new);
        reuse_sockets_free(old);
        stage_end(&stage);
}

Test(generations_library, many_are_drained_at_once) {
        const char *leases[CLIENTS];
        reuse_sockets *sockets[CLIENTS];
        Stage stage;

        stage_begin(&stage);
        for (size_t i = 0; i < CLIENTS; i++) {
                sockets[i] = stage_join(&stage, "weight=10");
                leases[i] = lease_of(sockets[i]);
        }
        cr_assert(zero(int, reuse_client_drain_wait(stage.client, leases, CLIENTS,
                                                    REUSE_TIMEOUT_INFINITE, NULL)));
        for (size_t i = 0; i < CLIENTS; i++)
                reuse_sockets_free(sockets[i]);
        stage_end(&stage);
}

typedef struct Waiter {
        const Stage *stage;
        const char *lease;
        int result;
} Waiter;

static void *wait_for_drained(void *userdata) {
        Waiter *waiter = userdata;
        reuse_client *client = NULL;

        waiter->result = reuse_client_connect(waiter->stage->kit.harness.socket, &client, NULL);
        if (waiter->result == 0)
                waiter->result =
                        reuse_client_drain_wait(client, &waiter->lease, 1, REUSE_TIMEOUT_INFINITE, NULL);
        reuse_client_free(client);
        return NULL;
}

/* Waits until somebody has drained the member of @lease. */
static void expect_draining(const Stage *stage, const char *lease) {
        bool draining = false;

        for (int i = 0; i < 100000 && !draining; i++) {
                json_auto_t *state = member_value(stage, lease, "state");

                draining = strcmp(json_string_value(state), "draining") == 0;
        }
        cr_assert(draining);
}

/* Somebody drains the member of @old, for which a connection waits, until @end has been done. */
static void expect_wait_ends(void (*end)(const Stage *stage, const reuse_sockets *old)) {
        reuse_sockets *old, *new;
        pthread_t thread;
        Waiter waiter;
        Stage stage;
        int waiting;

        stage_begin(&stage);
        old = stage_join(&stage, "weight=10");
        new = stage_join(&stage, "standby=yes");
        waiting = kit_connect(fd_of(old));
        waiter = (Waiter){ .stage = &stage, .lease = lease_of(old) };
        cr_assert(zero(int, pthread_create(&thread, NULL, wait_for_drained, &waiter)));
        expect_draining(&stage, waiter.lease);
        end(&stage, old);
        cr_assert(zero(int, pthread_join(thread, NULL)));
        cr_assert(zero(int, waiter.result));
        close(waiting);
        reuse_sockets_free(new);
        reuse_sockets_free(old);
        stage_end(&stage);
}

static void release_old(const Stage *stage, const reuse_sockets *old) {
        const char *lease = lease_of(old);

        cr_assert(zero(int, reuse_client_release(stage->client, &lease, 1, NULL)));
}

static void take_what_waits(const Stage *stage, const reuse_sockets *old) {
        (void)stage;
        take(fd_of(old));
}

Test(generations_library, wait_ends_with_the_lease) {
        expect_wait_ends(release_old);
}

Test(generations_library, wait_ends_with_what_waits) {
        expect_wait_ends(take_what_waits);
}

/* ---- weights ------------------------------------------------------------------------------------ */

Test(generations_library, weight_of_zero_takes_nothing_while_others_are_there) {
        reuse_sockets *a, *b;
        const char *lease;
        Stage stage;

        stage_begin(&stage);
        a = stage_join(&stage, "weight=100");
        b = stage_join(&stage, "weight=0");
        lease = lease_of(b);
        expect_all_served_by(a, b);
        cr_assert(zero(int, reuse_client_set_weight(stage.client, &lease, 1, 100, NULL)));
        kit_expect_both_served(fd_of(a), fd_of(b));
        cr_assert(zero(int, reuse_client_set_weight(stage.client, &lease, 1, 0, NULL)));
        expect_all_served_by(a, b);
        lease = lease_of(a);
        cr_assert(zero(int, reuse_client_drain(stage.client, &lease, 1, NULL)));
        expect_all_served_by(b, a);
        reuse_sockets_free(b);
        reuse_sockets_free(a);
        stage_end(&stage);
}
