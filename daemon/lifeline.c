/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Not a pair of sockets: who has one end of that can shut both down, and whoever else has it learns too
 * late. A pipe is known by the number of its inode, which both ends have, as long as it is open
 * anywhere.
 */

#include "daemon/lifeline.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/process.h"
#include "proto/cleanup.h"
#include "proto/error.h"

int lifeline_new(sd_event *event, int *ret_fd, Process **ret) {
        _cleanup_(fd_closep) int reading = -1, writing = -1;
        struct stat st;
        int ends[2], r;

        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return LIFELINE_E_NO_PIPE;
        reading = ends[0];
        writing = ends[1];
        if (fstat(writing, &st) < 0)
                return LIFELINE_E_NO_PIPE;
        r = process_new_lifeline(event, fd_take(&writing), st.st_ino, ret);
        if (r < 0)
                return error_trace(r);
        *ret_fd = fd_take(&reading);
        return 0;
}

bool lifeline_fits(int fd, uint64_t lifeline) {
        int flags = fcntl(fd, F_GETFL);
        struct stat st;

        return flags >= 0 && (flags & O_ACCMODE) == O_WRONLY && fstat(fd, &st) == 0 &&
               S_ISFIFO(st.st_mode) && st.st_ino == lifeline;
}
