/* SPDX-License-Identifier: BSD-2-Clause */

/* The table of attacks, in the order of the report. Two processes of each keep both CPUs busy. */

#include "tests/bench/hostile-attack.h"

#include "tests/bench/user.h"

static const Attack attacks[] = {
        { "connections opened and closed", attack_open_and_close, 2, 0 },
        { "connections up to the limit, and more", attack_open_and_keep, 2, 0 },
        { "connections up to the limit, eight users", attack_open_and_keep, USERS_HOSTILE,
          ATTACK_USERS },
        { "noise", attack_noise, 2, 0 },
        { "frames that are too long", attack_oversized, 2, 0 },
        { "JSON bombs", attack_bombs, 2, 0 },
        { "GetStatus", attack_status, 2, 0 },
        { "Explain", attack_explain, 2, 0 },
        { "Acquire, denied", attack_denied, 2, 0 },
        { "Acquire of 4096 ports, all denied", attack_denied_range, 2, 0 },
        { "Acquire of 4096 ports, all taken", attack_taken_range, 2, 0 },
        { "calls of 64 KiB", attack_long_calls, 2, 0 },
        { "Release of 1024 unknown leases", attack_unknown_leases, 2, 0 },
        { "calls without reading answers", attack_unread_answers, 2, 0 },
        { "Acquire of 64, and hang up", attack_acquire_many, 2, 0 },
        { "Acquire of 64, the last one denied", attack_undone, 2, 0 },
        { "leases up to the limit, and more", attack_keep_leases, 2, 0 },
        { "sockets left parked for a day", attack_park, 2, ATTACK_PARKS },
        { "List of 960 sockets", attack_long_lists, 2, 0 },
        { "silence on all connections", attack_silence, 2, 0 },
        { "half a call on all connections", attack_half_calls, 2, 0 },
        { "calls byte by byte", attack_single_bytes, 2, 0 },
        { "lists that are not read", attack_unread_lists, 2, 0 },
        { "events that are not read", attack_unread_events, 2, 0 },
        { "events on all connections", attack_read_events, 2, 0 },
        { "half-closed connections", attack_half_close, 4, 0 },
        { "descriptors never received", attack_in_flight, 2, ATTACK_FEW_FDS },
        { "descriptors never received, eight users", attack_in_flight, USERS_HOSTILE, ATTACK_USERS },
        { "no descriptors left", attack_exhaust, 2, ATTACK_FEW_FDS },
        { "descriptors for the broker", attack_send_descriptors, 2, 0 },
        { "group: shutdown()", attack_shutdown, 2, 0 },
        { "group: connect() to nowhere", attack_disconnect, 2, 0 },
        { "group: program taken off", attack_take_program_off, 2, 0 },
        { "group: options and flags", attack_tamper, 2, 0 },
        { "killed before the reply", attack_killed, 2, 0 },
        { "stopped before the reply", attack_stopped, 2, 0 },
        { "a connection of two processes", attack_shared, 2, 0 },
        { "reload, every second file broken", attack_reload, 1, ATTACK_ADMIN },
};

const Attack *attack_list(size_t *ret_n) {
        *ret_n = sizeof(attacks) / sizeof(*attacks);
        return attacks;
}

void attack_nobody(const Foe *foe) {
        for (;;)
                foe_strike(foe);
}
