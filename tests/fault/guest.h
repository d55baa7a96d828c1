/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A client whom anything may befall: each of its calls is answered, with an error if need be, or hung up
 * on. What neither happens to within some seconds never will, and fails the test.
 *
 * JSON is written with single quotes, which stand for double ones.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tests/harness.h"

/* How it fared, from best to worst. */
typedef enum Outcome {
        OUTCOME_SERVED,
        OUTCOME_REFUSED,
        OUTCOME_HUNG_UP,
        _OUTCOME_N,
} Outcome;

enum {
        GUEST_LEASES_MAX = 8,
        GUEST_TEXT_MAX = 128,
};

typedef struct Guest {
        int control;   /* -1: it has left */
        bool ended;    /* the broker hung up */
        pid_t process; /* a foreign guest's; 0: none */
        Outcome outcome;
        const char *provoked; /* an error that it has asked for; or NULL */
        size_t n_leases;
        char leases[GUEST_LEASES_MAX][GUEST_TEXT_MAX];
        char addresses[GUEST_LEASES_MAX][GUEST_TEXT_MAX];
        int fds[GUEST_LEASES_MAX];
        int lifeline; /* on which leases depend; -1: none */
} Guest;

/* From this process, or if @foreign, as another one, which exits when the guest leaves. */
void guest_come(Guest *guest, const Harness *harness, bool foreign);

/* The broker was lost: connects to the next one. Not for one from another process. */
void guest_come_back(Guest *guest, const Harness *harness);

/* Takes back the lease of that index. True if it is the guest's again. */
bool guest_resume(Guest *guest, size_t i);

/* Sends one call, which nobody may be there to receive any more. */
__attribute__((format(printf, 4, 5))) void guest_send(Guest *guest, const char *method,
                                                      const char *flags, const char *format, ...);

/* One message, with descriptors only if it is to have some; NULL: hung up. The caller's to decref. */
json_t *guest_receive(Guest *guest);

/* A call and its answer: true if it was what was asked for. */
__attribute__((format(printf, 3, 4))) bool guest_call(Guest *guest, const char *method,
                                                      const char *format, ...);

/* Takes the answer to an Acquire; what came with it is the guest's. True if it was what was
 * asked for. */
bool guest_take_sockets(Guest *guest);

/* @format: the list of SocketRequest. True if it was given. */
__attribute__((format(printf, 2, 3))) bool guest_acquire(Guest *guest, const char *format, ...);

/* A socket of Dial, which is closed. True if it was given. */
__attribute__((format(printf, 2, 3))) bool guest_dial(Guest *guest, const char *format, ...);

/* Gives back the lease of that index, and closes its socket. One it was not given is passed over. */
bool guest_release(Guest *guest, size_t i);

/* Ready, Drain: @method of the lease of that index. */
bool guest_say(Guest *guest, const char *method, size_t i);

/* Closes all it has. */
void guest_leave(Guest *guest);
