/* SPDX-License-Identifier: BSD-2-Clause */

/* reuseportd --replace: one broker takes the place of another that runs, or nothing changes. */

#include <sys/wait.h>

#include "tests/integration/resume-kit.h"

TestSuite(replace, .timeout = 60);

#define CONFIG "[Broker]\nSocketMode=0666\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n"

/* ----
 * refused --------------------------------------------------------------------------------------- */

Test(replace, another_user_may_not) {
        int control, status;
        pid_t pid;
        Kit kit;

        if (geteuid() != 0)
                cr_skip_test("only root can be somebody else");
        kit_start(&kit, CONFIG);
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                cr_assert(zero(int, setuid(65534)));
                control = harness_connect(&kit.harness);
                json_decref(kit_expect_error(kit_call(control, "TakeOver", "{}"),
                                             "org.varlink.service.PermissionDenied"));
                _exit(0);
        }
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(zero(int, status));
        kit_stop(&kit);
}

Test(replace, broker_with_a_store_is_restarted_instead) {
        static Keeper keeper;
        int control;
        Kit kit;

        kit.n_fds = leaks_count_fds();
        keeper_begin(&keeper, 16);
        kit.harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        json_decref(kit_expect_error(kit_call(control, "TakeOver", "{}"), "NotSupported"));
        close(control);
        harness_stop(&kit.harness);
        keeper_end(&keeper);
        leaks_expect_fds(kit.n_fds);
}

/* Asks to take over, takes @batches, and goes away. */
static void take_and_leave(const Harness *h, size_t batches) {
        int fds[HARNESS_FDS_MAX], control = harness_connect(h);
        size_t n_fds;
        json_t *reply;

        kit_send(control, "TakeOver", "", "{}");
        reply = kit_receive(control, fds, &n_fds);
        cr_assert(eq(sz, n_fds, 1));
        json_decref(reply);
        for (size_t i = 0; i < batches; i++) {
                union {
                        struct cmsghdr header;
                        char bytes[CMSG_SPACE(HARNESS_FDS_MAX * sizeof(int))];
                } rights;
                char text[4096];
                struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) };
                struct msghdr message = { .msg_iov = &iov,
                                          .msg_iovlen = 1,
                                          .msg_control = &rights,
                                          .msg_controllen = sizeof(rights) };
                size_t n;

                kit_wait_readable(fds[0]);
                cr_assert(gt(llong, (long long)recvmsg(fds[0], &message, MSG_CMSG_CLOEXEC), 0));
                n = CMSG_FIRSTHDR(&message) ? (rights.header.cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
                for (size_t k = 0; k < n; k++)
                        close(((int *)(void *)CMSG_DATA(&rights.header))[k]);
                cr_assert(eq(int, (int)send(fds[0], "n", 1, 0), 1));
        }
        close(fds[0]);
        close(control);
}

Test(replace, refused_halfway_changes_nothing) {
        KitSocket held[2];
        int control, peer;
        Kit kit;

        kit_start(&kit, CONFIG);
        control = harness_connect(&kit.harness);
        held[0] = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        held[1] = kit_acquire(control, "{'network':'tcp4','address':'%s','standby':true}",
                              kit_address(&held[0]));
        for (size_t batches = 0; batches < 3; batches++) {
                take_and_leave(&kit.harness, batches);
                /* The connection is as it was, and so are the leases, and who takes what comes. */
                kit_ping(control);
                peer = kit_connect_to(&held[0]);
                kit_wait_readable(held[0].fd);
                cr_assert(eq(sz, kit_accept_all(held[0].fd), 1));
                close(peer);
        }
        kit_release(control, &held[1]);
        kit_release(control, &held[0]);
        close(control);
        kit_stop(&kit);
}

/* ----
 * done ------------------------------------------------------------------------------------------ */

Test(replace, everything_goes_on) {
        enum { N = 8 };
        KitSocket held[3];
        int control, peers[3 * N];
        size_t n = 0, served = 0;
        Kit kit;

        kit_start(&kit, CONFIG);
        control = harness_connect(&kit.harness);
        held[0] = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        held[1] = kit_acquire(control, "{'network':'tcp4','address':'%s'}", kit_address(&held[0]));
        held[2] =
                kit_acquire(control, "{'network':'udp4','address':'127.0.0.1:0','sharing':'exclusive'}");
        for (int i = 0; i < 3; i++) {
                int before = control;

                for (size_t k = 0; k < N; k++)
                        peers[n++] = kit_connect_to(&held[0]);
                harness_replace(&kit.harness);
                control = harness_connect(&kit.harness);
                close(before);
                for (size_t k = 0; k < 3; k++)
                        cr_assert(kit_resume(control, &held[k]));
        }
        while (served < n) {
                served += kit_accept_all(held[0].fd);
                served += kit_accept_all(held[1].fd);
        }
        while (n > 0)
                close(peers[--n]);
        for (size_t k = 3; k-- > 0;)
                kit_release(control, &held[k]);
        close(control);
        /* The file of the control socket is removed by whoever has it in the end. */
        harness_stop(&kit.harness);
        leaks_expect_fds(kit.n_fds);
}

Test(replace, leases_of_descriptors_go_on) {
        KitSocket held[2];
        int control, fds[2];
        Kit kit;

        kit_start(&kit, CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < 2; i++)
                held[i] = kit_acquire_by_descriptor(
                        control, "{'network':'tcp4','address':'127.0.0.1:0'}", &fds[i]);
        close(control);
        for (int i = 0; i < 2; i++) {
                harness_replace(&kit.harness);
                control = harness_connect(&kit.harness);
                for (int k = 0; k < 2; k++) {
                        json_auto_t *endpoint = kit_describe(control, &held[k]);

                        KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.leases.0.lifetime"), "descriptor");
                }
                close(control);
        }
        control = harness_connect(&kit.harness);
        close(fds[0]);
        for (bool parked = false; !parked;) {
                json_auto_t *endpoint = kit_describe(control, &held[0]);

                parked = strcmp(kit_text(endpoint, "members.0.state"), "parked") == 0;
        }
        kit_release(control, &held[1]);
        kit_wait_readable(fds[1]); /* it has hung up */
        close(fds[1]);
        kit_drop(&held[0]);
        close(control);
        harness_stop(&kit.harness);
        leaks_expect_fds(kit.n_fds);
}

Test(replace, flows_are_counted_on) {
        KitSocket held;
        int control;
        Kit kit;

        kit_start(&kit, CONFIG);
        control = harness_connect(&kit.harness);
        if (!kit_is_capable(control, "steer"))
                cr_skip_test("groups are not steered here");
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        for (long long flows = 1; flows <= 3; flows++) {
                int before = control;

                close(kit_connect_to(&held));
                harness_replace(&kit.harness);
                control = harness_connect(&kit.harness);
                close(before);
                {
                        json_auto_t *endpoint = kit_describe(control, &held);

                        cr_assert(eq(llong, kit_number(endpoint, "members.0.flows"), flows));
                }
        }
        cr_assert(kit_resume(control, &held));
        kit_release(control, &held);
        close(control);
        harness_stop(&kit.harness);
        leaks_expect_fds(kit.n_fds);
}

Test(replace, nobody_to_be_replaced) {
        int control;
        Kit kit;

        kit.n_fds = leaks_count_fds();
        kit.harness = (Harness){ .uid = geteuid(), .replaces = true };
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        kit_ping(control);
        close(control);
        harness_stop(&kit.harness);
        leaks_expect_fds(kit.n_fds);
}
