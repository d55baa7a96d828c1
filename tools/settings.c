/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Each command runs getopt_long() over its own options and these together; that is what lets them stand
 * on either side of the command's name.
 */

#include "tools/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build-config.h"
#include "client-lib/reuse-client.h"
#include "tools/report.h"

/* Seconds, with a fraction if need be. strtod() alone would take signs, blanks, "nan"
 * and hexadecimal. */
bool settings_parse_seconds(const char *text, uint64_t *ret_usec) {
        double seconds;
        char *end;

        if (strcmp(text, "infinity") == 0) {
                *ret_usec = REUSE_TIMEOUT_INFINITE;
                return true;
        }
        if (!*text || text[strspn(text, "0123456789.")])
                return false;

        seconds = strtod(text, &end);
        if (*end || seconds < 1e-6 || seconds > 1e9)
                return false;

        *ret_usec = (uint64_t)(seconds * 1e6);
        return true;
}

bool settings_option(Settings *settings, int option, const char *help, int *ret_status) {
        switch (option) {
        case SETTINGS_OPTION_SOCKET:
                settings->socket = optarg;
                return true;
        case SETTINGS_OPTION_TIMEOUT:
                if (settings_parse_seconds(optarg, &settings->timeout_usec))
                        return true;
                *ret_status = report_usage(
                        "--timeout %s: not a number of seconds above 0, or \"infinity\"", optarg);
                return false;
        case SETTINGS_OPTION_JSON:
                settings->output = OUTPUT_JSON;
                return true;
        case SETTINGS_OPTION_PLAIN:
                settings->output = OUTPUT_PLAIN;
                return true;
        case SETTINGS_OPTION_NO_HEADER:
                settings->header = false;
                return true;
        case 'q':
                settings->quiet = true;
                return true;
        case SETTINGS_OPTION_VERSION:
                printf("reusectl %s\n", PROJECT_VERSION);
                *ret_status = REPORT_OK;
                return false;
        case 'h':
                fputs(help, stdout);
                *ret_status = REPORT_OK;
                return false;
        default:
                /* getopt_long() has named the culprit. */
                *ret_status = report_usage(NULL);
                return false;
        }
}

bool settings_parse(Settings *settings, int argc, char **argv, const char *help, int *ret_status) {
        static const struct option options[] = { SETTINGS_LONG };
        int c;

        while ((c = getopt_long(argc, argv, SETTINGS_SHORT, options, NULL)) != -1)
                if (!settings_option(settings, c, help, ret_status))
                        return false;

        if (optind < argc) {
                *ret_status = report_usage("unexpected word '%s'", argv[optind]);
                return false;
        }
        return true;
}
