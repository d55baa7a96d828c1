/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The options that every command of reusectl has, before the command's name or after it.
 */

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum OutputStyle {
        OUTPUT_TABLE,
        OUTPUT_PLAIN,
        OUTPUT_JSON,
} OutputStyle;

typedef struct Settings {
        /* NULL: the library's choice. */
        const char *socket;
        uint64_t timeout_usec;
        OutputStyle output;
        bool header;
        bool quiet;
} Settings;

enum {
        SETTINGS_OPTION_SOCKET = 0x100,
        SETTINGS_OPTION_TIMEOUT,
        SETTINGS_OPTION_JSON,
        SETTINGS_OPTION_PLAIN,
        SETTINGS_OPTION_NO_HEADER,
        SETTINGS_OPTION_VERSION,
        /* Free for the command's own options. */
        SETTINGS_OPTION_OWN,
};

/* For the texts and tables that a command gives to getopt_long(), after its own options. */
#define SETTINGS_SHORT "hq"
/* clang-format off */
#define SETTINGS_LONG                                                                                    \
        { "socket", required_argument, NULL, SETTINGS_OPTION_SOCKET },                                   \
        { "timeout", required_argument, NULL, SETTINGS_OPTION_TIMEOUT },                                 \
        { "json", no_argument, NULL, SETTINGS_OPTION_JSON },                                             \
        { "plain", no_argument, NULL, SETTINGS_OPTION_PLAIN },                                           \
        { "no-header", no_argument, NULL, SETTINGS_OPTION_NO_HEADER },                                   \
        { "version", no_argument, NULL, SETTINGS_OPTION_VERSION },                                       \
        { "quiet", no_argument, NULL, 'q' },                                                             \
        { "help", no_argument, NULL, 'h' },                                                              \
        { NULL, 0, NULL, 0 }
/* clang-format on */

/* As long as nothing else is asked for. */
#define SETTINGS_DEFAULT                                                                                \
        { .timeout_usec = REUSE_TIMEOUT_DEFAULT, .output = OUTPUT_TABLE, .header = true }

/* Seconds, above 0 and with a fraction if need be, or "infinity": REUSE_TIMEOUT_INFINITE.
 * Returns whether @text is that. */
bool settings_parse_seconds(const char *text, uint64_t *ret_usec);

/*
 * Deals with one result of getopt_long() that is not the command's own, its argument in optarg.
 * Returns true to go on. False: the command is over, with *ret_status: @help or the version was printed,
 * or what is wrong was said.
 */
bool settings_option(Settings *settings, int option, const char *help, int *ret_status);

/*
 * Reads all the options of a command that has no other than these and takes no word besides.
 * Returns as settings_option().
 */
bool settings_parse(Settings *settings, int argc, char **argv, const char *help, int *ret_status);
