/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * hello: a web server in C that gets its port from the broker. One line makes it a member of the group;
 * the rest is any accept loop.
 *
 *     hello NETWORK ADDRESS OPTIONS        hello tcp 127.0.0.1:8080 name=web
 */

#include <client-lib/reuse-client.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve(int client) {
        char request[4096], reply[256], body[64];
        int n;

        if (read(client, request, sizeof(request)) <= 0)
                return;
        snprintf(body, sizeof(body), "hello from C, uid %u\n", getuid());
        n = snprintf(reply, sizeof(reply),
                     "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nServer: C/%d/uid-%u\r\nConnection: "
                     "close\r\n\r\n%s",
                     strlen(body), getpid(), getuid(), body);
        send(client, reply, (size_t)n, MSG_NOSIGNAL);
}

int main(int argc, char **argv) {
        struct timeval patience = { .tv_sec = 5 };
        reuse_error *error = NULL;
        struct pollfd listener = { .events = POLLIN };

        if (argc != 4) {
                fprintf(stderr, "usage: hello NETWORK ADDRESS OPTIONS\n");
                return 2;
        }
        listener.fd = reuse_listen(argv[1], argv[2], argv[3], &error);
        if (listener.fd < 0) {
                fprintf(stderr, "hello: %s\n",
                        error ? reuse_error_get_message(error) : strerror(-listener.fd));
                reuse_error_free(error);
                return 1;
        }
        while (poll(&listener, 1, -1) > 0 || errno == EINTR) {
                int client = accept(listener.fd, NULL, NULL);

                if (client < 0)
                        continue; /* the descriptor is non-blocking; somebody may hang up before */
                setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
                serve(client);
                close(client);
        }
        return 1;
}
