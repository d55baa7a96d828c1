/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How long it takes until a broker that was killed is back with everything: from the execve() of the
 * next one until it says that it is ready, and until it has answered the first call. All of it runs in a
 * network of its own.
 */

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/arguments.h"
#include "tests/bench/bench.h"
#include "tests/bench/comeback-holder.h"
#include "tests/bench/interrupt.h"
#include "tests/bench/link.h"
#include "tests/bench/store.h"

enum {
        RUNS = 11,
        GOAL_ENDPOINTS = 10000,
        GOAL_MSEC = 300,
        /* How often somebody who waits for the broker looks again. */
        LOOK_NSEC = 100 * 1000,
};

typedef struct Row {
        const char *sharing;
        size_t n;
} Row;

/* A group of one gets a sentinel beside its member when it is taken up: of these there is room for half
 * as many. */
static const Row rows[] = {
        { "exclusive", 10 },   { "exclusive", 100 },
        { "exclusive", 1000 }, { "exclusive", GOAL_ENDPOINTS },
        { "group", 10 },       { "group", 100 },
        { "group", 1000 },     { "group", GOAL_ENDPOINTS / 2 },
};

static const char usage[] = "Usage: comeback --daemon PATH [OPTION...]\n"
                            "Measure how soon a reuseportd is back that was killed.\n"
                            "\n"
                            "      --daemon=PATH      the reuseportd to measure\n"
                            "      --check            fail when the goal is missed\n"
                            "  -h, --help             print this\n"
                            "Exits with 77 where it is not allowed to make a network of its own.\n";

/* What came back, as the broker itself says. */
static int status_check(const char *text, size_t n) {
        json_auto_t *reply = json_loads(text, 0, NULL);
        json_int_t recovered, lost;

        if (!reply || json_unpack(reply, "{s:{s:I, s:I}}", "parameters", "recovered", &recovered, "lost",
                                  &lost) < 0)
                return error_origin(-EPROTO);
        if (recovered != (json_int_t)n || lost != 0) {
                fprintf(stderr, "comeback: %lld of %zu are back, %lld lost\n", (long long)recovered, n,
                        (long long)lost);
                return error_origin(-ENODATA);
        }
        return 0;
}

static void rest(void) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_nsec = LOOK_NSEC }, NULL);
}

/* One call, made as soon as somebody takes it; *@ret_nsec is when it was answered. */
static int first_call(const Store *store, size_t n, uint64_t *ret_nsec) {
        static const char call[] = "{\"method\":\"io.reuseportd.GetStatus\"}";
        _cleanup_(fd_closep) int fd = -1, passed = -1;
        char buffer[LINK_FRAME_MAX];
        size_t size;
        int r;

        while ((r = link_connect(store->program.path, &fd)) == -ECONNREFUSED || r == -ENOENT) {
                r = interrupt_check();
                if (r < 0)
                        return r;
                rest();
        }
        if (r == 0)
                r = link_send(fd, call, sizeof(call), -1);
        if (r == 0)
                r = link_receive(fd, buffer, &size, &passed);
        if (r < 0)
                return error_trace(r);
        *ret_nsec = clock_nsec();
        r = status_check(buffer, n);
        return r < 0 ? error_trace(r) : 0;
}

static int kill_once(const Store *store, size_t n, Samples *ready, Samples *answered) {
        uint64_t before = store->board->exec_nsec, begin = before, answer;
        int r;

        r = store_kill(store);
        while (r == 0 && (begin = store->board->exec_nsec) == before) {
                r = interrupt_check();
                rest();
        }
        if (r == 0)
                r = first_call(store, n, &answer);
        if (r == 0)
                r = store_await(store);
        if (r < 0)
                return error_trace(r);
        samples_add(ready, store->board->ready_nsec - begin);
        samples_add(answered, answer - begin);
        return 0;
}

static int row_run(const char *daemon, const char *folder, const Row *row, Samples *ready,
                   Samples *answered) {
        static const char config[] = "[Broker]\nSocketMode=0666\nMaxLeasesPerUser=100000\n"
                                     "[Rule bench]\nUser=*\nNetwork=*\nSharing=*\n";
        BrokerSettings settings = { .config = config, .uid = geteuid() };
        Holders holders = { .n = 0 };
        Store store;
        int r;

        r = store_start(daemon, folder, "broker", &settings, &store);
        if (r == 0)
                r = holders_start(store.program.path, row->sharing, row->n, &holders);
        for (int i = 0; r == 0 && i < RUNS; i++)
                r = kill_once(&store, row->n, ready, answered);
        store_stop(&store);
        holders_stop(&holders);
        return r < 0 ? error_trace(r) : 0;
}

static void row_report(const Row *row, Samples *ready, Samples *answered, Report *report) {
        double median = samples_percentile(answered, 50) / 1000;

        report_note(report, "%-10s %10zu %10.1f %10.1f %10.1f", row->sharing, row->n,
                    samples_percentile(ready, 50) / 1000, median,
                    samples_percentile(answered, 100) / 1000);
        if (row->n == GOAL_ENDPOINTS)
                report_goal(report, "msec until 10 000 endpoints are back, median", median, GOAL_BELOW,
                            GOAL_MSEC);
}

static int measure_rows(const char *daemon, const char *folder, Report *report) {
        report_note(report,
                    "Until the next broker is ready, and has answered, of %d runs.\n"
                    "%-10s %10s %10s %10s %10s\n%-10s %10s %10s %10s %10s",
                    RUNS, "", "", "ready", "answered", "answered", "sharing", "endpoints", "p50 msec",
                    "p50 msec", "max msec");
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                Samples ready = { 0 }, answered = { 0 };
                int r;

                r = samples_init(&ready, RUNS);
                if (r == 0)
                        r = samples_init(&answered, RUNS);
                if (r == 0)
                        r = row_run(daemon, folder, &rows[i], &ready, &answered);
                if (r == 0)
                        row_report(&rows[i], &ready, &answered, report);
                samples_deinit(&ready);
                samples_deinit(&answered);
                if (r < 0)
                        return error_trace(r);
        }
        return 0;
}

static int measure(void *userdata, const char *folder, Report *report) {
        const char *daemon = *(const char **)userdata;
        int r;

        /* Clients are other users. */
        r = chmod(folder, 0711) < 0 ? error_origin(-errno) : 0;
        if (r == 0)
                r = measure_rows(daemon, folder, report);
        return r < 0 ? error_trace(r) : 0;
}

int main(int argc, char **argv) {
        const char *daemon = NULL;
        Bench bench = { .measure = measure, .userdata = &daemon, .caged = true };
        const Argument arguments[] = {
                { "daemon", .text = &daemon, .mandatory = true },
                { "check", .flag = &bench.check },
        };
        int r;

        r = arguments_parse(arguments, sizeof(arguments) / sizeof(*arguments), usage, argc, argv);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        return bench_run(&bench);
}
