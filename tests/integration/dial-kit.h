/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Sockets of Dial: asked for, checked against what is said of them, connected, and refused. */

#include "tests/integration/scene.h"

typedef struct Dialled {
        int fd;
        json_t *reply; /* the parameters */
} Dialled;

/* One socket: @format is the parameters without the braces. */
__attribute__((format(printf, 2, 3))) static inline Dialled kit_dial(int control, const char *format,
                                                                     ...) {
        char inner[4096], parameters[4100];
        int fds[HARNESS_FDS_MAX];
        Dialled dialled;
        json_t *reply;
        size_t n_fds;
        va_list args;

        va_start(args, format);
        vsnprintf(inner, sizeof(inner), format, args);
        va_end(args);
        snprintf(parameters, sizeof(parameters), "{%s}", inner);
        kit_send(control, "Dial", "", parameters);
        reply = kit_receive(control, fds, &n_fds);
        kit_expect_success(reply);
        cr_assert(eq(sz, n_fds, 1));
        dialled.reply = json_incref(kit_at(reply, "parameters"));
        json_decref(reply);
        cr_assert(zero(llong, kit_number(dialled.reply, "socketFileDescriptor")));
        dialled.fd = fds[0];
        cr_assert(eq(ullong, kit_cookie(dialled.fd),
                     strtoull(kit_text(dialled.reply, "cookie"), NULL, 10)));
        cr_assert(ne(int, fcntl(dialled.fd, F_GETFL) & O_NONBLOCK, 0));
        return dialled;
}

static inline void kit_hang_up(Dialled *dialled) {
        close(dialled->fd);
        json_decref(dialled->reply);
}

/* What it said of where it comes from; NULL for @address: nothing. */
static inline void kit_expect_origin(const Dialled *dialled, const char *network, const char *address,
                                     bool reused) {
        const json_t *local = kit_at(dialled->reply, "localAddress");

        KIT_EXPECT_TEXT(kit_text(dialled->reply, "network"), network);
        KIT_EXPECT_TEXT(json_string_value(local) ?: "(none)", address ?: "(none)");
        cr_assert(kit_true(dialled->reply, "reused") == reused, "reused from %s", address ?: "(none)");
}

/* One socket that is not given: the reply, which is that error. */
__attribute__((format(printf, 3, 4))) static inline json_t *
kit_dial_refused(int control, const char *error, const char *format, ...) {
        char inner[4096];
        va_list args;

        va_start(args, format);
        vsnprintf(inner, sizeof(inner), format, args);
        va_end(args);
        return kit_expect_error(kit_call(control, "Dial", "{%s}", inner), error);
}

/* Somebody who is not the broker: listens, or receives, at @host with a port of the kernel's. */
static inline int kit_listen(int family, const char *host, int type) {
        struct sockaddr_storage address = { .ss_family = (sa_family_t)family };
        struct sockaddr_in *in = (struct sockaddr_in *)&address;
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address;
        int fd = socket(family, type | SOCK_CLOEXEC, 0);

        cr_assert(eq(int,
                     inet_pton(family, host,
                               family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr),
                     1));
        cr_assert(bind(fd, (struct sockaddr *)&address,
                       family == AF_INET ? sizeof(*in) : sizeof(*in6)) == 0,
                  "%m");
        if (type == SOCK_STREAM)
                cr_assert(zero(int, listen(fd, 64)));
        return fd;
}

static inline int kit_port_of(int fd) {
        struct sockaddr_storage address;

        kit_bound_address(fd, &address);
        return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                                  : ((struct sockaddr_in6 *)&address)->sin6_port);
}

/* "HOST:PORT" of a socket address. Returns @buffer. */
static inline const char *kit_address_text(const struct sockaddr_storage *address,
                                           char buffer[static 64]) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        char host[INET6_ADDRSTRLEN];

        if (address->ss_family == AF_INET)
                snprintf(buffer, 64, "%s:%d", inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host)),
                         ntohs(in->sin_port));
        else
                snprintf(buffer, 64, "[%s]:%d", inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host)),
                         ntohs(in6->sin6_port));
        return buffer;
}

/* A TCP socket of Dial connects to @server, which is told that it comes from @from. Returns what was
 * accepted. */
static inline int kit_connect_from(const Dialled *dialled, int server, const char *from) {
        struct sockaddr_storage address;
        socklen_t size = kit_bound_address(server, &address);
        char text[64];
        int accepted;

        cr_assert(connect(dialled->fd, (struct sockaddr *)&address, size) == 0 || errno == EINPROGRESS,
                  "%m");
        kit_wait_readable(server);
        size = sizeof(address);
        accepted = accept(server, (struct sockaddr *)&address, &size);
        cr_assert(accepted >= 0, "%m");
        if (from)
                KIT_EXPECT_TEXT(kit_address_text(&address, text), from);
        kit_expect_byte(accepted, dialled->fd);
        return accepted;
}

/* ---- a broker with an address that is not loopback, and whom to dial ------------------------------ */

#define TO(network, address) "'network':'" network "','remoteAddress':'" address "'"

static Scene scene;

static inline void begin(const char *config) {
        harness_global_network();
        scene_begin(&scene, config);
}

/* To whom is dialled in these tests: not of the broker. */
static int server;
static char server_text[64];

static inline void begin_with_server(int family, const char *host) {
        struct sockaddr_storage address;

        begin(KIT_CONFIG);
        server = kit_listen(family, host, SOCK_STREAM);
        kit_bound_address(server, &address);
        kit_address_text(&address, server_text);
}

static inline void end_with_server(void) {
        close(server);
        scene_end(&scene);
}

/* The peer hears where it comes from, and what it answers comes here and nowhere else. */
static inline void expect_talk(const Dialled *dialled, const char *from) {
        struct sockaddr_storage address;
        socklen_t size = sizeof(address);
        char text[64], byte;

        cr_assert(eq(int, (int)send(dialled->fd, "x", 1, 0), 1));
        kit_wait_readable(server);
        cr_assert(eq(int, (int)recvfrom(server, &byte, 1, 0, (struct sockaddr *)&address, &size), 1));
        KIT_EXPECT_TEXT(kit_address_text(&address, text), from);
        cr_assert(eq(int, (int)sendto(server, "y", 1, 0, (struct sockaddr *)&address, size), 1));
        kit_wait_readable(dialled->fd);
        cr_assert(eq(int, (int)recv(dialled->fd, &byte, 1, 0), 1));
        cr_assert(eq(chr, byte, 'y'));
}
