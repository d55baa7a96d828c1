/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A folder for sockets and configuration files, gone at the end. */

#include <stddef.h>

enum {
        /* Short, for the names of UNIX sockets have to fit behind it. */
        SCRATCH_PATH_MAX = 64,
};

/* Makes the folder, in $TMPDIR or /tmp. @ret: SCRATCH_PATH_MAX bytes. Returns 0 or a negative errno. */
int scratch_new(char *ret);

/* Removes the folder and what is in it. */
void scratch_remove(const char *folder);

/* Writes @text to the file @name, which may have folders in it. Returns 0 or a negative errno. */
int scratch_write(const char *folder, const char *name, const char *text);
