/* SPDX-License-Identifier: BSD-2-Clause */

/* The daemon itself reads the files: no other parser could promise that it will take them. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "build-config.h"
#include "tools/command.h"
#include "tools/report.h"

static const char help[] =
        "Usage: reusectl check-config [OPTIONS] [FILE]\n"
        "\n"
        "Says what is wrong in the broker's configuration, or else what is in it. A running broker is\n"
        "not asked and goes on with what it has. FILE is read alone, as with 'reuseportd --config'.\n"
        "\n"
        "Examples:\n"
        "  reusectl check-config && kill -HUP $(pidof reuseportd)\n"
        "  reusectl check-config ./reuseportd.conf\n"
        "\n"
        "Options: those of 'reusectl --help', without --json.\n"
        "\n"
        "Exit status: that of 'reuseportd --check-config', 78 if something is wrong; 127 if it is not\n"
        "found, 126 if it cannot be executed.\n";

/* With --quiet the status alone tells. Where it cannot be silenced, it speaks. */
static void stderr_silence(void) {
        int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (fd >= 0)
                dup2(fd, STDERR_FILENO);
}

/* Returns only on failure, with the exit status. */
static int check_execute(const Settings *settings, const char *file) {
        const char *const words[] = { "reuseportd", "--check-config", file ? "--config" : NULL, file,
                                      NULL };
        bool denied;

        if (settings->quiet)
                stderr_silence();
        execvp(words[0], (char **)words);
        denied = errno == EACCES;
        execv(DAEMON_PATH, (char **)words);
        if (errno == ENOENT && denied)
                errno = EACCES;
        if (errno != ENOENT) {
                report_say(settings, "cannot execute reuseportd: %s", strerror(errno));
                return REPORT_RUN_NOT_EXECUTABLE;
        }
        report_say(settings,
                   "reuseportd, which reads the configuration, is neither in $PATH nor at %s: "
                   "install it, or add its folder to $PATH",
                   DAEMON_PATH);
        return REPORT_RUN_NOT_FOUND;
}

int command_check_config(Settings *settings, int argc, char **argv) {
        static const struct option options[] = { SETTINGS_LONG };
        int c, status;

        while ((c = getopt_long(argc, argv, SETTINGS_SHORT, options, NULL)) != -1)
                if (!settings_option(settings, c, help, &status))
                        return status;

        if (optind + 1 < argc)
                return report_usage("unexpected word '%s'", argv[optind + 1]);
        if (settings->output == OUTPUT_JSON)
                return report_usage("check-config: it has no JSON; without --json it is text");
        return check_execute(settings, argv[optind]);
}
