/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The answer to a List, put together bit by bit: thousands of members in one go would keep everybody
 * else waiting. What changes meanwhile is in it as it was, or as it is.
 */

#include "daemon/services.h"
#include "daemon/subject.h"

enum {
        /* Members that are described in one go, and up to how many a List needs no bits. */
        LISTING_STEP = 32,
};

typedef struct Listing Listing;

enum {
        _LISTING_E_SUCCESS,
        LISTING_E_AGAIN, /* there is more to do */
        LISTING_E_QUOTA, /* outcome: ACCOUNT_E_*, of RESOURCE_BYTES */
        LISTING_E_SIZE,  /* more than one reply holds */
};

/* Of all that @subject may see, at the cost of @user; both are borrowed. Returns 0 or -ENOMEM. */
int listing_new(Services *services, Subject *subject, User *user, Listing **ret);

/* Returns 0 when the reply is whole, LISTING_E_*, or -ENOMEM. */
int listing_step(Listing *listing, int *ret_outcome);

/* The reply, which belongs to the listing, and is paid for by whoever sends it from now on. */
const MessageBuffer *listing_finish(Listing *listing);

/* Takes NULL; returns NULL. */
Listing *listing_free(Listing *listing);
