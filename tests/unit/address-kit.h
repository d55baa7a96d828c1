/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Addresses for tests of what is done with them, on a host that has everything. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/address.h"
#include "proto/cleanup.h"
#include "proto/limits.h"

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const AddressFamilies address_kit_all = { .ipv4 = true, .ipv6 = true, .mapped = true };

static inline Address address_kit_parse(const char *network, const char *text) {
        const char *reason = "";
        Address parsed;
        int r;

        r = address_parse(network, text, &address_kit_all, &parsed, &reason);
        cr_assert(eq(int, r, 0), "%s %s: %s", network, text, reason);
        return parsed;
}

/* What is accepted prints as text that means the same, to the byte, and consists of sane values. */
static inline void expect_consistent(const Address *address, const AddressFamilies *families) {
        char text[ADDRESS_TEXT_MAX], again_text[ADDRESS_TEXT_MAX];
        Address chosen = *address, again;
        const char *reason = "";
        int r;

        cr_assert(address->port_first <= address->port_last);
        cr_assert(address->port_last - address->port_first < PORT_RANGE_MAX);
        if (address->port_first != address->port_last) {
                cr_assert(eq(int, address_port(address), 0));
                address_set_port(&chosen, address->port_last);
        }

        address_format(&chosen, text);
        memset(&again, 0xff, sizeof(again));
        r = address_parse(address_network(&chosen, (char[NETWORK_TEXT_MAX]){ 0 }), text, families,
                          &again, &reason);
        cr_assert(eq(int, r, 0), "%s %s: %s", address_network(&chosen, (char[NETWORK_TEXT_MAX]){ 0 }),
                  text, reason);
        cr_assert(memcmp(&chosen, &again, sizeof(again)) == 0, "%s %s",
                  address_network(&chosen, (char[NETWORK_TEXT_MAX]){ 0 }), text);
        cr_assert(strcmp(text, address_format(&again, again_text)) == 0);
}

/* Parses a copy that ends exactly at its NUL, so that a sanitizer sees each byte read behind it. */
static inline int parse_exactly(const char *network, const char *address, size_t n,
                                const AddressFamilies *families, Address *ret, const char **ret_reason) {
        _cleanup_(freep) char *copy = strndup(address, n);

        cr_assert(copy != NULL);
        return address_parse(network, copy, families, ret, ret_reason);
}

/* A refusal gives a reason, says what to give instead, and writes nothing. */
static inline void expect_refusal(const char *network, const char *address,
                                  const AddressFamilies *families, int answer, const char *fragment) {
        const char *reason = NULL;
        Address parsed, before;
        int r;

        memset(&parsed, 0x5a, sizeof(parsed));
        memset(&before, 0x5a, sizeof(before));
        r = parse_exactly(network, address, strlen(address), families, &parsed, &reason);

        cr_expect(eq(int, r, answer), "%s %s", network, address);
        cr_assert(reason != NULL, "%s %s", network, address);
        cr_expect(strstr(reason, fragment) && strstr(reason, "; give "), "%s %s: %s", network, address,
                  reason);
        cr_expect(memcmp(&parsed, &before, sizeof(parsed)) == 0, "%s %s: written to", network, address);
}
