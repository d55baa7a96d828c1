/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The configuration is read as a broker that starts would read it, and what came of it is printed. */

#include <stdbool.h>

/*
 * Loads as config_load(). What is wrong goes to standard error, a line each; if nothing is, a summary to
 * standard output. Returns the exit status: EXIT_SUCCESS, EX_CONFIG, EX_IOERR or EX_OSERR.
 */
int config_check(const char *file, bool own_only);
