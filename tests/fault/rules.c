/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The errors are those that the kernel can give to a call that is right in itself: out of memory or of
 * descriptors, interrupted, not allowed, not now. Each takes another path in the broker, or it is not
 * here.
 */

#include "tests/fault/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/sockios.h>
#include <linux/un.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "daemon/cgroup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define ON(argument_, value_) .argument = (argument_), .value = (value_)
#define MAKES_ONE .descriptor = true

/* Not looked at, or not to be had: memory fails where it is asked for, by malloc(). */
#define NEVER(call)                                                                                     \
        { .name = #call, .number = SYS_##call }

static const FaultRule rules[] = {
        { "socket", SYS_socket, MAKES_ONE, .errors = { EMFILE, ENFILE, ENOBUFS, EACCES } },
        { "bind", SYS_bind, .errors = { ENOMEM, EADDRINUSE, EADDRNOTAVAIL, EACCES } },
        { "listen", SYS_listen, .errors = { ENOBUFS, EADDRINUSE } },
        { "accept4", SYS_accept4, MAKES_ONE, .errors = { EMFILE, ENOMEM, ECONNABORTED, EINTR, EAGAIN } },
        { "connect", SYS_connect, .errors = { ECONNREFUSED, EAGAIN, ENETUNREACH, EADDRNOTAVAIL } },
        { "getsockname", SYS_getsockname, .errors = { ENOBUFS } },
        { "shutdown", SYS_shutdown, .errors = { ENOTCONN } },
        { "getsockopt", SYS_getsockopt, ON(3, SO_PEERPIDFD), MAKES_ONE,
          .errors = { EMFILE, ENFILE, ENOMEM, ESRCH, EINVAL } },
        { "getsockopt", SYS_getsockopt, .errors = { ENOBUFS } },
        { "setsockopt", SYS_setsockopt, ON(3, SO_ATTACH_REUSEPORT_EBPF),
          .errors = { ENOMEM, EPERM, EINVAL } },
        { "setsockopt", SYS_setsockopt, .errors = { ENOBUFS, EPERM, EINVAL } },
        { "recvmsg", SYS_recvmsg, .errors = { ENOMEM, EINTR, EAGAIN, ECONNRESET } },
        { "recvfrom", SYS_recvfrom, .errors = { ENOBUFS, EINTR } },
        { "sendmsg", SYS_sendmsg, .errors = { ENOBUFS, EINTR, EAGAIN, EPIPE, ETOOMANYREFS } },
        { "sendto", SYS_sendto, .errors = { ENOBUFS, EINTR, EAGAIN, EPIPE, ECONNREFUSED } },

        /* To take a descriptor off needs nothing. */
        { "epoll_ctl", SYS_epoll_ctl, ON(2, EPOLL_CTL_DEL) },
        { "epoll_ctl", SYS_epoll_ctl, .errors = { ENOMEM, ENOSPC } },
        { "epoll_wait", SYS_epoll_wait, .errors = { EINTR } },
        { "epoll_pwait", SYS_epoll_pwait, .errors = { EINTR } },
        { "poll", SYS_poll, .errors = { ENOMEM, EINTR } },
        { "pidfd_open", SYS_pidfd_open, MAKES_ONE, .errors = { EMFILE, ENOMEM, ESRCH } },
        { "pipe2", SYS_pipe2, MAKES_ONE, .errors = { EMFILE, ENFILE, ENOMEM } },
        { "bpf", SYS_bpf, ON(1, BPF_MAP_UPDATE_ELEM), .errors = { ENOMEM, E2BIG, EPERM, EBUSY } },
        { "bpf", SYS_bpf, ON(1, BPF_MAP_LOOKUP_ELEM), .errors = { ENOENT, EPERM } },
        { "bpf", SYS_bpf, ON(1, BPF_MAP_DELETE_ELEM), .errors = { EBUSY, EPERM } },

        { "openat", SYS_openat, MAKES_ONE, .errors = { EMFILE, ENOENT, EACCES, EINTR } },
        { "close", SYS_close, .done = true, .errors = { EIO, EINTR } },
        { "getrandom", SYS_getrandom, .errors = { EINTR } },
        { "read", SYS_read, .errors = { EIO, EINTR, EAGAIN } },
        { "pread64", SYS_pread64, .errors = { EINVAL, EINTR } },
        { "write", SYS_write, .errors = { EIO, EAGAIN } },
        { "pwritev2", SYS_pwritev2, .errors = { EIO, EAGAIN, ENOSYS } },
        { "lseek", SYS_lseek, .errors = { ESPIPE } },
        { "fcntl", SYS_fcntl, ON(2, F_DUPFD_CLOEXEC), MAKES_ONE, .errors = { EMFILE } },
        { "fcntl", SYS_fcntl, .errors = { EACCES } },
        { "ioctl", SYS_ioctl, ON(2, SIOCUNIXFILE), MAKES_ONE, .errors = { EMFILE, ENOMEM, EPERM } },
        { "ioctl", SYS_ioctl, ON(2, SIOCOUTQ), .errors = { EACCES } }, /* a security module's */
        { "ioctl", SYS_ioctl, ON(2, PIDFD_GET_INFO_V0), .errors = { ESRCH, EACCES } },
        { "ioctl", SYS_ioctl, .errors = { ENODEV } },
        { "newfstatat", SYS_newfstatat, .errors = { ENOMEM, EACCES } },
        { "fstat", SYS_fstat, .errors = { ENOMEM } },
        { "lstat", SYS_lstat, .errors = { ENOMEM, EACCES } },
        { "statfs", SYS_statfs, .errors = { ENOMEM } },
        { "readlinkat", SYS_readlinkat, .errors = { EACCES } },
        { "getdents64", SYS_getdents64, .errors = { ENOENT } }, /* the folder is being removed */
        { "unlink", SYS_unlink, .errors = { EACCES, EBUSY } },
        { "unlinkat", SYS_unlinkat, .errors = { EACCES, EBUSY } },
        { "fallocate", SYS_fallocate, .errors = { ENOMEM, ENOSPC } }, /* the saved state grows */
        { "fchown", SYS_fchown, .errors = { EPERM } },
        { "fchownat", SYS_fchownat, .errors = { EPERM, EDQUOT } },
        { "fchmodat", SYS_fchmodat, .errors = { EPERM, ENOENT } },

        NEVER(brk),
        NEVER(mmap),
        NEVER(mremap),
        NEVER(munmap),
        NEVER(mprotect),
        NEVER(madvise),
        NEVER(futex),
        NEVER(sched_yield),
        NEVER(umask),
        NEVER(getpid),
        NEVER(getuid),
        NEVER(geteuid),
        NEVER(getgid),
        NEVER(getegid),
        NEVER(clock_gettime),
        NEVER(timerfd_settime), /* of its own timer, with a time that is right */
};

const FaultRule *fault_rule_find(long number, const long arguments[static 6]) {
        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
                const FaultRule *rule = &rules[i];

                if (rule->number == number &&
                    (rule->argument == 0 || arguments[rule->argument - 1] == rule->value))
                        return rule;
        }
        return NULL;
}
