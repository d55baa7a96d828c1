/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * One hostile process, and what its attacks are made of. Nothing here gives up: whatever the broker
 * does, the attack goes on, until somebody ends the process.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Foe {
        const char *path;   /* of the broker's socket */
        const char *config; /* path of its configuration, for who administers it */
        pid_t broker;
        unsigned index; /* among the processes of its attack */
        _Atomic uint64_t *blows;
} Foe;

enum {
        /* More than the broker's configuration lets any user have. */
        FOE_CONNECTIONS = 96,
        FOE_CALL_MAX = 64 * 1024,
};

/* The text of one call of the interface, with parameters that have its quotes; its NUL
 * separates calls. */
#define FOE_CALL(method, parameters)                                                                    \
        "{\"method\":\"io.reuseportd." method "\",\"parameters\":" parameters "}"
#define FOE_SOCKET "{\"network\":\"tcp4\",\"address\":\"127.0.0.1:0\"}"
#define FOE_ACQUIRE FOE_CALL("Acquire", "{\"sockets\":[" FOE_SOCKET "]}")
#define FOE_STATUS FOE_CALL("GetStatus", "{}")
#define FOE_LIST FOE_CALL("List", "{}")
#define FOE_WATCH "{\"method\":\"io.reuseportd.Watch\",\"more\":true}"

/* Counts one thing done to the broker: a call, a connection, or whatever the attack is made of. */
void foe_strike(const Foe *foe);

/* A connection that does not block, or -1: not now. Rests a little if the broker's queue is full. */
int foe_connect(const Foe *foe);

/* The same, that waits for a second at most in each send() and recv(). */
int foe_connect_patient(const Foe *foe);

/* Sends all of it, or as much as goes without waiting if @fd does not block. Returns whether
 * all went. */
bool foe_send(int fd, const void *data, size_t n);

/* Sends one call, with its NUL. */
bool foe_say(int fd, const char *call);

/* Takes in @n answers, and throws them away, and descriptors with them. Returns false if they did not
 * come within a second each, or never will. For a patient connection. */
bool foe_hear(int fd, size_t n);

/* Throws away what is there to be read. Returns false if nothing will ever be again. */
bool foe_drain(int fd);

/* Rests for so long. */
void foe_rest(unsigned msec);

/* An Acquire of @n of @socket, in @buffer of FOE_CALL_MAX bytes. Returns @buffer. */
const char *foe_acquire(char *buffer, size_t n, const char *socket);

/* Forks. The child ends with this process. As fork(); 0 is the child. */
pid_t foe_fork(void);

/* Calls @call over and over, in batches of @batch, and hears each answer. */
_Noreturn void foe_repeat(const Foe *foe, const char *call, size_t batch);

typedef struct Siege {
        /* Done once on each connection. NULL: nothing. */
        void (*begin)(const Foe *foe, int fd);
        /* Done on each connection, so many times in each round. Returns false to give it up. */
        bool (*go_on)(const Foe *foe, int fd);
        unsigned times;
        /* Between rounds. In each, what was hung up is opened again. */
        unsigned rest_msec;
} Siege;

/* Keeps as many connections as it can get, up to FOE_CONNECTIONS. */
_Noreturn void foe_besiege(const Foe *foe, const Siege *siege);
