/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * two-listeners: one process, one port, two listeners on it. Each call gives a socket of its own, and
 * the kernel chooses one of them for each connection.
 *
 *     two-listeners NETWORK ADDRESS        two-listeners tcp localhost:0
 */

#include <client-lib/reuse-client.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        CONNECTIONS = 100,
};

static int listener(const char *network, const char *address) {
        reuse_error *error = NULL;
        int fd = reuse_listen(network, address, "sharing=group", &error);

        if (fd < 0) {
                fprintf(stderr, "two-listeners: %s\n",
                        error ? reuse_error_get_message(error) : strerror(-fd));
                reuse_error_free(error);
        }
        return fd;
}

/* Who of the two gets the next connection; -1: neither. */
static int connect_once(const int fds[2]) {
        struct pollfd p[] = { { .fd = fds[0], .events = POLLIN }, { .fd = fds[1], .events = POLLIN } };
        struct sockaddr_storage address = { 0 };
        socklen_t size = sizeof(address);
        int client, accepted, which;

        if (getsockname(fds[0], (struct sockaddr *)&address, &size) < 0)
                return -1;
        client = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (client < 0 || connect(client, (struct sockaddr *)&address, size) < 0 ||
            poll(p, 2, 5000) <= 0) {
                close(client);
                return -1;
        }
        which = p[0].revents ? 0 : 1;
        accepted = accept(fds[which], NULL, NULL);
        close(accepted);
        close(client);
        return accepted < 0 ? -1 : which;
}

static int share(const int fds[2], const char *address) {
        int counts[2] = { 0, 0 };

        for (int i = 0; i < CONNECTIONS; i++) {
                int which = connect_once(fds);

                if (which < 0) {
                        fprintf(stderr, "two-listeners: a connection reached neither of the two\n");
                        return 1;
                }
                counts[which]++;
        }
        printf("%s: %d connections to the first, %d to the second\n", address, counts[0], counts[1]);
        return 0;
}

int main(int argc, char **argv) {
        reuse_description *first = NULL;
        int fds[2] = { -1, -1 }, status = 1;

        if (argc != 3) {
                fprintf(stderr, "usage: two-listeners NETWORK ADDRESS\n");
                return 2;
        }
        fds[0] = listener(argv[1], argv[2]);
        /* The second goes where the first is: with port 0, the broker has chosen one. */
        if (fds[0] >= 0 && reuse_describe(fds[0], &first, NULL) == 0)
                fds[1] = listener(reuse_description_get_network(first),
                                  reuse_description_get_local_address(first));
        if (fds[1] >= 0)
                status = share(fds, reuse_description_get_local_address(first));
        reuse_description_free(first);
        for (int i = 0; i < 2; i++)
                if (fds[i] >= 0)
                        close(fds[i]);
        return status;
}
