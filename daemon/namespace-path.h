/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What names a network namespace: the file that ip-netns(8) or somebody else bound it to. */

#include "proto/limits.h"

/* Where namespaces have names. */
#define NAMESPACE_FOLDER "/run/netns/"

enum {
        /* Of the path, with its NUL; a name has the folder in front of it. */
        NAMESPACE_PATH_MAX = sizeof(NAMESPACE_FOLDER) + NAMESPACE_SIZE_MAX,
        /* A path, and the words around it. */
        NAMESPACE_REASON_MAX = NAMESPACE_PATH_MAX + 128,
};

/*
 * Writes the path that @text, a name or an absolute path, stands for: one spelling for each file.
 * Returns NULL, or why it is neither: a static text, and *@path is not defined.
 */
const char *namespace_path_parse(const char *text, char path[static NAMESPACE_PATH_MAX]);

/* The name of what has one, the path of all others: how people call it. Points into @path. */
const char *namespace_path_text(const char *path);

enum {
        _NAMESPACE_PATH_E_SUCCESS,
        NAMESPACE_PATH_E_INVALID, /* the reason says what is wrong with it, and what to give */
};

/*
 * Opens the namespace. Nobody but root can have changed where the path leads, or the answer is no: it is
 * entered folder by folder, and no link is followed. Returns 0 with *@ret the caller's,
 * NAMESPACE_PATH_E_INVALID, or a negative errno, without a trace.
 */
int namespace_path_open(const char *path, int *ret, char reason[static NAMESPACE_REASON_MAX]);
