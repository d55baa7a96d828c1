/* SPDX-License-Identifier: BSD-2-Clause */

/* Threats that are proven where nothing else is: see docs/security.md for the others. */

#include <netinet/tcp.h>

#include "tests/integration/group-kit.h"

TestSuite(threats, .timeout = 60);

static const char *const networks[] = { "tcp4", "tcp6", "udp4", "udp6" };

enum { N_NETWORKS = sizeof(networks) / sizeof(networks[0]) };

/* ---- T2: another program takes the
 * port ------------------------------------------------------------ */

/* Sets the host of @address to the wildcard of its family. */
static void widen(struct sockaddr_storage *address) {
        if (address->ss_family == AF_INET)
                ((struct sockaddr_in *)address)->sin_addr.s_addr = htonl(INADDR_ANY);
        else
                ((struct sockaddr_in6 *)address)->sin6_addr = in6addr_any;
}

/* As another user, in every way there is, at the address and at the wildcard. */
static void expect_nobody_gets(struct sockaddr_storage address, socklen_t size, int type) {
        kit_become(KIT_OTHER_UID, 0);
        for (unsigned way = 0; way < 8; way++) {
                int fd = socket(address.ss_family, type | SOCK_CLOEXEC, 0), r;

                if (way == 4)
                        widen(&address);
                if (way & 1)
                        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 },
                                                       sizeof(int))));
                if (way & 2)
                        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 },
                                                       sizeof(int))));
                r = bind(fd, (struct sockaddr *)&address, size);
                if (r == 0 && type == SOCK_STREAM)
                        r = listen(fd, 1);
                cr_assert(eq(int, r, -1), "way %u", way);
                cr_assert(eq(int, errno, EADDRINUSE), "%m");
                close(fd);
        }
        kit_become_root();
}

/* Neither while it is held, nor while it is kept for the next holder. */
Test(threats, t2_no_other_program_gets_the_port) {
        static const char *const sharings[] = { "group", "shared", "exclusive" };
        Kit kit;

        kit_require_root();
        kit_start(&kit, GROUP_CONFIG);
        for (size_t i = 0; i < 3 * N_NETWORKS; i++) {
                const char *network = networks[i / 3];
                int control = kit_connect_as(&kit, KIT_UID, 0), other = harness_connect(&kit.harness),
                    watch;
                struct sockaddr_storage address;
                KitSocket held;
                socklen_t size;
                int type;

                watch = kit_watch(&kit, other);
                held = kit_acquire(control, "{'network':'%s','address':'%s:0','sharing':'%s'}", network,
                                   strchr(network, '6') ? "[::1]" : "127.0.0.1", sharings[i % 3]);
                json_decref(kit_event(watch, "acquired"));
                size = kit_bound_address(held.fd, &address);
                type = kit_int_option(held.fd, SOL_SOCKET, SO_TYPE);
                expect_nobody_gets(address, size, type);
                kit_drop(&held);
                close(control);
                json_decref(kit_event(watch, "released"));
                json_decref(kit_event(watch, "parked"));
                expect_nobody_gets(address, size, type);

                control = kit_connect_as(&kit, KIT_UID, 0);
                held = kit_acquire(control, "{'network':'%s','address':'%s:%d','sharing':'%s'}", network,
                                   strchr(network, '6') ? "[::1]" : "127.0.0.1",
                                   ntohs(((struct sockaddr_in *)&address)->sin_port), sharings[i % 3]);
                cr_assert(kit_true(held.reply, "adopted"));
                kit_release(control, &held);
                close(watch);
                close(other);
                close(control);
        }
        kit_stop(&kit);
}

/* ---- T4: a member is ruined by its
 * holder ---------------------------------------------------------- */

static void ruin_by_backlog(int fd) {
        cr_assert(zero(int, listen(fd, 0)));
}

static void ruin_by_options(int fd) {
        static const struct linger linger = { .l_onoff = 1, .l_linger = 3600 };

        cr_assert(zero(int, setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){ 1 }, sizeof(int))));
        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){ 1 }, sizeof(int))));
        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger))));
        cr_assert(zero(int, fcntl(fd, F_SETFL, 0)));
}

static void ruin_by_disconnecting(int fd) {
        static const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

        cr_assert(zero(int, connect(fd, &nowhere, sizeof(nowhere))));
}

static void ruin_by_shutdown(int fd) {
        cr_assert(zero(int, shutdown(fd, SHUT_RDWR)));
}

/* Clients come until @other has accepted one; what comes to the ruined one is its holder's loss. */
static void expect_other_served(int ruined, int other) {
        for (int i = 0; i < 1000; i++) {
                struct pollfd p[] = { { .fd = other, .events = POLLIN },
                                      { .fd = ruined, .events = POLLIN } };
                int client = kit_connect(other), accepted = -1;

                cr_assert(gt(int, poll(p, 2, KIT_PATIENCE_MSEC), 0));
                if (p[0].revents)
                        accepted = accept(other, NULL, NULL);
                close(client);
                if (accepted < 0)
                        continue;
                close(accepted);
                return;
        }
        cr_fatal("nobody has come to the other member");
}

/* Each has a socket of its own: the options, the queue and the flags of another's stay what
 * they were. */
Test(threats, t4_a_ruined_member_is_its_holder_s_alone) {
        static void (*const ways[])(int fd) = { ruin_by_backlog, ruin_by_options, ruin_by_disconnecting,
                                                ruin_by_shutdown };
        Kit kit;

        kit_start(&kit, KIT_TENANTS_CONFIG);
        for (size_t i = 0; i < 2 * sizeof(ways) / sizeof(ways[0]); i++) {
                int controls[] = { harness_connect(&kit.harness), harness_connect(&kit.harness) };
                KitSocket ruined = kit_acquire(controls[0], "{'network':'%s','address':'%s:0'}",
                                               networks[i % 2], i % 2 ? "[::1]" : "127.0.0.1");
                KitSocket other = kit_acquire(controls[1], "{'network':'%s','address':'%s'}",
                                              networks[i % 2], kit_address(&ruined));

                ways[i / 2](ruined.fd);
                expect_other_served(ruined.fd, other.fd);
                cr_assert(zero(int, kit_int_option(other.fd, IPPROTO_TCP, TCP_DEFER_ACCEPT)));
                cr_assert(ne(int, fcntl(other.fd, F_GETFL) & O_NONBLOCK, 0));
                kit_drop(&ruined);
                close(controls[0]);
                expect_other_served(-1, other.fd);
                kit_release(controls[1], &other);
                close(controls[1]);
        }
        kit_stop(&kit);
}
