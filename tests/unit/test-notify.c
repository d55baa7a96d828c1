/* SPDX-License-Identifier: BSD-2-Clause */

/* What the service manager is told, word for word, and that signs of life take both loops. */

#include "daemon/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

enum {
        PATIENCE_MSEC = 5000,
};

/* The manager's end. The kernel chooses its name, in the abstract namespace. */
static int manager_new(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        socklen_t size = sizeof(sa_family_t);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char name[16];

        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, size)));
        size = sizeof(address);
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&address, &size)));
        snprintf(name, sizeof(name), "@%.5s", address.sun_path + 1);
        setenv("NOTIFY_SOCKET", name, true);
        return fd;
}

static void expect_told(int manager, const char *expected) {
        char text[4096];
        ssize_t n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);

        cr_assert(ge(long, n, 0), "nothing was told");
        text[n] = '\0';
        KIT_EXPECT_TEXT(text, expected);
}

static void expect_silent(int manager) {
        char byte;

        cr_assert(lt(long, recv(manager, &byte, 1, MSG_DONTWAIT), 0));
}

TestSuite(notify, .timeout = 20);

Test(notify, without_a_manager_nothing_is_done) {
        int n_fds = leaks_count_fds();
        sd_event *event = NULL;
        Watchdog watchdog;

        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        notify_ready("/run/control", NULL);
        notify_reloading();
        notify_stopping();
        cr_assert(ge(int, sd_event_new(&event), 0));
        cr_assert(zero(int, watchdog_init(&watchdog, event)));
        cr_assert(eq(ptr, watchdog.timer, NULL));
        watchdog_round(&watchdog);
        watchdog_deinit(&watchdog);
        sd_event_unref(event);
        leaks_expect_fds(n_fds);
}

Test(notify, the_words) {
        int manager = manager_new();
        uint64_t before = clock_usec(CLOCK_MONOTONIC), said;
        char text[256], path[600], expected[600];
        ssize_t n;

        notify_ready("/run/control", NULL);
        expect_told(manager, "READY=1\nSTATUS=Serving /run/control");
        notify_reloading();
        n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);
        cr_assert(gt(long, n, 0));
        text[n] = '\0';
        cr_assert(eq(int, sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%lu", &said), 1), "%s", text);
        cr_assert(ge(u64, said, before));
        cr_assert(le(u64, said, clock_usec(CLOCK_MONOTONIC)));
        /* One line of it, in which nothing is told but the status. */
        notify_ready("/run/a\nMAINPID=1", "a.conf:3: Port=: \x1b[31m is no port\nb.conf:1: more");
        expect_told(manager,
                    "READY=1\nSTATUS=Serving /run/a\\x0aMAINPID=1; the configuration was not reloaded: "
                    "a.conf:3: Port=: \\x1b[31m is no port");
        notify_stopping();
        expect_told(manager, "STOPPING=1\nSTATUS=Stopping");
        /* What is too long is cut. */
        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        snprintf(expected, sizeof(expected), "READY=1\nSTATUS=Serving %.503s", path);
        notify_ready(path, NULL);
        expect_told(manager, expected);
        expect_silent(manager);
        close(manager);
}

static void expect_no_watchdog(sd_event *event, int expected) {
        Watchdog watchdog;

        cr_assert(eq(int, watchdog_init(&watchdog, event), expected));
        cr_assert(eq(ptr, watchdog.timer, NULL));
        watchdog_deinit(&watchdog);
}

Test(notify, a_watchdog_of_another_process_or_none) {
        sd_event *event = NULL;

        cr_assert(ge(int, sd_event_new(&event), 0));
        setenv("WATCHDOG_USEC", "30000000", true);
        setenv("WATCHDOG_PID", "1", true);
        expect_no_watchdog(event, 0);
        unsetenv("WATCHDOG_PID");
        setenv("WATCHDOG_USEC", "soon", true);
        expect_no_watchdog(event, -EINVAL);
        sd_event_unref(event);
}

/* Until the timer has elapsed once more. */
static void turn(sd_event *event, const Watchdog *watchdog) {
        while (!watchdog->due)
                cr_assert(gt(int, sd_event_run(event, PATIENCE_MSEC * 1000), 0));
}

Test(notify, a_sign_of_life_takes_both_loops) {
        int n_fds = leaks_count_fds(), manager = manager_new();
        sd_event *event = NULL;
        Watchdog watchdog;
        uint64_t begin;

        setenv("WATCHDOG_USEC", "30000", true);
        unsetenv("WATCHDOG_PID");
        cr_assert(ge(int, sd_event_new(&event), 0));
        cr_assert(zero(int, watchdog_init(&watchdog, event)));
        begin = clock_usec(CLOCK_MONOTONIC);
        for (int i = 0; i < 3; i++) {
                /* The poller alone, */
                watchdog_round(&watchdog);
                expect_silent(manager);
                /* the event loop alone, */
                turn(event, &watchdog);
                expect_silent(manager);
                /* and then both. */
                watchdog_round(&watchdog);
                expect_told(manager, "WATCHDOG=1");
        }
        /* The first at once, and no two sooner than each other than they need to be. */
        cr_assert(ge(u64, clock_usec(CLOCK_MONOTONIC) - begin, 2 * 10000));
        watchdog_deinit(&watchdog);
        sd_event_unref(event);
        close(manager);
        leaks_expect_fds(n_fds);
}
