/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The words of a rule. All are read into one small struct without pointers, so that a list of them is
 * one block of memory. Where a word could be meant in two ways it is refused, with the right spelling.
 */

#include "daemon/pattern.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/reason.h"
#include "proto/cleanup.h"
#include "proto/error.h"

/* Digits alone, at most @max; unlike strtoul() neither signs nor blanks. */
static bool number_parse(const char *text, unsigned long max, unsigned long *ret) {
        unsigned long n;

        if (!*text || text[strspn(text, "0123456789")])
                return false;
        n = strtoul(text, NULL, 10);
        if (n > max)
                return false;

        *ret = n;
        return true;
}

int pattern_parse_user(const char *word, Pattern *ret, char **ret_reason) {
        struct passwd *passwd;
        unsigned long id;

        /* (uid_t) -1 means "leave it alone" to the kernel and is nobody's. */
        if (number_parse(word, UINT32_MAX - 1, &id)) {
                *ret = (Pattern){ .id = (unsigned)id };
                return 0;
        }

        passwd = getpwnam(word);
        if (!passwd)
                return reason_write(ret_reason, PATTERN_E_INVALID,
                                    "there is no user \"%s\"; give a name or a number", word);

        *ret = (Pattern){ .id = passwd->pw_uid };
        return 0;
}

int pattern_parse_group(const char *word, Pattern *ret, char **ret_reason) {
        struct group *group;
        unsigned long id;

        if (number_parse(word, UINT32_MAX - 1, &id)) {
                *ret = (Pattern){ .id = (unsigned)id };
                return 0;
        }

        group = getgrnam(word);
        if (!group)
                return reason_write(ret_reason, PATTERN_E_INVALID,
                                    "there is no group \"%s\"; give a name or a number", word);

        *ret = (Pattern){ .id = group->gr_gid };
        return 0;
}

int pattern_parse_ports(const char *word, Pattern *ret, char **ret_reason) {
        _cleanup_(freep) char *first_text = NULL;
        unsigned long first, last;
        const char *dash;

        dash = strchr(word, '-');
        first_text = strndup(word, dash ? (size_t)(dash - word) : strlen(word));
        if (!first_text)
                return error_origin(-ENOMEM);

        /* The highest of vsock is any. */
        if (!number_parse(first_text, UINT32_MAX - 1, &first) || first == 0 ||
            !number_parse(dash ? dash + 1 : word, UINT32_MAX - 1, &last) || last == 0)
                return reason_write(
                        ret_reason, PATTERN_E_INVALID,
                        "\"%s\" is no port; give a number of 1 to 65535, a range FIRST-LAST, or *",
                        word);
        if (last < first)
                return reason_write(ret_reason, PATTERN_E_INVALID,
                                    "the range %s ends before it begins; write %lu-%lu", word, last,
                                    first);

        *ret = (Pattern){ .ports = { .first = (uint32_t)first, .last = (uint32_t)last } };
        return 0;
}

static unsigned family_bits(int family) {
        return family == AF_INET ? 32 : 128;
}

/* Whether the first @bits of both agree. */
static bool prefix_match(const uint8_t *a, const uint8_t *b, unsigned bits) {
        unsigned whole = bits / 8, rest = bits % 8;

        return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* Clears what follows the first @bits. Returns whether anything was set there. */
static bool prefix_mask(uint8_t bytes[static 16], unsigned bits) {
        bool any = false;

        for (unsigned i = bits / 8; i < 16; i++) {
                uint8_t keep = i == bits / 8 ? (uint8_t)(0xff00 >> bits % 8) : 0;

                any |= (bytes[i] & ~keep) != 0;
                bytes[i] &= keep;
        }
        return any;
}

int pattern_parse_address(const char *word, Pattern *ret, char **ret_reason) {
        char host[INET6_ADDRSTRLEN], right[INET6_ADDRSTRLEN];
        const char *slash = strchrnul(word, '/');
        Pattern pattern = {};
        unsigned long bits;

        if ((size_t)(slash - word) < sizeof(host)) {
                *(char *)mempcpy(host, word, (size_t)(slash - word)) = '\0';
                if (inet_pton(AF_INET, host, pattern.prefix.bytes) == 1)
                        pattern.prefix.family = AF_INET;
                else if (inet_pton(AF_INET6, host, pattern.prefix.bytes) == 1)
                        pattern.prefix.family = AF_INET6;
        }
        if (pattern.prefix.family == 0)
                return reason_write(
                        ret_reason, PATTERN_E_INVALID,
                        "\"%s\" is no address; give one like 10.0.0.0/8, ::1 or fe80::/10, or *", word);

        bits = family_bits(pattern.prefix.family);
        if (*slash && !number_parse(slash + 1, bits, &bits))
                return reason_write(ret_reason, PATTERN_E_INVALID,
                                    "\"%s\" is no prefix length of %s; give 0 to %lu", slash + 1, host,
                                    bits);
        pattern.prefix.bits = (unsigned)bits;

        if (prefix_mask(pattern.prefix.bytes, pattern.prefix.bits)) {
                inet_ntop(pattern.prefix.family, pattern.prefix.bytes, right, sizeof(right));
                return reason_write(
                        ret_reason, PATTERN_E_INVALID,
                        "%s has bits set beyond its prefix; write %s/%lu, or %s for that address", word,
                        right, bits, host);
        }
        /* Requests for such addresses are judged as IPv4, so this word would silently cover none. */
        if (pattern.prefix.family == AF_INET6 && bits >= 96 &&
            IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)pattern.prefix.bytes)) {
                inet_ntop(AF_INET, pattern.prefix.bytes + 12, right, sizeof(right));
                return reason_write(ret_reason, PATTERN_E_INVALID,
                                    "%s is IPv4 in IPv6 notation; write %s/%lu", word, right, bits - 96);
        }

        *ret = pattern;
        return 0;
}

/* Whether every part between slashes is a name. The path begins with a slash. */
static bool path_is_plain(const char *path, size_t n) {
        const char *end = path + n;

        if (n == 0 || *path != '/')
                return false;
        while (path < end) {
                const char *part = path + 1, *next;
                size_t length;

                next = memchr(part, '/', (size_t)(end - part)) ?: end;
                length = (size_t)(next - part);
                if (length == 0 || (length == 1 && part[0] == '.') ||
                    (length == 2 && part[0] == '.' && part[1] == '.'))
                        return false;
                path = next;
        }
        return true;
}

int pattern_parse_path(const char *word, Pattern *ret, char **ret_reason) {
        Pattern pattern = { .path.abstract = *word == '@' };
        const char *text = word + pattern.path.abstract;
        size_t n = strlen(text), n_folder;

        pattern.path.below = n > 0 && text[n - 1] == '*';
        n -= pattern.path.below;
        if (n >= sizeof(pattern.path.text))
                return reason_write(ret_reason, PATTERN_E_INVALID,
                                    "%s is longer than the %zu bytes that fit a UNIX address", word,
                                    sizeof(pattern.path.text) - 1);
        if (memchr(text, '*', n))
                return reason_write(ret_reason, PATTERN_E_INVALID,
                                    "%s has a * that is not at its end; write FOLDER/* or @PREFIX*",
                                    word);

        if (pattern.path.abstract) {
                if (n == 0 && !pattern.path.below)
                        return reason_write(
                                ret_reason, PATTERN_E_INVALID,
                                "an abstract name is missing after @; write @NAME or @PREFIX*");
        } else {
                if (pattern.path.below && (n == 0 || text[n - 1] != '/'))
                        return reason_write(ret_reason, PATTERN_E_INVALID,
                                            "%s has no / before its *; write FOLDER/*", word);
                /* The root folder alone has no part to look at. */
                n_folder = n - pattern.path.below;
                if (!(pattern.path.below && n_folder == 0) && !path_is_plain(text, n_folder))
                        return reason_write(
                                ret_reason, PATTERN_E_INVALID,
                                "\"%s\" is no path of a socket; give an absolute one without empty "
                                "parts, \".\" and \"..\", FOLDER/*, @NAME, @PREFIX*, or *",
                                word);
        }

        memcpy(pattern.path.text, text, n);
        pattern.path.n = n;
        *ret = pattern;
        return 0;
}

size_t pattern_hosts_of(const Address *address, PatternHost ret[static 2]) {
        const struct in6_addr *in6 = &address->u.in6.sin6_addr;

        ret[0] = ret[1] = (PatternHost){ .family = AF_INET };
        if (address_family(address) == AF_INET) {
                ret[0].wildcard = address->u.in.sin_addr.s_addr == htonl(INADDR_ANY);
                memcpy(ret[0].bytes, &address->u.in.sin_addr, sizeof(address->u.in.sin_addr));
                return 1;
        }
        if (IN6_IS_ADDR_V4MAPPED(in6)) {
                ret[0].wildcard = in6->s6_addr32[3] == htonl(INADDR_ANY);
                memcpy(ret[0].bytes, in6->s6_addr + 12, 4);
                return 1;
        }

        ret[0].family = AF_INET6;
        ret[0].wildcard = IN6_IS_ADDR_UNSPECIFIED(in6);
        memcpy(ret[0].bytes, in6, sizeof(*in6));
        ret[1].wildcard = ret[0].wildcard && !address->ipv6_only;
        return ret[1].wildcard ? 2 : 1;
}

void pattern_name_of(const Address *address, PatternName *ret) {
        const char *path = address->u.un.sun_path;
        size_t n = address->len - offsetof(struct sockaddr_un, sun_path);

        /* Without a name the kernel chooses an abstract one. */
        if (n == 0 || path[0] == '\0') {
                *ret = (PatternName){
                        .text = path + 1, .n = n > 0 ? n - 1 : 0, .abstract = true, .plain = true
                };
                return;
        }

        n = strnlen(path, n);
        *ret = (PatternName){ .text = path, .n = n, .plain = path_is_plain(path, n) };
}

bool pattern_covers_id(const Pattern *pattern, const void *id) {
        return pattern->id == *(const unsigned *)id;
}

bool pattern_covers_port(const Pattern *pattern, const void *port) {
        uint32_t n = *(const uint32_t *)port;

        return pattern->ports.first <= n && n <= pattern->ports.last;
}

bool pattern_covers_host(const Pattern *pattern, const void *what) {
        const PatternHost *host = what;
        unsigned bits = pattern->prefix.bits;

        if (pattern->prefix.family != host->family ||
            !prefix_match(pattern->prefix.bytes, host->bytes, bits))
                return false;
        /* 0.0.0.0 lies within 0.0.0.0/8 as a number, yet it serves every address. */
        return !host->wildcard || bits == 0 || bits == family_bits(host->family);
}

bool pattern_touches_host(const Pattern *pattern, const void *what) {
        const PatternHost *host = what;

        return pattern_covers_host(pattern, host) ||
               (host->wildcard && pattern->prefix.family == host->family);
}

bool pattern_covers_name(const Pattern *pattern, const void *what) {
        const PatternName *name = what;

        if (!name->plain || pattern->path.abstract != name->abstract)
                return false;
        return (pattern->path.below ? name->n >= pattern->path.n : name->n == pattern->path.n) &&
               memcmp(name->text, pattern->path.text, pattern->path.n) == 0;
}

bool pattern_touches_name(const Pattern *pattern, const void *what) {
        const PatternName *name = what;

        /* "/run/./x" could be any path, so it is taken for the one that is refused. */
        return pattern_covers_name(pattern, name) || (!name->plain && !pattern->path.abstract);
}
