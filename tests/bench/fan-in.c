/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One process is all the clients, so that the load costs little: it writes its calls as text and looks
 * for nothing but the lease in the answers. What limits the rate is the server then, on a CPU of its
 * own.
 */

#include "tests/bench/fan-in.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/interrupt.h"
#include "tests/bench/link.h"
#include "tests/bench/stats.h"

#define HAND_OVER_CALL                                                                                  \
        "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[{\"network\":\"tcp4\","     \
        "\"address\":\"%s\",\"sharing\":\"shared\"}]}}"
#define GIVE_BACK_CALL "{\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[\"%.*s\"]}}"

typedef struct Caller {
        int fd;
        bool acquiring; /* the call under way */
} Caller;

typedef struct Load {
        const char *path;
        const char *address;
        Caller callers[FAN_IN_CLIENTS];
        int epoll;
        size_t answered;
        size_t under_way;
} Load;

static int caller_acquire(Caller *caller, const char *address) {
        char call[512];
        int n = snprintf(call, sizeof(call), HAND_OVER_CALL, address);

        caller->acquiring = true;
        return link_send(caller->fd, call, (size_t)n + 1, -1);
}

static int caller_release(Caller *caller, const char *answer) {
        static const char key[] = "\"lease\":\"";
        const char *lease = strstr(answer, key);
        char call[512];
        int n;

        if (!lease)
                return error_origin(-EPROTO);
        lease += sizeof(key) - 1;
        n = snprintf(call, sizeof(call), GIVE_BACK_CALL, (int)strcspn(lease, "\""), lease);
        if (n >= (int)sizeof(call))
                return error_origin(-EPROTO);
        caller->acquiring = false;
        return link_send(caller->fd, call, (size_t)n + 1, -1);
}

/* One answer came: the next call goes out, if there is to be another. */
static int load_turn(Load *load, Caller *caller, bool more) {
        _cleanup_(fd_closep) int passed = -1;
        char answer[LINK_FRAME_MAX];
        size_t n;
        int r;

        r = link_receive(caller->fd, answer, &n, &passed);
        if (r < 0)
                return error_trace(r);
        if (strstr(answer, "\"error\"") || (passed >= 0) != caller->acquiring) {
                fprintf(stderr, "handoff: %s answers %s\n", load->path, answer);
                return error_origin(-EREMOTEIO);
        }
        load->answered++;
        load->under_way--;
        /* A lease is not left behind, even when the time for more calls is over. */
        if (!more && !caller->acquiring)
                return 0;
        r = caller->acquiring ? caller_release(caller, answer) : caller_acquire(caller, load->address);
        if (r < 0)
                return error_trace(r);
        load->under_way++;
        return 0;
}

/* Until @calls more are answered; then until none is under way. */
static int load_run(Load *load, size_t calls, uint64_t *ret_nsec) {
        struct epoll_event events[FAN_IN_CLIENTS];
        uint64_t start = clock_nsec(), end = 0;
        int n, r;

        load->answered = 0;
        for (size_t i = 0; i < FAN_IN_CLIENTS; i++) {
                r = caller_acquire(&load->callers[i], load->address);
                if (r < 0)
                        return error_trace(r);
                load->under_way++;
        }
        while (load->under_way > 0) {
                r = interrupt_check();
                if (r < 0)
                        return r;
                n = epoll_wait(load->epoll, events, FAN_IN_CLIENTS, LINK_TIMEOUT_SEC * 1000);
                if (n <= 0)
                        return error_origin(n < 0 ? -errno : -ETIMEDOUT);
                for (int i = 0; i < n; i++) {
                        r = load_turn(load, events[i].data.ptr, load->answered + 1 < calls);
                        if (r < 0)
                                return error_trace(r);
                        if (load->answered == calls)
                                end = clock_nsec();
                }
        }
        *ret_nsec = end - start;
        return 0;
}

static void load_deinit(Load *load) {
        for (size_t i = 0; i < FAN_IN_CLIENTS; i++)
                fd_close(load->callers[i].fd);
        fd_close(load->epoll);
}

static int load_init(Load *load, const char *path, const char *address) {
        struct epoll_event event = { .events = EPOLLIN };
        int r = 0;

        *load = (Load){ .path = path, .address = address, .epoll = epoll_create1(EPOLL_CLOEXEC) };
        for (size_t i = 0; i < FAN_IN_CLIENTS; i++)
                load->callers[i].fd = -1;
        if (load->epoll < 0)
                r = error_origin(-errno);
        for (size_t i = 0; i < FAN_IN_CLIENTS && r == 0; i++) {
                event.data.ptr = &load->callers[i];
                r = link_connect(path, &load->callers[i].fd);
                if (r == 0 && epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->callers[i].fd, &event) < 0)
                        r = error_origin(-errno);
        }
        if (r < 0)
                load_deinit(load);
        return r;
}

int fan_in_measure(const char *floor_path, const char *broker_path, const char *address, size_t calls,
                   double *ret_floor_rate, double *ret_broker_rate) {
        uint64_t nsec[2] = { 0, 0 }, once = 0;
        size_t share = calls / FAN_IN_ROUNDS + FAN_IN_CLIENTS;
        Load loads[2];
        int r;

        r = load_init(&loads[0], floor_path, address);
        if (r < 0)
                return error_trace(r);
        r = load_init(&loads[1], broker_path, address);
        if (r < 0) {
                load_deinit(&loads[0]);
                return error_trace(r);
        }
        /* The first round warms up. */
        for (size_t round = 0; round <= FAN_IN_ROUNDS && r == 0; round++)
                for (size_t i = 0; i < 2 && r == 0; i++) {
                        r = load_run(&loads[i], share, &once);
                        if (r == 0 && round > 0)
                                nsec[i] += once;
                }
        load_deinit(&loads[0]);
        load_deinit(&loads[1]);
        if (r < 0)
                return error_trace(r);
        *ret_floor_rate = (double)share * FAN_IN_ROUNDS * 1e9 / (double)nsec[0];
        *ret_broker_rate = (double)share * FAN_IN_ROUNDS * 1e9 / (double)nsec[1];
        return 0;
}
