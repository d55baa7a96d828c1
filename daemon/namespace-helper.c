/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Only socket() must run inside: bind(), listen() and whatever is asked of a socket later go by the
 * namespace that it was made in. So the helper is small: it takes a path, enters, makes, goes home, and
 * sends what it made. Nothing is left of one request when the next comes, for each enters its namespace
 * anew; one that cannot go home ends rather than serve on from abroad.
 *
 * Whoever has taken over the broker can have the helper make sockets of the kinds that the broker makes,
 * in namespaces whose files are root's. Whoever has taken over the helper, by a path and four numbers,
 * has the right to enter namespaces, and no call to do more there.
 *
 * Questions have numbers. When an answer is late the question fails, and no other is put until the
 * answer has come, and was thrown away: the broker waits for a helper that hangs once, not for each
 * client.
 */

#include "daemon/namespace-helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/confinement.h"
#include "daemon/syscall-filter.h"
#include "proto/cleanup.h"
#include "proto/error.h"

enum {
        /* The broker serves nobody meanwhile. What it waits for takes some 20 us. */
        ANSWER_MSEC = 500,
        /* Until it has given up what it does not need. */
        START_MSEC = 5000,
        /* In the helper, the one to the broker. */
        BROKER_FD = 0,
        HOME_FD = 1,
        N_FDS = 2,
};

struct NamespaceHelper {
        pid_t pid;
        int fd;
        uint32_t serial; /* of the last question */
        bool late;       /* it was not answered yet, and nobody waits for it any more */
        bool gone;
};

typedef struct Question {
        uint32_t serial;
        int32_t file; /* NamespaceFile; -1: a socket */
        int32_t family, type, protocol;
        char path[NAMESPACE_PATH_MAX];
} Question;

/* Where it failed. */
typedef enum Step {
        STEP_OPEN,
        STEP_ENTER,
        STEP_SOCKET,
        STEP_SEND,
        STEP_START,
        _STEP_N,
} Step;

static const char *const step_names[_STEP_N] = { [STEP_OPEN] = "open",
                                                 [STEP_ENTER] = "setns",
                                                 [STEP_SOCKET] = "socket",
                                                 [STEP_SEND] = "sendmsg",
                                                 [STEP_START] = "start" };

typedef struct Answer {
        uint32_t serial;
        int32_t outcome; /* 0, with a descriptor, or NAMESPACE_HELPER_E_* */
        uint32_t step;
        int32_t error;
        char reason[NAMESPACE_REASON_MAX];
} Answer;

/* The descriptor beside a message. */
typedef union Control {
        char data[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
} Control;

static const char *const files[_NAMESPACE_FILE_N] = {
        [NAMESPACE_FILE_PORT_RANGE] = "/proc/sys/net/ipv4/ip_local_port_range",
        [NAMESPACE_FILE_RESERVED_PORTS] = "/proc/sys/net/ipv4/ip_local_reserved_ports",
        [NAMESPACE_FILE_MIGRATE_REQ] = "/proc/sys/net/ipv4/tcp_migrate_req",
};

/* ---- the helper --------------------------------------------------------------------------------- */

static void answer_fail(Answer *answer, Step step) {
        answer->outcome = NAMESPACE_HELPER_E_SYSTEM;
        answer->step = step;
        answer->error = errno;
}

static int helper_make(const Question *question) {
        if (question->file >= 0 && question->file < _NAMESPACE_FILE_N)
                return open(files[question->file], O_RDONLY | O_CLOEXEC);
        return socket(question->family, question->type | SOCK_CLOEXEC | SOCK_NONBLOCK,
                      question->protocol);
}

/* Returns the descriptor, or -1. */
static int helper_serve(const Question *question, Answer *answer) {
        _cleanup_(fd_closep) int namespace = -1;
        int fd, r;

        r = namespace_path_open(question->path, &namespace, answer->reason);
        if (r > 0) {
                answer->outcome = NAMESPACE_HELPER_E_INVALID;
                return -1;
        }
        if (r < 0) {
                errno = -r;
                answer_fail(answer, STEP_OPEN);
                return -1;
        }
        if (setns(namespace, CLONE_NEWNET) < 0) {
                answer_fail(answer, STEP_ENTER);
                return -1;
        }
        fd = helper_make(question);
        if (fd < 0)
                answer_fail(answer, question->file < 0 ? STEP_SOCKET : STEP_OPEN);
        if (setns(HOME_FD, CLONE_NEWNET) < 0)
                _exit(EXIT_FAILURE);
        return fd;
}

/* Returns 0 or a positive errno. */
static int helper_send(const Answer *answer, int fd) {
        struct iovec data = { .iov_base = (void *)answer, .iov_len = sizeof(*answer) };
        Control control = { 0 };
        struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

        if (fd >= 0) {
                message.msg_control = &control;
                message.msg_controllen = sizeof(control);
                *CMSG_FIRSTHDR(&message) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                                             .cmsg_type = SCM_RIGHTS,
                                                             .cmsg_len = CMSG_LEN(sizeof(int)) };
                memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof(fd));
        }
        return sendmsg(BROKER_FD, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

/* What cannot be sent on its way is told instead; who hears nothing at all is not there. */
static void helper_answer(const Answer *answer, int fd) {
        int error = helper_send(answer, fd);

        if (error > 0 && fd >= 0)
                error = helper_send(&(Answer){ .serial = answer->serial,
                                               .outcome = NAMESPACE_HELPER_E_SYSTEM,
                                               .step = STEP_SEND,
                                               .error = error },
                                    -1);
        if (error > 0)
                _exit(EXIT_FAILURE);
}

/* As long as the broker is there. No signal but the last one is anything to the helper: the broker,
 * which gets those of a service manager or a terminal as well, may need it to the end. */
static __attribute__((noreturn)) void helper_run(void) {
        Question question;
        ssize_t n;

        helper_answer(&(Answer){ .outcome = 0 }, -1);
        while ((n = recv(BROKER_FD, &question, sizeof(question), 0)) == (ssize_t)sizeof(question)) {
                Answer answer = { .serial = question.serial };
                int fd;

                question.path[sizeof(question.path) - 1] = '\0';
                fd = helper_serve(&question, &answer);
                helper_answer(&answer, fd);
                fd_close(fd);
        }
        _exit(n == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Nothing of what the broker has open is left. */
static int helper_keep_fds(int broker, int home) {
        int first = fcntl(broker, F_DUPFD_CLOEXEC, N_FDS), second = fcntl(home, F_DUPFD_CLOEXEC, N_FDS);

        if (first < 0 || second < 0 || dup3(first, BROKER_FD, O_CLOEXEC) < 0 ||
            dup3(second, HOME_FD, O_CLOEXEC) < 0 || close_range(N_FDS, ~0U, 0) < 0)
                return -errno;
        return 0;
}

static int helper_confine(const Confinement *confinement, pid_t broker) {
        const char *no_filter;
        int r = 0;

        if (confinement->changes_user)
                r = privileges_become(confinement->name, confinement->uid, confinement->gid);
        if (r == 0)
                r = privileges_keep(CAPABILITY(CAP_SYS_ADMIN));
        if (r < 0)
                return r;
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -errno;
        /* It may have died before that. */
        if (getppid() != broker)
                _exit(EXIT_FAILURE);
        /* Tried while it can still be told why not. */
        if (setns(HOME_FD, CLONE_NEWNET) < 0)
                return -errno;
        r = syscall_filter_load_helper(&no_filter);
        return r < 0 ? r : 0;
}

static __attribute__((noreturn)) void helper_main(const Confinement *confinement, pid_t broker, int fd,
                                                  int home) {
        sigset_t all;
        int r;

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        r = helper_keep_fds(fd, home);
        if (r < 0)
                _exit(EXIT_FAILURE);
        r = helper_confine(confinement, broker);
        if (r < 0) {
                helper_answer(&(Answer){ .outcome = NAMESPACE_HELPER_E_SYSTEM,
                                         .step = STEP_START,
                                         .error = -r },
                              -1);
                _exit(EXIT_FAILURE);
        }
        helper_run();
}

/* ---- the broker's side -------------------------------------------------------------------------- */

static int fail(NamespaceFailure *failure, const char *step, int error) {
        failure->step = step;
        failure->error = error;
        return NAMESPACE_HELPER_E_SYSTEM;
}

static int fail_gone(NamespaceHelper *helper, NamespaceFailure *failure) {
        helper->gone = true;
        return fail(failure, "namespace helper", EPIPE);
}

/* The descriptor of @message, or -1. */
static int message_fd(struct msghdr *message) {
        const struct cmsghdr *header = CMSG_FIRSTHDR(message);
        int fd = -1;

        if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
            header->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(&fd, CMSG_DATA(header), sizeof(fd));
        return fd;
}

/* Of the socket to the helper: there is nobody at the other end. Anything else passes. */
static bool says_gone(int error) {
        return error == EPIPE || error == ECONNRESET || error == ECONNREFUSED;
}

/* What the helper says next, until @deadline. Returns 0, or NAMESPACE_HELPER_E_SYSTEM. */
static int helper_hear(NamespaceHelper *helper, uint64_t deadline, Answer *ret, int *ret_fd,
                       NamespaceFailure *failure) {
        struct pollfd ready = { .fd = helper->fd, .events = POLLIN };
        struct iovec data = { .iov_base = ret, .iov_len = sizeof(*ret) };
        Control control = { 0 };
        struct msghdr message = { .msg_iov = &data,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        ssize_t n;
        int r;

        /* Signals of the broker come by a descriptor. */
        r = poll(&ready, 1, now < deadline ? (int)((deadline - now) / 1000) + 1 : 0);
        if (r < 0)
                return fail(failure, "namespace helper", errno);
        if (r == 0)
                return fail(failure, "namespace helper", ETIMEDOUT);
        n = recvmsg(helper->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n < 0 && !says_gone(errno))
                return fail(failure, "namespace helper", errno);
        if (n != (ssize_t)sizeof(*ret)) {
                fd_close(n > 0 ? message_fd(&message) : -1);
                return fail_gone(helper, failure);
        }
        *ret_fd = message_fd(&message);
        return 0;
}

/* The answer to the last question. */
static int helper_await(NamespaceHelper *helper, int msec, Answer *ret, int *ret_fd,
                        NamespaceFailure *failure) {
        const uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + (uint64_t)msec * 1000;
        int r;

        r = helper_hear(helper, deadline, ret, ret_fd, failure);
        /* No more than one is ever outstanding. */
        if (r == 0 && ret->serial != helper->serial) {
                *ret_fd = fd_close(*ret_fd);
                r = fail_gone(helper, failure);
        }
        helper->late = r != 0;
        return r;
}

static int helper_ask(NamespaceHelper *helper, Question *question, const char *path, int *ret_fd,
                      NamespaceFailure *failure) {
        _cleanup_(fd_closep) int fd = -1;
        Answer answer;
        int r = 0;

        *failure = (NamespaceFailure){ .step = NULL };
        if (helper->gone)
                return fail_gone(helper, failure);
        if (helper->late) {
                r = helper_await(helper, 0, &answer, &fd, failure);
                fd = fd_close(fd);
        }
        if (r != 0)
                return r;
        question->serial = ++helper->serial;
        strcpy(question->path, path);
        if (send(helper->fd, question, sizeof(*question), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return says_gone(errno) ? fail_gone(helper, failure)
                                        : fail(failure, "namespace helper", errno);
        r = helper_await(helper, ANSWER_MSEC, &answer, &fd, failure);
        if (r != 0)
                return r;
        if (answer.outcome == NAMESPACE_HELPER_E_INVALID) {
                memcpy(failure->reason, answer.reason, sizeof(failure->reason));
                failure->reason[sizeof(failure->reason) - 1] = '\0';
                return NAMESPACE_HELPER_E_INVALID;
        }
        if (answer.outcome != 0)
                return fail(failure,
                            answer.step < _STEP_N ? step_names[answer.step] : "namespace helper",
                            answer.error);
        if (fd < 0)
                return fail(failure, "namespace helper", EMFILE);
        *ret_fd = fd_take(&fd);
        return 0;
}

int namespace_helper_socket(NamespaceHelper *helper, const char *path, int family, int type,
                            int protocol, int *ret_fd, NamespaceFailure *ret_failure) {
        Question question = { .file = -1, .family = family, .type = type, .protocol = protocol };

        return helper_ask(helper, &question, path, ret_fd, ret_failure);
}

int namespace_helper_file(NamespaceHelper *helper, const char *path, NamespaceFile file, int *ret_fd,
                          NamespaceFailure *ret_failure) {
        Question question = { .file = (int32_t)file };

        return helper_ask(helper, &question, path, ret_fd, ret_failure);
}

int namespace_helper_fd(const NamespaceHelper *helper) {
        return helper->fd;
}

void namespace_helper_set_gone(NamespaceHelper *helper) {
        helper->gone = true;
}

bool namespace_helper_is_gone(const NamespaceHelper *helper) {
        return helper->gone;
}

/* ---- start and end ------------------------------------------------------------------------------ */

static bool has_cookies(void) {
        _cleanup_(fd_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        socklen_t size = sizeof(uint64_t);
        uint64_t cookie;

        return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0;
}

/* Why it would be of no use, or NULL. */
static const char *why_none(int home) {
        if (home < 0)
                return "/proc does not show the broker's own network namespace";
        if (!(privileges_effective() & CAPABILITY(CAP_SYS_ADMIN)))
                return "it takes CAP_SYS_ADMIN, which the broker was not started with";
        if (!has_cookies())
                return "the kernel does not tell namespaces apart (Linux 5.14)";
        return NULL;
}

/* It says when it is ready, or why it will not be. */
static int helper_greet(NamespaceHelper *helper, const char **ret_reason) {
        NamespaceFailure failure;
        Answer answer;
        int fd = -1, r;

        r = helper_await(helper, START_MSEC, &answer, &fd, &failure);
        fd_close(fd);
        if (r == 0 && answer.outcome == 0)
                return 0;
        *ret_reason =
                r == 0 && answer.error == EPERM
                        ? "the kernel does not let it enter any; see RestrictNamespaces= of the unit"
                        : "the process that is to enter them did not come up";
        return NAMESPACE_HELPER_E_UNAVAILABLE;
}

int namespace_helper_new(const Confinement *confinement, NamespaceHelper **ret,
                         const char **ret_reason) {
        _cleanup_(fd_closep) int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        const char *why = why_none(home);
        const pid_t broker = getpid();
        NamespaceHelper *helper;
        int pair[2], r;

        if (why) {
                *ret_reason = why;
                return NAMESPACE_HELPER_E_UNAVAILABLE;
        }
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return error_origin(-errno);
        helper = calloc(1, sizeof(*helper));
        if (helper)
                helper->pid = fork();
        if (helper && helper->pid == 0)
                helper_main(confinement, broker, pair[1], home);
        r = !helper ? -ENOMEM : helper->pid < 0 ? -errno : 0;
        fd_close(pair[1]);
        if (r < 0) {
                fd_close(pair[0]);
                free(helper);
                return error_origin(r);
        }
        helper->fd = pair[0];
        r = helper_greet(helper, ret_reason);
        if (r != 0) {
                namespace_helper_free(helper);
                return r;
        }
        *ret = helper;
        return 0;
}

NamespaceHelper *namespace_helper_free(NamespaceHelper *helper) {
        if (!helper)
                return NULL;
        fd_close(helper->fd);
        /* Where the broker may do neither it ends by itself, and whoever adopts it sees to the rest. */
        if (kill(helper->pid, SIGKILL) == 0)
                waitpid(helper->pid, NULL, 0);
        free(helper);
        return NULL;
}
