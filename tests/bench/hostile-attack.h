/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What is done to the broker. Each function is one process, and goes on until the process is ended. */

#include <stddef.h>

#include "tests/bench/hostile-foe.h"

enum {
        ATTACK_USERS = 1 << 0,   /* each process is of another user */
        ATTACK_FEW_FDS = 1 << 1, /* on a broker that may not have many descriptors */
        ATTACK_ADMIN = 1 << 2,   /* by whoever administers the broker */
        ATTACK_PARKS = 1 << 3,   /* what it leaves behind it has asked to be kept */
};

typedef struct Attack {
        const char *name;
        void (*run)(const Foe *foe);
        unsigned n_processes;
        unsigned flags;
} Attack;

/* All there are. @ret_n: how many. */
const Attack *attack_list(size_t *ret_n);

/* Nothing but load of the CPU: what the others suffer from it is not the broker's doing. */
void attack_nobody(const Foe *foe);

void attack_open_and_close(const Foe *foe);
void attack_open_and_keep(const Foe *foe);
void attack_noise(const Foe *foe);
void attack_oversized(const Foe *foe);
void attack_bombs(const Foe *foe);

void attack_status(const Foe *foe);
void attack_explain(const Foe *foe);
void attack_denied(const Foe *foe);
void attack_denied_range(const Foe *foe);
void attack_taken_range(const Foe *foe);
void attack_long_calls(const Foe *foe);
void attack_unknown_leases(const Foe *foe);
void attack_unread_answers(const Foe *foe);
void attack_acquire_many(const Foe *foe);
void attack_undone(const Foe *foe);
void attack_long_lists(const Foe *foe);
void attack_keep_leases(const Foe *foe);
void attack_park(const Foe *foe);

void attack_silence(const Foe *foe);
void attack_half_calls(const Foe *foe);
void attack_single_bytes(const Foe *foe);
void attack_unread_lists(const Foe *foe);
void attack_unread_events(const Foe *foe);
void attack_read_events(const Foe *foe);
void attack_half_close(const Foe *foe);

void attack_in_flight(const Foe *foe);
void attack_exhaust(const Foe *foe);
void attack_send_descriptors(const Foe *foe);

void attack_shutdown(const Foe *foe);
void attack_disconnect(const Foe *foe);
void attack_take_program_off(const Foe *foe);
void attack_tamper(const Foe *foe);

void attack_killed(const Foe *foe);
void attack_stopped(const Foe *foe);
void attack_shared(const Foe *foe);
void attack_reload(const Foe *foe);
