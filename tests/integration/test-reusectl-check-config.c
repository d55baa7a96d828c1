/* SPDX-License-Identifier: BSD-2-Clause */

/* "reusectl check-config": the daemon that is found reads the files, and says what is wrong in them. */

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "build-config.h"
#include "daemon/config.h"
#include "tests/integration/reusectl-kit.h"

static ToolResult result;
static char folder[] = "/tmp/test-check-config-XXXXXX";

/* A folder to work in, and the daemon of this build in $PATH. */
static void setup(void) {
        char daemon[] = REUSEPORTD_PATH;

        *strrchr(daemon, '/') = '\0';
        cr_assert(zero(int, setenv("PATH", daemon, 1)));
        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        cr_assert(zero(int, chdir(folder)));
}

static void cleanup(void) {
        unlink("check.conf");
        unlink("reuseportd");
        rmdir(folder);
}

static void write_file(const char *path, const char *text) {
        FILE *file = fopen(path, "we");

        cr_assert(file != NULL, "%s: %m", path);
        fputs(text, file);
        cr_assert(zero(int, fclose(file)));
}

TestSuite(check_config, .init = setup, .fini = cleanup, .timeout = 60);

/* ---- the command line ------------------------------------------------------------------------- */

Test(check_config, command_line) {
        static const struct {
                const char *arguments;
                const char *words;
        } rows[] = {
                { "check-config a b", "unexpected word 'b'" },
                { "check-config --wrong", "unrecognized option" },
                { "check-config --json", "check-config: it has no JSON" },
                { "--json check-config a", "check-config: it has no JSON" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                TOOL_RUN(&result, "%s", rows[i].arguments);
                tool_expect(&result, 2, rows[i].words);
                KIT_EXPECT_TEXT(result.out, "");
        }
}

Test(check_config, without_a_daemon) {
        if (access(DAEMON_PATH, F_OK) == 0)
                cr_skip_test("there is a daemon at " DAEMON_PATH);
        cr_assert(zero(int, setenv("PATH", folder, 1)));
        TOOL_RUN(&result, "check-config");
        tool_expect(&result, 127, "is neither in $PATH nor at " DAEMON_PATH ": install it, or");
        TOOL_RUN(&result, "-q check-config");
        tool_expect(&result, 127, "");
        /* It is there, and no program. */
        write_file("reuseportd", "");
        TOOL_RUN(&result, "check-config");
        tool_expect(&result, 126, "cannot execute reuseportd: Permission denied");
}

/* ---- files in error --------------------------------------------------------------------------- */

/* Nothing but these lines, on standard error. */
static void expect_wrong(const char *said) {
        tool_expect(&result, EX_CONFIG, said);
        KIT_EXPECT_TEXT(result.err, said);
        KIT_EXPECT_TEXT(result.out, "");
}

Test(check_config, files_that_cannot_be_read) {
        TOOL_RUN(&result, "check-config none.conf");
        expect_wrong("none.conf: cannot be opened: No such file or directory\n");
        TOOL_RUN(&result, "check-config /nonexistent/reuseportd.conf");
        expect_wrong("/nonexistent/reuseportd.conf: cannot be opened: No such file or directory\n");
        /* One file is read, or the system's; a folder is neither. */
        TOOL_RUN(&result, "check-config .");
        expect_wrong(".: cannot be read: Is a directory\n");
        TOOL_RUN(&result, "-q check-config none.conf");
        tool_expect(&result, EX_CONFIG, "");
        KIT_EXPECT_TEXT(result.out, "");
}

Test(check_config, each_thing_that_is_wrong) {
        write_file("check.conf", "[Broker]\nSocketmode=0666\n[Rule a]\nUser=no-such-user-here\nfoo\n\n"
                                 "[Rule b]\nPort=90-80\n");
        TOOL_RUN(&result, "check-config check.conf");
        expect_wrong(
                "check.conf:2: Socketmode=: unknown key; did you mean SocketMode=?\n"
                "check.conf:4: User=: there is no user \"no-such-user-here\"; give a name or a number\n"
                "check.conf:5: neither KEY=VALUE, a section in brackets nor a comment\n"
                "check.conf:8: Port=: the range 90-80 ends before it begins; write 80-90\n");
        /* What the rules of all files together tell comes last, when each is good. */
        write_file("check.conf", "[Rule a]\nUser=*\nShareWith=no-such-tenant-here\n");
        TOOL_RUN(&result, "check-config check.conf");
        tool_expect(&result, EX_CONFIG, "check.conf:1: ShareWith=: ");
}

/* ---- good files ------------------------------------------------------------------------------- */

static void expect_good(const char *said) {
        tool_expect(&result, 0, "");
        KIT_EXPECT_TEXT(result.out, said);
}

Test(check_config, a_file_alone) {
        char expected[128];

        write_file("check.conf", "[Rule a]\nUser=*\n[Rule b]\nUser=*\nAllow=no\n");
        TOOL_RUN(&result, "check-config check.conf");
        expect_good("read:   check.conf\nrules:  2\n");
        TOOL_RUN(&result, "-q check-config %s/check.conf", folder);
        snprintf(expected, sizeof(expected), "read:   %s/check.conf\nrules:  2\n", folder);
        expect_good(expected);
        TOOL_RUN(&result, "check-config -- ./check.conf");
        expect_good("read:   ./check.conf\nrules:  2\n");
}

Test(check_config, what_it_needs) {
        write_file("check.conf", "[Rule a]\nUser=*\nUnit=a.service\nOptions=mark raw priority\n"
                                 "[Rule b]\nUser=*\nLabel=x\nPath=/run/x/*\nSocketUser=0\n[Rule "
                                 "c]\nUser=*\nOptions=transparent\n"
                                 "Allow=no\n[Rule d]\nUser=*\nNetwork=tcp ip4:icmp\n");
        TOOL_RUN(&result, "check-config check.conf");
        expect_good(
                "read:   check.conf\nrules:  4\n"
                "needs:  CAP_NET_RAW (before Linux 5.17, CAP_NET_ADMIN), for mark, priority above 6\n"
                "needs:  CAP_NET_RAW, for raw IP\n"
                "needs:  CAP_CHOWN, for SocketUser= and SocketGroup=\n"
                "needs:  Linux 6.5, for Unit= and Cgroup=\n"
                "needs:  a security module with labels, for Label=\n");
}

/* Data that nobody takes is no success. */
Test(check_config, output_that_nobody_takes) {
        char *words[] = { (char *)"reusectl", (char *)"check-config", (char *)"check.conf", NULL };
        int status;
        pid_t pid;

        write_file("check.conf", "");
        pid = fork();
        cr_assert(pid >= 0);
        if (pid == 0) {
                dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
                dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
                execv(REUSECTL_PATH, words);
                _exit(TOOL_NOT_EXECUTED);
        }
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        cr_assert(eq(int, WEXITSTATUS(status), EX_IOERR));
}

/* ---- the system's files ----------------------------------------------------------------------- */

/* An /etc of this process's own, with a folder for the configuration and nothing else. */
static void private_etc(void) {
        kit_require_root();
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/etc", "tmpfs", 0, NULL) < 0)
                cr_skip_test("the kernel gives no mount namespace");
        cr_assert(zero(int, mkdir("/etc/reuseportd", 0755)));
}

/* Of several files none is named: they are found. */
Test(check_config, the_system_s_files) {
        private_etc();
        TOOL_RUN(&result, "check-config");
        expect_good("rules:  none: no file is there, so uid 0 alone is served\n");
        cr_assert(zero(int, mkdir(CONFIG_FOLDER_DEFAULT, 0755)));
        write_file(CONFIG_FILE_DEFAULT, "[Rule a]\nUser=*\n");
        write_file(CONFIG_FOLDER_DEFAULT "/20-b.conf", "[Rule b]\nUser=*\n");
        write_file(CONFIG_FOLDER_DEFAULT "/10-c.conf", "[Rule c]\nUser=*\n");
        TOOL_RUN(&result, "check-config");
        expect_good("read:   " CONFIG_FILE_DEFAULT "\n"
                    "read:   " CONFIG_FOLDER_DEFAULT "/10-c.conf\n"
                    "read:   " CONFIG_FOLDER_DEFAULT "/20-b.conf\n"
                    "rules:  3\n");
        /* Each of the files has its say. */
        write_file(CONFIG_FILE_DEFAULT, "[Rule a]\n");
        write_file(CONFIG_FOLDER_DEFAULT "/20-b.conf", "[Rule b]\nUser=*\n[Rule c]\nUser=*\n");
        TOOL_RUN(&result, "check-config");
        expect_wrong(CONFIG_FILE_DEFAULT
                     ":1: [Rule a] says for nobody; add User= or Group=, or User=* for "
                     "everybody\n" CONFIG_FOLDER_DEFAULT
                     "/20-b.conf:3: there is a [Rule c] already, at " CONFIG_FOLDER_DEFAULT
                     "/10-c.conf:1; give this one another name\n");
}
