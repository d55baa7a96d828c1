/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The memory that the test and the injector in the broker share. The test says which call is to fail;
 * the injector says what it saw. One writes while the other waits, so only what ends a waiting is
 * atomic.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* In the environment of the broker: the file to map. */
#define PANEL_VARIABLE "REUSEPORTD_FAULT_PANEL"

typedef enum FaultKind {
        FAULT_ALLOCATION,
        FAULT_SYSTEM_CALL,
        FAULT_DESCRIPTOR, /* whatever makes one fails with EMFILE */
        FAULT_DEATH, /* the broker ends, at any system call since it looked at what was kept for it; to
                        empty a map is one */
} FaultKind;

enum {
        FAULT_FRAMES_MAX = 24,
        FAULT_FRAME_SIZE = 64,
        FAULT_NAME_SIZE = 32,
        FAULT_DEATH_STATUS = 66,
};

/* Calls are counted from 1 while the panel is armed: those that can fail in the way of the plan. */
typedef struct FaultPlan {
        FaultKind kind;
        size_t variant; /* of the errors that a system call has, which */
        size_t nth;
        size_t again; /* so many calls later, another one fails as well; 0: none */
        bool onwards; /* all after the nth fail as well */
} FaultPlan;

typedef struct FaultPanel {
        FaultPlan plan;
        atomic_bool armed;

        /* Of the injector, since it started. */
        bool working;
        bool allocations_seen; /* the broker's allocations pass through it */
        atomic_size_t waits;   /* how often the broker has gone to wait for events */
        atomic_bool waiting;

        /* Since the panel was armed. */
        size_t failed;
        char name[FAULT_NAME_SIZE]; /* of the first that failed */
        char last[FAULT_NAME_SIZE]; /* of the last */
        int error;
        size_t n_frames;
        char frames[FAULT_FRAMES_MAX][FAULT_FRAME_SIZE]; /* "FILE+0xOFFSET", innermost first */
        long unknown_call;                               /* a system call without a rule; -1: none */
        size_t calls;
        long last_call; /* at which it died */
} FaultPanel;

/* ---- panel.c, in the test ---- */

/* A panel at rest, and its file; panel_free() unmaps and closes both. */
FaultPanel *panel_new(int *ret_fd);
void panel_free(FaultPanel *panel, int fd);

/* Brokers that are started from here on have the injector in them, which reads that panel; or not any
 * more. */
void panel_preload(int fd);
void panel_unload(void);
