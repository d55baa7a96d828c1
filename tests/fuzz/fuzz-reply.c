/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A broker that says anything, in pieces of any size, with descriptors anywhere: the library must end
 * with answers or an error for every call, and nothing left open.
 *
 * The first line of the input has a letter for each call. Each further line is one sendmsg() of the
 * broker: a digit, how many descriptors go with it; then the bytes, in which '|' stands for the NUL.
 * What follows an empty line is said over the second connection, if the library makes one. Descriptors
 * are no sockets: the cookies of the first, second, ... are 1, 2, ...
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-lib/reuse-client.h"
#include "tests/fuzz/fuzz.h"

enum {
        /* More than any reply can have. */
        DESCRIPTORS_MAX = 80,
        DESCRIPTORS_PER_LINE = 9,
        CALLS_MAX = 8,
        CONNECTIONS_MAX = 1 + CALLS_MAX,
        USEC_PATIENT = 1000000,
};

typedef struct Broker {
        FuzzInput says;             /* what is left of it */
        int peers[CONNECTIONS_MAX]; /* its ends of the connections */
        size_t n_peers;
        uint64_t n_descriptors;
        size_t n_last; /* answers that end a call */
} Broker;

static Broker broker;

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);

/* A descriptor knows its number by itself. */
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len) {
        uint64_t number;

        if (level != SOL_SOCKET || name != SO_COOKIE)
                return __real_getsockopt(fd, level, name, value, len);
        fuzz_expect(*len == sizeof(number));
        if (read(fd, &number, sizeof(number)) < 0)
                return -1;
        fuzz_expect(write(fd, &number, sizeof(number)) == sizeof(number));
        memcpy(value, &number, sizeof(number));
        return 0;
}

/* ---- what the broker says ----------------------------------------------------------------------- */

static void send_bytes(int peer, char *data, size_t n, const int *fds, size_t n_fds) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(DESCRIPTORS_PER_LINE * sizeof(int))];
        } control = { .space = { 0 } };
        struct iovec iov = { .iov_base = data, .iov_len = n };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                header.msg_control = &control;
                header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
        }
        /* The library may have hung up. */
        (void)!sendmsg(peer, &header, MSG_NOSIGNAL);
}

static void say(int peer, FuzzInput line) {
        size_t n = (size_t)(fuzz_byte(&line) - '0');
        int fds[DESCRIPTORS_PER_LINE];
        char *data = fuzz_copy(line.data, line.n);

        if (n > DESCRIPTORS_PER_LINE || n + broker.n_descriptors > DESCRIPTORS_MAX)
                n = 0;
        for (size_t i = 0; i < n; i++) {
                fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
                broker.n_descriptors++;
                fuzz_expect(fds[i] >= 0 && eventfd_write(fds[i], broker.n_descriptors) == 0);
        }
        for (size_t i = 0; i < line.n; i++)
                if (data[i] == '|')
                        data[i] = '\0';
        send_bytes(peer, data, line.n, fds, n);
        for (size_t i = 0; i < n; i++)
                close(fds[i]);
        free(data);
}

/* The next line. Returns false where there is none, or an empty one. */
static bool say_next(int peer) {
        FuzzInput line = fuzz_cut(&broker.says, '\n');

        if (line.n > 0)
                say(peer, line);
        return line.n > 0;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len) {
        int pair[2];

        fuzz_expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        fuzz_expect(dup3(pair[0], fd, O_CLOEXEC) == fd);
        close(pair[0]);
        fuzz_expect(broker.n_peers < CONNECTIONS_MAX);
        broker.peers[broker.n_peers++] = pair[1];
        if (broker.n_peers == 1)
                return 0;
        while (say_next(pair[1]))
                ;
        shutdown(pair[1], SHUT_WR);
        return 0;
}

/* ---- what the library makes of it --------------------------------------------------------------- */

static void expect_error(const reuse_error *error, int number) {
        fuzz_expect(reuse_error_get_errno(error) == number && number < 0);
        fuzz_expect(reuse_error_get_message(error));
        for (const char *p = reuse_error_get_message(error); *p; p++)
                fuzz_expect((unsigned char)*p >= ' ' && *p != 0x7f);
        fuzz_expect(!reuse_error_get_name(error) == !reuse_error_get_parameters(error));
}

static void expect_socket(const reuse_sockets *sockets, size_t i) {
        int fd = reuse_sockets_get_fd(sockets, i);

        fuzz_expect(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
        fuzz_expect(reuse_sockets_get_lease(sockets, i) && reuse_sockets_get_endpoint(sockets, i));
        fuzz_expect(reuse_sockets_get_network(sockets, i) && reuse_sockets_get_address(sockets, i));
        fuzz_expect(reuse_sockets_get_adopted(sockets, i) >= 0);
        reuse_sockets_get_name(sockets, i);
        reuse_sockets_get_sharing(sockets, i);
}

/* One is taken out and closed here, the others are left to the library. */
static void expect_sockets(reuse_sockets *sockets, size_t n) {
        int fd;

        fuzz_expect(reuse_sockets_count(sockets) == n);
        for (size_t i = 0; i < n; i++)
                expect_socket(sockets, i);
        fuzz_expect(reuse_sockets_get_lease(sockets, n) == NULL);
        fd = reuse_sockets_take_fd(sockets, 0);
        fuzz_expect(fd >= 0 && reuse_sockets_get_fd(sockets, 0) == -EBADF);
        close(fd);
}

/* @userdata: how many sockets were asked for; for another call NULL. */
static int take_reply(reuse_client *client, reuse_reply *reply, void *userdata) {
        const reuse_error *error = reuse_reply_get_error(reply);
        size_t n = userdata ? *(const size_t *)userdata : 0;
        reuse_sockets *sockets;

        broker.n_last += !reuse_reply_get_continues(reply);
        if (error) {
                expect_error(error, reuse_error_get_errno(error));
                fuzz_expect(!reuse_reply_get_continues(reply));
                fuzz_expect(!reuse_reply_take_sockets(reply));
                return 0;
        }
        fuzz_expect(reuse_reply_get_parameters(reply));
        sockets = reuse_reply_take_sockets(reply);
        fuzz_expect(!sockets == (n == 0));
        if (sockets)
                expect_sockets(sockets, n);
        reuse_sockets_free(sockets);
        return 0;
}

static reuse_request *request_of(size_t n) {
        reuse_request *request = NULL;

        fuzz_expect(reuse_request_new(&request) == 0);
        for (size_t i = 0; i < n; i++)
                fuzz_expect(reuse_request_add(request, "tcp4", "127.0.0.1:80") == (int)i);
        return request;
}

static int acquire_later(reuse_client *client, const size_t *n) {
        reuse_request *request = request_of(*n);
        int r = reuse_client_acquire_async(client, request, take_reply, (void *)n);

        reuse_request_free(request);
        return r;
}

/* Returns whether the letter stands for such a call. */
static bool call_later(reuse_client *client, char letter) {
        static const size_t one = 1, two = 2;

        switch (letter) {
        case 'a':
                return acquire_later(client, &one) == 0;
        case 'b':
                return acquire_later(client, &two) == 0;
        case 'l':
                return reuse_client_call_async(client, "List", NULL, 0, take_reply, NULL) == 0;
        case 'w':
                return reuse_client_call_async(client, "Watch", NULL, REUSE_CALL_MORE, take_reply,
                                               NULL) == 0;
        default:
                return false;
        }
}

static void acquire_now(reuse_client *client) {
        reuse_request *request = request_of(2);
        reuse_sockets *sockets = NULL;
        reuse_error *error = NULL;
        int r = reuse_client_acquire(client, request, &sockets, &error);

        fuzz_expect((r < 0) == (error != NULL) && (r < 0) == (sockets == NULL));
        if (r < 0)
                expect_error(error, r);
        else
                expect_sockets(sockets, 2);
        reuse_sockets_free(sockets);
        reuse_error_free(error);
        reuse_request_free(request);
}

/* Everything was said before: each call waits for what is there, or for the end. */
static void call_now(reuse_client *client, char letter) {
        const char *const leases[] = { "l1-00000000", "l2-00000000" };
        reuse_error *error = NULL;
        char *parameters = NULL;

        switch (letter) {
        case 'A':
                acquire_now(client);
                break;
        case 'L':
                if (reuse_client_call(client, "List", "{}", &parameters, &error) == 0)
                        fuzz_expect(parameters);
                break;
        case 'R':
                reuse_client_release(client, leases, 2, &error);
                break;
        case 'D':
                reuse_client_drain_wait(client, leases, 2, USEC_PATIENT, &error);
                break;
        }
        free(parameters);
        reuse_error_free(error);
}

static void process_all(reuse_client *client) {
        while (reuse_client_process(client) > 0)
                ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        FuzzInput input = { (const char *)data, size }, calls = fuzz_cut(&input, '\n');
        int n_fds = fuzz_count_fds();
        reuse_client *client = NULL;
        size_t n_asked = 0;

        broker = (Broker){ .says = input };
        if (calls.n > CALLS_MAX)
                calls.n = CALLS_MAX;
        fuzz_expect(reuse_client_connect("/broker", &client, NULL) == 0);
        reuse_client_set_reconnect(client, 0);
        for (size_t i = 0; i < calls.n; i++)
                n_asked += call_later(client, calls.data[i]);
        while (say_next(broker.peers[0]))
                if (n_asked > 0)
                        process_all(client);
        shutdown(broker.peers[0], SHUT_WR);
        for (size_t i = 0; i < calls.n; i++)
                call_now(client, calls.data[i]);
        process_all(client);
        fuzz_expect(reuse_client_get_fd(client) < 0);
        fuzz_expect(broker.n_last == n_asked);
        reuse_client_free(client);
        for (size_t i = 0; i < broker.n_peers; i++)
                close(broker.peers[i]);
        fuzz_expect(fuzz_count_fds() == n_fds);
        return 0;
}
