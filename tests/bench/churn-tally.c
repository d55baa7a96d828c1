/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A note and a loss are of one connection when the client is the same and was waiting at that time. Of a
 * member that was killed within accept() the client is not known: it explains one loss, if there was one
 * just then that nothing else explains.
 */

#include "tests/bench/churn-tally.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "proto/cleanup.h"
#include "proto/error.h"

/* For the client to be told, and to be scheduled. */
#define TALLY_DELAY_NSEC UINT64_C(500000000)

typedef struct Matcher {
        const Load *load;
        bool *taken; /* each loss is explained once */
} Matcher;

/* The first loss that was noticed at @nsec or later. */
static size_t matcher_seek(const Matcher *matcher, uint64_t nsec) {
        size_t low = 0, high = matcher->load->result->n_lost;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (matcher->load->losses[middle].ended_nsec < nsec)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool note_fits(const Note *note, const Loss *loss) {
        if (loss->began_nsec > note->dead_nsec)
                return false;
        /* Who was not even let in was in nobody's hands. */
        if (loss->kind == LOSS_REFUSED || loss->kind == LOSS_WRONG)
                return false;
        return note->holds == HAND_REACHING || hand_peer(note->holds) == loss->peer;
}

static bool matcher_explain(Matcher *matcher, const Note *note) {
        uint64_t end = note->dead_nsec + matcher->load->order.timeout_nsec + TALLY_DELAY_NSEC;
        const Loss *losses = matcher->load->losses;

        for (size_t i = matcher_seek(matcher, note->killed_nsec);
             i < matcher->load->result->n_lost && losses[i].ended_nsec <= end; i++)
                if (!matcher->taken[i] && note_fits(note, &losses[i])) {
                        matcher->taken[i] = true;
                        return true;
                }
        return false;
}

static size_t matcher_explain_all(Matcher *matcher, const Fleet *fleet, bool reaching) {
        size_t explained = 0;

        for (size_t i = 0; i < fleet->n_notes; i++)
                if ((fleet->notes[i].holds == HAND_REACHING) == reaching &&
                    matcher_explain(matcher, &fleet->notes[i]))
                        explained++;
        return explained;
}

int tally_make(const Load *load, const Fleet *fleet, Tally *ret) {
        size_t n = load->result->n_lost;
        _cleanup_(freep) bool *taken = calloc(n ?: 1, sizeof(*taken));
        Matcher matcher = { .load = load, .taken = taken };
        Tally tally = { 0 };

        if (!taken)
                return error_origin(-ENOMEM);
        if (fleet) {
                /* What is known exactly comes first. */
                tally.in_hand = matcher_explain_all(&matcher, fleet, false);
                tally.presumed = matcher_explain_all(&matcher, fleet, true);
                tally.in_hand += tally.presumed;
        }
        for (size_t i = 0; i < n; i++)
                if (!taken[i]) {
                        tally.lost++;
                        tally.kinds[load->losses[i].kind]++;
                }
        *ret = tally;
        return 0;
}
