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

/* Whether @answer says that this broker has no Dial, or none for these. NULL says nothing. */
bool outgoing_is_unserved(const OutgoingKind *kind, const char *answer);

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

/* One destination. That of no host is this one. @network_namespace: where it is; NULL: here. Returns 0
 * or OUTGOING_E_INVALID. */
int outgoing_remote_parse(const OutgoingKind *kind, const char *text, const char *network_namespace,
                          OutgoingAddress *ret, const char **ret_reason);

/* NULL and "" stand for any. @ret->ask points into @ret. Returns 0 or OUTGOING_E_INVALID. */
int outgoing_local_parse(const OutgoingKind *kind, const char *text, const char *network_namespace,
                         OutgoingLocal *ret, const char **ret_reason);

/* The address of this end of @fd, which is of @network_namespace; NULL: here. Returns 0, or -ENOENT if
 * it has none. */
int outgoing_read_local(int fd, const char *network_namespace, char buffer[static ADDRESS_TEXT_MAX]);

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

/* ---- outgoing-lane.c ---- */

typedef enum LaneState {
        LANE_IDLE,       /* it has its head start to wait for */
        LANE_READY,      /* the next attempt can be made */
        LANE_ASKING,     /* the broker has been asked */
        LANE_CONNECTING, /* in the client's epoll */
        LANE_PAUSING,    /* a UNIX socket whose listener has no room */
        LANE_CONNECTED,
        LANE_OVER, /* no address is left */
} LaneState;

/* Addresses that are tried one after the other. */
typedef struct OutgoingLane {
        reuse_outgoing *outgoing;
        size_t next, end; /* the address it is at, and the first that is not its own */
        LaneState state;
        uint64_t deadline;   /* of this address */
        uint64_t pause_end;  /* while pausing */
        uint64_t pause_usec; /* how long it was */
        int fd;
        bool reused; /* the broker said so */
        bool plain;  /* no port is to be reused any more */
        bool alone;  /* the broker is not asked any more */
        int redials; /* how often */
        int number;  /* why its first address failed */
        reuse_error *error;
        reuse_error *before; /* why there is another attempt for this address */
} OutgoingLane;

/* Addresses @from to @to, not begun. */
void lane_init(OutgoingLane *lane, reuse_outgoing *outgoing, size_t from, size_t to);
void lane_deinit(OutgoingLane *lane);

/* Goes to its first address. */
void lane_begin(OutgoingLane *lane);

/* Makes attempts until there is something to wait for, or nothing left to try. Calls no handler. */
void lane_run(OutgoingLane *lane);

/* Its descriptor may be connected. Returns whether something came of it. */
bool lane_on_ready(OutgoingLane *lane);

/* When it must be looked at again; UINT64_MAX: never. */
uint64_t lane_due(const OutgoingLane *lane);

/* That time has come. */
void lane_on_time(OutgoingLane *lane, uint64_t now);

/* Closes what it has half open, and forgets what it has asked. */
void lane_drop(OutgoingLane *lane);

/* ---- outgoing.c ---- */

enum {
        OUTGOING_LANES_MAX = 2,
};

/* What is wanted; all is borrowed. */
typedef struct OutgoingQuestion {
        const char *network;
        const char *const *remotes; /* numeric, in the order of preference */
        size_t n_remotes;
        const char *local;
        const char *options;
        uint64_t timeout;
        reuse_outgoing_handler handler;
        void *userdata;
} OutgoingQuestion;

struct reuse_outgoing {
        TAILQ_ENTRY(reuse_outgoing) entry;
        reuse_client *client; /* NULL: it is in no list of one */
        reuse_outgoing_handler handler;
        void *userdata;
        const OutgoingKind *kind;
        OutgoingLocal local;
        reuse_request *request; /* owns the options */
        OutgoingAddress *remotes;
        size_t n_remotes;
        uint64_t deadline;
        uint64_t head_start_end; /* of the first lane before the second */
        OutgoingLane lanes[OUTGOING_LANES_MAX];
        size_t n_lanes;

        bool settled; /* what follows is known */
        int number;
        int fd;
        bool reused;
        const char *remote;
        char address[ADDRESS_TEXT_MAX]; /* empty: none */
        reuse_error *error;
};

CLEANUP_DEFINE(reuse_outgoing, reuse_outgoing_free)

/* Reads the question; nothing is begun, but the time runs. Returns 0 or a negative errno. */
int outgoing_new(const OutgoingQuestion *question, reuse_outgoing **ret, reuse_error **ret_error);

/* Calls no handler. */
void outgoing_begin(reuse_outgoing *outgoing, reuse_client *client);

/* Waits until it is settled, and takes it out of the client. */
void outgoing_await(reuse_outgoing *outgoing);

/* After anything that a lane did: begins the next, or settles it. Calls no handler. */
void outgoing_advance(reuse_outgoing *outgoing);

const Options *outgoing_options(const reuse_outgoing *outgoing);

/* NULL: the broker's own. */
const char *outgoing_namespace(const reuse_outgoing *outgoing);

/* Nobody else can make the socket that was asked for. */
bool outgoing_needs_broker(const reuse_outgoing *outgoing);
