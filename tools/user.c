/* SPDX-License-Identifier: BSD-2-Clause */

/* Numbers come before names, as in the broker's configuration. */

#include "tools/user.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
        UID_DIGITS_MAX = 10,
};

/* (uid_t) -1 is nobody's. */
static bool uid_parse(const char *text, uid_t *ret) {
        size_t n = strlen(text);
        unsigned long long uid;

        if (n == 0 || n > UID_DIGITS_MAX || strspn(text, "0123456789") != n)
                return false;
        uid = strtoull(text, NULL, 10);
        if (uid >= UINT32_MAX)
                return false;
        *ret = (uid_t)uid;
        return true;
}

/* getgrouplist() promises the primary group, not its place. */
static void gids_put_first(gid_t *gids, size_t n, gid_t primary) {
        for (size_t i = 0; i < n; i++)
                if (gids[i] == primary) {
                        gids[i] = gids[0];
                        gids[0] = primary;
                        return;
                }
}

static int user_read_groups(User *user, const struct passwd *passwd) {
        int n = NGROUPS_MAX; /* no process has more */

        user->gids = calloc(NGROUPS_MAX, sizeof(*user->gids));
        if (!user->gids)
                return -ENOMEM;
        if (getgrouplist(passwd->pw_name, passwd->pw_gid, user->gids, &n) < 0)
                return -E2BIG;
        gids_put_first(user->gids, (size_t)n, passwd->pw_gid);
        user->n_gids = (size_t)n;
        return 0;
}

int user_init(const char *text, User *ret) {
        const struct passwd *passwd;
        bool numeric, absent;

        *ret = (User){ 0 };
        numeric = uid_parse(text, &ret->uid);
        errno = 0;
        passwd = numeric ? getpwuid(ret->uid) : getpwnam(text);
        if (!passwd) {
                /* 0 by the standard, and one of these by some sources of users. */
                absent = errno == 0 || errno == ENOENT || errno == ESRCH;
                if (numeric && absent)
                        return 0;
                return absent ? -ESRCH : -errno;
        }

        ret->uid = passwd->pw_uid;
        ret->name = strdup(passwd->pw_name);
        return ret->name ? user_read_groups(ret, passwd) : -ENOMEM;
}

void user_deinit(User *user) {
        free(user->name);
        free(user->gids);
        *user = (User){ 0 };
}
