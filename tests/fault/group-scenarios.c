/* SPDX-License-Identifier: BSD-2-Clause */

/* What two who share do, and their holders, while something fails. */

#include "tests/fault/scenario.h"

#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/cleanup.h"

/* ---- members ------------------------------------------------------------------------------------- */

static void shared(Play *play) {
        Guest *first, *second;

        play_two_guests(play, "{'network':'tcp4','address':'127.0.0.1:4000','sharing':'shared'}", &first,
                        &second);
        guest_release(first, 0);
}

static void group(Play *play) {
        Guest *first, *second;

        play_two_guests(play, "{'network':'tcp4','address':'127.0.0.1:4000'}", &first, &second);
        guest_release(first, 0);
}

static void udp_group(Play *play) {
        Guest *first, *second;

        play_two_guests(play, "{'network':'udp4','address':'127.0.0.1:4000','steering':'roundRobin'}",
                        &first, &second);
        guest_release(first, 0);
}

/* As a broker that was killed left it with a client. */
static int leave_survivor(void) {
        static struct sock_filter nobody = { .code = BPF_RET | BPF_K, .k = UINT32_MAX };
        static const struct sock_fprog mark = { .len = 1, .filter = &nobody };
        const struct sockaddr_in address = { .sin_family = AF_INET,
                                             .sin_port = htons(4000),
                                             .sin_addr = { htonl(INADDR_LOOPBACK) } };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int)) == 0, "%m");
        cr_assert(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "%m");
        cr_assert(listen(fd, 1) == 0, "%m");
        cr_assert(setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &mark, sizeof(mark)) == 0, "%m");
        return fd;
}

static void survivor(Play *play) {
        int left = leave_survivor();
        Guest *first, *second;

        play_two_guests(play, "{'network':'tcp4','address':'127.0.0.1:4000'}", &first, &second);
        close(left);
        if (play->steers && first->n_leases > 0)
                guest_call(first, "SetWeight", "{'leases':['%s'],'weight':5}", first->leases[0]);
        guest_release(first, 0);
}

/* With nobody live, what comes waits with the sentinel. */
static void generations(Play *play) {
        Guest *old, *next;

        play_two_guests(play, "{'network':'tcp4','address':'127.0.0.1:4000','standby':true}", &old,
                        &next);
        guest_say(old, "Ready", 0);
        if (old->n_leases > 0)
                guest_call(old, "SetWeight", "{'leases':['%s'],'weight':5}", old->leases[0]);
        guest_say(next, "Ready", 0);
        guest_say(old, "Drain", 0);
        guest_say(next, "Drain", 0);
        guest_say(next, "Ready", 0);
        guest_release(old, 0);
}

/* ---- what holders do ----------------------------------------------------------------------------- */

/* By the time that the next call is answered, the broker has heard the alarm. */
static void do_to(Guest *guest, void (*f)(int fd)) {
        if (guest->n_leases == 0)
                return;
        f(guest->fds[0]);
        guest_call(guest, "GetStatus", "{}");
}

static void shut_down(int fd) {
        shutdown(fd, SHUT_RD);
}

static void repair(Play *play) {
        Guest *first, *second;

        play_two_guests(play, "{'network':'tcp4','address':'127.0.0.1:4000'}", &first, &second);
        do_to(first, shut_down);
}

/* Returns -1 if the broker has taken the socket back meanwhile. */
static int come(int fd) {
        struct sockaddr_storage address;
        socklen_t size = kit_bound_address(fd, &address);

        return kit_connect_address(&address, size, SOCK_STREAM);
}

/* Without the program the kernel chooses, by chance, among the members and the sentinel. */
static void detach(int fd) {
        int clients[32];

        if (setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &(int){ 0 }, sizeof(int)) < 0) {
                bool taken_back = errno == ENOENT || errno == EINVAL;

                cr_assert(taken_back, "%m");
                return;
        }
        for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
                clients[i] = come(fd);
        for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
                fd_close(clients[i]);
}

static void detached(Play *play) {
        Guest *first, *second;

        if (!play->steers)
                return;
        play_two_guests(play, "{'network':'tcp4','address':'127.0.0.1:4000'}", &first, &second);
        if (second->n_leases > 0)
                do_to(first, detach);
}

static void come_and_go(int fd) {
        fd_close(come(fd));
}

/* The first flow wakes up those who look after the group. */
static void flows(Play *play) {
        Guest *first, *second;

        play_two_guests(play, "{'network':'tcp4','address':'127.0.0.1:4000','steering':'leastLoad'}",
                        &first, &second);
        for (int i = 0; i < 3; i++) {
                size_t mark = play_mark(play);

                do_to(first, come_and_go);
                play_linger(play, mark);
        }
}

static void two_live(Play *play) {
        Guest *first, *second;

        play_two_guests(play, "{'network':'tcp4','address':'127.0.0.1:4000'}", &first, &second);
        cr_assert(first->n_leases > 0 && second->n_leases > 0);
}

static bool comes_to(const Guest *guest) {
        int accepted = accept(guest->fds[0], NULL, NULL);

        return fd_close(accepted), accepted >= 0;
}

/* Whatever was in the way: if the broker said that it is done, then it is. */
static void change_places(Play *play) {
        Guest *first = &play->guests[0], *second = &play->guests[1];
        bool left = guest_say(first, "Drain", 0), back = guest_say(first, "Ready", 0),
             alone = guest_say(second, "Drain", 0);

        play_disarm(play);
        /* Who was hung up on after the answer has no place any more. */
        if (!left || !back || !alone || !play->steers || !guest_call(first, "GetStatus", "{}"))
                return;
        for (int i = 0; i < 20; i++) {
                int client = come(first->fds[0]);

                cr_assert(client >= 0, "%m");
                cr_assert(comes_to(first), "a flow has gone to who drains");
                close(client);
        }
}

/* -------------------------------------------------------------------------------------------------- */

const Scenario group_scenarios[] = {
        { "a shared socket", .run = shared },
        { "a group", .run = group },
        { "a group, not steered", .how = { .no_bpf = true }, .run = group },
        { "a group of UDP", .run = udp_group },
        { "a survivor", .run = survivor },
        { "generations", .run = generations },
        { "a change of places", .prepare = two_live, .run = change_places },
        { "a shutdown by a holder", .run = repair },
        { "a program taken off", .run = detached },
        { "flows", .run = flows },
};

const size_t n_group_scenarios = sizeof(group_scenarios) / sizeof(group_scenarios[0]);
