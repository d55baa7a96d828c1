/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Setting a mark took CAP_NET_ADMIN until Linux 5.17, and takes CAP_NET_RAW or CAP_NET_ADMIN since; the
 * other options have a history of their own. CAP_NET_RAW is the lesser one: it lets a process see and
 * forge traffic, but not change the host's network, and no socket for the former passes the filter
 * unless rules give raw IP.
 */

#include "daemon/right-trial.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/socket.h>

#include "daemon/rule.h"
#include "proto/cleanup.h"
#include "proto/error.h"

#define RAW CAPABILITY(CAP_NET_RAW)
#define ADMIN CAPABILITY(CAP_NET_ADMIN)

typedef struct Trial {
        PolicyRight right;
        const char *name;
        int level, optname;
        int value; /* set, and then 0: to leave a device takes more than to enter one */
} Trial;

/* freeBind takes nothing. */
static const Trial trials[] = {
        { POLICY_RIGHT_MARK, "mark", SOL_SOCKET, SO_MARK, 1 },
        { POLICY_RIGHT_TRANSPARENT, "transparent", SOL_IP, IP_TRANSPARENT, 1 },
        { POLICY_RIGHT_BIND_TO_DEVICE, "bindToDevice", SOL_SOCKET, SO_BINDTOIFINDEX, 1 },
        /* The lowest that takes anything. */
        { POLICY_RIGHT_PRIORITY, "priority above 6", SOL_SOCKET, SO_PRIORITY, 7 },
};

enum {
        N_TRIALS = sizeof(trials) / sizeof(trials[0]),
};

/* Any other error is not for want of a capability. */
static bool trial_refused(const Trial *trial, int fd) {
        const int values[] = { trial->value, 0 };

        for (int i = 0; i < 2; i++)
                if (setsockopt(fd, trial->level, trial->optname, &values[i], sizeof(int)) < 0 &&
                    errno == EPERM)
                        return true;
        return false;
}

unsigned right_trial_refused(unsigned rights) {
        unsigned refused = 0;

        for (int i = 0; i < N_TRIALS; i++) {
                _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

                /* "raw" can do by number what the others do by name. */
                if (rights & (trials[i].right | POLICY_RIGHT_RAW) && fd >= 0 &&
                    trial_refused(&trials[i], fd))
                        refused |= trials[i].right;
        }
        return refused;
}

int right_trial_needs(unsigned rights, CapabilitySet *ret) {
        static const CapabilitySet sets[] = { 0, RAW, ADMIN, RAW | ADMIN };
        const CapabilitySet effective = privileges_effective();
        unsigned least = right_trial_refused(rights), refused;
        size_t i = 0;
        int r;

        do {
                r = privileges_use((effective & ~(RAW | ADMIN)) | (effective & sets[i]));
                if (r < 0)
                        return error_trace(r);
                refused = right_trial_refused(rights);
        } while (refused != least && ++i < sizeof(sets) / sizeof(sets[0]) - 1);
        r = privileges_use(effective);
        if (r < 0)
                return error_trace(r);
        *ret = effective & sets[i];
        return 0;
}

const char *right_trial_names(unsigned rights, char *buffer, size_t size) {
        size_t n = 0;

        buffer[0] = '\0';
        for (int i = 0; i < N_TRIALS; i++)
                if (rights & trials[i].right && n < size)
                        n += (size_t)snprintf(buffer + n, size - n, "%s%s", n > 0 ? ", " : "",
                                              trials[i].name);
        return buffer;
}
