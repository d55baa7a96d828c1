/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the audit tells of. The ids are those of contrib/catalog/reuseportd.catalog: for ever, since
 * people have filters for them.
 */

#include <systemd/sd-id128.h>

typedef enum AuditKind {
        AUDIT_GRANTED,
        AUDIT_DENIED,
        AUDIT_REVOKED, /* the broker ended a lease, not its holder */
        AUDIT_QUOTA,
        AUDIT_ENDED,
        AUDIT_DIALLED, /* a socket that goes out from an address of the client's choice or its own */
        _AUDIT_KIND_N,
} AuditKind;

#define AUDIT_ID_GRANTED                                                                                \
        SD_ID128_MAKE_STR(78, 51, 96, ab, e4, f0, 4b, fa, aa, 5f, 01, 8c, ca, 96, 4e, 23)
#define AUDIT_ID_DENIED SD_ID128_MAKE_STR(77, a7, 6d, 0c, a4, 96, 42, 67, a5, 50, ff, 85, df, db, ed, f8)
#define AUDIT_ID_REVOKED                                                                                \
        SD_ID128_MAKE_STR(5f, 19, 22, 98, 91, c5, 45, 52, 89, c1, 61, 90, 79, a0, 76, a8)
#define AUDIT_ID_QUOTA SD_ID128_MAKE_STR(dc, c9, 2e, b0, 66, c4, 42, 74, a9, f4, cb, 15, 43, a0, 44, 9c)
#define AUDIT_ID_ENDED SD_ID128_MAKE_STR(43, b8, c7, 18, fe, dc, 48, 06, 91, c8, 93, 96, 1d, a9, 82, 48)
#define AUDIT_ID_DIALLED                                                                                \
        SD_ID128_MAKE_STR(53, a9, c6, 32, 04, 1f, 4c, 18, be, 62, 43, a1, 91, 68, eb, ac)
/* Entries of one user and kind that were not written, as they were too many. */
#define AUDIT_ID_HELD_BACK                                                                              \
        SD_ID128_MAKE_STR(05, 20, 0b, 9c, bd, 39, 43, 94, 80, 0b, 26, 90, e8, 42, 7c, c9)
