/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A broker with the injector in it, and what clients do there time and again. An onlooker, connected and
 * holding a socket all the while, is never harmed by what the others meet.
 */

#include "tests/fault/guest.h"
#include "tests/fault/panel.h"
#include "tests/integration/resume-kit.h"
#include "tests/unit/journal-kit.h"

enum {
        PLAY_GUESTS_MAX = 6,
};

/* What there is around the broker; of root alone, but the first. */
typedef enum PlayWorld {
        PLAY_PLAIN,
        PLAY_JOURNAL,   /* to which it writes */
        PLAY_NAMESPACE, /* of the network, called "blue" */
} PlayWorld;

typedef struct Play {
        Harness harness;
        FaultPanel *panel;
        int panel_fd;
        int log_fd;         /* what the broker says, since the last fault */
        JournalKit journal; /* if its path is not empty */
        bool steers;
        int onlooker;
        KitSocket held; /* by the onlooker */
        size_t n_fds;   /* of the broker, with nobody but the onlooker there */
        int n_own_fds;
        char path[128]; /* for a UNIX socket */
        size_t n_guests;
        Guest guests[PLAY_GUESTS_MAX];
} Play;

/* @how: see harness_start_as_set(). Skips the test where the injector cannot work. */
void play_begin(Play *play, const char *config, const Harness *how, PlayWorld world);
void play_end(Play *play);

/* The broker is killed, and the next one has what it had, as its keeper kept it; the onlooker is back.
 * Guests that hold something have lost their connections. */
void play_recover(Play *play);

/* One more guest. It leaves when all do. */
Guest *play_guest(Play *play);

/* Two, who both ask for @request. */
void play_two_guests(Play *play, const char *request, Guest **ret_first, Guest **ret_second);

/* The same from another process. */
Guest *play_foreign_guest(Play *play);

/* The same as another user, if this one is root. */
Guest *play_stranger(Play *play);

/* All guests leave. Returns the worst outcome of any. */
Outcome play_leave(Play *play);

/* Waits until the broker has nothing to do, and takes note of it; play_settle() waits until it has done
 * what came after. */
size_t play_mark(const Play *play);
void play_settle(const Play *play, size_t mark);

/* The same for what may come or not: it is not waited for long. */
void play_linger(const Play *play, size_t mark);

/* Waits until the broker has as many descriptors as before the guests came, and has nothing to do. */
void play_expect_descriptors(const Play *play);

/* From here on calls fail as planned, and from there on they do not. */
void play_arm(Play *play, FaultPlan plan);
void play_disarm(Play *play);

/* Waits until the broker knows that the guests have left: users are served in turn, so another's call
 * may come before. */
void play_expect_gone(const Play *play);

/* Nobody but the onlooker holds anything; @n_guests are connected. */
void play_expect_alone(Play *play, size_t n_guests);

/* The broker is there, has nothing left of the guests, and serves. */
void play_expect_unharmed(Play *play);

/* Says on stderr what failed last, and what the broker had to say. */
void play_explain(const Play *play);
