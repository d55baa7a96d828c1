/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What a member has in its hands, in memory shared with whoever kills it: nobody could have saved that
 * one connection. One store tells all, so that it is true whenever the member dies.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HAND_EMPTY UINT64_C(0)
/* Within accept() or recvfrom(): there may be one, and the member does not know yet whose. */
#define HAND_REACHING UINT64_C(1)

typedef struct Hand {
        _Alignas(64) _Atomic uint64_t holds;
        _Atomic int serves;      /* the member has its socket */
        _Atomic int failed;      /* the member could not go on, and has said why */
        _Atomic size_t replaced; /* sockets that a broker did not know of, of all members here */
} Hand;

/* @peer: see load_peer(). */
static inline uint64_t hand_of(uint32_t peer) {
        return (uint64_t)peer + 2;
}

/* Not of HAND_EMPTY or HAND_REACHING. */
static inline uint32_t hand_peer(uint64_t holds) {
        return (uint32_t)(holds - 2);
}
