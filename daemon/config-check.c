/* SPDX-License-Identifier: BSD-2-Clause */

/* What people ask for before a reload: it is the loader itself that answers. */

#include "daemon/config-check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/log.h"
#include "daemon/policy.h"
#include "daemon/right-trial.h"
#include "proto/cleanup.h"
#include "proto/error.h"

CLEANUP_DEFINE(Config, config_free)

static void check_on_read(void *userdata, const char *file) {
        FILE *summary = userdata;

        fprintf(summary, "read:   %s\n", file);
}

static void check_on_wrong(void *userdata, const char *reason) {
        (void)userdata;
        fprintf(stderr, "%s\n", reason);
}

/* What it takes beside what the broker always needs. */
static void check_print(FILE *summary, const Config *config) {
        char options[128];

        if (!config->from_files) {
                fprintf(summary, "rules:  none: no file is there, so uid %u alone is served\n",
                        geteuid());
                return;
        }
        fprintf(summary, "rules:  %zu\n", policy_count_rules(config->policy));
        right_trial_names(policy_rights_given(config->policy), options, sizeof(options));
        if (options[0])
                fprintf(summary, "needs:  CAP_NET_RAW (before Linux 5.17, CAP_NET_ADMIN), for %s\n",
                        options);
        if (policy_gives_raw_ip(config->policy))
                fputs("needs:  CAP_NET_RAW, for raw IP\n", summary);
        if (policy_gives_files(config->policy))
                fputs("needs:  CAP_CHOWN, for SocketUser= and SocketGroup=\n", summary);
        if (policy_asks_cgroup(config->policy))
                fputs("needs:  Linux 6.5, for Unit= and Cgroup=\n", summary);
        if (policy_asks_label(config->policy))
                fputs("needs:  a security module with labels, for Label=\n", summary);
}

static int check_load(FILE *summary, const char *file, bool own_only) {
        ConfigObserver observer = {
                .read = check_on_read,
                .wrong = check_on_wrong,
                .userdata = summary,
        };
        _cleanup_(config_freep) Config *config = NULL;
        _cleanup_(freep) char *reason = NULL;
        int r;

        r = config_load_observed(file, own_only, geteuid(), &observer, &config, &reason);
        if (r == 0)
                check_print(summary, config);
        return r < 0 ? error_trace(r) : r;
}

int config_check(const char *file, bool own_only) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *summary = open_memstream(&text, &size);
        int r = summary ? check_load(summary, file, own_only) : error_origin(-ENOMEM);

        /* Complete or nothing: the text is short if there was no memory for all of it. */
        if (summary && fclose(summary) != 0 && r == 0)
                r = error_origin(-ENOMEM);
        if (r < 0) {
                log_fault(LOG_ERR, "cannot check the configuration");
                return EX_OSERR;
        }
        if (r > 0)
                return EX_CONFIG;
        if (fputs(text, stdout) < 0 || fflush(stdout) != 0) {
                log_line(LOG_ERR, "cannot write to standard output: %m");
                return EX_IOERR;
        }
        return EXIT_SUCCESS;
}
