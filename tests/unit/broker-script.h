/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A fake broker that follows a script in a thread, for what makes connections of its own: what must have
 * been heard on which of them before what is said. What goes wrong the test is told at the end.
 */

#include <pthread.h>

#include "tests/unit/fake-broker.h"

/* Instead of an answer. */
#define HANG_UP "-"

typedef enum Side {
        SIDE_NONE,  /* the script is over */
        SIDE_CALLS, /* the connection that the broker of the test has, or else the first that is made */
        SIDE_WATCH, /* the next that is made */
        SIDE_AGAIN, /* the next, once one of the two is made anew */
        SIDE_WATCH_AGAIN,
        _SIDE_N,
} Side;

/* On one connection: what is heard, if anything, and what is said then, if anything. */
typedef struct Step {
        Side side;
        const char *heard;
        const char *said;
} Step;

typedef struct Script {
        const Step *steps;
        pthread_t thread;
        int listener;
        int fds[_SIDE_N];       /* -1: not made yet */
        bool accepted[_SIDE_N]; /* here, so they are ended here */
        size_t failed;          /* the step that went wrong, from 1 */
} Script;

static inline bool script_hear(int fd, const char *expected) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };
        char heard[1024];
        size_t n = 0;

        do {
                if (n == sizeof(heard) || poll(&pollfd, 1, -1) != 1 || recv(fd, &heard[n], 1, 0) != 1)
                        return false;
        } while (heard[n++] != '\0');
        return strcmp(heard, expected) == 0;
}

static inline int script_side(Script *script, Side side) {
        struct pollfd pollfd = { .fd = script->listener, .events = POLLIN };

        if (script->fds[side] < 0 && poll(&pollfd, 1, -1) == 1) {
                script->fds[side] = accept4(script->listener, NULL, NULL, SOCK_CLOEXEC);
                script->accepted[side] = true;
        }
        return script->fds[side];
}

/* Waits for the client's end, so that what was said is there to be read. */
static inline void script_outlast(int fd) {
        char byte;

        while (recv(fd, &byte, 1, 0) > 0)
                ;
        close(fd);
}

static inline void *script_run(void *userdata) {
        Script *script = userdata;

        for (size_t i = 0; script->steps[i].side != SIDE_NONE && !script->failed; i++) {
                const Step *step = &script->steps[i];
                int fd = script_side(script, step->side);

                if (step->heard && !script_hear(fd, step->heard))
                        script->failed = i + 1;
                else if (step->said && strcmp(step->said, HANG_UP) == 0)
                        shutdown(fd, SHUT_RDWR);
                else if (step->said)
                        send(fd, step->said, strlen(step->said) + 1, MSG_NOSIGNAL);
        }
        for (size_t i = 0; i < _SIDE_N; i++)
                if (script->accepted[i])
                        script_outlast(script->fds[i]);
        return NULL;
}

static inline void script_begin(Script *script, const Step *steps, const Broker *broker) {
        *script = (Script){ .steps = steps, .listener = broker->listener };
        memset(script->fds, -1, sizeof(script->fds));
        script->fds[SIDE_CALLS] = broker->peer;
        cr_assert(zero(int, pthread_create(&script->thread, NULL, script_run, script)));
}

/* Once the client has closed what it opened. Returns the step that went wrong, from 1; 0: none. */
static inline size_t script_end(Script *script) {
        cr_assert(zero(int, pthread_join(script->thread, NULL)));
        return script->failed;
}
