/* SPDX-License-Identifier: BSD-2-Clause */

/* What is on its way is paid for until it is taken, by whoever it is for, and by nobody for longer. */

#include "daemon/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "proto/cleanup.h"
#include "proto/limits.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

enum {
        LARGE = 1024 * 1024, /* more than a socket takes at once */
};

typedef struct Line {
        Channel channel;
        Outbox outbox;
        int client;
} Line;

static Accounts accounts;
static User *user;
static char data[LARGE];

static void begin(void) {
        accounts_init(&accounts);
        cr_assert(zero(int, accounts_user(&accounts, 1, &user)));
}

static void end(void) {
        for (int i = 0; i < _RESOURCE_N; i++)
                cr_assert(zero(sz, accounts.used[i]), "%s", resource_name((Resource)i));
        user = user_unref(user);
        accounts_deinit(&accounts);
}

static void line_open(Line *line) {
        int pair[2];

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)));
        channel_init(&line->channel, pair[0], CALL_SIZE_MAX, false);
        line->outbox = (Outbox){ .channel = &line->channel, .user = user };
        line->client = pair[1];
}

static void line_close(Line *line) {
        outbox_deinit(&line->outbox);
        channel_deinit(&line->channel);
        line->client = fd_close(line->client);
}

static int reserve(Line *line, size_t n, size_t n_fds) {
        Resource resource = _RESOURCE_N;
        int r = outbox_reserve(&line->outbox, n, n_fds, &resource);

        if (r > 0)
                cr_assert(eq(int, resource, n_fds > 0 ? RESOURCE_IN_FLIGHT : RESOURCE_BYTES));
        return r;
}

/* Sends @n descriptors beside a byte. */
static int send_fds(Line *line, size_t n) {
        FDList fds = FDLIST_BORROWING;
        int r = reserve(line, 1, n);

        if (r != 0)
                return r;
        for (size_t i = 0; i < n; i++)
                cr_assert(zero(int, fdlist_add(&fds, STDERR_FILENO)));
        return outbox_send(&line->outbox, "", 1, &fds);
}

static void receive_all(Line *line) {
        char byte;

        /* Without room for them, the kernel closes the descriptors. */
        while (recv(line->client, &byte, 1, MSG_DONTWAIT) > 0)
                ;
}

TestSuite(outbox, .timeout = 10);

Test(outbox, more_bytes_than_one_user_may_leave_unread) {
        Line first, second;

        begin();
        accounts.limit_per_user[RESOURCE_BYTES] = LARGE + LARGE / 2;
        line_open(&first);
        line_open(&second);
        cr_assert(zero(int, reserve(&first, LARGE, 0)));
        cr_assert(eq(int, outbox_send(&first.outbox, data, LARGE, NULL), CHANNEL_E_AGAIN));
        cr_assert(eq(sz, user->used[RESOURCE_BYTES], channel_pending(&first.channel)));
        cr_assert(eq(int, reserve(&second, LARGE, 0), ACCOUNT_E_USER_LIMIT));
        /* What is small may always leave. */
        cr_assert(zero(int, reserve(&second, QUEUED_BYTES_FREE, 0)));
        cr_assert(zero(int, outbox_send(&second.outbox, data, QUEUED_BYTES_FREE, NULL)));
        receive_all(&first);
        outbox_flush(&first.outbox);
        cr_assert(eq(sz, user->used[RESOURCE_BYTES], channel_pending(&first.channel)));
        line_close(&first);
        cr_assert(zero(int, reserve(&second, LARGE, 0)));
        line_close(&second);
        end();
        leaks_expect_none();
}

/* Many small answers that nobody reads are no way around it. */
Test(outbox, small_answers_of_one_who_may_leave_none) {
        Line line;
        int r;

        begin();
        accounts.limit_per_user[RESOURCE_BYTES] = 1;
        line_open(&line);
        do {
                cr_assert(zero(int, reserve(&line, QUEUED_BYTES_FREE, 0)));
                r = outbox_send(&line.outbox, data, QUEUED_BYTES_FREE, NULL);
        } while (r == 0);
        cr_assert(eq(int, r, CHANNEL_E_EOF));
        line_close(&line);
        end();
        leaks_expect_none();
}

Test(outbox, more_descriptors_than_one_user_may_leave_unreceived) {
        Line first, second;

        begin();
        accounts.limit_per_user[RESOURCE_IN_FLIGHT] = 5;
        line_open(&first);
        line_open(&second);
        cr_assert(zero(int, send_fds(&first, 3)));
        cr_assert(zero(int, send_fds(&second, 2)));
        cr_assert(eq(int, send_fds(&second, 1), ACCOUNT_E_USER_LIMIT));
        cr_assert(eq(sz, user->used[RESOURCE_IN_FLIGHT], 5));
        cr_assert(not(flight_is_over(&first.outbox.flight)));
        /* As soon as the one has received, the other may. */
        receive_all(&first);
        cr_assert(zero(int, send_fds(&second, 1)));
        cr_assert(eq(sz, user->used[RESOURCE_IN_FLIGHT], 3));
        line_close(&first);
        line_close(&second);
        end();
        leaks_expect_none();
}

Test(outbox, descriptors_to_one_who_has_gone) {
        Line line;

        begin();
        line_open(&line);
        cr_assert(zero(int, send_fds(&line, 2)));
        line.client = fd_close(line.client);
        cr_assert(flight_is_over(&line.outbox.flight));
        cr_assert(zero(int, reserve(&line, 1, 2)));
        {
                FDList fds = FDLIST_BORROWING;

                cr_assert(zero(int, fdlist_add(&fds, STDERR_FILENO)));
                cr_assert(zero(int, fdlist_add(&fds, STDERR_FILENO)));
                cr_assert(eq(int, outbox_send(&line.outbox, "", 1, &fds), CHANNEL_E_EOF));
        }
        cr_assert(zero(sz, user->used[RESOURCE_IN_FLIGHT]));
        line_close(&line);
        end();
        leaks_expect_none();
}

/* Of two limits the second says no: the first is as before. */
Test(outbox, what_was_not_sent_is_not_paid_for) {
        Resource resource;
        Line line;

        begin();
        accounts.limit_per_user[RESOURCE_BYTES] = 10;
        line_open(&line);
        cr_assert(zero(int, send_fds(&line, 1)));
        cr_assert(eq(int, outbox_reserve(&line.outbox, LARGE, 3, &resource), ACCOUNT_E_USER_LIMIT));
        cr_assert(eq(int, resource, RESOURCE_BYTES));
        cr_assert(eq(sz, user->used[RESOURCE_IN_FLIGHT], 1));
        flight_undo(&line.outbox.flight, 1);
        cr_assert(zero(sz, user->used[RESOURCE_IN_FLIGHT]));
        line_close(&line);
        end();
        leaks_expect_none();
}
