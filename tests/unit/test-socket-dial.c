/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sockets that connect from a port which is listened on. That they are let in beside a listener, and are
 * in nobody's way, is the kernel's doing: what was measured is what is held here.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/socket-factory.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

static SocketFailure failure;

static void own_network(void) {
        if (!kit_own_network())
                cr_skip_test("needs a network of its own");
}

static Address open_endpoint(const char *network, const char *text, Sharing sharing, int *ret_fd) {
        const SocketSpec spec = { .address = kit_address(network, text), .sharing = sharing };
        Address bound;

        cr_assert(zero(int, socket_factory_open(&spec, ret_fd, &bound, &failure)));
        return bound;
}

/* To @remote, from where @local is if @reuse. */
static int dial_as(const Address *local, const Address *remote, bool reuse, uid_t uid, int *ret_fd) {
        const DialSpec spec = {
                .local = *local, .remote = remote, .reuse = reuse, .uid = uid, .gid = uid
        };
        int n_fds = leaks_count_fds(), r;
        Address bound;

        failure = (SocketFailure){ 0 };
        *ret_fd = -1;
        r = socket_factory_dial(&spec, ret_fd, &bound, &failure);
        cr_assert(eq(int, leaks_count_fds(), n_fds + (r == 0)));
        return r;
}

static int must_dial(const Address *local, const Address *remote) {
        int fd;

        cr_assert(zero(int, dial_as(local, remote, true, KIT_OTHER_UID, &fd)), "step %s: %s",
                  failure.step, strerror(failure.refusal.error));
        return fd;
}

static uid_t owner(int fd) {
        struct stat st;

        cr_assert(zero(int, fstat(fd, &st)));
        return st.st_uid;
}

TestSuite(socket_dial, .init = own_network, .timeout = 10);

/* ---- refusals ------------------------------------------------------------------------------------ */

Test(socket_dial, s1_18_not_beside_who_has_not_lent) {
        static const char *const networks[] = { "tcp4", "udp4" };

        for (int i = 0; i < 2; i++) {
                Address remote = kit_address(networks[i], "127.0.0.1:9"), local;
                int listener, fd;

                local = open_endpoint(networks[i], "127.0.0.1:0", SHARING_EXCLUSIVE, &listener);
                cr_assert(eq(int, dial_as(&local, &remote, true, 0, &fd), SOCKET_FACTORY_E_IN_USE));
                cr_assert(eq(int, dial_as(&local, &remote, false, 0, &fd), SOCKET_FACTORY_E_IN_USE));
                cr_assert(zero(int, socket_factory_lend(listener)));
                cr_assert(eq(int, dial_as(&local, &remote, false, 0, &fd), SOCKET_FACTORY_E_IN_USE));
                cr_assert(zero(int, dial_as(&local, &remote, true, 0, &fd)));
                close(fd);
                close(listener);
        }
}

Test(socket_dial, not_from_an_address_of_others) {
        Address remote = kit_address("tcp4", "127.0.0.1:9"), local = kit_address("tcp4", "10.9.9.1:0");
        int fd;

        cr_assert(eq(int, dial_as(&local, &remote, false, 0, &fd), SOCKET_FACTORY_E_NOT_LOCAL));
        KIT_EXPECT_TEXT(failure.step, "bind");
}

/* What connect() says is about the way, not about the address to come from. */
Test(socket_dial, no_way_for_datagrams) {
        Address remote = kit_address("udp4", "8.8.8.8:9"), local = kit_address("udp4", "127.0.0.1:0");
        int fd;

        cr_assert(eq(int, dial_as(&local, &remote, false, 0, &fd), SOCKET_FACTORY_E_SYSTEM));
        KIT_EXPECT_TEXT(failure.step, "connect");
}

/* ---- what there is ------------------------------------------------------------------------------- */

Test(socket_dial, d3_what_a_socket_has_at_birth) {
        Address remote = kit_address("tcp4", "127.0.0.1:9"), local;
        int listener, fd;

        local = open_endpoint("tcp4", "127.0.0.1:0", SHARING_GROUP, &listener);
        fd = must_dial(&local, &remote);
        cr_assert(ne(int, fcntl(fd, F_GETFL) & O_NONBLOCK, 0));
        cr_assert(ne(int, fcntl(fd, F_GETFD) & FD_CLOEXEC, 0));
        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_REUSEPORT), 1));
        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_REUSEADDR), 1));
        cr_assert(zero(int, kit_int_option(fd, SOL_SOCKET, SO_ACCEPTCONN)));
        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_LOCK_FILTER), 1));
        if (geteuid() == 0)
                cr_assert(eq(int, (int)owner(fd), KIT_OTHER_UID));
        close(fd);
        close(listener);
}

Test(socket_dial, d1_datagrams_have_no_address_to_be_reused) {
        Address remote = kit_address("udp6", "[::1]:9"), local;
        int member, fd;

        local = open_endpoint("udp6", "[::1]:0", SHARING_GROUP, &member);
        fd = must_dial(&local, &remote);
        cr_assert(zero(int, kit_int_option(fd, SOL_SOCKET, SO_REUSEADDR)));
        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_REUSEPORT), 1));
        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_BROADCAST), 1));
        cr_assert(eq(int, kit_int_option(fd, SOL_SOCKET, SO_LOCK_FILTER), 1));
        /* As the members' owner, or no further one would be let in. */
        cr_assert(eq(int, (int)owner(fd), (int)geteuid()));
        close(fd);
        close(member);
}

/* Its holder can have it neither listen in the group, nor bring the group to an end. */
Test(socket_dial, t3_holder_does_not_listen_in_the_group) {
        Address remote = kit_address("tcp4", "127.0.0.1:9"), local, again;
        int listener, fd, next;

        if (geteuid() != 0)
                cr_skip_test("needs root, to give a socket away");
        local = open_endpoint("tcp4", "127.0.0.1:0", SHARING_GROUP, &listener);
        fd = must_dial(&local, &remote);
        cr_assert(eq(int, listen(fd, 1), -1));
        cr_assert(eq(int, errno, EADDRINUSE));
        /* In the way of no further member, and of nobody after them. */
        again = open_endpoint("tcp4", "127.0.0.1:0", SHARING_GROUP, &next);
        close(next);
        {
                const SocketSpec spec = { .address = local, .sharing = SHARING_GROUP };

                cr_assert(zero(int, socket_factory_open(&spec, &next, &again, &failure)));
                close(next);
                close(listener);
                cr_assert(zero(int, socket_factory_open(&spec, &next, &again, &failure)));
        }
        cr_assert(eq(int, listen(fd, 1), -1));
        close(next);
        close(fd);
}

Test(socket_dial, a_port_of_the_kernel_s_comes_with_the_destination) {
        Address remote = kit_address("tcp4", "127.0.0.1:9"), local = kit_address("tcp4", "127.0.0.1:0");
        const DialSpec spec = { .local = local, .remote = &remote };
        Address bound;
        int fd;

        cr_assert(zero(int, socket_factory_dial(&spec, &fd, &bound, &failure)));
        cr_assert(zero(int, address_port(&bound)));
        close(fd);
        remote = kit_address("udp4", "127.0.0.1:9");
        {
                const DialSpec of_datagrams = { .local = kit_address("udp4", "127.0.0.1:0"),
                                                .remote = &remote };

                cr_assert(zero(int, socket_factory_dial(&of_datagrams, &fd, &bound, &failure)));
                cr_assert(ne(int, address_port(&bound), 0));
                close(fd);
        }
}
