/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finding the broker and connecting to it without blocking. A UNIX socket connects at once or not at
 * all; when the broker's queue is full there is nothing to poll for, so it is tried again after a while.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "build-config.h"
#include "client-lib/internal.h"

enum {
        BACKOFF_MIN_USEC = 1000,
        BACKOFF_MAX_USEC = 100 * 1000,
};

#define USER_SOCKET "reuseportd/io.reuseportd"

static bool path_exists(const char *path) {
        struct stat st;

        return stat(path, &st) == 0;
}

_public_ int reuse_default_socket(char *buffer, size_t size) {
        const char *named = secure_getenv("REUSEPORTD_SOCKET");
        const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
        int n;

        if (!buffer || size == 0)
                return -EINVAL;
        if (!named || !*named)
                named = DEFAULT_SOCKET;
        else
                runtime = NULL;

        if (runtime && *runtime && !path_exists(named)) {
                n = snprintf(buffer, size, "%s/" USER_SOCKET, runtime);
                if (n >= 0 && (size_t)n < size && path_exists(buffer))
                        return 0;
        }
        n = snprintf(buffer, size, "%s", named);
        return n >= 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

int client_dial_error(const reuse_client *client, int number, reuse_error **ret_error) {
        const char *path = client->address.sun_path;

        switch (number) {
        case -ENOENT:
        case -ECONNREFUSED:
                return reuse_error_set(ret_error, number,
                                       "no broker at %s: start reuseportd, or name its socket by "
                                       "$REUSEPORTD_SOCKET",
                                       path);
        case -EACCES:
        case -EPERM:
                return reuse_error_set(
                        ret_error, number,
                        "not allowed to connect to %s: ask for SocketMode= or SocketGroup= in "
                        "reuseportd.conf(5) or, with systemd, for the group of reuseportd.socket",
                        path);
        case -ETIMEDOUT:
                return reuse_error_set(
                        ret_error, number,
                        "the broker at %s takes no connection: too many clients wait for it", path);
        default:
                return reuse_error_set(ret_error, number, "cannot connect to %s: %s", path,
                                       strerrordesc_np(-number) ?: "unknown error");
        }
}

static int client_connected(reuse_client *client) {
        client->idle_fd = fd_close(client->idle_fd);
        client->state = CLIENT_OPEN;
        client_send_held(client);
        return 1;
}

int client_dial(reuse_client *client) {
        uint64_t now = client_now();

        if (now < client->retry_at)
                return 0;
        if (connect(client->channel.fd, (struct sockaddr *)&client->address, sizeof(client->address)) ==
            0)
                return client_connected(client);
        if (errno != EAGAIN && errno != EINTR)
                return -errno;

        /* To poll(), a socket that is not connected has hung up, and would keep a loop busy. */
        if (client->idle_fd < 0) {
                client->idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
                if (client->idle_fd < 0)
                        return -errno;
        }
        client->backoff = client->backoff == 0 ? BACKOFF_MIN_USEC : client->backoff * 2;
        if (client->backoff > BACKOFF_MAX_USEC)
                client->backoff = BACKOFF_MAX_USEC;
        client->retry_at = client_deadline(now, client->backoff);
        return 0;
}

static int client_set_address(reuse_client *client, const char *socket) {
        client->address.sun_family = AF_UNIX;
        if (!socket)
                return reuse_default_socket(client->address.sun_path, sizeof(client->address.sun_path));
        if (!*socket)
                return -EINVAL;
        if (strlen(socket) >= sizeof(client->address.sun_path))
                return -ENAMETOOLONG;
        strcpy(client->address.sun_path, socket);
        return 0;
}

_public_ int reuse_client_connect(const char *path, reuse_client **ret, reuse_error **ret_error) {
        _cleanup_(reuse_client_freep) reuse_client *client = NULL;
        int fd, r;

        reuse_error_clear(ret_error);
        if (!ret)
                return -EINVAL;
        client = calloc(1, sizeof(*client));
        if (!client)
                return -ENOMEM;
        TAILQ_INIT(&client->calls);
        client->timeout = REUSE_TIMEOUT_DEFAULT;
        client->since = client_now();
        client->idle_fd = -1;
        channel_init(&client->channel, -1, REPLY_SIZE_MAX, true);

        r = client_set_address(client, path);
        if (r < 0)
                return reuse_error_set(ret_error, r,
                                       "the path of the broker's socket is empty or too long");
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return client_dial_error(client, -errno, ret_error);
        client->channel.fd = fd;

        r = client_dial(client);
        if (r < 0)
                return client_dial_error(client, r, ret_error);
        *ret = ptr_take(client);
        return 0;
}
