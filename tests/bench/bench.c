/* SPDX-License-Identifier: BSD-2-Clause */

#include "tests/bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/error.h"
#include "tests/bench/cage.h"
#include "tests/bench/interrupt.h"
#include "tests/bench/scratch.h"

enum {
        /* By which test harnesses know that nothing was tested. */
        EXIT_SKIPPED = 77,
};

typedef struct Run {
        const Bench *bench;
        char folder[SCRATCH_PATH_MAX];
} Run;

static int run_fail(void) {
        char text[512];

        fprintf(stderr, "%s: %s\n", program_invocation_short_name, error_describe(text, sizeof(text)));
        return EXIT_FAILURE;
}

/* In the cage, if there is one. Returns the exit status. */
static int run_report(void *userdata) {
        const Run *run = userdata;
        const Bench *bench = run->bench;
        Report *report;
        bool met = false;
        int r;

        r = report_new(bench->json, &report);
        if (r == 0) {
                r = bench->measure(bench->userdata, run->folder, report);
                if (r == 0)
                        met = report_finish(report);
                report_free(report);
        }
        fflush(stdout);
        if (r < 0)
                return run_fail();
        return bench->check && !met ? EXIT_FAILURE : EXIT_SUCCESS;
}

int bench_run(const Bench *bench) {
        Run run = { .bench = bench };
        const char *reason;
        int status, r;

        setvbuf(stdout, NULL, _IOLBF, 0);
        interrupt_init();
        r = scratch_new(run.folder);
        if (r < 0)
                return run_fail();
        if (bench->caged)
                r = cage_run(run_report, &run, &status, &reason);
        else
                status = run_report(&run);
        scratch_remove(run.folder);
        if (r < 0)
                return run_fail();
        if (r == CAGE_E_NOT_ALLOWED) {
                printf("%s: skipped: %s\n", program_invocation_short_name, reason);
                return EXIT_SKIPPED;
        }
        return status;
}
