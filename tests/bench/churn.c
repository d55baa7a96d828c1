/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whether a connection is lost when members of an endpoint come and go, beside what becomes of the same
 * load with plain SO_REUSEPORT, nginx and HAProxy. All of it runs in a network of its own.
 */

#include <stdbool.h>
#include <stdlib.h>

#include "proto/error.h"
#include "tests/bench/arguments.h"
#include "tests/bench/bench.h"
#include "tests/bench/churn-plan.h"

enum {
        CONNECTIONS_FULL = 1000 * 1000,
        CONNECTIONS_QUICK = 50 * 1000,
        CONNECTIONS_MAX = 100 * 1000 * 1000,
        WORK_USEC = 300,
        WORK_USEC_MAX = 100 * 1000,
        STREAM_TIMEOUT_MSEC = 3000,
        DATAGRAM_TIMEOUT_MSEC = 100,
        /* A test runs on busy machines too: a datagram may be late there, and not lost. */
        DATAGRAM_TIMEOUT_QUICK_MSEC = 1000,
};

static const char usage[] =
        "Usage: churn --daemon PATH [OPTION...]\n"
        "Count the connections that are lost when members come and go.\n"
        "\n"
        "      --daemon=PATH      the reuseportd to measure\n"
        "      --connections=N    with members that leave in good order (default: 1000000)\n"
        "      --work=USEC        of a member for each connection (default: 300)\n"
        "      --only=TEXT        rounds like \"reuseportd tcp4 kill\" with TEXT in them\n"
        "      --quick            a short form, without other servers and figures of speed\n"
        "      --check            fail when a goal is missed\n"
        "  -h, --help             print this\n"
        "Exits with 77 where it is not allowed to make a network of its own.\n";

/* As arguments_parse(). */
static int plan_parse(Plan *plan, bool *ret_check, int argc, char **argv) {
        size_t work = WORK_USEC;
        const Argument arguments[] = {
                { "daemon", .text = &plan->settings.daemon, .mandatory = true },
                { "connections", .number = &plan->connections, .min = 1, .max = CONNECTIONS_MAX },
                { "work", .number = &work, .min = 1, .max = WORK_USEC_MAX },
                { "only", .text = &plan->only },
                { "quick", .flag = &plan->quick },
                { "check", .flag = ret_check },
        };
        int r;

        r = arguments_parse(arguments, sizeof(arguments) / sizeof(*arguments), usage, argc, argv);
        if (r != 0)
                return r;
        plan->settings.work_nsec = work * UINT64_C(1000);
        plan->settings.stream_timeout_nsec = STREAM_TIMEOUT_MSEC * UINT64_C(1000000);
        plan->settings.datagram_timeout_nsec =
                (plan->quick ? DATAGRAM_TIMEOUT_QUICK_MSEC : DATAGRAM_TIMEOUT_MSEC) * UINT64_C(1000000);
        if (plan->connections == 0)
                plan->connections = plan->quick ? CONNECTIONS_QUICK : CONNECTIONS_FULL;
        return 0;
}

static int measure(void *userdata, const char *folder, Report *report) {
        Plan *plan = userdata;
        int r;

        plan->settings.folder = folder;
        r = plan_run(plan, report);
        return r < 0 ? error_trace(r) : 0;
}

int main(int argc, char **argv) {
        Plan plan = { 0 };
        Bench bench = { .measure = measure, .userdata = &plan, .caged = true };
        int r;

        r = plan_parse(&plan, &bench.check, argc, argv);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        return bench_run(&bench);
}
