/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The program in the kernel, with real sockets on the loopback. What it decides is counted at the
 * sockets, or, where their queues are too short, by the program itself.
 */

#include "daemon/steering.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "tests/unit/steering-kit.h"

static Kit kit;

TestSuite(steering, .timeout = 60);

static void begin(SteeringMode mode, int type, size_t n) {
        kit_begin(&kit, mode, type, AF_INET, n);
}

/* What has not the right to load the program is told why, and nothing is printed. */
Test(steering, refuses_without_capability) {
        int n_fds = leaks_count_fds(), out = dup(STDERR_FILENO), ends[2];
        static const cap_value_t rights[] = { CAP_BPF, CAP_SYS_ADMIN };
        cap_t caps = cap_get_proc();
        const char *reason = NULL;
        Steering *steering = NULL;
        char byte;
        int r;

        cr_assert(zero(int, cap_set_flag(caps, CAP_EFFECTIVE, 2, rights, CAP_CLEAR)));
        cr_assert(zero(int, cap_set_proc(caps)));
        cap_free(caps);
        cr_assert(zero(int, pipe2(ends, O_NONBLOCK | O_CLOEXEC)));
        cr_assert(eq(int, dup2(ends[1], STDERR_FILENO), STDERR_FILENO));
        r = steering_new(&steering, &reason);
        cr_assert(eq(int, dup2(out, STDERR_FILENO), STDERR_FILENO));
        cr_assert(eq(int, r, STEERING_E_UNAVAILABLE));
        cr_assert(eq(ptr, steering, NULL));
        if (strcmp(reason, "built without BPF") != 0)
                cr_assert(eq(str, (char *)reason, (char *)"no CAP_BPF"));
        cr_assert(lt(int, (int)read(ends[0], &byte, 1), 0));
        close(ends[0]);
        close(ends[1]);
        close(out);
        leaks_expect_fds(n_fds);
}

/* The verifier looks harder at what comes from who has not CAP_PERFMON as well, as root has. */
Test(steering, needs_one_capability_only) {
        static const cap_value_t right = CAP_BPF;
        int n_fds = leaks_count_fds();
        cap_t caps = cap_init();
        const char *reason = NULL;
        Steering *steering = NULL;

        if (steering_new(&steering, &reason) != 0)
                cr_skip_test("no steering here: %s", reason);
        steering_free(steering);
        cr_assert(zero(int, cap_set_flag(caps, CAP_EFFECTIVE, 1, &right, CAP_SET)));
        cr_assert(zero(int, cap_set_flag(caps, CAP_PERMITTED, 1, &right, CAP_SET)));
        cr_assert(zero(int, cap_set_proc(caps)));
        cap_free(caps);
        cr_assert(zero(int, steering_new(&steering, &reason)), "%s", reason);
        steering_free(steering);
        leaks_expect_fds(n_fds);
}

Test(steering, refuses_to_attach_to_a_socket_without_reuseport) {
        int fd;

        begin(STEERING_HASH, SOCK_STREAM, 0);
        fd = kit_socket(&kit);
        cr_assert(eq(int, steering_group_attach(kit.group, fd), -EINVAL));
        close(fd);
        cr_assert(eq(int, steering_group_attach(kit.group, -1), -EBADF));
        kit_end(&kit);
}

Test(steering, refuses_to_attach_to_a_locked_socket) {
        begin(STEERING_HASH, SOCK_STREAM, 1);
        cr_assert(zero(int, setsockopt(kit.members[0].fd, SOL_SOCKET, SO_LOCK_FILTER, &(int){ 1 },
                                       sizeof(int))));
        cr_assert(eq(int, steering_group_attach(kit.group, kit.members[0].fd), -EPERM));
        kit_end(&kit);
}

Test(steering, refuses_members_that_no_flow_can_come_to) {
        uint32_t slot = 4711;
        int fd;

        begin(STEERING_HASH, SOCK_STREAM, 0);
        cr_assert(eq(int, steering_member_add(kit.group, -1, 1, &slot), -EINVAL));
        fd = kit_socket(&kit);
        cr_assert(eq(int, steering_member_add(kit.group, fd, kit_cookie(fd), &slot), -EINVAL));
        cr_assert(zero(int, bind(fd, &kit.address.sa, kit.len)));
        cr_assert(eq(int, steering_member_add(kit.group, fd, kit_cookie(fd), &slot), -EINVAL));
        cr_assert(zero(int, listen(fd, 1))); /* but not in a SO_REUSEPORT group */
        cr_assert(eq(int, steering_member_add(kit.group, fd, kit_cookie(fd), &slot), -EINVAL));
        cr_assert(eq(u32, slot, 4711));
        close(fd);
        /* The slots of all these are free again: the first is the next. */
        kit_add(&kit);
        cr_assert(zero(u32, kit.members[0].slot));
        kit_end(&kit);
}

Test(steering, refuses_a_member_twice) {
        uint32_t slot = 4711;

        begin(STEERING_HASH, SOCK_DGRAM, 1);
        cr_assert(eq(int, steering_member_add(kit.group, kit.members[0].fd, 1, &slot), -EBUSY));
        cr_assert(eq(u32, slot, 4711));
        kit_list(&kit, "1");
        kit_flows(&kit, 3);
        kit_collect(&kit, 3);
        kit_end(&kit);
}

Test(steering, refuses_more_groups_than_there_is_room_for) {
        SteeringGroup **groups = calloc(100000, sizeof(*groups));
        size_t n = 0;
        int r;

        kit_steering(&kit);
        while ((r = steering_group_new(kit.steering, STEERING_HASH, &kit, &groups[n])) == 0)
                n++;
        cr_assert(eq(int, r, STEERING_E_FULL));
        cr_assert(eq(sz, n, STEERING_MEMBERS_MAX));
        steering_group_free(groups[5000]);
        cr_assert(zero(int, steering_group_new(kit.steering, STEERING_HASH, &kit, &groups[5000])));
        while (n-- > 0)
                steering_group_free(groups[n]);
        free(groups);
        steering_free(kit.steering);
        leaks_expect_fds(kit.n_fds);
}

Test(steering, refuses_a_list_that_there_is_no_room_for_and_keeps_the_old) {
        SteeringShare *shares = calloc(65536, sizeof(*shares));
        SteeringGroup *big;

        begin(STEERING_HASH, SOCK_DGRAM, 2);
        kit_list(&kit, "1");
        cr_assert(zero(int, steering_group_new(kit.steering, STEERING_HASH, &kit, &big)));
        for (uint32_t i = 0; i < 65536; i++)
                shares[i] = (SteeringShare){ .slot = i, .weight = 1 };
        cr_assert(eq(int, steering_group_set(big, shares, 65536), STEERING_E_FULL));
        cr_assert(zero(int, steering_group_set(big, shares, 32768)));
        for (uint32_t i = 0; i < 2; i++)
                shares[i].slot = kit.members[i].slot;
        cr_assert(zero(int, steering_group_set(kit.group, shares, 2)));
        kit_list(&kit, "1-");
        cr_assert(eq(int, steering_group_set(kit.group, shares, 30000), STEERING_E_FULL));
        kit_flows(&kit, 10);
        kit_collect(&kit, 10);
        cr_assert(eq(sz, KIT_GOT(&kit, 0), 10));
        steering_group_free(big);
        free(shares);
        kit_end(&kit);
}

Test(steering, forgets_what_it_does_not_know) {
        begin(STEERING_HASH, SOCK_STREAM, 2);
        kit_close(&kit.members[0]);
        steering_member_remove(kit.group, kit.members[0].slot, kit.members[0].cookie);
        kit.members[0] = kit.members[--kit.n_members];
        /* More than are kept in mind as having just left. */
        for (uint64_t cookie = 1; cookie < 3000; cookie++)
                steering_announce(kit.group, UINT64_MAX - cookie);
        kit_list(&kit, "1");
        kit_flows(&kit, 5);
        kit_collect(&kit, 5);
        kit_end(&kit);
}

Test(steering, refuses_flows_while_the_list_is_empty) {
        for (int i = 0; i < KIT_KINDS; i++) {
                int fd, error = 0;

                kit_begin(&kit, STEERING_HASH, kit_kinds[i].type, kit_kinds[i].family, 2);
                kit_list(&kit, "00");
                fd = kit_flow_from(&kit, 0);
                cr_assert(eq(int, poll(&(struct pollfd){ fd, POLLERR, 0 }, 1, KIT_PATIENCE_MSEC), 1));
                cr_assert(zero(int, getsockopt(fd, SOL_SOCKET, SO_ERROR, &error,
                                               &(socklen_t){ sizeof(error) })));
                cr_assert(eq(int, error, ECONNREFUSED));
                kit_collect(&kit, 0);
                cr_assert(eq(u64, steering_group_flows(kit.group), 1));
                kit_list(&kit, "11");
                kit_flows(&kit, 4);
                kit_collect(&kit, 4);
                kit_end(&kit);
        }
}

Test(steering, gives_all_to_a_list_of_one_and_nothing_to_others) {
        for (int mode = 0; mode < _STEERING_N; mode++)
                for (int i = 0; i < KIT_KINDS; i++) {
                        kit_begin(&kit, (SteeringMode)mode, kit_kinds[i].type, kit_kinds[i].family, 3);
                        kit_list(&kit, "-1-");
                        kit_flows(&kit, 20);
                        kit_collect(&kit, 20);
                        cr_assert(eq(sz, KIT_GOT(&kit, 1), 20));
                        cr_assert(eq(u64, steering_selected(kit.steering, kit.members[1].slot), 20));
                        cr_assert(eq(u64, steering_group_flows(kit.group), 20));
                        kit_end(&kit);
                }
}

Test(steering, gives_nothing_to_a_socket_it_does_not_know) {
        int fd;

        begin(STEERING_ROUND_ROBIN, SOCK_STREAM, 2);
        kit_list(&kit, "11");
        fd = kit_group_socket(&kit);
        steering_announce(kit.group, kit_cookie(fd));
        kit_flows(&kit, 20);
        kit_collect(&kit, 20);
        cr_assert(lt(int, accept(fd, NULL, NULL), 0));
        close(fd);
        kit_end(&kit);
}

Test(steering, keeps_flows_of_closed_members_that_are_still_listed) {
        for (int mode = 0; mode < _STEERING_N; mode++)
                for (int type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
                        begin((SteeringMode)mode, type, 4);
                        kit_list(&kit, "111-");
                        kit_close(&kit.members[1]);
                        kit_flows(&kit, 30);
                        kit_collect(&kit, 30);
                        cr_assert(zero(sz, KIT_GOT(&kit, 3)), "mode %d", mode);
                        kit_end(&kit);
                }
}

/* With and without the broker's still knowing the one that closes: both orders happen. */
Test(steering, moves_what_waits_to_members_on_the_list) {
        for (int removed = 0; removed < 2; removed++)
                for (int shut = 0; shut < 2; shut++) {
                        begin(STEERING_HASH, SOCK_STREAM, 4);
                        kit_list(&kit, "11--");
                        kit_flows(&kit, 60);
                        kit_list(&kit, "-1--");
                        if (removed) {
                                steering_member_remove(kit.group, kit.members[0].slot,
                                                       kit.members[0].cookie);
                                steering_announce(kit.group, kit.members[0].cookie);
                        }
                        if (shut)
                                shutdown(kit.members[0].fd, SHUT_RD);
                        kit_close(&kit.members[0]);
                        if (removed)
                                kit.members[0] = kit.members[--kit.n_members];
                        kit_collect(&kit, 60);
                        cr_assert(eq(sz, KIT_GOT(&kit, 1), 60), "removed %d, shut %d", removed, shut);
                        kit_end(&kit);
                }
}

Test(steering, moves_handshakes_that_a_closed_listener_had_under_way) {
        begin(STEERING_HASH, SOCK_STREAM, 4);
        /* The kernel waits for data before the connection counts. */
        for (size_t i = 0; i < kit.n_members; i++)
                cr_assert(zero(int, setsockopt(kit.members[i].fd, SOL_TCP, TCP_DEFER_ACCEPT,
                                               &(int){ 10 }, sizeof(int))));
        kit_list(&kit, "11--");
        kit_flows(&kit, 60);
        kit_list(&kit, "-1--");
        kit_close(&kit.members[0]);
        steering_member_remove(kit.group, kit.members[0].slot, kit.members[0].cookie);
        kit.members[0] = kit.members[--kit.n_members];
        for (size_t i = 0; i < kit.n_clients; i++)
                cr_assert(eq(int, (int)send(kit.clients[i], "x", 1, MSG_NOSIGNAL), 1));
        kit_collect(&kit, 60);
        cr_assert(eq(sz, KIT_GOT(&kit, 1), 60));
        kit_end(&kit);
}

/* The second one: the first, bound to port 0, has another port when it listens again. */
Test(steering, takes_a_member_back_that_listens_again) {
        KitMember *member = &kit.members[1];

        begin(STEERING_HASH, SOCK_STREAM, 2);
        kit_list(&kit, "-1");
        cr_assert(zero(int, shutdown(member->fd, SHUT_RD)));
        cr_assert(zero(int, listen(member->fd, 512)));
        cr_assert(zero(int, steering_member_restore(kit.group, member->slot, member->fd)));
        kit_flows(&kit, 20);
        kit_collect(&kit, 20);
        cr_assert(eq(sz, member->n_got, 20));
        cr_assert(eq(int, steering_member_restore(kit.group, member->slot, member->fd), -EBUSY));
        kit_end(&kit);
}

Test(steering, counts_from_zero_for_each_member) {
        uint32_t slot;

        begin(STEERING_LEAST_LOAD, SOCK_DGRAM, 1);
        kit_list(&kit, "1");
        kit_flows(&kit, 7);
        kit_collect(&kit, 7);
        slot = kit.members[0].slot;
        cr_assert(eq(u64, steering_selected(kit.steering, slot), 7));
        kit_list(&kit, "-");
        steering_member_remove(kit.group, slot, kit.members[0].cookie);
        kit_close(&kit.members[0]);
        kit.n_members = 0;
        kit_add(&kit);
        cr_assert(eq(u32, kit.members[0].slot, slot));
        cr_assert(zero(u64, steering_selected(kit.steering, slot)));
        kit_end(&kit);
}

/* Memory of another kind, too short, or none: reading it could end the broker. */
Test(steering, refuses_counts_that_are_something_else) {
        SteeringCounts counts = { 0 };
        int fds[4];

        begin(STEERING_HASH, SOCK_STREAM, 0);
        fds[0] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        fds[1] = kit_socket(&kit);
        fds[2] = fcntl(steering_get_members_fd(kit.steering), F_DUPFD_CLOEXEC, 3);
        fds[3] = fcntl(steering_get_fd(kit.steering), F_DUPFD_CLOEXEC, 3);
        cr_assert(eq(int, steering_counts_open(-1, &counts), STEERING_E_FOREIGN));
        for (size_t i = 0; i < 4; i++) {
                cr_assert(eq(int, steering_counts_open(fds[i], &counts), STEERING_E_FOREIGN), "%zu", i);
                close(fds[i]);
        }
        cr_assert(eq(ptr, (void *)counts.memory, NULL));
        cr_assert(zero(u64, steering_counts_read(&counts, 0)));
        steering_counts_close(&counts);
        kit_end(&kit);
}

Test(steering, counts_are_there_for_who_comes_after) {
        SteeringCounts counts;
        uint64_t at;
        int fd;

        begin(STEERING_ROUND_ROBIN, SOCK_DGRAM, 2);
        kit_list(&kit, "11");
        kit_flows(&kit, 6);
        kit_collect(&kit, 6);
        at = steering_count_at(kit.steering, kit.members[1].slot);
        fd = fcntl(steering_get_counts_fd(kit.steering), F_DUPFD_CLOEXEC, 3);
        cr_assert(zero(int, steering_counts_open(fd, &counts)));
        close(fd);
        cr_assert(eq(u64, steering_counts_read(&counts, at), 3));
        kit_flows(&kit, 2);
        kit_collect(&kit, 2);
        kit_end(&kit);
        cr_assert(eq(u64, steering_counts_read(&counts, at), 4));
        for (uint64_t odd = 1; odd < 8; odd++)
                cr_assert(zero(u64, steering_counts_read(&counts, at + odd)));
        cr_assert(zero(u64, steering_counts_read(&counts, counts.size - 8)));
        cr_assert(zero(u64, steering_counts_read(&counts, counts.size)));
        cr_assert(zero(u64, steering_counts_read(&counts, UINT64_MAX - 7)));
        steering_counts_close(&counts);
        cr_assert(zero(u64, steering_counts_read(&counts, at)));
}

Test(steering, is_attached_again_through_a_bystander) {
        int bystander;

        begin(STEERING_HASH, SOCK_STREAM, 4);
        bystander = kit_group_socket(&kit);
        steering_announce(kit.group, kit_cookie(bystander));
        for (size_t i = 0; i < kit.n_members; i++)
                cr_assert(zero(int, setsockopt(kit.members[i].fd, SOL_SOCKET, SO_LOCK_FILTER,
                                               &(int){ 1 }, sizeof(int))));
        kit_list(&kit, "1---");
        /* The kernel lets any holder do that. */
        cr_assert(zero(int, setsockopt(kit.members[0].fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF,
                                       &(int){ 0 }, sizeof(int))));
        kit_flow_from(&kit, 0);
        cr_assert(zero(u64, steering_group_flows(kit.group)));
        cr_assert(zero(int, steering_group_attach(kit.group, bystander)));
        kit_list(&kit, "--1-");
        kit_flows(&kit, 20);
        cr_assert(eq(u64, steering_selected(kit.steering, kit.members[2].slot), 20));
        close(bystander);
        kit_end(&kit);
}

Test(steering, replaces_another_program) {
        begin(STEERING_HASH, SOCK_STREAM, 2);
        kit_list(&kit, "-1");
        cr_assert(zero(int, steering_group_attach(kit.group, kit.members[1].fd)));
        kit_flows(&kit, 10);
        kit_collect(&kit, 10);
        cr_assert(eq(sz, KIT_GOT(&kit, 1), 10));
        kit_end(&kit);
}

static bool is_readable(int fd) {
        return poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0) == 1;
}

Test(steering, tells_the_first_flow_of_an_armed_group_once) {
        int fd;

        begin(STEERING_HASH, SOCK_DGRAM, 1);
        fd = steering_get_fd(kit.steering);
        kit_list(&kit, "1");
        kit_flows(&kit, 2);
        cr_assert(not(is_readable(fd)));
        steering_group_arm(kit.group);
        cr_assert(not(is_readable(fd)));
        kit_flows(&kit, 2);
        cr_assert(is_readable(fd));
        cr_assert(eq(ptr, steering_next_woken(kit.steering), &kit));
        cr_assert(eq(ptr, steering_next_woken(kit.steering), NULL));
        kit_flows(&kit, 2);
        cr_assert(not(is_readable(fd)));
        cr_assert(eq(ptr, steering_next_woken(kit.steering), NULL));
        kit_collect(&kit, 6);
        kit_end(&kit);
}

Test(steering, tells_nothing_of_a_group_that_is_gone) {
        SteeringGroup *next;

        begin(STEERING_HASH, SOCK_DGRAM, 1);
        kit_list(&kit, "1");
        steering_group_arm(kit.group);
        kit_flows(&kit, 1);
        kit_collect(&kit, 1);
        kit_list(&kit, "-");
        steering_member_remove(kit.group, kit.members[0].slot, kit.members[0].cookie);
        steering_group_free(kit.group);
        /* In the place of the other. */
        cr_assert(zero(int, steering_group_new(kit.steering, STEERING_HASH, &next, &next)));
        cr_assert(eq(ptr, steering_next_woken(kit.steering), NULL));
        kit.group = next;
        kit_close(&kit.members[0]);
        kit.n_members = 0;
        kit_end(&kit);
}

Test(steering, keeps_groups_apart) {
        Kit *other = calloc(1, sizeof(*other));

        begin(STEERING_ROUND_ROBIN, SOCK_STREAM, 2);
        *other = (Kit){ .n_fds = leaks_count_fds(),
                        .type = SOCK_STREAM,
                        .steering = kit.steering,
                        .address.in = { .sin_family = AF_INET, .sin_addr = kit.address.in.sin_addr },
                        .len = sizeof(other->address.in) };
        cr_assert(zero(int, steering_group_new(kit.steering, STEERING_HASH, other, &other->group)));
        kit_add(other);
        kit_list(other, "1");
        kit_list(&kit, "11");
        kit_flows(&kit, 10);
        kit_flows(other, 5);
        kit_collect(&kit, 10);
        kit_collect(other, 5);
        cr_assert(eq(sz, KIT_GOT(&kit, 0), 5));
        cr_assert(eq(u64, steering_group_flows(other->group), 5));
        kit_close(&other->members[0]);
        kit_list(other, "-");
        steering_member_remove(other->group, other->members[0].slot, other->members[0].cookie);
        for (size_t i = 0; i < other->n_clients; i++)
                close(other->clients[i]);
        steering_group_free(other->group);
        free(other);
        kit_end(&kit);
}

/* The capability is for steering_new() alone. Before Linux 5.19 maps took it too. */
Test(steering, needs_no_capability_later) {
        struct utsname kernel;
        unsigned major, minor;

        cr_assert(zero(int, uname(&kernel)));
        cr_assert(eq(int, sscanf(kernel.release, "%u.%u", &major, &minor), 2));
        if (major < 5 || (major == 5 && minor < 19))
                cr_skip_test("before Linux 5.19 it does");
        begin(STEERING_ROUND_ROBIN, SOCK_STREAM, 0);
        cr_assert(zero(int, setuid(65534)));
        kit_add(&kit);
        kit_add(&kit);
        kit_list(&kit, "11");
        kit_flows(&kit, 10);
        kit_collect(&kit, 10);
        cr_assert(eq(sz, KIT_GOT(&kit, 0), 5));
        kit_end(&kit);
}

Test(steering, serves_on_by_the_last_list_when_the_broker_is_killed) {
        pid_t pid;

        begin(STEERING_ROUND_ROBIN, SOCK_STREAM, 0);
        steering_group_free(kit.group);
        for (int i = 0; i < 3; i++)
                kit.members[kit.n_members++] = (KitMember){ .fd = kit_group_socket(&kit) };
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                const char *reason;

                if (steering_new(&kit.steering, &reason) != 0 ||
                    steering_group_new(kit.steering, STEERING_ROUND_ROBIN, &kit, &kit.group) != 0 ||
                    steering_group_attach(kit.group, kit.members[0].fd) != 0)
                        _exit(1);
                for (size_t i = 0; i < kit.n_members; i++)
                        if (steering_member_add(kit.group, kit.members[i].fd,
                                                kit_cookie(kit.members[i].fd),
                                                &kit.members[i].slot) != 0)
                                _exit(1);
                kit_list(&kit, "1-1");
                _exit(0);
        }
        cr_assert(eq(int, waitpid(pid, &(int){ 0 }, 0), pid));
        kit_flows(&kit, 20);
        kit_collect(&kit, 20);
        cr_assert(eq(sz, KIT_GOT(&kit, 0), 10));
        cr_assert(eq(sz, KIT_GOT(&kit, 2), 10));
        for (size_t i = 0; i < kit.n_members; i++)
                kit_close(&kit.members[i]);
        for (size_t i = 0; i < kit.n_clients; i++)
                close(kit.clients[i]);
        steering_free(kit.steering);
        leaks_expect_fds(kit.n_fds);
}
