/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * steady: an echo server in one loop that outlives its broker. The library dials again and takes the
 * lease up; what the program adds is to serve another descriptor when it is given one.
 *
 *     steady SPEC                          steady tcp:127.0.0.1:7000,name=echo
 */

#include <client-lib/reuse-client.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct Server {
        int loop;
        int library;            /* what the library has us poll; the same all the time */
        reuse_sockets *sockets; /* NULL: nothing to serve */
} Server;

static int listener_of(const Server *server) {
        return reuse_sockets_get_fd(server->sockets, 0);
}

static int watch(int loop, int fd) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

        return epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

static void echo(int client) {
        struct timeval patience = { .tv_sec = 5 };
        char text[4096];
        ssize_t n;

        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        while ((n = read(client, text, sizeof(text))) > 0)
                if (send(client, text, (size_t)n, MSG_NOSIGNAL) != n)
                        break;
        close(client);
}

/* Until nobody waits: the descriptor is non-blocking. */
static void serve(int listener) {
        int client;

        while ((client = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
                echo(client);
}

static void serve_other(Server *server, reuse_sockets *sockets) {
        if (server->sockets)
                serve(listener_of(server)); /* those who came while there was no broker */
        reuse_sockets_free(server->sockets);
        server->sockets = sockets;
        if (sockets && watch(server->loop, listener_of(server)) < 0)
                perror("steady");
}

static int on_notice(reuse_client *client, reuse_notice *notice, void *userdata) {
        Server *server = userdata;

        (void)client;
        switch (reuse_notice_get_what(notice)) {
        case REUSE_NOTICE_CLOSE:
                serve_other(server, NULL);
                break;
        case REUSE_NOTICE_REPLACED:
                serve_other(server, reuse_notice_take_sockets(notice));
                fprintf(stderr, "steady: now at %s\n", reuse_sockets_get_address(server->sockets, 0));
                break;
        case REUSE_NOTICE_GONE:
                fprintf(stderr, "steady: %s\n", reuse_error_get_message(reuse_notice_get_error(notice)));
                break;
        }
        return 0;
}

/* Milliseconds until the library wants its turn, whatever its descriptor says. */
static int patience(const reuse_client *client) {
        uint64_t now, due = reuse_client_get_timeout(client);
        struct timespec clock;

        clock_gettime(CLOCK_MONOTONIC, &clock);
        now = (uint64_t)clock.tv_sec * 1000000 + (uint64_t)clock.tv_nsec / 1000;
        return due == UINT64_MAX ? -1 : due <= now ? 0 : (int)((due - now) / 1000) + 1;
}

static int run(Server *server, reuse_client *client) {
        struct epoll_event event;
        int r;

        for (;;) {
                do
                        r = reuse_client_process(client);
                while (r > 0);
                if (r < 0)
                        return r;
                r = epoll_wait(server->loop, &event, 1, patience(client));
                if (r < 0 && errno != EINTR)
                        return -errno;
                if (r > 0 && event.data.fd != server->library)
                        serve(event.data.fd);
        }
}

static int start(Server *server, reuse_client *client, const char *spec, reuse_error **error) {
        reuse_request *request = NULL;
        int r;

        r = reuse_request_new(&request);
        if (r >= 0)
                r = reuse_request_add_spec(request, spec, error);
        if (r >= 0)
                r = reuse_client_acquire(client, request, &server->sockets, error);
        reuse_request_free(request);
        if (r < 0)
                return r;
        fprintf(stderr, "steady: at %s\n", reuse_sockets_get_address(server->sockets, 0));
        reuse_client_set_notice_handler(client, on_notice, server);
        server->library = reuse_client_get_fd(client);
        server->loop = epoll_create1(EPOLL_CLOEXEC);
        if (server->library < 0 || server->loop < 0 || watch(server->loop, server->library) < 0 ||
            watch(server->loop, listener_of(server)) < 0)
                return -errno;
        return run(server, client);
}

int main(int argc, char **argv) {
        Server server = { .loop = -1 };
        reuse_client *client = NULL;
        reuse_error *error = NULL;
        int r;

        if (argc != 2) {
                fprintf(stderr, "usage: steady SPEC\n");
                return 2;
        }
        r = reuse_client_connect(NULL, &client, &error);
        if (r >= 0)
                r = start(&server, client, argv[1], &error);
        fprintf(stderr, "steady: %s\n", error ? reuse_error_get_message(error) : strerror(-r));
        reuse_error_free(error);
        reuse_sockets_free(server.sockets);
        reuse_client_free(client);
        return 1;
}
