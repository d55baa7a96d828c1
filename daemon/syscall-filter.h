/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The system calls that the broker may make from now on. Any other fails with EPERM. */

#include <stdbool.h>

/* Calls that not every broker needs. */
typedef struct SyscallFilter {
        bool may_change_maps; /* bpf(), of maps that it has */
        bool may_chown_files; /* fchownat(), to give files away */
        bool may_make_raw_ip; /* socket(), of SOCK_RAW of IP */
} SyscallFilter;

enum {
        _SYSCALL_FILTER_E_SUCCESS,
        SYSCALL_FILTER_E_UNAVAILABLE,
};

/*
 * Has the kernel refuse what @filter does not allow, for the rest of this process's life. It takes
 * no_new_privs. Returns 0, SYSCALL_FILTER_E_UNAVAILABLE with *@ret_reason saying why there is none, or a
 * negative errno.
 */
int syscall_filter_load(const SyscallFilter *filter, const char **ret_reason);

/* The same for the helper that makes sockets in other network namespaces: see namespace-helper.h. */
int syscall_filter_load_helper(const char **ret_reason);
