/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One timer for all: they were lost at one time. While a client is away no connection tells of its end:
 * its process is watched, or what comes to its sockets would wait there for nobody.
 */

#include "daemon/grace.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"

struct GraceClient {
        LeaseOwner owner;
        int pidfd;
        sd_event_source *exited;
        LIST_ENTRY(GraceClient) entry;
};

static void grace_client_free(GraceClient *client) {
        LIST_REMOVE(client, entry);
        sd_event_source_disable_unref(client->exited);
        fd_close(client->pidfd);
        free(client);
}

static void grace_client_end(GraceClient *client, const char *reason) {
        lease_owner_end(&client->owner, MEMBER_LEAVE_LOST, reason);
        grace_client_free(client);
}

static int grace_client_exited(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        grace_client_end(userdata, "its client ended before it came back after the broker was lost");
        return 0;
}

static void grace_on_elapsed(Timer *timer) {
        static const char reason[] = "its client did not come back after the broker was lost";
        Grace *grace = (Grace *)((char *)timer - offsetof(Grace, timer));

        while (!LIST_EMPTY(&grace->clients))
                grace_client_end(LIST_FIRST(&grace->clients), reason);
        lease_owner_end(&grace->owner, MEMBER_LEAVE_LOST, reason);
}

int grace_init(Grace *grace, sd_event *event, bool *timers_changed) {
        *grace = (Grace){ .event = event, .owner.waits = true, .timers_changed = timers_changed };
        LIST_INIT(&grace->owner.leases);
        LIST_INIT(&grace->clients);
        return error_trace(timer_init(&grace->timer, event, grace_on_elapsed));
}

LeaseOwner *grace_expect(Grace *grace, pid_t pid) {
        GraceClient *client;
        int pidfd;

        if (pid == 0)
                return &grace->owner;
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
                return errno == ESRCH ? NULL : &grace->owner;
        client = calloc(1, sizeof(*client));
        if (!client) {
                fd_close(pidfd);
                return &grace->owner;
        }
        LIST_INIT(&client->owner.leases);
        client->owner.waits = true;
        client->pidfd = pidfd;
        LIST_INSERT_HEAD(&grace->clients, client, entry);
        if (sd_event_add_io(grace->event, &client->exited, pidfd, EPOLLIN, grace_client_exited,
                            client) >= 0)
                return &client->owner;
        grace_client_free(client);
        return &grace->owner;
}

void grace_begin(Grace *grace) {
        if (LIST_EMPTY(&grace->owner.leases) && LIST_EMPTY(&grace->clients))
                return;
        if (timer_set(&grace->timer,
                      clock_usec(CLOCK_MONOTONIC) + RESUME_GRACE_SEC * UINT64_C(1000000)) < 0)
                grace_on_elapsed(&grace->timer);
        else
                *grace->timers_changed = true;
}

void grace_resumed(Grace *grace, LeaseOwner *owner) {
        if (owner != &grace->owner && LIST_EMPTY(&owner->leases))
                grace_client_free((GraceClient *)((char *)owner - offsetof(GraceClient, owner)));
}

void grace_deinit(Grace *grace) {
        while (!LIST_EMPTY(&grace->clients))
                grace_client_free(LIST_FIRST(&grace->clients));
        timer_deinit(&grace->timer);
}
