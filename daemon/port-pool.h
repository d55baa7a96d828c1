/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Ports to try for "port 0": the kernel's ip_local_port_range less ip_local_reserved_ports, in an order
 * nobody can guess, another for each search; those where something is held last.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct PortPool PortPool;

/*
 * Reads the sysctls of the calling thread's network namespace; what cannot be read has the kernel's
 * default. Returns 0 with *@ret owned by the caller, or -ENOMEM.
 */
int port_pool_new(PortPool **ret);

/* The same, of files that are open; neither is closed. Returns 0 or -ENOMEM. */
int port_pool_new_from(int range_fd, int reserved_fd, PortPool **ret);

/* Takes NULL; returns NULL. */
PortPool *port_pool_free(PortPool *pool);

/* How many ports there are. */
size_t port_pool_size(const PortPool *pool);

/* A new search: none was tried yet. @held: how much is held at each port, for as long as the search goes
 * on, or NULL. */
void port_pool_begin(PortPool *pool, const uint32_t *held);

/* The next port to try, each once in a search. 0 when all were tried. */
uint16_t port_pool_next(PortPool *pool);
