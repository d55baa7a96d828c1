/* SPDX-License-Identifier: BSD-2-Clause */

/* In place of syscall-filter.c where libseccomp is not there. */

#include "daemon/syscall-filter.h"

int syscall_filter_load(const SyscallFilter *filter, const char **ret_reason) {
        *ret_reason = "built without libseccomp";
        return SYSCALL_FILTER_E_UNAVAILABLE;
}

int syscall_filter_load_helper(const char **ret_reason) {
        *ret_reason = "built without libseccomp";
        return SYSCALL_FILTER_E_UNAVAILABLE;
}
