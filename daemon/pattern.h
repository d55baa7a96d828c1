/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One word of a rule's list: a user or group, an address prefix, a range of ports, a path. What a word
 * may look like and what it covers stand side by side here.
 *
 * To cover is for rules that grant: all of what is asked for lies within. To touch is for rules that
 * refuse: some of it does. They differ where one request stands for many addresses or where a path can
 * be spelled in several ways.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "proto/address.h"

enum {
        PATTERN_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path),
};

typedef struct Pattern {
        union {
                unsigned id; /* uid or gid */
                struct {
                        uint32_t first;
                        uint32_t last;
                } ports;
                struct {
                        int family;
                        uint8_t bytes[16];
                        unsigned bits;
                } prefix;
                struct {
                        char text[PATTERN_PATH_MAX]; /* without the @ */
                        size_t n;
                        bool abstract;
                        bool below; /* everything that begins with text */
                } path;
        };
} Pattern;

/* One IP address that a socket would serve; a dual-stack wildcard serves two. */
typedef struct PatternHost {
        int family;
        uint8_t bytes[16];
        bool wildcard;
} PatternHost;

/* The name of a UNIX socket. Borrows the Address. */
typedef struct PatternName {
        const char *text; /* not terminated; without the NUL that begins an abstract name */
        size_t n;
        bool abstract;
        /* Spelled in the one way that patterns are: absolute, no empty, "." or ".." part. */
        bool plain;
} PatternName;

enum {
        _PATTERN_E_SUCCESS,
        /* *@ret_reason is a malloc'ed text for people, owned by the caller. */
        PATTERN_E_INVALID,
};

/* Each reads one @word. Users and groups are looked up, which may block. 0,
 * PATTERN_E_INVALID, -ENOMEM. */
int pattern_parse_user(const char *word, Pattern *ret, char **ret_reason);
int pattern_parse_group(const char *word, Pattern *ret, char **ret_reason);
int pattern_parse_ports(const char *word, Pattern *ret, char **ret_reason);
int pattern_parse_address(const char *word, Pattern *ret, char **ret_reason);
int pattern_parse_path(const char *word, Pattern *ret, char **ret_reason);

/* What an IP address asks for: 1 or 2 hosts. An IPv4 address written as IPv6 (::ffff:a.b.c.d)
 * is IPv4. */
size_t pattern_hosts_of(const Address *address, PatternHost ret[static 2]);

/* What a UNIX address asks for. */
void pattern_name_of(const Address *address, PatternName *ret);

/* The last argument is a unsigned, a uint32_t, a PatternHost or a PatternName. */
typedef bool (*PatternTest)(const Pattern *pattern, const void *what);

bool pattern_covers_id(const Pattern *pattern, const void *id);
bool pattern_covers_port(const Pattern *pattern, const void *port);
bool pattern_covers_host(const Pattern *pattern, const void *host);
bool pattern_touches_host(const Pattern *pattern, const void *host);
bool pattern_covers_name(const Pattern *pattern, const void *name);
bool pattern_touches_name(const Pattern *pattern, const void *name);
