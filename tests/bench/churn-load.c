/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One process and one epoll set are all the clients: members, broker and load share the CPUs, and this
 * costs them the least. On the loopback a connection is made within connect(), so that the request
 * mostly leaves at once, and only the answer is waited for.
 *
 * A client hangs up with a reset: no port stays in TIME_WAIT, however many connections there are.
 */

#include "tests/bench/churn-load.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/shared.h"
#include "tests/bench/stats.h"

#define MSEC UINT64_C(1000000)

enum {
        /* How often timeouts are looked for. */
        LOAD_TICK_MSEC = 5,
        /* A client that was refused waits before it tries again; otherwise a server that is away for a
         * moment would be counted as often as the loop can turn. */
        LOAD_PAUSE_MSEC = 10,
        LOAD_ANSWER_MAX = 512,
};

static const char client_name[] = "churn-client-";

typedef struct Caller {
        int fd;
        bool asked;
        unsigned char byte;
        uint32_t peer;
        uint64_t began_nsec;
        uint64_t resume_nsec; /* while idle: not before then */
} Caller;

typedef struct Run {
        Load *load;
        Address address;
        int epoll;
        Caller callers[LOAD_CLIENTS];
        size_t n_busy;
        bool closing; /* no more connections are begun */
} Run;

uint32_t load_peer(const struct sockaddr_storage *client, socklen_t len) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)client;
        size_t path = offsetof(struct sockaddr_un, sun_path);
        char text[16] = "";

        switch (client->ss_family) {
        case AF_INET:
                return ntohs(((const struct sockaddr_in *)client)->sin_port);
        case AF_INET6:
                return ntohs(((const struct sockaddr_in6 *)client)->sin6_port);
        default:
                /* Abstract: a zero byte, the name, no zero byte at the end. */
                path += 1 + strlen(client_name);
                if (len > path && len - path < sizeof(text))
                        memcpy(text, (const char *)un + path, len - path);
                return (uint32_t)strtoul(text, NULL, 10);
        }
}

const char *load_loss_name(LossKind kind) {
        static const char *const names[_LOSS_KIND_N] = {
                [LOSS_REFUSED] = "refused",    [LOSS_RESET] = "reset",
                [LOSS_CLOSED] = "closed",      [LOSS_TIMEOUT] = "without answer",
                [LOSS_WRONG] = "wrong answer",
        };

        return names[kind];
}

/* An errno that a server can be the reason of; any other is a fault of this program or machine. */
static bool loss_from_errno(int error, LossKind *ret) {
        switch (error) {
        case ECONNREFUSED:
        case ENOENT:
                *ret = LOSS_REFUSED;
                return true;
        case EAGAIN: /* of connect(): the queue of a UNIX socket is full */
        case ETIMEDOUT:
                *ret = LOSS_TIMEOUT;
                return true;
        case ECONNRESET:
        case ECONNABORTED:
        case EPIPE:
                *ret = LOSS_RESET;
                return true;
        default:
                return false;
        }
}

static void caller_rest(Run *run, Caller *caller) {
        caller->fd = fd_close(caller->fd);
        run->n_busy--;
}

static void caller_answered(Run *run, Caller *caller) {
        LoadResult *result = run->load->result;

        run->load->latencies[result->n_answered++] = clock_nsec() - caller->began_nsec;
        caller_rest(run, caller);
}

static void caller_lost(Run *run, Caller *caller, LossKind kind) {
        LoadResult *result = run->load->result;
        uint64_t now = clock_nsec();

        run->load->losses[result->n_lost++] = (Loss){
                .began_nsec = caller->began_nsec,
                .ended_nsec = now,
                .peer = caller->peer,
                .kind = kind,
        };
        caller->resume_nsec = now + LOAD_PAUSE_MSEC * MSEC;
        caller_rest(run, caller);
}

/* After a system call failed. Returns 0 when the server is to blame, or a negative errno. */
static int caller_failed(Run *run, Caller *caller) {
        LossKind kind;

        if (!loss_from_errno(errno, &kind))
                return error_origin(-errno);
        caller_lost(run, caller, kind);
        return 0;
}

/* A UNIX client has no port; a name of its own tells the server which of them it is. */
static int caller_bind(const Run *run, Caller *caller) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        unsigned number = (unsigned)(caller - run->callers);
        int n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s%u", client_name, number);

        caller->peer = number;
        if (bind(caller->fd, (struct sockaddr *)&un,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0)
                return error_origin(-errno);
        return 0;
}

static int caller_open(const Run *run, Caller *caller) {
        static const struct linger at_once = { .l_onoff = 1 };

        caller->asked = false;
        caller->peer = 0;
        caller->fd = socket(address_family(&run->address),
                            address_socket_type(&run->address) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (caller->fd < 0)
                return error_origin(-errno);
        if (run->address.transport == TRANSPORT_TCP &&
            setsockopt(caller->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) < 0)
                return error_origin(-errno);
        return run->address.transport == TRANSPORT_UNIX ? caller_bind(run, caller) : 0;
}

/* Sends the request if the connection is made by now. */
static int caller_ask(Run *run, Caller *caller) {
        const char *request = run->load->order.request ?: (const char *)&caller->byte;
        size_t size = run->load->order.request ? strlen(request) : 1;

        if (send(caller->fd, request, size, MSG_NOSIGNAL) >= 0)
                caller->asked = true;
        else if (errno != EAGAIN)
                return caller_failed(run, caller);
        return 0;
}

static int caller_begin(Run *run, Caller *caller) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = caller };
        struct sockaddr_storage own;
        socklen_t len = sizeof(own);
        int r;

        r = caller_open(run, caller);
        if (r < 0)
                return error_trace(r);
        caller->byte = (unsigned char)run->load->result->made++;
        caller->began_nsec = clock_nsec();
        run->n_busy++;
        if (connect(caller->fd, &run->address.u.sa, run->address.len) < 0 && errno != EINPROGRESS)
                return caller_failed(run, caller);
        if (address_is_ip(&run->address)) {
                if (getsockname(caller->fd, (struct sockaddr *)&own, &len) < 0)
                        return error_origin(-errno);
                caller->peer = load_peer(&own, len);
        }
        r = caller_ask(run, caller);
        if (r < 0)
                return error_trace(r);
        if (caller->fd < 0)
                return 0;
        if (!caller->asked)
                event.events |= EPOLLOUT;
        return epoll_ctl(run->epoll, EPOLL_CTL_ADD, caller->fd, &event) < 0 ? error_origin(-errno) : 0;
}

static bool answer_fits(const LoadOrder *order, const Caller *caller, const char *answer, size_t n) {
        if (!order->answer)
                return n == 1 && (unsigned char)*answer == caller->byte;
        return n >= strlen(order->answer) && memcmp(answer, order->answer, strlen(order->answer)) == 0;
}

static int caller_hear(Run *run, Caller *caller) {
        char answer[LOAD_ANSWER_MAX];
        ssize_t n;

        n = recv(caller->fd, answer, sizeof(answer), 0);
        if (n < 0)
                return errno == EAGAIN ? 0 : caller_failed(run, caller);
        if (n == 0)
                caller_lost(run, caller, LOSS_CLOSED);
        else if (!answer_fits(&run->load->order, caller, answer, (size_t)n))
                caller_lost(run, caller, LOSS_WRONG);
        else
                caller_answered(run, caller);
        return 0;
}

static int caller_turn(Run *run, Caller *caller) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = caller };
        int r;

        if (!caller->asked) {
                r = caller_ask(run, caller);
                if (r < 0)
                        return error_trace(r);
                if (caller->fd < 0)
                        return 0;
                if (caller->asked && epoll_ctl(run->epoll, EPOLL_CTL_MOD, caller->fd, &event) < 0)
                        return error_origin(-errno);
        }
        return caller_hear(run, caller);
}

/* Gives up those that wait for too long, and sends idle ones out again. */
static int run_tick(Run *run, uint64_t now) {
        const LoadOrder *order = &run->load->order;
        int r;

        if (now >= run->load->result->began_nsec + order->limit_nsec)
                run->closing = true;
        for (size_t i = 0; i < LOAD_CLIENTS; i++) {
                Caller *caller = &run->callers[i];

                if (caller->fd >= 0 && now >= caller->began_nsec + order->timeout_nsec)
                        caller_lost(run, caller, LOSS_TIMEOUT);
                if (run->load->result->made >= order->connections)
                        run->closing = true;
                if (caller->fd < 0 && !run->closing && now >= caller->resume_nsec) {
                        r = caller_begin(run, caller);
                        if (r < 0)
                                return error_trace(r);
                }
        }
        return 0;
}

/* The next connection of a client follows at once on an answer. */
static int run_event(Run *run, Caller *caller) {
        size_t lost = run->load->result->n_lost;
        int r;

        r = caller_turn(run, caller);
        if (r < 0)
                return error_trace(r);
        if (run->load->result->made >= run->load->order.connections)
                run->closing = true;
        if (caller->fd >= 0 || run->closing || run->load->result->n_lost > lost)
                return 0;
        r = caller_begin(run, caller);
        return r < 0 ? error_trace(r) : 0;
}

static int run_all(Run *run) {
        struct epoll_event events[LOAD_CLIENTS];
        uint64_t tick = 0, now;
        int n, r;

        do {
                now = clock_nsec();
                if (now >= tick) {
                        r = run_tick(run, now);
                        if (r < 0)
                                return error_trace(r);
                        tick = now + LOAD_TICK_MSEC * MSEC;
                }
                n = epoll_wait(run->epoll, events, LOAD_CLIENTS, LOAD_TICK_MSEC);
                if (n < 0)
                        return error_origin(-errno);
                for (int i = 0; i < n; i++) {
                        r = run_event(run, events[i].data.ptr);
                        if (r < 0)
                                return error_trace(r);
                }
        } while (run->n_busy > 0 || !run->closing);
        return 0;
}

static int load_run(void *userdata) {
        Load *load = userdata;
        LoadResult *result = load->result;
        Run run = { .load = load, .epoll = -1 };
        int r;

        for (size_t i = 0; i < LOAD_CLIENTS; i++)
                run.callers[i].fd = -1;
        r = kind_address(load->order.kind, &run.address);
        if (r == 0) {
                run.epoll = epoll_create1(EPOLL_CLOEXEC);
                r = run.epoll < 0 ? error_origin(-errno) : 0;
        }
        result->began_nsec = clock_nsec();
        if (r == 0)
                r = run_all(&run);
        result->ended_nsec = clock_nsec();
        result->fault = r;
        if (r < 0)
                error_describe(result->trace, sizeof(result->trace));
        return r;
}

int load_start(const LoadOrder *order, Load *load) {
        int r;

        *load = LOAD_NONE;
        load->order = *order;
        r = shared_map(sizeof(*load->result), (void **)&load->result);
        if (r == 0)
                r = shared_map(order->connections * sizeof(*load->latencies), (void **)&load->latencies);
        if (r == 0)
                r = shared_map(order->connections * sizeof(*load->losses), (void **)&load->losses);
        if (r == 0)
                r = child_run(load_run, load, &load->child);
        return r < 0 ? error_trace(r) : 0;
}

void load_stop(Load *load) {
        child_stop(&load->child);
        load->losses = shared_unmap(load->losses, load->order.connections * sizeof(*load->losses));
        load->latencies =
                shared_unmap(load->latencies, load->order.connections * sizeof(*load->latencies));
        load->result = shared_unmap(load->result, sizeof(*load->result));
}
