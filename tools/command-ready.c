/* SPDX-License-Identifier: BSD-2-Clause */

/* The new generation says that it is there. */

#include "tools/command.h"
#include "tools/lease-selection.h"
#include "tools/report.h"

static const char help[] = "Usage: reusectl ready [OPTIONS] LEASE...\n"
                           "\n"
                           "Lets sockets take traffic that were acquired as standby, or drained.\n"
                           "\n" LEASE_SELECTION_HELP "\n"
                           "Examples:\n"
                           "  reusectl ready $REUSE_LEASES\n"
                           "  reusectl ready pid:4711\n"
                           "\n"
                           "Options: those of 'reusectl --help'. --json prints the leases.\n";

static int ready_execute(const Settings *settings, char *const *words) {
        LeaseSelection selection;
        reuse_error *error = NULL;
        int status, r;

        status = lease_selection_init(settings, words, &selection);
        if (status == REPORT_OK) {
                r = reuse_client_ready(selection.client, selection.leases, selection.n, &error);
                status = lease_selection_report(settings, &selection, r, error);
        }
        lease_selection_deinit(&selection);
        return status;
}

int command_ready(Settings *settings, int argc, char **argv) {
        static const struct option options[] = { SETTINGS_LONG };
        int c, status;

        while ((c = getopt_long(argc, argv, SETTINGS_SHORT, options, NULL)) != -1)
                if (!settings_option(settings, c, help, &status))
                        return status;

        if (optind == argc)
                return report_usage("ready: no lease given");
        return ready_execute(settings, argv + optind);
}
