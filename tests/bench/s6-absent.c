/* SPDX-License-Identifier: BSD-2-Clause */

/* In place of s6-peer.c where libs6 is not there: the other figures are worth having without. */

#include <errno.h>

#include "proto/error.h"
#include "tests/bench/s6-peer.h"

int s6_peer_new(const char *folder, S6Peer **ret) {
        return error_origin(-EOPNOTSUPP);
}

S6Peer *s6_peer_free(S6Peer *peer) {
        return NULL;
}

int s6_peer_step_retrieve(void *userdata) {
        return error_origin(-EOPNOTSUPP);
}

int s6_peer_step_close(void *userdata) {
        return error_origin(-EOPNOTSUPP);
}

int s6_peer_step_make(void *userdata) {
        return error_origin(-EOPNOTSUPP);
}

int s6_peer_step_delete(void *userdata) {
        return error_origin(-EOPNOTSUPP);
}

int s6_peer_step_visit(void *userdata) {
        return error_origin(-EOPNOTSUPP);
}

int s6_peer_step_leave(void *userdata) {
        return error_origin(-EOPNOTSUPP);
}
