/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * No client says that it has received. But the kernel tells how much of what was sent has not been read
 * (SIOCOUTQ); nothing of that means no descriptors, either. It is asked only where it matters: when a
 * user comes to its limit, and when a connection with descriptors under way ends.
 */

#include "daemon/flight.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "proto/limits.h"

/* Whoever is woken by the reading of the last byte may still find one: the kernel takes it off
 * afterwards. */
static bool all_is_read(int fd) {
        int n;

        return ioctl(fd, SIOCOUTQ, &n) < 0 || n <= 1;
}

void flight_end(Flight *flight) {
        if (!flight->charge.user)
                return;
        LIST_REMOVE(flight, entry);
        charge_deinit(&flight->charge);
}

bool flight_is_long(const Flight *flight) {
        return flight->charge.user && flight->charge.n >= IN_FLIGHT_PER_CONNECTION;
}

bool flight_is_over(Flight *flight) {
        if (flight->charge.user && all_is_read(flight->fd))
                flight_end(flight);
        return !flight->charge.user;
}

static int flight_charge(Flight *flight, User *user, size_t n) {
        int r;

        if (flight->charge.user)
                return charge_grow(&flight->charge, n);
        r = user_charge(user, RESOURCE_IN_FLIGHT, n, &flight->charge);
        if (r == 0)
                LIST_INSERT_HEAD(&user->flights, flight, entry);
        return r;
}

int flight_begin(Flight *flight, User *user, int fd, size_t n) {
        Flight *other, *next;
        int r;

        flight->fd = fd;
        r = flight_charge(flight, user, n);
        if (r == 0)
                return 0;
        for (other = LIST_FIRST(&user->flights); other; other = next) {
                next = LIST_NEXT(other, entry);
                flight_is_over(other);
        }
        return flight_charge(flight, user, n);
}

void flight_undo(Flight *flight, size_t n) {
        if (flight->charge.n > n)
                charge_reduce(&flight->charge, flight->charge.n - n);
        else
                flight_end(flight);
}
