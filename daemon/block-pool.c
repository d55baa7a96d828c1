/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A buddy allocator as a complete binary tree: a node stands for a block, its children for the halves,
 * and each node knows the largest free block below it. One byte a node, and no lists to keep.
 */

#include "daemon/block-pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "proto/error.h"

struct BlockPool {
        unsigned order;
        uint8_t largest[]; /* order + 1 of the largest free block in it, 0 if none; [1] is the root */
};

int block_pool_new(unsigned order, BlockPool **ret) {
        BlockPool *pool = malloc(sizeof(*pool) + ((size_t)2 << order));

        if (!pool)
                return error_origin(-ENOMEM);
        pool->order = order;
        for (unsigned depth = 0; depth <= order; depth++)
                for (size_t node = (size_t)1 << depth; node < (size_t)2 << depth; node++)
                        pool->largest[node] = (uint8_t)(order - depth + 1);
        *ret = pool;
        return 0;
}

BlockPool *block_pool_free(BlockPool *pool) {
        free(pool);
        return NULL;
}

/* What the ancestors of @node, a block of 2^@order units, have after it changed. */
static void update_ancestors(BlockPool *pool, size_t node, unsigned order) {
        uint8_t *largest = pool->largest;

        for (node /= 2, order++; node > 0; node /= 2, order++) {
                uint8_t left = largest[2 * node], right = largest[2 * node + 1];

                /* Two halves that are wholly free are one block. */
                if (left == order && right == order)
                        largest[node] = (uint8_t)(order + 1);
                else
                        largest[node] = left > right ? left : right;
        }
}

int block_pool_take(BlockPool *pool, unsigned order, uint32_t *ret_begin) {
        size_t node = 1;

        if (pool->largest[1] <= order)
                return BLOCK_POOL_E_FULL;
        for (unsigned at = pool->order; at > order; at--) {
                node *= 2;
                if (pool->largest[node] <= order)
                        node++;
        }
        pool->largest[node] = 0;
        update_ancestors(pool, node, order);
        *ret_begin = (uint32_t)((node << order) - ((size_t)1 << pool->order));
        return 0;
}

void block_pool_give_back(BlockPool *pool, unsigned order, uint32_t begin) {
        size_t node = (((size_t)1 << pool->order) + begin) >> order;

        assert(pool->largest[node] == 0);
        pool->largest[node] = (uint8_t)(order + 1);
        update_ancestors(pool, node, order);
}
