/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the tests of the command line tool share: the real program, run to its end or left running, with
 * all that it says. It talks to the broker of a Kit by $REUSEPORTD_SOCKET.
 */

#include <signal.h>
#include <sys/wait.h>

#include "tests/integration/acquire-kit.h"

enum {
        TOOL_WORDS_MAX = 24,
        TOOL_TEXT_MAX = 64 * 1024,
        TOOL_NOT_EXECUTED = 98,
};

/* A program that runs. */
typedef struct Tool {
        pid_t pid;
        int in;  /* its standard input */
        int out; /* its standard output */
        int err;
} Tool;

/* What became of it. */
typedef struct ToolResult {
        int status; /* its exit status; 128 and the signal if one ended it */
        char out[TOOL_TEXT_MAX];
        char err[TOOL_TEXT_MAX];
} ToolResult;

/* Splits at blanks; a word that has one cannot be written. */
static inline void tool_split(char *line, char *words[static TOOL_WORDS_MAX]) {
        size_t n = 0;

        for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
                cr_assert(lt(sz, n + 1, TOOL_WORDS_MAX));
                words[n++] = word;
        }
        words[n] = NULL;
}

static inline void tool_exec(const int fds[static 3], uid_t uid, char *arguments) {
        char *words[TOOL_WORDS_MAX];

        for (int i = 0; i < 3; i++)
                dup2(fds[i], i);
        tool_split(arguments, words);
        if (uid == geteuid() || (setgroups(0, NULL) == 0 && setgid(uid) == 0 && setuid(uid) == 0))
                execv(REUSECTL_PATH, words);
        _exit(TOOL_NOT_EXECUTED);
}

/* Starts "reusectl ARGUMENTS" as @uid. */
__attribute__((format(printf, 2, 3))) static inline Tool tool_start_as(uid_t uid, const char *format,
                                                                       ...) {
        char arguments[1024] = "reusectl ";
        int in[2], out[2], err[2];
        size_t n = strlen(arguments);
        va_list args;
        Tool tool;

        va_start(args, format);
        cr_assert(lt(int, vsnprintf(arguments + n, sizeof(arguments) - n, format, args),
                     (int)(sizeof(arguments) - n)));
        va_end(args);
        cr_assert(zero(int, pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC) + pipe2(err, O_CLOEXEC)));
        tool = (Tool){ .pid = fork(), .in = in[1], .out = out[0], .err = err[0] };
        cr_assert(tool.pid >= 0);
        if (tool.pid == 0)
                tool_exec((const int[]){ in[0], out[1], err[1] }, uid, arguments);
        close(in[0]);
        close(out[1]);
        close(err[1]);
        return tool;
}

#define tool_start(...) tool_start_as(geteuid(), __VA_ARGS__)

/* Reads to the end. */
static inline void tool_read_all(int fd, char text[static TOOL_TEXT_MAX]) {
        size_t size = 0;
        ssize_t n;

        do {
                kit_wait_readable(fd);
                n = read(fd, text + size, TOOL_TEXT_MAX - 1 - size);
                cr_assert(n >= 0, "%m");
                size += (size_t)n;
        } while (n > 0);
        cr_assert(lt(sz, size, TOOL_TEXT_MAX - 1));
        text[size] = '\0';
}

/* Reads one line, without its end, byte by byte: what follows is left for others. */
static inline void tool_read_line(int fd, char *line, size_t size) {
        size_t n = 0;
        char byte;

        for (;;) {
                kit_wait_readable(fd);
                cr_assert(eq(int, (int)read(fd, &byte, 1), 1), "no line");
                if (byte == '\n')
                        break;
                cr_assert(lt(sz, n + 1, size));
                line[n++] = byte;
        }
        line[n] = '\0';
}

/* Waits for the end of the program, whose input ends now. */
static inline void tool_finish(Tool *tool, ToolResult *ret) {
        int status;

        tool->in = fd_close(tool->in);
        tool_read_all(tool->out, ret->out);
        tool_read_all(tool->err, ret->err);
        tool->out = fd_close(tool->out);
        tool->err = fd_close(tool->err);
        cr_assert(eq(int, waitpid(tool->pid, &status, 0), tool->pid));
        ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs "reusectl ARGUMENTS" to its end. */
#define TOOL_RUN(ret, ...)                                                                              \
        do {                                                                                            \
                Tool tool_ = tool_start(__VA_ARGS__);                                                   \
                tool_finish(&tool_, (ret));                                                             \
        } while (false)

/* It ended so, and @words are in what it said on standard error; "" stands for nothing said at all. */
static inline void tool_expect(const ToolResult *result, int status, const char *words) {
        cr_assert(eq(int, result->status, status), "%s", result->err);
        if (*words)
                cr_assert(strstr(result->err, words) != NULL, "\"%s\" is not in \"%s\"", words,
                          result->err);
        else
                KIT_EXPECT_TEXT(result->err, "");
}

/* Arguments with which it fails, and how: see tool_expect(). */
typedef struct ToolFailure {
        const char *arguments;
        int status;
        const char *words;
} ToolFailure;

/* Each of them fails as it says, and prints nothing. */
static inline void tool_expect_failures(const ToolFailure *failures, size_t n) {
        static ToolResult result;

        for (size_t i = 0; i < n; i++) {
                TOOL_RUN(&result, "%s", failures[i].arguments);
                tool_expect(&result, failures[i].status, failures[i].words);
                KIT_EXPECT_TEXT(result.out, "");
        }
}

/* What it printed, as JSON. The caller's to decref. */
static inline json_t *tool_json(const char *text) {
        json_error_t error;
        json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);

        cr_assert(json != NULL, "%s: %s", error.text, text);
        return json;
}

/* Field @n of a tab separated line. */
static inline const char *tool_field(const char *line, size_t n, char buffer[static 128]) {
        while (n-- > 0) {
                line = strchr(line, '\t');
                cr_assert(line != NULL, "so many fields there are not");
                line++;
        }
        snprintf(buffer, 128, "%.*s", (int)strcspn(line, "\t\n"), line);
        return buffer;
}

/* A broker that the tool finds. */
static inline void tool_begin(Kit *kit, const char *config) {
        kit_start(kit, config);
        cr_assert(zero(int, setenv("REUSEPORTD_SOCKET", kit->harness.socket, 1)));
}

/* A socket at @path, for a broker that the test plays. */
static inline int tool_false_broker(const Kit *kit, char *path, size_t size) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(path, size, "%.60s/false", kit->harness.folder);
        strcpy(address.sun_path, path);
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(fd, 8)));
        return fd;
}

/* Waits until the broker counts @n leases: that a process has exited, it hears in its own time. */
static inline void tool_expect_leases(int control, long long n) {
        long long have = -1;

        for (int i = 0; i < 100000 && have != n; i++) {
                json_auto_t *reply = kit_call(control, "GetStatus", "{}");

                have = kit_number(reply, "parameters.leases");
        }
        cr_assert(have == n, "%lld leases, expected %lld", have, n);
}

/* ---- listen-report: the program that is run ------------------------------------------------------ */

static inline int tool_port(const char *line) {
        return atoi(strrchr(line, ':') + 1);
}

/* The next line of a report is about descriptor @fd, and goes on with @words. */
static inline void tool_expect_line(Tool *tool, int fd, const char *words, char line[static 256]) {
        char start[192];

        snprintf(start, sizeof(start), "%d %s", fd, words);
        tool_read_line(tool->out, line, 256);
        cr_assert(strncmp(line, start, strlen(start)) == 0, "\"%s\" does not begin with \"%s\"", line,
                  start);
}

static inline void tool_expect_head(Tool *tool, int n) {
        char line[256], head[32];

        snprintf(head, sizeof(head), "%d sockets", n);
        tool_read_line(tool->out, line, sizeof(line));
        KIT_EXPECT_TEXT(line, head);
}

/* Who serves 127.0.0.1 at @port. */
static inline pid_t tool_ask(int port) {
        struct sockaddr_in in = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct sockaddr_storage address = { 0 };
        pid_t pid = 0;
        int fd;

        memcpy(&address, &in, sizeof(in));
        fd = kit_connect_address(&address, sizeof(in), SOCK_STREAM);
        cr_assert(fd >= 0, "%m");
        kit_wait_readable(fd);
        cr_assert(eq(int, (int)recv(fd, &pid, sizeof(pid), 0), (int)sizeof(pid)));
        close(fd);
        return pid;
}

static inline Tool tool_start_server(const char *arguments, int port, const char *mode, int *ret_port) {
        char line[256];
        Tool tool = tool_start("run %s -l tcp:127.0.0.1:%d,name=web -- " LISTEN_REPORT_PATH " %s",
                               arguments, port, mode);

        tool_expect_head(&tool, 1);
        tool_expect_line(&tool, 3, "web listening inet stream blocking 127.0.0.1:", line);
        *ret_port = tool_port(line);
        return tool;
}
