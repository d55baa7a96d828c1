/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One message of names and descriptors at a time, and a word from the other side before the next: of
 * descriptors under way the kernel allows only so many. What is waited for is bounded in time, on both
 * sides.
 */

#include "daemon/handover.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/group-resume.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/process.h"
#include "daemon/state-file.h"
#include "proto/channel.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"
#include "proto/message.h"

CLEANUP_DEFINE(Message, message_free)

enum {
        BATCH_MAX = 128,
        TEXT_MAX = BATCH_MAX * (NAME_SIZE_MAX + 1),
        /* For all groups together, until what the other had of them is gone. */
        TAKE_BACK_USEC = 1000 * 1000,
        /* In place of a batch. */
        WORD_NEXT = 'n',  /* of the successor: it has the batch */
        WORD_TAKEN = 't', /* it has everything, and serves */
};

/* After the last batch. */
static const char end_text[] = "end";

/* ---- messages ------------------------------------------------------------------------------------ */

/* Returns 0, -ETIMEDOUT at @deadline (CLOCK_MONOTONIC, in microseconds), or another negative errno. */
static int await(int fd, short events, uint64_t deadline) {
        for (;;) {
                uint64_t now = clock_usec(CLOCK_MONOTONIC);
                int msec = now < deadline ? (int)((deadline - now) / 1000 + 1) : 0;
                int n = poll(&(struct pollfd){ .fd = fd, .events = events }, 1, msec);

                if (n > 0)
                        return 0;
                if (n == 0)
                        return error_origin(-ETIMEDOUT);
                if (errno != EINTR)
                        return error_origin(-errno);
        }
}

/* One message of @text, with @n descriptors. */
static int send_batch(int fd, const char *text, const int *fds, size_t n, uint64_t deadline) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(BATCH_MAX * sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (char *)text, .iov_len = strlen(text) };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
        int r;

        if (n > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(n * sizeof(int));
                control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                                   .cmsg_type = SCM_RIGHTS,
                                                   .cmsg_len = CMSG_LEN(n * sizeof(int)) };
                memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
        }
        r = await(fd, POLLOUT, deadline);
        if (r == 0 && sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                r = error_origin(-errno);
        return error_trace(r);
}

/* @word: what the other side is to say. */
static int await_word(int fd, char word, uint64_t deadline) {
        char said = 0;
        ssize_t n;
        int r;

        r = await(fd, POLLIN, deadline);
        if (r < 0)
                return error_trace(r);
        n = recv(fd, &said, sizeof(said), MSG_DONTWAIT);
        if (n < 0)
                return error_origin(-errno);
        return n == 1 && said == word ? 0 : error_origin(n == 0 ? -ECONNRESET : -EPROTO);
}

static int say(int fd, char word) {
        return send(fd, &word, sizeof(word), MSG_NOSIGNAL) < 0 ? error_origin(-errno) : 0;
}

/* ---- the side that serves ------------------------------------------------------------------------ */

typedef struct Batch {
        int fd;
        uint64_t deadline;
        size_t n;
        int fds[BATCH_MAX];
        char text[TEXT_MAX];
        char *end;
} Batch;

static int batch_send(Batch *batch) {
        int r = 0;

        if (batch->n > 0)
                r = send_batch(batch->fd, batch->text, batch->fds, batch->n, batch->deadline);
        if (r == 0 && batch->n > 0)
                r = await_word(batch->fd, WORD_NEXT, batch->deadline);
        batch->n = 0;
        batch->end = batch->text;
        return error_trace(r);
}

static int batch_add(Batch *batch, const char *name, int fd) {
        int r = batch->n == BATCH_MAX ? batch_send(batch) : 0;

        if (r < 0)
                return error_trace(r);
        if (batch->n > 0)
                *batch->end++ = ':';
        batch->end = stpcpy(batch->end, name);
        batch->fds[batch->n++] = fd;
        return 0;
}

static int batch_add_id(Batch *batch, uint64_t id, int fd) {
        char name[STATE_NAME_MAX];

        return batch_add(batch, state_name(id, name), fd);
}

/* Each process once, however many leases end with it. */
static int add_processes(Batch *batch, const Member *member, uint64_t pass) {
        const Lease *lease;
        int r = 0;

        LIST_FOREACH (lease, &member->leases, by_member) {
                if (!lease->process || lease->process->handed == pass)
                        continue;
                lease->process->handed = pass;
                r = batch_add_id(batch, lease->process->id, lease->process->fd);
                if (r < 0)
                        break;
        }
        return error_trace(r);
}

static int add_members(Batch *batch, const Endpoint *endpoint, const struct MemberList *members,
                       uint64_t pass) {
        const Member *member;
        int r = 0;

        TAILQ_FOREACH (member, members, entry) {
                /* Those of .socket units are found by their number, and go by the names of the units. */
                r = endpoint->passed ? batch_add(batch, endpoint->name ?: "unknown", member->fd)
                                     : batch_add_id(batch, member->id, member->fd);
                if (r == 0)
                        r = add_processes(batch, member, pass);
                if (r < 0)
                        break;
        }
        return error_trace(r);
}

static int add_endpoint(Batch *batch, const Endpoint *endpoint, uint64_t pass) {
        const Sentinel *sentinel = &endpoint->group.sentinel;
        int r;

        r = add_members(batch, endpoint, &endpoint->members, pass);
        if (r == 0)
                r = add_members(batch, endpoint, &endpoint->departing, pass);
        if (r == 0 && sentinel_is_open(sentinel))
                r = batch_add_id(batch, sentinel->id, sentinel->alarm.fd);
        return error_trace(r);
}

static int add_steering(Batch *batch, const Services *services) {
        uint64_t id = services->state.steering_id;
        char name[STATE_NAME_MAX];
        int r;

        r = batch_add(batch, state_steering_name(STATE_MAP_NAME, id, name),
                      steering_get_members_fd(services->steering));
        if (r == 0)
                r = batch_add(batch, state_steering_name(STATE_COUNTS_NAME, id, name),
                              steering_get_counts_fd(services->steering));
        return error_trace(r);
}

static int hand_over(Services *services, int fd) {
        Batch batch = { .fd = fd,
                        .deadline = clock_usec(CLOCK_MONOTONIC) + HANDOVER_SEC_MAX * UINT64_C(1000000),
                        .end = batch.text };
        uint64_t pass = ++services->n_handovers;
        int r;

        r = batch_add(&batch, STATE_FILE_NAME, state_file_get_fd(services->state.marks.file));
        if (r == 0 && services->steering)
                r = add_steering(&batch, services);
        if (r == 0)
                r = batch_add(&batch, LISTENER_OWN_NAME, services->control_fd);
        for (const Endpoint *endpoint = services->endpoints.by_key; endpoint && r == 0;
             endpoint = endpoint->hh.next)
                r = add_endpoint(&batch, endpoint, pass);
        if (r == 0)
                r = batch_send(&batch);
        if (r == 0)
                r = send_batch(fd, end_text, NULL, 0, batch.deadline);
        if (r == 0)
                r = await_word(fd, WORD_TAKEN, batch.deadline);
        return error_trace(r);
}

/* The successor may have had the groups steered by its own program already. */
static void take_back(Services *services) {
        uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + TAKE_BACK_USEC;

        for (Endpoint *endpoint = services->endpoints.by_key; endpoint; endpoint = endpoint->hh.next)
                group_take_back(endpoint, deadline);
}

bool handover_run(Services *services, int fd) {
        _cleanup_(fd_closep) int owned = fd;

        services_settle(services);
        if (hand_over(services, fd) == 0) {
                log_line(LOG_NOTICE, "another broker has taken over");
                return true;
        }
        log_fault(LOG_ERR, "another broker was to take over, and did not; this one serves on");
        /* Before the groups are looked at: what the other had may be free then. */
        fd_close(fd_take(&owned));
        take_back(services);
        return false;
}

/* ---- the successor ------------------------------------------------------------------------------- */

/* Takes over the descriptors of @message, of @max at most. Returns how many, or a negative errno. */
static int claim_descriptors(const struct msghdr *message, int *fds, size_t max) {
        size_t n = 0;

        for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
             header = CMSG_NXTHDR((struct msghdr *)message, header)) {
                if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                if (n > max)
                        return error_origin(-EPROTO);
                memcpy(fds, CMSG_DATA(header), n * sizeof(int));
        }
        if (message->msg_flags & MSG_CTRUNC) {
                for (size_t i = 0; i < n; i++)
                        fd_close(fds[i]);
                return error_origin(-EMFILE);
        }
        return (int)n;
}

/* Of the state a copy: until this broker has everything, nothing of the other's may change. Consumes
 * @fd. */
static int add_item(Inherited *inherited, const char *name, int fd) {
        int copy, r;

        if (strcmp(name, STATE_FILE_NAME) != 0)
                return error_trace(inherited_add(inherited, name, fd));
        r = state_file_copy(fd, &copy);
        fd_close(fd);
        return r < 0 ? error_trace(r) : error_trace(inherited_add(inherited, name, copy));
}

/* Returns 0 for a batch, 1 at the end, or a negative errno. */
static int receive_batch(int fd, Inherited *inherited, uint64_t deadline) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(BATCH_MAX * sizeof(int))];
        } control = { 0 };
        char text[TEXT_MAX + 1], *name, *rest = text;
        struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        int fds[BATCH_MAX], n, i = 0, r;
        ssize_t size;

        r = await(fd, POLLIN, deadline);
        if (r < 0)
                return error_trace(r);
        size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size <= 0)
                return error_origin(size < 0 ? -errno : -ECONNRESET);
        text[size] = '\0';
        n = claim_descriptors(&message, fds, BATCH_MAX);
        if (n < 0)
                return error_trace(n);
        if (n == 0)
                return strcmp(text, end_text) == 0 ? 1 : error_origin(-EPROTO);
        while (r == 0 && i < n && (name = strsep(&rest, ":")))
                r = add_item(inherited, name, fds[i++]);
        if (r == 0 && (i < n || rest))
                r = error_origin(-EPROTO);
        while (i < n)
                fd_close(fds[i++]);
        return r < 0 ? error_trace(r) : error_trace(say(fd, WORD_NEXT));
}

/* The one descriptor of the answer, or why there is none. Consumes @fd. */
static int ask(int fd, int *ret) {
        static const char call[] = "{\"method\":\"io.reuseportd.TakeOver\"}";
        _cleanup_(message_freep) Message *message = NULL;
        char reason[MESSAGE_TEXT_MAX], *frame;
        Channel channel;
        Reply reply = { 0 };
        size_t n;
        int r;

        channel_init(&channel, fd, REPLY_SIZE_MAX, true);
        r = channel_send(&channel, call, sizeof(call), NULL);
        if (r == 0)
                r = channel_receive(&channel, true);
        if (r == 0)
                r = channel_next(&channel, &frame, &n);
        if (r == 0)
                r = message_parse(frame, n, &message, reason);
        if (r == 0)
                r = message_reply(message, &reply);
        *ret = r == 0 && !reply.error ? fdlist_take(&channel.in_fds, 0) : -1;
        channel_deinit(&channel);
        if (r < 0)
                return error_trace(r);
        if (*ret >= 0)
                return 0;
        log_line(LOG_ERR, "the broker that is to be replaced refuses: %s",
                 reply.error ?: "it does not know how");
        return HANDOVER_E_REFUSED;
}

static int connect_to(const char *path, int *ret) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_(fd_closep) int fd = -1;
        struct timeval patience = { .tv_sec = HANDOVER_SEC_MAX };

        if (strlen(path) >= sizeof(address.sun_path))
                return error_origin(-ENAMETOOLONG);
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
                return error_origin(-errno);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return errno == ENOENT || errno == ECONNREFUSED ? HANDOVER_E_NOBODY
                                                                : error_origin(-errno);
        *ret = fd_take(&fd);
        return 0;
}

int handover_take(const char *path, Inherited *inherited, int *ret_fd) {
        uint64_t deadline = clock_usec(CLOCK_MONOTONIC) + HANDOVER_SEC_MAX * UINT64_C(1000000);
        _cleanup_(fd_closep) int pair = -1;
        int fd, r;

        r = connect_to(path, &fd);
        if (r == 0)
                r = ask(fd, &pair);
        while (r == 0)
                r = receive_batch(pair, inherited, deadline);
        if (pair < 0)
                return r < 0 ? error_trace(r) : r;
        if (r < 0)
                return error_trace(r);
        inherited_sort(inherited);
        *ret_fd = fd_take(&pair);
        return 0;
}

int handover_finish(int fd) {
        _cleanup_(fd_closep) int owned = fd;
        int r;

        r = say(owned, WORD_TAKEN);
        if (r == 0)
                r = await(owned, POLLIN,
                          clock_usec(CLOCK_MONOTONIC) + HANDOVER_SEC_MAX * UINT64_C(1000000));
        return error_trace(r);
}
