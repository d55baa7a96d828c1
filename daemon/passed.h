/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Listeners of .socket units with Service=reuseportd.service: each is an endpoint, under the name that
 * its FileDescriptorName= gives, and clients get it by name or address, where policy gives them that. So
 * one unit serves many services, of many users.
 */

#include "daemon/inherited.h"
#include "daemon/services.h"

/*
 * Makes an endpoint of each listener that nobody has claimed. What is none, or is at an address that is
 * taken, is left, and told. Returns 0 or a negative errno.
 */
int passed_adopt(Services *services, Inherited *inherited);

/* Takes the one with @cookie, which an earlier broker had as well. -1: it was not passed again. */
int passed_claim(Inherited *inherited, uint64_t cookie);
