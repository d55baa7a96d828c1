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

#include "daemon/clock.h"
#include "daemon/dispatch.h"
#include "daemon/listing.h"
#include "daemon/log.h"
#include "daemon/peer-private.h"
#include "daemon/process.h"
#include "daemon/refusal.h"
#include "daemon/subscription.h"
#include "proto/channel.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"

CLEANUP_DEFINE(Listing, listing_free)

#define CALL_USEC_MAX (CALL_SEC_MAX * UINT64_C(1000000))

static Peer *peer_of(PollItem *item) {
        return (Peer *)((char *)item - offsetof(Peer, item));
}

/* ---- the end ----------------------------------------------------------------------------------- */

static void peer_end_partial(Peer *peer) {
        if (peer->partial_usec == 0)
                return;
        TAILQ_REMOVE(&peer->list->partial, peer, partial);
        peer->partial_usec = 0;
}

static void peer_free(Peer *peer) {
        LIST_REMOVE(peer, entry);
        poll_item_remove(&peer->item);
        outbox_deinit(&peer->outbox);
        channel_deinit(&peer->channel);
        subscription_end(&peer->subscription);
        listing_free(peer->listing);
        cgroup_search_free(peer->search);
        peer_end_partial(peer);
        lease_owner_end(&peer->leases, MEMBER_LEAVE_LOST, "the connection has ended");
        process_unref(peer->process);
        charge_deinit(&peer->descriptor);
        charge_deinit(&peer->connection);
        user_unref(peer->user);
        subject_unref(peer->subject);
        free(peer);
}

/*
 * Its leases end in parts: of who has many nobody is to wait for all. But the other connections of its
 * user wait, so that one who comes back finds what it has left.
 */
static void peer_leave(Peer *peer) {
        subscription_end(&peer->subscription);
        peer->listing = listing_free(peer->listing);
        peer_end_partial(peer);
        peer->leaving = !lease_owner_end_some(&peer->leases, MEMBER_LEAVE_LOST,
                                              "the connection has ended", TURN_USEC);
        if (peer->leaving)
                poll_item_go_on(&peer->item);
        else
                peer->process = process_unref(peer->process);
}

/*
 * The client has gone, or is hung up on. Descriptors that it has not received stay under way until it
 * closes or reads, whatever is done here: so long the socket is kept, which tells, and its user pays.
 * That the other end hangs up says nothing: it may have shut down, and still have all that was sent.
 */
static void peer_end(Peer *peer) {
        peer_leave(peer);
        if (peer->leaving)
                return;
        if (flight_is_over(&peer->outbox.flight)) {
                peer_free(peer);
                return;
        }
        peer->lingering = true;
        /* A new event, each time that something was read. */
        if (poll_item_set_events(&peer->item, EPOLLOUT | EPOLLET) < 0)
                peer_free(peer);
}

/* May be called anywhere; the peer goes on until its turn comes. */
static void peer_end_later(Peer *peer) {
        peer->ending = true;
        poll_item_request_turn(&peer->item);
}

/* ---- callbacks of the context ------------------------------------------------------------------ */

static int peer_get_process(Context *context, Process **ret) {
        _cleanup_(charge_deinit) Charge charge = {};
        Peer *peer = context->peer;
        int pidfd, r;

        /* Who shares the connection of a process that has exited gets nothing that would end with it. */
        if (peer->process && peer->process->exited)
                return SUBJECT_E_GONE;
        if (!peer->process) {
                if (user_charge(peer->user, RESOURCE_DESCRIPTORS, 1, &charge) != 0)
                        return SUBJECT_E_NO_DESCRIPTOR;
                r = subject_open_pidfd(peer->subject, peer->channel.fd, &pidfd);
                if (r != 0)
                        return r < 0 ? error_trace(r) : r;
                r = process_new(peer->services->event, pidfd, &peer->process);
                if (r < 0)
                        return error_trace(r);
                peer->process->charge = charge_take(&charge);
        }
        *ret = peer->process;
        return 0;
}

static int peer_watch(Context *context) {
        Peer *peer = context->peer;

        return subscription_begin(&peer->subscription);
}

static int peer_list(Context *context) {
        Peer *peer = context->peer;

        return listing_new(peer->services, peer->subject, peer->user, &peer->listing);
}

/* ---- calls ------------------------------------------------------------------------------------- */

/* In place of an answer that cannot be sent: an error, with nothing beside it. */
static int peer_answer_instead(Peer *peer, Context *context, WireErrorId error,
                               const ErrorParameters *parameters) {
        MessageBuffer *buffer = &peer->services->buffer;
        int r;

        fdlist_deinit(&context->fds);
        context->answered = false;
        r = context_refuse(context, error, parameters);
        return r < 0 ? error_trace(r) : outbox_send(&peer->outbox, buffer->data, buffer->n, NULL);
}

/* Sends the answer, if there is one. As outbox_send(); *@ret_delivered: what it promises is the
 * client's. */
static int peer_answer(Peer *peer, Context *context, bool *ret_delivered) {
        MessageBuffer *buffer = &peer->services->buffer;
        ErrorParameters quota;
        Resource resource;
        int r;

        *ret_delivered = false;
        if (!context->answered)
                return 0;
        r = outbox_reserve(&peer->outbox, buffer->n, context->fds.n, &resource);
        if (r > 0) {
                quota = refusal_of_quota(&peer->services->accounts, resource, r);
                event_hub_emit_quota(&peer->services->hub, peer->subject, NULL, quota.resource,
                                     (uint64_t)quota.limit, quota.reason);
                return peer_answer_instead(peer, context, WIRE_ERROR_QUOTA_EXCEEDED, &quota);
        }
        r = outbox_send(&peer->outbox, buffer->data, buffer->n, &context->fds);
        *ret_delivered = r == 0 || r == CHANNEL_E_AGAIN;
        if (r != -ETOOMANYREFS)
                return r;
        /* Others of the broker's user have so many under way that the kernel takes no more. */
        return peer_answer_instead(peer, context, WIRE_ERROR_SYSTEM_FAILURE,
                                   &(ErrorParameters){ .step = "sendmsg",
                                                       .errno_name = strerrorname_np(ETOOMANYREFS),
                                                       .message = strerrordesc_np(ETOOMANYREFS) });
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
                .list = peer_list,
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
        return peer->subscription.active || peer->listing || peer->congested ||
               channel_pending(&peer->channel) > 0;
}

/* In place of a list that cannot be had. As outbox_send(). */
static int peer_refuse_list(Peer *peer, const ErrorParameters *parameters) {
        MessageBuffer *buffer = &peer->services->buffer;
        const WireError *error = &wire_errors[WIRE_ERROR_QUOTA_EXCEEDED];
        int r = message_encode_reply(buffer, &(Reply){ .error = error->name }, error->parameters,
                                     parameters);

        return r < 0 ? error_trace(r) : outbox_send(&peer->outbox, buffer->data, buffer->n, NULL);
}

/* Goes on with the answer to a List. As peer_serve(). */
static int peer_serve_listing(Peer *peer) {
        _cleanup_(listing_freep) Listing *listing = ptr_take(peer->listing);
        const MessageBuffer *reply;
        ErrorParameters refusal = { .resource = "bytes in one reply", .limit = REPLY_SIZE_MAX };
        int outcome, r;

        r = listing_step(listing, &outcome);
        if (r == LISTING_E_AGAIN) {
                peer->listing = ptr_take(listing);
                poll_item_request_turn(&peer->item);
                return 0;
        }
        if (r < 0)
                return error_trace(r);
        if (r == LISTING_E_QUOTA)
                refusal = refusal_of_quota(&peer->services->accounts, RESOURCE_BYTES, outcome);
        if (r > 0) {
                r = peer_refuse_list(peer, &refusal);
        } else {
                reply = listing_finish(listing);
                r = outbox_send(&peer->outbox, reply->data, reply->n, NULL);
        }
        return r == CHANNEL_E_AGAIN ? 0 : r;
}

/* Serves what has been read, up to one turn's worth. As peer_serve(). */
static int peer_serve_turn(Peer *peer) {
        uint64_t begin = clock_usec(CLOCK_MONOTONIC);
        char *frame;
        size_t n;
        int r;

        if (peer->congested)
                peer->congested = !flight_is_over(&peer->outbox.flight);
        if (peer->listing) {
                r = peer_serve_listing(peer);
                if (r != 0 || peer->listing)
                        return r;
        }
        for (int i = 0; !peer->ending && !peer_is_busy(peer); i++) {
                if (i == CALLS_PER_TURN || (i > 0 && clock_usec(CLOCK_MONOTONIC) - begin >= TURN_USEC)) {
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
                peer_end_partial(peer);
                r = peer_serve(peer, frame, n);
                if (r != 0)
                        return r;
                if (peer->listing)
                        poll_item_request_turn(&peer->item);
                peer->congested = flight_is_long(&peer->outbox.flight);
        }
        return 0;
}

static void peer_update_events(Peer *peer) {
        uint32_t events = 0;

        if (channel_pending(&peer->channel) > 0)
                events |= EPOLLOUT;
        else if (peer->congested)
                events |= EPOLLOUT | EPOLLET; /* a new event, each time that something was read */
        if (!peer_is_busy(peer) && !peer->unserved && !peer->eof)
                events |= EPOLLIN;
        if (peer->subscription.active && !peer->eof)
                events |=
                        EPOLLRDHUP; /* whoever watches says no more: its going is all there is to hear */
        if (poll_item_set_events(&peer->item, events) < 0)
                peer_end_later(peer);
}

static void peer_list_set_timer(PeerList *list) {
        const Peer *first = TAILQ_FIRST(&list->partial);

        if (timer_set(&list->timer, first->partial_usec + CALL_USEC_MAX) < 0)
                log_fault(LOG_WARNING, "calls that are never finished are waited for");
        *list->timers_changed = true;
}

/* A call that has begun to come has to be whole in time. */
static void peer_update_partial(Peer *peer) {
        PeerList *list = peer->list;

        if (peer->unserved || frame_reader_pending(&peer->channel.in) == 0 || peer->partial_usec > 0)
                return;
        peer->partial_usec = clock_usec(CLOCK_MONOTONIC);
        TAILQ_INSERT_TAIL(&list->partial, peer, partial);
        if (TAILQ_FIRST(&list->partial) == peer)
                peer_list_set_timer(list);
}

/* After any progress: the end of the peer, or what to wait for next. @r: as of peer_serve(). */
static void peer_settle(Peer *peer, int r) {
        if (r < 0)
                log_fault(LOG_ERR, "hanging up on a client");
        if (r != 0 || (peer->ending && channel_pending(&peer->channel) == 0)) {
                peer_end(peer);
                return;
        }
        if (channel_pending(&peer->channel) == 0)
                subscription_catch_up(&peer->subscription);
        peer_update_partial(peer);
        peer_update_events(peer);
}

static void peer_on_sent(Subscription *subscription, int r) {
        Peer *peer = (Peer *)((char *)subscription - offsetof(Peer, subscription));

        if (r == CHANNEL_E_AGAIN)
                peer_update_events(peer);
        else if (r != 0)
                peer_end_later(peer);
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

/* What its socket is ready for. */
static int peer_exchange(Peer *peer, uint32_t revents) {
        int r = 0;

        if (revents & EPOLLOUT) {
                r = outbox_flush(&peer->outbox);
                if (r == CHANNEL_E_AGAIN)
                        r = 0;
        }
        if (r == 0 && (revents & EPOLLIN) && !peer_is_busy(peer) && !peer->unserved)
                r = peer_receive(peer);
        else if ((revents & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) &&
                 (peer_is_busy(peer) || !peer->unserved))
                r = CHANNEL_E_EOF; /* nobody is there to read an answer; calls without one are still
                                      served */
        return r;
}

/* As peer_serve(). */
static int peer_advance(Peer *peer, uint32_t revents) {
        int r = peer_exchange(peer, revents);

        return r == 0 && !peer->ending ? peer_serve_turn(peer) : r;
}

/* The peer may be gone afterwards. */
static void peer_on_turn(PollItem *item, uint32_t revents) {
        Peer *peer = peer_of(item);
        bool before;
        int r;

        if (peer->refused) {
                peer_refuse(peer);
                peer_free(peer);
                return;
        }
        if (peer->leaving) {
                peer_end(peer);
                return;
        }
        if (peer->lingering) {
                if (flight_is_over(&peer->outbox.flight))
                        peer_free(peer);
                return;
        }
        before = peer->unserved;
        r = peer_greet(peer);
        if (r == SUBJECT_E_AGAIN) {
                peer->item.revents |= revents;
                poll_item_request_turn(&peer->item);
                return;
        }
        if (r == 0)
                r = peer_advance(peer, revents);
        /* Nothing was left of what had been read before: what has come since is not put off until epoll
         * tells of it, which is after what others said later. */
        if (r == 0 && before && !peer->unserved && !peer->ending)
                r = peer_advance(peer, EPOLLIN);
        peer_settle(peer, r);
}

/* ---- begin and end ----------------------------------------------------------------------------- */

static Peer *peer_alloc(Services *services, PeerList *list, int fd) {
        Peer *peer = calloc(1, sizeof(*peer));

        if (!peer)
                return NULL;
        peer->services = services;
        peer->list = list;
        LIST_INIT(&peer->leases.leases);
        channel_init(&peer->channel, fd, CALL_SIZE_MAX, false);
        peer->outbox.channel = &peer->channel;
        LIST_INSERT_HEAD(&list->peers, peer, entry);
        peer->item = (PollItem){ .fd = fd, .on_turn = peer_on_turn };
        return peer;
}

/* Finds out whose it is. Returns 0 or a negative errno. */
static int peer_identify(Peer *peer) {
        int r;

        r = subject_new(peer->channel.fd, &peer->subject);
        if (r == 0)
                r = accounts_user(&peer->services->accounts, peer->subject->uid, &peer->user);
        if (r < 0)
                return error_trace(r);
        peer->outbox.user = peer->user;
        peer->item.share = &peer->user->turns;
        peer->subscription = (Subscription){ .services = peer->services,
                                             .subject = peer->subject,
                                             .outbox = &peer->outbox,
                                             .on_sent = peer_on_sent };
        return 0;
}

/* Lets it in, or has it wait to be turned away. Of those who are too many some are hung up on without a
 * word: they hold a descriptor as well. Returns 0, PEER_E_LIMIT, or a negative errno. */
static int peer_admit(Peer *peer) {
        Poller *poller = &peer->services->poller;
        int r;

        peer->refusal.outcome = peer_charge(peer, &peer->refusal.resource);
        if (peer->refusal.outcome == 0) {
                r = poll_item_add(&peer->item, poller, EPOLLIN);
                return r < 0 ? error_trace(r) : 0;
        }
        peer->refused = user_charge(peer->user, RESOURCE_REFUSALS, 1, &peer->connection) == 0;
        if (peer->refused)
                poll_item_add_turn(&peer->item, poller);
        return PEER_E_LIMIT;
}

int peer_new(Services *services, PeerList *list, int fd) {
        Peer *peer = peer_alloc(services, list, fd);
        int r;

        if (!peer) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        r = peer_identify(peer);
        if (r == 0)
                r = peer_admit(peer);
        if (r != 0 && !peer->refused)
                peer_free(peer);
        return r < 0 ? error_trace(r) : r;
}

/* ---- all of them ------------------------------------------------------------------------------- */

/* Hangs up on those whose call has not come in time. */
static void peer_list_on_elapsed(Timer *timer) {
        PeerList *list = (PeerList *)((char *)timer - offsetof(PeerList, timer));
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        Peer *peer;

        while ((peer = TAILQ_FIRST(&list->partial)) && peer->partial_usec + CALL_USEC_MAX <= now) {
                peer_end_partial(peer);
                peer_end_later(peer);
        }
        if (peer)
                peer_list_set_timer(list);
}

int peer_list_init(PeerList *list, Services *services) {
        LIST_INIT(&list->peers);
        TAILQ_INIT(&list->partial);
        list->timers_changed = &services->endpoints.timers_changed;
        return error_trace(timer_init(&list->timer, services->event, peer_list_on_elapsed));
}

void peer_list_flush(PeerList *list) {
        Peer *peer;

        LIST_FOREACH (peer, &list->peers, entry)
                (void)channel_flush(&peer->channel);
}

void peer_list_end(PeerList *list) {
        while (!LIST_EMPTY(&list->peers)) {
                Peer *peer = LIST_FIRST(&list->peers);

                (void)channel_flush(&peer->channel); /* as much as goes at once */
                lease_owner_end(&peer->leases, MEMBER_LEAVE_REVOKED, "the broker stops");
                peer_free(peer);
        }
        timer_deinit(&list->timer);
}
