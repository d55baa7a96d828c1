/* SPDX-License-Identifier: BSD-2-Clause */

/* Users by name and by number, as the accounts of this host have them. */

#include "tools/user.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
        UID_OF_NOBODY_AT_ALL = 987654321,
};

TestSuite(user, .timeout = 30);

Test(user, there_is_none_of_that_name) {
        static const char *const texts[] = {
                "",    "no-such-user-here",    "-1", "+0", "0x0", " 0", "0 ", "4294967295", "4294967296",
                "0:0", "18446744073709551616",
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                User user;

                cr_assert(eq(int, user_init(texts[i], &user), -ESRCH), "%s", texts[i]);
                cr_assert(eq(ptr, user.name, NULL));
                cr_assert(zero(sz, user.n_gids));
                user_deinit(&user);
        }
}

/* The broker may know rules for a number that has no account, as that of a container. */
Test(user, a_number_without_an_account) {
        char text[16];
        User user;

        if (getpwuid(UID_OF_NOBODY_AT_ALL))
                cr_skip_test("somebody has the number after all");
        snprintf(text, sizeof(text), "%d", UID_OF_NOBODY_AT_ALL);
        cr_assert(zero(int, user_init(text, &user)));
        cr_assert(eq(uint, user.uid, UID_OF_NOBODY_AT_ALL));
        cr_assert(eq(ptr, user.name, NULL));
        cr_assert(zero(sz, user.n_gids));
        user_deinit(&user);
}

static bool has_gid(const User *user, gid_t gid) {
        for (size_t i = 0; i < user->n_gids; i++)
                if (user->gids[i] == gid)
                        return true;
        return false;
}

/* @text is this account, with all its groups, the primary one first. */
static void expect_account(const char *text, const char *name, uid_t uid, gid_t gid) {
        const struct group *group;
        User user;

        cr_assert(zero(int, user_init(text, &user)), "%s", text);
        cr_assert(eq(uint, user.uid, uid));
        cr_assert(eq(str, user.name, (char *)name));
        cr_assert(gt(sz, user.n_gids, 0));
        cr_assert(eq(uint, user.gids[0], gid));
        setgrent();
        while ((group = getgrent()))
                for (char **member = group->gr_mem; *member; member++)
                        if (strcmp(*member, name) == 0)
                                cr_assert(has_gid(&user, group->gr_gid), "%s: %s", name, group->gr_name);
        endgrent();
        user_deinit(&user);
}

Test(user, accounts_by_name_and_by_number) {
        const struct passwd *passwd;
        size_t n = 0;

        setpwent();
        while ((passwd = getpwent()) && n++ < 50) {
                char name[64], number[16];
                uid_t uid = passwd->pw_uid;
                gid_t gid = passwd->pw_gid;

                snprintf(name, sizeof(name), "%s", passwd->pw_name);
                snprintf(number, sizeof(number), "%u", uid);
                expect_account(name, name, uid, gid);
                /* Several accounts may have one number: the first has it. */
                passwd = getpwuid(uid);
                cr_assert(passwd != NULL);
                if (strcmp(passwd->pw_name, name) == 0)
                        expect_account(number, name, uid, gid);
        }
        endpwent();
        cr_assert(gt(sz, n, 0));
}
