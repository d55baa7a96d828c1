/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decides which member of a group takes a new flow, and who inherits what waits on one that closes. One
 * program serves all groups: the socket that the kernel asks about says which.
 *
 * The broker changes lists while the program runs, and a socket can close at any time. So whatever was
 * picked may be gone, or be of another group by now: then the kernel refuses it, and another entry is
 * tried, by the list as it is then. When nothing helps, the kernel chooses in its own way: that may be a
 * member off the list, but no flow is lost.
 *
 * Without CAP_PERFMON the verifier also follows what a CPU may do in speculation, each time that a
 * pointer is reckoned. Before Linux 6.16 a loop has no end there, and all of this at once is too much.
 * So loops are unrolled, and what is in them is a function that is not static: the verifier looks at it
 * once, by itself.
 *
 * Only the stable interface of the kernel is used, so that it builds on a machine without type
 * information of its kernel, for any other.
 */

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "daemon/steering-abi.h"

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))

enum {
        TRIES = 16,
        SCAN_MAX = 64,   /* members that leastLoad looks at for one flow */
        SCAN_BLOCK = 16, /* of them at a time, */
        SCAN_FEW = 4,    /* and of these */
        FAMILY_IPV6 = 10,
        PROTOCOL_IPV4 = 0x0800,
        PROTOCOL_IPV6 = 0x86dd,
};

/* As in proto/wire.h, which is not for the kernel's side. */
enum { HASH, ROUND_ROBIN, LEAST_LOAD, CPU, SOURCE };

struct {
        __uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
        __uint(max_entries, STEERING_SLOTS_MAX);
        __type(key, __u32);
        __type(value, __u64);
} members SEC(".maps");

/* By socket cookie. Twice as many as slots: members that have just left stay known for a while. */
struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __uint(max_entries, 2 * STEERING_SLOTS_MAX);
        __type(key, __u64);
        __type(value, struct steering_owner);
} owners SEC(".maps");

/* By index; the broker has it in its memory. */
struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, STEERING_GROUPS_MAX);
        __type(key, __u32);
        __type(value, struct steering_group);
} groups SEC(".maps");

/* A struct steering_owner for each armed group that had a flow; room for all groups. */
struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, 16 * STEERING_GROUPS_MAX);
} wakes SEC(".maps");

__u64 selected[STEERING_SLOTS_MAX];
__u32 load[STEERING_SLOTS_MAX];
__u16 cost[STEERING_SLOTS_MAX];
__u16 table[STEERING_TABLE_MAX];

/* Nobody outside can choose addresses that meet on one member. */
const volatile __u32 seed;

/* The finalizer of MurmurHash3: every bit of the result depends on every bit of @x. */
static __always_inline __u32 mix(__u32 x) {
        x ^= x >> 16;
        x *= 0x85ebca6b;
        x ^= x >> 13;
        x *= 0xc2b2ae35;
        return x ^ x >> 16;
}

static __always_inline __u32 mix_address(const __u32 a[4]) {
        return mix(mix(mix(mix(a[0] ^ seed) + a[1]) + a[2]) + a[3]);
}

/* The far end of a connection that moves: there may be no packet to look at. A dual-stack listener has
 * its IPv4 peers as ::ffff:a.b.c.d. */
static __always_inline __u32 hash_peer(struct bpf_sock *sk) {
        const volatile struct bpf_sock *peer = sk;
        __u32 a[4] = { peer->dst_ip6[0], peer->dst_ip6[1], peer->dst_ip6[2], peer->dst_ip6[3] };

        if (peer->family != FAMILY_IPV6 || (!a[0] && !a[1] && a[2] == bpf_htonl(0xffff))) {
                a[0] = peer->dst_ip4;
                a[1] = a[2] = a[3] = 0;
        }
        return mix_address(a);
}

/* The source address of the packet, in the same form. */
static __always_inline __u32 hash_source(struct sk_reuseport_md *ctx) {
        __u32 a[4] = { 0 };
        long r = -1;

        if (ctx->eth_protocol == bpf_htons(PROTOCOL_IPV4))
                r = bpf_skb_load_bytes_relative(ctx, 12, a, 4, BPF_HDR_START_NET);
        else if (ctx->eth_protocol == bpf_htons(PROTOCOL_IPV6))
                r = bpf_skb_load_bytes_relative(ctx, 8, a, 16, BPF_HDR_START_NET);
        return r < 0 ? ctx->hash : mix_address(a);
}

/* The slot at @entry of the table that begins at @begin. */
static __always_inline __u16 slot_at(__u32 begin, __u32 entry) {
        return READ_ONCE(table[(begin + entry) % STEERING_TABLE_MAX]);
}

/* The load is above any, and the slot below it does not count. */
#define NOBODY_YET ((__u64)-1 << 32)

/* The better of @least and the entry @i of @n, reckoned from @first: its load, and below it its slot. */
static __always_inline __u64 lighter(__u64 least, __u32 begin, __u32 n, __u32 first, __u32 i) {
        __u32 entry = first + i, waiting;
        __u16 slot;

        if (i >= n)
                return least;
        slot = slot_at(begin, entry < n ? entry : entry - n);
        waiting = READ_ONCE(load[slot]);
        return waiting < least >> 32 ? (__u64)waiting << 32 | slot : least;
}

/* The least loaded of the entries @i to @i + SCAN_FEW - 1 of @n, reckoned from @first. */
__noinline __u64 pick_of_few(__u32 begin, __u32 n, __u32 first, __u32 i) {
        __u64 least = NOBODY_YET;

#pragma clang loop unroll(full)
        for (__u32 k = 0; k < SCAN_FEW; k++)
                least = lighter(least, begin, n, first, i + k);
        return least;
}

/* Of those to @i + SCAN_BLOCK - 1. */
__noinline __u64 pick_of_block(__u32 begin, __u32 n, __u32 first, __u32 i) {
        __u64 least = NOBODY_YET;

#pragma clang loop unroll(full)
        for (__u32 k = 0; k < SCAN_BLOCK; k += SCAN_FEW) {
                __u64 candidate = i + k < n ? pick_of_few(begin, n, first, i + k) : least;

                if (candidate >> 32 < least >> 32)
                        least = candidate;
        }
        return least;
}

/* The least loaded of @n; those that are equal come in turn, as each look starts elsewhere,
 * at @first. */
__noinline __u32 pick_least(__u32 begin, __u32 n, __u32 first) {
        __u64 least = NOBODY_YET;

#pragma clang loop unroll(full)
        for (__u32 i = 0; i < SCAN_MAX; i += SCAN_BLOCK) {
                __u64 candidate = i < n ? pick_of_block(begin, n, first, i) : least;

                if (candidate >> 32 < least >> 32)
                        least = candidate;
        }
        return (__u16)least;
}

/* A slot of a list that is not empty. @hash is of the flow, and differs from try to try. */
static __always_inline __u16 pick(struct steering_group *group, __u64 list, __u32 hash, __u32 try) {
        __u32 begin = list >> 32, n = list;

        switch (group->mode) {
        case ROUND_ROBIN:
                return slot_at(begin, __sync_fetch_and_add(&group->cursor, 1) % n);
        case LEAST_LOAD:
                return pick_least(begin, n, __sync_fetch_and_add(&group->cursor, 1) % n);
        case CPU:
                return slot_at(begin, (bpf_get_smp_processor_id() + try) % n);
        default: /* tables of 2^k entries: by the high bits, so that doubling one moves nothing */
                return slot_at(begin, (__u64)hash * n >> 32);
        }
}

static __always_inline void tell(struct steering_group *group, struct steering_owner *owner) {
        if (READ_ONCE(group->armed) && __sync_lock_test_and_set(&group->armed, 0) &&
            bpf_ringbuf_output(&wakes, owner, sizeof(*owner), 0) != 0)
                group->armed = 1;
}

/* Which group the flow is for; STEERING_GROUPS_MAX if that is not known. */
static __always_inline __u32 enter_group(struct sk_reuseport_md *ctx, __u32 *ret_mode) {
        __u64 cookie = bpf_get_socket_cookie(ctx->sk);
        struct steering_owner *owner = bpf_map_lookup_elem(&owners, &cookie);
        struct steering_group *group;

        if (!owner)
                return STEERING_GROUPS_MAX;
        group = bpf_map_lookup_elem(&groups, &owner->group);
        if (!group || group->generation != owner->generation)
                return STEERING_GROUPS_MAX;
        __sync_fetch_and_add(&group->flows, 1);
        tell(group, owner);
        *ret_mode = group->mode;
        return owner->group;
}

/* The kernel refuses a slot that is empty, and one of another group. */
static __always_inline int give(struct sk_reuseport_md *ctx, struct steering_group *group, __u16 slot) {
        __u32 key = slot;

        if (bpf_sk_select_reuseport(ctx, &members, &key, 0) != 0) {
                if (group->mode == LEAST_LOAD)
                        load[slot] = STEERING_LOAD_GONE;
                return 0;
        }
        __sync_fetch_and_add(&selected[slot], 1);
        if (group->mode == LEAST_LOAD)
                __sync_fetch_and_add(&load[slot], READ_ONCE(cost[slot]));
        return 1;
}

static __always_inline __u32 hash_flow(struct sk_reuseport_md *ctx, __u32 mode) {
        if (mode != SOURCE)
                return ctx->hash;
        return ctx->migrating_sk ? hash_peer(ctx->migrating_sk) : hash_source(ctx);
}

/* What became of a try. */
enum { REFUSED, GIVEN, NOBODY };

/* The flow goes to somebody of the list as it is now. */
__noinline int try_member(struct sk_reuseport_md *ctx, __u32 index, __u32 hash, __u32 try) {
        struct steering_group *group = bpf_map_lookup_elem(&groups, &index);
        __u64 list;

        if (!group)
                return NOBODY;
        list = READ_ONCE(group->list);
        if ((__u32)list == 0)
                return NOBODY;
        return give(ctx, group, pick(group, list, hash, try)) ? GIVEN : REFUSED;
}

SEC("sk_reuseport/migrate")
int steer(struct sk_reuseport_md *ctx) {
        __u32 mode = HASH, index = enter_group(ctx, &mode), hash;

        if (index >= STEERING_GROUPS_MAX)
                return SK_PASS;
        hash = hash_flow(ctx, mode);
#pragma clang loop unroll(full)
        for (__u32 try = 0; try < TRIES; try++) {
                int outcome = try_member(ctx, index, hash, try);

                if (outcome != REFUSED)
                        return outcome == GIVEN ? SK_PASS : SK_DROP;
                /* The entry beside this one would get the double: for each flow another. */
                hash = mix(hash + 1);
        }
        return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
