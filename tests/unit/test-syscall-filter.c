/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Each call is made by a child that has loaded the filter, with arguments by which it would do nothing
 * anyway: what is refused fails with EPERM, and without the filter it does not.
 */

#include "daemon/syscall-filter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <systemd/sd-login.h>
#include <time.h>

#include "build-config.h"
#include "daemon/handshakes.h"
#include "daemon/privileges.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

#define NOWHERE "/no/such/folder/file"

/* What a call came to: 0, or its errno. */
#define CALL(name, expression)                                                                          \
        static int name(void) {                                                                         \
                errno = 0;                                                                              \
                return (long)(expression) < 0 ? errno : 0;                                              \
        }

typedef struct Call {
        const char *name;
        int (*make)(void);
} Call;

static const SyscallFilter plain = { 0 };

/* That of the helper that enters network namespaces. */
static const SyscallFilter helper = { 0 };

static int load(const SyscallFilter *filter, const char **ret_reason) {
        return filter == &helper ? syscall_filter_load_helper(ret_reason)
                                 : syscall_filter_load(filter, ret_reason);
}

/* Runs @make in a child, behind @filter unless it is NULL. Returns what it came to, or -1 if it died. */
static int made(int (*make)(void), const SyscallFilter *filter) {
        const char *reason;
        int status;
        pid_t pid = fork();

        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                if (filter && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || load(filter, &reason) != 0))
                        _exit(255);
                _exit(make());
        }
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void require_filter(void) {
        const char *reason = NULL;
        int status;
        pid_t pid = fork();

        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                _exit(syscall_filter_load(&plain, &reason));
        }
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        if (status == W_EXITCODE(SYSCALL_FILTER_E_UNAVAILABLE, 0))
                cr_skip_test("this build or this kernel has no filter");
        cr_assert(zero(int, status));
}

TestSuite(syscall_filter, .timeout = 60);

/* ---- what is refused ------------------------------------------------------------------------------ */

CALL(open_to_write, syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY))
CALL(open_to_read_and_write, syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC))
CALL(open_in_mode_3, syscall(SYS_openat, AT_FDCWD, "/dev/null", 3))
CALL(open_and_create, syscall(SYS_openat, AT_FDCWD, NOWHERE, O_RDONLY | O_CREAT, 0600))
CALL(open_and_truncate, syscall(SYS_openat, AT_FDCWD, NOWHERE, O_RDONLY | O_TRUNC))
CALL(open_without_a_name, syscall(SYS_openat, AT_FDCWD, "/no/such/folder", O_TMPFILE | O_RDWR, 0600))
CALL(open_the_new_way, syscall(SYS_openat2, AT_FDCWD, "/dev/null", NULL, 0))
CALL(open_by_handle, syscall(SYS_open_by_handle_at, -1, NULL, 0))
#ifdef SYS_open
CALL(open_the_old_way_to_write, syscall(SYS_open, "/dev/null", O_WRONLY))
CALL(open_the_old_way_and_create, syscall(SYS_open, NOWHERE, O_RDONLY | O_CREAT, 0600))
CALL(create, syscall(SYS_creat, NOWHERE, 0600))
CALL(change_mode_by_path, syscall(SYS_chmod, NOWHERE, 0600))
CALL(change_owner_by_path, syscall(SYS_chown, NOWHERE, 0, 0))
#endif
CALL(change_owner_of_a_file, fchownat(AT_FDCWD, NOWHERE, 0, 0, 0))
CALL(make_a_folder, mkdirat(AT_FDCWD, NOWHERE, 0700))
CALL(make_a_node, syscall(SYS_mknodat, AT_FDCWD, NOWHERE, S_IFREG | 0600, 0))
CALL(rename_a_file, syscall(SYS_renameat2, AT_FDCWD, NOWHERE, AT_FDCWD, NOWHERE, 0))
CALL(make_a_link, syscall(SYS_linkat, AT_FDCWD, NOWHERE, AT_FDCWD, NOWHERE, 0))
CALL(make_a_symbolic_link, syscall(SYS_symlinkat, "x", AT_FDCWD, NOWHERE))
CALL(truncate_a_file, truncate(NOWHERE, 0))
CALL(truncate_by_descriptor, ftruncate(-1, 0))
CALL(set_an_attribute, syscall(SYS_setxattr, NOWHERE, "user.x", "", 0, 0))
CALL(set_times, utimensat(AT_FDCWD, NOWHERE, NULL, 0))
CALL(watch_files, syscall(SYS_inotify_init1, 0))
CALL(mount_something, syscall(SYS_mount, "x", NOWHERE, "tmpfs", 0, NULL))
CALL(mount_the_new_way, syscall(SYS_fsopen, "no-such-filesystem", 0))
CALL(change_the_root, syscall(SYS_chroot, NOWHERE))
CALL(change_the_folder, syscall(SYS_chdir, NOWHERE))
CALL(execute, syscall(SYS_execve, NOWHERE, NULL, NULL))
CALL(execute_by_descriptor, syscall(SYS_execveat, -1, NOWHERE, NULL, NULL, 0))
#if !SANITIZED
CALL(start_a_process, syscall(SYS_clone, CLONE_SIGHAND, NULL, NULL, NULL, NULL))
CALL(start_a_process_the_new_way, syscall(SYS_clone3, NULL, 0))
CALL(trace_a_process, syscall(SYS_ptrace, 2, -1, NULL, NULL))
CALL(set_a_name, prctl(PR_SET_NAME, "x"))
CALL(signal_a_thread, syscall(SYS_tgkill, 1, 1, 0))
#endif
CALL(signal_a_process, kill(getppid(), 0))
CALL(signal_by_descriptor, syscall(SYS_pidfd_send_signal, -1, 0, NULL, 0))
CALL(take_a_descriptor, syscall(SYS_pidfd_getfd, -1, 0, 0))
CALL(read_a_process, syscall(SYS_process_vm_readv, -1, NULL, 0, NULL, 0, 0))
CALL(set_the_user, syscall(SYS_setresuid, -1, -1, -1))
CALL(set_the_group, syscall(SYS_setresgid, -1, -1, -1))
CALL(set_groups, syscall(SYS_setgroups, -1, NULL))
CALL(set_capabilities, syscall(SYS_capset, NULL, NULL))
CALL(set_a_limit, setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 8, 8 }))
CALL(limit_another, syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, NULL))
CALL(enter_a_namespace, syscall(SYS_setns, -1, 0))
CALL(make_a_namespace, syscall(SYS_unshare, 0))
CALL(look_up_in_a_map, syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, NULL, 0))
CALL(ask_about_a_map, syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, NULL, 0))
CALL(load_a_program, syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0))
CALL(make_a_map, syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0))
CALL(submit_otherwise, syscall(SYS_io_uring_setup, 0, NULL))
CALL(handle_page_faults, syscall(SYS_userfaultfd, -1))
CALL(look_at_performance, syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0))
CALL(ask_for_keys, syscall(SYS_keyctl, -1))
CALL(load_a_module, syscall(SYS_finit_module, -1, "", 0))
CALL(open_a_packet_socket, socket(AF_PACKET, SOCK_DGRAM, 0))
CALL(open_a_raw_socket, socket(AF_INET, SOCK_RAW, IPPROTO_UDP))
CALL(open_a_raw_socket_of_ipv6, socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP))
CALL(open_a_route_socket, socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE))
CALL(open_a_netfilter_socket, socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))
CALL(open_a_crypto_socket, socket(AF_ALG, SOCK_SEQPACKET, 0))
CALL(open_a_vsock_of_packets, socket(AF_VSOCK, SOCK_SEQPACKET, 0))
CALL(set_up_an_interface, ioctl(-1, SIOCSIFFLAGS, NULL))
CALL(type_for_others, ioctl(-1, TIOCSTI, NULL))

#define ROW(name)                                                                                       \
        { #name, name }

static const Call refused[] = {
        ROW(open_to_write),
        ROW(open_to_read_and_write),
        ROW(open_in_mode_3),
        ROW(open_and_create),
        ROW(open_and_truncate),
        ROW(open_without_a_name),
        ROW(open_the_new_way),
        ROW(open_by_handle),
#ifdef SYS_open
        ROW(open_the_old_way_to_write),
        ROW(open_the_old_way_and_create),
        ROW(create),
        ROW(change_mode_by_path),
        ROW(change_owner_by_path),
#endif
        ROW(change_owner_of_a_file),
        ROW(make_a_folder),
        ROW(make_a_node),
        ROW(rename_a_file),
        ROW(make_a_link),
        ROW(make_a_symbolic_link),
        ROW(truncate_a_file),
        ROW(truncate_by_descriptor),
        ROW(set_an_attribute),
        ROW(set_times),
        ROW(watch_files),
        ROW(mount_something),
        ROW(mount_the_new_way),
        ROW(change_the_root),
        ROW(change_the_folder),
        ROW(execute),
        ROW(execute_by_descriptor),
#if !SANITIZED
        ROW(start_a_process),
        ROW(start_a_process_the_new_way),
        ROW(trace_a_process),
        ROW(set_a_name),
        ROW(signal_a_thread),
#endif
        ROW(signal_a_process),
        ROW(signal_by_descriptor),
        ROW(take_a_descriptor),
        ROW(read_a_process),
        ROW(set_the_user),
        ROW(set_the_group),
        ROW(set_groups),
        ROW(set_capabilities),
        ROW(set_a_limit),
        ROW(limit_another),
        ROW(enter_a_namespace),
        ROW(make_a_namespace),
        ROW(look_up_in_a_map),
        ROW(ask_about_a_map),
        ROW(load_a_program),
        ROW(make_a_map),
        ROW(submit_otherwise),
        ROW(handle_page_faults),
        ROW(look_at_performance),
        ROW(ask_for_keys),
        ROW(load_a_module),
        ROW(open_a_packet_socket),
        ROW(open_a_raw_socket),
        ROW(open_a_raw_socket_of_ipv6),
        ROW(open_a_route_socket),
        ROW(open_a_netfilter_socket),
        ROW(open_a_crypto_socket),
        ROW(open_a_vsock_of_packets),
        ROW(set_up_an_interface),
        ROW(type_for_others),
};

Test(syscall_filter, refused_with_eperm) {
        require_filter();
        for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
                cr_assert(eq(int, made(refused[i].make, &plain), EPERM), "%s", refused[i].name);
}

/* So it is the filter that refuses, at least to root: others have no say in much of it anyway. */
Test(syscall_filter, not_refused_without) {
        require_filter();
        if (!(privileges_effective() & CAPABILITY(CAP_SYS_ADMIN)) || prctl(PR_GET_SECCOMP) != 0)
                cr_skip_test("needs root that nothing else confines: to others most is refused anyway");
        for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
                cr_assert(ne(int, made(refused[i].make, NULL), EPERM), "%s", refused[i].name);
}

/* Only what the broker does to maps, and only if it has some. */
Test(syscall_filter, maps_may_be_changed_and_no_more) {
        const SyscallFilter maps = { .may_change_maps = true };

        require_filter();
        cr_assert(ne(int, made(look_up_in_a_map, &maps), EPERM));
        cr_assert(ne(int, made(ask_about_a_map, &maps), EPERM));
        cr_assert(eq(int, made(load_a_program, &maps), EPERM));
        cr_assert(eq(int, made(make_a_map, &maps), EPERM));
        cr_assert(eq(int, made(change_owner_of_a_file, &maps), EPERM));
}

/* Those of IP, and if rules give them. */
Test(syscall_filter, raw_sockets_if_that_is_asked_for) {
        const SyscallFilter raw = { .may_make_raw_ip = true };

        require_filter();
        if (!(privileges_effective() & CAPABILITY(CAP_NET_RAW)))
                cr_skip_test("needs CAP_NET_RAW, without which the kernel says the same");
        cr_assert(zero(int, made(open_a_raw_socket, &raw)));
        cr_assert(ne(int, made(open_a_raw_socket_of_ipv6, &raw), EPERM));
        cr_assert(eq(int, made(open_a_raw_socket, &plain), EPERM));
        cr_assert(eq(int, made(open_a_raw_socket_of_ipv6, &plain), EPERM));
        cr_assert(eq(int, made(open_a_packet_socket, &raw), EPERM));
        cr_assert(eq(int, made(open_a_route_socket, &raw), EPERM));
        cr_assert(eq(int, made(change_owner_of_a_file, &raw), EPERM));
        cr_assert(eq(int, made(open_a_raw_socket, &helper), EPERM));
}

Test(syscall_filter, owners_of_files_if_that_is_asked_for) {
        const SyscallFilter files = { .may_chown_files = true };

        require_filter();
        cr_assert(eq(int, made(change_owner_of_a_file, &files), ENOENT));
        cr_assert(eq(int, made(look_up_in_a_map, &files), EPERM));
}

/* ---- the helper of namespaces --------------------------------------------------------------------- */

CALL(enter_a_network, setns(-1, CLONE_NEWNET))
CALL(enter_a_folder, setns(-1, CLONE_NEWNS))
CALL(enter_both, setns(-1, CLONE_NEWNET | CLONE_NEWUSER))
CALL(bind_a_socket, bind(-1, NULL, 0))
CALL(listen_on_a_socket, listen(-1, 0))
CALL(connect_a_socket, connect(-1, NULL, 0))
CALL(set_an_option, setsockopt(-1, 0, 0, NULL, 0))
CALL(accept_a_connection, accept4(-1, NULL, NULL, 0))
CALL(remove_a_file, unlinkat(AT_FDCWD, NOWHERE, 0))
CALL(make_a_file_wider, fchmod(-1, 0777))
CALL(name_an_interface, ioctl(-1, SIOCGIFINDEX, NULL))
CALL(copy_a_descriptor, dup2(-1, 5))
CALL(ask_for_a_kind, ioctl(-1, NS_GET_NSTYPE))
CALL(read_a_file, openat(AT_FDCWD, NOWHERE, O_RDONLY | O_CLOEXEC))
CALL(open_a_diag_socket, socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG))
CALL(open_a_tcp_socket, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))

/* What nobody may the helper may not, and not much of what the broker may. */
Test(syscall_filter, helper_is_refused) {
        static const Call more[] = {
                ROW(enter_a_folder),    ROW(enter_both),         ROW(bind_a_socket),
                ROW(connect_a_socket),  ROW(set_an_option),      ROW(accept_a_connection),
                ROW(remove_a_file),     ROW(make_a_file_wider),  ROW(name_an_interface),
                ROW(copy_a_descriptor), ROW(listen_on_a_socket),
        };

        require_filter();
        for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
                cr_assert(eq(int, made(refused[i].make, &helper), EPERM), "%s", refused[i].name);
        for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
                cr_assert(eq(int, made(more[i].make, &helper), EPERM), "%s", more[i].name);
}

Test(syscall_filter, helper_may_enter_networks_and_make_sockets) {
        require_filter();
        cr_assert(eq(int, made(enter_a_network, &helper), EBADF));
        cr_assert(eq(int, made(ask_for_a_kind, &helper), EBADF));
        cr_assert(eq(int, made(read_a_file, &helper), ENOENT));
        cr_assert(zero(int, made(open_a_tcp_socket, &helper)));
        cr_assert(zero(int, made(open_a_diag_socket, &helper)));
}

/* Which is not the broker's. */
Test(syscall_filter, broker_enters_no_network) {
        require_filter();
        cr_assert(eq(int, made(enter_a_network, &plain), EPERM));
}

#ifdef __x86_64__
/* The numbers of another architecture mean other calls. */
static int call_as_i386(void) {
        int r = 20; /* getpid() */

        __asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
        return r < 0 ? -r : 0;
}

CALL(call_as_x32, syscall(0x40000000 | SYS_getpid))

Test(syscall_filter, other_architectures) {
        require_filter();
        cr_assert(eq(int, made(call_as_i386, &plain), EPERM));
        cr_assert(eq(int, made(call_as_x32, &plain), EPERM));
}
#endif

/* ---- what works ----------------------------------------------------------------------------------- */

static int read_files(void) {
        char text[64];
        struct stat st;
        int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
        DIR *folder = opendir("/proc/self/fd");
        FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
        bool well = fd >= 0 && read(fd, text, sizeof(text)) > 0 && fstat(fd, &st) == 0 &&
                    stat("/proc", &st) == 0 && lstat("/proc", &st) == 0 && folder && readdir(folder) &&
                    file && fgets(text, sizeof(text), file) && access("/", R_OK) == 0 &&
                    open("/", O_PATH | O_CLOEXEC) >= 0;

        return !well;
}

/* As a rule with names does, on SIGHUP. Somebody who is not there is asked for at every source. */
static int look_up_names(void) {
        return !getpwuid(0) || !getgrgid(0) || !getpwnam("root") || getpwnam("no-such-user") ||
               getgrnam("no-such-group");
}

static int open_sockets(void) {
        static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
        static const int families[] = { AF_UNIX, AF_INET, AF_INET6 };

        for (int i = 0; i < 6; i++) {
                int flags = i % 2 ? SOCK_CLOEXEC | SOCK_NONBLOCK : 0;

                if (socket(families[i / 2], types[i % 2] | flags, 0) < 0 && errno != EAFNOSUPPORT)
                        return 1;
        }
        if (socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno == EPERM)
                return 1;
        return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) < 0;
}

/* Made, listened on, connected to, accepted, given away, shut down. */
static int serve(void) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
        bool well = bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 8) == 0 &&
                    getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
                    connect(client, (struct sockaddr *)&address, size) == 0 &&
                    accept4(fd, NULL, NULL, SOCK_CLOEXEC) >= 0 && fchown(fd, getuid(), getgid()) == 0 &&
                    shutdown(fd, SHUT_RDWR) == 0;

        return !well;
}

static char folder[] = "/tmp/test-syscall-filter-XXXXXX";

/* A file of a UNIX socket: its mode is widened through the descriptor, and it is removed. */
static int make_a_socket_file(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM, 0), file;
        char self[32];
        bool well;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
        umask(0177);
        if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return 1;
        file = open(address.sun_path, O_PATH | O_NOFOLLOW);
        snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
        well = file >= 0 && fchmodat(AT_FDCWD, self, 0666, 0) == 0;
        return unlink(address.sun_path) < 0 || !well ||
               (unlinkat(AT_FDCWD, address.sun_path, 0) == 0 || errno != ENOENT);
}

static int wait_for_events(void) {
        sigset_t signals;
        int epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0), pipes[2];
        struct epoll_event event = { .events = EPOLLIN };
        struct itimerspec soon = { .it_value.tv_nsec = 1 };

        sigemptyset(&signals);
        sigaddset(&signals, SIGHUP);
        return sigprocmask(SIG_BLOCK, &signals, NULL) < 0 || signalfd(-1, &signals, SFD_CLOEXEC) < 0 ||
               timerfd_settime(timer, 0, &soon, NULL) < 0 ||
               epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) < 0 ||
               epoll_wait(epoll, &event, 1, -1) != 1 || pidfd < 0 ||
               poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 0) != 0 ||
               pipe2(pipes, O_CLOEXEC) < 0 || fcntl(pipes[0], F_DUPFD_CLOEXEC, 3) < 0;
}

static int ask_the_kernel(void) {
        char *unit = NULL;
        Address address = { .transport = TRANSPORT_TCP, .len = sizeof(struct sockaddr_in) };
        Handshakes handshakes = { 0 };
        struct rlimit limit;

        address.u.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(1) };
        if (handshakes_read(&address, &handshakes) < 0 || if_nametoindex("lo") == 0 ||
            getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 1;
        handshakes_deinit(&handshakes);
        /* There may be no unit, but one may ask. */
        if (sd_pid_get_unit(getppid(), &unit) == -EPERM)
                return 1;
        free(unit);
        return 0;
}

static int use_memory(void) {
        size_t n = 64 << 20;
        char *block = malloc(n);

        if (!block)
                return 1;
        block[n - 1] = 1;
        block = realloc(block, 2 * n);
        free(block);
        return !block;
}

static const Call needed[] = {
        ROW(read_files),         ROW(look_up_names),   ROW(open_sockets),   ROW(serve),
        ROW(make_a_socket_file), ROW(wait_for_events), ROW(ask_the_kernel), ROW(use_memory),
};

/* The same as without: a machine may have no IPv6, or no name service. */
Test(syscall_filter, needed_works) {
        require_filter();
        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
                cr_assert(zero(int, made(needed[i].make, NULL)), "%s", needed[i].name);
                cr_assert(zero(int, made(needed[i].make, &plain)), "%s", needed[i].name);
        }
        cr_assert(zero(int, rmdir(folder)));
}

/* An assertion that fails must end the process, as itself. */
static int abort_itself(void) {
        const struct rlimit none = { 0 };

        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        abort();
}

Test(syscall_filter, abort_ends_the_process) {
        require_filter();
        cr_assert(eq(int, made(abort_itself, &plain), -1));
}

/* One more only takes away. */
static int load_again(void) {
        const SyscallFilter maps = { .may_change_maps = true };
        const char *reason;

        return syscall_filter_load(&maps, &reason) != SYSCALL_FILTER_E_UNAVAILABLE || !reason;
}

Test(syscall_filter, cannot_be_loaded_behind_itself) {
        require_filter();
        cr_assert(zero(int, made(load_again, &plain)));
}
