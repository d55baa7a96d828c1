/* SPDX-License-Identifier: BSD-2-Clause */

/* In place of steering.c where the program is not built: there is no Steering, so nothing else is
 * called. */

#include "daemon/steering.h"

#include <assert.h>

int steering_new(Steering **ret, const char **ret_reason) {
        *ret_reason = "built without BPF";
        return STEERING_E_UNAVAILABLE;
}

Steering *steering_free(Steering *steering) {
        assert(!steering);
        return NULL;
}

/* Never reached: each takes what only steering_new() gives. */
bool steering_is_usable(const Steering *steering) {
        return false;
}

int steering_get_fd(const Steering *steering) {
        return -1;
}

void *steering_next_woken(Steering *steering) {
        return NULL;
}

int steering_group_new(Steering *steering, SteeringMode mode, void *userdata, SteeringGroup **ret) {
        return STEERING_E_UNAVAILABLE;
}

void steering_group_arm(SteeringGroup *group) {
}

SteeringGroup *steering_group_free(SteeringGroup *group) {
        return NULL;
}

int steering_group_attach(SteeringGroup *group, int fd) {
        return STEERING_E_UNAVAILABLE;
}

int steering_member_add(SteeringGroup *group, int fd, uint64_t cookie, uint32_t *ret_slot) {
        return STEERING_E_UNAVAILABLE;
}

void steering_member_remove(SteeringGroup *group, uint32_t slot, uint64_t cookie) {
}

int steering_member_restore(SteeringGroup *group, uint32_t slot, int fd) {
        return STEERING_E_UNAVAILABLE;
}

bool steering_knows(const Steering *steering, uint64_t cookie) {
        return false;
}

void steering_announce(SteeringGroup *group, uint64_t cookie) {
}

int steering_group_set(SteeringGroup *group, const SteeringShare *shares, size_t n) {
        return STEERING_E_UNAVAILABLE;
}

void steering_set_load(Steering *steering, uint32_t slot, uint32_t waiting) {
}

void steering_set_cost(Steering *steering, uint32_t slot, uint32_t cost) {
}

uint64_t steering_selected(const Steering *steering, uint32_t slot) {
        return 0;
}

uint64_t steering_group_flows(const SteeringGroup *group) {
        return 0;
}

int steering_get_members_fd(const Steering *steering) {
        return -1;
}

void steering_take_out(int members, uint32_t slot) {
}

bool steering_has_member(const SteeringGroup *group, uint32_t slot) {
        return false;
}

int steering_get_counts_fd(const Steering *steering) {
        return -1;
}

uint64_t steering_count_at(const Steering *steering, uint32_t slot) {
        return 0;
}

int steering_counts_open(int fd, SteeringCounts *ret) {
        return STEERING_E_UNAVAILABLE;
}

void steering_counts_close(SteeringCounts *counts) {
}

uint64_t steering_counts_read(const SteeringCounts *counts, uint64_t at) {
        return 0;
}
