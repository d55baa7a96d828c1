/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What leases end with that no connection tells of: the exit of a process, watched by a pidfd; or the
 * last close of a descriptor that several processes may have, by a pipe (lifeline.h). Lives while a
 * connection or a lease refers to it.
 */

#include <stdbool.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "daemon/fd-store.h"
#include "daemon/lease.h"

typedef struct Process {
        size_t n_refs;
        LeaseOwner owner;  /* the leases that end with it */
        int fd;            /* of the process, or the writing end of the pipe */
        uint64_t lifeline; /* the number of the pipe; 0: it is a process */
        Charge charge;     /* of the descriptor */
        uint64_t id;       /* once a lease of it is saved; 0: none is */
        FdStoreEntry kept;
        uint64_t handed; /* in which pass it was handed over last: see handover.h */
        sd_event_source *exit_source;
        bool exited;
} Process;

/* Watches @pidfd, which is consumed, also on failure. Returns 0 with a reference for the caller, or a
 * negative errno. */
int process_new(sd_event *event, int pidfd, Process **ret);

/* The same for the writing end of the pipe with the number @lifeline. */
int process_new_lifeline(sd_event *event, int fd, uint64_t lifeline, Process **ret);

Process *process_ref(Process *process);
Process *process_unref(Process *process);
