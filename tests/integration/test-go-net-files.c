/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the tests of Go's net assert about descriptors that travel and files of UNIX sockets, by their
 * names in snake case.
 */

#include <pthread.h>
#include <sys/stat.h>

#include "tests/integration/go-kit.h"

TestSuite(go_net_files, .timeout = 60);

enum {
        TRIES = 100,
};

/* ---- descriptors -------------------------------------------------------------------------------- */

/* What comes out of a UNIX socket into which @fd was put. Consumes @fd. */
static int travelled(int fd) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { .bytes = { 0 } };
        char byte = 'f';
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        int pair[2];

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)));
        control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
                                           .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        cr_assert(eq(int, (int)sendmsg(pair[0], &message, 0), 1));
        close(fd);
        message.msg_controllen = sizeof(control);
        cr_assert(eq(int, (int)recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC), 1));
        cr_assert(eq(sz, control.header.cmsg_len, CMSG_LEN(sizeof(int))));
        memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
        close(pair[0]);
        close(pair[1]);
        return fd;
}

static void expect_same_text(const char *a, const char *b) {
        KIT_EXPECT_TEXT(a ?: "(none)", b ?: "(none)");
}

/* Says of the copy what it said of @fd, which is closed. Returns the copy. */
static int expect_travels(int fd) {
        reuse_description *before = go_described(fd), *after;

        fd = travelled(fd);
        after = go_described(fd);
        expect_same_text(reuse_description_get_network(after), reuse_description_get_network(before));
        expect_same_text(reuse_description_get_local_address(after),
                         reuse_description_get_local_address(before));
        expect_same_text(reuse_description_get_remote_address(after),
                         reuse_description_get_remote_address(before));
        cr_assert(eq(int, reuse_description_get_family(after), reuse_description_get_family(before)));
        cr_assert(eq(int, reuse_description_get_type(after), reuse_description_get_type(before)));
        cr_assert(
                eq(int, reuse_description_get_protocol(after), reuse_description_get_protocol(before)));
        cr_assert(eq(int, reuse_description_get_listening(after),
                     reuse_description_get_listening(before)));
        cr_assert(eq(int, reuse_description_get_reuse_port(after),
                     reuse_description_get_reuse_port(before)));
        cr_assert(reuse_description_get_cookie(after) == reuse_description_get_cookie(before));
        cr_assert(ne(int, fcntl(fd, F_GETFL) & O_NONBLOCK, 0));
        reuse_description_free(before);
        reuse_description_free(after);
        return fd;
}

static const struct {
        const char *network, *address;
        int type;
} files[] = {
        { "tcp", "", SOCK_STREAM },
        { "tcp", "127.0.0.1:0", SOCK_STREAM },
        { "tcp", "[::ffff:127.0.0.1]:0", SOCK_STREAM },
        { "tcp4", ":0", SOCK_STREAM },
        { "tcp6", ":0", SOCK_STREAM },
        { "tcp6", "[::1]:0", SOCK_STREAM },
        { "unix", "file", SOCK_STREAM },
        { "unix", "@file", SOCK_STREAM },
        { "unixpacket", "file", SOCK_SEQPACKET },
        { "unixpacket", "@file", SOCK_SEQPACKET },
        { "udp", "", SOCK_DGRAM },
        { "udp", "127.0.0.1:0", SOCK_DGRAM },
        { "udp4", ":0", SOCK_DGRAM },
        { "udp6", "[::1]:0", SOCK_DGRAM },
        { "unixgram", "file", SOCK_DGRAM },
        { "unixgram", "@file", SOCK_DGRAM },
};

/* What was listened on before the trip is served after it. */
static void expect_files(bool packets) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(files); i++) {
                char spec[GO_TEXT_MAX];
                reuse_sockets *listener;
                const char *lease;
                int fd;

                if ((files[i].type == SOCK_DGRAM) != packets)
                        continue;
                listener = library_acquire(go.client,
                                           go_spec(&go, files[i].network, files[i].address, spec));
                lease = reuse_sockets_get_lease(listener, 0);
                fd = expect_travels(reuse_sockets_take_fd(listener, 0));
                cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_TYPE), files[i].type));
                kit_expect_served(fd);
                close(fd);
                cr_assert(zero(int, reuse_client_release(go.client, &lease, 1, NULL)));
                reuse_sockets_free(listener);
        }
        go_end(&go);
}

Test(go_net_files, test_file_listener) {
        expect_files(false);
}

Test(go_net_files, test_file_packet_conn) {
        expect_files(true);
}

/* Both ends of a connection. */
Test(go_net_files, test_file_conn) {
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(files); i++) {
                char spec[GO_TEXT_MAX], target[GO_TEXT_MAX];
                reuse_sockets *listener = library_acquire(
                        go.client, go_spec(&go, files[i].network, files[i].address, spec));
                reuse_outgoing *outgoing =
                        go_dial(&go, files[i].network, go_target(listener, target), NULL, NULL);
                int dialled = expect_travels(reuse_outgoing_take_fd(outgoing)), served;

                if (files[i].type == SOCK_DGRAM) {
                        kit_expect_byte(go_fd(listener), dialled);
                } else {
                        served = go_accept(go_fd(listener));
                        cr_assert(zero(int, fcntl(served, F_SETFL, O_NONBLOCK)));
                        served = expect_travels(served);
                        kit_expect_byte(served, dialled);
                        kit_expect_byte(dialled, served);
                        close(served);
                }
                close(dialled);
                reuse_outgoing_free(outgoing);
                go_close(&go, listener);
        }
        go_end(&go);
}

/* ---- files of UNIX sockets ---------------------------------------------------------------------- */

static bool is_there(const char *path) {
        struct stat st;

        return lstat(path, &st) == 0;
}

static reuse_sockets *listen_at(Go *go, const char *path) {
        reuse_sockets *listener = go_listen(go, "unix", path);

        cr_assert(is_there(path));
        kit_expect_served(go_fd(listener));
        return listener;
}

/* The file goes when the listener is given up, and not before, and only if it is the listener's. */
Test(go_net_files, test_unix_unlink) {
        Go go = go_begin();
        reuse_sockets *listener;
        char path[GO_TEXT_MAX];
        const char *lease;
        int copy, fd;

        snprintf(path, sizeof(path), "%s/unlink", go.kit.harness.folder);
        listener = listen_at(&go, path);
        go_close(&go, listener);
        cr_assert(not(is_there(path)));

        /* Descriptors that are closed are not what it depends on. */
        listener = listen_at(&go, path);
        copy = fcntl(go_fd(listener), F_DUPFD_CLOEXEC, 0);
        close(copy);
        cr_assert(is_there(path));
        kit_expect_served(go_fd(listener));
        close(reuse_sockets_take_fd(listener, 0));
        cr_assert(is_there(path));
        lease = reuse_sockets_get_lease(listener, 0);
        cr_assert(zero(int, reuse_client_release(go.client, &lease, 1, NULL)));
        cr_assert(not(is_there(path)));
        reuse_sockets_free(listener);

        /* What somebody else has put there stays, and is in the way. */
        listener = listen_at(&go, path);
        cr_assert(zero(int, unlink(path)));
        fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        cr_assert(ge(int, fd, 0));
        close(fd);
        go_close(&go, listener);
        cr_assert(is_there(path));
        {
                char spec[GO_TEXT_MAX + 8];

                snprintf(spec, sizeof(spec), "unix:%s", path);
                cr_assert(eq(int, go_try(&go, spec), -EADDRINUSE));
        }
        cr_assert(is_there(path));
        cr_assert(zero(int, unlink(path)));
        go_end(&go);
}

/* Both ends say the names that they were given. A difference: the one that dials has none of the
 * kernel's making if it asked for none. */
static void expect_names(const char *network) {
        static const char *const locals[] = { NULL, "local", "@local" };
        Go go = go_begin();

        for (size_t i = 0; i < ELEMENTS(locals); i++) {
                char spec[GO_TEXT_MAX], local[GO_TEXT_MAX] = "", target[GO_TEXT_MAX];
                reuse_sockets *listener =
                        library_acquire(go.client, go_spec(&go, network, "remote", spec));
                reuse_outgoing *outgoing;
                reuse_description *ends[2];

                snprintf(target, sizeof(target), "%s/remote", go.kit.harness.folder);
                if (locals[i])
                        snprintf(local, sizeof(local), "%s%s/local", locals[i][0] == '@' ? "@" : "",
                                 go.kit.harness.folder);
                outgoing = go_dial(&go, network, go_address(listener), locals[i] ? local : NULL, NULL);
                ends[0] = go_described(go_fd(listener));
                ends[1] = go_described(reuse_outgoing_get_fd(outgoing));
                KIT_EXPECT_TEXT(go_address(listener), target);
                KIT_EXPECT_TEXT(reuse_description_get_local_address(ends[0]), target);
                cr_assert(reuse_description_get_remote_address(ends[0]) == NULL);
                KIT_EXPECT_TEXT(reuse_description_get_local_address(ends[1]), local);
                KIT_EXPECT_TEXT(reuse_description_get_remote_address(ends[1]), target);
                KIT_EXPECT_TEXT(reuse_description_get_network(ends[1]), network);
                reuse_description_free(ends[0]);
                reuse_description_free(ends[1]);
                reuse_outgoing_free(outgoing);
                go_close(&go, listener);
                if (local[0] == '/')
                        cr_assert(zero(int, unlink(local)));
        }
        go_end(&go);
}

Test(go_net_files, test_unix_conn_local_and_remote_names) {
        expect_names("unix");
        expect_names("unixpacket");
}

Test(go_net_files, test_unixgram_conn_local_and_remote_names) {
        expect_names("unixgram");
}

/* ---- races --------------------------------------------------------------------------------------- */

typedef struct Race {
        pthread_barrier_t start;
        int fd;
} Race;

static void *race_close(void *userdata) {
        Race *race = userdata;

        pthread_barrier_wait(&race->start);
        close(race->fd);
        return NULL;
}

/* Asks until there is nothing to ask about. Consumes the descriptor of @race. */
static void expect_described_or_refused(Race *race) {
        pthread_t thread;
        int r;

        cr_assert(zero(int, pthread_create(&thread, NULL, race_close, race)));
        pthread_barrier_wait(&race->start);
        do {
                reuse_description *description = NULL;
                reuse_error *error = NULL;

                r = reuse_describe(race->fd, &description, &error);
                cr_assert(r == 0 || r == -EBADF, "%s", reuse_error_get_message(error));
                cr_assert(eq(int, description != NULL, r == 0));
                cr_assert(eq(int, error != NULL, r < 0));
                reuse_description_free(description);
                reuse_error_free(error);
        } while (r == 0);
        cr_assert(zero(int, pthread_join(thread, NULL)));
}

/* Whoever asks what a descriptor is that is being closed is told, or refused. */
Test(go_net_files, test_file_close_race) {
        Go go = go_begin();
        reuse_sockets *listener = go_listen(&go, "tcp", "127.0.0.1:0");
        Race race;

        cr_assert(zero(int, pthread_barrier_init(&race.start, NULL, 2)));
        for (int i = 0; i < TRIES; i++) {
                reuse_outgoing *outgoing = go_dial(&go, "tcp", go_address(listener), NULL, NULL);

                race.fd = reuse_outgoing_take_fd(outgoing);
                expect_described_or_refused(&race);
                reuse_outgoing_free(outgoing);
                close(go_accept(go_fd(listener)));
        }
        cr_assert(zero(int, pthread_barrier_destroy(&race.start)));
        go_close(&go, listener);
        go_end(&go);
}
