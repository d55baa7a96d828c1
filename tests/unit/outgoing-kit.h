/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the tests of outgoing connections share: both ends of them, and a fake broker's answers. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tests/unit/reconnect-kit.h"

enum {
        KIT_LONG_USEC = 20 * 1000 * 1000,
};

#define KIT_DIALLED(network, reused)                                                                    \
        "{\"parameters\":{\"socketFileDescriptor\":0,\"cookie\":\"%" PRIu64 "\",\"network\":\"" network \
        "\",\"localAddress\":\"127.0.0.1:1\",\"reused\":" reused "}}"

/* A destination on this host. */
typedef struct Target {
        int fd;
        uint16_t port;
        char text[64];
        int fillers[2]; /* what makes it take nobody */
} Target;

static inline uint16_t kit_port(int fd) {
        struct sockaddr_storage address = { 0 };
        socklen_t len = sizeof(address);

        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&address, &len)));
        return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                   : ((struct sockaddr_in *)&address)->sin_port);
}

static inline socklen_t kit_loopback(int family, uint16_t port, struct sockaddr_storage *ret) {
        memset(ret, 0, sizeof(*ret));
        ret->ss_family = (sa_family_t)family;
        if (family == AF_INET6) {
                ((struct sockaddr_in6 *)ret)->sin6_addr = in6addr_loopback;
                ((struct sockaddr_in6 *)ret)->sin6_port = htons(port);
                return sizeof(struct sockaddr_in6);
        }
        ((struct sockaddr_in *)ret)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ((struct sockaddr_in *)ret)->sin_port = htons(port);
        return sizeof(struct sockaddr_in);
}

/* A socket bound to the loopback, as the broker makes them. The caller's. */
static inline int kit_bound(int family, int type, uint16_t port) {
        int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_storage address;
        socklen_t len = kit_loopback(family, port, &address);

        cr_assert(ge(int, fd, 0));
        cr_assert(zero(int, setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int))));
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, len)), "%m");
        return fd;
}

/* One that no port was chosen for. */
static inline int kit_unbound(int family, int type) {
        int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        cr_assert(ge(int, fd, 0));
        return fd;
}

static inline Target kit_target_of(int family, int backlog) {
        Target target = { .fd = kit_bound(family, SOCK_STREAM, 0), .fillers = { -1, -1 } };

        cr_assert(zero(int, listen(target.fd, backlog)));
        target.port = kit_port(target.fd);
        snprintf(target.text, sizeof(target.text), family == AF_INET6 ? "[::1]:%u" : "127.0.0.1:%u",
                 target.port);
        return target;
}

/* It takes connections. */
static inline Target kit_target(void) {
        return kit_target_of(AF_INET, 16);
}

/* It answers to no SYN, as its queue is full. */
static inline Target kit_silent_target(int family) {
        Target target = kit_target_of(family, 0);
        struct sockaddr_storage address;
        socklen_t len = kit_loopback(family, target.port, &address);

        for (int i = 0; i < 2; i++) {
                target.fillers[i] = kit_unbound(family, SOCK_STREAM);
                (void)connect(target.fillers[i], (struct sockaddr *)&address, len);
        }
        return target;
}

/* Makes room for one: whoever is half open, and not the other that would fill the place again. */
static inline int kit_target_accept(Target *target) {
        target->fillers[1] = fd_close(target->fillers[1]);
        return accept4(target->fd, NULL, NULL, SOCK_CLOEXEC);
}

/* Nobody is there. */
static inline Target kit_absent_target(void) {
        Target target = kit_target_of(AF_INET, 1);

        target.fd = fd_close(target.fd);
        return target;
}

static inline void kit_target_end(Target *target) {
        for (int i = 0; i < 2; i++)
                fd_close(target->fillers[i]);
        fd_close(target->fd);
}

/* Answers a Dial with @fd, which is closed. */
static inline void kit_say_dialled(Broker *broker, int fd, bool reused) {
        char text[512];

        snprintf(text, sizeof(text), reused ? KIT_DIALLED("tcp4", "true") : KIT_DIALLED("tcp4", "false"),
                 socket_cookie(fd));
        broker_say_with(broker, text, &fd, 1);
        close(fd);
}

/* The next call is a Dial to @remote, from @local if that is not NULL. */
static inline void kit_expect_dial(Broker *broker, const char *network, const char *remote,
                                   const char *local) {
        char text[512];

        snprintf(text, sizeof(text),
                 "{\"method\":\"io.reuseportd.Dial\",\"parameters\":{\"network\":\"%s\","
                 "\"remoteAddress\":\"%s\"%s%s%s}}",
                 network, remote, local ? ",\"localAddress\":\"" : "", local ?: "", local ? "\"" : "");
        kit_expect(broker, text);
}

static inline int kit_option(int fd, int level, int optname) {
        socklen_t size = sizeof(int);
        int value = -1;

        cr_assert(zero(int, getsockopt(fd, level, optname, &value, &size)));
        return value;
}

/* The sentence has @words in it. Consumes @error. */
static inline void kit_expect_error(reuse_error *error, int number, const char *words) {
        cr_assert(ne(ptr, error, NULL));
        cr_assert(eq(int, reuse_error_get_errno(error), number), "%s", reuse_error_get_message(error));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), words), NULL),
                  "\"%s\" is not in \"%s\"", words, reuse_error_get_message(error));
        reuse_error_free(error);
}

/* How often a handler was called, and with what. */
typedef struct Told {
        int n;
        int number;
        bool frees;
} Told;

static inline int kit_told(reuse_client *client, reuse_outgoing *outgoing, void *userdata) {
        const reuse_error *error = reuse_outgoing_get_error(outgoing);
        Told *told = userdata;

        (void)client;
        told->n++;
        told->number = reuse_error_get_errno(error);
        if (told->frees)
                reuse_outgoing_free(outgoing);
        return 0;
}

/* Polls as a program does, until the handler was called. */
static inline void kit_run_until_told(reuse_client *client, const Told *told) {
        while (told->n == 0) {
                int r = reuse_client_process(client);

                if (r == 0)
                        cr_assert(ge(int, reuse_client_wait(client, REUSE_TIMEOUT_INFINITE), 0));
        }
}

/* ---- a client that dials ---- */

#define KIT_ANSWER_IN_USE                                                                               \
        "{\"error\":\"io.reuseportd.AddressInUse\",\"parameters\":{\"address\":\"127.0.0.1:1\"}}"
#define KIT_ANSWER_DENIED                                                                               \
        "{\"error\":\"io.reuseportd.PolicyDenied\",\"parameters\":{\"reason\":\"no rule\"}}"
#define KIT_ANSWER_NOT_BUILT                                                                            \
        "{\"error\":\"org.varlink.service.MethodNotImplemented\",\"parameters\":{\"method\":"           \
        "\"io.reuseportd.Dial\"}}"

/* Dials with all the time there is. */
static inline int kit_dial(Broker *broker, const char *network, const char *remote, const char *local,
                           const char *options, reuse_outgoing **ret, reuse_error **ret_error) {
        return reuse_client_dial(broker->client, network, remote, local, options, KIT_LONG_USEC, ret,
                                 ret_error);
}

static inline reuse_outgoing *kit_dial_async(Broker *broker, const char *remote, const char *local,
                                             uint64_t usec, Told *told) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;

        cr_assert(zero(int, reuse_client_dial_async(broker->client, "tcp", remote, local, NULL, usec,
                                                    kit_told, told, &outgoing, &error)));
        cr_assert(eq(ptr, error, NULL));
        cr_assert(zero(int, told->n));
        return outgoing;
}

/* Closes one end, and takes in the other. */
static inline void kit_expect_served(Target *target, reuse_outgoing *outgoing) {
        int fd = reuse_outgoing_take_fd(outgoing);
        char byte = 0;
        int peer;

        cr_assert(ge(int, fd, 0));
        cr_assert(eq(int, reuse_outgoing_get_fd(outgoing), -EBADF));
        cr_assert(eq(int, reuse_outgoing_take_fd(outgoing), -EBADF));
        cr_assert(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
        cr_assert(ne(int, fcntl(fd, F_GETFL) & O_NONBLOCK, 0));
        peer = accept4(target->fd, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(ge(int, peer, 0));
        cr_assert(eq(long, send(fd, "x", 1, MSG_NOSIGNAL), 1));
        cr_assert(eq(long, recv(peer, &byte, 1, 0), 1));
        close(peer);
        close(fd);
}
