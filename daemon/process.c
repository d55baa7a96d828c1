/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A pidfd becomes readable when its process has exited, and stays so; exec does not change it. The
 * writing end of a pipe is in error once nobody has the reading end, which epoll tells unasked. Who had
 * many leases loses them in parts, so that nobody else waits for all of it.
 */

#include "daemon/process.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* Of leases that end, until the others have their turn: most processes have no more. */
        EXIT_TURN_USEC = 1000,
};

static int process_exited(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Process *process = userdata;

        process->exited = true;
        process_ref(process); /* the leases hold the other references */
        if (lease_owner_end_some(&process->owner, MEMBER_LEAVE_LOST,
                                 process->lifeline > 0 ? "every copy of its descriptor is closed"
                                                       : "the process has exited",
                                 EXIT_TURN_USEC))
                sd_event_source_set_enabled(source, SD_EVENT_OFF);
        process_unref(process);
        return 0;
}

int process_new_lifeline(sd_event *event, int fd, uint64_t lifeline, Process **ret) {
        Process *process = calloc(1, sizeof(*process));
        int r;

        if (!process) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        process->n_refs = 1;
        process->fd = fd;
        process->lifeline = lifeline;
        LIST_INIT(&process->owner.leases);
        r = sd_event_add_io(event, &process->exit_source, fd, lifeline > 0 ? 0 : EPOLLIN, process_exited,
                            process);
        if (r < 0) {
                process_unref(process);
                return error_origin(r);
        }
        *ret = process;
        return 0;
}

int process_new(sd_event *event, int pidfd, Process **ret) {
        return error_trace(process_new_lifeline(event, pidfd, 0, ret));
}

Process *process_ref(Process *process) {
        process->n_refs++;
        return process;
}

Process *process_unref(Process *process) {
        if (process && --process->n_refs == 0) {
                sd_event_source_disable_unref(process->exit_source);
                fd_store_remove(&process->kept);
                fd_close(process->fd);
                charge_deinit(&process->charge);
                free(process);
        }
        return NULL;
}
