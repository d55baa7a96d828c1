/* SPDX-License-Identifier: BSD-2-Clause */

/* Folders of a path are made as they are needed: the rules of s6 are a file in a deep tree each. */

#include "tests/bench/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/error.h"

int scratch_new(char *ret) {
        const char *parent = getenv("TMPDIR") ?: "/tmp";

        if (snprintf(ret, SCRATCH_PATH_MAX, "%s/handoff-XXXXXX", parent) >= SCRATCH_PATH_MAX)
                return error_origin(-ENAMETOOLONG);
        return mkdtemp(ret) ? 0 : error_origin(-errno);
}

static int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

void scratch_remove(const char *folder) {
        enum { FOLDERS_OPEN_MAX = 8 };

        nftw(folder, scratch_remove_one, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
}

int scratch_write(const char *folder, const char *name, const char *text) {
        char path[PATH_MAX];
        FILE *file;
        int r = 0;

        if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
                return error_origin(-ENAMETOOLONG);
        for (char *slash = strchr(path + strlen(folder) + 1, '/'); slash;
             slash = strchr(slash + 1, '/')) {
                *slash = 0;
                if (mkdir(path, 0700) < 0 && errno != EEXIST)
                        return error_origin(-errno);
                *slash = '/';
        }
        file = fopen(path, "we");
        if (!file)
                return error_origin(-errno);
        if (fputs(text, file) < 0)
                r = error_origin(-EIO);
        if (fclose(file) < 0 && r == 0)
                r = error_origin(-errno);
        return r;
}
