/* SPDX-License-Identifier: BSD-2-Clause */

/* Calls that are right, or refused, by the thousand. */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "proto/cleanup.h"
#include "tests/bench/hostile-attack.h"

enum {
        /* As many as the broker serves of one connection before the others have their turn. */
        CALL_BATCH = 16,
        CALL_SOCKETS = 64,
        CALL_LEASES = 1000,
        CALL_RANGE_FIRST = 20000,
        CALL_RANGE = 4096,
};

void attack_status(const Foe *foe) {
        foe_repeat(foe, FOE_STATUS, CALL_BATCH);
}

void attack_explain(const Foe *foe) {
        foe_repeat(foe, FOE_CALL("Explain", "{\"request\":" FOE_SOCKET "}"), CALL_BATCH);
}

void attack_denied(const Foe *foe) {
        foe_repeat(foe,
                   FOE_CALL("Acquire",
                            "{\"sockets\":[{\"network\":\"tcp4\",\"address\":\"127.0.0.1:80\"}]}"),
                   CALL_BATCH);
}

/* The rules are asked about each port of it. */
void attack_denied_range(const Foe *foe) {
        foe_repeat(foe,
                   FOE_CALL("Acquire",
                            "{\"sockets\":[{\"network\":\"tcp4\",\"address\":\"127.0.0.1:1-4096\"}]}"),
                   CALL_BATCH);
}

/* Takes all ports of a range itself, without the broker, which then tries each. */
void attack_taken_range(const Foe *foe) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + foe->index) };
        struct rlimit limit;
        char call[256];

        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        for (int i = 0; i < CALL_RANGE; i++) {
                int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

                address.sin_port = htons((uint16_t)(CALL_RANGE_FIRST + i));
                (void)bind(fd, (struct sockaddr *)&address, sizeof(address));
        }
        snprintf(call, sizeof(call),
                 FOE_CALL("Acquire",
                          "{\"sockets\":[{\"network\":\"tcp4\",\"address\":\"127.0.0.%u:%d-%d\"}]}"),
                 2 + foe->index, CALL_RANGE_FIRST, CALL_RANGE_FIRST + CALL_RANGE - 1);
        foe_repeat(foe, call, CALL_BATCH);
}

void attack_long_calls(const Foe *foe) {
        static const char begin[] = "{\"method\":\"io.reuseportd.List\",\"parameters\":{\"endpoint\":\"";
        static char call[FOE_CALL_MAX];

        memset(call, 'x', sizeof(call));
        memcpy(call, begin, sizeof(begin) - 1);
        strcpy(call + sizeof(call) - 4, "\"}}");
        foe_repeat(foe, call, 1);
}

void attack_unknown_leases(const Foe *foe) {
        static char call[FOE_CALL_MAX];
        size_t n = (size_t)sprintf(call, "{\"method\":\"io.reuseportd.Release\",\"parameters\":{"
                                         "\"leases\":[\"l1-00000000\"");

        for (int i = 1; i < 1024; i++)
                n += (size_t)sprintf(call + n, ",\"l%d-00000000\"", i);
        strcpy(call + n, "]}}");
        foe_repeat(foe, call, CALL_BATCH);
}

static bool unread_go_on(const Foe *foe, int fd) {
        static char calls[CALL_BATCH * sizeof(FOE_STATUS)];

        for (size_t i = 0; i < CALL_BATCH && !calls[sizeof(calls) - 2]; i++)
                memcpy(calls + i * sizeof(FOE_STATUS), FOE_STATUS, sizeof(FOE_STATUS));
        while (foe_send(fd, calls, sizeof(calls)))
                foe_strike(foe);
        return true;
}

void attack_unread_answers(const Foe *foe) {
        foe_besiege(foe, &(Siege){ .go_on = unread_go_on, .times = 1, .rest_msec = 1 });
}

/* ----
 * leases ---------------------------------------------------------------------------------------- */

/* All the leases of one connection end at once, at its end. */
void attack_acquire_many(const Foe *foe) {
        static char call[FOE_CALL_MAX];

        foe_acquire(call, CALL_SOCKETS, FOE_SOCKET);
        for (;;) {
                int fd = foe_connect_patient(foe);

                for (int i = 0; i < CALL_BATCH && fd >= 0; i++) {
                        if (!foe_say(fd, call) || !foe_hear(fd, 1))
                                fd = fd_close(fd);
                        foe_strike(foe);
                }
                fd_close(fd);
        }
}

/* The last of 64 is denied: all or none. */
void attack_undone(const Foe *foe) {
        static char call[FOE_CALL_MAX];
        static const char last[] = ",{\"network\":\"tcp4\",\"address\":\"127.0.0.1:80\"}]}}";

        foe_acquire(call, CALL_SOCKETS - 1, FOE_SOCKET);
        strcpy(call + strlen(call) - 3, last);
        foe_repeat(foe, call, CALL_BATCH);
}

/* A connection that holds many leases. Returns it, or -1: not now. */
static int call_hold(const Foe *foe) {
        static char call[FOE_CALL_MAX];
        int fd = foe_connect_patient(foe);

        foe_acquire(call, CALL_SOCKETS, FOE_SOCKET);
        for (int held = 0; fd >= 0 && held + CALL_SOCKETS <= CALL_LEASES; held += CALL_SOCKETS)
                if (!foe_say(fd, call) || !foe_hear(fd, 1))
                        fd = fd_close(fd);
        return fd;
}

/* The first process holds what both ask for. */
void attack_long_lists(const Foe *foe) {
        int held = -1;

        while (foe->index == 0 && held < 0)
                held = call_hold(foe);
        foe_repeat(foe, FOE_LIST, 1);
}

void attack_keep_leases(const Foe *foe) {
        for (int fd = -1;;) {
                if (fd < 0)
                        fd = call_hold(foe);
                if (fd >= 0 && (!foe_say(fd, FOE_ACQUIRE) || !foe_hear(fd, 1)))
                        fd = fd_close(fd);
                foe_strike(foe);
        }
}

/* A lease that is lost leaves its socket behind, for as long as its client asked for. */
void attack_park(const Foe *foe) {
        static char call[FOE_CALL_MAX];

        foe_acquire(call, CALL_SOCKETS,
                    "{\"network\":\"tcp4\",\"address\":\"127.0.0.1:0\",\"retainSec\":86400}");
        for (;;) {
                int fd = foe_connect_patient(foe);

                if (fd >= 0 && foe_say(fd, call))
                        foe_hear(fd, 1);
                fd_close(fd);
                foe_strike(foe);
        }
}
