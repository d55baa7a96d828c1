/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What the steering program and the broker share: one mapping that both read and write. The broker alone
 * writes lists and tables; the program alone counts flows; loads are written by both. Through a ring the
 * program tells which armed groups had a flow.
 */

#include <linux/types.h>

enum {
        STEERING_SLOTS_MAX = 1 << 16,  /* members, of all groups */
        STEERING_GROUPS_MAX = 1 << 16, /* each may be alone in its own */
        STEERING_TABLE_MAX = 1 << 20,  /* entries of all tables; 16 for each member */
};

/* The load of a slot whose socket turned out to be gone: never the least. */
#define STEERING_LOAD_GONE (1U << 31)

/*
 * One group. @list is read and written as one word, so that a table is never used with the length of
 * another: where its entries begin << 32 | how many there are.
 */
struct steering_group {
        __u64 list;
        __u64 flows;
        __u32 cursor; /* whose turn it is, in roundRobin and leastLoad */
        __u32 generation;
        __u32 armed; /* the next flow is to be told */
        __u32 mode;  /* SteeringMode */
};

/* Whose a socket is. Nobody's, if the group has another generation: its place was taken since. */
struct steering_owner {
        __u32 group;
        __u32 generation;
};
