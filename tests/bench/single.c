/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * In each contest the floor comes first, then the broker through the library, then the broker asked by
 * the floor's own client, which shows what is the broker's share and what the library's; then s6.
 */

#include "tests/bench/single.h"

#include <stdio.h>
#include <string.h>

#include "proto/error.h"
#include "tests/bench/library-client.h"

#define NAME_FLOOR "floor"
#define NAME_LIBRARY "reuseportd, library"
#define NAME_PLAIN "reuseportd, plain client"
#define NAME_S6 "s6-fdholderd"

#define RATIO_MAX 1.3

/* The same contest with each server; what it is, differs by the steps. */
typedef struct Match {
        const char *key;
        const char *title;
        const char *sharing;
        bool visit; /* a connection for each socket */
        ContestStep s6_acquire;
        ContestStep s6_release;
} Match;

typedef struct Players {
        RawClient floor;
        RawClient plain;
        LibraryClient library;
} Players;

static const Match matches[] = {
        {
                .key = "shared",
                .title = "A shared socket that exists, over a connection that is kept.\n"
                         "  s6: retrieve of a stored descriptor; it keeps no account, so its Release is "
                         "close().",
                .sharing = "shared",
                .s6_acquire = s6_peer_step_retrieve,
                .s6_release = s6_peer_step_close,
        },
        {
                .key = "group",
                .title = "A new socket in a group that exists, over a connection that is kept.\n"
                         "  s6: its client makes the socket and stores it, the taker retrieves it; then "
                         "delete.",
                .sharing = "group",
                .s6_acquire = s6_peer_step_make,
                .s6_release = s6_peer_step_delete,
        },
        {
                .key = "visit",
                .title = "A program that starts: connect, a shared socket that exists, hang up.",
                .sharing = "shared",
                .visit = true,
                .s6_acquire = s6_peer_step_visit,
                .s6_release = s6_peer_step_leave,
        },
};

static int players_init(Players *players, Stage *stage, const Match *match) {
        const char *address =
                strcmp(match->sharing, "shared") == 0 ? stage->shared.address : stage->group.address;
        int r;

        raw_client_init(&players->floor, stage->floor_path, match->sharing, address);
        raw_client_init(&players->plain, stage->broker.path, match->sharing, address);
        r = library_client_init(&players->library, stage->broker.path, match->sharing, address);
        if (match->visit)
                return r < 0 ? error_trace(r) : 0;
        if (r == 0)
                r = raw_client_connect(&players->floor);
        if (r == 0)
                r = raw_client_connect(&players->plain);
        if (r == 0)
                r = library_client_connect(&players->library);
        return r < 0 ? error_trace(r) : 0;
}

static void players_deinit(Players *players) {
        raw_client_deinit(&players->floor);
        raw_client_deinit(&players->plain);
        library_client_deinit(&players->library);
}

static void players_enter(Players *players, S6Peer *s6, const Match *match, Contest *contest) {
        ContestStep raw_acquire = match->visit ? raw_client_step_visit : raw_client_step_acquire;
        ContestStep raw_release = match->visit ? raw_client_step_leave : raw_client_step_release;

        contest_add(contest, NAME_FLOOR, raw_acquire, raw_release, &players->floor);
        contest_add(contest, NAME_LIBRARY,
                    match->visit ? library_client_step_visit : library_client_step_acquire,
                    match->visit ? library_client_step_leave : library_client_step_release,
                    &players->library);
        contest_add(contest, NAME_PLAIN, raw_acquire, raw_release, &players->plain);
        if (s6)
                contest_add(contest, NAME_S6, match->s6_acquire, match->s6_release, s6);
}

static void match_judge(const Match *match, Contest *contest, Report *report) {
        Samples *floor = &contest_find(contest, NAME_FLOOR)->both;
        Samples *library = &contest_find(contest, NAME_LIBRARY)->both;
        Contestant *s6 = contest_find(contest, NAME_S6);
        char title[128];

        if (!match->visit) {
                snprintf(title, sizeof(title), "%s: Acquire and Release, p50, times the floor",
                         match->key);
                report_goal(report, title,
                            samples_percentile(library, 50) / samples_percentile(floor, 50),
                            GOAL_AT_MOST, RATIO_MAX);
        }
        if (s6) {
                snprintf(title, sizeof(title), "%s: Acquire and Release, p50 usec, below s6",
                         match->key);
                report_goal(report, title, samples_percentile(library, 50), GOAL_BELOW,
                            samples_percentile(&s6->both, 50));
        }
}

static int match_run(Stage *stage, const Match *match, size_t iterations, Report *report) {
        Contest contest = { .key = match->key, .title = match->title };
        Players players;
        int r;

        r = players_init(&players, stage, match);
        if (r == 0) {
                players_enter(&players, stage->s6, match, &contest);
                r = contest_run(&contest, iterations);
        }
        if (r == 0) {
                report_contest(report, &contest);
                match_judge(match, &contest, report);
        }
        contest_deinit(&contest);
        players_deinit(&players);
        return r < 0 ? error_trace(r) : 0;
}

int single_measure(Stage *stage, size_t iterations, Report *report) {
        for (size_t i = 0; i < sizeof(matches) / sizeof(*matches); i++) {
                int r = match_run(stage, &matches[i], iterations, report);

                if (r < 0)
                        return error_trace(r);
        }
        return 0;
}
