/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finding the broker and connecting to it without blocking. A UNIX socket connects at once or not at
 * all; when the broker's queue is full there is nothing to poll for, so it is tried again after a while.
 *
 * Of those who come then, the kernel lets in who waits inside connect(), first come, first served, and
 * who only looks in now and then is left to luck. So a call that blocks anyway waits there.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "build-config.h"
#include "client-lib/internal.h"

enum {
        BACKOFF_MIN_USEC = 1000,
        BACKOFF_MAX_USEC = 100 * 1000,
        /* The same where a broker is there and its queue is full: it lets in a hundred in that time. */
        QUEUE_BACKOFF_MAX_USEC = 8 * 1000,
        /* Whoever waits for room is then asked what else there is to do. */
        QUEUE_USEC_MAX = 100 * 1000,
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

static void back_off(reuse_client *client, uint64_t max_usec) {
        client->backoff = client->backoff == 0 ? BACKOFF_MIN_USEC : client->backoff * 2;
        if (client->backoff > max_usec)
                client->backoff = max_usec;
        client->retry_at = client_deadline(client_now(), client->backoff);
}

void client_back_off(reuse_client *client) {
        back_off(client, BACKOFF_MAX_USEC);
}

static int try_connect(const reuse_client *client) {
        int r = connect(client->channel.fd, (const struct sockaddr *)&client->address,
                        sizeof(client->address));

        return r < 0 ? -errno : 0;
}

static int client_connected_now(reuse_client *client) {
        client->queue_full = client->let_in = false;
        return 1;
}

int client_dial(reuse_client *client) {
        int r;

        if (client->let_in)
                return client_connected_now(client);
        if (client_now() < client->retry_at)
                return 0;
        if (client->channel.fd < 0)
                client->channel.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (client->channel.fd < 0)
                return -errno;
        r = try_connect(client);
        if (r == 0)
                return client_connected_now(client);
        client->queue_full = r == -EAGAIN;
        if (r != -EAGAIN && r != -EINTR)
                return r;
        back_off(client, QUEUE_BACKOFF_MAX_USEC);
        return 0;
}

int client_queue(reuse_client *client, uint64_t usec) {
        struct timeval timeout = { 0 };
        int r, fd = client->channel.fd;

        if (usec > QUEUE_USEC_MAX)
                usec = QUEUE_USEC_MAX;
        timeout.tv_usec = usec > 0 ? (suseconds_t)usec : 1; /* none would be for ever */
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        ioctl(fd, FIONBIO, &(int){ 0 });
        r = try_connect(client);
        ioctl(fd, FIONBIO, &(int){ 1 });
        client->let_in = r == 0;
        /* Another failure is met again, and told, by the next try. */
        client->retry_at = 0;
        return r == -EINTR ? r : 0;
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

/* Returns 0 or -ENOMEM. */
static int client_new(reuse_client **ret) {
        reuse_client *client = calloc(1, sizeof(*client));

        if (!client)
                return -ENOMEM;
        TAILQ_INIT(&client->calls);
        TAILQ_INIT(&client->outgoings);
        TAILQ_INIT(&client->settled);
        STAILQ_INIT(&client->notices);
        client->timeout = REUSE_TIMEOUT_DEFAULT;
        client->reconnect = REUSE_RECONNECT_DEFAULT;
        client->since = client_now();
        client->poll_fd = -1;
        channel_init(&client->channel, -1, REPLY_SIZE_MAX, true);
        *ret = client;
        return 0;
}

int client_new_alone(reuse_error *why, reuse_client **ret) {
        int r = client_new(ret);

        if (r < 0) {
                reuse_error_free(why);
                return r;
        }
        (*ret)->state = CLIENT_ALONE;
        (*ret)->until = UINT64_MAX;
        (*ret)->refusal = why;
        return 0;
}

_public_ int reuse_client_connect(const char *path, reuse_client **ret, reuse_error **ret_error) {
        _cleanup_(reuse_client_freep) reuse_client *client = NULL;
        int r;

        reuse_error_clear(ret_error);
        if (!ret)
                return -EINVAL;
        r = client_new(&client);
        if (r < 0)
                return r;
        r = client_set_address(client, path);
        if (r < 0)
                return reuse_error_set(ret_error, r,
                                       "the path of the broker's socket is empty or too long");
        r = client_dial(client);
        if (r < 0)
                return client_dial_error(client, r, ret_error);
        client->state = r > 0 ? CLIENT_OPEN : CLIENT_CONNECTING;
        *ret = ptr_take(client);
        return 0;
}
