/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Which capabilities the options take that rules give (Options=): tried out, for each kernel asks for
 * others. */

#include <stddef.h>

#include "daemon/privileges.h"

/* PolicyRight bits: those of @rights whose options the kernel refuses to this process as it is. Some of
 * what takes the right "raw" is among them as the option that it stands for. */
unsigned right_trial_refused(unsigned rights);

/*
 * The fewest of the capabilities in force that serve @rights as far as all of them would. They are out
 * of use meanwhile. Returns 0 or a negative errno.
 */
int right_trial_needs(unsigned rights, CapabilitySet *ret);

/* The names of @rights, with commas between them, cut off where it is full. Returns @buffer. */
const char *right_trial_names(unsigned rights, char *buffer, size_t size);
