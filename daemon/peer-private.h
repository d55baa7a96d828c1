/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the two files of a peer share: peer.c has it from its first byte to its end, peer-door.c lets it
 * in. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/cgroup.h"
#include "daemon/listing.h"
#include "daemon/outbox.h"
#include "daemon/peer.h"
#include "daemon/subscription.h"
#include "proto/channel.h"

struct Peer {
        LIST_ENTRY(Peer) entry;
        PeerList *list;
        Services *services;
        Channel channel;
        PollItem item;
        Subject *subject;
        User *user;
        Charge connection;
        Charge descriptor;
        Outbox outbox;
        LeaseOwner leases;
        Process *process; /* once a lease depends on it */
        Subscription subscription;
        Listing *listing; /* the answer to a List, while it is put together */
        /* Among those of whom a part of a call has come, since when (CLOCK_MONOTONIC); 0: it is not. */
        TAILQ_ENTRY(Peer) partial;
        uint64_t partial_usec;
        CgroupSearch *search; /* for its control group: nothing is served before */
        bool greeted;         /* all was asked that is to be known of it */
        bool unserved;        /* what was read may hold whole frames: they come before reading on */
        bool eof;             /* the client sends nothing more */
        bool congested;       /* no call is served before the client has received what was sent */
        bool ending;          /* once what is to be sent has left */
        bool leaving;         /* it has ended, but for its leases */
        bool refused;         /* it is one too many, and is to be told so */
        bool lingering;       /* it has ended, but for descriptors that its client has not received */
        struct {
                Resource resource;
                int outcome;
        } refusal; /* why it is one too many */
};

/* What more is to be known of a client than its user: before anything of it is served.
 * As subject_ask(). */
int peer_greet(Peer *peer);

/* Why this one is one too many: as user_charge(). Leaves what was to be had to the peer. */
int peer_charge(Peer *peer, Resource *ret_resource);

/* One error, said before anything was asked: the answer to whatever is asked first. */
void peer_refuse(const Peer *peer);
