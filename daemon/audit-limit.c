/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Memory is bounded by forgetting, not by refusing: who comes with ever new users gets the share of
 * each, but a user who is new finds room.
 */

#include "daemon/audit-limit.h"

#include <stdlib.h>

static void audit_user_tell(AuditLimit *limit, AuditUser *user) {
        for (AuditKind kind = 0; kind < _AUDIT_KIND_N; kind++) {
                uint64_t n = user->held_back[kind];

                user->held_back[kind] = 0;
                if (n > 0)
                        limit->tell(limit, user->uid, kind, n);
        }
}

static void audit_user_forget(AuditLimit *limit, AuditUser *user) {
        audit_user_tell(limit, user);
        HASH_DEL(limit->by_uid, user);
        TAILQ_REMOVE(&limit->users, user, entry);
        free(user);
}

/* NULL if there is no memory. */
static AuditUser *audit_user_new(AuditLimit *limit, uid_t uid) {
        AuditUser *user;

        if (HASH_COUNT(limit->by_uid) >= AUDIT_USERS_MAX)
                audit_user_forget(limit, TAILQ_FIRST(&limit->users));
        user = calloc(1, sizeof(*user));
        if (!user)
                return NULL;
        user->uid = uid;
        for (int kind = 0; kind < _AUDIT_KIND_N; kind++)
                bucket_init(&user->buckets[kind], AUDIT_BURST, AUDIT_INTERVAL_SEC * 1000000ULL);
        HASH_ADD(hh, limit->by_uid, uid, sizeof(user->uid), user);
        if (hash_add_failed(hh, user)) {
                free(user);
                return NULL;
        }
        TAILQ_INSERT_TAIL(&limit->users, user, entry);
        return user;
}

void audit_limit_init(AuditLimit *limit,
                      void (*tell)(AuditLimit *limit, uid_t uid, AuditKind kind, uint64_t n)) {
        *limit = (AuditLimit){ .tell = tell };
        TAILQ_INIT(&limit->users);
}

void audit_limit_deinit(AuditLimit *limit) {
        while (!TAILQ_EMPTY(&limit->users))
                audit_user_forget(limit, TAILQ_FIRST(&limit->users));
}

bool audit_limit_take(AuditLimit *limit, uid_t uid, AuditKind kind, uint64_t now_usec) {
        AuditUser *user;

        HASH_FIND(hh, limit->by_uid, &uid, sizeof(uid), user);
        if (!user)
                user = audit_user_new(limit, uid);
        if (!user)
                return true; /* rather one too many than one unseen */
        TAILQ_REMOVE(&limit->users, user, entry);
        TAILQ_INSERT_TAIL(&limit->users, user, entry);
        if (bucket_take(&user->buckets[kind], now_usec))
                return true;
        user->held_back[kind]++;
        return false;
}

void audit_limit_tell(AuditLimit *limit) {
        AuditUser *user;

        TAILQ_FOREACH (user, &limit->users, entry)
                audit_user_tell(limit, user);
}
