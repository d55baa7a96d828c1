/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Used as its manual says: a rules folder that allows this user everything, one connection kept for the
 * steps that are about the request alone.
 */

#include "tests/bench/s6-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <s6/fdholder.h>
#include <skalibs/tai.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/child.h"
#include "tests/bench/group-socket.h"
#include "tests/bench/scratch.h"

#define S6_STORED "stored"
#define S6_MADE "made"

struct S6Peer {
        Child child;
        char path[SCRATCH_PATH_MAX + 16];
        s6_fdholder_t kept;  /* the connection that stays */
        s6_fdholder_t visit; /* the one of a visit */
        struct sockaddr_in group_address;
        int group; /* keeps the group's address in use */
        int made;
        int held;
        tain deadline; /* of every request: this run is over long before */
        tain forever;  /* how long what was stored is kept */
};

CLEANUP_DEFINE(S6Peer, s6_peer_free)

static int rules_write(const char *folder) {
        static const struct {
                const char *file, *text;
        } rules[] = {
                { "allow", "" },
                { "env/S6_FDHOLDER_STORE_REGEX", ".*\n" },
                { "env/S6_FDHOLDER_RETRIEVE_REGEX", ".*\n" },
        };
        char name[64];
        int r;

        for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
                snprintf(name, sizeof(name), "s6-rules/uid/%u/%s", (unsigned)getuid(), rules[i].file);
                r = scratch_write(folder, name, rules[i].text);
                if (r < 0)
                        return error_trace(r);
        }
        return 0;
}

/* The daemon writes a newline to its standard output when it is ready. */
static int daemon_start(const char *folder, const char *path, Child *ret) {
        char rules[SCRATCH_PATH_MAX + 16];
        const char *argv[] = { "s6-fdholder-daemon", "-1", "-n", "1000", "-i", rules, path, NULL };
        Child child;
        int ready[2], r;

        snprintf(rules, sizeof(rules), "%s/s6-rules", folder);
        if (pipe2(ready, O_CLOEXEC) < 0)
                return error_origin(-errno);
        r = child_exec(argv, NULL, NULL, ready[1], &child);
        fd_close(ready[1]);
        if (r == 0) {
                r = child_await(&child, ready[0]);
                if (r < 0)
                        child_stop(&child);
        }
        fd_close(ready[0]);
        if (r < 0)
                return error_trace(r);
        *ret = child;
        return 0;
}

static int s6_peer_connect(S6Peer *peer, s6_fdholder_t *connection) {
        *connection = (s6_fdholder_t)S6_FDHOLDER_ZERO;
        s6_fdholder_init(connection, -1);
        return s6_fdholder_start_g(connection, peer->path, &peer->deadline) ? 0 : error_origin(-errno);
}

/* The socket stored first, and the address of the group made later. */
static int s6_peer_fill(S6Peer *peer) {
        int r;

        peer->group_address = (struct sockaddr_in){
                .sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        r = group_socket_listen(&peer->group_address, &peer->group);
        if (r < 0)
                return error_trace(r);
        if (!s6_fdholder_store_g(&peer->kept, peer->group, S6_STORED, &peer->forever, &peer->deadline))
                return error_origin(-errno);
        return 0;
}

int s6_peer_new(const char *folder, S6Peer **ret) {
        _cleanup_(s6_peer_freep) S6Peer *peer = NULL;
        int r;

        peer = malloc(sizeof(*peer));
        if (!peer)
                return error_origin(-ENOMEM);
        *peer = (S6Peer){ .child = CHILD_NONE, .group = -1, .made = -1, .held = -1 };
        s6_fdholder_init(&peer->kept, -1);
        snprintf(peer->path, sizeof(peer->path), "%s/s6", folder);
        tain_now_g();
        tain_addsec_g(&peer->deadline, 3600);
        tain_add_g(&peer->forever, &tain_infinite_relative);

        r = rules_write(folder);
        if (r == 0)
                r = daemon_start(folder, peer->path, &peer->child);
        if (r == 0)
                r = s6_peer_connect(peer, &peer->kept);
        if (r == 0)
                r = s6_peer_fill(peer);
        if (r < 0)
                return error_trace(r);
        *ret = ptr_take(peer);
        return 0;
}

S6Peer *s6_peer_free(S6Peer *peer) {
        if (!peer)
                return NULL;
        s6_fdholder_end(&peer->kept);
        fd_close(peer->group);
        fd_close(peer->made);
        fd_close(peer->held);
        child_stop(&peer->child);
        free(peer);
        return NULL;
}

static int s6_peer_retrieve(S6Peer *peer, s6_fdholder_t *connection, const char *name) {
        peer->held = s6_fdholder_retrieve_g(connection, name, &peer->deadline);
        return peer->held < 0 ? error_origin(-errno) : 0;
}

int s6_peer_step_retrieve(void *userdata) {
        S6Peer *peer = userdata;

        return s6_peer_retrieve(peer, &peer->kept, S6_STORED);
}

int s6_peer_step_close(void *userdata) {
        S6Peer *peer = userdata;

        peer->held = fd_close(peer->held);
        return 0;
}

int s6_peer_step_make(void *userdata) {
        S6Peer *peer = userdata;
        int r = group_socket_listen(&peer->group_address, &peer->made);

        if (r < 0)
                return error_trace(r);
        if (!s6_fdholder_store_g(&peer->kept, peer->made, S6_MADE, &peer->forever, &peer->deadline))
                return error_origin(-errno);
        peer->made = fd_close(peer->made);
        return s6_peer_retrieve(peer, &peer->kept, S6_MADE);
}

int s6_peer_step_delete(void *userdata) {
        S6Peer *peer = userdata;

        peer->held = fd_close(peer->held);
        return s6_fdholder_delete_g(&peer->kept, S6_MADE, &peer->deadline) ? 0 : error_origin(-errno);
}

int s6_peer_step_visit(void *userdata) {
        S6Peer *peer = userdata;
        int r = s6_peer_connect(peer, &peer->visit);

        return r < 0 ? error_trace(r) : s6_peer_retrieve(peer, &peer->visit, S6_STORED);
}

int s6_peer_step_leave(void *userdata) {
        S6Peer *peer = userdata;

        peer->held = fd_close(peer->held);
        s6_fdholder_end(&peer->visit);
        return 0;
}
