/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One port, several users: what the kernel by itself allows to no two of them, since the sockets of one
 * SO_REUSEPORT group must have been made by one user. Here that is the broker.
 */

#include "tests/integration/acquire-kit.h"

TestSuite(users, .timeout = 60);

static const uid_t uids[] = { KIT_UID, KIT_OTHER_UID };

enum {
        N_USERS = 2,
        CLIENTS = 64,
};

/* A user of the group: its connection, its member, and the connections that it has accepted. */
typedef struct User {
        int control;
        KitSocket held;
        int accepted[CLIENTS];
        size_t n_accepted;
} User;

static void user_join(User *user, const Kit *kit, uid_t uid, const char *network, const char *address) {
        user->control = kit_connect_as(kit, uid, 0);
        user->held = kit_acquire(user->control, "{'network':'%s','address':'%s'}", network, address);
        user->n_accepted = 0;
}

static void user_leave(User *user) {
        kit_release(user->control, &user->held);
        close(user->control);
}

static void user_close_accepted(User *user) {
        while (user->n_accepted > 0)
                close(user->accepted[--user->n_accepted]);
}

/* Clients come until every user has accepted some, each as itself. All stay open; returns how many. */
static size_t serve_all(User *users, int *clients) {
        size_t n = 0;

        do {
                struct pollfd p[N_USERS];
                int which;

                cr_assert(lt(sz, n, CLIENTS));
                clients[n++] = kit_connect(users[0].held.fd);
                for (int i = 0; i < N_USERS; i++)
                        p[i] = (struct pollfd){ .fd = users[i].held.fd, .events = POLLIN };
                cr_assert(eq(int, poll(p, N_USERS, KIT_PATIENCE_MSEC), 1));
                which = p[1].revents != 0;
                kit_become(uids[which], 0);
                users[which].accepted[users[which].n_accepted] = accept(p[which].fd, NULL, NULL);
                kit_become_root();
                cr_assert(ge(int, users[which].accepted[users[which].n_accepted], 0));
                kit_expect_byte(users[which].accepted[users[which].n_accepted++], clients[n - 1]);
        } while (users[0].n_accepted == 0 || users[1].n_accepted == 0);
        return n;
}

static void close_all(int *fds, size_t n) {
        while (n > 0)
                close(fds[--n]);
}

Test(users, the_kernel_alone_does_not_allow_it) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        struct sockaddr_storage bound;
        int fds[2];

        kit_require_root();
        for (int i = 0; i < 2; i++) {
                kit_become(uids[i], 0);
                fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                cr_assert(zero(int,
                               setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int))));
                cr_assert(eq(int, bind(fds[i], (struct sockaddr *)&in, sizeof(in)), i == 0 ? 0 : -1));
                kit_become_root();
                kit_bound_address(fds[0], &bound);
                memcpy(&in, &bound, sizeof(in));
        }
        close_all(fds, 2);
}

Test(users, both_serve) {
        static const char *const networks[] = { "tcp4", "udp4" };
        Kit kit;

        kit_require_root();
        kit_start(&kit, KIT_CONFIG);
        for (int i = 0; i < 2; i++) {
                User users[N_USERS];

                user_join(&users[0], &kit, uids[0], networks[i], "127.0.0.1:0");
                user_join(&users[1], &kit, uids[1], networks[i], kit_address(&users[0].held));
                kit_expect_both_served(users[0].held.fd, users[1].held.fd);
                user_leave(&users[0]);
                kit_expect_served(users[1].held.fd);
                user_leave(&users[1]);
        }
        kit_stop(&kit);
}

/* Connections belong to the user who accepted them, which is where the kernel could take offence. */
Test(users, both_serve_while_connections_are_open) {
        Kit kit;
        User users[N_USERS];
        char address[64];
        int clients[3][CLIENTS];
        size_t n[3];

        kit_require_root();
        kit_start(&kit, KIT_CONFIG);
        user_join(&users[0], &kit, uids[0], "tcp4", "127.0.0.1:0");
        snprintf(address, sizeof(address), "%s", kit_address(&users[0].held));
        user_join(&users[1], &kit, uids[1], "tcp4", address);
        n[0] = serve_all(users, clients[0]);
        /* One leaves and comes back, beside the connections of both. */
        for (int i = 0; i < N_USERS; i++) {
                size_t open = users[i].n_accepted;

                user_leave(&users[i]);
                user_join(&users[i], &kit, uids[i], "tcp4", address);
                users[i].n_accepted = open;
        }
        for (int i = 0; i < N_USERS; i++)
                user_close_accepted(&users[i]);
        close_all(clients[0], n[0]);
        n[1] = serve_all(users, clients[1]);
        /* All leave, and come back in the other order. */
        for (int i = 0; i < N_USERS; i++)
                kit_release(users[i].control, &users[i].held);
        for (int i = N_USERS - 1; i >= 0; i--)
                users[i].held =
                        kit_acquire(users[i].control, "{'network':'tcp4','address':'%s'}", address);
        for (size_t i = 0; i < n[1]; i++)
                cr_assert(eq(int, (int)send(clients[1][i], "x", 1, MSG_NOSIGNAL), 1));
        for (int i = 0; i < N_USERS; i++)
                user_close_accepted(&users[i]);
        n[2] = serve_all(users, clients[2]);
        close_all(clients[1], n[1]);
        close_all(clients[2], n[2]);
        for (int i = 0; i < N_USERS; i++) {
                user_close_accepted(&users[i]);
                user_leave(&users[i]);
        }
        kit_stop(&kit);
}

/* Another user's shared socket is one and the same, where policy gives it to both. */
Test(users, shared_between_users) {
        Kit kit;
        KitSocket held[N_USERS];
        int control[N_USERS];

        kit_require_root();
        kit_start(&kit, KIT_CONFIG);
        for (int i = 0; i < N_USERS; i++) {
                control[i] = kit_connect_as(&kit, uids[i], 0);
                held[i] = kit_acquire(control[i], "{'network':'tcp4','address':'%s','sharing':'shared'}",
                                      i == 0 ? "127.0.0.1:0" : kit_address(&held[0]));
        }
        cr_assert(eq(ullong, kit_cookie(held[0].fd), kit_cookie(held[1].fd)));
        for (int i = 0; i < N_USERS; i++) {
                kit_become(uids[i], 0);
                kit_expect_served(held[i].fd);
                kit_become_root();
                kit_release(control[i], &held[i]);
                close(control[i]);
        }
        kit_stop(&kit);
}

/* The holder that is told is the other user. */
Test(users, holder_is_another_user) {
        Kit kit;
        KitSocket held;
        int control, other;

        kit_require_root();
        kit_start(&kit, KIT_CONFIG);
        control = kit_connect_as(&kit, KIT_UID, 0);
        other = kit_connect_as(&kit, KIT_OTHER_UID, 0);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'}");
        {
                json_auto_t *reply = kit_refused(
                        other, "AddressInUse", "{'network':'tcp4','address':'%s'}", kit_address(&held));

                cr_assert(eq(llong, kit_number(reply, "parameters.holder.uid"), KIT_UID));
                cr_assert(eq(llong, kit_number(reply, "parameters.holder.gid"), KIT_UID));
                cr_assert(eq(llong, kit_number(reply, "parameters.holder.pid"), getpid()));
        }
        kit_drop(&held);
        close(control);
        close(other);
        kit_stop(&kit);
}

/*
 * The kernel gives a specific address what the wildcard would have got. Both sockets being the broker's,
 * it would let one user take another's traffic so.
 */
Test(users, t3_nobody_takes_the_traffic_of_another_users_wildcard) {
        static const char *const pairs[][4] = {
                { "tcp4", "0.0.0.0", "tcp4", "127.0.0.1" },
                { "tcp4", "127.0.0.1", "tcp4", "0.0.0.0" },
                { "tcp", "", "tcp4", "127.0.0.1" },
                { "tcp", "", "tcp4", "0.0.0.0" },
                { "tcp", "", "tcp6", "[::1]" },
                { "tcp4", "127.0.0.1", "tcp", "" },
                { "udp4", "0.0.0.0", "udp4", "127.0.0.1" },
        };
        Kit kit;

        kit_require_root();
        kit_start(&kit, KIT_TENANTS_CONFIG);
        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
                int control = kit_connect_as(&kit, KIT_UID, 0),
                    other = kit_connect_as(&kit, KIT_OTHER_UID, 0);
                KitSocket held = kit_acquire(control, "{'network':'%s','address':'%s:0'}", pairs[i][0],
                                             pairs[i][1]);
                int port = (int)kit_port(&held);
                json_auto_t *reply =
                        kit_refused(other, "AddressInUse", "{'network':'%s','address':'%s:%d'}",
                                    pairs[i][2], pairs[i][3], port);
                KitSocket own;

                cr_assert(eq(llong, kit_number(reply, "parameters.holder.uid"), KIT_UID));
                /* To its own user, the kernel's rules for one owner are good enough. */
                own = kit_acquire(control, "{'network':'%s','address':'%s:%d'}", pairs[i][2],
                                  pairs[i][3], port);
                kit_release(control, &own);
                kit_release(control, &held);
                close(control);
                close(other);
        }
        kit_stop(&kit);
}

static void say(const User *user, const char *method) {
        json_auto_t *reply =
                kit_call(user->control, method, "{'leases':['%s']}", kit_lease(&user->held));

        kit_expect_success(reply);
}

/*
 * A connection that another user has accepted is in the way of a socket that is bound again. Neither the
 * broker's own, where connections wait while nobody is ready, nor a member that is repaired may stop
 * at that.
 */
Test(users, open_connections_of_others_are_in_nobody_s_way) {
        Kit kit;
        User users[N_USERS];
        int clients[CLIENTS], waiting, accepted, control, watch;
        size_t n;

        kit_require_root();
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        if (!kit_is_capable(control, "steer"))
                cr_skip_test("groups are not steered here");
        watch = kit_watch(&kit, control);
        user_join(&users[0], &kit, uids[0], "tcp4", "127.0.0.1:0");
        user_join(&users[1], &kit, uids[1], "tcp4", kit_address(&users[0].held));
        json_decref(kit_event(watch, "acquired"));
        json_decref(kit_event(watch, "acquired"));
        n = serve_all(users, clients);
        for (int i = 0; i < N_USERS; i++)
                say(&users[i], "Drain");
        waiting = kit_connect(users[0].held.fd);
        say(&users[1], "Ready");
        kit_wait_readable(users[1].held.fd);
        accepted = accept(users[1].held.fd, NULL, NULL);
        kit_expect_byte(accepted, waiting);
        close(accepted);
        close(waiting);
        say(&users[0], "Ready");

        cr_assert(zero(int, shutdown(users[0].held.fd, SHUT_RDWR)));
        kit_wait_readable(watch);
        kit_expect_members(control, &users[0].held, 2);
        kit_expect_both_served(users[0].held.fd, users[1].held.fd);
        close_all(clients, n);
        for (int i = 0; i < N_USERS; i++) {
                user_close_accepted(&users[i]);
                user_leave(&users[i]);
        }
        close(watch);
        close(control);
        kit_stop(&kit);
}

/* One user's member departs, with what waits going to the other's, which is lost in the same moment. */
Test(users, both_die_at_once_and_one_comes_back) {
        Kit kit;
        User users[N_USERS];
        char address[64];
        KitSocket held;
        int control;

        kit_require_root();
        kit_start(&kit, KIT_CONFIG);
        for (int round = 0; round < 10; round++) {
                control = kit_connect_as(&kit, uids[1], 0);
                user_join(&users[0], &kit, uids[0], "tcp4", "127.0.0.1:0");
                snprintf(address, sizeof(address), "%s", kit_address(&users[0].held));
                user_join(&users[1], &kit, uids[1], "tcp4", address);
                for (int i = N_USERS - 1; i >= 0; i--) {
                        kit_drop(&users[i].held);
                        close(users[i].control);
                }
                held = kit_acquire(control, "{'network':'tcp4','address':'%s'}", address);
                kit_expect_served(held.fd);
                kit_release(control, &held);
                close(control);
        }
        kit_stop(&kit);
}
