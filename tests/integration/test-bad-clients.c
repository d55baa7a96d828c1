/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Processes that die, stop, share their connection or change who they are, at the worst moment; and a
 * broker that is told to reload or to stop while it is busy.
 */

#include <signal.h>
#include <sys/wait.h>

#include "tests/integration/scene.h"

TestSuite(bad_clients, .timeout = 30);

#define ROOT_CONFIG "[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule root]\nUser=root\nOptions=*\n"
#define PARK_CONFIG "[Broker]\nSocketMode=0666\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n"
#define DENY_CONFIG "[Broker]\nSocketMode=0666\n[Rule none]\nUser=*\nAllow=no\n"
#define ACQUIRE_FOR_PROCESS                                                                             \
        "{'sockets':[{'network':'tcp','address':'127.0.0.1:0'}],'lifetime':'process'}"

static Scene scene;

/* ---- crowds ------------------------------------------------------------------------------------- */

/* Connections that wait to be let in are let in by turns with the calls of who is in already. */
Test(bad_clients, crowd_at_the_door_keeps_nobody_waiting) {
        enum { N_CROWD = 120, N_CALLS = 64 };
        long long seen = -1;
        int crowd[N_CROWD];

        scene_begin(&scene, KIT_CONFIG);
        scene_stop_broker(&scene);
        for (size_t i = 0; i < N_CROWD; i++)
                crowd[i] = scene_connect(&scene);
        scene_send_many(scene.honest, SCENE_STATUS, N_CALLS);
        scene_continue_broker(&scene);
        for (size_t i = 0; i < N_CALLS; i++) {
                json_auto_t *reply = scene_receive(scene.honest);

                /* The first answer is not behind the whole crowd. */
                if (i == 0)
                        seen = kit_number(reply, "parameters.connections");
        }
        cr_assert(lt(llong, seen, N_CROWD));
        scene_expect_count(&scene, "connections", 1 + N_CROWD);
        for (size_t i = 0; i < N_CROWD; i++)
                close(crowd[i]);
        scene_expect_count(&scene, "connections", 1);
        scene_end(&scene);
}

/* So many answers. What descriptors come with them the kernel closes. */
static void expect_answers(int control, size_t n) {
        char buffer[4096];

        while (n > 0) {
                ssize_t got = recv(control, buffer, sizeof(buffer), 0);

                cr_assert(gt(long, got, 0));
                for (ssize_t i = 0; i < got; i++)
                        n -= buffer[i] == '\0';
        }
}

/* What it had ends by turns with the calls of others: some of them are answered amid it. */
Test(bad_clients, t5_hangup_with_many_leases_keeps_nobody_waiting) {
        enum { N_CALLS = 32, N_SOCKETS = 64, N_ASKED = 128 };
        bool amid = false;
        int hoarder;
        char *call;

        kit_require_root();
        scene_begin(&scene, "[Broker]\nSocketMode=0666\nRetainSec=0\nMaxLeasesPerUser=4096\n"
                            "[Rule all]\nUser=*\n");
        hoarder = kit_connect_as(&scene.kit, KIT_UID, 0);
        call = scene_acquire_text(N_SOCKETS);
        for (int i = 0; i < N_CALLS; i++) {
                harness_send_frame(hoarder, call);
                expect_answers(hoarder, 1);
        }
        free(call);
        scene_expect_count(&scene, "leases", N_CALLS * N_SOCKETS);
        scene_stop_broker(&scene);
        close(hoarder);
        scene_send_many(scene.honest, SCENE_STATUS, N_ASKED);
        scene_continue_broker(&scene);
        for (int i = 0; i < N_ASKED; i++) {
                json_auto_t *reply = scene_receive(scene.honest);
                long long n = kit_number(reply, "parameters.leases");

                amid = amid || (n > 0 && n < N_CALLS * N_SOCKETS);
        }
        cr_assert(amid, "it ended all at once");
        scene_expect_count(&scene, "leases", 0);
        scene_end(&scene);
}

/* ---- processes ----------------------------------------------------------------------------------- */

static void wait_for_end(pid_t pid) {
        cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
}

/* In a child: nothing may be asserted there, and nothing needs closing. */
static pid_t fork_child(void) {
        pid_t pid = fork();

        cr_assert(ge(int, pid, 0));
        return pid;
}

Test(bad_clients, killed_between_request_and_reply) {
        scene_begin(&scene, KIT_CONFIG);
        for (int i = 0; i < 20; i++) {
                pid_t pid = fork_child();

                if (pid == 0) {
                        int control = scene_connect(&scene);

                        scene_send_many(control, SCENE_ACQUIRE, 5);
                        kit_send(control, "Acquire", "", ACQUIRE_FOR_PROCESS);
                        raise(SIGKILL);
                }
                scene_serve_honest(&scene);
                wait_for_end(pid);
        }
        scene_expect_count(&scene, "leases", 0);
        scene_end(&scene);
}

Test(bad_clients, stopped_with_replies_unread) {
        pid_t pid;

        scene_begin(&scene, KIT_CONFIG);
        pid = fork_child();
        if (pid == 0) {
                int control = scene_connect(&scene);

                scene_send_many(control, SCENE_ACQUIRE, 500);
                raise(SIGSTOP);
                _exit(0);
        }
        cr_assert(eq(int, waitpid(pid, NULL, WUNTRACED), pid));
        scene_serve_honest(&scene);
        cr_assert(gt(llong, scene_count(&scene, "leases"), 0));
        cr_assert(zero(int, kill(pid, SIGKILL)));
        wait_for_end(pid);
        scene_expect_count(&scene, "leases", 0);
        scene_end(&scene);
}

/* A connection ends with the last process that has it. */
Test(bad_clients, connection_shared_by_fork) {
        KitSocket socket;
        int control, gate[2];
        pid_t pid;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        socket = kit_acquire(control, "{'network':'tcp','address':'127.0.0.1:0'}");
        cr_assert(zero(int, pipe2(gate, O_CLOEXEC)));
        pid = fork_child();
        if (pid == 0) {
                char byte;

                close(gate[1]);
                _exit(read(gate[0], &byte, 1) != 0);
        }
        kit_drop(&socket);
        close(control);
        scene_serve_honest(&scene);
        cr_assert(eq(llong, scene_count(&scene, "leases"), 1));
        close(gate[0]);
        close(gate[1]);
        wait_for_end(pid);
        scene_expect_count(&scene, "leases", 0);
        scene_end(&scene);
}

/* exec() closes the connection, and the lease goes on until the exit. */
Test(bad_clients, exec_keeps_leases_of_the_process) {
        int gate[2];
        pid_t pid;

        scene_begin(&scene, KIT_CONFIG);
        cr_assert(zero(int, pipe2(gate, O_CLOEXEC)));
        pid = fork_child();
        if (pid == 0) {
                int control = scene_connect(&scene);

                kit_send(control, "Acquire", "", ACQUIRE_FOR_PROCESS);
                if (!scene_receive_sockets(control, 1) || dup2(gate[0], STDIN_FILENO) < 0)
                        _exit(1);
                execl("/bin/cat", "cat", NULL);
                _exit(1);
        }
        scene_expect_count(&scene, "leases", 1);
        scene_expect_count(&scene, "connections", 1);
        scene_serve_honest(&scene);
        cr_assert(eq(llong, scene_count(&scene, "leases"), 1));
        close(gate[0]);
        close(gate[1]);
        scene_expect_count(&scene, "leases", 0);
        wait_for_end(pid);
        scene_end(&scene);
}

/* In a child: connects, takes a lease of its process, and passes the connection on. */
static void pass_connection_on(int to) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } ancillary = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
        struct iovec iov = { .iov_base = (char[]){ '\0' }, .iov_len = 1 };
        struct msghdr header = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &ancillary,
                .msg_controllen = sizeof(ancillary),
        };
        int control = scene_connect(&scene);

        kit_send(control, "Acquire", "", ACQUIRE_FOR_PROCESS);
        scene_receive_sockets(control, 1);
        memcpy(CMSG_DATA(&ancillary.header), &control, sizeof(control));
        sendmsg(to, &header, 0);
}

/* Whoever has the connection of a process that is gone gets no leases that should end with
 * that process. */
Test(bad_clients, connection_outlives_its_process) {
        static HarnessReply passed;
        KitSocket socket;
        int pair[2];
        pid_t pid;

        scene_begin(&scene, KIT_CONFIG);
        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)));
        pid = fork_child();
        if (pid == 0) {
                pass_connection_on(pair[1]);
                _exit(0);
        }
        wait_for_end(pid);
        cr_assert(harness_receive(pair[0], &passed));
        cr_assert(eq(sz, passed.n_fds, 1));
        scene_expect_count(&scene, "leases", 0);

        json_decref(kit_expect_error(kit_call(passed.fds[0], "Acquire", ACQUIRE_FOR_PROCESS),
                                     "SystemFailure"));
        cr_assert(zero(llong, scene_count(&scene, "leases")));
        socket = kit_acquire(passed.fds[0], "{'network':'tcp','address':'127.0.0.1:0'}");
        kit_release(passed.fds[0], &socket);
        harness_close(&passed);
        close(pair[0]);
        close(pair[1]);
        scene_end(&scene);
}

/* Who connected is who asks, whatever it has become since. */
Test(bad_clients, t6_identity_is_that_of_the_connection) {
        KitSocket socket;
        int root, other;

        kit_require_root();
        scene_begin(&scene, ROOT_CONFIG);
        other = kit_connect_as(&scene.kit, KIT_UID, 0);
        json_decref(kit_refused(other, "PolicyDenied", "{'network':'tcp','address':'127.0.0.1:0'}"));
        root = scene_connect(&scene);
        kit_become(KIT_UID, 0);
        socket = kit_acquire(root, "{'network':'tcp','address':'127.0.0.1:0'}");
        kit_become_root();
        kit_release(root, &socket);
        close(root);
        close(other);
        scene_end(&scene);
}

/* ---- reload -------------------------------------------------------------------------------------- */

/* A listener becomes a connection whose peer reads nothing, and its close() shall wait an hour
 * for that. */
static void make_lingering(int listener, int sink) {
        struct linger linger = { .l_onoff = 1, .l_linger = 3600 };
        struct sockaddr_storage address;
        socklen_t size = kit_bound_address(sink, &address);
        static const char data[65536];
        int r;

        cr_assert(zero(int, fcntl(listener, F_SETFL, 0)));
        /* The broker makes it listen again, once. */
        do {
                shutdown(listener, SHUT_RDWR);
                r = connect(listener, (const struct sockaddr *)&address, size);
        } while (r < 0 && errno == EISCONN);
        cr_assert(zero(int, r), "%m");
        cr_assert(zero(int, setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger))));
        while (send(listener, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                continue;
}

static int open_sink(void) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int sink = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(ge(int, sink, 0));
        cr_assert(zero(int, setsockopt(sink, SOL_SOCKET, SO_RCVBUF, &(int){ 2048 }, sizeof(int))));
        cr_assert(zero(int, bind(sink, (const struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(sink, 4)));
        return sink;
}

/* Under the broker's eyes, and behind its back: then it finds out when the lease ends. */
Test(bad_clients, lingering_connection_in_place_of_a_listener) {
        KitSocket socket;
        int sink, control;

        scene_begin(&scene, KIT_CONFIG);
        for (int unseen = 0; unseen < 2; unseen++) {
                sink = open_sink();
                control = scene_connect(&scene);
                socket = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
                if (unseen)
                        scene_stop_broker(&scene);
                make_lingering(socket.fd, sink);
                if (unseen)
                        scene_continue_broker(&scene);
                kit_drop(&socket);
                close(control);
                scene_expect_count(&scene, "endpoints", 0);
                close(sink);
        }
        scene_end(&scene);
}

Test(bad_clients, storm_of_hangups) {
        scene_begin(&scene, KIT_CONFIG);
        for (int i = 0; i < 200; i++) {
                cr_assert(zero(int, kill(scene.kit.harness.pid, SIGHUP)));
                scene_serve_honest(&scene);
        }
        scene_end(&scene);
}

/* The signal comes first: a limit is that of the new configuration, too. */
Test(bad_clients, who_comes_after_a_hangup_meets_the_new_rules) {
        enum { N_CROWD = 20 };
        static const char few[] = "[Broker]\nSocketMode=0666\nRetainSec=0\nMaxConnectionsPerUser=1\n"
                                  "[Rule all]\nUser=*\n";
        int crowd[N_CROWD];

        scene_begin(&scene, KIT_CONFIG);
        for (int i = 0; i < 10; i++) {
                scene_stop_broker(&scene);
                harness_ask_to_reload(&scene.kit.harness, few);
                for (size_t k = 0; k < N_CROWD; k++)
                        crowd[k] = scene_connect(&scene);
                scene_continue_broker(&scene);
                for (size_t k = 0; k < N_CROWD; k++) {
                        json_decref(kit_expect_error(scene_receive(crowd[k]), "QuotaExceeded"));
                        close(crowd[k]);
                }
                harness_reload(&scene.kit.harness, KIT_CONFIG);
        }
        scene_end(&scene);
}

Test(bad_clients, faulty_configuration_leaves_the_old_one_in_force) {
        static const char *const faulty[] = {
                "[Rule none]\nUser=*\nAllow=perhaps\n",
                "[Rule none]\nUser=*\nAllow=no\n[Rule none]\nUser=*\n",
                "[Broker]\nMaxConnections=0\n[Rule none]\nUser=*\nAllow=no\n",
                "[Rule none]\nUser=*\nAllow=no\nnonsense\n",
        };

        scene_begin(&scene, KIT_CONFIG);
        for (size_t i = 0; i < ELEMENTS(faulty); i++) {
                harness_reload(&scene.kit.harness, faulty[i]);
                for (int k = 0; k < 10; k++)
                        scene_serve_honest(&scene);
        }
        cr_assert(zero(int, unlink(scene.kit.harness.config)));
        cr_assert(zero(int, kill(scene.kit.harness.pid, SIGHUP)));
        for (int k = 0; k < 10; k++)
                scene_serve_honest(&scene);
        scene_end(&scene);
}

/* The next call is decided by the new rules; what was given before stays. */
Test(bad_clients, reload_takes_effect_for_the_next_call) {
        bool denied = false;
        KitSocket held;
        int control;

        scene_begin(&scene, KIT_CONFIG);
        control = scene_connect(&scene);
        held = kit_acquire(control, "{'network':'tcp','address':'127.0.0.1:0'}");
        harness_reload(&scene.kit.harness, DENY_CONFIG);
        for (int i = 0; i < 1000 && !denied; i++) {
                static HarnessReply reply;
                int probe = scene_connect(&scene); /* whatever it is given ends with it */

                denied = strstr(harness_call(probe, SCENE_ACQUIRE, &reply), "PolicyDenied") != NULL;
                harness_close(&reply);
                close(probe);
        }
        cr_assert(denied);
        kit_expect_served(held.fd);
        kit_release(control, &held);
        close(control);
        harness_reload(&scene.kit.harness, KIT_CONFIG);
        for (int i = 0; i < 10; i++)
                json_decref(kit_call(scene.honest, "List", "{}"));
        scene_end(&scene);
}

/* ---- stop ---------------------------------------------------------------------------------------- */

/* Ends a broker whose clients are still there; @controls hears nothing but the hang-up. */
static void stop_under_load(int *controls, size_t n) {
        static char rest[1 << 16];

        close(scene.honest);
        harness_stop(&scene.kit.harness);
        for (size_t i = 0; i < n; i++) {
                while (recv(controls[i], rest, sizeof(rest), 0) > 0)
                        ;
                close(controls[i]);
        }
        leaks_expect_fds(scene.kit.n_fds);
}

Test(bad_clients, broker_stops_amid_unread_replies) {
        int controls[8];

        scene_begin(&scene, KIT_CONFIG);
        for (size_t i = 0; i < ELEMENTS(controls); i++) {
                controls[i] = scene_connect(&scene);
                scene_send_many(controls[i], SCENE_ACQUIRE, 300);
        }
        scene_serve_honest(&scene);
        stop_under_load(controls, ELEMENTS(controls));
}

Test(bad_clients, broker_stops_with_watchers_and_parked_sockets) {
        int controls[4], holder;
        KitSocket socket;

        scene_begin(&scene, PARK_CONFIG);
        for (size_t i = 0; i < ELEMENTS(controls); i++)
                controls[i] = kit_watch(&scene.kit, scene.honest);
        holder = scene_connect(&scene);
        socket = kit_acquire(holder, "{'network':'tcp','address':'127.0.0.1:0'}");
        kit_drop(&socket);
        close(holder);
        scene_expect_count(&scene, "leases", 0);
        cr_assert(eq(llong, scene_count(&scene, "endpoints"), 1));
        stop_under_load(controls, ELEMENTS(controls));
}

Test(bad_clients, broker_stops_while_processes_hold_leases) {
        int controls[2];

        scene_begin(&scene, PARK_CONFIG);
        for (size_t i = 0; i < ELEMENTS(controls); i++) {
                controls[i] = scene_connect(&scene);
                kit_send(controls[i], "Acquire", "", ACQUIRE_FOR_PROCESS);
                cr_assert(scene_receive_sockets(controls[i], 1));
        }
        stop_under_load(controls, ELEMENTS(controls));
}
