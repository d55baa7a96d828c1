/* SPDX-License-Identifier: BSD-2-Clause */

/* Slots, groups and lists as they are, with no program to read them. */

#include "tests/fuzz/fake-steering.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "tests/fuzz/fake-kernel.h"
#include "tests/fuzz/fuzz.h"

enum {
        SLOTS = 64,
};

typedef struct Slot {
        SteeringGroup *group; /* NULL: nobody's */
        uint64_t cookie;
        uint64_t flows;
        bool listed;
} Slot;

struct SteeringGroup {
        LIST_ENTRY(SteeringGroup) entry;
        Steering *steering;
        void *userdata;
        uint64_t flows;
        bool armed, woken;
};

struct Steering {
        LIST_HEAD(, SteeringGroup) groups;
        Slot slots[SLOTS];
        int fd;
};

static Slot *slot_of(const SteeringGroup *group, uint32_t slot) {
        fuzz_expect(slot < SLOTS && group->steering->slots[slot].group == group);
        return &group->steering->slots[slot];
}

/* 0, STEERING_E_FULL or a negative errno, as the input has asked for. */
static int outcome(void) {
        if (!fake_kernel_fails())
                return 0;
        return errno == ENOSPC ? STEERING_E_FULL : -errno;
}

int steering_new(Steering **ret, const char **ret_reason) {
        Steering *steering = calloc(1, sizeof(*steering));

        fuzz_expect(steering);
        LIST_INIT(&steering->groups);
        steering->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        fuzz_expect(steering->fd >= 0);
        *ret = steering;
        return 0;
}

Steering *steering_free(Steering *steering) {
        fuzz_expect(LIST_EMPTY(&steering->groups));
        fd_close(steering->fd);
        free(steering);
        return NULL;
}

bool steering_is_usable(const Steering *steering) {
        return true;
}

int steering_get_fd(const Steering *steering) {
        return steering->fd;
}

void *steering_next_woken(Steering *steering) {
        eventfd_t value;
        SteeringGroup *group;

        eventfd_read(steering->fd, &value);
        LIST_FOREACH (group, &steering->groups, entry)
                if (group->woken) {
                        group->woken = false;
                        return group->userdata;
                }
        return NULL;
}

int steering_group_new(Steering *steering, SteeringMode mode, void *userdata, SteeringGroup **ret) {
        SteeringGroup *group;
        int r = outcome();

        fuzz_expect(mode < _STEERING_N);
        if (r != 0)
                return r;
        group = calloc(1, sizeof(*group));
        fuzz_expect(group);
        group->steering = steering;
        group->userdata = userdata;
        LIST_INSERT_HEAD(&steering->groups, group, entry);
        *ret = group;
        return 0;
}

void steering_group_arm(SteeringGroup *group) {
        group->armed = true;
}

SteeringGroup *steering_group_free(SteeringGroup *group) {
        if (!group)
                return NULL;
        for (size_t i = 0; i < SLOTS; i++)
                fuzz_expect(group->steering->slots[i].group != group);
        LIST_REMOVE(group, entry);
        free(group);
        return NULL;
}

int steering_group_attach(SteeringGroup *group, int fd) {
        int r = outcome();

        fuzz_expect(fake_kernel_is_socket(fd));
        return r > 0 ? -ENOSPC : r;
}

int steering_member_add(SteeringGroup *group, int fd, uint64_t cookie, uint32_t *ret_slot) {
        Slot *slots = group->steering->slots;
        int r = outcome();

        fuzz_expect(fake_kernel_is_socket(fd));
        if (r != 0)
                return r;
        for (uint32_t i = 0; i < SLOTS; i++)
                fuzz_expect(!slots[i].group || slots[i].cookie != cookie);
        for (uint32_t i = 0; i < SLOTS; i++)
                if (!slots[i].group) {
                        slots[i] = (Slot){ .group = group, .cookie = cookie };
                        *ret_slot = i;
                        return 0;
                }
        return STEERING_E_FULL;
}

void steering_member_remove(SteeringGroup *group, uint32_t slot, uint64_t cookie) {
        fuzz_expect(slot_of(group, slot)->cookie == cookie);
        /* The program passes over what is no longer there, should the list have failed to change. */
        fuzz_expect(!slot_of(group, slot)->listed || fake_kernel_has_failed());
        *slot_of(group, slot) = (Slot){ 0 };
}

int steering_member_restore(SteeringGroup *group, uint32_t slot, int fd) {
        int r = outcome();

        slot_of(group, slot);
        fuzz_expect(fake_kernel_is_socket(fd));
        return r > 0 ? -EBUSY : r;
}

bool steering_knows(const Steering *steering, uint64_t cookie) {
        for (size_t i = 0; i < SLOTS; i++)
                if (steering->slots[i].group && steering->slots[i].cookie == cookie)
                        return true;
        return false;
}

void steering_announce(SteeringGroup *group, uint64_t cookie) {
        fuzz_expect(group && cookie > 0);
}

int steering_group_set(SteeringGroup *group, const SteeringShare *shares, size_t n) {
        int r = outcome();

        fuzz_expect(n <= SLOTS);
        for (size_t i = 0; i < n; i++)
                fuzz_expect(shares[i].weight <= STEERING_WEIGHT_MAX);
        if (r != 0)
                return r;
        for (size_t i = 0; i < SLOTS; i++)
                if (group->steering->slots[i].group == group)
                        group->steering->slots[i].listed = false;
        for (size_t i = 0; i < n; i++) {
                fuzz_expect(!slot_of(group, shares[i].slot)->listed);
                slot_of(group, shares[i].slot)->listed = true;
        }
        return 0;
}

void steering_set_load(Steering *steering, uint32_t slot, uint32_t waiting) {
        fuzz_expect(slot < SLOTS && steering->slots[slot].group);
}

void steering_set_cost(Steering *steering, uint32_t slot, uint32_t cost) {
        fuzz_expect(slot < SLOTS && steering->slots[slot].group);
        fuzz_expect(cost >= STEERING_COST_UNIT && cost <= STEERING_COST_MAX);
}

uint64_t steering_selected(const Steering *steering, uint32_t slot) {
        fuzz_expect(slot < SLOTS && steering->slots[slot].group);
        return steering->slots[slot].flows;
}

uint64_t steering_group_flows(const SteeringGroup *group) {
        return group->flows;
}

bool steering_has_member(const SteeringGroup *group, uint32_t slot) {
        return slot < SLOTS && group->steering->slots[slot].group == group;
}

/* There is no other broker, before or after this one. */
int steering_get_members_fd(const Steering *steering) {
        return -1;
}

void steering_take_out(int members, uint32_t slot) {
        fuzz_expect(false);
}

int steering_get_counts_fd(const Steering *steering) {
        return -1;
}

uint64_t steering_count_at(const Steering *steering, uint32_t slot) {
        return 0;
}

int steering_counts_open(int fd, SteeringCounts *ret) {
        return STEERING_E_FOREIGN;
}

void steering_counts_close(SteeringCounts *counts) {
}

uint64_t steering_counts_read(const SteeringCounts *counts, uint64_t at) {
        return 0;
}

void fake_steering_flow(Steering *steering, unsigned n) {
        SteeringGroup *group;

        for (size_t i = 0; i < SLOTS; i++)
                if (steering->slots[i].listed)
                        steering->slots[i].flows += n;
        LIST_FOREACH (group, &steering->groups, entry) {
                group->flows += n;
                group->woken = group->woken || group->armed;
                group->armed = false;
        }
        fuzz_expect(eventfd_write(steering->fd, 1) == 0);
}
