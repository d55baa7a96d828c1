/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Protocols above IP, by name or number. The names are fixed: nothing is looked up. */

#include <stdbool.h>
#include <stdint.h>

/* The protocol of @text, a number of 0 to 255 or a name in any case. Returns whether there is one. */
bool ip_protocol_parse(const char *text, uint8_t *ret);

/*
 * Takes "ip:PROTOCOL" apart, or "ip4:..." or "ip6:...": *@ret_family is what the digit says, AF_UNSPEC
 * without one, and *@ret_protocol what follows the colon. Returns whether @network has that form.
 */
bool ip_network_split(const char *network, int *ret_family, const char **ret_protocol);
