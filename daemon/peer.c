/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Calls of one connection are served in order, and none while an earlier answer has not left: so a
 * client that does not read holds one answer and no more, and descriptors never meet other bytes.
 *
 * A peer is freed in one place, peer_free(), called from its own callbacks only. What finds
 * out elsewhere that a peer is at its end asks for it by peer_end_later().
 */

#include "daemon/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "daemon/describe.h"
#include "daemon/dispatch.h"
#include "daemon/judge.h"
#include "daemon/log.h"
#include "daemon/process.h"
#include "daemon/refusal.h"
#include "proto/channel.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"

struct Peer {
        LIST_ENTRY(Peer) entry;
        Services *services;
        Channel channel;
        PollItem item;
        Subject *subject;
        User *user;
        Charge charge;
        LeaseOwner leases;
        Process *process; /* once a lease depends on it */
        Watcher watcher;
        bool watching;
        bool watch_overflow; /* events were dropped, and the client has not been told */
        bool unserved;       /* what was read may hold whole frames: they come before reading on */
        bool eof;            /* the client sends nothing more */
        bool ending;
};

static Peer *peer_of(PollItem *item) {
        return (Peer *)((char *)item - offsetof(Peer, item));
}

static void peer_free(Peer *peer) {
        LIST_REMOVE(peer, entry);
        if (peer->watching)
                LIST_REMOVE(&peer->watcher, entry);
        poll_item_remove(&peer->item);
        channel_deinit(&peer->channel);
        lease_owner_end(&peer->leases, MEMBER_LEAVE_LOST, "the connection has ended");
        process_unref(peer->process);
        charge_deinit(&peer->charge);
        user_unref(peer->user);
        subject_unref(peer->subject);
        free(peer);
}

/* May be called anywhere; the peer goes on until the loop comes round. */
static void peer_end_later(Peer *peer) {
        peer->ending = true;
        poll_item_request_turn(&peer->item);
}

/* ---- callbacks of the context ------------------------------------------------------------------ */

static int peer_get_process(Context *context, Process **ret) {
        Peer *peer = context->peer;
        int pidfd, r;

        /* Who shares the connection of a process that has exited gets nothing that would end with it. */
        if (peer->process && sd_event_source_get_enabled(peer->process->exit_source, NULL) <= 0)
                return SUBJECT_E_GONE;
        if (!peer->process) {
                r = subject_open_pidfd(peer->subject, peer->channel.fd, &pidfd);
                if (r != 0)
                        return r < 0 ? error_trace(r) : r;
                r = process_new(peer->services->event, pidfd, &peer->process);
                if (r < 0)
                        return error_trace(r);
        }
        *ret = peer->process;
        return 0;
}

static void peer_watch(Context *context) {
        Peer *peer = context->peer;

        peer->watching = true;
        LIST_INSERT_HEAD(&peer->services->hub.watchers, &peer->watcher, entry);
}

/* ---- events ------------------------------------------------------------------------------------ */

static bool peer_may_see(const Peer *peer, const Event *event) {
        const Policy *policy = peer->services->config->policy;

        if (event->subject && event->subject->uid == peer->subject->uid)
                return true;
        if (event->endpoint)
                return judge_sees(policy, peer->subject, event->endpoint);
        return judge_sees_all(policy, peer->subject);
}

static void peer_update_events(Peer *peer);

static void peer_send_event(Peer *peer, const Event *event) {
        MessageBuffer *buffer = &peer->services->event_buffer;
        EventText text;
        EventInfo info;
        int r;

        describe_event(event, &peer->services->ids, &text, &info);
        r = message_encode_reply(buffer, &(Reply){ .continues = true },
                                 wire_methods[WIRE_METHOD_WATCH].out, &(WatchOut){ .event = &info });
        if (r == 0)
                r = channel_send(&peer->channel, buffer->data, buffer->n, NULL);
        if (r == CHANNEL_E_AGAIN)
                peer_update_events(peer);
        else if (r != 0)
                peer_end_later(peer);
}

/* A slow reader loses events, and is told so as soon as it has read what was sent. */
static void peer_notify(Watcher *watcher, const Event *event) {
        Peer *peer = (Peer *)((char *)watcher - offsetof(Peer, watcher));

        if (peer->ending || !peer_may_see(peer, event))
                return;
        if (peer->watch_overflow || channel_pending(&peer->channel) > WATCH_BACKLOG_MAX)
                peer->watch_overflow = true;
        else
                peer_send_event(peer, event);
}

static void peer_tell_overflow(Peer *peer) {
        peer->watch_overflow = false;
        peer_send_event(peer,
                        &(Event){ .what = "overflow", .reason = "events were dropped: list again" });
}

/* ---- calls ------------------------------------------------------------------------------------- */

/* Sends the answer, if there is one. As channel_send(); *@ret_delivered: what it promises is the
 * client's. */
static int peer_answer(Peer *peer, Context *context, bool *ret_delivered) {
        MessageBuffer *buffer = &peer->services->buffer;
        int r;

        *ret_delivered = false;
        if (!context->answered)
                return 0;
        r = channel_send(&peer->channel, buffer->data, buffer->n, &context->fds);
        *ret_delivered = r == 0 || r == CHANNEL_E_AGAIN;
        if (r != -ETOOMANYREFS)
                return r;
        /* Others have not yet received as many descriptors as the broker's user may have under way. */
        context->answered = false;
        r = context_refuse(context, WIRE_ERROR_SYSTEM_FAILURE,
                           &(ErrorParameters){ .step = "sendmsg",
                                               .errno_name = strerrorname_np(ETOOMANYREFS),
                                               .message = strerrordesc_np(ETOOMANYREFS) });
        return r < 0 ? error_trace(r) : channel_send(&peer->channel, buffer->data, buffer->n, NULL);
}

/* Serves one frame. Returns 0, CHANNEL_E_EOF when the peer has gone, or a negative errno. */
static int peer_serve(Peer *peer, const char *frame, size_t n) {
        Context context = {
                .services = peer->services,
                .subject = peer->subject,
                .user = peer->user,
                .connection = &peer->leases,
                .get_process = peer_get_process,
                .watch = peer_watch,
                .peer = peer,
        };
        bool delivered = false;
        int r, sent = 0;

        r = dispatch_call(&context, frame, n);
        if (r >= 0)
                sent = peer_answer(peer, &context, &delivered);
        context_finish(&context, delivered);
        if (r == DISPATCH_E_MALFORMED)
                peer->ending = true; /* once the answer has left */
        if (r < 0)
                return error_trace(r);
        return sent == CHANNEL_E_AGAIN ? 0 : sent;
}

static bool peer_is_busy(const Peer *peer) {
        return peer->watching || channel_pending(&peer->channel) > 0;
}

/* Serves what has been read, up to one turn's worth. As peer_serve(). */
static int peer_serve_turn(Peer *peer) {
        char *frame;
        size_t n;
        int r;

        for (int i = 0; !peer->ending && !peer_is_busy(peer); i++) {
                if (i == CALLS_PER_TURN) {
                        poll_item_request_turn(&peer->item);
                        return 0;
                }
                r = channel_next(&peer->channel, &frame, &n);
                if (r == CHANNEL_E_AGAIN) {
                        peer->unserved = false;
                        if (peer->eof)
                                peer->ending = true;
                        return 0;
                }
                if (r == CHANNEL_E_OVERSIZED)
                        return r;
                r = peer_serve(peer, frame, n);
                if (r != 0)
                        return r;
        }
        return 0;
}

static void peer_update_events(Peer *peer) {
        uint32_t events = 0;

        if (channel_pending(&peer->channel) > 0)
                events |= EPOLLOUT;
        if (!peer_is_busy(peer) && !peer->unserved && !peer->eof)
                events |= EPOLLIN;
        if (peer->watching && !peer->eof)
                events |=
                        EPOLLRDHUP; /* whoever watches says no more: its going is all there is to hear */
        if (poll_item_set_events(&peer->item, events) < 0)
                peer_end_later(peer);
}

/* After any progress: the end of the peer, or what to wait for next. @r: as of peer_serve(). */
static void peer_settle(Peer *peer, int r) {
        if (r < 0)
                log_fault(LOG_ERR, "hanging up on a client");
        if (r != 0 || (peer->ending && channel_pending(&peer->channel) == 0)) {
                peer_free(peer);
                return;
        }
        if (peer->watch_overflow && channel_pending(&peer->channel) == 0)
                peer_tell_overflow(peer);
        peer_update_events(peer);
}

static int peer_receive(Peer *peer) {
        int r = channel_receive(&peer->channel, false);

        switch (r) {
        case 0:
                peer->unserved = true;
                return 0;
        case CHANNEL_E_AGAIN:
                return 0;
        case CHANNEL_E_EOF:
                peer->eof = true;
                return 0;
        default:
                return r < 0 ? error_trace(r) : r;
        }
}

static void peer_on_ready(PollItem *item, uint32_t revents) {
        Peer *peer = peer_of(item);
        int r = 0;

        if (revents & EPOLLOUT) {
                r = channel_flush(&peer->channel);
                if (r == CHANNEL_E_AGAIN)
                        r = 0;
        }
        if (r == 0 && (revents & EPOLLIN) && !peer_is_busy(peer) && !peer->unserved)
                r = peer_receive(peer);
        else if ((revents & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) &&
                 (peer_is_busy(peer) || !peer->unserved))
                r = CHANNEL_E_EOF; /* nobody is there to read an answer; calls without one are still
                                      served */
        if (r == 0 && !peer->ending)
                r = peer_serve_turn(peer);
        peer_settle(peer, r); /* the peer may be gone */
}

static void peer_on_turn(PollItem *item) {
        Peer *peer = peer_of(item);

        if (peer->ending)
                peer_free(peer);
        else
                peer_settle(peer, peer_serve_turn(peer)); /* the peer may be gone */
}

/* ---- begin and end ----------------------------------------------------------------------------- */

/* One error, said before anything was asked: the answer to whatever is asked first. */
static void refuse_connection(Services *services, Subject *subject, int fd, int outcome) {
        ErrorParameters parameters =
                refusal_of_quota(&services->accounts, RESOURCE_CONNECTIONS, outcome);
        const WireError *error = &wire_errors[WIRE_ERROR_QUOTA_EXCEEDED];

        event_hub_emit_quota(&services->hub, subject, NULL, parameters.resource,
                             (uint64_t)parameters.limit, parameters.reason);
        if (message_encode_reply(&services->buffer, &(Reply){ .error = error->name }, error->parameters,
                                 &parameters) == 0)
                send(fd, services->buffer.data, services->buffer.n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int peer_new(Services *services, PeerList *list, int fd) {
        const Policy *policy = services->config->policy;
        const SubjectQuestions questions = {
                .cgroups = policy_asks_cgroup(policy) ? &services->cgroups : NULL,
                .label = policy_asks_label(policy),
        };
        Peer *peer = calloc(1, sizeof(*peer));
        int r;

        if (!peer) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        peer->services = services;
        peer->watcher.notify = peer_notify;
        LIST_INIT(&peer->leases.leases);
        channel_init(&peer->channel, fd, CALL_SIZE_MAX, false);
        LIST_INSERT_HEAD(&list->peers, peer, entry);
        peer->item = (PollItem){ .fd = fd, .on_ready = peer_on_ready, .on_turn = peer_on_turn };

        r = subject_new(fd, &questions, &peer->subject);
        if (r == 0)
                r = accounts_user(&services->accounts, peer->subject->uid, &peer->user);
        if (r == 0) {
                r = user_charge(peer->user, RESOURCE_CONNECTIONS, 1, &peer->charge);
                if (r > 0) {
                        refuse_connection(services, peer->subject, fd, r);
                        r = PEER_E_LIMIT;
                }
        }
        if (r == 0)
                r = poll_item_add(&peer->item, &services->poller, EPOLLIN);
        if (r != 0)
                peer_free(peer);
        return r < 0 ? error_trace(r) : r;
}

void peer_list_end(PeerList *list) {
        while (!LIST_EMPTY(&list->peers)) {
                Peer *peer = LIST_FIRST(&list->peers);

                channel_flush(&peer->channel);
                lease_owner_end(&peer->leases, MEMBER_LEAVE_REVOKED, "the broker stops");
                peer_free(peer);
        }
}
