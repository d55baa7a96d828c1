/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The life of endpoints and members: made, parked, adopted, closed. Who holds them is lease.c's; what
 * was asked for is acquire.c's.
 */

#include "daemon/endpoint.h"

#include <assert.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "daemon/clock.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/fdlist.h"
#include "proto/message.h"

void endpoint_registry_init(EndpointRegistry *registry, sd_event *event, EventHub *hub, IdSource *ids) {
        *registry = (EndpointRegistry){ .event = event, .hub = hub, .ids = ids };
}

void endpoint_registry_deinit(EndpointRegistry *registry) {
        Endpoint *endpoint, *next;

        HASH_ITER (hh, registry->by_key, endpoint, next)
                endpoint_close(endpoint, "the broker stops");
}

size_t endpoint_registry_count(const EndpointRegistry *registry) {
        return HASH_CNT(hh, registry->by_key);
}

const char *endpoint_key(const Address *address, char buffer[static ENDPOINT_KEY_MAX]) {
        char *end = stpcpy(buffer, address_network(address));

        *end = ' ';
        address_format(address, end + 1);
        return buffer;
}

Endpoint *endpoint_find(const EndpointRegistry *registry, const char *key) {
        Endpoint *endpoint;

        HASH_FIND(hh, registry->by_key, key, strlen(key), endpoint);
        return endpoint;
}

Endpoint *endpoint_find_named(const EndpointRegistry *registry, const char *name) {
        Endpoint *endpoint;

        HASH_FIND(hh_name, registry->by_name, name, strlen(name), endpoint);
        return endpoint;
}

Endpoint *endpoint_find_any(const EndpointRegistry *registry, const char *text) {
        Endpoint *endpoint = endpoint_find_named(registry, text) ?: endpoint_find(registry, text);
        uint64_t id = id_parse(registry->ids, 'e', text);

        if (!endpoint && id > 0)
                for (endpoint = registry->by_key; endpoint && endpoint->id != id;)
                        endpoint = endpoint->hh.next;
        return endpoint;
}

static Endpoint *endpoint_free(Endpoint *endpoint) {
        free(endpoint->key);
        free(endpoint->name);
        free(endpoint->requested);
        free(endpoint);
        return NULL;
}

int endpoint_new(EndpointRegistry *registry, const Address *address, const char *name, Sharing sharing,
                 const Options *requested, uint64_t retain_usec, uid_t owner, Endpoint **ret) {
        char key[ENDPOINT_KEY_MAX];
        Endpoint *endpoint;
        void *copy = NULL;
        int r = 0;

        endpoint = calloc(1, sizeof(*endpoint));
        if (!endpoint)
                return error_origin(-ENOMEM);
        endpoint->registry = registry;
        endpoint->address = *address;
        endpoint->sharing = sharing;
        endpoint->retain_usec = retain_usec;
        endpoint->owner = owner;
        TAILQ_INIT(&endpoint->members);
        endpoint->key = strdup(endpoint_key(address, key));
        if (!endpoint->key)
                r = error_origin(-ENOMEM);
        if (r == 0 && requested)
                r = wire_copy(&wire_options, requested, &copy);
        endpoint->requested = copy;
        if (r < 0) {
                endpoint_free(endpoint);
                return error_trace(r);
        }
        endpoint->id = id_next(registry->ids);
        HASH_ADD_KEYPTR(hh, registry->by_key, endpoint->key, strlen(endpoint->key), endpoint);
        if (hash_add_failed(hh, endpoint)) {
                endpoint_free(endpoint);
                return error_origin(-ENOMEM);
        }
        if (name) {
                r = endpoint_rename(endpoint, name);
                if (r < 0) {
                        endpoint_close(endpoint, NULL);
                        return error_trace(r);
                }
        }
        *ret = endpoint;
        return 0;
}

/* Takes over @name. Returns whether there was memory; if not, the endpoint has no name. */
static bool endpoint_set_name(Endpoint *endpoint, char *name) {
        endpoint->name = name;
        if (!name)
                return true;
        HASH_ADD_KEYPTR(hh_name, endpoint->registry->by_name, endpoint->name, strlen(name), endpoint);
        if (!hash_add_failed(hh_name, endpoint))
                return true;
        free(ptr_take(endpoint->name));
        return false;
}

int endpoint_rename(Endpoint *endpoint, const char *name) {
        char *copy = name ? strdup(name) : NULL, *before = endpoint->name;

        if (name && !copy)
                return error_origin(-ENOMEM);
        if (before)
                HASH_DELETE(hh_name, endpoint->registry->by_name, endpoint);
        if (endpoint_set_name(endpoint, copy)) {
                free(before);
                return 0;
        }
        /* Into the place in the table that it has just left. */
        endpoint_set_name(endpoint, before);
        return error_origin(-ENOMEM);
}

static bool endpoint_has_file(const Endpoint *endpoint) {
        return address_family(&endpoint->address) == AF_UNIX &&
               endpoint->address.u.un.sun_path[0] != '\0';
}

/* Remembers which file the broker made, so that it never removes one that somebody put in its place. */
static void endpoint_note_file(Endpoint *endpoint) {
        struct stat st;

        if (!endpoint_has_file(endpoint) || lstat(endpoint->address.u.un.sun_path, &st) < 0)
                return;
        endpoint->file_device = st.st_dev;
        endpoint->file_inode = st.st_ino;
}

static void endpoint_remove_file(const Endpoint *endpoint) {
        struct stat st;

        if (endpoint->file_inode == 0 || lstat(endpoint->address.u.un.sun_path, &st) < 0)
                return;
        if (S_ISSOCK(st.st_mode) && st.st_dev == endpoint->file_device &&
            st.st_ino == endpoint->file_inode)
                unlink(endpoint->address.u.un.sun_path);
}

/* Ends the socket for everybody who may still hold it. */
static void member_free(Member *member) {
        Endpoint *endpoint = member->endpoint;

        assert(LIST_EMPTY(&member->leases));
        TAILQ_REMOVE(&endpoint->members, member, entry);
        endpoint->n_members--;
        sd_event_source_disable_unref(member->retain_timer);
        /*
         * A stray holder may listen again on what is shut down. As its own user's socket it cannot come
         * back into a group, whose sockets are all the broker's.
         */
        if (member->last_holder && member->last_holder->uid != geteuid() &&
            endpoint->address.transport == TRANSPORT_TCP)
                (void)!fchown(member->fd, member->last_holder->uid, member->last_holder->gid);
        /* Of no effect on UDP, where a stray holder goes on to receive. */
        if (endpoint->address.transport != TRANSPORT_UDP)
                shutdown(member->fd, SHUT_RDWR);
        socket_close(member->fd);
        subject_unref(member->last_holder);
        free(member);
}

Endpoint *endpoint_close(Endpoint *endpoint, const char *reason) {
        EndpointRegistry *registry = endpoint->registry;
        const Member *first = TAILQ_FIRST(&endpoint->members);
        Subject *holder = first && first->last_holder ? subject_ref(first->last_holder) : NULL;

        while (!TAILQ_EMPTY(&endpoint->members))
                member_free(TAILQ_FIRST(&endpoint->members));
        endpoint_remove_file(endpoint);
        if (reason)
                event_hub_emit(registry->hub, &(Event){ .what = "closed",
                                                        .endpoint = endpoint,
                                                        .subject = holder,
                                                        .reason = reason });
        subject_unref(holder);
        HASH_DELETE(hh, registry->by_key, endpoint);
        if (endpoint->name)
                HASH_DELETE(hh_name, registry->by_name, endpoint);
        return endpoint_free(endpoint);
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
        LIST_INIT(&member->leases);
        TAILQ_INSERT_TAIL(&endpoint->members, member, entry);
        if (endpoint->n_members++ == 0)
                endpoint_note_file(endpoint);
        *ret = member;
        return 0;
}

Member *endpoint_parked_member(const Endpoint *endpoint) {
        Member *member = TAILQ_FIRST(&endpoint->members);

        return member && member->state == MEMBER_PARKED ? member : NULL;
}

const Lease *endpoint_first_lease(const Endpoint *endpoint) {
        Member *member = TAILQ_FIRST(&endpoint->members);

        return member ? LIST_FIRST(&member->leases) : NULL;
}

static int member_retain_over(sd_event_source *source, uint64_t usec, void *userdata) {
        Member *member = userdata;

        endpoint_close(member->endpoint, "no client came within retainSec");
        return 0;
}

/* Back to sleep until retain_until_usec. Returns 0 or a negative errno. */
static int member_park(Member *member) {
        int r;

        r = sd_event_add_time(member->endpoint->registry->event, &member->retain_timer, CLOCK_MONOTONIC,
                              member->retain_until_usec, 0, member_retain_over, member);
        if (r < 0)
                return error_origin(r);
        member->endpoint->registry->timers_changed = true;
        member->state = MEMBER_PARKED;
        return 0;
}

void member_leave(Member *member, MemberLeave how, const char *reason) {
        Endpoint *endpoint = member->endpoint;
        bool last = endpoint->n_members == 1;

        assert(LIST_EMPTY(&member->leases));
        if (how == MEMBER_LEAVE_UNDONE && member->retain_until_usec > 0 && member_park(member) == 0)
                return;
        if (how == MEMBER_LEAVE_LOST && last && endpoint->retain_usec > 0) {
                member->parked_usec = clock_usec(CLOCK_REALTIME);
                member->retain_until_usec = clock_usec(CLOCK_MONOTONIC) + endpoint->retain_usec;
                if (member_park(member) == 0) {
                        event_hub_emit(endpoint->registry->hub, &(Event){ .what = "parked",
                                                                          .endpoint = endpoint,
                                                                          .member = member,
                                                                          .subject = member->last_holder,
                                                                          .reason = reason });
                        return;
                }
        }
        if (last)
                endpoint_close(endpoint, how == MEMBER_LEAVE_UNDONE ? NULL : reason);
        else
                member_free(member);
}

void member_adopt(Member *member) {
        member->retain_timer = sd_event_source_disable_unref(member->retain_timer);
        member->state = MEMBER_LIVE;
}

void member_commit(Member *member, Subject *holder) {
        member->retain_until_usec = 0;
        member_set_holder(member, holder);
}

void member_set_holder(Member *member, Subject *holder) {
        subject_ref(holder);
        subject_unref(member->last_holder);
        member->last_holder = holder;
}

void member_read_queue(const Member *member, int64_t *ret_length, int64_t *ret_limit,
                       int64_t *ret_drops) {
        uint32_t memory[SK_MEMINFO_VARS] = { 0 };
        struct tcp_info info = { 0 };
        socklen_t size;

        *ret_length = *ret_limit = *ret_drops = WIRE_ABSENT;
        switch (member->endpoint->address.transport) {
        case TRANSPORT_TCP:
                size = sizeof(info);
                if (getsockopt(member->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
                    info.tcpi_state == TCP_LISTEN) {
                        /* Of a listener, these two are the accept queue and its bound. */
                        *ret_length = info.tcpi_unacked;
                        *ret_limit = info.tcpi_sacked;
                }
                break;
        case TRANSPORT_UDP:
                size = sizeof(memory);
                if (getsockopt(member->fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0)
                        *ret_drops = memory[SK_MEMINFO_DROPS];
                break;
        default:
                break;
        }
}

const char *endpoint_continuity(const Endpoint *endpoint, bool migrate_req, const char **ret_reason) {
        bool group = endpoint->sharing == SHARING_GROUP && endpoint->n_members > 1;

        *ret_reason = NULL;
        if (group && endpoint->address.transport == TRANSPORT_TCP && migrate_req) {
                *ret_reason = "net.ipv4.tcp_migrate_req is on";
                return "migrate";
        }
        if (group) {
                *ret_reason = endpoint->address.transport == TRANSPORT_TCP
                                      ? "what waits on a member that leaves is reset: "
                                        "net.ipv4.tcp_migrate_req is off"
                                      : "datagrams waiting on a member that leaves are lost";
                return "none";
        }
        if (endpoint->retain_usec == 0) {
                *ret_reason = "retainSec is 0";
                return "none";
        }
        return "adopt";
}
