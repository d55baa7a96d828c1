/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The states of members, and every way from one to another. Who holds a member is lease.c's; which ones
 * take new flows follows from the states, in group.c.
 */

#include "daemon/member.h"

#include <assert.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/endpoint.h"
#include "daemon/lease.h"
#include "daemon/log.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/fdlist.h"

enum {
        /* What the kernel charges for a small one. */
        DATAGRAM_MEMORY = 832,
};

void member_touch(Member *member) {
        state_mark_touch(&member->saved, member->endpoint->registry->marks, STATE_MEMBER);
}

static void member_set_state(Member *member, MemberState state) {
        member->state = state;
        member_touch(member);
}

/* ---- coming and going --------------------------------------------------------------------------- */

static void member_on_alarm(Alarm *alarm, uint32_t events) {
        Member *member = (Member *)((char *)alarm - offsetof(Member, alarm));

        if (events & (EPOLLHUP | EPOLLRDHUP) && member->endpoint->registry->on_shut_down)
                member->endpoint->registry->on_shut_down(member);
}

int endpoint_add_member(Endpoint *endpoint, int fd, Member **ret) {
        _cleanup_(fd_closep) int owned = fd;
        socklen_t size = sizeof(uint64_t);
        Member *member;
        uint64_t cookie;

        if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0)
                return error_origin(-errno);
        member = calloc(1, sizeof(*member));
        if (!member)
                return error_origin(-ENOMEM);
        member->id = id_next(endpoint->registry->ids);
        member->endpoint = endpoint;
        member->fd = fd_take(&owned);
        member->cookie = cookie;
        member->state = MEMBER_LIVE;
        member->weight = MEMBER_WEIGHT_DEFAULT;
        member->alarm = (Alarm){ .fd = member->fd, .on_alarm = member_on_alarm };
        LIST_INIT(&member->leases);
        TAILQ_INSERT_TAIL(&endpoint->members, member, entry);
        endpoint->n_members++;
        member_touch(member);
        *ret = member;
        return 0;
}

int member_enter(Member *member, bool standby, uint32_t weight) {
        int r;

        member_set_state(member, standby ? MEMBER_STANDBY : MEMBER_LIVE);
        member->weight = weight;
        /* Only a new event: an error queue that nobody reads would ring for ever. */
        r = alarm_add(&member->alarm, &member->endpoint->registry->alarms, EPOLLRDHUP | EPOLLET);
        if (r < 0)
                return error_trace(r);
        r = group_join(member);
        if (r == 0)
                r = group_publish(member->endpoint);
        return r < 0 ? error_trace(r) : r;
}

/* The broker's side of it: nothing that is told of it afterwards concerns anybody. */
static void member_detach(Member *member) {
        Endpoint *endpoint = member->endpoint;

        departure_cancel(&endpoint->registry->departures, member);
        drain_cancel(&endpoint->registry->drains, member);
        alarm_remove(&member->alarm);
        group_leave(member);
        endpoint_unlink_member(member);
        endpoint->n_members--;
        sd_event_source_disable_unref(member->retain_timer);
        state_mark_end(&member->saved);
}

void member_close(Member *member) {
        const Endpoint *endpoint = member->endpoint;

        assert(LIST_EMPTY(&member->leases));
        member_detach(member);
        /*
         * A stray holder may listen again on what is shut down. As its own user's socket it cannot come
         * back into a group, whose sockets are all the broker's.
         */
        if (!endpoint->passed && member->last_holder && member->last_holder->uid != geteuid() &&
            address_is_tcp(&endpoint->address))
                (void)!fchown(member->fd, member->last_holder->uid, member->last_holder->gid);
        /* Of no effect on packets of IP, which a stray holder goes on to receive. */
        if (!address_has_packets(&endpoint->address) && !endpoint->passed)
                shutdown(member->fd, SHUT_RDWR);
        fd_store_remove(&member->kept);
        socket_close(member->fd);
        charge_deinit(&member->charge);
        subject_unref(member->last_holder);
        free(member);
}

void member_hand_over(Member *member) {
        Endpoint *endpoint = member->endpoint;

        group_note_flows(endpoint);
        member_close(member);
        group_nudge(endpoint);
}

int member_resume(Member *member, MemberState state, uint32_t weight) {
        int r;

        member->state = state;
        member->weight = weight;
        r = alarm_add(&member->alarm, &member->endpoint->registry->alarms, EPOLLRDHUP | EPOLLET);
        return error_trace(r);
}

/* ---- lists --------------------------------------------------------------------------------------- */

static void member_tell(const Member *member, const Lease *lease, const char *what, const char *reason) {
        event_hub_emit(member->endpoint->registry->hub,
                       &(Event){ .what = what,
                                 .endpoint = member->endpoint,
                                 .member = member,
                                 .lease = lease,
                                 .subject = lease ? lease->subject : member->last_holder,
                                 .reason = reason });
}

static void member_depart(Member *member) {
        Endpoint *endpoint = member->endpoint;

        member_set_state(member, MEMBER_DRAINING);
        drain_cancel(&endpoint->registry->drains, member);
        if (!group_is_steered(endpoint)) {
                member_hand_over(member);
                return;
        }
        group_touch(endpoint);
        departure_begin(&endpoint->registry->departures, member);
}

/* Orphans are found at the head of the list. */
static void member_move_to_head(Member *member) {
        endpoint_unlink_member(member);
        TAILQ_INSERT_HEAD(&member->endpoint->members, member, entry);
}

/* Somebody is live: what was kept for want of that goes to the live ones, where the kernel can. */
static void member_relieve_parked(Endpoint *endpoint) {
        Member *member, *next;

        if (!group_is_steered(endpoint) || !group_migrates(endpoint))
                return;
        for (member = TAILQ_FIRST(&endpoint->members); member && member->orphan; member = next) {
                next = TAILQ_NEXT(member, entry);
                if (member->state != MEMBER_PARKED)
                        continue;
                member->retain_timer = sd_event_source_disable_unref(member->retain_timer);
                member->orphan = MEMBER_ORPHAN_DEPARTING;
                member_depart(member);
        }
}

/* ---- without a lease ------------------------------------------------------------------------------ */

static int member_retain_over(sd_event_source *source, uint64_t usec, void *userdata) {
        static const char reason[] = "no client came within retainSec";
        Member *member = userdata;
        Endpoint *endpoint = member->endpoint;

        if (endpoint->n_members == 1) {
                endpoint_close(endpoint, reason);
                return 0;
        }
        member->orphan = MEMBER_ORPHAN_NOT;
        member->retain_timer = sd_event_source_disable_unref(member->retain_timer);
        member_tell(member, NULL, "closed", reason);
        member_depart(member);
        return 0;
}

/* Back to sleep until retain_until_usec. Returns 0 or a negative errno. */
static int member_park(Member *member) {
        int r = 0;

        if (!member->endpoint->passed)
                r = sd_event_add_time(member->endpoint->registry->event, &member->retain_timer,
                                      CLOCK_MONOTONIC, member->retain_until_usec, 0, member_retain_over,
                                      member);
        if (r < 0)
                return error_origin(r);
        member->endpoint->registry->timers_changed = true;
        member_set_state(member, MEMBER_PARKED);
        member->orphan = MEMBER_ORPHAN_PARKED;
        drain_cancel(&member->endpoint->registry->drains, member);
        member_move_to_head(member);
        group_touch(member->endpoint);
        return 0;
}

/* Whether what waits on a member that was lost is best kept for another client, and not given to the
 * others, or to nobody. */
static bool member_is_worth_parking(const Member *member) {
        const Endpoint *endpoint = member->endpoint;

        if (endpoint->retain_usec == 0 || member->state == MEMBER_STANDBY)
                return false;
        if (!group_has_live(endpoint, member))
                return true;
        /* Beside live ones it must take nothing itself. */
        return group_is_steered(endpoint) && !group_migrates(endpoint);
}

static bool member_keep(Member *member, const char *reason) {
        if (!member_is_worth_parking(member))
                return false;
        member->parked_usec = clock_usec(CLOCK_REALTIME);
        member->retain_until_usec = clock_usec(CLOCK_MONOTONIC) + member->endpoint->retain_usec;
        if (member_park(member) < 0)
                return false;
        member_tell(member, NULL, "parked", reason);
        return true;
}

/* The socket of a .socket unit waits for whoever comes next, for however long. */
static bool member_wait(Member *member, const char *reason) {
        member->parked_usec = clock_usec(CLOCK_REALTIME);
        if (member_park(member) < 0)
                return false;
        if (reason)
                member_tell(member, NULL, "parked", reason);
        return true;
}

/* An adoption that was undone. Returns whether the member is an orphan again. */
static bool member_put_back(Member *member) {
        switch (member->orphan) {
        case MEMBER_ORPHAN_PARKED:
                return member_park(member) == 0;
        case MEMBER_ORPHAN_DEPARTING:
                /* Those that were to inherit from it may have gone meanwhile. */
                if (member->endpoint->n_members == 1)
                        return member_keep(member, "no other member is left");
                member_move_to_head(member);
                member_depart(member);
                return true;
        default:
                return false;
        }
}

void member_leave(Member *member, MemberLeave how, const char *reason) {
        Endpoint *endpoint = member->endpoint;

        assert(LIST_EMPTY(&member->leases));
        if (endpoint->passed && member_wait(member, reason))
                return;
        if (how == MEMBER_LEAVE_UNDONE && member_put_back(member))
                return;
        if (how == MEMBER_LEAVE_LOST && member_keep(member, reason))
                return;
        if (endpoint->n_members == 1) {
                endpoint_close(endpoint, how == MEMBER_LEAVE_UNDONE ? NULL : reason);
                return;
        }
        if (how == MEMBER_LEAVE_LOST && endpoint->retain_usec > 0) {
                member->orphan = MEMBER_ORPHAN_DEPARTING;
                member->parked_usec = clock_usec(CLOCK_REALTIME);
                member_move_to_head(member);
        }
        member_depart(member);
}

void member_idle(Member *member) {
        member_wait(member, NULL);
}

void member_settle(Member *member) {
        if (LIST_EMPTY(&member->leases)) {
                /* Where groups are no longer steered it would take what is for the live ones. */
                if (member->state == MEMBER_PARKED && member_is_worth_parking(member) &&
                    member_park(member) == 0)
                        return;
                member_leave(member, MEMBER_LEAVE_LOST, "its holder was lost with an earlier broker");
                return;
        }
        member->orphan = MEMBER_ORPHAN_NOT;
        if (member->state == MEMBER_DRAINING)
                drain_begin(&member->endpoint->registry->drains, member);
}

void member_adopt(Member *member, uint32_t weight) {
        Endpoint *endpoint = member->endpoint;

        member->retain_timer = sd_event_source_disable_unref(member->retain_timer);
        departure_cancel(&endpoint->registry->departures, member);
        endpoint_unlink_member(member);
        TAILQ_INSERT_TAIL(&endpoint->members, member, entry);
        member_set_state(member, MEMBER_LIVE);
        member->weight = weight;
        member->health.stalled = false;
        health_member_begin(member);
        group_touch(endpoint);
}

void member_commit(Member *member, Subject *holder) {
        member->orphan = MEMBER_ORPHAN_NOT;
        member_set_holder(member, holder);
        if (member->state == MEMBER_LIVE)
                member_relieve_parked(member->endpoint);
}

void member_set_holder(Member *member, Subject *holder) {
        subject_ref(holder);
        subject_unref(member->last_holder);
        member->last_holder = holder;
        member_touch(member);
}

/* ---- generations --------------------------------------------------------------------------------- */

void member_ready(Member *member, const Lease *lease) {
        if (member->state == MEMBER_LIVE)
                return;
        drain_cancel(&member->endpoint->registry->drains, member);
        member_set_state(member, MEMBER_LIVE);
        group_touch(member->endpoint);
        member_tell(member, lease, "readied", NULL);
        member_relieve_parked(member->endpoint);
}

void member_drain(Member *member) {
        member_set_state(member, MEMBER_DRAINING);
        group_touch(member->endpoint);
        drain_begin(&member->endpoint->registry->drains, member);
}

void member_set_weight(Member *member, uint32_t weight) {
        member->weight = weight;
        member_touch(member);
        group_touch(member->endpoint);
}

/* ---- queues --------------------------------------------------------------------------------------- */

/* Of a listener, two fields of TCP_INFO are the accept queue and its bound. */
static bool member_read_listener(const Member *member, struct tcp_info *ret) {
        socklen_t size = sizeof(*ret);

        *ret = (struct tcp_info){ 0 };
        return getsockopt(member->fd, IPPROTO_TCP, TCP_INFO, ret, &size) == 0 &&
               ret->tcpi_state == TCP_LISTEN;
}

static bool member_read_memory(const Member *member, uint32_t ret[static SK_MEMINFO_VARS]) {
        socklen_t size = SK_MEMINFO_VARS * sizeof(*ret);

        return getsockopt(member->fd, SOL_SOCKET, SO_MEMINFO, ret, &size) == 0;
}

void member_read_queue(const Member *member, int64_t *ret_length, int64_t *ret_limit,
                       int64_t *ret_drops) {
        uint32_t memory[SK_MEMINFO_VARS] = { 0 };
        struct tcp_info info;

        *ret_length = *ret_limit = *ret_drops = WIRE_ABSENT;
        switch (member->endpoint->address.transport) {
        case TRANSPORT_TCP:
        case TRANSPORT_MPTCP:
                if (member_read_listener(member, &info)) {
                        *ret_length = info.tcpi_unacked;
                        *ret_limit = info.tcpi_sacked;
                }
                break;
        case TRANSPORT_UDP:
        case TRANSPORT_UDPLITE:
        case TRANSPORT_RAW:
                if (member_read_memory(member, memory))
                        *ret_drops = memory[SK_MEMINFO_DROPS];
                break;
        default:
                break;
        }
}

int64_t member_read_load(const Member *member) {
        uint32_t memory[SK_MEMINFO_VARS] = { 0 };
        struct tcp_info info;

        if (member->endpoint->address.transport == TRANSPORT_TCP)
                return member_read_listener(member, &info) ? info.tcpi_unacked : 0;
        if (!member_read_memory(member, memory))
                return 0;
        return (memory[SK_MEMINFO_RMEM_ALLOC] + DATAGRAM_MEMORY - 1) / DATAGRAM_MEMORY;
}
