/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Addresses of IP, for address_parse() alone. @wanted: the family that the network says, or AF_UNSPEC.
 * Both return NULL, or why the text does not fit; what they set of @address is then of no use. */

#include "proto/address.h"

/* HOST:PORT, with a port of 16 bits or a range. */
const char *address_parse_ip(const char *text, int wanted, const AddressFamilies *families,
                             Address *address);

/* As Go has it: the host is all of it, IPv6 without brackets. */
const char *address_parse_raw(const char *text, int wanted, const AddressFamilies *families,
                              Address *address);
