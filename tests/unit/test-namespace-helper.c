/* SPDX-License-Identifier: BSD-2-Clause */

/* What the helper makes, what it does not, that nothing of a request is left, and that it dies. */

#include "daemon/namespace-helper.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "daemon/confinement.h"
#include "tests/unit/leaks.h"
#include "tests/unit/namespace-kit.h"

enum {
        SOMEBODY = 65534,
};

TestSuite(namespace_helper, .timeout = 60);

static const Confinement as_it_is = { .stays_root = "the test says so" };

static NamespaceHelper *start(const Confinement *confinement) {
        NamespaceHelper *helper = NULL;
        const char *why = "";
        int r = namespace_helper_new(confinement, &helper, &why);

        if (r == NAMESPACE_HELPER_E_UNAVAILABLE && strstr(why, "5.14"))
                cr_skip_test("this kernel has no cookies of namespaces");
        cr_assert(zero(int, r), "%s", why);
        return helper;
}

/* The process that this one has started. */
static pid_t find_helper(void) {
        int pid = 0;
        FILE *file = fopen("/proc/thread-self/children", "re");

        cr_assert(file && fscanf(file, "%d", &pid) == 1);
        fclose(file);
        return pid;
}

/* The line of /proc/PID/status that begins with @key. */
static const char *status_of(pid_t pid, const char *key) {
        static char line[256];
        char path[64];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        file = fopen(path, "re");
        cr_assert(ne(ptr, file, NULL));
        while (fgets(line, sizeof(line), file))
                if (strncmp(line, key, strlen(key)) == 0)
                        break;
        fclose(file);
        return line;
}

static int make(NamespaceHelper *helper, const char *path) {
        NamespaceFailure failure;
        int fd = -1;

        cr_assert(
                zero(int, namespace_helper_socket(helper, path, AF_INET, SOCK_STREAM, 0, &fd, &failure)),
                "%s: %s %s %s", path, failure.reason, failure.step ?: "", strerror(failure.error));
        return fd;
}

static void expect_invalid(NamespaceHelper *helper, const char *path, const char *words) {
        NamespaceFailure failure;
        int fd = -1;

        cr_assert(eq(int, namespace_helper_socket(helper, path, AF_INET, SOCK_STREAM, 0, &fd, &failure),
                     NAMESPACE_HELPER_E_INVALID));
        cr_assert(eq(int, fd, -1));
        cr_assert(ne(ptr, strstr(failure.reason, words), NULL), "%s", failure.reason);
}

static void expect_failure(NamespaceHelper *helper, int family, int type, int protocol, const char *step,
                           int error) {
        NamespaceFailure failure;
        int fd = -1;

        cr_assert(eq(int,
                     namespace_helper_socket(helper, "/run/netns/blue", family, type, protocol, &fd,
                                             &failure),
                     NAMESPACE_HELPER_E_SYSTEM));
        cr_assert(eq(int, fd, -1));
        cr_assert(eq(str, (char *)failure.step, (char *)step));
        cr_assert(eq(int, failure.error, error), "%s", strerror(failure.error));
}

/* ---- what is refused ---------------------------------------------------------------------------- */

Test(namespace_helper, without_the_right_there_is_none) {
        NamespaceHelper *helper = NULL;
        const char *why = "";
        int n_fds;

        namespace_kit_begin();
        n_fds = leaks_count_fds();
        cr_assert(zero(int, privileges_use(privileges_permitted() & ~CAPABILITY(CAP_SYS_ADMIN))));
        cr_assert(
                eq(int, namespace_helper_new(&as_it_is, &helper, &why), NAMESPACE_HELPER_E_UNAVAILABLE));
        cr_assert(ne(ptr, strstr(why, "CAP_SYS_ADMIN"), NULL), "%s", why);
        cr_assert(zero(ptr, helper));
        leaks_expect_fds(n_fds);
}

Test(namespace_helper, paths_that_are_no_namespace) {
        NamespaceHelper *helper;
        int n_fds;

        namespace_kit_begin();
        n_fds = leaks_count_fds();
        helper = start(&as_it_is);
        expect_invalid(helper, "/run/netns/blue", "is not there");
        cr_assert(zero(int, symlink("/proc/self/ns/net", "/run/netns/blue")));
        expect_invalid(helper, "/run/netns/blue", "symbolic link");
        cr_assert(zero(int, unlink("/run/netns/blue")));
        namespace_kit_add("blue");
        cr_assert(zero(int, chmod("/run/netns", 0777)));
        expect_invalid(helper, "/run/netns/blue", "others than root");
        cr_assert(zero(int, chmod("/run/netns", 0755)));
        close(make(helper, "/run/netns/blue"));
        namespace_helper_free(helper);
        leaks_expect_fds(n_fds);
}

/* Behind its filter the kernel is not even asked. */
Test(namespace_helper, sockets_that_the_broker_does_not_make) {
        NamespaceHelper *helper;

        namespace_kit_begin();
        namespace_kit_add("blue");
        helper = start(&as_it_is);
        if (strstr(status_of(find_helper(), "Seccomp:"), "2")) {
                expect_failure(helper, AF_PACKET, SOCK_DGRAM, 0, "socket", EPERM);
                expect_failure(helper, AF_INET, SOCK_RAW, IPPROTO_UDP, "socket", EPERM);
                expect_failure(helper, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, "socket", EPERM);
        }
        expect_failure(helper, AF_INET, 99, 0, "socket",
                       strstr(status_of(find_helper(), "Seccomp:"), "2") ? EPERM : EINVAL);
        close(make(helper, "/run/netns/blue"));
        namespace_helper_free(helper);
}

Test(namespace_helper, one_that_has_gone_is_told) {
        NamespaceFailure failure;
        NamespaceHelper *helper;
        int n_fds, fd = -1;

        namespace_kit_begin();
        namespace_kit_add("blue");
        n_fds = leaks_count_fds();
        helper = start(&as_it_is);
        close(make(helper, "/run/netns/blue"));
        cr_assert(not(namespace_helper_is_gone(helper)));
        kill(find_helper(), SIGKILL);
        /* It hangs up. */
        poll(&(struct pollfd){ .fd = namespace_helper_fd(helper), .events = 0 }, 1, -1);
        expect_failure(helper, AF_INET, SOCK_STREAM, 0, "namespace helper", EPIPE);
        cr_assert(namespace_helper_is_gone(helper));
        cr_assert(eq(int,
                     namespace_helper_file(helper, "/run/netns/blue", NAMESPACE_FILE_PORT_RANGE, &fd,
                                           &failure),
                     NAMESPACE_HELPER_E_SYSTEM));
        namespace_helper_free(helper);
        leaks_expect_fds(n_fds);
}

/* Stopped it is late: once the question fails after a while, the next at once, until it is back. */
Test(namespace_helper, one_that_hangs_is_waited_for_once) {
        NamespaceHelper *helper;
        int n_fds, fd;
        pid_t pid;

        namespace_kit_begin();
        namespace_kit_add("blue");
        n_fds = leaks_count_fds();
        helper = start(&as_it_is);
        pid = find_helper();
        kill(pid, SIGSTOP);
        cr_assert(eq(int, waitpid(pid, NULL, WUNTRACED), pid));
        for (int i = 0; i < 100; i++)
                expect_failure(helper, AF_INET, SOCK_STREAM, 0, "namespace helper", ETIMEDOUT);
        cr_assert(not(namespace_helper_is_gone(helper)));
        kill(pid, SIGCONT);
        cr_assert(
                eq(int,
                   poll(&(struct pollfd){ .fd = namespace_helper_fd(helper), .events = POLLIN }, 1, -1),
                   1));
        /* What comes late is thrown away. */
        fd = make(helper, "/run/netns/blue");
        cr_assert(eq(u64, namespace_kit_cookie(fd), namespace_kit_cookie_of("blue")));
        close(fd);
        namespace_helper_free(helper);
        leaks_expect_fds(n_fds);
}

/* ---- what it is --------------------------------------------------------------------------------- */

static size_t count_fds_of(pid_t pid) {
        char path[64];
        struct dirent *entry;
        size_t n = 0;
        DIR *folder;

        snprintf(path, sizeof(path), "/proc/%d/fd", pid);
        folder = opendir(path);
        cr_assert(ne(ptr, folder, NULL));
        while ((entry = readdir(folder)))
                n += entry->d_name[0] != '.';
        closedir(folder);
        return n;
}

Test(namespace_helper, it_keeps_one_right_and_two_descriptors) {
        static const Confinement somebody = {
                .changes_user = true, .name = "nobody", .uid = SOMEBODY, .gid = SOMEBODY
        };
        NamespaceHelper *helper;
        char want[64];
        pid_t pid;

        namespace_kit_begin();
        helper = start(&somebody);
        pid = find_helper();
        snprintf(want, sizeof(want), "%016llx", 1ULL << CAP_SYS_ADMIN);
        for (size_t i = 0; i < 3; i++) {
                static const char *const keys[] = { "CapPrm:", "CapEff:", "CapBnd:" };
                const char *line = status_of(pid, keys[i]);

                cr_assert(ne(ptr, strstr(line, want), NULL), "%s", line);
        }
        cr_assert(ne(ptr, strstr(status_of(pid, "CapInh:"), "0000000000000000"), NULL));
        cr_assert(ne(ptr, strstr(status_of(pid, "CapAmb:"), "0000000000000000"), NULL));
        cr_assert(ne(ptr, strstr(status_of(pid, "Uid:"), "65534\t65534\t65534\t65534"), NULL));
        cr_assert(ne(ptr, strstr(status_of(pid, "Gid:"), "65534\t65534\t65534\t65534"), NULL));
        cr_assert(ne(ptr, strstr(status_of(pid, "NoNewPrivs:"), "1"), NULL));
        cr_assert(eq(sz, count_fds_of(pid), 2));
        namespace_helper_free(helper);
}

static int own_uid(int fd) {
        struct stat st;

        cr_assert(zero(int, fstat(fd, &st)));
        return (int)st.st_uid;
}

/* The kernel lets only sockets of one user into a group. */
Test(namespace_helper, its_sockets_are_the_broker_s_user_s) {
        static const Confinement somebody = {
                .changes_user = true, .name = "nobody", .uid = SOMEBODY, .gid = SOMEBODY
        };
        NamespaceHelper *helper;
        int fd;

        namespace_kit_begin();
        namespace_kit_add("blue");
        helper = start(&somebody);
        fd = make(helper, "/run/netns/blue");
        cr_assert(eq(int, own_uid(fd), SOMEBODY));
        close(fd);
        namespace_helper_free(helper);
}

/* A broker that is killed cannot end it. */
Test(namespace_helper, it_dies_with_the_broker) {
        int lives[2], status;
        pid_t pid;

        namespace_kit_begin();
        cr_assert(zero(int, pipe(lives)));
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        pid = fork();
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                NamespaceHelper *helper = start(&as_it_is);
                pid_t other = find_helper();

                /* By signal alone: its end of the socket stays open here. */
                if (write(lives[1], &other, sizeof(other)) != sizeof(other) || !helper)
                        _exit(1);
                raise(SIGKILL);
        }
        cr_assert(eq(int, (int)read(lives[0], &pid, sizeof(pid)), (int)sizeof(pid)));
        for (int n = 0; n < 2; n++)
                cr_assert(gt(int, wait(&status), 0));
        cr_assert(eq(int, kill(pid, 0), -1));
}

/* ---- what it makes ------------------------------------------------------------------------------ */

Test(namespace_helper, kinds_that_the_broker_makes) {
        static const struct {
                int family, type, protocol;
        } rows[] = {
                { AF_INET, SOCK_STREAM, 0 },    { AF_INET, SOCK_DGRAM, 0 },
                { AF_INET6, SOCK_STREAM, 0 },   { AF_INET6, SOCK_DGRAM, 0 },
                { AF_UNIX, SOCK_STREAM, 0 },    { AF_UNIX, SOCK_DGRAM, 0 },
                { AF_UNIX, SOCK_SEQPACKET, 0 }, { AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG },
        };
        NamespaceFailure failure;
        NamespaceHelper *helper;
        uint64_t cookie;
        int fd;

        namespace_kit_begin();
        namespace_kit_add("blue");
        cookie = namespace_kit_cookie_of("blue");
        cr_assert(ne(u64, cookie, namespace_kit_own_cookie()));
        helper = start(&as_it_is);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                cr_assert(zero(int,
                               namespace_helper_socket(helper, "/run/netns/blue", rows[i].family,
                                                       rows[i].type, rows[i].protocol, &fd, &failure)),
                          "row %zu: %s", i, strerror(failure.error));
                cr_assert(eq(u64, namespace_kit_cookie(fd), cookie));
                cr_assert(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
                cr_assert(eq(int, fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK));
                close(fd);
        }
        namespace_helper_free(helper);
}

Test(namespace_helper, files_of_the_namespace) {
        char text[64] = "";
        NamespaceFailure failure;
        NamespaceHelper *helper;
        int home, fd;

        namespace_kit_begin();
        namespace_kit_add("blue");
        helper = start(&as_it_is);
        namespace_kit_enter("blue", &home);
        fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
        cr_assert(eq(int, (int)write(fd, "4000 4010", 9), 9));
        close(fd);
        namespace_kit_go_home(home);
        for (NamespaceFile i = 0; i < _NAMESPACE_FILE_N; i++) {
                cr_assert(zero(int, namespace_helper_file(helper, "/run/netns/blue", i, &fd, &failure)));
                cr_assert(ge(int, (int)pread(fd, text, sizeof(text) - 1, 0), 1));
                if (i == NAMESPACE_FILE_PORT_RANGE)
                        cr_assert(zero(int, strncmp(text, "4000\t4010", 9)), "%s", text);
                close(fd);
        }
        namespace_helper_free(helper);
}

/* Two by turns, and what is refused in between: each lands where it was asked for, and the broker, with
 * what it makes itself, stays where it was. */
Test(namespace_helper, nothing_of_a_request_is_left) {
        uint64_t blue, green, own;
        NamespaceHelper *helper;
        int n_fds;
        pid_t pid;

        namespace_kit_begin();
        namespace_kit_add("blue");
        namespace_kit_add("green");
        blue = namespace_kit_cookie_of("blue");
        green = namespace_kit_cookie_of("green");
        own = namespace_kit_own_cookie();
        n_fds = leaks_count_fds();
        helper = start(&as_it_is);
        pid = find_helper();
        for (int i = 0; i < 100; i++) {
                int fd = make(helper, i % 2 ? "/run/netns/blue" : "/run/netns/green");

                cr_assert(eq(u64, namespace_kit_cookie(fd), i % 2 ? blue : green));
                cr_assert(eq(u64, namespace_kit_own_cookie(), own));
                expect_invalid(helper, "/run/netns/red", "is not there");
                close(fd);
                cr_assert(eq(sz, count_fds_of(pid), 2));
        }
        namespace_helper_free(helper);
        leaks_expect_fds(n_fds);
}
