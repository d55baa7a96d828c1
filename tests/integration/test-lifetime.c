/* SPDX-License-Identifier: BSD-2-Clause */

/* The ways a lease ends without being released: with its connection, its process, or its descriptor. */

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/integration/acquire-kit.h"

TestSuite(lifetime, .timeout = 60);

static KitSocket acquire_for_process(int control, const char *request) {
        KitSocket socket;
        char parameters[256];

        snprintf(parameters, sizeof(parameters), "{'sockets':[%s],'lifetime':'process'}", request);
        kit_acquire_call(control, parameters, 1, &socket);
        return socket;
}

static void expect_leases(int control, long long n) {
        json_auto_t *reply = kit_call(control, "GetStatus", "{}");

        cr_assert(eq(llong, kit_number(reply, "parameters.leases"), n));
}

/* Nobody listens any more where @address says. */
static void expect_refused(const struct sockaddr_storage *address, socklen_t size) {
        cr_assert(eq(int, kit_connect_address(address, size, SOCK_STREAM), -1));
        cr_assert(eq(int, errno, ECONNREFUSED));
}

/* ---- a child that holds a socket ------------------------------------------------------------------ */

typedef struct Holder {
        pid_t pid;
        int input; /* closing it ends the program that the child has become */
} Holder;

/* The child asks for @request, and then becomes another program: of the descriptors none is left. */
static Holder holder_spawn(const Kit *kit, const char *request, const char *lifetime) {
        Holder holder;
        int input[2];

        cr_assert(zero(int, pipe2(input, O_CLOEXEC)));
        holder.pid = fork();
        cr_assert(ge(int, holder.pid, 0));
        if (holder.pid == 0) {
                char parameters[256];
                KitSocket held;

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                snprintf(parameters, sizeof(parameters), "{'sockets':[%s],'lifetime':'%s'}", request,
                         lifetime);
                kit_acquire_call(harness_connect(&kit->harness), parameters, 1, &held);
                dup2(input[0], STDIN_FILENO);
                execlp("cat", "cat", (char *)NULL);
                _exit(1);
        }
        close(input[0]);
        holder.input = input[1];
        return holder;
}

static void holder_wait(Holder *holder) {
        cr_assert(eq(int, waitpid(holder->pid, NULL, 0), holder->pid));
        fd_close(holder->input);
}

static void expect_held_by(json_t *event, const Holder *holder) {
        cr_assert(eq(llong, kit_number(event, "holder.pid"), holder->pid));
        json_decref(event);
}

static void expect_process_lease_ends(int signal_number) {
        Kit kit;
        Holder holder;
        int control, watch;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        watch = kit_watch(&kit, control);
        holder = holder_spawn(&kit, "{'network':'tcp4','address':'127.0.0.1:0'}", "process");
        expect_held_by(kit_event(watch, "acquired"), &holder);
        /* Of the child the broker has the member and the pidfd: its connection has ended
         * with execve(). */
        harness_expect_broker_fds(&kit.harness, kit.n_broker_fds + 2 + 2);
        expect_leases(control, 1);
        cr_assert(zero(int, kit_is_readable(watch)));
        if (signal_number)
                kill(holder.pid, signal_number);
        else
                holder.input = fd_close(holder.input);
        expect_held_by(kit_event(watch, "released"), &holder);
        json_decref(kit_event(watch, "closed"));
        expect_leases(control, 0);
        holder_wait(&holder);
        close(watch);
        close(control);
        kit_stop(&kit);
}

/* ---- refusals ------------------------------------------------------------------------------------- */

/* A connection made by a process that has exited since; it shares the descriptors of this one. */
static int connect_and_exit(const Kit *kit, bool hold) {
        int status;
        pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);

        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                int control = harness_connect(&kit->harness);

                if (hold) {
                        KitSocket held = acquire_for_process(
                                control, "{'network':'tcp4','address':'127.0.0.1:0'}");

                        kit_drop(&held);
                }
                _exit(control);
        }
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(eq(int, status & 0xff, 0));
        return WEXITSTATUS(status);
}

static void expect_process_gone(int control) {
        json_auto_t *reply = kit_expect_error(
                kit_call(
                        control, "Acquire",
                        "{'sockets':[{'network':'tcp4','address':'127.0.0.1:0'}],'lifetime':'process'}"),
                "SystemFailure");

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.step"), "pidfd");
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.errno"), "ESRCH");
}

/* Whoever has inherited a connection cannot have leases that nothing would ever end. */
Test(lifetime, process_has_exited_with_its_leases) {
        Kit kit;
        KitSocket held;
        int control, watch, inherited;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        watch = kit_watch(&kit, control);
        inherited = connect_and_exit(&kit, true);
        json_decref(kit_event(watch, "acquired"));
        json_decref(kit_event(watch, "released"));
        json_decref(kit_event(watch, "closed"));
        expect_process_gone(inherited);
        expect_leases(control, 0);
        /* The connection itself is good for leases that end with it. */
        held = kit_acquire(inherited, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_drop(&held);
        close(inherited);
        close(watch);
        close(control);
        kit_stop(&kit);
}

Test(lifetime, process_has_exited_before) {
        Kit kit;
        int inherited;

        kit_start(&kit, KIT_CONFIG);
        inherited = connect_and_exit(&kit, false);
        expect_process_gone(inherited);
        close(inherited);
        kit_stop(&kit);
}

Test(lifetime, what_is_no_lifetime) {
        static const char *const lifetimes[] = { "tree", "Descriptor", "descriptors", "" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(lifetimes) / sizeof(lifetimes[0]); i++) {
                json_auto_t *reply = kit_expect_error(kit_call(control, "Acquire",
                                                               "{'sockets':[{'network':'tcp4','address':"
                                                               "'127.0.0.1:0'}],'lifetime':'%s'}",
                                                               lifetimes[i]),
                                                      "org.varlink.service.InvalidParameter");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.parameter"), "lifetime");
        }
        expect_leases(control, 0);
        close(control);
        kit_stop(&kit);
}

/* With the error comes no descriptor, and of what was made before nothing is left. */
Test(lifetime, descriptor_of_what_is_refused) {
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        json_decref(kit_expect_error(
                kit_call(control, "Acquire",
                         "{'sockets':[{'network':'tcp4','address':'127.0.0.1:0'},"
                         "{'network':'tcp4','address':'192.0.2.1:0'}],'lifetime':'descriptor'}"),
                "AddressUnavailable"));
        json_decref(
                kit_expect_error(kit_call(control, "Acquire", "{'sockets':[],'lifetime':'descriptor'}"),
                                 "org.varlink.service.InvalidParameter"));
        expect_leases(control, 0);
        harness_expect_broker_fds(&kit.harness, kit.n_broker_fds + 1);
        close(control);
        kit_stop(&kit);
}

/* Nobody ever had it: what was sent goes with the connection. */
Test(lifetime, descriptor_that_is_never_received) {
        Kit kit;
        int control, other, watch;

        kit_start(&kit, KIT_CONFIG);
        other = harness_connect(&kit.harness);
        watch = kit_watch(&kit, other);
        control = harness_connect(&kit.harness);
        kit_send(control, "Acquire", "",
                 "{'sockets':[{'network':'tcp4','address':'127.0.0.1:0'}],'lifetime':'descriptor'}");
        json_decref(kit_event(watch, "acquired"));
        kit_wait_readable(control);
        close(control);
        json_decref(kit_event(watch, "released"));
        json_decref(kit_event(watch, "closed"));
        expect_leases(other, 0);
        close(watch);
        close(other);
        kit_stop(&kit);
}

/* A child with this very number, which stays until it is killed. Returns whether it could be had. */
static bool take_number(pid_t number) {
        struct clone_args args = { .exit_signal = SIGCHLD,
                                   .set_tid = (uintptr_t)&number,
                                   .set_tid_size = 1 };
        long pid = syscall(SYS_clone3, &args, sizeof(args));

        if (pid == 0)
                for (;;)
                        pause();
        if (pid < 0)
                return false;
        cr_assert(eq(int, (pid_t)pid, number));
        return true;
}

/* T6: whoever is given the number of a process that has gone is not taken for it. */
Test(lifetime, t6_number_passes_to_another_process) {
        for (int i = 0; i < 2; i++) {
                int control, watch, inherited;
                bool taken;
                pid_t number;
                json_t *event;
                Kit kit;

                kit_start_as_set(&kit, KIT_CONFIG,
                                 &(Harness){ .uid = geteuid(), .no_peer_pidfd = i == 1 });
                control = harness_connect(&kit.harness);
                watch = kit_watch(&kit, control);
                inherited = connect_and_exit(&kit, true);
                event = kit_event(watch, "acquired");
                number = (pid_t)kit_number(event, "holder.pid");
                json_decref(event);
                taken = take_number(number);
                if (taken) {
                        json_decref(kit_event(watch, "released"));
                        json_decref(kit_event(watch, "closed"));
                        expect_process_gone(inherited);
                        expect_leases(control, 0);
                        kill(number, SIGKILL);
                        cr_assert(eq(int, waitpid(number, NULL, 0), number));
                }
                close(inherited);
                close(watch);
                close(control);
                kit_stop(&kit);
                if (!taken)
                        cr_skip_test("the number of a process cannot be chosen here");
        }
}

/* ---- the
 * connection -------------------------------------------------------------------------------- */

Test(lifetime, connection_ends_its_leases) {
        static const char *const requests[] = {
                "{'network':'tcp4','address':'127.0.0.1:0'}",
                "{'network':'tcp4','address':'127.0.0.1:0','sharing':'shared'}",
                "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'}",
        };
        Kit kit;
        struct sockaddr_storage address;
        socklen_t size;
        int control, watch;

        kit_start(&kit, KIT_CONFIG);
        for (int i = 0; i < 3; i++) {
                KitSocket held;
                int other = harness_connect(&kit.harness);

                control = harness_connect(&kit.harness);
                watch = kit_watch(&kit, other);
                held = kit_acquire(control, "%s", requests[i]);
                size = kit_bound_address(held.fd, &address);
                json_decref(kit_event(watch, "acquired"));
                close(control);
                json_decref(kit_event(watch, "released"));
                json_decref(kit_event(watch, "closed"));
                expect_refused(&address, size);
                kit_drop(&held);
                close(watch);
                close(other);
        }
        kit_stop(&kit);
}

/* A child of a holder with lifetime connection keeps nothing alive. */
Test(lifetime, execve_ends_a_connection_lease) {
        Kit kit;
        Holder holder;
        int control, watch;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        watch = kit_watch(&kit, control);
        holder = holder_spawn(&kit, "{'network':'tcp4','address':'127.0.0.1:0'}", "connection");
        expect_held_by(kit_event(watch, "acquired"), &holder);
        expect_held_by(kit_event(watch, "released"), &holder);
        json_decref(kit_event(watch, "closed"));
        cr_assert(zero(int, kill(holder.pid, 0)));
        holder.input = fd_close(holder.input);
        holder_wait(&holder);
        close(watch);
        close(control);
        kit_stop(&kit);
}

/* ---- the
 * process ----------------------------------------------------------------------------------- */

Test(lifetime, process_outlives_its_connection) {
        Kit kit;
        KitSocket held;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = acquire_for_process(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        close(control);
        /* The member and the pidfd are left. */
        harness_expect_broker_fds(&kit.harness, kit.n_broker_fds + 2);
        control = harness_connect(&kit.harness);
        expect_leases(control, 1);
        kit_expect_served(held.fd);
        kit_release(control, &held);
        expect_leases(control, 0);
        close(control);
        kit_stop(&kit);
}

Test(lifetime, process_outlives_execve_until_it_exits) {
        expect_process_lease_ends(0);
}

Test(lifetime, t8_process_is_killed) {
        expect_process_lease_ends(SIGKILL);
}

/* Both kinds on one connection: each ends in its own way. */
Test(lifetime, both_on_one_connection) {
        Kit kit;
        KitSocket connection, process;
        int control, other, watch;

        kit_start(&kit, KIT_CONFIG);
        other = harness_connect(&kit.harness);
        watch = kit_watch(&kit, other);
        control = harness_connect(&kit.harness);
        connection = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        process = acquire_for_process(control, "{'network':'udp4','address':'127.0.0.1:0'}");
        json_decref(kit_event(watch, "acquired"));
        json_decref(kit_event(watch, "acquired"));
        close(control);
        {
                json_auto_t *event = kit_event(watch, "released");

                KIT_EXPECT_TEXT(kit_text(event, "lease"), kit_lease(&connection));
        }
        json_decref(kit_event(watch, "closed"));
        expect_leases(other, 1);
        kit_expect_served(process.fd);
        kit_release(other, &process);
        kit_drop(&connection);
        close(watch);
        close(other);
        kit_stop(&kit);
}

/* ---- the descriptor ------------------------------------------------------------------------------- */

static void expect_lifetime(int control, const KitSocket *held, const char *lifetime) {
        json_auto_t *endpoint = kit_describe(control, held);

        KIT_EXPECT_TEXT(kit_text(endpoint, "members.0.leases.0.lifetime"), lifetime);
}

static void expect_released(int watch, const char *reason) {
        json_auto_t *event = kit_event(watch, "released");

        KIT_EXPECT_TEXT(kit_text(event, "reason"), reason);
}

Test(lifetime, last_copy_of_the_descriptor_ends_its_leases) {
        KitSocket held[2];
        int control, other, watch, fd, copy;
        Kit kit;

        kit_start(&kit, KIT_CONFIG);
        other = harness_connect(&kit.harness);
        watch = kit_watch(&kit, other);
        control = harness_connect(&kit.harness);
        kit_send(control, "Acquire", "",
                 "{'sockets':[{'network':'tcp4','address':'127.0.0.1:0'},"
                 "{'network':'tcp4','address':'127.0.0.1:0'}],'lifetime':'descriptor'}");
        kit_acquire_receive_with(control, 2, held, &fd);
        json_decref(kit_event(watch, "acquired"));
        json_decref(kit_event(watch, "acquired"));
        expect_lifetime(other, &held[0], "descriptor");
        expect_lifetime(other, &held[1], "descriptor");
        close(control);
        /* Two sockets, one pipe; and the watcher's two connections. */
        harness_expect_broker_fds(&kit.harness, kit.n_broker_fds + 2 + 3);
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        close(fd);
        kit_expect_served(held[0].fd);
        expect_leases(other, 2);
        cr_assert(zero(int, kit_is_readable(watch)));
        close(copy);
        expect_released(watch, "every copy of its descriptor is closed");
        json_decref(kit_event(watch, "closed"));
        expect_released(watch, "every copy of its descriptor is closed");
        json_decref(kit_event(watch, "closed"));
        expect_leases(other, 0);
        kit_drop(&held[0]);
        kit_drop(&held[1]);
        close(watch);
        close(other);
        kit_stop(&kit);
}

/* Becomes another program after all: it keeps the descriptor, and nothing else of the broker's. */
static void become_cat(int input, int lifetime_fd) {
        dup2(input, STDIN_FILENO);
        fcntl(lifetime_fd, F_SETFD, 0);
        execlp("cat", "cat", (char *)NULL);
        _exit(1);
}

/* Asks, and exits when its child has everything. */
static void acquire_and_leave(const Kit *kit, int input) {
        int fd;

        kit_acquire_by_descriptor(harness_connect(&kit->harness),
                                  "{'network':'tcp4','address':'127.0.0.1:0'}", &fd);
        if (fork() == 0)
                become_cat(input, fd);
        _exit(0);
}

Test(lifetime, descriptor_is_kept_by_a_grandchild) {
        int control, watch, input[2];
        Kit kit;
        pid_t pid;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        watch = kit_watch(&kit, control);
        cr_assert(zero(int, pipe2(input, O_CLOEXEC)));
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0)
                acquire_and_leave(&kit, input[0]);
        close(input[0]);
        expect_held_by(kit_event(watch, "acquired"), &(Holder){ .pid = pid });
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
        /* Who asked is gone, with its connection, and so is every copy of the socket but
         * the broker's. */
        harness_expect_broker_fds(&kit.harness, kit.n_broker_fds + 2 + 2);
        expect_leases(control, 1);
        cr_assert(zero(int, kit_is_readable(watch)));
        close(input[1]);
        expect_released(watch, "every copy of its descriptor is closed");
        json_decref(kit_event(watch, "closed"));
        close(watch);
        close(control);
        kit_stop(&kit);
}

/* Whatever they depend on, they are the user's. */
Test(lifetime, lease_of_a_descriptor_is_its_users) {
        struct pollfd pollfd = { .events = POLLIN };
        KitSocket held;
        int control, other;
        Kit kit;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire_by_descriptor(control, "{'network':'tcp4','address':'127.0.0.1:0'}",
                                         &pollfd.fd);
        close(control);
        control = harness_connect(&kit.harness);
        if (geteuid() == 0) {
                other = kit_connect_as(&kit, KIT_UID, 0);
                json_decref(kit_expect_error(
                        kit_call(other, "Release", "{'leases':['%s']}", kit_lease(&held)),
                        "NoSuchLease"));
                close(other);
        }
        if (kit_is_capable(control, "steer")) {
                json_auto_t *drained = kit_call(control, "Drain", "{'leases':['%s']}", kit_lease(&held));
                json_auto_t *ready = kit_call(control, "Ready", "{'leases':['%s']}", kit_lease(&held));

                kit_expect_success(drained);
                kit_expect_success(ready);
        }
        cr_assert(zero(int, poll(&pollfd, 1, 0)));
        kit_release(control, &held);
        /* Its holder, whoever that is, learns of it. */
        cr_assert(eq(int, poll(&pollfd, 1, KIT_PATIENCE_MSEC), 1));
        cr_assert(eq(int, pollfd.revents, POLLHUP));
        close(pollfd.fd);
        close(control);
        kit_stop(&kit);
}

/* Each on its own. */
Test(lifetime, two_descriptors_of_one_connection) {
        KitSocket held[2];
        int control, fds[2];
        long long n;
        Kit kit;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < 2; i++)
                held[i] = kit_acquire_by_descriptor(
                        control, "{'network':'tcp4','address':'127.0.0.1:0'}", &fds[i]);
        close(fds[0]);
        do {
                json_auto_t *reply = kit_call(control, "GetStatus", "{}");

                n = kit_number(reply, "parameters.leases");
        } while (n == 2);
        expect_lifetime(control, &held[1], "descriptor");
        kit_expect_served(held[1].fd);
        close(fds[1]);
        kit_drop(&held[0]);
        kit_drop(&held[1]);
        close(control);
        kit_stop(&kit);
}
