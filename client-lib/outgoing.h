/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What the files of an outgoing connection share. One block per file. */

#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "client-lib/internal.h"
#include "proto/address.h"

typedef struct OutgoingAddress {
        union {
                struct sockaddr sa;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
                struct sockaddr_un un;
                struct sockaddr_vm vm;
                struct sockaddr_storage storage;
        } u;
        socklen_t len;
        char text[ADDRESS_TEXT_MAX];
} OutgoingAddress;

/* ---- outgoing-plan.c ---- */

enum {
        /* Addresses of one destination. */
        OUTGOING_REMOTES_MAX = 64,
        /* How often a connection is tried anew that went to itself, or found no port. */
        OUTGOING_REDIALS_MAX = 2,
        /* What an address has at least, however many others wait. */
        OUTGOING_SHARE_MIN_USEC = 2 * 1000 * 1000,
        /* How long the other family waits for the one that comes first. */
        OUTGOING_HEAD_START_USEC = 300 * 1000,
};

/*
 * Whether it is worth another attempt that reuses no port. @number: what the first one failed with, 0 or
 * a negative errno. @answer: the broker's name for it; NULL: it is the kernel's or the library's.
 */
bool outgoing_may_retry(int number, const char *answer);

/* Whether @answer says that this broker has no Dial at all. NULL says nothing. */
bool outgoing_is_unserved(const char *answer);

/* By when the next of @n_left addresses must be connected to, if all are to have their share of the time
 * until @deadline. @n_left is not 0. */
uint64_t outgoing_share(uint64_t now, uint64_t deadline, size_t n_left);

/* Puts the addresses of the family of the first before the others; both stay in their order. Returns how
 * many are of that family. */
size_t outgoing_split(OutgoingAddress *remotes, size_t n);

/* ---- outgoing-address.c ---- */

typedef struct OutgoingKind {
        const char *network;
        const char *like; /* the network that its addresses are written as; NULL: vsock */
        int type;
        int protocol;
        bool brokered; /* it has ports, so the broker is asked for one */
        bool races;    /* two families are tried at once */
} OutgoingKind;

/* Where to connect from. */
typedef struct OutgoingLocal {
        OutgoingAddress address; /* len 0: any */
        const char *ask;         /* what the broker is asked for; NULL: it chooses */
        int family;              /* AF_UNSPEC: any */
        bool fixed;              /* this very port, or file */
} OutgoingLocal;

enum {
        _OUTGOING_E_SUCCESS,
        OUTGOING_E_INVALID, /* *ret_reason says why, to people */
};

/* NULL: there is none, or no connections are made over it. */
const OutgoingKind *outgoing_kind_find(const char *network);

/* One destination. That of no host is this one. Returns 0 or OUTGOING_E_INVALID. */
int outgoing_remote_parse(const OutgoingKind *kind, const char *text, OutgoingAddress *ret,
                          const char **ret_reason);

/* NULL and "" stand for any. @ret->ask points into @ret. Returns 0 or OUTGOING_E_INVALID. */
int outgoing_local_parse(const OutgoingKind *kind, const char *text, OutgoingLocal *ret,
                         const char **ret_reason);

/* The address of this end of @fd. Returns 0, or -ENOENT if it has none. */
int outgoing_read_local(int fd, char buffer[static ADDRESS_TEXT_MAX]);

/* Whether both ends are the same. */
bool outgoing_is_self(int fd);

/* ---- outgoing-socket.c ---- */

/*
 * A socket that no broker made, bound where @local says. @options: NULL for none. *ret_fd is the
 * caller's. Returns 0 or a negative errno.
 */
int outgoing_socket_open(const OutgoingKind *kind, const OutgoingLocal *local, int family,
                         const Options *options, int *ret_fd, reuse_error **ret_error);

/* What a TCP connection has unless @options say otherwise: no delay, and probes to a silent peer. */
void outgoing_socket_settle(int fd, const Options *options);
