/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A real broker for a test: started in a folder of its own, waited for by its readiness notice, and
 * stopped with the check that it ended well (a sanitizer's finding is an exit status too).
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tests/keeper.h"
#include "tests/unit/leaks.h"

typedef struct Harness {
        char folder[64];
        char socket[96];
        char config[96];
        pid_t pid;
        uid_t uid;           /* whom the broker runs as */
        size_t max_fds;      /* its limit of descriptors; 0: that of the test */
        const char *program; /* NULL: the broker as it is installed */
        bool no_bpf;         /* it cannot load a program, though it be root */
        bool no_peer_pidfd;  /* as before Linux 6.5 */
        bool no_pass_rights; /* as before Linux 6.16 */
        bool no_pidfd_info;  /* as before Linux 6.13 */
        bool no_socket_diag; /* as without the module tcp_diag, and with none to be loaded */
        bool no_ipv6;        /* as of a kernel that has none */
        bool replaces;       /* it takes over from one that runs */
        Keeper *keeper;      /* keeps its descriptors; NULL: nobody does */
        const char *user;    /* whom a broker of root's is to become; "": as by default; NULL: nobody */
        void (*prepare)(void); /* called in its process before it is the broker; NULL: nothing is */
} Harness;

enum {
        HARNESS_FRAME_MAX = 1024 * 1024,
        HARNESS_FDS_MAX = 64,
};

/* Grants everything to everybody. */
#define HARNESS_OPEN_CONFIG "[Broker]\nSocketMode=0666\n[Rule all]\nUser=*\nOptions=*\n"

/* Starts a broker with @config as its file; NULL: without one, for its own user. */
void harness_start(Harness *h, const char *config);

/* The same as another user; for root. */
void harness_start_as(Harness *h, const char *config, uid_t uid);

/* The same with a limit of descriptors, which it cannot raise. */
void harness_start_limited(Harness *h, const char *config, uid_t uid, size_t max_fds);

/* The same with what is set in @h beforehand: uid, and all fields after it. */
void harness_start_as_set(Harness *h, const char *config);

/* Ends it, checks its exit status, removes the folder. */
void harness_stop(Harness *h);

/* Has another take over from it, which is the one of @h from then on. */
void harness_replace(Harness *h);

/* Ends it in good order, and leaves the folder: harness_restart() or harness_remove() follow. */
void harness_terminate(Harness *h);

/* Ends it without a chance to clean up. The folder stays: harness_restart() or
 * harness_remove() follow. */
void harness_kill(Harness *h);
void harness_restart(Harness *h);

/* The same of one that may end before it is ready, whatever its exit status: then there is none. For a
 * broker with a keeper. Returns whether it is ready. */
bool harness_try_restart(Harness *h);
void harness_remove(Harness *h);

/* Writes a new configuration, and has the broker read it. */
void harness_reload(Harness *h, const char *config);

/* The same, but does not wait until it has. */
void harness_ask_to_reload(Harness *h, const char *config);

/* Descriptors the broker has open; asked over a connection that is not counted. */
size_t harness_broker_fds(const Harness *h);

/* Waits until the broker has @n descriptors open: after a hang-up it closes them in its own time. */
void harness_expect_broker_fds(const Harness *h, size_t n);

/* A blocking connection that gives up after some seconds rather than hang. */
int harness_connect(const Harness *h);

/* Closes a connection when the broker has closed its end, too: whoever looks next finds nothing
 * of it. */
void harness_hang_up(int fd);

/* Sends @n bytes as they are. */
void harness_send(int fd, const void *data, size_t n);

/* Sends @json with its NUL. */
void harness_send_frame(int fd, const char *json);

/* One frame and the descriptors that came with it; nothing beyond it is taken. */
typedef struct HarnessReply {
        char text[HARNESS_FRAME_MAX];
        int fds[HARNESS_FDS_MAX];
        size_t n_fds;
} HarnessReply;

/* Returns false when the broker hung up instead. */
bool harness_receive(int fd, HarnessReply *ret);

/* A call and its reply; fails the test if the broker hangs up. Returns @reply->text. */
const char *harness_call(int fd, const char *json, HarnessReply *reply);

/* The value of the first "KEY" in JSON text, as text without quotes; "" if there is none. Returns
 * @buffer. */
const char *harness_value(const char *json, const char *key, char *buffer, size_t size);

/* Closes the descriptors of a reply. */
void harness_close(HarnessReply *reply);

/* Skips the test where the kernel does not find a connected datagram socket beside those that share its
 * port: before Linux 6.13. */
void harness_require_connected_found(void);

/* A network namespace of this process's own, with loopback up; skips the test without root. */
void harness_private_network(void);

/*
 * The same, and it has 10.9.9.1/24 and fd09::1/64, so that there is an address that is not loopback, and
 * routes that prefer it.
 */
void harness_global_network(void);

/* In a network of one's own: TCP connections have none, so that a pair of addresses stays whoever's end
 * waits. */
void harness_no_timestamps(void);

/* Runs @f in a child as @uid, and waits. Its result, 0 to 255, is returned. */
int harness_run_as(uid_t uid, int (*f)(void *userdata), void *userdata);
