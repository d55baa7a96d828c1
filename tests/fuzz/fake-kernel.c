/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Only as much of the kernel as the daemon can tell: whose an address is, what an option was set to,
 * and that any call may fail.
 */

#include "tests/fuzz/fake-kernel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define START_USEC UINT64_C(1000000000)

enum {
        FDS_MAX = 1024,
        OPTIONS_MAX = 40,
        VALUE_MAX = 64,
        TIMERS_MAX = 512,
        OWN_UID = 999,
        EPHEMERAL = 50000,
};

typedef struct Option {
        int level, name;
        socklen_t n;
        char value[VALUE_MAX];
} Option;

typedef struct Socket {
        bool open;
        int family, type;
        bool bound, listens;
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
                struct sockaddr_un un;
        } name;
        socklen_t n_name;
        uint64_t cookie;
        size_t n_options;
        Option options[OPTIONS_MAX];
} Socket;

typedef struct TimerEntry {
        sd_event_source *source;
        uint64_t due;
} TimerEntry;

static struct {
        Socket sockets[FDS_MAX];
        uint64_t last_cookie;
        in_port_t last_port;
        uint32_t last_asked; /* of netlink */
        unsigned queue;
        uint64_t now;
        TimerEntry timers[TIMERS_MAX];
        size_t n_timers;
        bool fails, has_failed;
        unsigned fails_in;
        int error;
} kernel;

void fake_kernel_reset(void) {
        for (int i = 0; i < FDS_MAX; i++)
                fuzz_expect(!kernel.sockets[i].open);
        fuzz_expect(kernel.n_timers == 0);
        kernel.last_cookie = 0;
        kernel.last_port = EPHEMERAL;
        kernel.queue = 0;
        kernel.now = START_USEC;
        kernel.fails = kernel.has_failed = false;
}

void fake_kernel_fail(unsigned nth, int error) {
        kernel.fails = error > 0;
        kernel.fails_in = nth;
        kernel.error = error;
}

bool fake_kernel_fails(void) {
        if (!kernel.fails || kernel.fails_in-- > 0)
                return false;
        kernel.fails = false;
        kernel.has_failed = true;
        errno = kernel.error;
        return true;
}

bool fake_kernel_has_failed(void) {
        return kernel.has_failed;
}

void fake_kernel_set_queue(unsigned n) {
        kernel.queue = n;
}

bool fake_kernel_is_socket(int fd) {
        return fd >= 0 && fd < FDS_MAX && kernel.sockets[fd].open;
}

void fake_kernel_shut_down(int fd) {
        fuzz_expect(fake_kernel_is_socket(fd));
        kernel.sockets[fd].listens = false;
}

static int fail(int error) {
        errno = error;
        return -1;
}

static Socket *socket_of(int fd) {
        fuzz_expect(fake_kernel_is_socket(fd));
        return &kernel.sockets[fd];
}

/* ---- sockets ------------------------------------------------------------------------------------ */

int __wrap_socket(int family, int type, int protocol);
int __wrap_pipe2(int ends[2], int flags);
int __real_pipe2(int ends[2], int flags);
int __wrap_close(int fd);
int __real_close(int fd);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t n);
int __wrap_listen(int fd, int backlog);
int __wrap_shutdown(int fd, int how);
int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *n);
int __wrap_fchown(int fd, uid_t uid, gid_t gid);
ssize_t __wrap_send(int fd, const void *data, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t n, int flags);

int __wrap_socket(int family, int type, int protocol) {
        int fd;

        if (fake_kernel_fails())
                return -1;
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        fuzz_expect(fd >= 0 && fd < FDS_MAX && (type & SOCK_CLOEXEC));
        kernel.sockets[fd] = (Socket){ .open = true,
                                       .family = family,
                                       .type = type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK),
                                       .cookie = ++kernel.last_cookie };
        return fd;
}

/* That nobody has one end is told by the real one. */
int __wrap_pipe2(int ends[2], int flags) {
        if (fake_kernel_fails())
                return -1;
        fuzz_expect(flags & O_CLOEXEC);
        return __real_pipe2(ends, flags);
}

int __wrap_close(int fd) {
        if (fake_kernel_is_socket(fd))
                kernel.sockets[fd].open = false;
        return __real_close(fd);
}

static Option *option_find(Socket *socket, int level, int name) {
        for (size_t i = 0; i < socket->n_options; i++)
                if (socket->options[i].level == level && socket->options[i].name == name)
                        return &socket->options[i];
        return NULL;
}

static bool option_is_on(Socket *socket, int level, int name) {
        const Option *option = option_find(socket, level, name);
        int value = 0;

        if (option)
                memcpy(&value, option->value, sizeof(value));
        return value != 0;
}

/* Two can have one address if both share, or if both may be reused and none listens. */
static bool names_clash(Socket *a, Socket *b) {
        if (!b->open || !b->bound || a->family != b->family || a->type != b->type ||
            a->n_name != b->n_name || memcmp(&a->name, &b->name, a->n_name) != 0)
                return false;
        if (option_is_on(a, SOL_SOCKET, SO_REUSEPORT) && option_is_on(b, SOL_SOCKET, SO_REUSEPORT))
                return false;
        return !(option_is_on(a, SOL_SOCKET, SO_REUSEADDR) &&
                 option_is_on(b, SOL_SOCKET, SO_REUSEADDR) && !b->listens);
}

/* TEST-NET-1 is of no interface, whatever host this is. */
static bool name_is_local(Socket *socket) {
        return socket->family != AF_INET || ntohl(socket->name.in.sin_addr.s_addr) >> 8 != 0xc00002 ||
               option_is_on(socket, SOL_IP, IP_FREEBIND);
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t n) {
        Socket *socket = socket_of(fd);

        if (fake_kernel_fails())
                return -1;
        fuzz_expect(!socket->bound && n <= sizeof(socket->name) && address->sa_family == socket->family);
        memset(&socket->name, 0, sizeof(socket->name));
        memcpy(&socket->name, address, n);
        socket->n_name = n;
        /* The port is in the same place. */
        if (socket->family != AF_UNIX && socket->name.in.sin_port == 0)
                socket->name.in.sin_port = htons(++kernel.last_port);
        if (!name_is_local(socket))
                return fail(EADDRNOTAVAIL);
        for (int i = 0; i < FDS_MAX; i++)
                if (names_clash(socket, &kernel.sockets[i]))
                        return fail(EADDRINUSE);
        socket->bound = true;
        return 0;
}

/* Loopback is reached from itself, and all else from one address. */
static void name_choose(Socket *socket, const struct sockaddr *peer) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)peer;

        socket->name.sa.sa_family = (sa_family_t)socket->family;
        socket->n_name = sizeof(socket->name.in6);
        if (socket->family == AF_INET6) {
                socket->name.in6.sin6_addr = in6addr_loopback;
                return;
        }
        socket->n_name = sizeof(socket->name.in);
        socket->name.in.sin_addr.s_addr =
                htonl(ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET ? INADDR_LOOPBACK : 0x0a090901);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t n) {
        Socket *socket = socket_of(fd);

        if (fake_kernel_fails())
                return -1;
        fuzz_expect(socket->type == SOCK_DGRAM && socket->family == address->sa_family);
        fuzz_expect(((const struct sockaddr_in *)address)->sin_port != 0);
        if (!socket->bound)
                name_choose(socket, address);
        return 0;
}

int __wrap_listen(int fd, int backlog) {
        Socket *socket = socket_of(fd);

        if (fake_kernel_fails())
                return -1;
        fuzz_expect(socket->bound && socket->type != SOCK_DGRAM && backlog > 0);
        socket->listens = true;
        return 0;
}

int __wrap_shutdown(int fd, int how) {
        Socket *socket = socket_of(fd);

        if (fake_kernel_fails())
                return -1;
        if (!socket->listens && socket->family != AF_UNIX)
                return fail(ENOTCONN);
        socket->listens = socket->listens && how == SHUT_WR;
        return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *n) {
        Socket *socket = socket_of(fd);

        if (fake_kernel_fails())
                return -1;
        memcpy(address, &socket->name, *n < socket->n_name ? *n : socket->n_name);
        *n = socket->n_name;
        return 0;
}

int __wrap_fchown(int fd, uid_t uid, gid_t gid) {
        socket_of(fd);
        return fake_kernel_fails() ? -1 : 0;
}

ssize_t __wrap_send(int fd, const void *data, size_t n, int flags) {
        fuzz_expect(socket_of(fd)->family == AF_NETLINK && n >= sizeof(struct nlmsghdr));
        kernel.last_asked = ((const struct nlmsghdr *)data)->nlmsg_seq;
        return fake_kernel_fails() ? -1 : (ssize_t)n;
}

/* No handshake is under way, and no datagram waits. */
ssize_t __wrap_recv(int fd, void *data, size_t n, int flags) {
        const struct nlmsghdr done = { .nlmsg_len = sizeof(done),
                                       .nlmsg_type = NLMSG_DONE,
                                       .nlmsg_seq = kernel.last_asked };

        if (fake_kernel_fails())
                return -1;
        if (socket_of(fd)->family != AF_NETLINK)
                return fail(EAGAIN);
        fuzz_expect(n >= sizeof(done));
        memcpy(data, &done, sizeof(done));
        return sizeof(done);
}

/* ---- options ------------------------------------------------------------------------------------ */

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *n);

static int option_refuse(const Socket *socket, int level, int name, const void *value, socklen_t n) {
        bool ip = socket->family != AF_UNIX;

        if (level == SOL_SOCKET && name == SO_BINDTODEVICE)
                return n > 0 && (n < 2 || memcmp(value, "lo", 2) != 0) ? ENODEV : 0;
        if (level == SOL_SOCKET && name == SO_REUSEPORT && !ip)
                return EOPNOTSUPP;
        if (level == SOL_SOCKET)
                return n < sizeof(int) ? EINVAL : 0;
        if (level == SOL_TCP)
                return !ip || socket->type != SOCK_STREAM ? ENOPROTOOPT : 0;
        if (level == SOL_IPV6)
                return socket->family != AF_INET6 ? ENOPROTOOPT : 0;
        return level == SOL_IP && ip ? 0 : ENOPROTOOPT;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t n) {
        Socket *socket = socket_of(fd);
        Option *option = option_find(socket, level, name);
        int error = option_refuse(socket, level, name, value, n);

        if (fake_kernel_fails())
                return -1;
        if (error)
                return fail(error);
        if (!option && socket->n_options == OPTIONS_MAX)
                return fail(ENOBUFS);
        if (!option)
                option = &socket->options[socket->n_options++];
        *option = (Option){ .level = level, .name = name, .n = n < VALUE_MAX ? n : VALUE_MAX };
        if (option->n > 0)
                memcpy(option->value, value, option->n);
        return 0;
}

/* What no setsockopt() has set. Returns its size. */
static socklen_t option_ask(const Socket *socket, int level, int name, void *ret) {
        uint32_t memory[SK_MEMINFO_VARS] = { [SK_MEMINFO_RMEM_ALLOC] = kernel.queue * 100 };
        struct tcp_info info = { .tcpi_state = socket->listens ? TCP_LISTEN : TCP_CLOSE,
                                 .tcpi_unacked = kernel.queue,
                                 .tcpi_sacked = 64 };

        if (level == SOL_SOCKET && name == SO_COOKIE)
                return memcpy(ret, &socket->cookie, sizeof(socket->cookie)), sizeof(socket->cookie);
        if (level == SOL_SOCKET && name == SO_ACCEPTCONN)
                return memcpy(ret, &(int){ socket->listens }, sizeof(int)), sizeof(int);
        if (level == SOL_SOCKET && name == SO_MEMINFO)
                return memcpy(ret, memory, sizeof(memory)), sizeof(memory);
        if (level == SOL_TCP && name == TCP_INFO)
                return memcpy(ret, &info, sizeof(info)), sizeof(info);
        return memset(ret, 0, sizeof(int)), sizeof(int);
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *n) {
        Socket *socket = socket_of(fd);
        const Option *option = option_find(socket, level, name);
        char buffer[sizeof(struct tcp_info)];
        socklen_t size;

        if (fake_kernel_fails())
                return -1;
        if (option)
                memcpy(buffer, option->value, size = option->n);
        else
                size = option_ask(socket, level, name, buffer);
        if (*n > size)
                *n = size;
        memcpy(value, buffer, *n);
        return 0;
}

/* ---- the host ----------------------------------------------------------------------------------- */

unsigned __wrap_if_nametoindex(const char *name);
char *__wrap_if_indextoname(unsigned index, char *name);
int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __real_ioctl(int fd, unsigned long request, void *argument);
uid_t __wrap_geteuid(void);
ssize_t __wrap_getrandom(void *buffer, size_t n, unsigned flags);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
void __wrap_log_line(int priority, const char *format, ...);
void __wrap_log_fault(int priority, const char *what);

unsigned __wrap_if_nametoindex(const char *name) {
        return strcmp(name, "lo") == 0;
}

char *__wrap_if_indextoname(unsigned index, char *name) {
        return index == 1 ? strcpy(name, "lo") : NULL;
}

/* The interface of a socket; anything else is asked of the real one. */
int __wrap_ioctl(int fd, unsigned long request, void *argument) {
        struct ifreq *interface = argument;

        if (request != SIOCGIFINDEX && request != SIOCGIFNAME)
                return __real_ioctl(fd, request, argument);
        if (request == SIOCGIFINDEX && strcmp(interface->ifr_name, "lo") == 0) {
                interface->ifr_ifindex = 1;
                return 0;
        }
        if (request == SIOCGIFNAME && interface->ifr_ifindex == 1) {
                strcpy(interface->ifr_name, "lo");
                return 0;
        }
        errno = ENODEV;
        return -1;
}

uid_t __wrap_geteuid(void) {
        return OWN_UID;
}

/* The same every time. */
ssize_t __wrap_getrandom(void *buffer, size_t n, unsigned flags) {
        memset(buffer, 0, n);
        return (ssize_t)n;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret) {
        *ret = (struct timespec){ .tv_sec = (time_t)(kernel.now / 1000000),
                                  .tv_nsec = (long)(kernel.now % 1000000) * 1000 };
        return 0;
}

/* A fault that was asked for is nothing to read about. */
void __wrap_log_line(int priority, const char *format, ...) {
}

void __wrap_log_fault(int priority, const char *what) {
}

/* ---- timers ------------------------------------------------------------------------------------- */

int __wrap_sd_event_add_time(sd_event *event, sd_event_source **ret, clockid_t clock, uint64_t usec,
                             uint64_t accuracy, sd_event_time_handler_t callback, void *userdata);
int __real_sd_event_add_time(sd_event *event, sd_event_source **ret, clockid_t clock, uint64_t usec,
                             uint64_t accuracy, sd_event_time_handler_t callback, void *userdata);
int __wrap_sd_event_source_set_time(sd_event_source *source, uint64_t usec);
int __real_sd_event_source_set_time(sd_event_source *source, uint64_t usec);
sd_event_source *__wrap_sd_event_source_disable_unref(sd_event_source *source);
sd_event_source *__real_sd_event_source_disable_unref(sd_event_source *source);

static TimerEntry *timer_find(const sd_event_source *source) {
        for (size_t i = 0; i < kernel.n_timers; i++)
                if (kernel.timers[i].source == source)
                        return &kernel.timers[i];
        return NULL;
}

/* To sd-event, which has the real clock, no timer is ever due but by fake_kernel_pass(). */
int __wrap_sd_event_add_time(sd_event *event, sd_event_source **ret, clockid_t clock, uint64_t usec,
                             uint64_t accuracy, sd_event_time_handler_t callback, void *userdata) {
        int r;

        if (fake_kernel_fails())
                return -errno;
        r = __real_sd_event_add_time(event, ret, clock, UINT64_MAX, accuracy, callback, userdata);
        fuzz_expect(r >= 0 && kernel.n_timers < TIMERS_MAX);
        kernel.timers[kernel.n_timers++] = (TimerEntry){ *ret, usec };
        return r;
}

int __wrap_sd_event_source_set_time(sd_event_source *source, uint64_t usec) {
        if (fake_kernel_fails())
                return -errno;
        timer_find(source)->due = usec;
        return __real_sd_event_source_set_time(source, UINT64_MAX);
}

sd_event_source *__wrap_sd_event_source_disable_unref(sd_event_source *source) {
        TimerEntry *timer = source ? timer_find(source) : NULL;

        if (timer)
                *timer = kernel.timers[--kernel.n_timers];
        return __real_sd_event_source_disable_unref(source);
}

void fake_kernel_pass(uint64_t usec) {
        kernel.now += usec;
        for (size_t i = 0; i < kernel.n_timers; i++)
                if (kernel.timers[i].due <= kernel.now)
                        __real_sd_event_source_set_time(kernel.timers[i].source, 0);
}
