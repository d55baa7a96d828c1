/* SPDX-License-Identifier: BSD-2-Clause */

/* Leases of connections, processes and descriptors, over the death of a broker. */

#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/integration/recovery-kit.h"

TestSuite(recovery, .timeout = 60);

/* A child that holds a lease, which it tells, and waits to be killed. */
static pid_t start_holder(const Harness *h, const char *lifetime, KitSocket *ret) {
        int pair[2];
        pid_t pid;

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)));
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                int control = harness_connect(h);
                KitSocket held;
                char parameters[128], *text;

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                snprintf(parameters, sizeof(parameters),
                         "{'sockets':[{'network':'tcp4','address':'127.0.0.1:0'}],'lifetime':'%s'}",
                         lifetime);
                kit_acquire_call(control, parameters, 1, &held);
                text = json_dumps(held.reply, 0);
                send(pair[1], text, strlen(text), 0);
                for (;;)
                        pause();
        }
        {
                char text[4096] = "";

                close(pair[1]);
                cr_assert(gt(sz, (size_t)recv(pair[0], text, sizeof(text) - 1, 0), 0));
                *ret = (KitSocket){ .fd = -1, .reply = json_loads(text, 0, NULL) };
                close(pair[0]);
        }
        return pid;
}

static void end_holder(pid_t pid) {
        cr_assert(zero(int, kill(pid, SIGKILL)));
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
}

Test(recovery, lease_of_a_process_goes_on_without_its_help) {
        KitSocket held;
        char state[16];
        int control;
        pid_t pid;
        Kit kit;

        begin(&kit, CONFIG, 64);
        pid = start_holder(&kit.harness, "process", &held);
        kill_and_restart(&kit);
        control = harness_connect(&kit.harness);
        expect_status(control, "leases", 1);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
        /* To say so all the same does no harm, */
        cr_assert(kit_resume(control, &held));
        close(control);
        control = harness_connect(&kit.harness);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
        /* and it still ends with the process. */
        end_holder(pid);
        wait_parked(control, &held);
        json_decref(held.reply);
        close(control);
        end(&kit);
}

Test(recovery, process_that_ended_meanwhile) {
        KitSocket held;
        int control;
        pid_t pid;
        Kit kit;

        begin(&kit, CONFIG, 64);
        pid = start_holder(&kit.harness, "process", &held);
        harness_kill(&kit.harness);
        end_holder(pid);
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        wait_parked(control, &held);
        cr_assert(not(kit_resume(control, &held)));
        json_decref(held.reply);
        close(control);
        end(&kit);
}

Test(recovery, lease_of_a_descriptor_goes_on_without_its_help) {
        KitSocket held;
        char state[16];
        int control, fd;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire_by_descriptor(control, "{'network':'tcp4','address':'127.0.0.1:0'}", &fd);
        close(control);
        for (int i = 0; i < 3; i++) {
                json_t *endpoint;

                kill_and_restart(&kit);
                control = harness_connect(&kit.harness);
                expect_status(control, "leases", 1);
                expect_status(control, "lost", 0);
                expect_status(control, "foreign", 0);
                KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
                /* It is what it was, and waits for nobody. */
                endpoint = kit_describe(control, &held);
                KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.leases.0.lifetime"), "descriptor");
                json_decref(endpoint);
                /* To say so all the same does no harm, */
                cr_assert(kit_resume(control, &held));
                close(control);
        }
        control = harness_connect(&kit.harness);
        kit_expect_served(held.fd);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
        /* and it still ends with the descriptor. */
        close(fd);
        wait_parked(control, &held);
        kit_drop(&held);
        close(control);
        end(&kit);
}

Test(recovery, descriptor_that_was_closed_meanwhile) {
        KitSocket held;
        int control, fd;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire_by_descriptor(control, "{'network':'tcp4','address':'127.0.0.1:0'}", &fd);
        close(control);
        harness_kill(&kit.harness);
        close(fd);
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        wait_parked(control, &held);
        cr_assert(not(kit_resume(control, &held)));
        kit_drop(&held);
        close(control);
        end(&kit);
}

/* It is one end of a pipe that the manager keeps: a stop in good order leaves it there, too. */
Test(recovery, descriptor_after_a_stop_in_good_order) {
        KitSocket held;
        char state[16];
        int control, fd;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire_by_descriptor(control, "{'network':'tcp4','address':'127.0.0.1:0'}", &fd);
        harness_terminate(&kit.harness);
        close(control);
        harness_restart(&kit.harness);
        control = harness_connect(&kit.harness);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
        cr_assert(zero(int, kit_is_readable(fd)));
        kit_release(control, &held);
        close(fd);
        close(control);
        end(&kit);
}

/* No connection tells that it ended. */
Test(recovery, client_that_ended_before_it_came_back) {
        KitSocket held;
        char state[16];
        int control;
        pid_t pid;
        Kit kit;

        begin(&kit, CONFIG, 64);
        pid = start_holder(&kit.harness, "connection", &held);
        kill_and_restart(&kit);
        control = harness_connect(&kit.harness);
        expect_status(control, "leases", 1);
        KIT_EXPECT_TEXT(state_of(control, &held, state), "live");
        end_holder(pid);
        wait_parked(control, &held);
        cr_assert(not(kit_resume(control, &held)));
        json_decref(held.reply);
        close(control);
        end(&kit);
}

Test(recovery, only_its_holder_resumes_a_lease) {
        KitSocket held;
        int control, other;
        Kit kit;

        begin(&kit, CONFIG, 64);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        /* While its connection is there, it is nobody else's. */
        other = harness_connect(&kit.harness);
        cr_assert(not(kit_resume(other, &held)));
        close(other);
        kill_and_restart(&kit);
        close(control);
        control = harness_connect(&kit.harness);
        {
                json_auto_t *reply = kit_call(
                        control, "Resume",
                        "{'leases':[{'lease':'%s','cookie':'1'},{'lease':'l1-0','cookie':'1'}]}",
                        kit_lease(&held));

                cr_assert(eq(sz, json_array_size(kit_at(reply, "parameters.lost")), 2));
        }
        cr_assert(kit_resume(control, &held));
        cr_assert(kit_resume(control, &held), "twice is as good as once");
        other = harness_connect(&kit.harness);
        cr_assert(not(kit_resume(other, &held)));
        close(other);
        kit_release(control, &held);
        close(control);
        end(&kit);
}
