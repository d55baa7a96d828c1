/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Everything that a client may try to do to the others, beside an honest client: each attack alone, then
 * all at once. For root each plays with a user of its own, in a network that nobody else is in, and with
 * a share of the CPUs of its own.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/error.h"
#include "tests/bench/arguments.h"
#include "tests/bench/cage.h"
#include "tests/bench/hostile-table.h"
#include "tests/bench/interrupt.h"
#include "tests/bench/scratch.h"
#include "tests/bench/user.h"

enum {
        SECONDS = 3,
        SECONDS_MAX = 600,
};

typedef struct Arguments {
        RoundOrder order;
        const char *only;
        bool markdown;
        bool no_figures;
        bool check;
} Arguments;

static const char usage[] =
        "Usage: hostile --daemon PATH [OPTION...]\n"
        "Attack a broker of its own, and see how an honest client fares.\n"
        "\n"
        "      --daemon=PATH      the reuseportd to attack\n"
        "      --seconds=N        of each attack (default: 3)\n"
        "      --only=TEXT        attacks with TEXT in their names\n"
        "      --markdown         print the table as Markdown\n"
        "      --check            fail when one is not withstood\n"
        "  -h, --help             print this\n"
        "Not as root, all have one user: what is limited for each user then hits the\n"
        "honest client as well, and what is missed by that says nothing.\n";

/* As arguments_parse(). */
static int order_parse(Arguments *ret, int argc, char **argv) {
        size_t seconds = SECONDS;
        const Argument arguments[] = {
                { "daemon", .text = &ret->order.daemon, .mandatory = true },
                { "seconds", .number = &seconds, .min = 1, .max = SECONDS_MAX },
                { "only", .text = &ret->only },
                { "markdown", .flag = &ret->markdown },
                { "no-figures", .flag = &ret->no_figures },
                { "check", .flag = &ret->check },
        };
        int r;

        r = arguments_parse(arguments, sizeof(arguments) / sizeof(*arguments), usage, argc, argv);
        ret->order.seconds = (unsigned)seconds;
        return r;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static int hold_round(const Arguments *arguments, Table *table, const RoundOrder *order,
                      int (*add)(Table *table, const Outcome *outcome)) {
        Outcome outcome;
        int r;

        if (arguments->only && !strstr(order->name, arguments->only))
                return 0;
        r = round_run(order, &outcome);
        if (r == 0)
                r = add(table, &outcome);
        return r < 0 ? error_trace(r) : 0;
}

/* What so many processes do to the honest client that have nothing to do with the broker. */
static int hold_load(const Arguments *arguments, Table *table, unsigned n_processes) {
        Attack nobody = { "CPU load alone", attack_nobody, n_processes, 0 };
        RoundOrder order = arguments->order;
        int r;

        order.name = nobody.name;
        order.attacks = &nobody;
        order.n_attacks = 1;
        r = hold_round(arguments, table, &order, table_add_load);
        return r < 0 ? error_trace(r) : 0;
}

static int hold_all(const Arguments *arguments, Table *table) {
        RoundOrder order = arguments->order;
        size_t n;
        const Attack *attacks = attack_list(&n);
        int r;

        r = hold_load(arguments, table, 0);
        if (r == 0)
                r = hold_load(arguments, table, 2);
        if (r == 0)
                r = hold_load(arguments, table, USERS_HOSTILE);
        order.n_attacks = 1;
        for (size_t i = 0; i < n && r == 0; i++) {
                order.name = attacks[i].name;
                order.attacks = &attacks[i];
                r = hold_round(arguments, table, &order, table_add);
        }
        if (r == 0)
                r = hold_load(arguments, table, (unsigned)n);
        order.name = "all at once";
        order.attacks = attacks;
        order.n_attacks = n;
        if (r == 0)
                r = hold_round(arguments, table, &order, table_add);
        return r < 0 ? error_trace(r) : 0;
}

/* Inside the cage, or not. Returns the exit status. */
static int attack_all(void *userdata) {
        const Arguments *arguments = userdata;
        Table table = { .markdown = arguments->markdown, .judges_figures = !arguments->no_figures };
        char text[512];
        bool met;
        int r;

        table_begin(&table);
        r = hold_all(arguments, &table);
        if (r == 0)
                table_end(&table);
        met = table.n_missed == 0;
        table_deinit(&table);
        fflush(stdout);
        if (r < 0) {
                fprintf(stderr, "hostile: %s\n", error_describe(text, sizeof(text)));
                return EXIT_FAILURE;
        }
        return arguments->check && !met ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The folder has to be the broker's, and open to its clients. */
static int folder_new(char *ret) {
        int r = scratch_new(ret);

        if (r < 0)
                return error_trace(r);
        if (chmod(ret, 0755) < 0 || chown(ret, user_or_own(USER_BROKER), (gid_t)-1) < 0) {
                r = error_origin(-errno);
                scratch_remove(ret);
        }
        return r;
}

/* As the service manager gives them, for figures that stand for what is had with it. */
static int shares_init(const Arguments *arguments, CpuShares *shares) {
        int r;

        *shares = (CpuShares){ 0 };
        if (arguments->no_figures)
                return 0;
        r = user_may_choose() ? cpu_shares_init(shares) : CPU_SHARES_E_NOT_ALLOWED;
        if (r == CPU_SHARES_E_NOT_ALLOWED)
                fprintf(stderr,
                        "hostile: all have one share of the CPUs, as no control groups can be made\n");
        return r < 0 ? r : 0;
}

int main(int argc, char **argv) {
        Arguments arguments = { 0 };
        char folder[SCRATCH_PATH_MAX], text[512];
        const char *reason;
        int status, r;

        r = order_parse(&arguments, argc, argv);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        setvbuf(stdout, NULL, _IOLBF, 0);
        interrupt_init();
        r = shares_init(&arguments, &arguments.order.shares);
        if (r == 0)
                r = folder_new(folder);
        if (r == 0) {
                arguments.order.folder = folder;
                r = cage_run(attack_all, &arguments, &status, &reason);
                if (r == CAGE_E_NOT_ALLOWED) {
                        fprintf(stderr, "hostile: in the open, for %s%s\n", reason,
                                user_may_choose() ? "" : "; all are one user");
                        status = attack_all(&arguments);
                        r = 0;
                }
                scratch_remove(folder);
        }
        cpu_shares_deinit(&arguments.order.shares);
        if (r < 0) {
                fprintf(stderr, "hostile: %s\n", error_describe(text, sizeof(text)));
                return EXIT_FAILURE;
        }
        return status;
}
