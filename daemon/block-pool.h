/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Which parts of an array are taken: blocks of 2^order units, each at a multiple of its size. Pure:
 * knows nothing of the array.
 */

#include <stddef.h>
#include <stdint.h>

enum {
        _BLOCK_POOL_E_SUCCESS,
        BLOCK_POOL_E_FULL, /* no free block of that size */
};

typedef struct BlockPool BlockPool;

/* For 2^@order units, all of them free. Returns 0 or -ENOMEM. */
int block_pool_new(unsigned order, BlockPool **ret);

/* Takes NULL; returns NULL. */
BlockPool *block_pool_free(BlockPool *pool);

/* Takes the first free block of 2^@order units. Returns 0 or BLOCK_POOL_E_FULL. */
int block_pool_take(BlockPool *pool, unsigned order, uint32_t *ret_begin);

/* Gives back what block_pool_take() gave for @order. */
void block_pool_give_back(BlockPool *pool, unsigned order, uint32_t begin);
