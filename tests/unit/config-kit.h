/* SPDX-License-Identifier: BSD-2-Clause */

#pragma once

/* Configuration files in a folder of the test, and what is said of them. */

#include "daemon/config.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/policy.h"
#include "proto/cleanup.h"
#include "proto/limits.h"
#include "tests/unit/leaks.h"

CLEANUP_DEFINE(Config, config_free)

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define NAME64 TEN TEN TEN TEN TEN TEN "abcd"

static char folder[] = "/tmp/test-config-XXXXXX";
static char main_file[64];
static char drop_in_folder[64];

static inline void setup(void) {
        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(main_file, sizeof(main_file), "%s/main.conf", folder);
        snprintf(drop_in_folder, sizeof(drop_in_folder), "%s/main.conf.d", folder);
        cr_assert(zero(int, mkdir(drop_in_folder, 0700)));
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where) {
        (void)st, (void)type, (void)where;
        return remove(path);
}

static inline void cleanup(void) {
        nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void write_bytes(const char *path, const void *bytes, size_t n) {
        FILE *stream = fopen(path, "we");

        cr_assert(ne(ptr, stream, NULL));
        cr_assert(eq(sz, fwrite(bytes, 1, n, stream), n));
        cr_assert(zero(int, fclose(stream)));
}

static inline void write_main(const char *text) {
        write_bytes(main_file, text, strlen(text));
}

static inline void write_drop_in(const char *name, const char *text) {
        char path[128];

        snprintf(path, sizeof(path), "%s/%s", drop_in_folder, name);
        write_bytes(path, text, strlen(text));
}

static inline Config *load(void) {
        _cleanup_(freep) char *reason = NULL;
        Config *config = NULL;

        cr_assert(zero(int, config_load_from(main_file, drop_in_folder, false, 1000, &config, &reason)),
                  "%s", reason);
        return config;
}

/* Expects a refusal whose text begins with @name of the test's folder, colon, @where, and has @what in
 * it. */
static inline void expect_refusal(const char *name, const char *where, const char *what) {
        _cleanup_(freep) char *reason = NULL;
        Config *config = (Config *)folder;
        char prefix[128];

        snprintf(prefix, sizeof(prefix), "%s/%s:%s", folder, name, where);
        cr_assert(eq(int, config_load_from(main_file, drop_in_folder, true, 1000, &config, &reason),
                     CONFIG_E_INVALID),
                  "expected: %s %s", prefix, what);
        cr_assert(eq(ptr, config, folder));
        cr_assert(zero(int, strncmp(reason, prefix, strlen(prefix))), "%s; expected: %s", reason,
                  prefix);
        cr_assert(ne(ptr, strstr(reason, what), NULL), "%s; expected: %s", reason, what);
}

static inline bool allows(const Config *config, uid_t uid, const char *network, const char *text) {
        static const AddressFamilies families = { .ipv4 = true, .ipv6 = true, .mapped = true };
        PolicySubject subject = { .uid = uid, .gid = uid };
        PolicyVerdict verdict;
        const char *reason;
        Address address;

        cr_assert(zero(int, address_parse(network, text, &families, &address, &reason)));
        policy_decide(
                config->policy,
                &(PolicyQuery){ .subject = &subject, .address = &address, .sharing = SHARING_SHARED },
                &verdict);
        return verdict.allowed;
}
