/* SPDX-License-Identifier: BSD-2-Clause */

/* A holder that does to its socket what the kernel lets it, over and over. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdio.h>
#include <sys/socket.h>

#include "proto/cleanup.h"
#include "tests/bench/hostile-attack.h"
#include "tests/bench/link.h"

enum {
        GROUP_PORT = 20000,
};

typedef struct Holding {
        int control;
        int fd;
        struct sockaddr_in address;
} Holding;

/* A member of a group that only the processes of one attack are in. Rests until it gets one. */
static void holding_take(Holding *holding, const Foe *foe, unsigned port) {
        static char buffer[LINK_FRAME_MAX];
        char call[256];
        size_t n;

        *holding = (Holding){ .control = -1,
                              .fd = -1,
                              .address = { .sin_family = AF_INET,
                                           .sin_port = htons((uint16_t)port),
                                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
        snprintf(call, sizeof(call),
                 FOE_CALL("Acquire",
                          "{\"sockets\":[{\"network\":\"tcp4\",\"address\":\"127.0.0.1:%u\"}]}"),
                 port);
        while (holding->fd < 0) {
                if (holding->control < 0)
                        holding->control = foe_connect_patient(foe);
                if (holding->control < 0)
                        continue;
                if (!foe_say(holding->control, call) ||
                    link_receive(holding->control, buffer, &n, &holding->fd) < 0)
                        holding->control = fd_close(holding->control);
                if (holding->fd < 0)
                        foe_rest(1);
        }
}

/* Gives up the socket, and the lease by closing the connection. */
static void holding_drop(Holding *holding) {
        holding->fd = fd_close(holding->fd);
        holding->control = fd_close(holding->control);
}

/* Somebody connects, so that what was done shows; and resets, or it would use up the ports. */
static void holding_call(const Holding *holding) {
        static const struct linger reset = { .l_onoff = 1 };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        (void)connect(fd, (const struct sockaddr *)&holding->address, sizeof(holding->address));
        fd_close(fd);
        fd_close(accept4(holding->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

void attack_shutdown(const Foe *foe) {
        Holding holding;

        for (;;) {
                holding_take(&holding, foe, GROUP_PORT);
                for (int i = 0; i < 100; i++) {
                        shutdown(holding.fd, SHUT_RDWR);
                        foe_strike(foe);
                }
                holding_drop(&holding);
        }
}

/* Out of the group and back into it, without asking anybody. */
void attack_disconnect(const Foe *foe) {
        static const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
        Holding holding;

        for (;;) {
                holding_take(&holding, foe, GROUP_PORT + 1);
                for (int i = 0; i < 100; i++) {
                        (void)connect(holding.fd, &nowhere, sizeof(nowhere));
                        listen(holding.fd, i % 2);
                        foe_strike(foe);
                }
                holding_drop(&holding);
        }
}

void attack_take_program_off(const Foe *foe) {
        Holding holding;

        holding_take(&holding, foe, GROUP_PORT + 2);
        for (;;) {
                if (setsockopt(holding.fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &(int){ 0 },
                               sizeof(int)) == 0)
                        foe_strike(foe);
                holding_call(&holding);
        }
}

/* Everything else that a holder may try on what others have copies of. */
void attack_tamper(const Foe *foe) {
        static struct sock_filter first = { .code = BPF_RET | BPF_K, .k = 0 };
        static const struct sock_fprog program = { .len = 1, .filter = &first };
        static const int off[] = { SO_REUSEPORT, SO_LOCK_FILTER, SO_REUSEADDR, SO_KEEPALIVE };
        static const struct linger linger = { .l_onoff = 1, .l_linger = 60 };
        Holding holding;

        holding_take(&holding, foe, GROUP_PORT + 3);
        for (unsigned i = 0;; i++) {
                fcntl(holding.fd, F_SETFL, i % 2 ? 0 : O_NONBLOCK | O_ASYNC);
                setsockopt(holding.fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
                setsockopt(holding.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
                setsockopt(holding.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
                setsockopt(holding.fd, SOL_SOCKET, off[i % 4], &(int){ 0 }, sizeof(int));
                listen(holding.fd, 0);
                if (i % 16 == 0) {
                        holding_drop(&holding);
                        holding_take(&holding, foe, GROUP_PORT + 3);
                }
                foe_strike(foe);
        }
}
