/* SPDX-License-Identifier: BSD-2-Clause */

/* Descriptors that nobody takes, that nobody asked for, or that there are none left of. */

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/cleanup.h"
#include "tests/bench/hostile-attack.h"

enum {
        DESCRIPTOR_SOCKETS = 64,
        DESCRIPTOR_SENT = 64,
        DESCRIPTOR_REST_MSEC = 10,
};

/* Of one shared socket, so that leases are all it takes. */
static void in_flight_begin(const Foe *foe, int fd) {
        static char call[FOE_CALL_MAX];

        foe_acquire(call, DESCRIPTOR_SOCKETS,
                    "{\"network\":\"tcp4\",\"address\":\"127.0.0.1:0\",\"name\":\"in-flight\","
                    "\"sharing\":\"shared\"}");
        for (int i = 0; i < 4; i++)
                foe_say(fd, call);
}

void attack_in_flight(const Foe *foe) {
        foe_besiege(foe, &(Siege){ .begin = in_flight_begin, .rest_msec = DESCRIPTOR_REST_MSEC });
}

/* Each connection takes a descriptor of the broker, and each socket one more, as does each process. */
static void exhaust_begin(const Foe *foe, int fd) {
        static const char for_process[] =
                FOE_CALL("Acquire", "{\"sockets\":[" FOE_SOCKET "],\"lifetime\":\"process\"}");

        for (int i = 0; i < 8; i++)
                foe_say(fd, for_process);
}

static bool exhaust_go_on(const Foe *foe, int fd) {
        return foe_drain(fd);
}

void attack_exhaust(const Foe *foe) {
        foe_besiege(
                foe,
                &(Siege){ .begin = exhaust_begin, .go_on = exhaust_go_on, .times = 1, .rest_msec = 1 });
}

/* ---- descriptors for the broker ------------------------------------------------------------------- */

typedef union ControlBuffer {
        struct cmsghdr header;
        char space[CMSG_SPACE(DESCRIPTOR_SENT * sizeof(int))];
} ControlBuffer;

/* Sends @n bytes, with as many copies of @passed as go into one message. */
static bool send_with(int fd, const char *data, size_t n, int passed) {
        struct iovec iov = { .iov_base = (char *)data, .iov_len = n };
        ControlBuffer control = { .header = { .cmsg_len = CMSG_LEN(DESCRIPTOR_SENT * sizeof(int)),
                                              .cmsg_level = SOL_SOCKET,
                                              .cmsg_type = SCM_RIGHTS } };
        struct msghdr header = { .msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control) };

        for (size_t i = 0; i < DESCRIPTOR_SENT; i++)
                memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &passed, sizeof(int));
        return sendmsg(fd, &header, MSG_NOSIGNAL) >= 0;
}

/* With a whole call, with a part of one, and with the connection itself, which then refers to itself. */
void attack_send_descriptors(const Foe *foe) {
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        for (unsigned i = 0;; i++) {
                int fd = foe_connect_patient(foe);

                if (fd >= 0) {
                        size_t n = i % 2 ? sizeof(FOE_STATUS) : sizeof(FOE_STATUS) / 2;

                        /* The kernel may refuse it to the sender. Then the same without them. */
                        if (!send_with(fd, FOE_STATUS, n, i % 4 < 2 ? null : fd))
                                foe_send(fd, FOE_STATUS, n);
                        if (n == sizeof(FOE_STATUS))
                                foe_hear(fd, 1);
                }
                fd_close(fd);
                foe_strike(foe);
        }
}
