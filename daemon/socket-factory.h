/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What was asked for to a descriptor: the only caller of socket(), bind() and listen().
 */

#include <assert.h>
#include <stdbool.h>

#include "daemon/namespace-path.h"
#include "daemon/socket-file.h"
#include "daemon/socket-options.h"
#include "proto/address.h"
#include "proto/wire.h"

typedef struct Namespace Namespace;

typedef struct SocketSpec {
        /* Where it is made; NULL: in the broker's own. */
        const Namespace *network_namespace;
        /* With the very port wanted; 0 leaves the choice to the kernel. Nobody chooses of a
         * range here. */
        Address address;
        Sharing sharing;
        /* What the client asked for; may be NULL. Borrowed. */
        const Options *options;
        /*
         * A free port is being looked for: the bind must fail if anybody else has it, even a group that
         * would let this socket join.
         */
        bool unused_port;
        /* Of a path: how its file is to be, and then which it is. NULL: as by default, and whoever asked
         * removes it. */
        SocketFile *file;
        /* Told the socket's cookie before it is bound; NULL: nobody wants to know. */
        void (*announce)(void *userdata, uint64_t cookie);
        void *userdata;
} SocketSpec;

enum {
        _SOCKET_FACTORY_E_SUCCESS,
        SOCKET_FACTORY_E_IN_USE,
        SOCKET_FACTORY_E_NOT_LOCAL,      /* no interface of this host has the address */
        SOCKET_FACTORY_E_OPTION_INVALID, /* refusal.option, refusal.reason */
        SOCKET_FACTORY_E_NOT_SUPPORTED, /* the kernel makes no sockets of this network: refusal.reason */
        SOCKET_FACTORY_E_PATH,          /* where the path leads is not for the client alone: reason */
        SOCKET_FACTORY_E_NAMESPACE,     /* its network namespace is not there any more: reason */
        SOCKET_FACTORY_E_SYSTEM, /* the kernel refused: step, refusal.error, maybe refusal.option */
};

typedef struct SocketFailure {
        OptionRefusal refusal;
        const char
                *step; /* "socket", "setsockopt", "bind", "listen", ...: the call that failed; static */
        char reason[SOCKET_FOLDER_REASON_MAX]; /* SOCKET_FACTORY_E_PATH, SOCKET_FACTORY_E_NAMESPACE */
} SocketFailure;

static_assert((int)SOCKET_FOLDER_REASON_MAX >= (int)NAMESPACE_REASON_MAX, "either fits");

/*
 * Makes the socket: close-on-exec and non-blocking from birth, every option before bind (but see
 * OptionStage), listening where its kind listens, and on a group member SO_REUSEPORT alone.
 * On 0, *@ret_fd is the caller's, and *@ret_bound is what getsockname says.
 * Returns 0, or SOCKET_FACTORY_E_* with *@ret_failure filled, and neither a descriptor nor a file left.
 */
int socket_factory_open(const SocketSpec *spec, int *ret_fd, Address *ret_bound,
                        SocketFailure *ret_failure);

/* A socket that is to connect. */
typedef struct DialSpec {
        const Namespace *network_namespace; /* as of SocketSpec */
        /* What it is bound to, of the family of @remote; port 0 leaves that to the kernel. */
        Address local;
        const Address *remote;
        const Options *options; /* may be NULL; borrowed */
        bool unbound;           /* both are the kernel's to choose: @local is a wildcard */
        /* Somebody listens there, whose port it shares: see socket_factory_lend(). */
        bool reuse;
        /* Of datagrams and IPv4: it is one of IPv6 until it is connected, so that nobody's group is
         * parted. */
        bool aside;
        /* Whose the connection is to be: as if they had accepted it. */
        uid_t uid;
        gid_t gid;
        /* As of SocketSpec. */
        void (*announce)(void *userdata, uint64_t cookie);
        void *userdata;
} DialSpec;

/*
 * Makes the socket, as above, to be connected by whoever gets it; of datagrams it is connected. On 0,
 * *@ret_fd is the caller's, and *@ret_bound is what it is bound to, with the port if it has one by now.
 * Returns 0, or SOCKET_FACTORY_E_* with *@ret_failure filled and no descriptor left.
 */
int socket_factory_dial(const DialSpec *spec, int *ret_fd, Address *ret_bound,
                        SocketFailure *ret_failure);

/*
 * Connections may come from where @fd, of an endpoint that is no group, listens or receives. Nobody but
 * the broker's own user can bind there for all that. Returns 0 or a negative errno.
 */
int socket_factory_lend(int fd);

/*
 * Makes a bound, listening socket that nobody holds into what @spec asks for, its queue untouched, as
 * far as the kernel lets a bound socket change. The address stays. Returns 0 or SOCKET_FACTORY_E_*.
 */
int socket_factory_reshape(int fd, const SocketSpec *spec, SocketFailure *ret_failure);

/*
 * Locks a group member before it is handed out: its holder could steer the whole group with a program of
 * its own. It binds the broker as well, and cannot be undone. Returns 0 or a negative errno.
 */
int socket_factory_lock(int fd);

/*
 * Shuts a TCP listener down, if nobody did, and makes it listen anew, with an empty queue. Returns 0 or
 * SOCKET_FACTORY_E_*; then it is bound and does not listen.
 */
int socket_factory_listen_again(int fd, const SocketSpec *spec, SocketFailure *ret_failure);
