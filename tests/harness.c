/* SPDX-License-Identifier: BSD-2-Clause */

/* What integration tests share. Everything asserts: a test that goes on has what it asked for. */

#include "tests/harness.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/cgroup.h"
#include "proto/cleanup.h"

enum {
        PATIENCE_SEC = 20,
        /* Out of the way of those that a keeper hands over. */
        PROGRAM_FD = 3000,
        PEER_PIDFD = 77,  /* SO_PEERPIDFD; headers before Linux 6.5 lack it */
        PASS_RIGHTS = 83, /* SO_PASSRIGHTS; headers before Linux 6.16 lack it */
};

/* Whom to become is said in each: this machine may have the user that is the default. */
static void write_config(const Harness *h, const char *text) {
        FILE *file = fopen(h->config, "we");

        cr_assert(file != NULL);
        fprintf(file, "%s\n[Broker]\nUser=%s\n", text, h->user ?: "root");
        cr_assert_eq(fclose(file), 0);
        cr_assert_eq(chmod(h->config, 0644), 0);
}

static int notify_socket(const Harness *h, struct sockaddr_un *ret) {
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/notify", h->folder);
        unlink(ret->sun_path);
        cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)ret, sizeof(*ret)) == 0, "%m");
        cr_assert_eq(chmod(ret->sun_path, 0666), 0);
        return fd;
}

/* What a program of root's is allowed at most. CAP_SYS_ADMIN would do for CAP_BPF. */
static int give_up_bpf(void) {
        return prctl(PR_CAPBSET_DROP, CAP_BPF) < 0 ? -1 : prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN);
}

/* System call @number is answered with @error when its argument @i (from 0) is @value. */
static int hide(uint32_t number, size_t i, uint32_t value, uint32_t error) {
        const uint32_t argument =
                (uint32_t)(offsetof(struct seccomp_data, args[i]) + 4 * (__BYTE_ORDER == __BIG_ENDIAN));
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -1;
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Many systems have 1024 descriptors, and more for who asks; what a keeper hands over lies higher. */
static int raise_fd_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -1;
        limit.rlim_cur = limit.rlim_max;
        return setrlimit(RLIMIT_NOFILE, &limit);
}

static void run_broker(const Harness *h, const struct sockaddr_un *notify, bool configured) {
        const char *argv[] = {
                h->program ?: REUSEPORTD_PATH, "--socket", h->socket, configured ? "--config" : "--user",
                configured ? h->config : NULL, NULL,       NULL
        };
        struct rlimit limit = { .rlim_cur = h->max_fds, .rlim_max = h->max_fds };
        int program = -1;

        if (raise_fd_limit() < 0)
                _exit(91);
        /* Before the change of user: the tree may be in a folder closed to others. */
        program = fcntl(open(argv[0], O_RDONLY | O_CLOEXEC), F_DUPFD_CLOEXEC, PROGRAM_FD);
        if (h->replaces)
                argv[configured ? 5 : 4] = "--replace";
        setenv("NOTIFY_SOCKET", notify->sun_path, 1);
        if (h->keeper)
                keeper_hand_over(h->keeper);
        if (h->max_fds > 0 && setrlimit(RLIMIT_NOFILE, &limit) < 0)
                _exit(97);
        if (h->no_bpf && geteuid() == 0 && give_up_bpf() < 0)
                _exit(96);
        if (h->no_peer_pidfd && hide(SYS_getsockopt, 2, PEER_PIDFD, ENOPROTOOPT) < 0)
                _exit(95);
        if (h->no_pass_rights && hide(SYS_setsockopt, 2, PASS_RIGHTS, ENOPROTOOPT) < 0)
                _exit(94);
        if (h->no_pidfd_info && hide(SYS_ioctl, 1, PIDFD_GET_INFO_V0, ENOTTY) < 0)
                _exit(93);
        if (h->no_socket_diag && hide(SYS_socket, 2, NETLINK_SOCK_DIAG, EPROTONOSUPPORT) < 0)
                _exit(92);
        if (h->no_ipv6 && hide(SYS_socket, 0, AF_INET6, EAFNOSUPPORT) < 0)
                _exit(90);
        if (h->uid != geteuid() && (setgroups(0, NULL) < 0 || setgid(h->uid) < 0 || setuid(h->uid) < 0))
                _exit(99);
        if (h->prepare)
                h->prepare();
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* last: a change of user clears it */
        fexecve(program, (char **)argv, environ);
        _exit(98);
}

static void wait_ready(int notify, pid_t pid) {
        _cleanup_(fd_closep) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd p[] = { { .fd = notify, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
        char text[256];
        ssize_t n;

        /* One that is replaced says on the way that it stops. */
        do {
                cr_assert(poll(p, 2, PATIENCE_SEC * 1000) > 0 && p[0].revents,
                          "the broker did not become ready");
                n = recv(notify, text, sizeof(text) - 1, 0);
                cr_assert(n > 0);
                text[n] = '\0';
        } while (!strstr(text, "READY=1"));
}

/* The same of a broker that has a keeper. Returns false if it has ended instead. */
static bool wait_kept_ready(Keeper *keeper, pid_t pid) {
        _cleanup_(fd_closep) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd p[] = { { .fd = keeper->notify, .events = POLLIN },
                              { .fd = pidfd, .events = POLLIN } };

        do {
                cr_assert(poll(p, 2, PATIENCE_SEC * 1000) > 0, "the broker did not become ready");
                if (keeper_work(keeper))
                        return true;
        } while (!p[1].revents);
        return false;
}

static bool launch(Harness *h, bool configured) {
        struct sockaddr_un address;
        _cleanup_(fd_closep) int notify = notify_socket(h, &address);

        h->pid = fork();
        cr_assert(h->pid >= 0);
        if (h->pid == 0)
                run_broker(h, &address, configured);
        if (h->keeper)
                return wait_kept_ready(h->keeper, h->pid);
        wait_ready(notify, h->pid);
        return true;
}

void harness_start_as_set(Harness *h, const char *config) {
        uid_t uid = h->uid;

        snprintf(h->folder, sizeof(h->folder), "/tmp/reuseportd-test-XXXXXX");
        cr_assert(mkdtemp(h->folder) != NULL);
        cr_assert_eq(chmod(h->folder, 0755), 0);
        if (uid != geteuid())
                cr_assert_eq(chown(h->folder, uid, uid), 0);
        /* In a folder of its own, if it is to be able to remove it later. */
        snprintf(h->socket, sizeof(h->socket), "%s/%sio.reuseportd", h->folder, h->user ? "run/" : "");
        snprintf(h->config, sizeof(h->config), "%s/reuseportd.conf", h->folder);
        if (config)
                write_config(h, config);
        cr_assert(launch(h, config), "the broker did not become ready");
}

void harness_start_as(Harness *h, const char *config, uid_t uid) {
        *h = (Harness){ .uid = uid };
        harness_start_as_set(h, config);
}

void harness_start_limited(Harness *h, const char *config, uid_t uid, size_t max_fds) {
        *h = (Harness){ .uid = uid, .max_fds = max_fds };
        harness_start_as_set(h, config);
}

void harness_start(Harness *h, const char *config) {
        harness_start_as(h, config, geteuid());
}

void harness_restart(Harness *h) {
        cr_assert(launch(h, access(h->config, F_OK) == 0), "the broker did not become ready");
}

bool harness_try_restart(Harness *h) {
        if (launch(h, access(h->config, F_OK) == 0))
                return true;
        cr_assert_eq(waitpid(h->pid, NULL, 0), h->pid);
        h->pid = 0;
        return false;
}

void harness_replace(Harness *h) {
        pid_t before = h->pid;
        int status;

        h->replaces = true;
        harness_restart(h);
        h->replaces = false;
        cr_assert_eq(waitpid(before, &status, 0), before);
        cr_assert(status == 0, "the broker that was replaced ended with status %#x", status);
}

void harness_kill(Harness *h) {
        cr_assert_eq(kill(h->pid, SIGKILL), 0);
        cr_assert_eq(waitpid(h->pid, NULL, 0), h->pid);
        if (h->keeper)
                keeper_work(h->keeper);
        h->pid = 0;
}

void harness_remove(Harness *h) {
        char command[128];

        snprintf(command, sizeof(command), "rm -rf '%s'", h->folder);
        /* NOLINTNEXTLINE(cert-env33-c): our own folder, whose name mkdtemp() made */
        cr_assert_eq(system(command), 0);
}

/* At its end the broker waits until its keeper has taken everything. */
static void wait_kept_end(Keeper *keeper, pid_t pid) {
        _cleanup_(fd_closep) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd p[] = { { .fd = keeper->notify, .events = POLLIN },
                              { .fd = pidfd, .events = POLLIN } };

        do {
                cr_assert(poll(p, 2, PATIENCE_SEC * 1000) > 0, "the broker does not end");
                keeper_work(keeper);
        } while (!p[1].revents);
}

void harness_terminate(Harness *h) {
        int status;

        cr_assert_eq(kill(h->pid, SIGTERM), 0);
        if (h->keeper)
                wait_kept_end(h->keeper, h->pid);
        cr_assert_eq(waitpid(h->pid, &status, 0), h->pid);
        cr_assert(status == 0, "the broker ended with status %#x", status);
        cr_assert(access(h->socket, F_OK) < 0, "the broker left its socket behind");
        h->pid = 0;
}

void harness_stop(Harness *h) {
        harness_terminate(h);
        harness_remove(h);
}

void harness_ask_to_reload(Harness *h, const char *config) {
        write_config(h, config);
        cr_assert_eq(kill(h->pid, SIGHUP), 0);
}

void harness_reload(Harness *h, const char *config) {
        _cleanup_(fd_closep) int fd = -1;
        char byte;

        harness_ask_to_reload(h, config);
        /* A signal is looked at in the turn of the loop that it meets, so before what is asked after
         * that. */
        fd = harness_connect(h);
        harness_send_frame(fd, "{\"method\":\"org.varlink.service.GetInfo\"}");
        cr_assert_eq(recv(fd, &byte, 1, 0), 1);
}

void harness_hang_up(int fd) {
        char rest[512];
        ssize_t n;

        cr_assert_eq(shutdown(fd, SHUT_WR), 0);
        while ((n = recv(fd, rest, sizeof(rest), 0)) > 0)
                ;
        cr_assert_eq(n, 0, "%m");
        close(fd);
}

size_t harness_broker_fds(const Harness *h) {
        /* Who answers is past its start, and has had a turn of its loop. */
        int fd = harness_connect(h);
        char path[64], byte;
        size_t n = 0;
        DIR *folder;

        harness_send_frame(fd, "{\"method\":\"org.varlink.service.GetInfo\"}");
        cr_assert_eq(recv(fd, &byte, 1, 0), 1);
        snprintf(path, sizeof(path), "/proc/%d/fd", h->pid);
        folder = opendir(path);
        cr_assert(folder != NULL, "%m");
        for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
                n += entry->d_name[0] != '.';
        closedir(folder);
        harness_hang_up(fd);
        return n - 1; /* less this connection */
}

void harness_expect_broker_fds(const Harness *h, size_t n) {
        size_t have = 0;

        for (int i = 0; i < 1000; i++) {
                have = harness_broker_fds(h);
                if (have == n)
                        return;
        }
        cr_fatal("the broker has %zu descriptors, expected %zu", have, n);
}

int harness_connect(const Harness *h) {
        struct timeval patience = { .tv_sec = PATIENCE_SEC };
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(fd >= 0);
        strcpy(address.sun_path, h->socket);
        cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0, "%m");
        cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
        cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
        return fd;
}

void harness_send(int fd, const void *data, size_t n) {
        while (n > 0) {
                ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);

                cr_assert(sent > 0, "%m");
                data = (const char *)data + sent;
                n -= (size_t)sent;
        }
}

void harness_send_frame(int fd, const char *json) {
        harness_send(fd, json, strlen(json) + 1);
}

static void take_fds(struct msghdr *header, HarnessReply *reply) {
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                cr_assert(reply->n_fds + n <= HARNESS_FDS_MAX);
                memcpy(reply->fds + reply->n_fds, CMSG_DATA(c), n * sizeof(int));
                reply->n_fds += n;
        }
        cr_assert_eq(header->msg_flags & MSG_CTRUNC, 0);
}

/* Up to @n bytes, and the descriptors that come with them. As recvmsg(). */
static ssize_t receive_part(int fd, char *text, size_t n, HarnessReply *reply) {
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(HARNESS_FDS_MAX * sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = text, .iov_len = n };
        struct msghdr header = { .msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof(control) };
        ssize_t r = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);

        if (r > 0)
                take_fds(&header, reply);
        return r;
}

bool harness_receive(int fd, HarnessReply *ret) {
        size_t n = 0;

        ret->n_fds = 0;
        while (n < sizeof(ret->text)) {
                ssize_t r = recv(fd, ret->text + n, sizeof(ret->text) - n, MSG_PEEK);
                const char *end = r > 0 ? memchr(ret->text + n, '\0', (size_t)r) : NULL;

                if (r > 0)
                        r = receive_part(fd, ret->text + n,
                                         end ? (size_t)(end - ret->text) + 1 - n : (size_t)r, ret);
                cr_assert(r >= 0 || errno == ECONNRESET, "no reply: %m");
                if (r <= 0)
                        return false;
                n += (size_t)r;
                if (ret->text[n - 1] == '\0')
                        return true;
        }
        cr_fatal("the reply does not end");
        return false;
}

const char *harness_call(int fd, const char *json, HarnessReply *reply) {
        harness_send_frame(fd, json);
        cr_assert(harness_receive(fd, reply), "the broker hung up after %s", json);
        return reply->text;
}

const char *harness_value(const char *json, const char *key, char *buffer, size_t size) {
        char pattern[64];
        const char *at;
        size_t n;

        snprintf(pattern, sizeof(pattern), "\"%s\":", key);
        at = strstr(json, pattern);
        buffer[0] = '\0';
        if (at) {
                at += strlen(pattern);
                at += *at == '"';
                n = strcspn(at, "\",}]");
                snprintf(buffer, size, "%.*s", (int)n, at);
        }
        return buffer;
}

void harness_close(HarnessReply *reply) {
        while (reply->n_fds > 0)
                close(reply->fds[--reply->n_fds]);
}

void harness_private_network(void) {
        struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
        _cleanup_(fd_closep) int fd = -1;

        if (geteuid() != 0)
                cr_skip_test("needs root for a network namespace of its own");
        if (unshare(CLONE_NEWNET) < 0)
                cr_skip_test("the kernel gives no network namespace");
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &ifr) == 0, "%m");
}

/* ipv6(7); <linux/ipv6.h> does not go with <netinet/in.h>. */
typedef struct AddressOfInterface {
        struct in6_addr address;
        uint32_t prefix;
        int interface;
} AddressOfInterface;

/* On loopback no other host could have the address, so nobody is asked. But the kernel says so in its
 * own time, and until then nothing can be bound there. */
static void wait_for_address(const struct in6_addr *address) {
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = *address };
        _cleanup_(fd_closep) int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int r = -1;

        for (int i = 0; i < 1000000 && r < 0; i++) {
                r = bind(fd, (struct sockaddr *)&in6, sizeof(in6));
                if (r < 0)
                        sched_yield();
        }
        cr_assert(r == 0, "%m");
}

void harness_global_network(void) {
        struct ifreq lo = { .ifr_name = "lo" }, alias = { .ifr_name = "lo:1" };
        struct sockaddr_in sin = { .sin_family = AF_INET };
        AddressOfInterface six = { .prefix = 64 };
        _cleanup_(fd_closep) int fd = -1, fd6 = -1;

        harness_private_network();
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        fd6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd6 < 0)
                cr_skip_test("there is no IPv6");
        inet_pton(AF_INET, "10.9.9.1", &sin.sin_addr);
        memcpy(&alias.ifr_addr, &sin, sizeof(sin));
        cr_assert(fd >= 0 && ioctl(fd, SIOCSIFADDR, &alias) == 0, "%m");
        inet_pton(AF_INET, "255.255.255.0", &sin.sin_addr);
        memcpy(&alias.ifr_netmask, &sin, sizeof(sin));
        cr_assert(ioctl(fd, SIOCSIFNETMASK, &alias) == 0, "%m");
        inet_pton(AF_INET6, "fd09::1", &six.address);
        cr_assert(ioctl(fd, SIOCGIFINDEX, &lo) == 0, "%m");
        six.interface = lo.ifr_ifindex;
        cr_assert(ioctl(fd6, SIOCSIFADDR, &six) == 0, "%m");
        wait_for_address(&six.address);
}

void harness_no_timestamps(void) {
        FILE *file = fopen("/proc/sys/net/ipv4/tcp_timestamps", "we");

        if (!file || fputs("0", file) < 0 || fclose(file) != 0)
                cr_skip_test("needs to set tcp_timestamps");
}

int harness_run_as(uid_t uid, int (*f)(void *userdata), void *userdata) {
        int status;
        pid_t pid = fork();

        cr_assert(pid >= 0);
        if (pid == 0) {
                if (uid != geteuid() && (setgroups(0, NULL) < 0 || setgid(uid) < 0 || setuid(uid) < 0))
                        _exit(255);
                _exit(f(userdata));
        }
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(WIFEXITED(status), 1, "the child ended with status %#x", status);
        return WEXITSTATUS(status);
}

void harness_require_connected_found(void) {
        struct utsname name;
        int major, minor;

        cr_assert(uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2);
        if (major < 6 || (major == 6 && minor < 13))
                cr_skip_test("connected datagram sockets are not found in a group before Linux 6.13");
}
