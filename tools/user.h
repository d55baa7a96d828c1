/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A user as people name it, and the groups that it would have if it logged in. */

#include <stddef.h>
#include <sys/types.h>

typedef struct User {
        uid_t uid;
        char *name;  /* NULL: there is no account */
        gid_t *gids; /* the primary one first; none without an account */
        size_t n_gids;
} User;

/*
 * Looks up @text, a name or a number. A number needs no account. *@ret is to be given to user_deinit().
 * Returns 0, -ESRCH (there is no such user), or another negative errno.
 */
int user_init(const char *text, User *ret);
void user_deinit(User *user);
