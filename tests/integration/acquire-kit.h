/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What tests against a running broker share: calls written as text, replies asked by path, sockets that
 * are tried out, and clients of several users in one process.
 *
 * JSON is written with single quotes in here, which read better in C and stand for double ones.
 */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tests/harness.h"
#include "tests/unit/leaks.h"

enum {
        KIT_UID = 65534,
        KIT_OTHER_UID = 65533,
        KIT_PATIENCE_MSEC = 20000,
};

/*
 * Grants everything and keeps nothing after the last lease, so what a test leaves behind is a leak. To
 * everybody as users of one tenant; and to each user as a tenant of its own.
 */
#define KIT_CONFIG "[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule all]\nUser=*\nOptions=*\nTenant=all\n"
#define KIT_TENANTS_CONFIG "[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule all]\nUser=*\nOptions=*\n"

/* Criterion wants char *, and nearly all texts here are constant. */
#define KIT_EXPECT_TEXT(actual, expected) cr_assert(eq(str, (char *)(actual), (char *)(expected)))

typedef struct Kit {
        Harness harness;
        int n_fds;
        size_t n_broker_fds;
} Kit;

/* ---- calls and replies -------------------------------------------------------------------------- */

/* What @path ("sockets.0.lease") leads to, borrowed; NULL if nothing is there. */
static inline json_t *kit_at(const json_t *json, const char *path) {
        while (json && *path) {
                char name[64];
                size_t n = strcspn(path, ".");

                snprintf(name, sizeof(name), "%.*s", (int)n, path);
                json = isdigit((unsigned char)name[0]) ? json_array_get(json, (size_t)atoi(name))
                                                       : json_object_get(json, name);
                path += n + (path[n] == '.');
        }
        return (json_t *)json;
}

static inline const char *kit_text(const json_t *json, const char *path) {
        return json_string_value(kit_at(json, path)) ?: "";
}

static inline long long kit_number(const json_t *json, const char *path) {
        const json_t *value = kit_at(json, path);

        if (!json_is_integer(value))
                cr_fatal("%s is no number", path);
        return json_integer_value(value);
}

static inline bool kit_true(const json_t *json, const char *path) {
        return json_is_true(kit_at(json, path));
}

/* One message; its descriptors go to @fds, and are counted in *@n_fds. */
static inline json_t *kit_receive(int control, int *fds, size_t *n_fds) {
        static HarnessReply reply;
        json_error_t error;
        json_t *json;

        cr_assert(harness_receive(control, &reply), "the broker hung up");
        json = json_loads(reply.text, JSON_REJECT_DUPLICATES, &error);
        cr_assert(json != NULL, "%s in %s", error.text, reply.text);
        memcpy(fds, reply.fds, reply.n_fds * sizeof(int));
        *n_fds = reply.n_fds;
        return json;
}

/* Sends METHOD with parameters as given. */
static inline void kit_send(int control, const char *method, const char *flags, const char *parameters) {
        char *text;

        cr_assert(asprintf(&text, "{'method':'io.reuseportd.%s'%s,'parameters':%s}", method, flags,
                           parameters) > 0);
        for (char *c = text; *c; c++)
                if (*c == '\'')
                        *c = '"';
        harness_send_frame(control, text);
        free(text);
}

/* The reply to a call that sends no descriptors. The caller's to decref. */
__attribute__((format(printf, 3, 4))) static inline json_t *kit_call(int control, const char *method,
                                                                     const char *format, ...) {
        int fds[HARNESS_FDS_MAX];
        size_t n_fds;
        char *parameters;
        json_t *reply;
        va_list args;

        va_start(args, format);
        cr_assert(vasprintf(&parameters, format, args) > 0);
        va_end(args);
        kit_send(control, method, "", parameters);
        free(parameters);
        reply = kit_receive(control, fds, &n_fds);
        cr_assert(zero(sz, n_fds));
        return reply;
}

/* @reply is this error: a name of io.reuseportd, or a whole one. Returns @reply. */
static inline json_t *kit_expect_error(json_t *reply, const char *error) {
        char name[96];

        snprintf(name, sizeof(name), "%s%s", strchr(error, '.') ? "" : "io.reuseportd.", error);
        if (strcmp(kit_text(reply, "error"), name) != 0)
                cr_fatal("expected %s, got %s", name, json_dumps(reply, 0));
        return reply;
}

static inline void kit_expect_success(const json_t *reply) {
        if (json_object_get(reply, "error"))
                cr_fatal("%s", json_dumps(reply, 0));
}

/* Whether the broker says that it can do this, in GetStatus. */
static inline bool kit_is_capable(int control, const char *capability) {
        json_auto_t *reply = kit_call(control, "GetStatus", "{}");
        const json_t *item;
        size_t i;

        json_array_foreach(kit_at(reply, "parameters.capabilities"), i, item) {
                if (strcmp(json_string_value(item), capability) == 0)
                        return true;
        }
        return false;
}

/* Whether one of the warnings of GetStatus has this in it. */
static inline bool kit_is_warned(int control, const char *text) {
        json_auto_t *reply = kit_call(control, "GetStatus", "{}");
        const json_t *warning;
        size_t i;

        json_array_foreach(kit_at(reply, "parameters.warnings"), i, warning) {
                if (strstr(json_string_value(warning), text))
                        return true;
        }
        return false;
}

/* Asks until the status has a warning with @text in it, or has none any more. */
static inline void kit_expect_warned_soon(int control, const char *text, bool warned) {
        for (int i = 0; i < 100000; i++)
                if (kit_is_warned(control, text) == warned)
                        return;
        cr_fatal("the status does not change: %s", text);
}

/* ---- start and stop ------------------------------------------------------------------------------ */

/* One call there and back: what was sent before is served. */
static inline void kit_ping(int control) {
        json_auto_t *reply = kit_call(control, "GetStatus", "{}");

        kit_expect_success(reply);
}

static inline void kit_start_as(Kit *kit, const char *config, uid_t uid) {
        kit->n_fds = leaks_count_fds();
        harness_start_as(&kit->harness, config, uid);
        kit->n_broker_fds = harness_broker_fds(&kit->harness);
}

/* As @how says: see harness_start_as_set(). */
static inline void kit_start_as_set(Kit *kit, const char *config, const Harness *how) {
        kit->n_fds = leaks_count_fds();
        kit->harness = *how;
        harness_start_as_set(&kit->harness, config);
        kit->n_broker_fds = harness_broker_fds(&kit->harness);
}

static inline void kit_start(Kit *kit, const char *config) {
        kit_start_as(kit, config, geteuid());
}

/* Everything that the test had of the broker is closed: then the broker has nothing of it either. */
static inline void kit_stop(Kit *kit) {
        harness_expect_broker_fds(&kit->harness, kit->n_broker_fds);
        harness_stop(&kit->harness);
        leaks_expect_fds(kit->n_fds);
}

/* ---- sockets ------------------------------------------------------------------------------------ */

typedef struct KitSocket {
        int fd;
        json_t *reply; /* the Socket of the interface */
} KitSocket;

/* Waits until something can be taken from @fd, but not for ever. */
static inline void kit_wait_readable(int fd) {
        cr_assert(
                eq(int, poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, KIT_PATIENCE_MSEC), 1));
}

static inline bool kit_is_readable(int fd) {
        return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1;
}

static inline int kit_int_option(int fd, int level, int name) {
        int value = -1;
        socklen_t size = sizeof(value);

        cr_assert(zero(int, getsockopt(fd, level, name, &value, &size)));
        return value;
}

static inline unsigned long long kit_cookie(int fd) {
        unsigned long long cookie;
        socklen_t size = sizeof(cookie);

        cr_assert(zero(int, getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size)));
        return cookie;
}

/* The reply to an Acquire: all @n sockets go to @ret, each checked by its cookie. *@ret_lifetime: the
 * descriptor that the leases depend on; NULL: there is to be none. */
static inline void kit_acquire_receive_with(int control, size_t n, KitSocket *ret, int *ret_lifetime) {
        int fds[HARNESS_FDS_MAX];
        size_t n_fds;
        json_t *reply = kit_receive(control, fds, &n_fds);

        kit_expect_success(reply);
        cr_assert(eq(sz, n_fds, n + (ret_lifetime != NULL)));
        if (ret_lifetime)
                *ret_lifetime = fds[kit_number(reply, "parameters.lifetimeFileDescriptor")];
        else
                cr_assert(kit_at(reply, "parameters.lifetimeFileDescriptor") == NULL);
        cr_assert(eq(sz, json_array_size(kit_at(reply, "parameters.sockets")), n));
        for (size_t i = 0; i < n; i++) {
                json_t *socket = json_array_get(kit_at(reply, "parameters.sockets"), i);

                ret[i].reply = json_incref(socket);
                ret[i].fd = fds[kit_number(socket, "socketFileDescriptor")];
                cr_assert(eq(ullong, kit_cookie(ret[i].fd),
                             strtoull(kit_text(socket, "cookie"), NULL, 10)));
        }
        json_decref(reply);
}

static inline void kit_acquire_receive(int control, size_t n, KitSocket *ret) {
        kit_acquire_receive_with(control, n, ret, NULL);
}

static inline void kit_acquire_call(int control, const char *parameters, size_t n, KitSocket *ret) {
        kit_send(control, "Acquire", "", parameters);
        kit_acquire_receive(control, n, ret);
}

/* One socket: @format is the SocketRequest. */
__attribute__((format(printf, 2, 3))) static inline KitSocket kit_acquire(int control,
                                                                          const char *format, ...) {
        char request[4096], parameters[4224];
        KitSocket socket;
        va_list args;

        va_start(args, format);
        vsnprintf(request, sizeof(request), format, args);
        va_end(args);
        snprintf(parameters, sizeof(parameters), "{'sockets':[%s]}", request);
        kit_acquire_call(control, parameters, 1, &socket);
        return socket;
}

/* One socket, by @request, whose lease lasts as long as *@ret_lifetime. */
static inline KitSocket kit_acquire_by_descriptor(int control, const char *request, int *ret_lifetime) {
        char parameters[512];
        KitSocket socket;

        snprintf(parameters, sizeof(parameters), "{'sockets':[%s],'lifetime':'descriptor'}", request);
        kit_send(control, "Acquire", "", parameters);
        kit_acquire_receive_with(control, 1, &socket, ret_lifetime);
        return socket;
}

/* One socket that is not given: the reply, which is that error. */
__attribute__((format(printf, 3, 4))) static inline json_t *kit_refused(int control, const char *error,
                                                                        const char *format, ...) {
        char request[4096];
        va_list args;

        va_start(args, format);
        vsnprintf(request, sizeof(request), format, args);
        va_end(args);
        return kit_expect_error(kit_call(control, "Acquire", "{'sockets':[%s]}", request), error);
}

/* Forgets a socket without telling the broker. */
static inline void kit_drop(KitSocket *socket) {
        close(socket->fd);
        json_decref(socket->reply);
}

static inline const char *kit_lease(const KitSocket *socket) {
        return kit_text(socket->reply, "lease");
}

static inline const char *kit_address(const KitSocket *socket) {
        return kit_text(socket->reply, "address");
}

static inline int kit_port(const KitSocket *socket) {
        return atoi(strrchr(kit_address(socket), ':') + 1);
}

/* Says to the broker that the socket is no longer needed, and forgets it. */
static inline void kit_release(int control, KitSocket *socket) {
        json_auto_t *reply = kit_call(control, "Release", "{'leases':['%s']}", kit_lease(socket));

        kit_expect_success(reply);
        kit_drop(socket);
}

/* What List says of the endpoint of @held; the caller's to decref. */
static inline json_t *kit_describe(int control, const KitSocket *held) {
        json_auto_t *reply =
                kit_call(control, "List", "{'endpoint':'%s'}", kit_text(held->reply, "endpoint"));

        kit_expect_success(reply);
        return json_incref(kit_at(reply, "parameters.endpoints.0"));
}

/* The endpoint of @held has @n members; those that are about to be closed are none any more. */
static inline void kit_expect_members(int control, const KitSocket *held, size_t n) {
        json_auto_t *endpoint = kit_describe(control, held);

        cr_assert(eq(sz, json_array_size(kit_at(endpoint, "members")), n));
}

/* Waits until the broker has shut down a listener: in a steered group that takes a moment. */
static inline void kit_wait_shut_down(int fd) {
        struct pollfd p = { .fd = fd, .events = POLLRDHUP };

        cr_assert(eq(int, poll(&p, 1, KIT_PATIENCE_MSEC), 1));
}

/* ---- traffic ------------------------------------------------------------------------------------ */

static inline socklen_t kit_bound_address(int fd, struct sockaddr_storage *ret) {
        socklen_t size = sizeof(*ret);

        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)ret, &size)));
        return size;
}

/* A blocking client at @address. Returns -1 with errno set if nobody takes it. */
static inline int kit_connect_address(const struct sockaddr_storage *address, socklen_t size, int type) {
        int fd = socket(address->ss_family, type | SOCK_CLOEXEC, 0);

        cr_assert(ge(int, fd, 0));
        if (connect(fd, (const struct sockaddr *)address, size) == 0)
                return fd;
        close(fd);
        return -1;
}

/* A blocking client connected to where @listener is bound; a wildcard is met on loopback. */
static inline int kit_connect(int listener) {
        struct sockaddr_storage address;
        socklen_t size = kit_bound_address(listener, &address);
        int fd = kit_connect_address(&address, size, kit_int_option(listener, SOL_SOCKET, SO_TYPE));

        cr_assert(fd >= 0, "%m");
        return fd;
}

/* @holder receives what @client sends: accepted before, or as a datagram. */
static inline void kit_expect_byte(int holder, int client) {
        char byte = 0;

        cr_assert(eq(int, (int)send(client, "x", 1, MSG_NOSIGNAL), 1));
        kit_wait_readable(holder);
        cr_assert(eq(int, (int)recv(holder, &byte, 1, 0), 1));
        cr_assert(eq(chr, byte, 'x'));
}

/* A client reaches @holder. */
static inline void kit_expect_served(int holder) {
        int client = kit_connect(holder), accepted;

        if (kit_int_option(holder, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM) {
                kit_expect_byte(holder, client);
        } else {
                kit_wait_readable(holder);
                accepted = accept(holder, NULL, NULL);
                cr_assert(accepted >= 0, "%m");
                kit_expect_byte(accepted, client);
                close(accepted);
        }
        close(client);
}

/* Sends clients to a group of two until both members have served one. */
static inline void kit_expect_both_served(int a, int b) {
        bool dgram = kit_int_option(a, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM;
        int served[2] = { 0, 0 };

        for (int i = 0; i < 1000 && (!served[0] || !served[1]); i++) {
                struct pollfd p[] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };
                int client = kit_connect(a), which;

                if (dgram)
                        cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
                cr_assert(eq(int, poll(p, 2, KIT_PATIENCE_MSEC), 1));
                which = p[1].revents != 0;
                if (dgram) {
                        char byte;

                        cr_assert(eq(int, (int)recv(p[which].fd, &byte, 1, 0), 1));
                } else {
                        int accepted = accept(p[which].fd, NULL, NULL);

                        cr_assert(ge(int, accepted, 0));
                        kit_expect_byte(accepted, client);
                        close(accepted);
                }
                served[which]++;
                close(client);
        }
        cr_assert(served[0] && served[1], "%d and %d clients were served", served[0], served[1]);
}

/* ---- watching ----------------------------------------------------------------------------------- */

/* A connection to which every further event is told; @control is any other one of this test. */
static inline int kit_watch(const Kit *kit, int control) {
        int watch = harness_connect(&kit->harness);

        /* The broker serves what was sent first, once it knows the connection. */
        kit_ping(watch);
        kit_send(watch, "Watch", ",'more':true", "{}");
        /* A call may be put off by a turn; not by two. */
        kit_ping(control);
        kit_ping(control);
        return watch;
}

/* The next event, of which @what is expected. The caller's to decref. */
static inline json_t *kit_event(int watch, const char *what) {
        int fds[HARNESS_FDS_MAX];
        size_t n_fds;
        json_auto_t *reply = kit_receive(watch, fds, &n_fds);
        json_t *event = json_incref(kit_at(reply, "parameters.event"));

        cr_assert(zero(sz, n_fds));
        cr_assert(kit_true(reply, "continues"));
        KIT_EXPECT_TEXT(kit_text(event, "what"), what);
        return event;
}

/* The next event is @what, about @endpoint. */
static inline void kit_expect_event(int watch, const char *what, const char *endpoint) {
        json_auto_t *event = kit_event(watch, what);

        KIT_EXPECT_TEXT(kit_text(event, "endpoint"), endpoint);
}

/* ---- clients of other users --------------------------------------------------------------------- */

static inline void kit_become_root(void) {
        cr_assert(zero(int, seteuid(0)));
        cr_assert(zero(int, setegid(0)));
        cr_assert(zero(int, setgroups(0, NULL)));
}

/* From here on this process acts as @uid, with the group of that number, and @group besides unless 0. */
static inline void kit_become(uid_t uid, gid_t group) {
        if (geteuid() != 0)
                kit_become_root();
        cr_assert(zero(int, setgroups(group ? 1 : 0, &group)));
        cr_assert(zero(int, setegid(uid)));
        cr_assert(zero(int, seteuid(uid)));
}

/* A connection made by @uid: what the broker goes by. */
static inline int kit_connect_as(const Kit *kit, uid_t uid, gid_t group) {
        int control;

        kit_become(uid, group);
        control = harness_connect(&kit->harness);
        kit_become_root();
        return control;
}

static inline void kit_require_root(void) {
        if (geteuid() != 0)
                cr_skip_test("needs root for clients of several users");
}
