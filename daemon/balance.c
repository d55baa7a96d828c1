/* SPDX-License-Identifier: BSD-2-Clause */

/* A member that is idle at times could serve more than it did, so it is not called slow. */

#include "daemon/balance.h"

#include "daemon/endpoint.h"
#include "daemon/steering.h"

enum {
        /* Served by the fastest before anybody is compared with it. */
        SERVED_MIN = 32,
};

/* Since it was weighed last. */
static int64_t balance_served(const Member *member) {
        int64_t given = (int64_t)steering_selected(member->endpoint->registry->steering, member->slot);

        return given - member_read_load(member) - member->balance.served;
}

void balance_begin(Member *member) {
        Steering *steering = member->endpoint->registry->steering;

        if (!member->steered)
                return;
        member->balance = (Balance){ .cost = STEERING_COST_UNIT, .idle = true };
        member->balance.served = balance_served(member);
        steering_set_cost(steering, member->slot, STEERING_COST_UNIT);
}

void balance_look(Member *member, int64_t load) {
        if (load == 0)
                member->balance.idle = true;
        steering_set_load(member->endpoint->registry->steering, member->slot, (uint32_t)load);
}

static uint32_t balance_cost(const Balance *balance, int64_t served, int64_t best) {
        int64_t cost = STEERING_COST_MAX;

        if (balance->idle || served >= best)
                return STEERING_COST_UNIT;
        if (served > 0 && STEERING_COST_UNIT * best / served < cost)
                cost = STEERING_COST_UNIT * best / served;
        return (uint32_t)cost;
}

void balance_weigh(Endpoint *endpoint) {
        Member *member;
        int64_t best = 0;

        TAILQ_FOREACH (member, &endpoint->members, entry)
                if (member->steered && balance_served(member) > best)
                        best = balance_served(member);
        if (best < SERVED_MIN)
                return;
        TAILQ_FOREACH (member, &endpoint->members, entry) {
                Balance *balance = &member->balance;
                int64_t served;

                if (!member->steered)
                        continue;
                served = balance_served(member);
                /* Halfway, lest one bad moment count for much. */
                balance->cost = (balance->cost + balance_cost(balance, served, best)) / 2;
                balance->served += served;
                balance->idle = false;
                steering_set_cost(endpoint->registry->steering, member->slot, balance->cost);
        }
}
