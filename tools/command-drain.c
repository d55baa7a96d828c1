/* SPDX-License-Identifier: BSD-2-Clause */

/* The old generation takes nothing new, and perhaps somebody waits until it has served the rest. */

#include "tools/command.h"
#include "tools/lease-selection.h"
#include "tools/report.h"

static const char help[] =
        "Usage: reusectl drain [--wait[=SECONDS]] [OPTIONS] LEASE...\n"
        "\n"
        "Lets sockets take no new traffic. What waits in them is for their holder to serve.\n"
        "\n" LEASE_SELECTION_HELP "\n"
        "Examples:\n"
        "  reusectl drain web\n"
        "  reusectl drain --wait=30 pid:4711 && kill 4711\n"
        "\n"
        "Options:\n"
        "  --wait[=SECONDS]   Until nothing waits in them any more, or their holders are gone\n"
        "  and those of 'reusectl --help'. --json prints the leases.\n"
        "\n"
        "Exit status: 75 if something still waits when the time is over. The sockets stay drained.\n";

enum {
        OPTION_WAIT = SETTINGS_OPTION_OWN,
};

typedef struct DrainOptions {
        bool wait;
        uint64_t wait_usec;
} DrainOptions;

static int drain_execute(const Settings *settings, const DrainOptions *drain, char *const *words) {
        LeaseSelection selection;
        reuse_error *error = NULL;
        int status, r;

        status = lease_selection_init(settings, words, &selection);
        if (status == REPORT_OK) {
                r = drain->wait ? reuse_client_drain_wait(selection.client, selection.leases,
                                                          selection.n, drain->wait_usec, &error)
                                : reuse_client_drain(selection.client, selection.leases, selection.n,
                                                     &error);
                status = lease_selection_report(settings, &selection, r, error);
        }
        lease_selection_deinit(&selection);
        return status;
}

int command_drain(Settings *settings, int argc, char **argv) {
        static const struct option options[] = {
                { "wait", optional_argument, NULL, OPTION_WAIT },
                SETTINGS_LONG,
        };
        DrainOptions drain = { .wait_usec = REUSE_TIMEOUT_INFINITE };
        int c, status;

        while ((c = getopt_long(argc, argv, SETTINGS_SHORT, options, NULL)) != -1)
                if (c == OPTION_WAIT) {
                        drain.wait = true;
                        if (optarg && !settings_parse_seconds(optarg, &drain.wait_usec))
                                return report_usage("--wait=%s: not a number of seconds above 0, or "
                                                    "\"infinity\"",
                                                    optarg);
                } else if (!settings_option(settings, c, help, &status))
                        return status;

        if (optind == argc)
                return report_usage("drain: no lease given");
        return drain_execute(settings, &drain, argv + optind);
}
