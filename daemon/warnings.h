/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the status warns of: whatever the configuration, the privileges and the system leave out. */

#include <stddef.h>

typedef struct Services Services;

/* Texts for people. */
typedef struct Warnings {
        char **items;
        size_t n;
} Warnings;

/* Takes stock anew, in place of what @services->warnings had. Without memory some are left out. */
void warnings_gather(Services *services);

/* Adds one text. */
__attribute__((format(printf, 2, 3))) void warnings_add(Warnings *warnings, const char *format, ...);

/* One line each for the administrator. */
void warnings_log(const Warnings *warnings);

/* Empties it. */
void warnings_deinit(Warnings *warnings);
