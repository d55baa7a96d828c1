/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The priority is written for the journal alone, and only where standard error really is the journal. A
 * line is one line whatever is in it, and who does not read holds nobody up.
 */

#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/error.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

static int saved = -1, file = -1;

/* What $JOURNAL_STREAM says. */
typedef enum Stream {
        STREAM_UNSET,
        STREAM_EMPTY,
        STREAM_WORD,
        STREAM_DEVICE_ALONE,
        STREAM_NO_COLON,
        STREAM_OTHER_DEVICE,
        STREAM_OTHER_INODE,
        STREAM_RIGHT,
} Stream;

static void set_stream(Stream stream) {
        unsigned long device, inode;
        char text[64] = "";
        struct stat st;

        cr_assert(zero(int, fstat(file, &st)));
        device = st.st_dev + (stream == STREAM_OTHER_DEVICE);
        inode = st.st_ino + (stream == STREAM_OTHER_INODE);
        if (stream == STREAM_WORD)
                snprintf(text, sizeof(text), "journal");
        else if (stream == STREAM_DEVICE_ALONE)
                snprintf(text, sizeof(text), "%lu:", device);
        else if (stream == STREAM_NO_COLON)
                snprintf(text, sizeof(text), "%lu %lu", device, inode);
        else if (stream > STREAM_NO_COLON)
                snprintf(text, sizeof(text), "%lu:%lu", device, inode);
        setenv("JOURNAL_STREAM", text, 1);
        if (stream == STREAM_UNSET)
                unsetenv("JOURNAL_STREAM");
}

/* Standard error to a file. */
static void redirect(Stream stream) {
        char name[] = "/tmp/test-log-XXXXXX";

        file = mkostemp(name, O_CLOEXEC);
        cr_assert(ge(int, file, 0));
        unlink(name);
        set_stream(stream);
        saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        cr_assert(eq(int, dup2(file, STDERR_FILENO), STDERR_FILENO));
}

/* Back again, and what was written. */
static const char *restore(void) {
        static char text[4096];
        ssize_t n;

        fflush(stderr);
        cr_assert(eq(int, dup2(saved, STDERR_FILENO), STDERR_FILENO));
        n = pread(file, text, sizeof(text) - 1, 0);
        cr_assert(ge(int, (int)n, 0));
        text[n] = '\0';
        saved = fd_close(saved);
        file = fd_close(file);
        return text;
}

TestSuite(log, .timeout = 10);

Test(log, plain_lines_where_the_journal_is_not) {
        for (int i = 0; i < STREAM_RIGHT; i++) {
                redirect((Stream)i);
                log_init();
                log_line(LOG_ERR, "something %s", "happened");
                KIT_EXPECT_TEXT(restore(), "reuseportd: something happened\n");
        }
}

/* A service may start programs of its own that inherit the variable, and write elsewhere. */
Test(log, another_standard_error_is_not_the_journal) {
        redirect(STREAM_RIGHT);
        restore();
        log_init();
        redirect(STREAM_UNSET);
        log_line(LOG_ERR, "line");
        KIT_EXPECT_TEXT(restore(), "reuseportd: line\n");
}

Test(log, the_priority_in_front_for_the_journal) {
        redirect(STREAM_RIGHT);
        log_init();
        log_line(LOG_ERR, "worse");
        log_line(LOG_INFO, "better");
        KIT_EXPECT_TEXT(restore(), "<3>worse\n<6>better\n");
}

Test(log, a_long_line_is_cut_and_ends) {
        char text[8192];
        const char *line;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        redirect(STREAM_UNSET);
        log_init();
        log_line(LOG_ERR, "%s", text);
        line = restore();
        cr_assert(lt(sz, strlen(line), 2048));
        cr_assert(eq(ptr, strchr(line, '\n'), (void *)(line + strlen(line) - 1)));
}

Test(log, no_text_makes_a_line_of_its_own) {
        redirect(STREAM_RIGHT);
        log_init();
        /* NOLINTNEXTLINE(misc-misleading-bidirectional): what is to be escaped */
        log_line(LOG_INFO, "%s", "a\n<0>b\r\x1b[2J\x7f\xc2\x9b\xe2\x80\xae c");
        KIT_EXPECT_TEXT(restore(), "<6>a\\x0a<0>b\\x0d\\x1b[2J\\x7f\\xc2\\x9b\\xe2\\x80\\xae c\n");
}

Test(log, escapes_are_whole_or_not_there) {
        char buffer[8];

        KIT_EXPECT_TEXT(log_escape("", buffer, 1), "");
        KIT_EXPECT_TEXT(log_escape("x", buffer, 1), "");
        KIT_EXPECT_TEXT(log_escape("a\nb\n", buffer, sizeof(buffer)), "a\\x0ab");
        KIT_EXPECT_TEXT(log_escape("\n\n", buffer, sizeof(buffer)), "\\x0a");
        KIT_EXPECT_TEXT(log_escape("abcdefghij", buffer, sizeof(buffer)), "abcdefg");
}

/* ---- nobody reads -------------------------------------------------------------------------------- */

/* Standard error to @fd, which is consumed; restore_plain() undoes it. */
static void redirect_to(int fd) {
        saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        cr_assert(eq(int, dup2(fd, STDERR_FILENO), STDERR_FILENO));
        close(fd);
        log_init();
}

static void restore_plain(void) {
        cr_assert(eq(int, dup2(saved, STDERR_FILENO), STDERR_FILENO));
        saved = fd_close(saved);
}

/* Writes more lines than fit, which ends since none waits; reads what is there, and writes one more. */
static void expect_no_wait(int reader) {
        char text[4096] = "", *end;
        ssize_t n;

        for (int i = 0; i < 10000; i++)
                log_line(LOG_INFO, "a line that is read by nobody, and fills a pipe with the others");
        cr_assert(zero(int, fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK));
        cr_assert(ge(int, fcntl(reader, F_SETFL, O_NONBLOCK), 0));
        while (read(reader, text, sizeof(text)) > 0)
                ;
        log_line(LOG_INFO, "now");
        n = read(reader, text, sizeof(text) - 1);
        cr_assert(gt(int, (int)n, 0));
        text[n] = '\0';
        end = strstr(text, " lines were lost here: nobody read them");
        cr_assert(ne(ptr, end, NULL), "%s", text);
        cr_assert(ne(ptr, strstr(end, "reuseportd: now"), NULL), "%s", text);
        log_line(LOG_INFO, "and on");
        n = read(reader, text, sizeof(text) - 1);
        cr_assert(gt(int, (int)n, 0));
        text[n] = '\0';
        cr_assert(zero(ptr, strstr(text, "lost")), "%s", text);
}

Test(log, waits_for_nobody_at_a_pipe) {
        int pair[2];

        unsetenv("JOURNAL_STREAM");
        cr_assert(zero(int, pipe2(pair, O_CLOEXEC)));
        redirect_to(pair[1]);
        expect_no_wait(pair[0]);
        restore_plain();
        close(pair[0]);
}

/* As the journal's own is. */
Test(log, waits_for_nobody_at_a_stream) {
        int pair[2];

        unsetenv("JOURNAL_STREAM");
        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)));
        redirect_to(pair[1]);
        expect_no_wait(pair[0]);
        restore_plain();
        close(pair[0]);
}

Test(log, waits_for_nobody_at_a_terminal) {
        int controller = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), terminal;

        unsetenv("JOURNAL_STREAM");
        cr_assert(ge(int, controller, 0), "%m");
        cr_assert(zero(int, unlockpt(controller)));
        terminal = open(ptsname(controller), O_RDWR | O_NOCTTY | O_CLOEXEC);
        cr_assert(ge(int, terminal, 0), "%m");
        redirect_to(terminal);
        for (int i = 0; i < 10000; i++)
                log_line(LOG_INFO,
                         "a line that is read by nobody, and fills a terminal with the others");
        cr_assert(zero(int, fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK));
        restore_plain();
        close(controller);
}

Test(log, survives_a_pipe_that_is_closed) {
        int pair[2];

        unsetenv("JOURNAL_STREAM");
        cr_assert(zero(int, pipe2(pair, O_CLOEXEC)));
        redirect_to(pair[1]);
        close(pair[0]);
        log_line(LOG_INFO, "to nobody");
        log_line(LOG_INFO, "to nobody");
        restore_plain();
}

/* ---- faults ------------------------------------------------------------------------------------- */

static int failing(void) {
        return error_origin(-ENOENT);
}

Test(log, a_fault_is_one_line_with_its_trace) {
        const char *line;
        int n_fds = leaks_count_fds();

        redirect(STREAM_UNSET);
        log_init();
        error_trace(failing());
        log_fault(LOG_ERR, "cannot do it");
        line = restore();
        cr_assert(zero(int, strncmp(line, "reuseportd: cannot do it: ", 26)), "%s", line);
        cr_assert(ne(ptr, strstr(line, strerror(ENOENT)), NULL), "%s", line);
        cr_assert(ne(ptr, strstr(line, "failing"), NULL), "%s", line);
        cr_assert(eq(ptr, strchr(line, '\n'), (void *)(line + strlen(line) - 1)));
        leaks_expect_fds(n_fds);
}
