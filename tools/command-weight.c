/* SPDX-License-Identifier: BSD-2-Clause */

/* A little traffic for a new generation, before it gets all of it. */

#include <stdlib.h>
#include <string.h>

#include "tools/command.h"
#include "tools/lease-selection.h"
#include "tools/report.h"

static const char help[] =
        "Usage: reusectl weight [OPTIONS] WEIGHT LEASE...\n"
        "\n"
        "Sets the share of sockets in the new traffic of their group: 0 to 100, 10 unless asked\n"
        "otherwise. With 0 they take none, as long as others are there.\n"
        "\n" LEASE_SELECTION_HELP "\n"
        "Examples:\n"
        "  reusectl weight 1 pid:4711\n"
        "  reusectl weight 100 web\n"
        "\n"
        "Options: those of 'reusectl --help'. --json prints the leases.\n";

enum {
        WEIGHT_MAX = 100,
        WEIGHT_DIGITS_MAX = 3,
};

static bool weight_parse(const char *text, int *ret) {
        size_t n = strlen(text);

        if (n == 0 || n > WEIGHT_DIGITS_MAX || strspn(text, "0123456789") != n)
                return false;
        /* NOLINTNEXTLINE(cert-err34-c): no more than three digits */
        *ret = atoi(text);
        return *ret <= WEIGHT_MAX;
}

static int weight_execute(const Settings *settings, int weight, char *const *words) {
        LeaseSelection selection;
        reuse_error *error = NULL;
        int status, r;

        status = lease_selection_init(settings, words, &selection);
        if (status == REPORT_OK) {
                r = reuse_client_set_weight(selection.client, selection.leases, selection.n, weight,
                                            &error);
                status = lease_selection_report(settings, &selection, r, error);
        }
        lease_selection_deinit(&selection);
        return status;
}

int command_weight(Settings *settings, int argc, char **argv) {
        static const struct option options[] = { SETTINGS_LONG };
        int c, status, weight;

        while ((c = getopt_long(argc, argv, SETTINGS_SHORT, options, NULL)) != -1)
                if (!settings_option(settings, c, help, &status))
                        return status;

        if (optind == argc)
                return report_usage("weight: no weight given");
        if (!weight_parse(argv[optind], &weight))
                return report_usage("weight: '%s' is not a number from 0 to %d", argv[optind],
                                    WEIGHT_MAX);
        if (optind + 1 == argc)
                return report_usage("weight: no lease given");
        return weight_execute(settings, weight, argv + optind + 1);
}
