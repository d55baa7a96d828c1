/* SPDX-License-Identifier: BSD-2-Clause */

/* Finding the broker, connecting to it, and the functions that do all in one line. */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "build-config.h"
#include "tests/unit/fake-broker.h"

TestSuite(dial, .timeout = 10);

enum {
        QUEUE_MAX = 64,
        PATH_ROOM = 108,
        NOBODY = 65534,
};

/* ---- nobody there ---- */

static void expect_no_connection(const char *path, int number, const char *hint) {
        reuse_client *client = NULL;
        reuse_error *error = NULL;

        cr_assert(eq(int, reuse_client_connect(path, &client, &error), number), "%s", path);
        cr_assert(eq(ptr, client, NULL));
        cr_assert(eq(int, reuse_error_get_errno(error), number));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), hint), NULL), "%s",
                  reuse_error_get_message(error));
        reuse_error_free(error);
}

Test(dial, nobody_there) {
        char text[200];
        Broker broker;

        broker_listen(&broker, 1);
        snprintf(text, sizeof(text), "%s.not", broker.path);
        expect_no_connection(text, -ENOENT, text);
        close(broker.listener);
        broker.listener = -1;
        expect_no_connection(broker.path, -ECONNREFUSED, "start reuseportd");
        expect_no_connection("", -EINVAL, "empty");
        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        expect_no_connection(text, -ENAMETOOLONG, "too long");
        cr_assert(eq(int, reuse_client_connect(broker.path, NULL, NULL), -EINVAL));
        cr_assert(zero(int, setenv("REUSEPORTD_SOCKET", broker.path, 1)));
        cr_assert(eq(int, reuse_listen("tcp", ":1", NULL, NULL), -ECONNREFUSED));
        broker_end(&broker);
}

Test(dial, not_allowed) {
        reuse_client *client = NULL;
        reuse_error *error = NULL;
        Broker broker;

        if (geteuid() != 0)
                cr_skip_test("needs root to be somebody else");
        broker_listen(&broker, 1);
        cr_assert(zero(int, chmod(broker.path, 0600)));
        cr_assert(zero(int, chmod(broker.folder, 0755)));
        cr_assert(zero(int, seteuid(NOBODY)));
        cr_assert(eq(int, reuse_client_connect(broker.path, &client, &error), -EACCES));
        cr_assert(zero(int, seteuid(0)));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), "SocketMode="), NULL));
        reuse_error_free(error);
        broker_end(&broker);
}

/* ---- nobody accepts ---- */

/* Connects until the broker's queue is full. Returns how many it took. */
static int fill_queue(Broker *broker, reuse_client **clients) {
        int n = 0;

        do {
                cr_assert(lt(int, n, QUEUE_MAX));
                cr_assert(zero(int, reuse_client_connect(broker->path, &clients[n], NULL)));
        } while (reuse_client_get_events(clients[n++]) != 0);
        broker->client = clients[--n];
        return n;
}

static int count_errors(reuse_client *client, reuse_reply *reply, void *userdata) {
        (void)client;
        *(int *)userdata = reuse_error_get_errno(reuse_reply_get_error(reply));
        return 0;
}

Test(dial, queue_stays_full) {
        reuse_client *clients[QUEUE_MAX];
        reuse_error *error = NULL;
        Broker broker;
        int n, seen = 0;

        broker_listen(&broker, 0);
        n = fill_queue(&broker, clients);
        cr_assert(
                zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, count_errors, &seen)));
        reuse_client_set_timeout(broker.client, 5000);
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, &error), -ETIMEDOUT));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), "too many clients"), NULL));
        cr_assert(eq(int, seen, -ETIMEDOUT));
        cr_assert(eq(int, reuse_client_process(broker.client), -ENOTCONN));
        reuse_error_free(error);
        for (int i = 0; i < n; i++)
                reuse_client_free(clients[i]);
        broker_end(&broker);
}

Test(dial, broker_ends_while_its_queue_is_full) {
        reuse_client *clients[QUEUE_MAX];
        Broker broker;
        int n, seen = 0;

        broker_listen(&broker, 0);
        n = fill_queue(&broker, clients);
        cr_assert(
                zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, count_errors, &seen)));
        close(broker.listener);
        broker.listener = -1;
        cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL), -ECONNREFUSED));
        cr_assert(eq(int, seen, -ECONNREFUSED));
        for (int i = 0; i < n; i++)
                reuse_client_free(clients[i]);
        broker_end(&broker);
}

static uint64_t now_usec(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

Test(dial, full_queue_is_waited_for) {
        static const char call[] = "{\"method\":\"io.reuseportd.List\"}";
        reuse_client *clients[QUEUE_MAX];
        struct pollfd pollfd;
        char heard[200];
        Broker broker;
        int n;

        broker_listen(&broker, 0);
        n = fill_queue(&broker, clients);
        for (int i = 0; i < 2; i++)
                cr_assert(
                        zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, NULL, NULL)));

        /* A loop that polls the descriptor meanwhile is not kept busy, and has a time to wake up at. */
        pollfd = (struct pollfd){ .fd = reuse_client_get_fd(broker.client) };
        cr_assert(ge(int, pollfd.fd, 0));
        cr_assert(zero(int, poll(&pollfd, 1, 0)));
        cr_assert(lt(u64, reuse_client_get_timeout(broker.client), UINT64_MAX));

        /* However often it was full, it is tried again soon: others come meanwhile. */
        for (int i = 0; i < 8; i++) {
                cr_assert(eq(int, reuse_client_wait(broker.client, REUSE_TIMEOUT_INFINITE), 1));
                cr_assert(ge(int, reuse_client_process(broker.client), 0));
                cr_assert(le(u64, reuse_client_get_timeout(broker.client), now_usec() + 8000));
        }

        for (int i = 0; i < n; i++) {
                close(accept(broker.listener, NULL, NULL));
                reuse_client_free(clients[i]);
        }
        while (reuse_client_get_events(broker.client) == 0) {
                cr_assert(eq(int, reuse_client_wait(broker.client, REUSE_TIMEOUT_INFINITE), 1));
                cr_assert(ge(int, reuse_client_process(broker.client), 0));
        }
        broker_accept(&broker);
        cr_assert(eq(long, recv(broker.peer, heard, sizeof(heard), 0), 2 * (long)sizeof(call)));
        expect_text(heard, call);
        expect_text(heard + sizeof(call), call);
        broker_say(&broker, "{}");
        broker_say(&broker, "{}");
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(u64, reuse_client_get_timeout(broker.client), UINT64_MAX));
        broker_end(&broker);
}

/* Until @pid sleeps in the system call @number. */
static void await_system_call(pid_t pid, long number) {
        char path[64];
        long now = -1;

        snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
        while (now != number) {
                FILE *file = fopen(path, "re");

                cr_assert(ne(ptr, file, NULL));
                if (fscanf(file, "%ld", &now) != 1)
                        now = -1;
                fclose(file);
        }
}

/* A program that does nothing else meanwhile waits its turn in the kernel's queue. */
Test(dial, who_waits_for_room_is_let_in_in_turn) {
        reuse_client *clients[QUEUE_MAX], *late;
        Broker broker;
        int n, status;
        pid_t pid;

        broker_listen(&broker, 0);
        n = fill_queue(&broker, clients);
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                while (reuse_client_get_events(broker.client) == 0)
                        if (reuse_client_wait(broker.client, REUSE_TIMEOUT_INFINITE) != 1 ||
                            reuse_client_process(broker.client) < 0)
                                _exit(1);
                _exit(0);
        }
        await_system_call(pid, SYS_connect);
        close(accept(broker.listener, NULL, NULL));
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(zero(int, status));
        /* Its place is taken: who comes now finds the queue full. */
        cr_assert(zero(int, reuse_client_connect(broker.path, &late, NULL)));
        cr_assert(zero(int, reuse_client_get_events(late)));
        reuse_client_free(late);
        for (int i = 0; i < n; i++)
                reuse_client_free(clients[i]);
        broker_end(&broker);
}

/* ---- which broker ---- */

Test(dial, default_socket) {
        char path[PATH_ROOM], folder[] = "/tmp/reuse-test-XXXXXX", expected[PATH_ROOM], text[300];

        cr_assert(eq(int, reuse_default_socket(NULL, 0), -EINVAL));
        cr_assert(eq(int, reuse_default_socket(path, 0), -EINVAL));
        setenv("REUSEPORTD_SOCKET", "/somewhere", 1);
        cr_assert(eq(int, reuse_default_socket(path, 10), -ENAMETOOLONG));
        cr_assert(zero(int, reuse_default_socket(path, 11)));
        expect_text(path, "/somewhere");
        memset(text, 'a', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        setenv("REUSEPORTD_SOCKET", text, 1);
        cr_assert(eq(int, reuse_default_socket(path, sizeof(path)), -ENAMETOOLONG));

        unsetenv("REUSEPORTD_SOCKET");
        if (access(DEFAULT_SOCKET, F_OK) == 0)
                cr_skip_test("a broker of the system is there");
        unsetenv("XDG_RUNTIME_DIR");
        cr_assert(zero(int, reuse_default_socket(path, sizeof(path))));
        expect_text(path, DEFAULT_SOCKET);
        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        setenv("XDG_RUNTIME_DIR", folder, 1);
        setenv("REUSEPORTD_SOCKET", "", 1);
        cr_assert(zero(int, reuse_default_socket(path, sizeof(path))));
        expect_text(path, DEFAULT_SOCKET);

        snprintf(expected, sizeof(expected), "%s/reuseportd", folder);
        cr_assert(zero(int, mkdir(expected, 0700)));
        strcat(expected, "/io.reuseportd");
        close(open(expected, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        cr_assert(zero(int, reuse_default_socket(path, sizeof(path))));
        expect_text(path, expected);
        setenv("XDG_RUNTIME_DIR", text, 1);
        cr_assert(zero(int, reuse_default_socket(path, sizeof(path))));
        expect_text(path, DEFAULT_SOCKET);
        unlink(expected);
        *strrchr(expected, '/') = '\0';
        rmdir(expected);
        rmdir(folder);
}

/* ---- one line ---- */

static const struct {
        bool packet;
        const char *network, *address, *options;
        int number;
} refused[] = {
        { false, "udp", ":1", NULL, -EPROTONOSUPPORT },
        { false, "udp6", ":1", NULL, -EPROTONOSUPPORT },
        { false, "unixgram", "/x", NULL, -EPROTONOSUPPORT },
        { false, "udplite4", ":1", NULL, -EPROTONOSUPPORT },
        { false, "ip4:1", "127.0.0.1", NULL, -EPROTONOSUPPORT },
        { true, "tcp", ":1", NULL, -EPROTONOSUPPORT },
        { true, "tcp4", ":1", NULL, -EPROTONOSUPPORT },
        { true, "unix", "/x", NULL, -EPROTONOSUPPORT },
        { true, "unixpacket", "/x", NULL, -EPROTONOSUPPORT },
        { false, NULL, ":1", NULL, -EINVAL },
        { false, "tcp", NULL, NULL, -EINVAL },
        { false, "tcp", "\xff", NULL, -EINVAL },
        { false, "tcp", ":1", "backlog", -EINVAL },
        { false, "tcp", ":1", "backlog=1,", -EINVAL },
        { false, "tcp", ":1", "nonsense=1", -EINVAL },
        { true, "udp", ":1", "receiveBuffer=x", -EINVAL },
        /* Only the broker knows. */
        { false, "later", ":1", "", -ENOENT },
        { true, "later", ":1", NULL, -ENOENT },
};

Test(dial, one_line_refused) {
        int n_fds = leaks_count_fds();

        setenv("REUSEPORTD_SOCKET", "/nowhere/at/all", 1);
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
                reuse_error *error = NULL;

                cr_assert(eq(int,
                             (refused[i].packet ? reuse_listen_packet : reuse_listen)(
                                     refused[i].network, refused[i].address, refused[i].options, &error),
                             refused[i].number),
                          "row %zu", i);
                cr_assert(eq(int, reuse_error_get_errno(error), refused[i].number));
                reuse_error_free(error);
        }
        leaks_expect_fds(n_fds);
}

static void expect_heard(const Broker *broker, const char *expected) {
        char heard[1024];
        ssize_t n = recv(broker->peer, heard, sizeof(heard), 0);

        if (n <= 0 || strcmp(heard, expected) != 0)
                _exit(1);
}

/*
 * Answers one Acquire with @fd, which is closed, in a process of its own, and checks what was asked.
 * Returns its pid. @then: the call that follows over the same connection, NULL if none does.
 */
static pid_t serve_once(Broker *broker, int fd, const char *expected, const char *then) {
        char text[1024];
        pid_t pid = fork();

        if (pid != 0) {
                close(fd);
                return pid;
        }
        fcntl(broker->listener, F_SETFL, 0);
        broker->peer = accept(broker->listener, NULL, NULL);
        expect_heard(broker, expected);
        write_acquire_reply(text, sizeof(text), &fd, 1);
        broker_say_with(broker, text, &fd, 1);
        close(fd);
        if (then) {
                expect_heard(broker, then);
                broker_say(broker, "{}");
        }
        /* The client hangs up: one connection for one socket. */
        _exit(recv(broker->peer, text, sizeof(text), 0) == 0 ? 0 : 2);
}

static int socket_of(int family, int type) {
        int fd = socket(family, type | SOCK_CLOEXEC, 0);

        cr_assert(ge(int, fd, 0));
        return fd;
}

/* A later broker may have networks that this library does not know; and one may be wrong. */
static const struct {
        bool packet;
        const char *network;
        int family, type; /* of what it gives */
        const char *words;
} others[] = {
        { false, "tcp", AF_INET, SOCK_DGRAM, "for tcp has packets, not connections" },
        { false, "later", AF_UNIX, SOCK_DGRAM, "for later has packets, not connections" },
        { false, "unixpacket", AF_UNIX, SOCK_DGRAM, "reuse_listen_packet()" },
        { true, "udp", AF_INET, SOCK_STREAM, "for udp has connections, not packets" },
        { true, "later", AF_UNIX, SOCK_STREAM, "for later has connections, not packets" },
        { true, "unixgram", AF_UNIX, SOCK_SEQPACKET, "reuse_listen()" },
};

/* It is closed, and given back: the lease would be there as long as this process. */
Test(dial, s1_5_one_line_is_given_another_kind_of_socket) {
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
                char expected[256];
                reuse_error *error = NULL;
                int fd, status;
                Broker broker;
                pid_t pid;

                broker_listen(&broker, 1);
                setenv("REUSEPORTD_SOCKET", broker.path, 1);
                snprintf(expected, sizeof(expected),
                         "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{"
                         "\"network\":\"%s\",\"address\":\":1\"}],\"lifetime\":\"process\"}}",
                         others[i].network);
                pid = serve_once(
                        &broker, socket_of(others[i].family, others[i].type), expected,
                        "{\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[\"l0\"]}}");
                fd = (others[i].packet ? reuse_listen_packet : reuse_listen)(others[i].network, ":1",
                                                                             NULL, &error);
                cr_assert(eq(int, fd, -EPROTONOSUPPORT), "row %zu", i);
                cr_assert(eq(int, reuse_error_get_errno(error), -EPROTONOSUPPORT));
                cr_assert(ne(ptr, strstr(reuse_error_get_message(error), others[i].words), NULL), "%s",
                          reuse_error_get_message(error));
                reuse_error_free(error);
                cr_assert(eq(int, waitpid(pid, &status, 0), pid));
                cr_assert(zero(int, status));
                broker_end(&broker);
        }
}

Test(dial, one_line) {
        reuse_error *error = (reuse_error *)"overwritten";
        int fd, status;
        Broker broker;
        pid_t pid;

        broker_listen(&broker, 1);
        setenv("REUSEPORTD_SOCKET", broker.path, 1);
        pid = serve_once(&broker, socket_of(AF_INET6, SOCK_STREAM),
                         "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{"
                         "\"network\":\"tcp\",\"address\":\"[::1]:80\",\"sharing\":\"group\","
                         "\"options\":{\"backlog\":5}}],\"lifetime\":\"process\"}}",
                         NULL);
        fd = reuse_listen("tcp", "[::1]:80", "sharing=group,backlog=5", &error);
        cr_assert(ge(int, fd, 0));
        cr_assert(eq(ptr, error, NULL));
        cr_assert(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
        close(fd);
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(zero(int, status));
        broker_end(&broker);
}

Test(dial, one_line_packet) {
        int fd, status;
        Broker broker;
        pid_t pid;

        broker_listen(&broker, 1);
        setenv("REUSEPORTD_SOCKET", broker.path, 1);
        pid = serve_once(&broker, socket_of(AF_INET6, SOCK_DGRAM),
                         "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{"
                         "\"network\":\"udp\",\"address\":\":53\"}],\"lifetime\":\"process\"}}",
                         NULL);
        fd = reuse_listen_packet("udp", ":53", NULL, NULL);
        cr_assert(ge(int, fd, 0));
        close(fd);
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(zero(int, status));
        broker_end(&broker);
}
