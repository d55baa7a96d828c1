/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The kinds of option values. Most are an int to the kernel; the others are here because the kernel or
 * the protocol treats them in a way of their own.
 */

#include "daemon/option-kind.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/multicast.h"

/* Integers and booleans. */

static int64_t number_get(const OptionRow *row, const Options *options) {
        const char *field = (const char *)options + row->offset;
        Tristate value;

        if (!row->kind->tristate)
                return *(const int64_t *)field;
        value = *(const Tristate *)field;
        return value == TRISTATE_ABSENT ? WIRE_ABSENT : value;
}

static void number_put(const OptionRow *row, Options *options, int64_t value) {
        char *field = (char *)options + row->offset;

        if (row->kind->tristate)
                *(Tristate *)field = (Tristate)(value != 0);
        else
                *(int64_t *)field = value;
}

static bool number_given(const OptionRow *row, const Options *options) {
        return number_get(row, options) != WIRE_ABSENT;
}

static const char *number_check(const OptionRow *row, const Options *options, const Address *address) {
        int64_t value = number_get(row, options);

        return value < row->min || value > row->max ? row->range : NULL;
}

static const char *ipv6_only_check(const OptionRow *row, const Options *options,
                                   const Address *address) {
        return options->ipv6_only != address->ipv6_only ? "the network and the address say otherwise"
                                                        : NULL;
}

static const char *reuse_address_check(const OptionRow *row, const Options *options,
                                       const Address *address) {
        if (address_is_udp(address) && options->reuse_address == 1 && !address_is_multicast(address) &&
            options->multicast_groups.n == 0)
                return "any local user could take the datagrams; it is for multicast only";
        return NULL;
}

static int kernel_set(int fd, int level, int optname, const void *value, size_t size) {
        return setsockopt(fd, level, optname, value, (socklen_t)size) < 0 ? errno : 0;
}

static bool row_is_v6(const OptionRow *row, const Address *address) {
        return row->optname6 && address_family(address) == AF_INET6;
}

static int int_set(const OptionRow *row, int fd, const Options *options, const Address *address) {
        int value = (int)(uint32_t)number_get(row, options);
        int error;

        if (!row_is_v6(row, address))
                return kernel_set(fd, row->level, row->optname, &value, sizeof(value));
        error = kernel_set(fd, row->level6, row->optname6, &value, sizeof(value));
        if (error || !row->dual || address->ipv6_only)
                return error;
        return kernel_set(fd, row->level, row->optname, &value, sizeof(value));
}

static void int_read(const OptionRow *row, int fd, const Address *address, const Options *requested,
                     OptionsReadBack *ret) {
        bool v6 = row_is_v6(row, address);
        int value = 0;
        socklen_t n = sizeof(value);

        if (getsockopt(fd, v6 ? row->level6 : row->level, v6 ? row->optname6 : row->optname, &value,
                       &n) < 0)
                return;
        number_put(row, &ret->options, row->max > INT32_MAX ? (int64_t)(uint32_t)value : value);
}

static bool number_equal(const OptionRow *row, const Options *a, const Options *b) {
        return number_get(row, a) == number_get(row, b);
}

static void number_format(const OptionRow *row, const Options *options, char *buffer, size_t size) {
        int64_t value = number_get(row, options);

        if (value == WIRE_ABSENT)
                buffer[0] = '\0';
        else if (row->kind->tristate)
                snprintf(buffer, size, "%s", value ? "true" : "false");
        else
                snprintf(buffer, size, "%lld", (long long)value);
}

/* The kernel doubles what is set, and says so. */
static void buffer_reset(const OptionRow *row, int fd, const Options *changes,
                         const OptionsReadBack *before, const Address *address) {
        int64_t doubled = number_get(row, &before->options);
        int value = (int)(doubled / 2);
        int force = row->optname == SO_RCVBUF ? SO_RCVBUFFORCE : SO_SNDBUFFORCE;

        /* What the system gives a new socket may be more than it lets one ask for. */
        if (doubled != WIRE_ABSENT && kernel_set(fd, row->level, force, &value, sizeof(value)) != 0)
                (void)kernel_set(fd, row->level, row->optname, &value, sizeof(value));
}

/* Of kinds that set what is absent as none. */
static void absent_reset(const OptionRow *row, int fd, const Options *changes,
                         const OptionsReadBack *before, const Address *address) {
        row->kind->set(row, fd, &before->options, address);
}

/* Linger: -1 is off, and off is not reported. */

static int linger_set(const OptionRow *row, int fd, const Options *options, const Address *address) {
        struct linger value = { .l_onoff = options->linger_sec >= 0 };

        if (value.l_onoff)
                value.l_linger = (int)options->linger_sec;
        return kernel_set(fd, SOL_SOCKET, SO_LINGER, &value, sizeof(value));
}

static void linger_read(const OptionRow *row, int fd, const Address *address, const Options *requested,
                        OptionsReadBack *ret) {
        struct linger value;
        socklen_t n = sizeof(value);

        if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &value, &n) == 0 && value.l_onoff)
                ret->options.linger_sec = value.l_linger;
}

static bool linger_equal(const OptionRow *row, const Options *a, const Options *b) {
        return (a->linger_sec < 0 && b->linger_sec < 0) || a->linger_sec == b->linger_sec;
}

static void backlog_read(const OptionRow *row, int fd, const Address *address, const Options *requested,
                         OptionsReadBack *ret) {
        struct tcp_info info = { 0 };
        socklen_t n = sizeof(info);
        int asked = socket_options_backlog(requested), most = socket_options_backlog(NULL);

        if (address->transport != TRANSPORT_TCP)
                ret->options.backlog = asked < most ? asked : most;
        /* Of a listener, tcpi_sacked is the limit of its queue and tcpi_unacked the length. */
        else if (getsockopt(fd, SOL_TCP, TCP_INFO, &info, &n) == 0 && info.tcpi_state == TCP_LISTEN)
                ret->options.backlog = info.tcpi_sacked;
}

/* Names: of interfaces and of congestion controls, both up to 15 bytes. */

static const char **string_field(const OptionRow *row, Options *options) {
        return (const char **)(void *)((char *)options + row->offset);
}

static const char *string_get(const OptionRow *row, const Options *options) {
        return *(const char *const *)(const void *)((const char *)options + row->offset);
}

static bool string_given(const OptionRow *row, const Options *options) {
        return string_get(row, options) != NULL;
}

static const char *string_check(const OptionRow *row, const Options *options, const Address *address) {
        const char *value = string_get(row, options);
        size_t n = strlen(value);

        if (n < 1 || n >= IFNAMSIZ)
                return "must be a name of 1 to 15 bytes";
        for (size_t i = 0; i < n; i++)
                if (value[i] <= ' ' || value[i] > '~' || value[i] == '/' || value[i] == ':')
                        return "has a byte that no such name has";
        return NULL;
}

static int string_set(const OptionRow *row, int fd, const Options *options, const Address *address) {
        const char *value = string_get(row, options) ?: "";

        return kernel_set(fd, row->level, row->optname, value, strlen(value));
}

static void string_read(const OptionRow *row, int fd, const Address *address, const Options *requested,
                        OptionsReadBack *ret) {
        char *buffer = (char *)ret + row->buffer;
        socklen_t n = IFNAMSIZ;

        buffer[0] = '\0';
        if (getsockopt(fd, row->level, row->optname, buffer, &n) < 0)
                return;
        /* Whether there is a NUL within what is told is the kernel's affair. */
        buffer[n < IFNAMSIZ ? n : IFNAMSIZ - 1] = '\0';
        if (buffer[0])
                *string_field(row, &ret->options) = buffer;
}

static bool string_equal(const OptionRow *row, const Options *a, const Options *b) {
        return strcmp(string_get(row, a) ?: "", string_get(row, b) ?: "") == 0;
}

static void string_format(const OptionRow *row, const Options *options, char *buffer, size_t size) {
        snprintf(buffer, size, "%s", string_get(row, options) ?: "");
}

static int interface_set(const OptionRow *row, int fd, const Options *options, const Address *address) {
        return multicast_set_interface(fd, options->multicast_interface, address);
}

static void interface_read(const OptionRow *row, int fd, const Address *address,
                           const Options *requested, OptionsReadBack *ret) {
        if (address_family(address) == AF_INET)
                ret->options.multicast_interface = requested ? requested->multicast_interface : NULL;
        else if (multicast_get_interface(fd, ret->multicast_interface))
                ret->options.multicast_interface = ret->multicast_interface;
}

/* Lists. */

static bool groups_given(const OptionRow *row, const Options *options) {
        return options->multicast_groups.items != NULL;
}

static const char *groups_check(const OptionRow *row, const Options *options, const Address *address) {
        return multicast_groups_check(&options->multicast_groups, address);
}

/*
 * Leaves the first @n. In reverse, because where no interface is named the kernel leaves the group that
 * was joined last.
 */
static void groups_leave(int fd, const Options *options, size_t n) {
        const char *const *groups = options->multicast_groups.items;

        while (n-- > 0)
                (void)multicast_leave(fd, groups[n], options->multicast_interface);
}

/* All or none, so that it is known which were joined in here: one that was before is refused. */
static int groups_set(const OptionRow *row, int fd, const Options *options, const Address *address) {
        const char *const *groups = options->multicast_groups.items;

        for (size_t i = 0; i < options->multicast_groups.n; i++) {
                int error = multicast_join(fd, groups[i], options->multicast_interface);

                if (error) {
                        groups_leave(fd, options, i);
                        return error;
                }
        }
        /* Who names groups wants these, and not also what others on this host have joined. */
        return multicast_take_all(fd, options->multicast_groups.n == 0, address);
}

static void groups_reset(const OptionRow *row, int fd, const Options *changes,
                         const OptionsReadBack *before, const Address *address) {
        groups_leave(fd, changes, changes->multicast_groups.n);
        (void)multicast_take_all(fd, before->options.multicast_groups.n == 0, address);
}

static void groups_read(const OptionRow *row, int fd, const Address *address, const Options *requested,
                        OptionsReadBack *ret) {
        if (requested)
                ret->options.multicast_groups = requested->multicast_groups;
}

static bool groups_equal(const OptionRow *row, const Options *a, const Options *b) {
        return multicast_groups_equal(&a->multicast_groups, &b->multicast_groups);
}

static void groups_format(const OptionRow *row, const Options *options, char *buffer, size_t size) {
        multicast_groups_format(&options->multicast_groups, buffer, size);
}

static bool raw_given(const OptionRow *row, const Options *options) {
        return options->raw.items != NULL;
}

static const char *raw_check(const OptionRow *row, const Options *options, const Address *address) {
        return raw_options_check(&options->raw);
}

static int raw_set(const OptionRow *row, int fd, const Options *options, const Address *address) {
        const RawOption *raw = options->raw.items;
        int error = 0;

        for (size_t i = 0; i < options->raw.n && !error; i++)
                error = raw_option_set(fd, &raw[i]);
        return error;
}

/* What cannot be read cannot be put back. */
static void raw_reset(const OptionRow *row, int fd, const Options *changes,
                      const OptionsReadBack *before, const Address *address) {
        for (size_t i = 0; i < before->options.raw.n; i++)
                if (before->raw_told[i])
                        (void)raw_option_set(fd, &before->raw[i]);
}

static void raw_read(const OptionRow *row, int fd, const Address *address, const Options *requested,
                     OptionsReadBack *ret) {
        const RawOption *raw;

        if (!requested || !requested->raw.items)
                return;
        assert(requested->raw.n <= RAW_OPTIONS_MAX);
        raw = requested->raw.items;
        for (size_t i = 0; i < requested->raw.n; i++) {
                ret->raw_told[i] = raw_option_read(fd, &raw[i], ret->raw_values[i]);
                ret->raw[i] = (RawOption){ raw[i].level, raw[i].name, ret->raw_values[i] };
        }
        ret->options.raw = (WireList){ ret->raw, requested->raw.n };
}

static bool raw_equal(const OptionRow *row, const Options *a, const Options *b) {
        return raw_options_equal(&a->raw, &b->raw);
}

static void raw_format(const OptionRow *row, const Options *options, char *buffer, size_t size) {
        raw_options_format(&options->raw, buffer, size);
}

#define NUMBER(check, set, reset, read, equal)                                                          \
        number_given, check, set, reset, read, equal, number_format
#define INTEGER(check) NUMBER(check, int_set, NULL, int_read, number_equal)
#define STRING(set, read)                                                                               \
        string_given, string_check, set, absent_reset, read, string_equal, string_format

const OptionKind option_kind_int = { false, INTEGER(number_check) };
const OptionKind option_kind_bool = { true, INTEGER(number_check) };
const OptionKind option_kind_ipv6_only = { true, INTEGER(ipv6_only_check) };
const OptionKind option_kind_reuse = { true, INTEGER(reuse_address_check) };
const OptionKind option_kind_buffer = { false, NUMBER(number_check, int_set, buffer_reset, int_read,
                                                      number_equal) };
const OptionKind option_kind_linger = { false, NUMBER(number_check, linger_set, absent_reset,
                                                      linger_read, linger_equal) };
const OptionKind option_kind_backlog = { false,
                                         NUMBER(number_check, NULL, NULL, backlog_read, number_equal) };
const OptionKind option_kind_string = { false, STRING(string_set, string_read) };
const OptionKind option_kind_interface = { false, STRING(interface_set, interface_read) };
const OptionKind option_kind_groups = { false,        groups_given, groups_check, groups_set,
                                        groups_reset, groups_read,  groups_equal, groups_format };
const OptionKind option_kind_raw = { false,     raw_given, raw_check, raw_set,
                                     raw_reset, raw_read,  raw_equal, raw_format };
