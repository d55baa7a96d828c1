/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The programs of contrib/examples, which are tests of the library's idea of its users, too. restore is
 * handed sockets by all kinds of parents: reusectl, a shell, and one that does as systemd does.
 */

#include <signal.h>

#include "tests/integration/reusectl-kit.h"
#include "tests/unit/passed-kit.h"

TestSuite(examples, .timeout = 60);

enum {
        PASSED_MAX = 4,
        FD_END = 100,
};

static ToolResult result;

/* A parent: how it starts its program, and with what at 3 and above. */
typedef struct Parent {
        const char *words[5];
        void (*prepare)(void);
        int fds[PASSED_MAX];
        int n_fds;
} Parent;

/* Only what is to be passed is open at 3 and above afterwards. */
static void place(const Parent *parent) {
        int copies[PASSED_MAX];

        for (int i = 0; i < parent->n_fds; i++)
                copies[i] = fcntl(parent->fds[i], F_DUPFD, FD_END);
        close_range(3, FD_END - 1, 0);
        for (int i = 0; i < parent->n_fds; i++)
                dup2(copies[i], 3 + i);
        close_range(FD_END, ~0U, 0);
}

static Tool start(const Parent *parent) {
        int in[2], out[2], err[2];
        Tool tool;

        cr_assert(zero(int, pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC) + pipe2(err, O_CLOEXEC)));
        tool = (Tool){ .pid = fork(), .in = in[1], .out = out[0], .err = err[0] };
        cr_assert(tool.pid >= 0);
        if (tool.pid == 0) {
                dup2(in[0], 0);
                dup2(out[1], 1);
                dup2(err[1], 2);
                place(parent);
                if (parent->prepare)
                        parent->prepare();
                execv(parent->words[0], (char *const *)parent->words);
                _exit(TOOL_NOT_EXECUTED);
        }
        close(in[0]);
        close(out[1]);
        close(err[1]);
        return tool;
}

static void expect_start_fails(const Parent *parent, const char *words) {
        Tool tool = start(parent);

        tool_finish(&tool, &result);
        tool_expect(&result, 1, words);
        KIT_EXPECT_TEXT(result.out, "");
}

static void expect_line(const Tool *tool, const char *expected) {
        char line[256];

        tool_read_line(tool->out, line, sizeof(line));
        KIT_EXPECT_TEXT(line, expected);
}

/* Whoever serves at 127.0.0.1 calls itself @name. */
static void expect_answer(int port, int type, const char *name) {
        struct sockaddr_storage address = { 0 };
        struct sockaddr_in *in = (struct sockaddr_in *)&address;
        char text[64] = "";
        int fd;

        *in = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        fd = kit_connect_address(&address, sizeof(*in), type);
        cr_assert(fd >= 0, "%m");
        if (type == SOCK_DGRAM)
                cr_assert(eq(int, (int)send(fd, "x", 1, 0), 1));
        kit_wait_readable(fd);
        cr_assert(gt(int, (int)recv(fd, text, sizeof(text) - 1, 0), 0));
        KIT_EXPECT_TEXT(text, name);
        close(fd);
}

/* A socket at a port of 127.0.0.1 that the kernel chooses. */
static int make_socket(int type, int *ret_port) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
        socklen_t size = sizeof(in);

        cr_assert(ge(int, fd, 0));
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&in, sizeof(in))));
        if (type == SOCK_STREAM)
                cr_assert(zero(int, listen(fd, 8)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&in, &size)));
        *ret_port = ntohs(in.sin_port);
        return fd;
}

/* ---- restore: parents that are wrong ------------------------------------------------------------- */

/* clang-format off */
#define SHELL(script) { "/bin/sh", "-c", script, RESTORE_PATH, NULL }
/* clang-format on */

Test(examples, s3_24_restore_without_sockets) {
        static const struct {
                const char *script;
                const char *words;
        } scripts[] = {
                { "exec \"$0\"", "nothing was passed to this process" },
                { "LISTEN_FDS=1 exec \"$0\"", "nothing was passed" },
                { "LISTEN_PID=1 LISTEN_FDS=1 exec \"$0\"", "nothing was passed" },
                /* A shell in between, which is the one that is meant. */
                { "export LISTEN_PID=$$ LISTEN_FDS=1; \"$0\"; exit $?", "nothing was passed" },
                { "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\"",
                  "more descriptors were passed than are open" },
                { "LISTEN_PID=$$ LISTEN_FDS=0 exec \"$0\"", "LISTEN_FDS is not a number" },
                { "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=a:b exec \"$0\"",
                  "LISTEN_FDNAMES has not" },
                { "LISTEN_PID=$$ LISTEN_PIDFDID=x LISTEN_FDS=1 exec \"$0\"", "LISTEN_PIDFDID is not" },
        };
        int port, fd = make_socket(SOCK_STREAM, &port);

        for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
                Parent parent = { .words = SHELL(scripts[i].script), .fds = { fd }, .n_fds = 1 };

                expect_start_fails(&parent, scripts[i].words);
        }
        close(fd);
}

/* ---- restore: parents of all kinds --------------------------------------------------------------- */

Test(examples, s3_24_restore_from_a_shell) {
        char line[64];
        int pair[2], web, dns, web_port, dns_port;
        Parent parent = { .words = SHELL("LISTEN_PID=$$ LISTEN_FDS=4 LISTEN_FDNAMES=web:dns:pair:file "
                                         "exec \"$0\""),
                          .n_fds = 4 };
        Tool tool;

        web = make_socket(SOCK_STREAM, &web_port);
        dns = make_socket(SOCK_DGRAM, &dns_port);
        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)));
        parent.fds[0] = web;
        parent.fds[1] = dns;
        parent.fds[2] = pair[0];
        parent.fds[3] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        tool = start(&parent);
        snprintf(line, sizeof(line), "web: listening tcp4 127.0.0.1:%d", web_port);
        expect_line(&tool, line);
        snprintf(line, sizeof(line), "dns: bound udp4 127.0.0.1:%d", dns_port);
        expect_line(&tool, line);
        expect_line(&tool, "pair: connected unixpacket  to ");
        expect_line(&tool, "file: descriptor 6 is not a socket");
        expect_answer(web_port, SOCK_STREAM, "web");
        expect_answer(dns_port, SOCK_DGRAM, "dns");
        tool_finish(&tool, &result);
        tool_expect(&result, 0, "");
        close(web);
        close(dns);
        close(pair[0]);
        close(pair[1]);
        close(parent.fds[3]);
}

static void set_number(const char *variable, unsigned long long number) {
        char text[32];

        snprintf(text, sizeof(text), "%llu", number);
        setenv(variable, text, 1);
}

/* As systemd 259 does it. */
static void announce_as_systemd(void) {
        set_number("LISTEN_PID", (unsigned)getpid());
        set_number("LISTEN_FDS", 1);
        setenv("LISTEN_FDNAMES", "web.socket", 1);
        if (passed_own_id() != 0)
                set_number("LISTEN_PIDFDID", passed_own_id());
}

/* What was meant for an earlier process of the same number. */
static void announce_to_the_dead(void) {
        announce_as_systemd();
        set_number("LISTEN_PIDFDID", passed_own_id() - 1);
}

Test(examples, s3_24_restore_from_a_service_manager) {
        char line[64];
        int port, fd = make_socket(SOCK_STREAM, &port);
        Parent parent = { .words = { RESTORE_PATH }, .prepare = announce_as_systemd, .n_fds = 1 };
        Tool tool;

        parent.fds[0] = fd;
        tool = start(&parent);
        snprintf(line, sizeof(line), "web.socket: listening tcp4 127.0.0.1:%d", port);
        expect_line(&tool, line);
        expect_answer(port, SOCK_STREAM, "web.socket");
        tool_finish(&tool, &result);
        tool_expect(&result, 0, "");
        if (passed_own_id() != 0) {
                parent.prepare = announce_to_the_dead;
                expect_start_fails(&parent, "nothing was passed to this process");
        }
        close(fd);
}

static void expect_restored(Tool *tool, const char *folder) {
        char line[256];
        int ports[2];

        tool_read_line(tool->out, line, sizeof(line));
        cr_assert(strncmp(line, "web: listening tcp4 127.0.0.1:", 30) == 0, "%s", line);
        ports[0] = tool_port(line);
        tool_read_line(tool->out, line, sizeof(line));
        cr_assert(strncmp(line, "dns: bound udp4 127.0.0.1:", 26) == 0, "%s", line);
        ports[1] = tool_port(line);
        tool_read_line(tool->out, line, sizeof(line));
        cr_assert(strncmp(line, "file: listening unix ", 21) == 0, "%s", line);
        cr_assert(strncmp(line + 21, folder, strlen(folder)) == 0, "%s", line);
        expect_answer(ports[0], SOCK_STREAM, "web");
        expect_answer(ports[1], SOCK_DGRAM, "dns");
        tool_finish(tool, &result);
        tool_expect(&result, 0, "");
}

#define RESTORE_SPECS "-l tcp:localhost:0,name=web -l udp:localhost:0,name=dns -l unix:%s/s,name=file"

Test(examples, s3_24_restore_from_reusectl) {
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        tool = tool_start("run " RESTORE_SPECS " -- " RESTORE_PATH, kit.harness.folder);
        expect_restored(&tool, kit.harness.folder);
        kit_stop(&kit);
}

/* The broker is root, and who is given the sockets is nobody. */
Test(examples, s3_25_restore_without_rights) {
        Tool tool;
        Kit kit;

        kit_require_root();
        tool_begin(&kit, KIT_CONFIG);
        tool = tool_start_as(KIT_UID, "run " RESTORE_SPECS " -- " RESTORE_PATH, kit.harness.folder);
        expect_restored(&tool, kit.harness.folder);
        kit_stop(&kit);
}

/* ---- two-listeners ------------------------------------------------------------------------------- */

Test(examples, s2_6_two_listeners_on_one_port) {
        static const char *const networks[][2] = { { "tcp", "localhost:0" }, { "tcp4", ":0" } };
        int first, second;
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        for (size_t i = 0; i < sizeof(networks) / sizeof(*networks); i++) {
                Parent parent = { .words = { TWO_LISTENERS_PATH, networks[i][0], networks[i][1] } };
                const char *counts;

                tool = start(&parent);
                tool_finish(&tool, &result);
                tool_expect(&result, 0, "");
                counts = strstr(result.out, ": ");
                cr_assert(counts != NULL, "%s", result.out);
                cr_assert(eq(int,
                             sscanf(counts, ": %d connections to the first, %d to the second", &first,
                                    &second),
                             2),
                          "%s", result.out);
                cr_assert(first > 0 && second > 0, "%s", result.out);
                cr_assert(eq(int, first + second, 100));
        }
        kit_stop(&kit);
}

Test(examples, two_listeners_without_a_port) {
        static const struct {
                const char *network;
                const char *address;
                const char *words;
        } failures[] = {
                { "udp", "localhost:0", "two-listeners: udp has packets, not connections" },
                { "tcp", "localhost:nothing", "two-listeners: lookup tcp/nothing: unknown port" },
                { "tcp", "192.0.2.1:8080", "192.0.2.1:8080 is not an address of this host" },
                { "unix", "@two", "UNIX sockets have no groups" },
        };
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
                Parent parent = { .words = { TWO_LISTENERS_PATH, failures[i].network,
                                             failures[i].address } };

                expect_start_fails(&parent, failures[i].words);
        }
        kit_stop(&kit);
}

/* ---- dial-from-port ------------------------------------------------------------------------------ */

/* Both ends say the same of each other. */
static void expect_connected(const char *network, const char *from, const char *to) {
        Parent parent = { .words = { DIAL_FROM_PORT_PATH, network, from, to } };
        Tool tool = start(&parent);
        char ends[2][2][64];

        tool_finish(&tool, &result);
        tool_expect(&result, 0, "");
        cr_assert(eq(int,
                     sscanf(result.out, "from %63[^,], connected to %63s\nto %63[^,], connected to %63s",
                            ends[0][0], ends[0][1], ends[1][0], ends[1][1]),
                     4),
                  "%s", result.out);
        KIT_EXPECT_TEXT(ends[1][0], ends[0][1]);
        KIT_EXPECT_TEXT(ends[1][1], ends[0][0]);
        cr_assert(strcmp(ends[0][0], ends[0][1]) != 0, "%s", result.out);
}

Test(examples, s2_6_dial_from_port) {
        Kit kit;

        harness_private_network();
        tool_begin(&kit, KIT_CONFIG);
        expect_connected("tcp", "localhost:0", "localhost:0");
        expect_connected("tcp6", "[::1]:0", "[::1]:0");
        expect_connected("tcp4", ":0", ":0");
        /* The same two ends, at once again. */
        for (int i = 0; i < 2; i++) {
                expect_connected("tcp", "127.0.0.1:1234", "127.0.0.1:1235");
                cr_assert(strncmp(result.out, "from 127.0.0.1:1234, connected to 127.0.0.1:1235\n",
                                  49) == 0,
                          "%s", result.out);
        }
        kit_stop(&kit);
}

Test(examples, dial_from_port_without_one) {
        static const struct {
                const char *network, *from, *to;
                const char *words;
        } failures[] = {
                { "udp", "localhost:0", "localhost:0", "dial-from-port: udp has packets" },
                { "tcp", "localhost:nothing", "localhost:0", "dial-from-port: lookup tcp/nothing" },
                { "tcp", "localhost:0", "192.0.2.1:80", "192.0.2.1:80 is not an address of this host" },
                { "tcp", "127.0.0.1:1234", "127.0.0.1:1234", "is to itself" },
        };
        Kit kit;

        harness_private_network();
        tool_begin(&kit, KIT_CONFIG);
        for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
                Parent parent = { .words = { DIAL_FROM_PORT_PATH, failures[i].network, failures[i].from,
                                             failures[i].to } };

                expect_start_fails(&parent, failures[i].words);
        }
        kit_stop(&kit);
}

/* ---- hello, hello.py and load.py ----------------------------------------------------------------- */

/* Runs until it is told to stop; what it was given is in @kit's broker from then on. */
static void stop(Tool *tool, int status) {
        cr_assert(zero(int, kill(tool->pid, SIGTERM)));
        tool_finish(tool, &result);
        cr_assert(eq(int, result.status, status), "%s", result.err);
        KIT_EXPECT_TEXT(result.err, "");
}

/* Waits until somebody has a lease more. Returns the port of the one endpoint there is. */
static int wait_for_lease(const Kit *kit, int watch) {
        int control = harness_connect(&kit->harness), port;
        json_auto_t *list = NULL;

        json_decref(kit_event(watch, "acquired"));
        list = kit_call(control, "List", "{}");
        port = tool_port(kit_text(list, "parameters.endpoints.0.address"));
        harness_hang_up(control);
        return port;
}

static int begin_watched(Kit *kit) {
        int control, watch;

        tool_begin(kit, KIT_CONFIG);
        control = harness_connect(&kit->harness);
        watch = kit_watch(kit, control);
        harness_hang_up(control);
        return watch;
}

/* load.py is 40 clients, one after the other and beside each other; what it says is in result.out. */
static void load(int port, int status, const char *words) {
        char host[32];
        Parent parent = { .words = { LOAD_PY_PATH, host, "40" } };
        Tool tool;

        snprintf(host, sizeof(host), "127.0.0.1:%d", port);
        tool = start(&parent);
        tool_finish(&tool, &result);
        tool_expect(&result, status, "");
        cr_assert(strncmp(result.out, words, strlen(words)) == 0, "%s", result.out);
}

static void expect_answered(const char *language, pid_t pid) {
        char words[64];

        snprintf(words, sizeof(words), "  %-7s pid %-8d uid-%u", language, pid, geteuid());
        cr_assert(strstr(result.out, words) != NULL, "\"%s\" is not in %s", words, result.out);
}

static void require_python(void) {
        static const char *const folders[] = { "/usr/bin/python3", "/usr/local/bin/python3",
                                               "/bin/python3" };

        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
                if (access(folders[i], X_OK) == 0)
                        return;
        cr_skip_test("there is no python3");
}

Test(examples, hello_without_a_port) {
        static const struct {
                const char *words[3];
                const char *said;
        } failures[] = {
                { { "udp", "localhost:0", "name=web" }, "hello: udp has packets, not connections" },
                { { "tcp", "localhost:nothing", "name=web" },
                  "hello: lookup tcp/nothing: unknown port" },
                { { "tcp", "localhost:0", "nme=web" }, "hello: " },
                { { "tcp", "192.0.2.1:80", "name=web" }, "192.0.2.1:80 is not an address of this host" },
        };
        Parent parent = { .words = { HELLO_PATH } };
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        tool = start(&parent);
        tool_finish(&tool, &result);
        tool_expect(&result, 2, "usage: hello NETWORK ADDRESS OPTIONS");
        for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
                memcpy(&parent.words[1], failures[i].words, sizeof(failures[i].words));
                expect_start_fails(&parent, failures[i].said);
        }
        kit_stop(&kit);
}

Test(examples, hello_serves_beside_another) {
        Parent parent = { .words = { HELLO_PATH, "tcp", "localhost:0", "name=web" } };
        Tool tools[2];
        int watch, port;
        Kit kit;

        require_python();
        watch = begin_watched(&kit);
        tools[0] = start(&parent);
        port = wait_for_lease(&kit, watch);
        load(port, 0, "40 answered, 0 lost");
        expect_answered("C", tools[0].pid);
        tools[1] = start(&parent);
        cr_assert(eq(int, wait_for_lease(&kit, watch), port));
        load(port, 0, "40 answered, 0 lost");
        for (size_t i = 0; i < 2; i++)
                expect_answered("C", tools[i].pid);
        for (size_t i = 0; i < 2; i++)
                stop(&tools[i], 128 + SIGTERM);
        close(watch);
        harness_stop(&kit.harness);
}

Test(examples, hello_py_serves_what_reusectl_hands_it) {
        Parent alone = { .words = { HELLO_PY_PATH } };
        Tool tool;
        int watch, port;
        Kit kit;

        require_python();
        expect_start_fails(&alone, "hello.py: start it with: reusectl run");
        watch = begin_watched(&kit);
        tool = tool_start("run -l tcp:127.0.0.1:0,name=web -- " HELLO_PY_PATH);
        port = wait_for_lease(&kit, watch);
        /* It is listened on already: who comes before it has started waits. */
        load(port, 0, "40 answered, 0 lost");
        expect_answered("Python", tool.pid);
        stop(&tool, 0);
        close(watch);
        harness_stop(&kit.harness);
}

Test(examples, load_py_with_nobody_there) {
        int port, fd = make_socket(SOCK_STREAM, &port);

        require_python();
        close(fd);
        load(port, 1, "0 answered, 40 lost");
}

/* ---- steady -------------------------------------------------------------------------------------- */

static void expect_echo(int port) {
        struct sockaddr_storage address = { 0 };
        struct sockaddr_in *in = (struct sockaddr_in *)&address;
        char byte = 0;
        int fd;

        *in = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        fd = kit_connect_address(&address, sizeof(*in), SOCK_STREAM);
        cr_assert(fd >= 0, "%m");
        cr_assert(eq(int, (int)send(fd, "x", 1, 0), 1));
        kit_wait_readable(fd);
        cr_assert(eq(int, (int)recv(fd, &byte, 1, 0), 1));
        cr_assert(eq(chr, byte, 'x'));
        close(fd);
}

Test(examples, steady_without_a_port) {
        Parent parent = { .words = { STEADY_PATH } };
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        tool = start(&parent);
        tool_finish(&tool, &result);
        tool_expect(&result, 2, "usage: steady SPEC");
        parent.words[1] = "tcp";
        expect_start_fails(&parent, "steady: ");
        parent.words[1] = "tcp:192.0.2.1:80";
        expect_start_fails(&parent, "192.0.2.1:80 is not an address of this host");
        kit_stop(&kit);
        parent.words[1] = "tcp:127.0.0.1:0";
        expect_start_fails(&parent, "steady: no broker at");
}

Test(examples, steady_outlives_its_broker) {
        Parent parent = { .words = { STEADY_PATH, "tcp:127.0.0.1:0,name=echo" } };
        char line[128];
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        tool = start(&parent);
        tool_read_line(tool.err, line, sizeof(line));
        cr_assert(strncmp(line, "steady: at 127.0.0.1:", 21) == 0, "%s", line);
        expect_echo(tool_port(line));
        harness_kill(&kit.harness);
        expect_echo(tool_port(line));
        harness_restart(&kit.harness);
        tool_read_line(tool.err, line, sizeof(line));
        cr_assert(strncmp(line, "steady: now at 127.0.0.1:", 25) == 0, "%s", line);
        expect_echo(tool_port(line));
        stop(&tool, 128 + SIGTERM);
        harness_stop(&kit.harness);
}
