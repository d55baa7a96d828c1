/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The broker's side of the steering program. Sockets go into two maps by system calls, once for each
 * member; lists are written to memory that is shared with the program: entries first, then one word that
 * says where they are.
 *
 * A table that is replaced can be overwritten at once, though a flow may just be looking at it: the slot
 * that it finds there is refused by the kernel if it is of another group, and the program looks again.
 *
 * Memory, from the start: 5 MB for what is shared and 4 MB for the other maps; 64 bytes more for each
 * socket.
 */

#include "daemon/steering.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "daemon/block-pool.h"
#include "daemon/steering-abi.h"
#include "daemon/steering-table.h"
#include "proto/cleanup.h"
#include "proto/error.h"

#include "daemon/steering.skel.h"

enum {
        SLOTS_ORDER = 16,
        GROUPS_ORDER = 16,
        BLOCKS_ORDER = 16,
        BLOCK_UNIT = 16, /* entries */
        DEPARTED_MAX = 1024,
        STATES_SIZE = STEERING_GROUPS_MAX * sizeof(struct steering_group),
};

_Static_assert(1 << SLOTS_ORDER == STEERING_SLOTS_MAX, "slots");
_Static_assert(1 << SLOTS_ORDER == STEERING_MEMBERS_MAX, "members");
_Static_assert(1 << GROUPS_ORDER == STEERING_GROUPS_MAX, "groups");
_Static_assert((1 << BLOCKS_ORDER) * BLOCK_UNIT == STEERING_TABLE_MAX, "table");

struct Steering {
        struct steering_bpf *program;
        BlockPool *slots;
        BlockPool *groups;
        BlockPool *blocks; /* of the table */
        struct ring_buffer *wakes;
        SteeringGroup *woken;          /* what on_wake() found */
        struct steering_group *states; /* shared with the program, by index */
        SteeringGroup *by_index[STEERING_GROUPS_MAX];
        uint32_t generation;
        /* Cookies of sockets that were removed last. Handshakes that a listener had under way move when
         * they are complete, long after it closed: it must be known until then. */
        uint64_t departed[DEPARTED_MAX];
        size_t next_departed;
        uint64_t announced; /* a cookie that has its owner already; 0: none */
};

struct SteeringGroup {
        Steering *steering;
        struct steering_group *state; /* shared with the program */
        uint32_t index;
        SteeringMode mode;
        SteeringTable table;
        uint32_t block; /* if the table is not empty */
        unsigned block_order;
        void *userdata;
};

static const struct {
        int error;
        const char *reason;
} refusals[] = {
        { EPERM, "no CAP_BPF" },
        { ENOSYS, "this kernel has no BPF" },
        { EACCES, "this kernel cannot (Linux 5.14 is needed)" },
        { EINVAL, "this kernel cannot (Linux 5.14 is needed)" },
        { E2BIG, "this kernel cannot (Linux 5.14 is needed)" },
        { ENOENT, "this kernel cannot (Linux 5.14 is needed)" },
        { 524 /* ENOTSUPP, of the kernel alone */, "this kernel cannot (Linux 5.14 is needed)" },
};

static int refuse(int r, const char **ret_reason) {
        for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
                if (refusals[i].error == -r) {
                        *ret_reason = refusals[i].reason;
                        return STEERING_E_UNAVAILABLE;
                }
        return error_origin(r);
}

static int load(Steering *steering, const char **ret_reason) {
        int r;

        /* It would write to stderr. */
        libbpf_set_print(NULL);
        steering->program = steering_bpf__open();
        if (!steering->program)
                return refuse(-errno, ret_reason);
        if (getrandom(&steering->program->rodata->seed, sizeof(uint32_t), GRND_NONBLOCK) < 0)
                return error_origin(-errno);
        r = steering_bpf__load(steering->program);
        return r < 0 ? refuse(r, ret_reason) : 0;
}

/* One record of the ring. It is of a group that is no more, unless the generation fits. */
static int on_wake(void *userdata, void *data, size_t size) {
        const struct steering_owner *owner = data;
        Steering *steering = userdata;
        SteeringGroup *group = steering->by_index[owner->group];

        if (!group || group->state->generation != owner->generation)
                return 0;
        steering->woken = group;
        return -ECANCELED; /* reads no further */
}

static int open_wakes(Steering *steering) {
        steering->wakes =
                ring_buffer__new(bpf_map__fd(steering->program->maps.wakes), on_wake, steering, NULL);
        return steering->wakes ? 0 : error_origin(-errno);
}

static int map_states(Steering *steering) {
        void *states = mmap(NULL, STATES_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
                            bpf_map__fd(steering->program->maps.groups), 0);

        if (states == MAP_FAILED)
                return error_origin(-errno);
        steering->states = states;
        return 0;
}

Steering *steering_free(Steering *steering) {
        if (!steering)
                return NULL;
        if (steering->states)
                munmap(steering->states, STATES_SIZE);
        ring_buffer__free(steering->wakes);
        steering_bpf__destroy(steering->program);
        block_pool_free(steering->slots);
        block_pool_free(steering->groups);
        block_pool_free(steering->blocks);
        free(steering);
        return NULL;
}

CLEANUP_DEFINE(Steering, steering_free)

int steering_new(Steering **ret, const char **ret_reason) {
        _cleanup_(steering_freep) Steering *steering = calloc(1, sizeof(*steering));
        int r;

        if (!steering)
                return error_origin(-ENOMEM);
        r = block_pool_new(SLOTS_ORDER, &steering->slots);
        if (r == 0)
                r = block_pool_new(GROUPS_ORDER, &steering->groups);
        if (r == 0)
                r = block_pool_new(BLOCKS_ORDER, &steering->blocks);
        if (r == 0)
                r = load(steering, ret_reason);
        if (r == 0)
                r = map_states(steering);
        if (r == 0)
                r = open_wakes(steering);
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        *ret = ptr_take(steering);
        return 0;
}

bool steering_is_usable(const Steering *steering) {
        const uint64_t nobody = 0;

        /* There is nothing under this key; what counts is whether one may say so. */
        return bpf_map_delete_elem(bpf_map__fd(steering->program->maps.owners), &nobody) != -EPERM;
}

int steering_get_fd(const Steering *steering) {
        return ring_buffer__epoll_fd(steering->wakes);
}

void *steering_next_woken(Steering *steering) {
        steering->woken = NULL;
        ring_buffer__consume(steering->wakes);
        return steering->woken ? steering->woken->userdata : NULL;
}

int steering_group_new(Steering *steering, SteeringMode mode, void *userdata, SteeringGroup **ret) {
        _cleanup_(freep) SteeringGroup *group = calloc(1, sizeof(*group));

        if (!group)
                return error_origin(-ENOMEM);
        if (block_pool_take(steering->groups, 0, &group->index) != 0)
                return STEERING_E_FULL;
        group->steering = steering;
        group->mode = mode;
        group->userdata = userdata;
        group->state = &steering->states[group->index];
        *group->state = (struct steering_group){ .mode = mode, .generation = ++steering->generation };
        steering->by_index[group->index] = group;
        *ret = ptr_take(group);
        return 0;
}

void steering_group_arm(SteeringGroup *group) {
        __atomic_store_n(&group->state->armed, 1, __ATOMIC_RELAXED);
}

static void give_back_block(const SteeringGroup *group) {
        if (group->table.n > 0)
                block_pool_give_back(group->steering->blocks, group->block_order, group->block);
}

SteeringGroup *steering_group_free(SteeringGroup *group) {
        if (!group)
                return NULL;
        *group->state = (struct steering_group){ 0 };
        group->steering->by_index[group->index] = NULL;
        give_back_block(group);
        block_pool_give_back(group->steering->groups, 0, group->index);
        steering_table_deinit(&group->table);
        free(group);
        return NULL;
}

int steering_group_attach(SteeringGroup *group, int fd) {
        int program = bpf_program__fd(group->steering->program->progs.steer);

        if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof(program)) < 0)
                return error_origin(-errno);
        return 0;
}

static int set_owner(SteeringGroup *group, uint64_t cookie) {
        const struct steering_owner owner = { group->index, group->state->generation };
        Steering *steering = group->steering;
        int r;

        for (size_t i = 0; i < DEPARTED_MAX; i++)
                if (steering->departed[i] == cookie)
                        steering->departed[i] = 0; /* it is back */
        r = bpf_map_update_elem(bpf_map__fd(steering->program->maps.owners), &cookie, &owner, BPF_ANY);
        if (r == -E2BIG)
                return STEERING_E_FULL;
        return r < 0 ? error_origin(r) : 0;
}

static void clear_owner(Steering *steering, uint64_t cookie) {
        bpf_map_delete_elem(bpf_map__fd(steering->program->maps.owners), &cookie);
}

/* In place of the one that departed the longest ago. */
static void depart(Steering *steering, uint64_t cookie) {
        uint64_t *oldest = &steering->departed[steering->next_departed];

        if (*oldest != 0)
                clear_owner(steering, *oldest);
        *oldest = cookie;
        steering->next_departed = (steering->next_departed + 1) % DEPARTED_MAX;
}

static int fill_slot(Steering *steering, uint32_t slot, int fd) {
        uint64_t value = (uint64_t)fd;
        int r = bpf_map_update_elem(bpf_map__fd(steering->program->maps.members), &slot, &value,
                                    BPF_ANY);

        return r < 0 ? error_origin(r) : 0;
}

static int take_slot(Steering *steering, int fd, uint32_t *ret_slot) {
        uint32_t slot;
        int r;

        if (block_pool_take(steering->slots, 0, &slot) != 0)
                return STEERING_E_FULL;
        r = fill_slot(steering, slot, fd);
        if (r < 0) {
                block_pool_give_back(steering->slots, 0, slot);
                return error_trace(r);
        }
        steering->program->bss->selected[slot] = 0;
        steering->program->bss->load[slot] = 0;
        steering->program->bss->cost[slot] = STEERING_COST_UNIT;
        *ret_slot = slot;
        return 0;
}

static void give_back_slot(Steering *steering, uint32_t slot) {
        bpf_map_delete_elem(bpf_map__fd(steering->program->maps.members), &slot);
        block_pool_give_back(steering->slots, 0, slot);
}

bool steering_knows(const Steering *steering, uint64_t cookie) {
        struct steering_owner owner;

        return bpf_map_lookup_elem(bpf_map__fd(steering->program->maps.owners), &cookie, &owner) == 0;
}

bool steering_has_member(const SteeringGroup *group, uint32_t slot) {
        uint64_t cookie;

        return bpf_map_lookup_elem(bpf_map__fd(group->steering->program->maps.members), &slot,
                                   &cookie) == 0;
}

int steering_get_members_fd(const Steering *steering) {
        return bpf_map__fd(steering->program->maps.members);
}

void steering_take_out(int members, uint32_t slot) {
        bpf_map_delete_elem(members, &slot);
}

/* One that was announced and not added has failed. */
void steering_announce(SteeringGroup *group, uint64_t cookie) {
        Steering *steering = group->steering;

        if (steering->announced != 0)
                depart(steering, steering->announced);
        steering->announced = error_fold(set_owner(group, cookie)) == 0 ? cookie : 0;
}

int steering_member_add(SteeringGroup *group, int fd, uint64_t cookie, uint32_t *ret_slot) {
        int r = 0;

        if (group->steering->announced != cookie)
                r = set_owner(group, cookie);
        else
                group->steering->announced = 0;
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        r = take_slot(group->steering, fd, ret_slot);
        if (r != 0)
                clear_owner(group->steering, cookie);
        return r < 0 ? error_trace(r) : r;
}

void steering_member_remove(SteeringGroup *group, uint32_t slot, uint64_t cookie) {
        give_back_slot(group->steering, slot);
        depart(group->steering, cookie);
}

int steering_member_restore(SteeringGroup *group, uint32_t slot, int fd) {
        int r = fill_slot(group->steering, slot, fd);

        if (r < 0)
                return error_trace(r);
        steering_set_load(group->steering, slot, 0);
        return 0;
}

/* The smallest block for so many entries. */
static unsigned block_order(size_t n) {
        unsigned order = 0;

        while (n > (size_t)BLOCK_UNIT << order)
                order++;
        return order;
}

/* Entries first: whoever sees the new list finds them. */
static void publish(SteeringGroup *group) {
        uint64_t begin = (uint64_t)group->block * BLOCK_UNIT, n = group->table.n;
        uint16_t *entries = group->steering->program->bss->table + begin;

        for (size_t i = 0; i < n; i++)
                __atomic_store_n(&entries[i], group->table.slots[i], __ATOMIC_RELAXED);
        __atomic_store_n(&group->state->list, n > 0 ? begin << 32 | n : 0, __ATOMIC_RELEASE);
}

int steering_group_set(SteeringGroup *group, const SteeringShare *shares, size_t n) {
        _cleanup_(steering_table_deinit) SteeringTable next = { 0 };
        SteeringGroup old = *group;
        unsigned order;
        bool keep;
        int r;

        r = steering_table_next(&old.table, group->mode, shares, n, &next);
        if (r < 0)
                return error_trace(r);
        order = block_order(next.n);
        /* In place, if it fits as well as before. */
        keep = next.n > 0 && old.table.n > 0 && order == old.block_order;
        if (next.n > 0 && !keep && block_pool_take(group->steering->blocks, order, &group->block) != 0)
                return STEERING_E_FULL;
        group->block_order = order;
        group->table = next;
        next = old.table;
        publish(group);
        if (!keep)
                give_back_block(&old);
        return 0;
}

void steering_set_load(Steering *steering, uint32_t slot, uint32_t waiting) {
        struct steering_bpf__bss *shared = steering->program->bss;

        __atomic_store_n(&shared->load[slot], waiting * shared->cost[slot], __ATOMIC_RELAXED);
}

void steering_set_cost(Steering *steering, uint32_t slot, uint32_t cost) {
        __atomic_store_n(&steering->program->bss->cost[slot], (uint16_t)cost, __ATOMIC_RELAXED);
}

uint64_t steering_selected(const Steering *steering, uint32_t slot) {
        return __atomic_load_n(&steering->program->bss->selected[slot], __ATOMIC_RELAXED);
}

int steering_get_counts_fd(const Steering *steering) {
        return bpf_map__fd(steering->program->maps.bss);
}

uint64_t steering_count_at(const Steering *steering, uint32_t slot) {
        const struct steering_bpf__bss *shared = steering->program->bss;

        return (uint64_t)((const char *)&shared->selected[slot] - (const char *)shared);
}

/* A file that is too short would end the broker when it is read. */
int steering_counts_open(int fd, SteeringCounts *ret) {
        struct bpf_map_info info = { 0 };
        uint32_t n = sizeof(info);
        void *memory;
        int r;

        r = bpf_obj_get_info_by_fd(fd, &info, &n);
        if (r < 0)
                return r == -EINVAL || r == -EBADFD ? STEERING_E_FOREIGN : error_origin(r);
        if (info.type != BPF_MAP_TYPE_ARRAY || !(info.map_flags & BPF_F_MMAPABLE) ||
            info.max_entries != 1)
                return STEERING_E_FOREIGN;
        memory = mmap(NULL, info.value_size, PROT_READ, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
                return errno == ENODEV ? STEERING_E_FOREIGN : error_origin(-errno);
        *ret = (SteeringCounts){ .memory = memory, .size = info.value_size };
        return 0;
}

void steering_counts_close(SteeringCounts *counts) {
        if (counts->memory)
                munmap((void *)counts->memory, counts->size);
        *counts = (SteeringCounts){ 0 };
}

uint64_t steering_counts_read(const SteeringCounts *counts, uint64_t at) {
        const uint64_t *count;

        if (at % sizeof(*count) != 0 || counts->size < sizeof(*count) ||
            at > counts->size - sizeof(*count))
                return 0;
        count = (const uint64_t *)(const void *)(counts->memory + at);
        return __atomic_load_n(count, __ATOMIC_RELAXED);
}

uint64_t steering_group_flows(const SteeringGroup *group) {
        return __atomic_load_n(&group->state->flows, __ATOMIC_RELAXED);
}
