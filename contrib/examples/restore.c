/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * restore: a server that makes no socket itself. It serves what its parent passes by LISTEN_FDS, and
 * says what each descriptor is; whether the parent is reusectl, systemd or a shell is all the same to
 * it.
 *
 *     reusectl run -l tcp:localhost:8080,name=web -l udp:localhost:8080,name=dns -- restore
 *
 * Who connects is told the name; datagrams are answered with it.
 */

#include <client-lib/reuse-client.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Returns whether it can be served: it listens, or takes datagrams of anybody. */
static int tell(int fd, const char *name) {
        reuse_description *description = NULL;
        reuse_error *error = NULL;
        const char *remote, *how;
        int served;

        if (reuse_describe(fd, &description, &error) < 0) {
                printf("%s: %s\n", name, reuse_error_get_message(error));
                reuse_error_free(error);
                return 0;
        }
        remote = reuse_description_get_remote_address(description);
        served = reuse_description_get_listening(description) ||
                 (reuse_description_get_type(description) == SOCK_DGRAM && !remote);
        how = remote                                         ? "connected"
              : reuse_description_get_listening(description) ? "listening"
                                                             : "bound";
        printf("%s: %s %s %s%s%s\n", name, how, reuse_description_get_network(description),
               reuse_description_get_local_address(description), remote ? " to " : "", remote ?: "");
        reuse_description_free(description);
        return served;
}

static void serve(int fd, const char *name) {
        struct sockaddr_storage from;
        socklen_t size = sizeof(from);
        char datagram[1024];
        int client = accept(fd, NULL, NULL);

        if (client >= 0) {
                send(client, name, strlen(name), MSG_NOSIGNAL);
                close(client);
        } else if (recvfrom(fd, datagram, sizeof(datagram), 0, (struct sockaddr *)&from, &size) >= 0)
                sendto(fd, name, strlen(name), 0, (struct sockaddr *)&from, size);
}

static int run(reuse_inherited *inherited) {
        size_t n = reuse_inherited_count(inherited);
        struct pollfd *served = calloc(n + 1, sizeof(*served));

        if (!served)
                return 1;
        for (size_t i = 0; i < n; i++) {
                int fd = reuse_inherited_get_fd(inherited, i);

                served[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
                if (!tell(fd, reuse_inherited_get_name(inherited, i)))
                        continue;
                /* Another holder of the same socket may be quicker to accept. */
                fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
                served[i].fd = fd;
        }
        fflush(stdout);
        /* As a service of a script, which closes our standard input when it goes. */
        served[n] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
        while ((poll(served, n + 1, -1) > 0 || errno == EINTR) && !served[n].revents)
                for (size_t i = 0; i < n; i++)
                        if (served[i].revents)
                                serve(served[i].fd, reuse_inherited_get_name(inherited, i));
        free(served);
        return 0;
}

int main(void) {
        reuse_inherited *inherited = NULL;
        reuse_error *error = NULL;
        int status;

        if (reuse_inherited_new(REUSE_INHERITED_UNSET, &inherited, &error) < 0) {
                fprintf(stderr, "restore: %s\n", reuse_error_get_message(error));
                reuse_error_free(error);
                return 1;
        }
        if (reuse_inherited_count(inherited) == 0) {
                fprintf(stderr, "restore: nothing was passed to this process: start it with: reusectl "
                                "run -l tcp:localhost:8080 -- ./restore\n");
                reuse_inherited_free(inherited);
                return 1;
        }
        status = run(inherited);
        reuse_inherited_free(inherited);
        return status;
}
