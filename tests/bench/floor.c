/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One epoll loop. Each answer is a recorded one, but it is built anew from values and written out each
 * time, as a server has to whose answers differ.
 */

#include "tests/bench/floor.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/group-socket.h"
#include "tests/bench/link.h"
#include "tests/bench/raw-client.h"

enum {
        EVENTS_MAX = 64,
};

typedef struct Floor {
        int listener;
        int epoll;
        int shared; /* the socket that is handed over */
        int group;  /* keeps the group's address in use */
        struct sockaddr_in group_address;
        json_t *shared_answer, *group_answer, *release_answer;
} Floor;

typedef struct Connection {
        int fd;
        int member; /* the group's socket made last, -1 for none */
} Connection;

static int floor_record_one(const char *path, const char *sharing, const char *address,
                            char **ret_acquire, char **ret_release) {
        RawClient client;
        int r;

        raw_client_init(&client, path, sharing, address);
        r = raw_client_connect(&client);
        if (r == 0)
                r = raw_client_acquire(&client);
        if (r == 0)
                *ret_acquire = strdup(client.buffer);
        if (r == 0)
                r = raw_client_release(&client);
        if (r == 0)
                *ret_release = strdup(client.buffer);
        raw_client_deinit(&client);
        return r < 0 ? error_trace(r) : 0;
}

int floor_record(const char *path, const char *shared_address, const char *group_address,
                 FloorAnswers *ret) {
        _cleanup_(freep) char *again = NULL;
        FloorAnswers answers = { 0 };
        int r;

        r = floor_record_one(path, "shared", shared_address, &answers.shared, &answers.release);
        if (r == 0)
                r = floor_record_one(path, "group", group_address, &answers.group, &again);
        if (r == 0 && (!answers.shared || !answers.group || !answers.release))
                r = error_origin(-ENOMEM);
        if (r < 0) {
                floor_answers_deinit(&answers);
                return error_trace(r);
        }
        *ret = answers;
        return 0;
}

void floor_answers_deinit(FloorAnswers *answers) {
        free(answers->shared);
        free(answers->group);
        free(answers->release);
        *answers = (FloorAnswers){ 0 };
}

/* A new value like @model, made piece by piece. NULL without memory. */
static json_t *value_build(json_t *model) {
        json_t *value, *item;
        const char *key;
        size_t i;

        switch (json_typeof(model)) {
        case JSON_OBJECT:
                value = json_object();
                json_object_foreach(model, key, item) json_object_set_new(value, key, value_build(item));
                return value;
        case JSON_ARRAY:
                value = json_array();
                json_array_foreach(model, i, item) json_array_append_new(value, value_build(item));
                return value;
        case JSON_STRING:
                return json_string(json_string_value(model));
        case JSON_INTEGER:
                return json_integer(json_integer_value(model));
        default:
                return json_copy(model);
        }
}

/* What to answer to @call, and with which descriptor, borrowed, or -1. */
static int floor_serve(Floor *floor, Connection *connection, json_t *call, json_t **ret_answer,
                       int *ret_fd) {
        const char *method = json_string_value(json_object_get(call, "method"));
        json_t *parameters = json_object_get(call, "parameters");
        json_t *lease = json_array_get(json_object_get(parameters, "leases"), 0);
        json_t *request = json_array_get(json_object_get(parameters, "sockets"), 0);
        const char *sharing = json_string_value(json_object_get(request, "sharing"));
        int r;

        if (method && strcmp(method, "io.reuseportd.Release") == 0 && lease) {
                connection->member = fd_close(connection->member);
                *ret_answer = floor->release_answer;
                return 0;
        }
        if (!method || strcmp(method, "io.reuseportd.Acquire") != 0 || !sharing)
                return error_origin(-EPROTO);
        if (strcmp(sharing, "shared") == 0) {
                *ret_answer = floor->shared_answer;
                *ret_fd = floor->shared;
                return 0;
        }
        connection->member = fd_close(connection->member);
        r = group_socket_listen(&floor->group_address, &connection->member);
        if (r < 0)
                return error_trace(r);
        *ret_answer = floor->group_answer;
        *ret_fd = connection->member;
        return 0;
}

/* One call of one connection. */
static int floor_turn(Floor *floor, Connection *connection) {
        json_auto_t *call = NULL, *answer = NULL;
        char buffer[LINK_FRAME_MAX];
        int fd = -1, passed, r;
        json_t *model = NULL;
        size_t n;

        r = link_receive(connection->fd, buffer, &n, &passed);
        if (r < 0)
                return r;
        call = json_loadb(buffer, n - 1, JSON_REJECT_DUPLICATES, NULL);
        if (!call)
                return error_origin(-EPROTO);
        r = floor_serve(floor, connection, call, &model, &fd);
        if (r < 0)
                return error_trace(r);
        answer = value_build(model);
        n = json_dumpb(answer, buffer, sizeof(buffer) - 1, JSON_COMPACT);
        if (n == 0 || n >= sizeof(buffer))
                return error_origin(-EMSGSIZE);
        buffer[n] = 0;
        return link_send(connection->fd, buffer, n + 1, fd);
}

static void connection_free(Connection *connection) {
        fd_close(connection->member);
        fd_close(connection->fd);
        free(connection);
}

static int floor_accept(Floor *floor) {
        int fd = accept4(floor->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct epoll_event event = { .events = EPOLLIN };
        Connection *connection;

        if (fd < 0)
                return error_origin(-errno);
        connection = malloc(sizeof(*connection));
        if (!connection) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        *connection = (Connection){ .fd = fd, .member = -1 };
        event.data.ptr = connection;
        if (epoll_ctl(floor->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
                connection_free(connection);
                return error_origin(-errno);
        }
        return 0;
}

static int floor_run(void *userdata) {
        Floor *floor = userdata;
        struct epoll_event events[EVENTS_MAX];
        int n, r = 0;

        while (r == 0) {
                n = epoll_wait(floor->epoll, events, EVENTS_MAX, -1);
                for (int i = 0; i < n && r == 0; i++) {
                        if (!events[i].data.ptr) {
                                r = floor_accept(floor);
                                continue;
                        }
                        r = floor_turn(floor, events[i].data.ptr);
                        if (r == -ECONNRESET) {
                                connection_free(events[i].data.ptr);
                                r = 0;
                        }
                }
        }
        return r;
}

static int floor_init(Floor *floor, const char *path, const FloorAnswers *answers) {
        struct epoll_event event = { .events = EPOLLIN };
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int r;

        floor->group_address = any;
        floor->shared_answer = json_loads(answers->shared, 0, NULL);
        floor->group_answer = json_loads(answers->group, 0, NULL);
        floor->release_answer = json_loads(answers->release, 0, NULL);
        if (!floor->shared_answer || !floor->group_answer || !floor->release_answer)
                return error_origin(-EPROTO);
        r = group_socket_listen(&any, &floor->shared);
        if (r == 0)
                r = group_socket_listen(&floor->group_address, &floor->group);
        if (r == 0)
                r = link_listen(path, &floor->listener);
        if (r < 0)
                return error_trace(r);
        floor->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (floor->epoll < 0 || epoll_ctl(floor->epoll, EPOLL_CTL_ADD, floor->listener, &event) < 0)
                return error_origin(-errno);
        return 0;
}

static void floor_deinit(Floor *floor) {
        json_decref(floor->shared_answer);
        json_decref(floor->group_answer);
        json_decref(floor->release_answer);
        fd_close(floor->shared);
        fd_close(floor->group);
        fd_close(floor->listener);
        fd_close(floor->epoll);
}

int floor_start(const char *path, const FloorAnswers *answers, Child *ret) {
        Floor floor = { .listener = -1, .epoll = -1, .shared = -1, .group = -1 };
        int r;

        r = floor_init(&floor, path, answers);
        if (r == 0)
                r = child_run(floor_run, &floor, ret);
        floor_deinit(&floor);
        return r < 0 ? error_trace(r) : 0;
}
