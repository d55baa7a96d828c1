/* SPDX-License-Identifier: BSD-2-Clause */

/* Both answer by themselves, without a file or another server behind them. */

#include "tests/bench/churn-peer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/churn-kind.h"
#include "tests/bench/scratch.h"

enum {
        PEER_TEXT_MAX = 2048,
        /* Between two attempts to connect to a server that starts. */
        PEER_RETRY_MSEC = 10,
};

typedef struct PeerRow {
        const char *program;
        int reload; /* the signal */
        const char *file;
        int (*configure)(char *text, size_t size, size_t workers, const char *folder);
        const char *arguments[6]; /* before the name of the file */
} PeerRow;

static int nginx_configure(char *text, size_t size, size_t workers, const char *folder) {
        return snprintf(text, size,
                        "worker_processes %1$zu;\n"
                        "user root;\n"
                        "daemon off;\n"
                        "pid %2$s/nginx.pid;\n"
                        "error_log %2$s/nginx.log;\n"
                        "events { worker_connections 4096; }\n"
                        "http {\n"
                        "    access_log off;\n"
                        "    client_body_temp_path %2$s/nginx-body;\n"
                        "    proxy_temp_path %2$s/nginx-proxy;\n"
                        "    fastcgi_temp_path %2$s/nginx-fastcgi;\n"
                        "    scgi_temp_path %2$s/nginx-scgi;\n"
                        "    uwsgi_temp_path %2$s/nginx-uwsgi;\n"
                        "    server {\n"
                        "        listen 127.0.0.1:8080 reuseport backlog=4096;\n"
                        "        location / { return 200 \".\"; }\n"
                        "    }\n"
                        "}\n",
                        workers, folder);
}

static int haproxy_configure(char *text, size_t size, size_t workers, const char *folder) {
        return snprintf(text, size,
                        "global\n"
                        "    nbthread %1$zu\n"
                        "    stats socket %2$s/haproxy.stats level admin expose-fd listeners\n"
                        "    hard-stop-after 5s\n"
                        "defaults\n"
                        "    mode http\n"
                        "    timeout client 5s\n"
                        "    timeout server 5s\n"
                        "    timeout connect 5s\n"
                        "frontend churn\n"
                        "    bind 127.0.0.1:8080 backlog 4096\n"
                        "    http-request return status 200 content-type text/plain string \".\"\n",
                        workers, folder);
}

static const PeerRow peers[_PEER_KIND_N] = {
        [PEER_NGINX] = { "nginx", SIGHUP, "nginx.conf", nginx_configure, { "-e", "/dev/null", "-c" } },
        [PEER_HAPROXY] = { "haproxy", SIGUSR2, "haproxy.conf", haproxy_configure, { "-W", "-q", "-f" } },
};

/* Servers are where an ordinary user's PATH may not lead. */
static bool program_find(const char *name, char *ret, size_t size) {
        static const char *const folders[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                               "/usr/bin" };

        for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
                if (snprintf(ret, size, "%s/%s", folders[i], name) < (int)size && access(ret, X_OK) == 0)
                        return true;
        return false;
}

static int peer_connect(void) {
        _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        Address address;
        int r;

        if (fd < 0)
                return error_origin(-errno);
        r = kind_address(KIND_TCP4, &address);
        if (r < 0)
                return error_trace(r);
        return connect(fd, &address.u.sa, address.len) < 0 ? -errno : 0;
}

/* Until somebody, or nobody any more, listens there. */
static int peer_await(const Peer *peer, int outcome) {
        struct pollfd ended = { .fd = peer->child.pidfd, .events = POLLIN };

        for (int waited = 0; peer_connect() != outcome; waited += PEER_RETRY_MSEC) {
                int n = poll(&ended, 1, PEER_RETRY_MSEC);

                if (n < 0)
                        return error_origin(-errno);
                if (n > 0)
                        return error_origin(-ECHILD);
                if (waited > CHILD_PATIENCE_MSEC)
                        return error_origin(-ETIMEDOUT);
        }
        return 0;
}

int peer_start(PeerKind kind, const char *folder, size_t workers, Peer *peer) {
        const PeerRow *row = &peers[kind];
        char program[64], config[SCRATCH_PATH_MAX + 32], text[PEER_TEXT_MAX];
        const char *argv[8] = { program };
        size_t n = 1;
        int r;

        *peer = (Peer){ .kind = kind, .child = CHILD_NONE };
        if (!program_find(row->program, program, sizeof(program)))
                return PEER_E_MISSING;
        for (size_t i = 0; row->arguments[i]; i++)
                argv[n++] = row->arguments[i];
        argv[n] = config;
        snprintf(config, sizeof(config), "%s/%s", folder, row->file);
        if (row->configure(text, sizeof(text), workers, folder) >= (int)sizeof(text))
                return error_origin(-ENAMETOOLONG);
        r = scratch_write(folder, row->file, text);
        if (r == 0)
                r = child_exec(argv, NULL, NULL, -1, &peer->child);
        if (r == 0)
                r = peer_await(peer, 0);
        return r < 0 ? error_trace(r) : 0;
}

/* A worker may be a moment behind its master, and would answer in the next server's place. */
void peer_stop(Peer *peer) {
        if (peer->child.pid < 0)
                return;
        child_stop(&peer->child);
        peer_await(peer, -ECONNREFUSED);
}

int peer_reload(Peer *peer) {
        struct pollfd ended = { .fd = peer->child.pidfd, .events = POLLIN };

        if (poll(&ended, 1, 0) != 0)
                return error_origin(-ECHILD);
        if (kill(peer->child.pid, peers[peer->kind].reload) < 0)
                return error_origin(-errno);
        peer->reloads++;
        return 0;
}
