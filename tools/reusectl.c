/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The broker's command line client: a plain user of the client library. Here the command's name is
 * found; each command is a file of its own.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/reuse-client.h"
#include "tools/command.h"
#include "tools/report.h"

static const char help[] =
        "Usage: reusectl [OPTIONS] COMMAND [ARGUMENTS]\n"
        "\n"
        "Sockets that many programs share, from the reuseportd broker.\n"
        "\n"
        "Examples:\n"
        "  reusectl run -l tcp:127.0.0.1:8080,name=web -- ./server\n"
        "  reusectl drain --wait web\n"
        "  reusectl list\n"
        "  reusectl list --members web\n"
        "  reusectl list --json | jq '.endpoints[].address'\n"
        "  reusectl watch\n"
        "\n"
        "Commands:\n"
        "  run -l SPEC... -- COMMAND   Start a program with sockets of the broker\n"
        "  ready LEASE...              Let standby or drained sockets take traffic\n"
        "  drain LEASE...              Let sockets take no new traffic\n"
        "  weight WEIGHT LEASE...      Set the share of sockets in new traffic, 0 to 100\n"
        "  dial SPEC                   Connect standard input and output to somebody\n"
        "  explain SPEC                Show which rule gives a socket, or why none does\n"
        "  check-config [FILE]         Show what is wrong in the broker's configuration\n"
        "  list [ENDPOINT]             Show what is held, and by whom\n"
        "  watch                       Print what happens, as it happens\n"
        "  status                      Show how the broker does, and what it can do here\n"
        "  version                     Show the versions of tool, library and broker\n"
        "\n"
        "Options, before the command or after it:\n"
        "  --socket PATH      The broker's socket; else $REUSEPORTD_SOCKET, else the default\n"
        "  --timeout SECONDS  How long to wait for an answer (default 5), or \"infinity\"\n"
        "  --json             Print JSON\n"
        "  --plain            Print one record a line, separated by tabs\n"
        "  --no-header        Leave out the titles of the columns\n"
        "  -q, --quiet        No words on standard error; the exit status tells\n"
        "  -h, --help         Show this help, or that of the command\n"
        "  --version          Show the version of this tool\n"
        "\n"
        "See reusectl(1).\n";

static const struct {
        const char *name;
        int (*function)(Settings *settings, int argc, char **argv);
} commands[] = {
        { "run", command_run },         { "ready", command_ready },
        { "drain", command_drain },     { "weight", command_weight },
        { "dial", command_dial },       { "explain", command_explain },
        { "list", command_list },       { "check-config", command_check_config },
        { "watch", command_watch },     { "status", command_status },
        { "version", command_version },
};

enum {
        N_COMMANDS = sizeof(commands) / sizeof(*commands),
        /* A word that differs by more letters is another word, not a typing error. */
        TYPO_DISTANCE_MAX = 2,
        WORD_MAX = 32,
};

/* How many letters must be put in, taken out or changed to make @a into @b (Levenshtein). */
static size_t word_distance(const char *a, const char *b) {
        size_t row[WORD_MAX + 1];
        size_t n = strlen(b);
        size_t i, j, diagonal, best;

        if (n > WORD_MAX)
                return SIZE_MAX;

        for (j = 0; j <= n; j++)
                row[j] = j;
        for (i = 0; a[i]; i++) {
                diagonal = row[0];
                row[0] = i + 1;
                for (j = 0; j < n; j++) {
                        best = diagonal + (a[i] != b[j]);
                        diagonal = row[j + 1];
                        if (diagonal + 1 < best)
                                best = diagonal + 1;
                        if (row[j] + 1 < best)
                                best = row[j] + 1;
                        row[j + 1] = best;
                }
        }
        return row[n];
}

static int command_unknown(const char *word) {
        size_t best = N_COMMANDS, best_distance = TYPO_DISTANCE_MAX + 1;
        size_t i, distance;

        for (i = 0; i < N_COMMANDS; i++) {
                distance = word_distance(commands[i].name, word);
                if (distance < best_distance) {
                        best = i;
                        best_distance = distance;
                }
        }

        if (best < N_COMMANDS)
                return report_usage("unknown command '%s'; did you mean '%s'?", word,
                                    commands[best].name);
        return report_usage("unknown command '%s'", word);
}

int main(int argc, char **argv) {
        static const struct option options[] = { SETTINGS_LONG };
        Settings settings = SETTINGS_DEFAULT;
        int c, status;
        size_t i;

        /* getopt_long() begins its messages with argv[0]; a path would be noise. */
        argv[0] = program_invocation_short_name;

        while ((c = getopt_long(argc, argv, "+" SETTINGS_SHORT, options, NULL)) != -1)
                if (!settings_option(&settings, c, help, &status))
                        return report_flush(&settings, status);

        if (optind == argc)
                return report_usage("no command given");

        for (i = 0; i < N_COMMANDS; i++)
                if (strcmp(commands[i].name, argv[optind]) == 0)
                        break;
        if (i == N_COMMANDS)
                return command_unknown(argv[optind]);

        argv[optind] = argv[0];
        argc -= optind;
        argv += optind;
        /* Zero rather than one: also forget the "+" that stopped at the first word. */
        optind = 0;
        status = commands[i].function(&settings, argc, argv);
        return report_flush(&settings, status);
}
