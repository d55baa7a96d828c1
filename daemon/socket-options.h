/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * The options of the protocol and those of the kernel: one table row each, to check, set, read back and
 * compare them.
 */

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/raw-option.h"
#include "proto/address.h"
#include "proto/limits.h"
#include "proto/wire.h"

/* Why an option was refused. The texts are static or point into the options given. */
typedef struct OptionRefusal {
        const char *option;
        const char *reason;      /* SOCKET_OPTIONS_E_INVALID */
        char have[64], want[64]; /* SOCKET_OPTIONS_E_CONFLICT, truncated if longer */
        int error;               /* SOCKET_OPTIONS_E_SYSTEM: positive errno of setsockopt */
} OptionRefusal;

enum {
        _SOCKET_OPTIONS_E_SUCCESS,
        SOCKET_OPTIONS_E_INVALID,  /* value out of range, or no such option on this kind of socket */
        SOCKET_OPTIONS_E_CONFLICT, /* differs from what the endpoint has */
        SOCKET_OPTIONS_E_SYSTEM, /* the kernel refused for a reason that is not the value's (EPERM, ...)
                                  */
};

/* When, in the life of a socket, a row is applied. */
typedef enum OptionStage {
        OPTION_BEFORE_BIND,
        OPTION_AFTER_BIND,   /* multicast groups */
        OPTION_AFTER_LISTEN, /* reuseAddress of TCP: never on a socket that is bound and not listening */
} OptionStage;

/*
 * Checks, without a socket, that every option given exists on @address's kind and is in range.
 * @options may be NULL. 0 or E_INVALID.
 */
int socket_options_check(const Options *options, const Address *address, OptionRefusal *ret_refusal);

/* The same for a socket that connects. */
int socket_options_check_outgoing(const Options *options, const Address *address,
                                  OptionRefusal *ret_refusal);

/*
 * Sets on @fd those of @options that belong to @stage. They are checked already. @options may be NULL.
 * The backlog is not among them: see socket_options_backlog(). 0, E_INVALID, E_SYSTEM.
 */
int socket_options_apply(int fd, const Options *options, const Address *address, OptionStage stage,
                         OptionRefusal *ret_refusal);

/* The backlog for listen(): what @options (may be NULL) ask for, else the most that the
 * kernel allows. */
int socket_options_backlog(const Options *options);

/* A set of options: a bit for each row of the table. */
typedef uint64_t OptionSet;
#define OPTIONS_ALL UINT64_MAX

/* Those that are given; none for NULL. */
OptionSet socket_options_given(const Options *options);

/* What socket_options_read() found, with room for its strings and lists. */
typedef struct OptionsReadBack {
        Options options;
        char bind_to_device[IFNAMSIZ];
        char congestion[16];
        char multicast_interface[IFNAMSIZ];
        RawOption raw[RAW_OPTIONS_MAX];
        char raw_values[RAW_OPTIONS_MAX][RAW_HEX_SIZE];
        bool raw_told[RAW_OPTIONS_MAX]; /* by the kernel */
} OptionsReadBack;

/*
 * What the kernel says @fd has of @which, and of what the broker decides where nobody asks (backlog,
 * ipv6Only): each costs a system call. Rows that do not exist on this kind of socket stay absent, and so
 * does a linger that is off. What the kernel cannot tell (multicast groups, the multicast interface of
 * IPv4, the backlog of a UNIX socket, raw options that cannot be read) is reported from @requested,
 * which may be NULL and is borrowed.
 */
void socket_options_read(int fd, const Address *address, const Options *requested, OptionSet which,
                         OptionsReadBack *ret);

/*
 * Whether a further client of an endpoint asks for something else than it has. Compared with what was
 * asked at first (@have_requested, may be NULL) and for options not asked for then with what the kernel
 * says of @fd. 0, or E_CONFLICT with both values as text. @want may be NULL.
 */
int socket_options_compare(const Options *want, const Options *have_requested, int fd,
                           const Address *address, OptionRefusal *ret_refusal);

/* What a socket has of options that are about to be set. Points into itself: it stays where it is. */
typedef struct OptionsBackup {
        Options changes;        /* about to be set; strings and lists are borrowed */
        OptionsReadBack before; /* borrows as socket_options_read() */
        int buffer_locks;
} OptionsBackup;

/*
 * Notes what @fd has of @changes. What the kernel cannot tell is taken from @requested, what was asked
 * of this socket so far (may be NULL).
 */
void socket_options_save(int fd, const Address *address, const Options *requested,
                         const Options *changes, OptionsBackup *ret);

/*
 * Puts back what socket_options_save() noted, whether the changes were made since, or some of them. Not
 * the backlog, an argument of listen(): that is before.options.backlog. Of multicast groups those of
 * @backup->changes are left, so a caller that has not joined them takes them out there.
 *
 * What cannot be put back stays: raw options that the kernel does not tell or tells otherwise than they
 * are set, and a device, which to leave takes CAP_NET_RAW. A default that was told is explicit
 * afterwards.
 */
void socket_options_restore(int fd, const Address *address, const OptionsBackup *backup);
