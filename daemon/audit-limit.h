/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * How many entries of each kind a user may bring about: what is beyond that is counted, and the counts
 * are told. Of so many users at most; who has been quiet longest is forgotten first.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/audit-kind.h"
#include "daemon/hash.h"
#include "daemon/rate-limit.h"

enum {
        AUDIT_BURST = 100,
        AUDIT_INTERVAL_SEC = 10,
        AUDIT_USERS_MAX = 256,
};

typedef struct AuditUser {
        uid_t uid;
        Bucket buckets[_AUDIT_KIND_N];
        uint64_t held_back[_AUDIT_KIND_N];
        TAILQ_ENTRY(AuditUser) entry;
        UT_hash_handle hh;
} AuditUser;

typedef struct AuditLimit AuditLimit;

struct AuditLimit {
        AuditUser *by_uid;
        TAILQ_HEAD(AuditUserList, AuditUser) users; /* who was quiet longest first */
        /* Tells that @n entries were held back. */
        void (*tell)(AuditLimit *limit, uid_t uid, AuditKind kind, uint64_t n);
};

void audit_limit_init(AuditLimit *limit,
                      void (*tell)(AuditLimit *limit, uid_t uid, AuditKind kind, uint64_t n));

/* Tells what is counted, and forgets everybody. */
void audit_limit_deinit(AuditLimit *limit);

/* Whether an entry may be written; if not it is counted. May forget, and tell of, another user. */
bool audit_limit_take(AuditLimit *limit, uid_t uid, AuditKind kind, uint64_t now_usec);

/* Tells what is counted, and counts from 0 again. */
void audit_limit_tell(AuditLimit *limit);
