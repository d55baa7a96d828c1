/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Memory that this process and the children it starts from now on have in common. */

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#include "proto/error.h"

/* Zeroes, which cost nothing before they are written to. Returns 0 or a negative errno. */
static inline int shared_map(size_t size, void **ret) {
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                       -1, 0);

        if (p == MAP_FAILED)
                return error_origin(-errno);
        *ret = p;
        return 0;
}

/* Takes NULL; returns NULL. */
static inline void *shared_unmap(void *p, size_t size) {
        if (p)
                munmap(p, size);
        return NULL;
}
