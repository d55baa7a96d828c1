/* SPDX-License-Identifier: BSD-2-Clause */

/* The answers to Acquire: numbers, descriptors and cookies that belong together, and those that do not.
 */

#include <fcntl.h>
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
        int fds[FDS_MAX];
        Broker broker;

        cr_assert(eq(int, reuse_request_add(request, "tcp", ":1"), -E2BIG));
        broker_start(&broker);
        open_sockets(fds, FDS_MAX);
        write_acquire_reply(text, TEXT_MAX, fds, FDS_MAX);
        broker_say_with(&broker, text, fds, FDS_MAX);
        close_sockets(fds, FDS_MAX);
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
        cr_assert(zero(int,
                       reuse_client_call_async(broker.client, "Dial", NULL, 0, keep_sockets, &refused)));
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
