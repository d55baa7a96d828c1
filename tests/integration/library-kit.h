/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the tests of the library against a running broker share. A lease of the one-line calls ends with
 * its process, so these are made in children, which say that they are ready, and stay until told to go.
 */

#include <signal.h>
#include <sys/wait.h>

#include "client-lib/reuse-client.h"
#include "tests/integration/acquire-kit.h"

/* As KIT_CONFIG, with a rule that refuses, one limit that is soon reached, and no rule for some. */
#define LIBRARY_CONFIG                                                                                  \
        "[Broker]\nSocketMode=0666\nRetainSec=0\nMaxLeasesPerUser=4\n"                                  \
        "[Rule no-low]\nUser=*\nNetwork=tcp udp\nPort=1-1023\nAllow=no\n"                               \
        "[Rule ip]\nUser=*\nNetwork=tcp udp\n"                                                          \
        "[Rule files]\nUser=*\nPath=/tmp/*\n"

/* A broker that the one-line calls find. */
static inline void library_begin(Kit *kit, const char *config) {
        kit_start(kit, config);
        cr_assert(zero(int, setenv("REUSEPORTD_SOCKET", kit->harness.socket, 1)));
}

static inline reuse_client *library_connect(const Kit *kit) {
        reuse_error *error = NULL;
        reuse_client *client = NULL;

        cr_assert(zero(int, reuse_client_connect(kit->harness.socket, &client, &error)));
        cr_assert(error == NULL);
        return client;
}

/* A request of one socket, the caller's. */
static inline reuse_request *library_request(const char *spec) {
        reuse_request *request;

        cr_assert(zero(int, reuse_request_new(&request)));
        cr_assert(zero(int, reuse_request_add_spec(request, spec, NULL)), "%s", spec);
        return request;
}

/* The socket is given. */
static inline reuse_sockets *library_acquire(reuse_client *client, const char *spec) {
        reuse_request *request = library_request(spec);
        reuse_sockets *sockets = NULL;
        reuse_error *error = NULL;
        int r = reuse_client_acquire(client, request, &sockets, &error);

        cr_assert(r == 0, "%s: %s", spec, reuse_error_get_message(error));
        cr_assert(error == NULL);
        reuse_request_free(request);
        return sockets;
}

/* @error is of that errno, of that name (NULL: of the library), and its sentence has @words in it.
 * Consumes @error. */
static inline void library_expect_error(reuse_error *error, int number, const char *name,
                                        const char *words) {
        cr_assert(error != NULL);
        cr_assert(eq(int, reuse_error_get_errno(error), number), "%s", reuse_error_get_message(error));
        if (name)
                KIT_EXPECT_TEXT(reuse_error_get_name(error), name);
        else
                cr_assert(reuse_error_get_name(error) == NULL);
        cr_assert(strstr(reuse_error_get_message(error), words) != NULL, "\"%s\" is not in \"%s\"",
                  words, reuse_error_get_message(error));
        cr_assert(eq(int, reuse_error_get_parameters(error) != NULL, name != NULL));
        reuse_error_free(error);
}

/* The number at @path in what the broker answers to @method. */
static inline long long library_number(reuse_client *client, const char *method, const char *path) {
        json_auto_t *json = NULL;
        char *text = NULL;

        cr_assert(zero(int, reuse_client_call(client, method, NULL, &text, NULL)));
        json = json_loads(text, 0, NULL);
        free(text);
        return kit_number(json, path);
}

/* Waits until GetStatus has @n for @what: that a process has exited, or a connection was closed, the
 * broker hears in its own time. */
static inline void library_expect_count(reuse_client *client, const char *what, long long n) {
        long long have = -1;

        for (int i = 0; i < 100000 && have != n; i++)
                have = library_number(client, "GetStatus", what);
        cr_assert(have == n, "%lld %s, expected %lld", have, what, n);
}

/* ---- children ----------------------------------------------------------------------------------- */

typedef struct Child {
        pid_t pid;
        int control;                     /* it ends when this is closed */
        struct sockaddr_storage address; /* of its socket */
        socklen_t size;
} Child;

/* Waits until the other side of @control is gone. */
static inline void child_stay(int control) {
        char byte;

        while (read(control, &byte, 1) > 0)
                ;
}

/*
 * Answers whoever connects to @fd with its process id until @control is closed; datagrams are answered
 * so too.
 */
static inline void child_serve(int fd, int control) {
        struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = control, .events = POLLIN } };
        pid_t pid = getpid();

        while (poll(p, 2, KIT_PATIENCE_MSEC) > 0 && !p[1].revents) {
                struct sockaddr_storage from;
                socklen_t size = sizeof(from);
                char byte;
                int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

                if (client >= 0) {
                        send(client, &pid, sizeof(pid), MSG_NOSIGNAL);
                        close(client);
                } else if (recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &size) == 1)
                        sendto(fd, &pid, sizeof(pid), MSG_NOSIGNAL, (struct sockaddr *)&from, size);
        }
}

/* Tells what the child serves, and by that that it is ready. */
static inline bool child_ready(int control, int fd) {
        struct sockaddr_storage address = { 0 };
        socklen_t size = sizeof(address);

        return getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
               write(control, &address, size) == (ssize_t)size;
}

/* @f says that it is ready, by child_ready(), and returns false if anything failed. */
static inline Child child_start(bool (*f)(int control, const void *userdata), const void *userdata) {
        int pair[2];
        Child child;
        ssize_t n;

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)));
        child = (Child){ .pid = fork(), .control = pair[0] };
        cr_assert(child.pid >= 0);
        if (child.pid == 0) {
                close(pair[0]);
                _exit(f(pair[1], userdata) ? 0 : 1);
        }
        close(pair[1]);
        kit_wait_readable(child.control);
        n = read(child.control, &child.address, sizeof(child.address));
        cr_assert(n > 0, "the child failed");
        child.size = (socklen_t)n;
        return child;
}

/* Lets it end, and checks that nothing failed. */
static inline void child_end(Child *child) {
        int status;

        shutdown(child->control, SHUT_RDWR); /* children that were started later have copies */
        close(child->control);
        cr_assert(eq(int, waitpid(child->pid, &status, 0), child->pid));
        cr_assert(zero(int, status));
}

/* Who serves where @child does: the pid that child_serve() told. */
static inline pid_t child_asked(const Child *child, int type) {
        int client = kit_connect_address(&child->address, child->size, type);
        pid_t pid = 0;

        cr_assert(client >= 0, "%m");
        if (type == SOCK_DGRAM)
                cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
        kit_wait_readable(client);
        cr_assert(eq(int, (int)recv(client, &pid, sizeof(pid), 0), (int)sizeof(pid)));
        close(client);
        return pid;
}
