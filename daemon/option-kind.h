/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What a row of the option table is, and the kinds of values there are: how each is checked, set, read
 * and compared. For socket-options.c alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/socket-options.h"
#include "proto/address.h"
#include "proto/wire.h"

typedef struct OptionKind OptionKind;

typedef struct OptionRow {
        const char *name;
        const OptionKind *kind;
        unsigned on;
        size_t offset; /* in Options */
        size_t buffer; /* of a string read back, in OptionsReadBack */
        OptionStage stage;
        int level, optname;   /* what the kernel calls it */
        int level6, optname6; /* on an IPv6 socket, where that differs */
        bool decided;         /* by the broker, where the client does not */
        bool listens;         /* of sockets that are connected to, not of those that connect */
        bool sets_next;       /* setting it also changes the row after it */
        bool dual;            /* on a dual-stack socket both are set: each rules its family's packets */
        int64_t min, max;
        const char *range;
} OptionRow;

/* The functions that one kind of value needs. They run on rows that exist on the socket. */
struct OptionKind {
        bool tristate; /* the field is a Tristate, not an int64_t */
        bool (*given)(const OptionRow *row, const Options *options);
        /* NULL, or why not. */
        const char *(*check)(const OptionRow *row, const Options *options, const Address *address);
        /* Returns 0, or the errno of setsockopt(). */
        int (*set)(const OptionRow *row, int fd, const Options *options, const Address *address);
        /*
         * Takes back that @changes were set, where it takes more than to set again what @before has: see
         * socket_options_restore(). Optional.
         */
        void (*reset)(const OptionRow *row, int fd, const Options *changes,
                      const OptionsReadBack *before, const Address *address);
        /* Leaves the field absent where there is nothing to say. */
        void (*read)(const OptionRow *row, int fd, const Address *address, const Options *requested,
                     OptionsReadBack *ret);
        bool (*equal)(const OptionRow *row, const Options *a, const Options *b);
        void (*format)(const OptionRow *row, const Options *options, char *buffer, size_t size);
};

extern const OptionKind option_kind_int, option_kind_bool, option_kind_string;
/* Doubled by the kernel. */
extern const OptionKind option_kind_buffer;
/* Agrees with what the address says. */
extern const OptionKind option_kind_ipv6_only;
/* On UDP for multicast only. */
extern const OptionKind option_kind_reuse;
/* -1 is off, and off is not reported. */
extern const OptionKind option_kind_linger;
/* An argument of listen(), so never set here. */
extern const OptionKind option_kind_backlog;
/* The interface that multicast leaves by. */
extern const OptionKind option_kind_interface;
/* Lists. */
extern const OptionKind option_kind_groups, option_kind_raw;
