/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the tests that hold the library to Go's have in common: one client of a running broker, in a
 * network of its own, whose leases are the ports that it dials from.
 */

#include <netinet/tcp.h>
#include <time.h>

#include "tests/integration/library-kit.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

enum {
        GO_PATIENCE_USEC = KIT_PATIENCE_MSEC * 1000,
        GO_SHORT_USEC = 50000,
        GO_LONG_USEC = 10 * 1000000,
        GO_TEXT_MAX = 96,
};

typedef struct Go {
        Kit kit;
        reuse_client *client;
} Go;

static inline Go go_begin(void) {
        Go go;

        harness_global_network();
        library_begin(&go.kit, KIT_CONFIG "[Rule raw]\nUser=*\nNetwork=ip\nTenant=all\n");
        go.client = library_connect(&go.kit);
        return go;
}

static inline void go_end(Go *go) {
        reuse_client_free(go->client);
        kit_stop(&go->kit);
}

/* ---- who listens -------------------------------------------------------------------------------- */

static inline reuse_sockets *go_listen(Go *go, const char *network, const char *address) {
        char spec[GO_TEXT_MAX];

        snprintf(spec, sizeof(spec), "%s:%s", network, address);
        return library_acquire(go->client, spec);
}

static inline const char *go_address(const reuse_sockets *listener) {
        return reuse_sockets_get_address(listener, 0);
}

static inline int go_fd(const reuse_sockets *listener) {
        return reuse_sockets_get_fd(listener, 0);
}

/* Gives it back: once this has returned nobody listens there. */
static inline void go_close(Go *go, reuse_sockets *listener) {
        const char *lease = reuse_sockets_get_lease(listener, 0);

        close(reuse_sockets_take_fd(listener, 0));
        cr_assert(zero(int, reuse_client_release(go->client, &lease, 1, NULL)));
        reuse_sockets_free(listener);
}

/* Nobody has anything there; or the socket is not given, with that errno. */
static inline int go_try(Go *go, const char *spec) {
        reuse_request *request = library_request(spec);
        reuse_sockets *sockets = NULL;
        int r = reuse_client_acquire(go->client, request, &sockets, NULL);

        reuse_request_free(request);
        if (r == 0)
                go_close(go, sockets);
        return r;
}

/* ":80", from the last colon on. */
static inline const char *go_port(const char *address) {
        return strrchr(address, ':');
}

/* Where @listener is reached from this host: a wildcard on loopback. Returns @buffer. */
static inline const char *go_target(const reuse_sockets *listener, char buffer[static GO_TEXT_MAX]) {
        const char *address = go_address(listener);

        if (strncmp(address, "0.0.0.0:", 8) == 0)
                snprintf(buffer, GO_TEXT_MAX, "127.0.0.1%s", go_port(address));
        else if (strncmp(address, "[::]:", 5) == 0 || address[0] == ':')
                snprintf(buffer, GO_TEXT_MAX, "[::1]%s", go_port(address));
        else
                snprintf(buffer, GO_TEXT_MAX, "%s", address);
        return buffer;
}

/* Takes a connection. */
static inline int go_accept(int listener) {
        int fd;

        kit_wait_readable(listener);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(fd >= 0, "%m");
        return fd;
}

/* What @fd is; the caller's to free. */
static inline reuse_description *go_described(int fd) {
        reuse_description *description = NULL;
        reuse_error *error = NULL;

        cr_assert(zero(int, reuse_describe(fd, &description, &error)), "%s",
                  reuse_error_get_message(error));
        return description;
}

/* "network:address"; a name of a UNIX socket is in the folder of the test. Returns @buffer. */
static inline const char *go_spec(const Go *go, const char *network, const char *address,
                                  char buffer[static GO_TEXT_MAX]) {
        if (strncmp(network, "unix", 4) == 0)
                snprintf(buffer, GO_TEXT_MAX, "%s:%s%s/%s", network, address[0] == '@' ? "@" : "",
                         go->kit.harness.folder, address[0] == '@' ? address + 1 : address);
        else
                snprintf(buffer, GO_TEXT_MAX, "%s:%s", network, address);
        return buffer;
}

/* ",raw=LEVEL:NAME:VALUE". Returns @buffer. */
static inline const char *go_raw(int level, int name, int value, char buffer[static GO_TEXT_MAX]) {
        unsigned char bytes[sizeof(int)];
        int n = snprintf(buffer, GO_TEXT_MAX, ",raw=%d:%d:", level, name);

        memcpy(bytes, &value, sizeof(value));
        for (size_t i = 0; i < sizeof(bytes); i++)
                n += snprintf(buffer + n, GO_TEXT_MAX - (size_t)n, "%02x", bytes[i]);
        return buffer;
}

/* ---- who dials ---------------------------------------------------------------------------------- */

static inline reuse_outgoing *go_dial(Go *go, const char *network, const char *remote, const char *local,
                                      const char *options) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        int r = reuse_client_dial(go->client, network, remote, local, options, GO_PATIENCE_USEC,
                                  &outgoing, &error);

        cr_assert(r == 0, "%s %s from %s: %s", network, remote, local ?: "anywhere",
                  reuse_error_get_message(error));
        return outgoing;
}

static inline void go_expect_undialled(Go *go, const char *network, const char *remote,
                                       const char *local, int number) {
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        int r = reuse_client_dial(go->client, network, remote, local, NULL, GO_PATIENCE_USEC, &outgoing,
                                  &error);

        cr_assert(r == number, "%s %s from %s: %d, %s", network, remote, local ?: "anywhere", r,
                  reuse_error_get_message(error));
        cr_assert(outgoing == NULL);
        reuse_error_free(error);
}

static inline uint64_t go_now(void) {
        struct timespec now;

        cr_assert(zero(int, clock_gettime(CLOCK_MONOTONIC, &now)));
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What a handler was told. */
typedef struct GoTold {
        int n;
        int fd; /* or why there is none */
} GoTold;

static inline int go_tell(reuse_client *client, reuse_outgoing *outgoing, void *userdata) {
        GoTold *told = userdata;

        (void)client;
        told->n++;
        told->fd = reuse_outgoing_get_fd(outgoing);
        return 0;
}

static inline reuse_outgoing *go_dial_async(Go *go, const char *network, const char *remote,
                                            const char *local, GoTold *told) {
        reuse_outgoing *outgoing = NULL;

        cr_assert(zero(int, reuse_client_dial_async(go->client, network, remote, local, NULL,
                                                    GO_LONG_USEC, go_tell, told, &outgoing, NULL)));
        return outgoing;
}

/* Until the handler has been told. */
static inline void go_wait_told(Go *go, const GoTold *told) {
        while (told->n == 0) {
                int r = reuse_client_process(go->client);

                cr_assert(ge(int, r, 0));
                if (r == 0)
                        cr_assert(ge(int, reuse_client_wait(go->client, GO_PATIENCE_USEC), 0));
        }
}

/* ---- who does not answer ------------------------------------------------------------------------ */

/* A listener whose queue is full: who connects to it waits. */
typedef struct GoSilent {
        int fd;
        int fillers[2];
        char address[GO_TEXT_MAX];
} GoSilent;

static inline GoSilent go_silent(int family) {
        struct sockaddr_storage address = { .ss_family = (sa_family_t)family };
        GoSilent silent = { .fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0) };
        socklen_t size = sizeof(address);

        if (family == AF_INET)
                ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
                ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
        size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        cr_assert(zero(int, bind(silent.fd, (struct sockaddr *)&address, size)));
        cr_assert(zero(int, listen(silent.fd, 0)));
        kit_bound_address(silent.fd, &address);
        for (int i = 0; i < 2; i++) {
                silent.fillers[i] = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void)connect(silent.fillers[i], (struct sockaddr *)&address, size);
        }
        /* The first one is in the queue, and fills it. */
        kit_wait_readable(silent.fd);
        snprintf(silent.address, sizeof(silent.address), "%s:%d",
                 family == AF_INET ? "127.0.0.1" : "[::1]",
                 ntohs(family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                         : ((struct sockaddr_in6 *)&address)->sin6_port));
        return silent;
}

static inline void go_silent_end(GoSilent *silent) {
        close(silent->fillers[0]);
        close(silent->fillers[1]);
        close(silent->fd);
}
