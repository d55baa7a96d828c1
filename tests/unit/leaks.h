/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Leak checks for the body of a test: Criterion reports, but does not count, what fails in .fini or
 * when the process of a test exits.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <stdlib.h>

/* Only sanitizer builds have it. Returns nonzero after it printed what leaked. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* How many descriptors this process has open. */
static inline int leaks_count_fds(void) {
        DIR *folder = opendir("/proc/self/fd");
        struct dirent *entry;
        int n = 0;

        cr_assert(ne(ptr, folder, NULL));
        while ((entry = readdir(folder)))
                if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder))
                        n++;
        closedir(folder);
        return n;
}

/* No memory is lost. Always so where there is no leak sanitizer. */
static inline void leaks_expect_none(void) {
        if (__lsan_do_recoverable_leak_check)
                cr_assert(zero(int, __lsan_do_recoverable_leak_check()));
}

/* As many descriptors are open as leaks_count_fds() said before, and no memory is lost. */
static inline void leaks_expect_fds(int n) {
        cr_assert(eq(int, leaks_count_fds(), n));
        leaks_expect_none();
}
