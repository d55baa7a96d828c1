/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The kinds of socket that members serve, each at the one address where all subjects serve it. */

#include "proto/address.h"

typedef enum Kind { KIND_TCP4, KIND_TCP6, KIND_UDP4, KIND_UNIX, _KIND_N } Kind;

/* What a request to the broker says: "tcp4"; "127.0.0.1:8080"; "group" or "shared". */
const char *kind_network(Kind kind);
const char *kind_text(Kind kind);
const char *kind_sharing(Kind kind);

/* The address to bind or to connect to. Returns 0 or a negative errno. */
int kind_address(Kind kind, Address *ret);
