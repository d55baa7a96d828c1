/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A proof that something is not lost is worth as much as its control: the same load without departures,
 * where nothing may be lost, and with members that nobody looks after, where something must be.
 */

#include "tests/bench/churn-plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/error.h"
#include "tests/bench/interrupt.h"

enum {
        GAP_MSEC = 300,
        RELOAD_MSEC = 200,
        BROKER_KILL_MSEC = 300,
};

#define SLOW_P99_MAX 0.30
#define SLOW_RATE_MIN 3.0

/* What a round is run for. */
typedef enum Aim {
        AIM_COMPARE, /* its line is all */
        AIM_STILL,
        AIM_SEEN,
        AIM_GRACEFUL,
        AIM_KILL,
        AIM_GAP,
        AIM_DATAGRAM,
        AIM_UNIX,
        AIM_MORTAL,
        AIM_MORTAL_KILL,
        AIM_SLOW_KERNEL,
        AIM_SLOW_BROKER,
        _AIM_N
} Aim;

typedef struct PlanRow {
        Aim aim;
        unsigned share; /* of the plan's connections, in thousandths */
        Round round;
} PlanRow;

typedef struct PlanTable {
        const PlanRow *rows;
        size_t n;
} PlanTable;

/* What came of all rounds of one aim. */
typedef struct Account {
        size_t rounds;
        size_t connections;
        size_t lost;
        double rate, p99_msec; /* of the last */
} Account;

typedef struct Books {
        Account accounts[_AIM_N];
        size_t in_hand;
        size_t presumed;
        size_t failed;
} Books;

#define BROKER SUBJECT_BROKER
#define PLAIN SUBJECT_PLAIN
#define NGINX SUBJECT_NGINX
#define HAPROXY SUBJECT_HAPROXY
#define MORTAL .kill_msec = BROKER_KILL_MSEC, .needs = "steer"

/* Of departures in good order the shares make 1000 together. With one field by its name in each row, the
 * compiler takes those left out for meant. */
static const PlanRow full_rows[] = {
        { AIM_STILL, 20, { PLAIN, KIND_TCP4, MANNER_STAY, 4, 0, .needs = NULL } },
        { AIM_STILL, 20, { BROKER, KIND_TCP4, MANNER_STAY, 4, 0, .needs = NULL } },
        { AIM_SEEN, 20, { PLAIN, KIND_TCP4, MANNER_RELEASE, 4, 50, .needs = NULL } },
        { AIM_GRACEFUL, 200, { BROKER, KIND_TCP4, MANNER_RELEASE, 4, 50, .needs = "migrate" } },
        { AIM_GRACEFUL, 150, { BROKER, KIND_TCP4, MANNER_DRAIN, 4, 50, .needs = "steer" } },
        { AIM_COMPARE, 20, { PLAIN, KIND_TCP4, MANNER_RELEASE, 4, 10, .needs = NULL } },
        { AIM_GRACEFUL, 150, { BROKER, KIND_TCP4, MANNER_RELEASE, 4, 10, .needs = "migrate" } },
        { AIM_GRACEFUL, 100, { BROKER, KIND_TCP4, MANNER_DRAIN, 4, 10, .needs = "steer" } },
        { AIM_GRACEFUL, 100, { BROKER, KIND_TCP6, MANNER_RELEASE, 4, 10, .needs = "migrate" } },
        { AIM_COMPARE, 20, { PLAIN, KIND_TCP4, MANNER_RELEASE, 32, 10, .needs = NULL } },
        { AIM_GRACEFUL, 150, { BROKER, KIND_TCP4, MANNER_RELEASE, 32, 10, .needs = "migrate" } },
        { AIM_GRACEFUL, 150, { BROKER, KIND_TCP6, MANNER_DRAIN, 32, 10, .needs = "steer" } },
        { AIM_COMPARE, 20, { PLAIN, KIND_TCP4, MANNER_KILL, 4, 50, .needs = NULL } },
        { AIM_KILL, 50, { BROKER, KIND_TCP4, MANNER_KILL, 4, 50, .needs = NULL } },
        { AIM_KILL, 50, { BROKER, KIND_TCP6, MANNER_KILL, 4, 10, .lifetime = "process" } },
        { AIM_KILL, 50, { BROKER, KIND_TCP4, MANNER_KILL, 32, 10, .lifetime = "process" } },
        { AIM_COMPARE, 20, { PLAIN, KIND_TCP4, MANNER_GAP, 4, GAP_MSEC, .needs = NULL } },
        { AIM_GAP, 40, { BROKER, KIND_TCP4, MANNER_GAP, 4, GAP_MSEC, .needs = NULL } },
        { AIM_GAP, 20, { BROKER, KIND_UNIX, MANNER_GAP, 4, GAP_MSEC, .needs = NULL } },
        { AIM_COMPARE, 20, { PLAIN, KIND_UDP4, MANNER_RELEASE, 4, 50, .needs = NULL } },
        { AIM_DATAGRAM, 40, { BROKER, KIND_UDP4, MANNER_DRAIN, 4, 50, .needs = "steer" } },
        { AIM_DATAGRAM, 40, { BROKER, KIND_UDP4, MANNER_DRAIN, 4, 10, .needs = "steer" } },
        { AIM_COMPARE, 20, { PLAIN, KIND_UDP4, MANNER_KILL, 4, 50, .needs = NULL } },
        { AIM_DATAGRAM, 40, { BROKER, KIND_UDP4, MANNER_KILL, 4, 50, .needs = NULL } },
        { AIM_DATAGRAM, 40, { BROKER, KIND_UDP4, MANNER_KILL, 4, 10, .needs = NULL } },
        { AIM_UNIX, 40, { BROKER, KIND_UNIX, MANNER_RELEASE, 4, 10, .needs = NULL } },
        { AIM_UNIX, 40, { BROKER, KIND_UNIX, MANNER_KILL, 4, 10, .needs = NULL } },
        { AIM_UNIX, 40, { BROKER, KIND_UNIX, MANNER_KILL, 32, 10, .needs = NULL } },
        { AIM_MORTAL, 100, { BROKER, KIND_TCP4, MANNER_RELEASE, 4, 50, MORTAL } },
        { AIM_MORTAL, 50, { BROKER, KIND_TCP4, MANNER_RELEASE, 4, 50, MORTAL, .lifetime = "process" } },
        { AIM_MORTAL, 50, { BROKER, KIND_TCP4, MANNER_DRAIN, 4, 50, MORTAL } },
        { AIM_MORTAL, 50, { BROKER, KIND_TCP4, MANNER_RELEASE, 4, 10, MORTAL } },
        /* Those that drain all watch, once there is a broker again; a user may have 8 who do. */
        { AIM_MORTAL, 50, { BROKER, KIND_TCP6, MANNER_DRAIN, 32, 50, MORTAL } },
        { AIM_MORTAL, 50, { BROKER, KIND_TCP4, MANNER_RELEASE, 32, 10, MORTAL } },
        { AIM_MORTAL_KILL, 50, { BROKER, KIND_TCP4, MANNER_KILL, 4, 50, MORTAL } },
        { AIM_MORTAL_KILL,
          50,
          { BROKER, KIND_TCP4, MANNER_KILL, 4, 50, MORTAL, .lifetime = "process" } },
        { AIM_MORTAL_KILL, 20, { BROKER, KIND_TCP4, MANNER_GAP, 4, GAP_MSEC, MORTAL } },
        { AIM_MORTAL_KILL, 30, { BROKER, KIND_UNIX, MANNER_RELEASE, 4, 10, MORTAL } },
        { AIM_COMPARE, 30, { BROKER, KIND_UDP4, MANNER_DRAIN, 4, 50, MORTAL } },
        { AIM_COMPARE, 100, { NGINX, KIND_TCP4, MANNER_STAY, 4, 0, .needs = NULL } },
        { AIM_COMPARE, 100, { NGINX, KIND_TCP4, MANNER_RELOAD, 4, RELOAD_MSEC, .needs = NULL } },
        { AIM_COMPARE, 100, { HAPROXY, KIND_TCP4, MANNER_STAY, 4, 0, .needs = NULL } },
        { AIM_COMPARE, 100, { HAPROXY, KIND_TCP4, MANNER_RELOAD, 4, RELOAD_MSEC, .needs = NULL } },
        { AIM_SLOW_KERNEL, 20, { PLAIN, KIND_TCP4, MANNER_STAY, 4, 0, .one_slow = true } },
        { AIM_SLOW_BROKER,
          20,
          { BROKER, KIND_TCP4, MANNER_STAY, 4, 0, .one_slow = true, .steering = "leastLoad",
            .needs = "steer" } },
};

/* What depends on how fast this machine is has no place in a test. */
static const PlanRow quick_rows[] = {
        { AIM_STILL, 100, { PLAIN, KIND_TCP4, MANNER_STAY, 4, 0, .needs = NULL } },
        { AIM_SEEN, 100, { PLAIN, KIND_TCP4, MANNER_RELEASE, 4, 50, .needs = NULL } },
        { AIM_GRACEFUL, 250, { BROKER, KIND_TCP4, MANNER_RELEASE, 4, 10, .needs = "migrate" } },
        { AIM_GRACEFUL, 300, { BROKER, KIND_TCP4, MANNER_DRAIN, 4, 50, .needs = "steer" } },
        { AIM_GRACEFUL, 200, { BROKER, KIND_TCP6, MANNER_RELEASE, 4, 50, .needs = "migrate" } },
        { AIM_GRACEFUL, 250, { BROKER, KIND_TCP4, MANNER_RELEASE, 32, 10, .needs = "migrate" } },
        { AIM_KILL, 200, { BROKER, KIND_TCP4, MANNER_KILL, 4, 10, .needs = NULL } },
        { AIM_KILL, 100, { BROKER, KIND_TCP6, MANNER_KILL, 4, 50, .lifetime = "process" } },
        { AIM_GAP, 100, { BROKER, KIND_TCP4, MANNER_GAP, 4, GAP_MSEC, .needs = NULL } },
        { AIM_DATAGRAM, 200, { BROKER, KIND_UDP4, MANNER_DRAIN, 4, 10, .needs = "steer" } },
        { AIM_DATAGRAM, 50, { BROKER, KIND_UDP4, MANNER_KILL, 4, 50, .needs = NULL } },
        { AIM_UNIX, 100, { BROKER, KIND_UNIX, MANNER_RELEASE, 4, 10, .needs = NULL } },
        { AIM_UNIX, 100, { BROKER, KIND_UNIX, MANNER_KILL, 4, 10, .needs = NULL } },
        { AIM_MORTAL, 300, { BROKER, KIND_TCP4, MANNER_RELEASE, 4, 50, MORTAL } },
};

static const PlanTable tables[] = {
        { full_rows, sizeof(full_rows) / sizeof(*full_rows) },
        { quick_rows, sizeof(quick_rows) / sizeof(*quick_rows) },
};

/* What may be lost of all rounds of one aim. */
static const struct {
        Aim aim;
        const char *title;
        GoalKind kind;
        double limit;
} goals[] = {
        { AIM_STILL, "lost without any departure", GOAL_AT_MOST, 0 },
        { AIM_SEEN, "the control: lost by plain SO_REUSEPORT", GOAL_AT_LEAST, 1 },
        { AIM_GRACEFUL, "TCP, members leave in good order: lost", GOAL_AT_MOST, 0 },
        { AIM_KILL, "TCP, members killed: lost besides those in hand", GOAL_AT_MOST, 0 },
        { AIM_GAP, "no member for 300 ms: lost besides those in hand", GOAL_AT_MOST, 0 },
        { AIM_DATAGRAM, "UDP: lost besides those in hand", GOAL_AT_MOST, 0 },
        { AIM_UNIX, "UNIX: lost besides those in hand", GOAL_AT_MOST, 0 },
        { AIM_MORTAL, "broker killed every 300 ms: lost", GOAL_AT_MOST, 0 },
        { AIM_MORTAL_KILL, "broker and members killed: lost besides those in hand", GOAL_AT_MOST, 0 },
};

static void books_enter(Books *books, Aim aim, const Outcome *outcome) {
        Account *account = &books->accounts[aim];

        if (outcome->skipped)
                return;
        account->rounds++;
        account->connections += outcome->made;
        account->lost += outcome->tally.lost;
        account->rate = outcome->rate;
        account->p99_msec = outcome->p99_msec;
        books->in_hand += outcome->tally.in_hand;
        books->presumed += outcome->tally.presumed;
}

/* What the figures in the table rest on. */
static void books_explain(const Books *books, Report *report) {
        report_note(report,
                    "\nA client that is not answered waits 10 ms before it tries again. In hand is\n"
                    "what a killed member had accepted and not yet answered, by its own note; for\n"
                    "%zu of these %zu it was killed within accept(), and the client is presumed.",
                    books->presumed, books->in_hand);
}

static void books_judge(const Books *books, Report *report) {
        const Account *kernel = &books->accounts[AIM_SLOW_KERNEL];
        const Account *broker = &books->accounts[AIM_SLOW_BROKER];
        char title[128];

        for (size_t i = 0; i < sizeof(goals) / sizeof(*goals); i++) {
                const Account *account = &books->accounts[goals[i].aim];

                if (account->rounds == 0)
                        continue;
                snprintf(title, sizeof(title), "%s, of %zu", goals[i].title, account->connections);
                report_goal(report, title, (double)account->lost, goals[i].kind, goals[i].limit);
        }
        if (kernel->rounds > 0 && broker->rounds > 0) {
                report_goal(report, "one member slow: p99, times that of the kernel's hash",
                            broker->p99_msec / kernel->p99_msec, GOAL_AT_MOST, SLOW_P99_MAX);
                report_goal(report, "one member slow: rate, times that of the kernel's hash",
                            broker->rate / kernel->rate, GOAL_AT_LEAST, SLOW_RATE_MIN);
        }
        report_goal(report, "rounds that could not be run", (double)books->failed, GOAL_AT_MOST, 0);
}

static int plan_run_row(const Plan *plan, const PlanRow *row, Books *books, Report *report) {
        char label[ROUND_LABEL_MAX], trace[512];
        Round round = row->round;
        Outcome outcome;
        int r;

        round.connections = plan->connections * row->share / 1000 ?: 1;
        round_label(&round, label);
        if (plan->only && !strstr(label, plan->only))
                return 0;
        r = round_run(&round, &plan->settings, &outcome);
        if (r == 0) {
                books_enter(books, row->aim, &outcome);
                round_print(&round, &outcome, report);
                return 0;
        }
        /* It was the round that failed, unless somebody wants the whole to end. */
        if (r == -EINTR)
                return error_trace(r);
        books->failed++;
        round_print_failed(&round, error_describe(trace, sizeof(trace)), report);
        return 0;
}

int plan_run(const Plan *plan, Report *report) {
        const PlanTable *table = &tables[plan->quick];
        Books books = { 0 };
        int r;

        round_print_header(report);
        for (size_t i = 0; i < table->n; i++) {
                r = interrupt_check();
                if (r == 0)
                        r = plan_run_row(plan, &table->rows[i], &books, report);
                if (r < 0)
                        return error_trace(r);
        }
        books_explain(&books, report);
        books_judge(&books, report);
        return 0;
}
