/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Which CPU runs what. Children inherit the CPU of the moment they are started at. */

/*
 * Checks that this process may run on @cpu; -1 means the first one it may run on. *@ret_other is another
 * one, or the same if there is none. Returns 0, -EINVAL if @cpu cannot be had, or another negative
 * errno.
 */
int cpu_choose(int cpu, int *ret_cpu, int *ret_other);

/* Keeps this process on @cpu. Returns 0 or a negative errno. */
int cpu_pin(int cpu);
