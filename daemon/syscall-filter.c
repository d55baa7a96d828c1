/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A list of what may be done, not of what may not: a system call that nobody thought of is refused. It
 * fails rather than kills, so that a C library that tries one lives, and takes another way.
 *
 * The lists name what glibc, libsystemd and modules of the name service switch call once the broker has
 * started. A name that this machine or this libseccomp does not know is passed over.
 */

#include "daemon/syscall-filter.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <linux/un.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "build-config.h"
#include "daemon/cgroup.h"
#include "proto/error.h"

typedef struct Call {
        const char *name;
        unsigned n;
        struct scmp_arg_cmp arguments[3];
} Call;

/* The kernel takes the lower half of a register for an int, whatever is in the upper one. */
#define ARGUMENT_IS_IN(i, bits, value)                                                                  \
        SCMP_CMP32((i), SCMP_CMP_MASKED_EQ, (uint32_t)(bits), (uint32_t)(value))
#define ARGUMENT_IS(i, value) ARGUMENT_IS_IN(i, UINT32_MAX, value)
#define ARGUMENT_HAS_NONE_OF(i, bits) ARGUMENT_IS_IN(i, bits, 0)
#define ARGUMENT_IS_NULL(i) SCMP_CMP64((i), SCMP_CMP_MASKED_EQ, UINT64_MAX, 0)

/* ---- whatever their arguments --------------------------------------------------------------------- */

static const char memory[] = "brk madvise mmap mprotect mremap munmap futex membarrier rseq "
                             "get_robust_list set_robust_list";

static const char waiting[] =
        "epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd2 poll "
        "ppoll pselect6 select signalfd4 timerfd_create timerfd_gettime "
        "timerfd_settime clock_nanosleep nanosleep restart_syscall";

static const char asking[] = "capget clock_getres clock_gettime getcpu getegid geteuid getgid getgroups "
                             "getpgid getpgrp getpid getppid getrandom getresgid getresuid getrlimit "
                             "getrusage getsid gettid gettimeofday getuid pidfd_open sched_getaffinity "
                             "sched_yield sysinfo time times uname";

static const char signals[] = "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack exit exit_group";

static const char descriptors[] = "close close_range dup dup2 dup3 fcntl lseek pipe2 pread64 read readv "
                                  "write writev";

/* Reading; open() and openat() are below. */
static const char files[] =
        "access faccessat faccessat2 fadvise64 fstat fstatfs getcwd getdents64 lstat "
        "newfstatat readlink readlinkat stat statfs statx";

/*
 * Files of UNIX sockets: made by bind(), which follows the umask, widened through the descriptor, and
 * removed again; the control socket's, too, at the end.
 */
static const char socket_files[] = "fchmod fchmodat fchmodat2 umask unlink unlinkat";

/* The saved state grows; no other file is open for writing. */
static const char state[] = "fallocate";

/* A TCP socket is given to its user when its lease ends: by descriptor, never by path. */
static const char sockets[] = "accept accept4 bind connect fchown getpeername getsockname getsockopt "
                              "listen recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto setsockopt "
                              "shutdown";

#if SANITIZED
/* The leak sanitizer stops the process at its end, to look at it from another. */
static const char sanitizers[] = "clone getdents prctl ptrace wait4";
#endif

static const char *const families[] = {
        memory,     waiting, asking, signals, descriptors, files, socket_files, state, sockets,
#if SANITIZED
        sanitizers,
#endif
};

/* ---- with these arguments only -------------------------------------------------------------------- */

/* Flags of a file that is not only read. O_TMPFILE takes one of them. */
#define WRITING (O_ACCMODE | O_CREAT | O_TRUNC)
/* A kind of socket, close-on-exec and non-blocking or not. */
#define KIND(type) ARGUMENT_IS_IN(1, ~(SOCK_CLOEXEC | SOCK_NONBLOCK), type)

static const Call conditional[] = {
        { "open", 1, { ARGUMENT_HAS_NONE_OF(1, WRITING) } },
        { "openat", 1, { ARGUMENT_HAS_NONE_OF(2, WRITING) } },

        /* No packet sockets, whatever CAP_NET_RAW was kept for. */
        { "socket", 2, { ARGUMENT_IS(0, AF_UNIX), KIND(SOCK_STREAM) } },
        { "socket", 2, { ARGUMENT_IS(0, AF_UNIX), KIND(SOCK_DGRAM) } },
        { "socket", 2, { ARGUMENT_IS(0, AF_UNIX), KIND(SOCK_SEQPACKET) } },
        { "socket", 2, { ARGUMENT_IS(0, AF_INET), KIND(SOCK_STREAM) } },
        { "socket", 2, { ARGUMENT_IS(0, AF_INET), KIND(SOCK_DGRAM) } },
        { "socket", 2, { ARGUMENT_IS(0, AF_INET6), KIND(SOCK_STREAM) } },
        { "socket", 2, { ARGUMENT_IS(0, AF_INET6), KIND(SOCK_DGRAM) } },
        { "socket", 2, { ARGUMENT_IS(0, AF_VSOCK), KIND(SOCK_STREAM) } },
        /* Of netlink, what tells of handshakes under way; none that could change the network. */
        { "socket",
          3,
          { ARGUMENT_IS(0, AF_NETLINK), KIND(SOCK_RAW), ARGUMENT_IS(2, NETLINK_SOCK_DIAG) } },
        { "socketpair", 1, { ARGUMENT_IS(0, AF_UNIX) } },

        /* Names and numbers of interfaces; what stdio and the name service switch ask of
         * a descriptor. */
        { "ioctl", 1, { ARGUMENT_IS(1, SIOCGIFINDEX) } },
        { "ioctl", 1, { ARGUMENT_IS(1, SIOCGIFNAME) } },
        { "ioctl", 1, { ARGUMENT_IS(1, FIONBIO) } },
        { "ioctl", 1, { ARGUMENT_IS(1, FIONREAD) } },
        { "ioctl", 1, { ARGUMENT_IS(1, TCGETS) } },
        /* Whether a client has read, which file a socket has, what a pidfd tells of its process. */
        { "ioctl", 1, { ARGUMENT_IS(1, SIOCOUTQ) } },
        { "ioctl", 1, { ARGUMENT_IS(1, SIOCUNIXFILE) } },
        { "ioctl", 1, { ARGUMENT_IS(1, PIDFD_GET_INFO_V0) } },

        /* Asking for a limit. A new one would be in the third argument. */
        { "prlimit64", 2, { ARGUMENT_IS(0, 0), ARGUMENT_IS_NULL(2) } },
};

static const Call maps[] = {
        { "bpf", 1, { ARGUMENT_IS(0, BPF_MAP_LOOKUP_ELEM) } },
        { "bpf", 1, { ARGUMENT_IS(0, BPF_MAP_UPDATE_ELEM) } },
        { "bpf", 1, { ARGUMENT_IS(0, BPF_MAP_DELETE_ELEM) } },
        /* Of what kind a map is that an earlier broker had. */
        { "bpf", 1, { ARGUMENT_IS(0, BPF_OBJ_GET_INFO_BY_FD) } },
};

static const Call raw_ip[] = {
        { "socket", 2, { ARGUMENT_IS(0, AF_INET), KIND(SOCK_RAW) } },
        { "socket", 2, { ARGUMENT_IS(0, AF_INET6), KIND(SOCK_RAW) } },
};

static const Call file_owners[] = {
        { "fchownat", 0, {} },
};

/* ---- putting it together -------------------------------------------------------------------------- */

static int allow(scmp_filter_ctx context, const Call *call) {
        int number = seccomp_syscall_resolve_name(call->name), r;

        if (number == __NR_SCMP_ERROR)
                return 0;
        r = seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number, call->n, call->arguments);
        /* This machine has no such call. */
        return r < 0 && r != -EDOM ? error_origin(r) : 0;
}

static int allow_all(scmp_filter_ctx context, const Call *calls, size_t n) {
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = allow(context, &calls[i]);
        return error_trace(r);
}

/* @names: with a blank between them. */
static int allow_family(scmp_filter_ctx context, const char *names) {
        char name[32];
        int n, r = 0;

        for (; r == 0 && sscanf(names, "%31s%n", name, &n) == 1; names += n)
                r = allow(context, &(Call){ .name = name });
        return error_trace(r);
}

/* abort() is this process's own affair. */
static int allow_abort(scmp_filter_ctx context) {
        return error_trace(allow(context, &(Call){ "tgkill", 1, { ARGUMENT_IS(0, getpid()) } }));
}

#define ALLOW_ALL(context, calls) allow_all((context), (calls), sizeof(calls) / sizeof((calls)[0]))

static int filter_fill(scmp_filter_ctx context, const SyscallFilter *filter) {
        int r = 0;

        for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && r == 0; i++)
                r = allow_family(context, families[i]);
        if (r == 0)
                r = ALLOW_ALL(context, conditional);
        if (r == 0)
                r = allow_abort(context);
        if (r == 0 && filter->may_change_maps)
                r = ALLOW_ALL(context, maps);
        if (r == 0 && filter->may_chown_files)
                r = ALLOW_ALL(context, file_owners);
        if (r == 0 && filter->may_make_raw_ip)
                r = ALLOW_ALL(context, raw_ip);
        return error_trace(r);
}

/*
 * Calls of another architecture are refused like the rest. The decision is a search, not a walk; and the
 * kernel is not to switch off speculation, as some do for whoever has a filter: it guards against
 * foreign code in this process, and there is none. Not every kernel can be told so.
 */
static int filter_attributes(scmp_filter_ctx context) {
        int r;

        r = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
        if (r == 0)
                r = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r == 0)
                r = seccomp_attr_set(context, SCMP_FLTATR_CTL_SSB, 1);
        return r < 0 && r != -EOPNOTSUPP ? error_origin(r) : 0;
}

/* Has it loaded once @fill has put the calls in. */
static int filter_load(int (*fill)(scmp_filter_ctx context, const SyscallFilter *filter),
                       const SyscallFilter *filter, const char **ret_reason) {
        scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r;

        if (!context)
                return error_origin(-ENOMEM);
        r = filter_attributes(context);
        if (r == 0)
                r = fill(context, filter);
        if (r == 0 && seccomp_load(context) < 0) {
                *ret_reason = "this kernel takes none";
                r = SYSCALL_FILTER_E_UNAVAILABLE;
        }
        seccomp_release(context);
        return r < 0 ? error_trace(r) : r;
}

int syscall_filter_load(const SyscallFilter *filter, const char **ret_reason) {
        return filter_load(filter_fill, filter, ret_reason);
}

/* ---- the helper of namespaces --------------------------------------------------------------------- */

/* It takes a question, looks at a file, and answers; memory is what the C library may need on
 * the way. */
static const char helper_calls[] =
        "recvfrom sendmsg close fstat newfstatat statx fstatfs exit exit_group "
        "rt_sigreturn restart_syscall brk mmap munmap";

#if SANITIZED
static const char helper_sanitizers[] =
        "madvise mprotect futex getpid gettid rt_sigprocmask sigaltstack "
        "sched_yield write readlink readlinkat read clock_gettime";
#endif

static const Call helper_conditional[] = {
        { "setns", 1, { ARGUMENT_IS(1, CLONE_NEWNET) } },
        { "ioctl", 1, { ARGUMENT_IS(1, NS_GET_NSTYPE) } },
};

/* Files are opened and sockets made as the broker may. */
static int helper_fill(scmp_filter_ctx context, const SyscallFilter *filter __attribute__((unused))) {
        int r = allow_family(context, helper_calls);

#if SANITIZED
        if (r == 0)
                r = allow_family(context, helper_sanitizers);
#endif
        if (r == 0)
                r = ALLOW_ALL(context, helper_conditional);
        for (size_t i = 0; i < sizeof(conditional) / sizeof(conditional[0]) && r == 0; i++)
                if (strcmp(conditional[i].name, "openat") == 0 ||
                    strcmp(conditional[i].name, "socket") == 0)
                        r = allow(context, &conditional[i]);
        return error_trace(r);
}

int syscall_filter_load_helper(const char **ret_reason) {
        return filter_load(helper_fill, NULL, ret_reason);
}
