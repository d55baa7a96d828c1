/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Every size that the protocol limits, by name. docs/protocol.md lists the same numbers. */

enum {
        /* A call, its NUL included. A longer one ends the connection. */
        CALL_SIZE_MAX = 64 * 1024,
        /* A reply, its NUL included: what the broker sends and what the library takes. */
        REPLY_SIZE_MAX = 16 * 1024 * 1024,
        /* Nesting of objects and arrays in one message. */
        JSON_DEPTH_MAX = 16,
        /* Sockets in one Acquire, so descriptors in one reply. The kernel's own bound is 253. */
        SOCKETS_MAX = 64,
        /* Leases named in one Release, Ready, Drain or Resume. */
        LEASES_PER_CALL_MAX = 1024,
        /* Bytes of events waiting for a slow reader of Watch; above it events are dropped. */
        WATCH_BACKLOG_MAX = 256 * 1024,
        /* Calls of one connection served before the others have their turn, and how long it may take. */
        CALLS_PER_TURN = 16,
        TURN_USEC = 100,
        /* Bytes of answers and events that the clients of one user have not taken, and of
         * all together. */
        QUEUED_BYTES_PER_USER_MAX = 32 * 1024 * 1024,
        QUEUED_BYTES_MAX = 128 * 1024 * 1024,
        /* Answers up to this size are not held back by that. */
        QUEUED_BYTES_FREE = 4096,
        /* Watches of one user. */
        WATCHES_PER_USER_MAX = 8,
        /* Connections, of one user and of all, that wait to be told that they are too many. */
        REFUSALS_PER_USER_MAX = 64,
        REFUSALS_MAX = 256,
        /* Descriptors that were sent to the clients of one user and not yet received. */
        IN_FLIGHT_PER_USER_MAX = 1024,
        /* The same of one connection, until its next call waits for it to have received them. */
        IN_FLIGHT_PER_CONNECTION = 256,
        /* Longest time for one call to arrive, from its first byte to its last. */
        CALL_SEC_MAX = 10,
        /* A name of an endpoint, without the NUL. */
        NAME_SIZE_MAX = 64,
        /* A network namespace, by name or path, without the NUL. */
        NAMESPACE_SIZE_MAX = 255,
        /* Ports in a range FIRST-LAST. */
        PORT_RANGE_MAX = 4096,
        /* Ports that are tried, and found to be somebody else's, until one call gives up. */
        PORT_TRIES_MAX = 256,
        /* Raw options in one request, and bytes of one. */
        RAW_OPTIONS_MAX = 16,
        RAW_VALUE_MAX = 256,
        /* Multicast groups in one request. */
        MULTICAST_GROUPS_MAX = 32,
        /* How long a new broker waits for the clients of the one before to come back and Resume. */
        RESUME_GRACE_SEC = 30,
        /* Longest time a socket may be retained without a lease. */
        RETAIN_SEC_MAX = 24 * 60 * 60,
};
