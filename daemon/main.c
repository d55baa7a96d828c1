/* SPDX-License-Identifier: BSD-2-Clause */

/* Arguments, exit status, and telling the service manager that the broker is ready, or stops. */

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "build-config.h"
#include "daemon/broker.h"
#include "daemon/config-check.h"
#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/notify.h"

static int print_help(void) {
        printf("reuseportd [OPTION...]\n\n"
               "Makes reusable listening sockets on request and hands them to clients.\n\n"
               "  --socket PATH   control socket; default $REUSEPORTD_SOCKET, or\n"
               "                  " DEFAULT_SOCKET "\n"
               "  --config FILE   read this file alone, not " CONFIG_FILE_DEFAULT "\n"
               "  --user          a user's own broker: its socket in $XDG_RUNTIME_DIR, no system\n"
               "                  configuration\n"
               "  --replace       take over from the broker that serves the socket, with all that it "
               "has\n"
               "  --check-config  say what is wrong in the configuration, if anything, and exit\n"
               "  --version       print the version\n"
               "  -h, --help      print this\n\n"
               "See reuseportd(8), reuseportd.conf(5).\n");
        return EXIT_SUCCESS;
}

/* The control socket when none is named. Returns false if it cannot be known. */
static bool default_socket(bool user, char *buffer, size_t size) {
        const char *path = getenv("REUSEPORTD_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");
        int n;

        if (path && path[0])
                n = snprintf(buffer, size, "%s", path);
        else if (!user)
                n = snprintf(buffer, size, "%s", DEFAULT_SOCKET);
        else if (runtime && runtime[0] == '/')
                n = snprintf(buffer, size, "%s/reuseportd/io.reuseportd", runtime);
        else
                return false;
        return n > 0 && (size_t)n < size;
}

/* Returns true to go on; false to end with *ret_status. */
static bool parse_arguments(int argc, char **argv, BrokerOptions *options, int *ret_status) {
        enum {
                OPTION_SOCKET = 256,
                OPTION_CONFIG,
                OPTION_USER,
                OPTION_REPLACE,
                OPTION_CHECK_CONFIG,
                OPTION_VERSION
        };
        static const struct option known[] = {
                { "socket", required_argument, NULL, OPTION_SOCKET },
                { "config", required_argument, NULL, OPTION_CONFIG },
                { "user", no_argument, NULL, OPTION_USER },
                { "replace", no_argument, NULL, OPTION_REPLACE },
                { "check-config", no_argument, NULL, OPTION_CHECK_CONFIG },
                { "version", no_argument, NULL, OPTION_VERSION },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        bool check = false;
        int option;

        while ((option = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
                switch (option) {
                case OPTION_SOCKET:
                        options->socket = optarg;
                        break;
                case OPTION_CONFIG:
                        options->config_file = optarg;
                        break;
                case OPTION_USER:
                        options->own_only = true;
                        break;
                case OPTION_REPLACE:
                        options->replace = true;
                        break;
                case OPTION_CHECK_CONFIG:
                        check = true;
                        break;
                case OPTION_VERSION:
                        puts("reuseportd " PROJECT_VERSION);
                        *ret_status = EXIT_SUCCESS;
                        return false;
                case 'h':
                        *ret_status = print_help();
                        return false;
                default:
                        *ret_status = EX_USAGE;
                        return false;
                }
        }
        if (optind < argc) {
                log_line(LOG_ERR, "%s: no arguments are taken; see --help", argv[optind]);
                *ret_status = EX_USAGE;
                return false;
        }
        if (check)
                *ret_status = config_check(options->config_file, options->own_only);
        return !check;
}

static int serve(const BrokerOptions *options) {
        Broker *broker = NULL;
        int r = broker_new(options, &broker);

        if (r > 0)
                return r == BROKER_E_CONFIG ? EX_CONFIG : EX_CANTCREAT;
        if (r == 0) {
                notify_ready(broker_path(broker), NULL);
                log_line(LOG_INFO, "serving %s", broker_path(broker));
                r = broker_run(broker);
                notify_stopping();
        }
        if (r < 0)
                log_fault(LOG_ERR, "the broker ends");
        broker_free(broker);
        return r < 0 ? EX_OSERR : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        BrokerOptions options = { 0 };
        char path[PATH_MAX];
        int status;

        log_init();
        if (!parse_arguments(argc, argv, &options, &status))
                return status;
        if (!options.socket) {
                if (!default_socket(options.own_only, path, sizeof(path))) {
                        log_line(LOG_ERR, "$XDG_RUNTIME_DIR is not set: give --socket");
                        return EX_USAGE;
                }
                options.socket = path;
        }
        return serve(&options);
}
