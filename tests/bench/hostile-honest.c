/* SPDX-License-Identifier: BSD-2-Clause */

/* It uses the public library, and asks for a socket that nobody has: the broker has to make one. */

#include "tests/bench/hostile-honest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client-lib/reuse-client.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/shared.h"
#include "tests/bench/user.h"

enum {
        /* Between two rounds. */
        HONEST_INTERVAL_NSEC = 2 * 1000 * 1000,
        HONEST_WARM_UP = 20,
        HONEST_ACCEPT_MSEC = 1000,
        HONEST_REASON_MAX = 200,
};

struct HonestRecord {
        size_t size;
        _Atomic uint64_t rounds;
        _Atomic bool counts;
        _Atomic uint64_t served;
        _Atomic uint64_t errors;
        char first[HONEST_REASON_MAX];
        size_t n[_HONEST_STEP_N][_HONEST_CLOCK_N];
        uint64_t nsec[]; /* @size for each clock of each step */
};

typedef struct Client {
        const char *path;
        HonestRecord *record;
        reuse_request *request;
        reuse_client *kept;
        int schedstat; /* what the kernel's scheduler says of this process */
} Client;

static size_t record_bytes(size_t size) {
        return sizeof(HonestRecord) + _HONEST_STEP_N * _HONEST_CLOCK_N * size * sizeof(uint64_t);
}

static uint64_t *record_samples(HonestRecord *record, HonestStep step, HonestClock clock) {
        return record->nsec + ((size_t)step * _HONEST_CLOCK_N + clock) * record->size;
}

/* ---- in the child -------------------------------------------------------------------------------- */

static void client_add(Client *client, HonestStep step, HonestClock clock, uint64_t nsec) {
        HonestRecord *record = client->record;
        uint64_t *samples = record_samples(record, step, clock);
        size_t *n = &record->n[step][clock];

        for (;;) {
                if (*n < record->size)
                        samples[(*n)++] = nsec;
                if (nsec <= HONEST_INTERVAL_NSEC)
                        return;
                nsec -= HONEST_INTERVAL_NSEC;
        }
}

/* Consumes @error; without one, @r is the reason. */
static void client_failed(Client *client, const char *who, int r, reuse_error *error) {
        HonestRecord *record = client->record;

        if (record->counts && record->errors++ == 0)
                snprintf(record->first, sizeof(record->first), "%s: %s", who,
                         error ? reuse_error_get_message(error) : strerrordesc_np(-r));
        reuse_error_free(error);
}

/* Somebody connects there, and has to be let in. Returns 0 or a negative errno. */
static int socket_prove(int listener) {
        /* Reset at the end: it would keep the port for a minute. */
        static const struct linger reset = { .l_onoff = 1 };
        _cleanup_(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        _cleanup_(fd_closep) int accepted = -1;
        struct pollfd waiting = { .fd = listener, .events = POLLIN };
        struct sockaddr_storage address;
        socklen_t len = sizeof(address);

        if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0 ||
            getsockname(listener, (struct sockaddr *)&address, &len) < 0 ||
            connect(fd, (struct sockaddr *)&address, len) < 0)
                return -errno;
        if (poll(&waiting, 1, HONEST_ACCEPT_MSEC) == 0)
                return -ETIMEDOUT;
        accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (accepted < 0)
                return -errno;
        fd_close(fd_take(&fd));
        return 0;
}

/* Acquires a socket that serves, and releases it. Returns 0 or a negative errno. */
static int client_borrow(Client *client, reuse_client *from, const char *who) {
        reuse_sockets *sockets = NULL;
        reuse_error *error = NULL;
        const char *lease;
        int r;

        r = reuse_client_acquire(from, client->request, &sockets, &error);
        if (r == 0)
                r = socket_prove(reuse_sockets_get_fd(sockets, 0));
        if (r == 0) {
                close(reuse_sockets_take_fd(sockets, 0));
                lease = reuse_sockets_get_lease(sockets, 0);
                r = reuse_client_release(from, &lease, 1, &error);
        }
        reuse_sockets_free(sockets);
        if (r < 0)
                client_failed(client, who, r, error);
        return r;
}

static int client_connect(Client *client, const char *who, reuse_client **ret) {
        reuse_error *error = NULL;
        int r = reuse_client_connect(client->path, ret, &error);

        if (r < 0)
                client_failed(client, who, r, error);
        return r;
}

static int client_come(Client *client) {
        reuse_client *newcomer = NULL;
        int r = client_connect(client, "newcomer", &newcomer);

        if (r == 0)
                r = client_borrow(client, newcomer, "newcomer");
        reuse_client_free(newcomer);
        return r;
}

static int client_stay(Client *client) {
        int r = client->kept ? 0 : client_connect(client, "kept connection", &client->kept);

        if (r == 0)
                r = client_borrow(client, client->kept, "kept connection");
        if (r < 0)
                client->kept = reuse_client_free(client->kept);
        return r;
}

/* How long this process has been ready to run so far, while others had the CPUs: the second number. */
static uint64_t client_waited(const Client *client) {
        uint64_t waited = 0;
        char text[96];
        ssize_t n = pread(client->schedstat, text, sizeof(text) - 1, 0);

        if (n > 0) {
                text[n] = '\0';
                if (sscanf(text, "%*u %" SCNu64, &waited) != 1)
                        waited = 0;
        }
        return waited;
}

static void client_measure(Client *client, HonestStep step, int (*function)(Client *client)) {
        uint64_t waited = client_waited(client), begun = clock_nsec(), took;

        if (function(client) < 0 || !client->record->counts)
                return;
        took = clock_nsec() - begun;
        waited = client_waited(client) - waited;
        client_add(client, step, HONEST_ELAPSED, took);
        client_add(client, step, HONEST_AWAITED, took > waited ? took - waited : 0);
        client->record->served++;
}

static int client_run(void *userdata) {
        Client *client = userdata;
        static const struct timespec rest = { .tv_nsec = HONEST_INTERVAL_NSEC };
        int r;

        r = user_become(user_or_own(USER_HONEST));
        if (r == 0)
                r = reuse_request_new(&client->request);
        if (r == 0)
                r = reuse_request_add(client->request, "tcp4", "127.0.0.1:0");
        if (r < 0)
                return r;
        client->schedstat = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
        if (client->schedstat < 0)
                return -errno;
        for (;;) {
                client_measure(client, HONEST_NEWCOMER, client_come);
                client_measure(client, HONEST_KEPT, client_stay);
                client->record->rounds++;
                clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
        }
}

/* ---- in the parent ------------------------------------------------------------------------------- */

static int honest_await(const Honest *honest) {
        for (int i = 0; i < CHILD_PATIENCE_MSEC && honest->record->rounds < HONEST_WARM_UP; i++)
                clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
        return honest->record->rounds < HONEST_WARM_UP ? error_origin(-ETIMEDOUT) : 0;
}

int honest_start(const char *path, unsigned seconds, Honest *ret) {
        size_t size = (size_t)seconds * 1000000000 / HONEST_INTERVAL_NSEC;
        Client client = { .path = path, .schedstat = -1 };
        Honest honest = HONEST_NONE;
        void *record = NULL;
        int r;

        r = shared_map(record_bytes(size), &record);
        if (r < 0)
                return error_trace(r);
        honest.record = client.record = record;
        honest.record->size = size;
        r = child_run(client_run, &client, &honest.child);
        if (r == 0)
                r = honest_await(&honest);
        if (r < 0) {
                honest_deinit(&honest);
                return error_trace(r);
        }
        *ret = honest;
        return 0;
}

void honest_record(Honest *honest) {
        honest->record->counts = true;
}

void honest_stop(Honest *honest) {
        child_stop(&honest->child);
        for (int i = 0; i < _HONEST_STEP_N; i++)
                for (int k = 0; k < _HONEST_CLOCK_N; k++)
                        honest->samples[i][k] = (Samples){ .nsec = record_samples(honest->record, i, k),
                                                           .n = honest->record->n[i][k],
                                                           .size = honest->record->size };
}

Samples *honest_samples(Honest *honest, HonestStep step, HonestClock clock) {
        return &honest->samples[step][clock];
}

uint64_t honest_served(const Honest *honest) {
        return honest->record->served;
}

uint64_t honest_errors(const Honest *honest, const char **ret_first) {
        *ret_first = honest->record->first;
        return honest->record->errors;
}

void honest_deinit(Honest *honest) {
        child_stop(&honest->child);
        if (honest->record)
                shared_unmap(honest->record, record_bytes(honest->record->size));
        *honest = HONEST_NONE;
}
