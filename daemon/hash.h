/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* uthash, told to report that there is no memory rather than to end the process. */

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* Whether the last HASH_ADD of @item found no memory: the item is in no table then. */
#define hash_add_failed(handle, item) ((item)->handle.tbl == NULL)
