/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The list of a group as the steering program reads it: an array of slots, made for the mode. Pure:
 * knows nothing of the kernel.
 *
 * roundRobin: a schedule, in which each member comes as often as its weight says, evenly spread.
 * leastLoad, cpu: each member once.
 * hash, source: 2^k entries, of which each member has its share, and keeps them as the list changes.
 */

#include <stddef.h>
#include <stdint.h>

#include "daemon/steering.h"

enum {
        /* For hash and source: this many for each member make the shares even. */
        STEERING_TABLE_ENTRIES = 16,
        /*
         * Whatever the weights are, a table has at most so many for each member; a schedule so many, or
         * some few in all. The weights are coarser then.
         */
        STEERING_TABLE_ENTRIES_MAX = 32,
        STEERING_TABLE_TURNS_MAX = 64,
        STEERING_TABLE_TURNS_FEW = 256,
};

/* Starts as { 0 }: an empty list. */
typedef struct SteeringTable {
        uint16_t *slots;
        /* hash and source: whose the entry was before its member left, to be given back first. */
        uint16_t *homes;
        size_t n;
} SteeringTable;

/* Frees what it holds. */
void steering_table_deinit(SteeringTable *table);

/*
 * What becomes of @old with these shares; @old stays as it is. For hash and source, only the entries of
 * members that left, and those that others have too many of, change hands; the table grows as needed,
 * and shrinks when it is four times too large. *@ret is the caller's. Returns 0 or -ENOMEM.
 */
int steering_table_next(const SteeringTable *old, SteeringMode mode, const SteeringShare *shares,
                        size_t n, SteeringTable *ret);
