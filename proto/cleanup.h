/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Ownership helpers. A descriptor or a block has one owner at each moment: the variable that holds
 * it, until a take function empties that variable at a hand-over.
 */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

/* Closes @fd unless it is negative; keeps errno. Returns -1, for `x->fd = fd_close(x->fd)`. */
static inline int fd_close(int fd) {
        if (fd >= 0) {
                int saved = errno;

                close(fd);
                errno = saved;
        }
        return -1;
}

static inline void fd_closep(int *fd) {
        *fd = fd_close(*fd);
}

/* Empties *@fd and returns what it held: the caller owns it now. */
static inline int fd_take(int *fd) {
        int taken = *fd;

        *fd = -1;
        return taken;
}

/* For the cleanup attribute on a pointer of any type. */
static inline void freep(void *p) {
        free(*(void **)p);
}

/* Empties the pointer variable @p and yields what it held: the caller owns it now. */
#define ptr_take(p)                                                                                     \
        ({                                                                                              \
                __typeof__(p) _taken = (p);                                                             \
                (p) = NULL;                                                                             \
                _taken;                                                                                 \
        })

/* Defines NAMEp(), for the cleanup attribute, over a destructor that takes NULL. */
#define CLEANUP_DEFINE(type, destructor)                                                                \
        /* NOLINTNEXTLINE(bugprone-macro-parentheses): a type */                                        \
        static inline void destructor##p(type **p) {                                                    \
                destructor(*p);                                                                         \
        }
