/* SPDX-License-Identifier: BSD-2-Clause */

/* A cursor over endpoints and members, and the text so far. */

#include "daemon/listing.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/describe.h"
#include "daemon/judge.h"
#include "proto/cleanup.h"
#include "proto/error.h"

struct Listing {
        Services *services;
        Subject *subject;
        User *user;
        EndpointCursor cursor;
        MessageBuffer buffer;
        Charge bytes;
        bool comma; /* before the next item */
};

CLEANUP_DEFINE(Message, message_free)

int listing_new(Services *services, Subject *subject, User *user, Listing **ret) {
        Listing *listing = calloc(1, sizeof(*listing));
        int r;

        if (!listing)
                return error_origin(-ENOMEM);
        listing->services = services;
        listing->subject = subject;
        listing->user = user;
        endpoint_cursor_begin(&listing->cursor, &services->endpoints);
        r = message_append_text(&listing->buffer, "{\"parameters\":{\"endpoints\":[");
        if (r < 0) {
                listing_free(listing);
                return error_trace(r);
        }
        *ret = listing;
        return 0;
}

static int append_comma(Listing *listing) {
        bool comma = listing->comma;

        listing->comma = true;
        return comma ? message_append_text(&listing->buffer, ",") : 0;
}

static int append_endpoint(Listing *listing, Message *memory) {
        EndpointCursor *cursor = &listing->cursor;
        EndpointInfo info;
        int r;

        if (!judge_sees(listing->services->config->policy, listing->subject, cursor->endpoint)) {
                endpoint_cursor_next(cursor);
                return 0;
        }
        r = describe_endpoint_alone(cursor->endpoint, memory, &info);
        if (r == 0)
                r = append_comma(listing);
        if (r == 0)
                r = message_append_value(&listing->buffer, &wire_endpoint, &info, "members");
        endpoint_cursor_enter(cursor);
        listing->comma = false;
        return error_trace(r);
}

static int append_member(Listing *listing, Message *memory) {
        EndpointCursor *cursor = &listing->cursor;
        MemberInfo info;
        int r;

        r = describe_member(cursor->member, memory, &info);
        if (r == 0)
                r = append_comma(listing);
        if (r == 0)
                r = message_append_value(&listing->buffer, &wire_member, &info, NULL);
        cursor->member = TAILQ_NEXT(cursor->member, entry);
        return error_trace(r);
}

/* One thing more. Returns 0, LISTING_E_AGAIN, or a negative errno. */
static int listing_go_on(Listing *listing, Message *memory) {
        EndpointCursor *cursor = &listing->cursor;
        bool cut = cursor->cut;
        int r;

        if (cut || (cursor->inside && !cursor->member)) {
                /* The cursor of one that has gone is at the next already. */
                if (!cut)
                        endpoint_cursor_next(cursor);
                cursor->cut = false;
                listing->comma = true;
                r = message_append_text(&listing->buffer, "]}");
        } else if (cursor->inside) {
                r = append_member(listing, memory);
        } else if (cursor->endpoint) {
                r = append_endpoint(listing, memory);
        } else {
                r = message_append_text(&listing->buffer, "]}}");
                return r ?: message_append_end(&listing->buffer);
        }
        return r ?: LISTING_E_AGAIN;
}

/* What has been put together is paid for as what waits to be read is. */
static int listing_charge(Listing *listing) {
        if (!listing->bytes.user)
                return user_charge(listing->user, RESOURCE_BYTES, listing->buffer.n, &listing->bytes);
        return charge_grow(&listing->bytes, listing->buffer.n - listing->bytes.n);
}

int listing_step(Listing *listing, int *ret_outcome) {
        _cleanup_(message_freep) Message *memory = NULL;
        int r = message_new(&memory);

        if (r == 0)
                r = LISTING_E_AGAIN;
        for (int i = 0; i < LISTING_STEP && r == LISTING_E_AGAIN; i++)
                r = listing_go_on(listing, memory);
        if (r == -EMSGSIZE)
                return LISTING_E_SIZE;
        if (r < 0)
                return error_trace(r);
        *ret_outcome = listing_charge(listing);
        return *ret_outcome == 0 ? r : LISTING_E_QUOTA;
}

const MessageBuffer *listing_finish(Listing *listing) {
        charge_deinit(&listing->bytes);
        return &listing->buffer;
}

Listing *listing_free(Listing *listing) {
        if (!listing)
                return NULL;
        endpoint_cursor_end(&listing->cursor);
        message_buffer_deinit(&listing->buffer);
        charge_deinit(&listing->bytes);
        free(listing);
        return NULL;
}
