/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whether a connection is lost when members of an endpoint come and go, beside what becomes of the same
 * load with plain SO_REUSEPORT, nginx and HAProxy. All of it runs in a network of its own.
 */

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/error.h"
#include "tests/bench/cage.h"
#include "tests/bench/churn-plan.h"
#include "tests/bench/interrupt.h"
#include "tests/bench/scratch.h"

enum {
        /* By which test harnesses know that nothing was tested. */
        EXIT_SKIPPED = 77,
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

typedef struct Arguments {
        Plan plan;
        bool check;
} Arguments;

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

/* Returns 0 or -EINVAL. */
static int number_parse(const char *text, size_t max, size_t *ret) {
        unsigned long long value;
        char *end;

        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0 || *text < '0' || *text > '9' || *end || value < 1 || value > max) {
                fprintf(stderr, "churn: \"%s\" is not a number from 1 to %zu\n", text, max);
                return -EINVAL;
        }
        *ret = (size_t)value;
        return 0;
}

/* Returns 0, 1 when only help was asked for, or -EINVAL. */
static int arguments_parse(Arguments *arguments, int argc, char **argv) {
        enum { DAEMON = 256, CONNECTIONS, WORK, ONLY, QUICK, CHECK };
        static const struct option options[] = {
                { "daemon", required_argument, NULL, DAEMON },
                { "connections", required_argument, NULL, CONNECTIONS },
                { "work", required_argument, NULL, WORK },
                { "only", required_argument, NULL, ONLY },
                { "quick", no_argument, NULL, QUICK },
                { "check", no_argument, NULL, CHECK },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        Plan *plan = &arguments->plan;
        size_t work = WORK_USEC;
        int c, r = 0;

        while (r == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                switch (c) {
                case DAEMON:
                        plan->settings.daemon = optarg;
                        break;
                case CONNECTIONS:
                        r = number_parse(optarg, CONNECTIONS_MAX, &plan->connections);
                        break;
                case WORK:
                        r = number_parse(optarg, WORK_USEC_MAX, &work);
                        break;
                case ONLY:
                        plan->only = optarg;
                        break;
                case QUICK:
                        plan->quick = true;
                        break;
                case CHECK:
                        arguments->check = true;
                        break;
                case 'h':
                        fputs(usage, stdout);
                        return 1;
                default:
                        return -EINVAL;
                }
        }
        if (r == 0 && (!plan->settings.daemon || optind < argc)) {
                fputs(usage, stderr);
                return -EINVAL;
        }
        plan->settings.work_nsec = work * UINT64_C(1000);
        plan->settings.stream_timeout_nsec = STREAM_TIMEOUT_MSEC * UINT64_C(1000000);
        plan->settings.datagram_timeout_nsec =
                (plan->quick ? DATAGRAM_TIMEOUT_QUICK_MSEC : DATAGRAM_TIMEOUT_MSEC) * UINT64_C(1000000);
        if (plan->connections == 0)
                plan->connections = plan->quick ? CONNECTIONS_QUICK : CONNECTIONS_FULL;
        return r;
}

/* Inside: everything that is measured. Returns the exit status. */
static int measure(void *userdata) {
        const Arguments *arguments = userdata;
        char text[512];
        Report *report;
        bool met = false;
        int r;

        r = report_new(false, &report);
        if (r == 0) {
                r = plan_run(&arguments->plan, report);
                if (r == 0)
                        met = report_finish(report);
                report_free(report);
        }
        fflush(stdout);
        if (r < 0) {
                fprintf(stderr, "churn: %s\n", error_describe(text, sizeof(text)));
                return EXIT_FAILURE;
        }
        return arguments->check && !met ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        char folder[SCRATCH_PATH_MAX], text[512];
        Arguments arguments = { 0 };
        const char *reason;
        int status, r;

        r = arguments_parse(&arguments, argc, argv);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        setvbuf(stdout, NULL, _IOLBF, 0);
        interrupt_init();
        r = scratch_new(folder);
        if (r == 0) {
                arguments.plan.settings.folder = folder;
                r = cage_run(measure, &arguments, &status, &reason);
                scratch_remove(folder);
        }
        if (r < 0) {
                fprintf(stderr, "churn: %s\n", error_describe(text, sizeof(text)));
                return EXIT_FAILURE;
        }
        if (r == CAGE_E_NOT_ALLOWED) {
                printf("churn: skipped: %s\n", reason);
                return EXIT_SKIPPED;
        }
        return status;
}
