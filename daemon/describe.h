/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Endpoints and events as the protocol shows them. Memory comes from a message, or from the caller's
 * EventText.
 */

#include "daemon/endpoint.h"
#include "daemon/events.h"
#include "daemon/subject.h"
#include "proto/message.h"

/* Fills @ret with the endpoint, but for its members. Returns 0 or -ENOMEM. */
int describe_endpoint_alone(const Endpoint *endpoint, Message *memory, EndpointInfo *ret);

/* Fills @ret with a member and its leases. Returns 0 or -ENOMEM. */
int describe_member(const Member *member, Message *memory, MemberInfo *ret);

/* Fills @ret with the endpoint, its members and their leases. Returns 0 or -ENOMEM. */
int describe_endpoint(const Endpoint *endpoint, Message *memory, EndpointInfo *ret);

/*
 * Fills @ret with what the holder of a lease is told, but for the number of the descriptor and whether
 * it was adopted. @asked: options to read back beside those of the endpoint; may be NULL. Returns 0 or
 * -ENOMEM.
 */
int describe_socket(const Lease *lease, const Options *asked, Message *memory, SocketReply *ret);

/* Who holds the endpoint, or held it last and has it kept, in @ret; NULL if nobody. */
HolderInfo *describe_holder(const Endpoint *endpoint, HolderInfo *ret);

typedef struct EventText {
        char endpoint[ID_TEXT_MAX];
        char member[ID_TEXT_MAX];
        char lease[ID_TEXT_MAX];
        HolderInfo holder;
} EventText;

/* Fills @ret, which points into @text and @event. */
void describe_event(const Event *event, const IdSource *ids, EventText *text, EventInfo *ret);
