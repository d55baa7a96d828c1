/* SPDX-License-Identifier: BSD-2-Clause */

/* The answers to Acquire: numbers, descriptors and cookies that belong together, and those that
 * do not. */

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "tests/unit/fake-broker.h"

TestSuite(sockets, .timeout = 10);

enum {
        TEXT_MAX = 64 * 1024,
        FDS_MAX = 64,
};

static const struct {
        const char *what;
        int64_t index[3];
        size_t n_entries; /* with these numbers */
        size_t n_asked;
        size_t n_fds;
        bool swapped; /* each cookie is that of the other descriptor */
        bool invented;
        int expected;
} violations[] = {
        { "no descriptor", { 0 }, 1, 1, 0, false, false, -EPROTO },
        { "too few descriptors", { 0, 1 }, 2, 2, 1, false, false, -EPROTO },
        { "too many descriptors", { 0 }, 1, 1, 2, false, false, -EPROTO },
        { "number too high", { 1 }, 1, 1, 1, false, false, -EPROTO },
        { "number below zero", { -1 }, 1, 1, 1, false, false, -EPROTO },
        { "number out of this world", { INT64_MAX }, 1, 1, 1, false, false, -EPROTO },
        { "number beyond 32 bits", { INT64_C(1) << 32 }, 1, 1, 1, false, false, -EPROTO },
        { "a number twice", { 0, 0 }, 2, 2, 2, false, false, -EPROTO },
        { "a gap", { 0, 2 }, 2, 2, 3, false, false, -EPROTO },
        { "fewer than asked for", { 0 }, 1, 2, 1, false, false, -EPROTO },
        { "more than asked for", { 0, 1 }, 2, 1, 2, false, false, -EPROTO },
        { "none at all", { 0 }, 0, 1, 0, false, false, -EPROTO },
        { "another's cookie", { 0, 1 }, 2, 2, 2, true, false, -EBADMSG },
        { "nobody's cookie", { 0 }, 1, 1, 1, false, true, -EBADMSG },
};

Test(sockets, violation_closes_everything) {
        for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
                _cleanup_(freep) char *text = calloc(1, TEXT_MAX);
                reuse_sockets *sockets = NULL;
                reuse_request *request;
                reuse_error *error;
                Broker broker;
                int fds[3];

                broker_start(&broker);
                open_sockets(fds, 3);
                strcpy(text, "{\"parameters\":{\"sockets\":[");
                for (size_t j = 0; j < violations[i].n_entries; j++) {
                        size_t whose = (size_t)violations[i].index[j] % 3;

                        if (violations[i].swapped)
                                whose = 1 - whose;
                        write_socket(text, TEXT_MAX, violations[i].index[j],
                                     violations[i].invented ? UINT64_MAX : socket_cookie(fds[whose]));
                }
                strcat(text, "]}}");
                broker_say_with(&broker, text, fds, violations[i].n_fds);
                close_sockets(fds, 3);

                request = request_of(violations[i].n_asked);
                cr_assert(eq(int, reuse_client_acquire(broker.client, request, &sockets, &error),
                             violations[i].expected),
                          "%s", violations[i].what);
                cr_assert(eq(ptr, sockets, NULL));
                cr_assert(eq(int, reuse_error_get_errno(error), violations[i].expected));
                reuse_error_free(error);
                cr_assert(eq(int, reuse_client_acquire(broker.client, request, &sockets, NULL),
                             -ENOTCONN));
                reuse_request_free(request);
                broker_end(&broker);
        }
}

Test(sockets, not_even_a_socket) {
        char text[1024] = "{\"parameters\":{\"sockets\":[";
        reuse_request *request = request_of(1);
        reuse_sockets *sockets = NULL;
        Broker broker;
        int fd;

        broker_start(&broker);
        fd = eventfd(0, EFD_CLOEXEC);
        write_socket(text, sizeof(text), 0, 0);
        strcat(text, "]}}");
        broker_say_with(&broker, text, &fd, 1);
        close(fd);
        cr_assert(eq(int, reuse_client_acquire(broker.client, request, &sockets, NULL), -EBADMSG));
        reuse_request_free(request);
        broker_end(&broker);
}

/* ---- the descriptor that leases depend on ---- */

/* With one socket at number 0. */
static const struct {
        const char *what;
        const char *number;
        size_t n_fds; /* the socket, the pipe, the pipe */
        int expected;
} lifetime_violations[] = {
        { "not sent", "1", 1, -EPROTO },
        { "not named", NULL, 2, -EPROTO },
        { "one too many", "1", 3, -EPROTO },
        { "number of the socket", "0", 2, -EPROTO },
        { "number too high", "2", 2, -EPROTO },
        { "number below zero", "-1", 2, -EPROTO },
        { "number beyond 32 bits", "4294967297", 2, -EPROTO },
        { "no number", "\"1\"", 2, -EPROTO },
};

static void write_lifetime_reply(char *text, size_t size, int fd, const char *number) {
        size_t n;

        write_acquire_reply(text, size, &fd, 1);
        if (!number)
                return;
        n = strlen(text) - strlen("}}");
        snprintf(text + n, size - n, ",\"lifetimeFileDescriptor\":%s}}", number);
}

Test(sockets, lifetime_that_does_not_agree_closes_everything) {
        for (size_t i = 0; i < sizeof(lifetime_violations) / sizeof(lifetime_violations[0]); i++) {
                reuse_request *request = request_of(1);
                reuse_sockets *sockets = NULL;
                char text[1024];
                Broker broker;
                int fds[3], ends[2];

                broker_start(&broker);
                open_sockets(fds, 1);
                cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
                fds[1] = fds[2] = ends[0];
                write_lifetime_reply(text, sizeof(text), fds[0], lifetime_violations[i].number);
                broker_say_with(&broker, text, fds, lifetime_violations[i].n_fds);
                close_sockets(fds, 1);
                close(ends[0]);
                cr_assert(eq(int, reuse_client_acquire(broker.client, request, &sockets, NULL),
                             lifetime_violations[i].expected),
                          "%s", lifetime_violations[i].what);
                cr_assert(eq(ptr, sockets, NULL));
                close(ends[1]);
                reuse_request_free(request);
                broker_end(&broker);
        }
}

Test(sockets, lifetime_that_is_no_pipe) {
        reuse_request *request = request_of(1);
        reuse_sockets *sockets = NULL;
        char text[1024];
        Broker broker;
        int fds[2];

        broker_start(&broker);
        open_sockets(fds, 2);
        write_lifetime_reply(text, sizeof(text), fds[0], "1");
        broker_say_with(&broker, text, fds, 2);
        close_sockets(fds, 2);
        cr_assert(eq(int, reuse_client_acquire(broker.client, request, &sockets, NULL), -EBADMSG));
        reuse_request_free(request);
        broker_end(&broker);
}

Test(sockets, lifetime_of_none) {
        cr_assert(eq(int, reuse_sockets_get_lifetime_fd(NULL), -EINVAL));
        cr_assert(eq(int, reuse_sockets_take_lifetime_fd(NULL), -EINVAL));
}

/* What the broker would see of its end. */
static bool has_ended(int writing) {
        struct pollfd pollfd = { .fd = writing };

        return poll(&pollfd, 1, 0) == 1 && pollfd.revents == POLLERR;
}

/* Acquires one; *@ret_writing is the broker's end. */
static reuse_sockets *acquire_by_descriptor(Broker *broker, int *ret_writing) {
        reuse_request *request = request_of(1);
        reuse_sockets *sockets = NULL;
        char text[1024];
        int fds[2], ends[2];

        open_sockets(fds, 1);
        cr_assert(zero(int, pipe2(ends, O_CLOEXEC | O_NONBLOCK)));
        fds[1] = ends[0];
        write_lifetime_reply(text, sizeof(text), fds[0], "1");
        broker_say_with(broker, text, fds, 2);
        close_sockets(fds, 2);
        cr_assert(zero(int, reuse_request_set_lifetime(request, "descriptor")));
        cr_assert(zero(int, reuse_client_acquire(broker->client, request, &sockets, NULL)));
        broker_expect(broker, "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":["
                              "{\"network\":\"tcp4\",\"address\":\"127.0.0.1:80\"}],"
                              "\"lifetime\":\"descriptor\"}}");
        reuse_request_free(request);
        *ret_writing = ends[1];
        return sockets;
}

Test(sockets, lifetime_is_the_programs_once_taken) {
        reuse_sockets *sockets;
        Broker broker;
        int writing, fd;

        broker_start(&broker);
        sockets = acquire_by_descriptor(&broker, &writing);
        fd = reuse_sockets_get_lifetime_fd(sockets);
        cr_assert(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
        cr_assert(eq(int, reuse_sockets_take_lifetime_fd(sockets), fd));
        cr_assert(eq(int, reuse_sockets_take_lifetime_fd(sockets), -EBADF));
        cr_assert(eq(int, reuse_sockets_get_lifetime_fd(sockets), -EBADF));
        reuse_sockets_free(sockets);
        cr_assert(not(has_ended(writing)));
        close(fd);
        cr_assert(has_ended(writing));
        close(writing);
        broker_end(&broker);
}

Test(sockets, lifetime_not_taken_is_closed) {
        reuse_sockets *sockets;
        Broker broker;
        int writing;

        broker_start(&broker);
        sockets = acquire_by_descriptor(&broker, &writing);
        cr_assert(not(has_ended(writing)));
        reuse_sockets_free(sockets);
        cr_assert(has_ended(writing));
        close(writing);
        broker_end(&broker);
}

/* Who holds them may be another process: nobody comes back for them, and nobody acquires them anew. */
Test(sockets, lifetime_is_no_matter_of_the_connection) {
        reuse_sockets *sockets;
        Broker broker;
        int writing;

        broker_start(&broker);
        sockets = acquire_by_descriptor(&broker, &writing);
        broker_hang_up(&broker);
        cr_assert(eq(int, client_settle(broker.client), -ECONNRESET));
        cr_assert(eq(int, accept(broker.listener, NULL, NULL), -1));
        cr_assert(not(has_ended(writing)));
        reuse_sockets_free(sockets);
        close(writing);
        broker_end(&broker);
}

Test(sockets, fields_are_missing) {
        reuse_request *request = request_of(1);
        reuse_sockets *sockets = NULL;
        Broker broker;
        int fd;

        broker_start(&broker);
        open_sockets(&fd, 1);
        broker_say_with(&broker,
                        "{\"parameters\":{\"sockets\":[{\"lease\":\"l\",\"socketFileDescriptor\":0}]}}",
                        &fd, 1);
        close(fd);
        cr_assert(eq(int, reuse_client_acquire(broker.client, request, &sockets, NULL), -EPROTO));
        reuse_request_free(request);
        broker_end(&broker);
}

Test(sockets, error_with_descriptors) {
        reuse_request *request = request_of(1);
        reuse_sockets *sockets = NULL;
        Broker broker;

        broker_start(&broker);
        broker_say_with(&broker, "{\"error\":\"io.reuseportd.PermissionDenied\"}", &broker.listener, 1);
        cr_assert(eq(int, reuse_client_acquire(broker.client, request, &sockets, NULL), -EPROTO));
        reuse_request_free(request);
        broker_end(&broker);
}

Test(sockets, descriptors_without_end) {
        int fds[50];
        Broker broker;
        int r = 0;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, NULL, NULL)));
        for (int i = 0; i < 50; i++)
                fds[i] = broker.listener;
        for (int i = 0; i < 2; i++) {
                cr_assert(zero(int, r));
                broker_send(&broker, " ", 1, fds, 50);
                r = client_settle(broker.client);
        }
        cr_assert(eq(int, r, -EPROTO));
        broker_end(&broker);
}

Test(sockets, no_room_for_descriptors) {
        reuse_request *request = request_of(2);
        reuse_sockets *sockets = NULL;
        struct rlimit limit, low;
        reuse_error *error;
        char text[2048];
        Broker broker;
        int fds[2], next;

        broker_start(&broker);
        open_sockets(fds, 2);
        write_acquire_reply(text, sizeof(text), fds, 2);
        broker_say_with(&broker, text, fds, 2);
        close_sockets(fds, 2);

        next = fcntl(broker.peer, F_DUPFD_CLOEXEC, 0);
        close(next);
        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
        low = (struct rlimit){ .rlim_cur = (rlim_t)next + 1, .rlim_max = limit.rlim_max };
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &low)));
        cr_assert(eq(int, reuse_client_acquire(broker.client, request, &sockets, &error), -EMFILE));
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), "RLIMIT_NOFILE"), NULL));
        reuse_error_free(error);
        cr_assert(eq(int, reuse_client_process(broker.client), -ENOTCONN));
        reuse_request_free(request);
        broker_end(&broker);
}

Test(sockets, nothing_asked_for) {
        reuse_request *request = request_of(0);
        reuse_sockets *sockets = NULL;
        reuse_error *error;
        Broker broker;

        broker_start(&broker);
        cr_assert(eq(int, reuse_client_acquire(broker.client, request, &sockets, &error), -EINVAL));
        reuse_error_free(error);
        cr_assert(eq(int, reuse_client_acquire(broker.client, NULL, &sockets, NULL), -EINVAL));
        cr_assert(eq(int, reuse_client_acquire_async(broker.client, request, NULL, NULL), -EINVAL));
        cr_assert(eq(int, reuse_acquire(request, &sockets, NULL), -EINVAL));
        reuse_request_free(request);
        broker_end(&broker);
}

Test(sockets, beyond_the_last) {
        cr_assert(zero(sz, reuse_sockets_count(NULL)));
        cr_assert(eq(int, reuse_sockets_get_fd(NULL, 0), -EINVAL));
        cr_assert(eq(int, reuse_sockets_take_fd(NULL, 0), -EINVAL));
        cr_assert(eq(int, reuse_sockets_get_adopted(NULL, 0), -EINVAL));
        cr_assert(eq(ptr, (void *)reuse_sockets_get_lease(NULL, 0), NULL));
        cr_assert(eq(ptr, reuse_sockets_free(NULL), NULL));
}

/* ---- as it should be ---- */

Test(sockets, acquire) {
        reuse_request *request = request_of(2);
        reuse_sockets *sockets = NULL;
        Broker broker;
        char text[2048];
        uint64_t cookies[2];
        int fds[2], taken;

        broker_start(&broker);
        open_sockets(fds, 2);
        /* The second descriptor is the first socket's. */
        strcpy(text, "{\"parameters\":{\"sockets\":[");
        for (int i = 0; i < 2; i++) {
                cookies[i] = socket_cookie(fds[i]);
                write_socket(text, sizeof(text), 1 - i, socket_cookie(fds[1 - i]));
        }
        strcat(text, "]}}");
        broker_say_with(&broker, text, fds, 2);
        close_sockets(fds, 2);

        cr_assert(zero(int, reuse_client_acquire(broker.client, request, &sockets, NULL)));
        broker_expect(&broker, "{\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":["
                               "{\"network\":\"tcp4\",\"address\":\"127.0.0.1:80\"},"
                               "{\"network\":\"tcp4\",\"address\":\"127.0.0.1:80\"}]}}");
        cr_assert(eq(sz, reuse_sockets_count(sockets), 2));
        expect_text(reuse_sockets_get_lease(sockets, 0), "l1");
        expect_text(reuse_sockets_get_lease(sockets, 1), "l0");
        expect_text(reuse_sockets_get_endpoint(sockets, 0), "e1");
        cr_assert(eq(ptr, (void *)reuse_sockets_get_name(sockets, 0), NULL));
        expect_text(reuse_sockets_get_network(sockets, 0), "tcp4");
        expect_text(reuse_sockets_get_address(sockets, 0), "127.0.0.1:80");
        expect_text(reuse_sockets_get_sharing(sockets, 0), "group");
        cr_assert(zero(int, reuse_sockets_get_adopted(sockets, 0)));
        cr_assert(eq(int, reuse_sockets_get_adopted(sockets, 2), -EINVAL));
        cr_assert(eq(u64, socket_cookie(reuse_sockets_get_fd(sockets, 0)), cookies[1]));
        cr_assert(eq(int, fcntl(reuse_sockets_get_fd(sockets, 0), F_GETFD), FD_CLOEXEC));

        taken = reuse_sockets_take_fd(sockets, 1);
        cr_assert(eq(u64, socket_cookie(taken), cookies[0]));
        cr_assert(eq(int, reuse_sockets_take_fd(sockets, 1), -EBADF));
        cr_assert(eq(int, reuse_sockets_get_fd(sockets, 1), -EBADF));
        close(taken);
        reuse_sockets_free(sockets);
        reuse_request_free(request);
        broker_end(&broker);
}

Test(sockets, as_many_as_there_can_be) {
        reuse_request *request = request_of(FDS_MAX);
        _cleanup_(freep) char *text = calloc(1, TEXT_MAX);
        reuse_sockets *sockets = NULL;
        int fds[FDS_MAX + 1], ends[2];
        Broker broker;
        size_t n;

        cr_assert(eq(int, reuse_request_add(request, "tcp", ":1"), -E2BIG));
        broker_start(&broker);
        open_sockets(fds, FDS_MAX);
        write_acquire_reply(text, TEXT_MAX, fds, FDS_MAX);
        n = strlen(text) - strlen("}}");
        snprintf(text + n, TEXT_MAX - n, ",\"lifetimeFileDescriptor\":%d}}", FDS_MAX);
        cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
        fds[FDS_MAX] = ends[0];
        broker_say_with(&broker, text, fds, FDS_MAX + 1);
        close_sockets(fds, FDS_MAX + 1);
        close(ends[1]);
        cr_assert(zero(int, reuse_client_acquire(broker.client, request, &sockets, NULL)));
        cr_assert(eq(sz, reuse_sockets_count(sockets), FDS_MAX));
        reuse_sockets_free(sockets);
        reuse_request_free(request);
        broker_end(&broker);
}

/* The cookies prove each descriptor, so it does not matter which of the bytes it came with. */
Test(sockets, descriptors_split_over_the_bytes) {
        reuse_request *request = request_of(2);
        reuse_sockets *sockets = NULL;
        Broker broker;
        char text[2048];
        int fds[2];

        broker_start(&broker);
        open_sockets(fds, 2);
        write_acquire_reply(text, sizeof(text), fds, 2);
        broker_send(&broker, text, 10, &fds[0], 1);
        broker_send(&broker, text + 10, strlen(text) - 9, &fds[1], 1);
        close_sockets(fds, 2);
        cr_assert(zero(int, reuse_client_acquire(broker.client, request, &sockets, NULL)));
        reuse_sockets_free(sockets);
        reuse_request_free(request);
        broker_end(&broker);
}

static int keep_sockets(reuse_client *client, reuse_reply *reply, void *userdata) {
        reuse_sockets **sockets = userdata;

        (void)client;
        *sockets = reuse_reply_take_sockets(reply);
        cr_assert(eq(ptr, reuse_reply_take_sockets(reply), NULL));
        cr_assert(ne(ptr, (void *)reuse_reply_get_parameters(reply), NULL));
        return 0;
}

/* The bytes of two answers arrive together, and the descriptors of the second with them. */
Test(sockets, descriptors_of_the_next_answer) {
        reuse_request *request = request_of(1);
        reuse_sockets *sockets = NULL, *refused = NULL;
        Broker broker;
        char text[1024];
        int fd;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "List", NULL, 0, NULL, NULL)));
        cr_assert(zero(int, reuse_client_acquire_async(broker.client, request, keep_sockets, &sockets)));
        cr_assert(zero(int, reuse_client_call_async(broker.client, "GetStatus", NULL, 0, keep_sockets,
                                                    &refused)));
        open_sockets(&fd, 1);
        write_acquire_reply(text, sizeof(text), &fd, 1);
        broker_say(&broker, "{}");
        broker_say_with(&broker, text, &fd, 1);
        broker_say(&broker, "{}");
        close(fd);
        cr_assert(zero(int, client_settle(broker.client)));
        cr_assert(eq(sz, reuse_sockets_count(sockets), 1));
        cr_assert(eq(ptr, refused, NULL));
        reuse_sockets_free(sockets);
        reuse_request_free(request);
        broker_end(&broker);
}

Test(sockets, not_taken_is_closed) {
        reuse_request *request = request_of(1);
        Broker broker;
        char text[1024];
        int fd;

        broker_start(&broker);
        cr_assert(zero(int, reuse_client_acquire_async(broker.client, request, NULL, NULL)));
        open_sockets(&fd, 1);
        write_acquire_reply(text, sizeof(text), &fd, 1);
        broker_say_with(&broker, text, &fd, 1);
        close(fd);
        cr_assert(zero(int, client_settle(broker.client)));
        reuse_request_free(request);
        broker_end(&broker);
}

/* Acquire with parameters as text: how many sockets come is not known before. */
Test(sockets, acquire_by_its_name) {
        reuse_sockets *sockets = NULL;
        Broker broker;
        char text[1024];
        int fd;

        broker_start(&broker);
        open_sockets(&fd, 1);
        write_acquire_reply(text, sizeof(text), &fd, 1);
        for (int i = 0; i < 2; i++)
                broker_say_with(&broker, text, &fd, 1);
        close(fd);
        cr_assert(zero(int, reuse_client_call_async(broker.client, "Acquire", "{}", 0, keep_sockets,
                                                    &sockets)));
        cr_assert(
                zero(int, reuse_client_call(broker.client, "io.reuseportd.Acquire", "{}", NULL, NULL)));
        cr_assert(eq(sz, reuse_sockets_count(sockets), 1));
        reuse_sockets_free(sockets);
        broker_end(&broker);
}
