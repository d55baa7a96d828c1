/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * dial-from-port: listens at two addresses, and connects from the first to the second. The other side
 * sees the connection come from where it could make one itself, which is what peers need of each other.
 *
 *     dial-from-port NETWORK FROM TO       dial-from-port tcp localhost:1234 localhost:1235
 */

#include <client-lib/reuse-client.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        PATIENCE_MSEC = 5000,
};

typedef struct Socket {
        int fd;
        reuse_description *what;
} Socket;

/* Keeps @fd, or says why there is none. With port 0, only the socket knows the one that was chosen. */
static int keep(Socket *socket, int fd, reuse_error *error) {
        int r = fd;

        socket->fd = fd;
        if (r >= 0)
                r = reuse_describe(fd, &socket->what, &error);
        if (r < 0)
                fprintf(stderr, "dial-from-port: %s\n",
                        error ? reuse_error_get_message(error) : strerror(-r));
        reuse_error_free(error);
        return r < 0 ? -1 : 0;
}

static int listen_at(Socket *listener, const char *network, const char *address) {
        reuse_error *error = NULL;
        int fd = reuse_listen(network, address, NULL, &error);

        return keep(listener, fd, error);
}

static int dial(Socket *client, const Socket *from, const Socket *to) {
        reuse_error *error = NULL;
        /* Without linger, TIME-WAIT would keep these two ends from a connection for a minute. */
        int fd = reuse_dial(reuse_description_get_network(to->what),
                            reuse_description_get_local_address(to->what),
                            reuse_description_get_local_address(from->what), "lingerSec=0",
                            REUSE_TIMEOUT_DEFAULT, &error);

        return keep(client, fd, error);
}

static int take(Socket *served, const Socket *listener) {
        struct pollfd p = { .fd = listener->fd, .events = POLLIN };
        int n = poll(&p, 1, PATIENCE_MSEC), fd = -ETIMEDOUT;

        if (n != 0) {
                fd = accept(listener->fd, NULL, NULL);
                fd = fd < 0 ? -errno : fd;
        }
        return keep(served, fd, NULL);
}

static void tell(const char *who, const Socket *end) {
        printf("%s %s, connected to %s\n", who, reuse_description_get_local_address(end->what),
               reuse_description_get_remote_address(end->what));
}

int main(int argc, char **argv) {
        Socket from = { .fd = -1 }, to = { .fd = -1 }, client = { .fd = -1 }, served = { .fd = -1 };
        Socket *all[] = { &client, &served, &from, &to };
        int status = 1;

        if (argc != 4) {
                fprintf(stderr, "usage: dial-from-port NETWORK FROM TO\n");
                return 2;
        }
        if (listen_at(&from, argv[1], argv[2]) == 0 && listen_at(&to, argv[1], argv[3]) == 0 &&
            dial(&client, &from, &to) == 0 && take(&served, &to) == 0) {
                tell("from", &client);
                tell("to", &served);
                status = 0;
        }
        for (int i = 0; i < 4; i++) {
                reuse_description_free(all[i]->what);
                if (all[i]->fd >= 0)
                        close(all[i]->fd);
        }
        return status;
}
