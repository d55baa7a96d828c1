/* SPDX-License-Identifier: BSD-2-Clause */

/* A scenario goes on with whatever its guests were given: who was hung up on is passed over. */

#include "tests/fault/scenario.h"

#include <string.h>

#include "proto/cleanup.h"
#include "proto/limits.h"

#define RULES "[Rule all]\nUser=*\nOptions=*\n"
#define CONFIG(broker) "[Broker]\nSocketMode=0666\n" broker "\n" RULES

/* ---- one client ---------------------------------------------------------------------------------- */

static void ask(Play *play) {
        Guest *guest = play_guest(play);

        guest_call(guest, "GetStatus", "{}");
        guest_call(guest, "org.varlink.service.GetInfo", "{}");
        guest_call(guest, "org.varlink.service.GetInterfaceDescription",
                   "{'interface':'io.reuseportd'}");
}

static void take_and_release(Play *play, const char *request) {
        Guest *guest = play_guest(play);

        guest_acquire(guest, "%s", request);
        guest_release(guest, 0);
}

static void exclusive(Play *play) {
        take_and_release(play, "{'network':'tcp4','address':'127.0.0.1:4000','sharing':'exclusive'}");
}

static void hang_up(Play *play) {
        guest_acquire(play_guest(play), "{'network':'tcp4','address':'127.0.0.1:4000'}");
}

static void port_zero(Play *play) {
        take_and_release(play, "{'network':'tcp','address':':0'}");
}

static void port_range(Play *play) {
        take_and_release(play, "{'network':'udp4','address':'127.0.0.1:4000-4010'}");
}

static void path(Play *play) {
        Guest *guest = play_guest(play);

        guest_acquire(guest, "{'network':'unix','address':'%s'}", play->path);
        guest_release(guest, 0);
}

static void options(Play *play) {
        take_and_release(play,
                         "{'network':'tcp4','address':'127.0.0.1:0','name':'web','options':{'backlog':7,"
                         "'typeOfService':16,'timeToLive':9,'keepAlive':true,'keepAliveIdleSec':11,"
                         "'noDelay':true,'deferAcceptSec':3,'fastOpenQueue':5,'lingerSec':4,"
                         "'receiveBuffer':65536,'congestion':'reno'}}");
}

static void multicast(Play *play) {
        take_and_release(
                play, "{'network':'udp4','address':'0.0.0.0:4000','options':{'multicastInterface':'lo',"
                      "'multicastGroups':['239.1.2.3%lo','239.1.2.4%lo'],'reuseAddress':true}}");
}

/* All three or none: what came before the one that failed is gone while its client is still there. */
static void all_or_none(Play *play) {
        Guest *guest = play_guest(play);
        bool given = guest_acquire(guest,
                                   "{'network':'tcp4','address':'127.0.0.1:4000','name':'first'},"
                                   "{'network':'unix','address':'%s'},"
                                   "{'network':'udp4','address':'127.0.0.1:4000','sharing':'shared'}",
                                   play->path);

        if (given || guest->ended)
                return;
        play_disarm(play);
        play_expect_alone(play, 1);
}

/* The first of the two ports is taken for the second socket: by the first's own kind. */
static void same_port(Play *play) {
        Guest *guest = play_guest(play);

        guest_acquire(guest, "{'network':'udp4','address':'127.0.0.1:4000'}");
        guest_acquire(guest, "{'network':'tcp4','address':'127.0.0.1:4000-4001'},"
                             "{'network':'udp4','address':'127.0.0.1:0','samePortAs':0}");
        for (size_t i = 0; i < 3; i++)
                guest_release(guest, i);
}

static bool acquire_for(Guest *guest, const char *lifetime) {
        guest_send(guest, "Acquire", "",
                   "{'sockets':[{'network':'tcp4','address':'127.0.0.1:4000'}],'lifetime':'%s'}",
                   lifetime);
        return guest_take_sockets(guest);
}

static void process(Play *play) {
        Guest *guest = play_foreign_guest(play);

        if (acquire_for(guest, "process"))
                guest_release(guest, 0);
}

static void process_exits(Play *play) {
        acquire_for(play_foreign_guest(play), "process");
}

static void descriptor(Play *play) {
        Guest *guest = play_guest(play);

        if (acquire_for(guest, "descriptor"))
                guest_release(guest, 0);
}

/* While the connection is still there. */
static void descriptor_closes(Play *play) {
        Guest *guest = play_guest(play);
        size_t mark = play_mark(play);

        acquire_for(guest, "descriptor");
        guest->lifeline = fd_close(guest->lifeline);
        play_linger(play, mark);
}

static void list(Play *play) {
        Guest *guest = play_guest(play);
        bool given = guest_acquire(guest, "{'network':'tcp4','address':'127.0.0.1:4000','name':'web'},"
                                          "{'network':'tcp4','address':'127.0.0.1:4000'}");

        guest_call(guest, "List", "{}");
        if (given)
                guest_call(guest, "List", "{'endpoint':'web'}");
}

enum {
        /* More answers than the socket to the client takes, and a few more, before anything fails. */
        N_UNREAD = 24,
};

static void read_nothing(Play *play) {
        Guest *guest = play_guest(play);
        size_t mark;

        guest_call(guest, "GetStatus", "{}");
        mark = play_mark(play);
        for (int i = 0; i < N_UNREAD; i++)
                guest_send(guest, "org.varlink.service.GetInterfaceDescription", "", "%s",
                           "{'interface':'io.reuseportd'}");
        play_settle(play, mark);
}

/* Between the answers that wait, one comes with a descriptor. */
static void read_late(Play *play) {
        Guest *guest = &play->guests[0];

        guest_send(guest, "Acquire", "", "%s",
                   "{'sockets':[{'network':'tcp4','address':'127.0.0.1:4000'}]}");
        for (int i = 0; i < N_UNREAD; i++)
                json_decref(guest_receive(guest));
        guest_take_sockets(guest);
        guest_release(guest, 0);
}

static void malformed(Play *play) {
        Guest *guest = play_guest(play);

        guest->provoked = "org.varlink.service.InvalidParameter";
        guest_send(guest, "GetStatus", ",", "{}");
        json_decref(guest_receive(guest));
        json_decref(guest_receive(guest));
}

static void dial(Play *play) {
        Guest *guest = play_guest(play);

        guest_acquire(guest, "{'network':'tcp4','address':'127.0.0.1:4000','sharing':'exclusive'},"
                             "{'network':'udp6','address':'[::1]:4000'},"
                             "{'network':'udp4','address':'127.0.0.1:4000'}");
        guest_dial(guest, "'network':'tcp','remoteAddress':'127.0.0.1:4001','options':{'noDelay':true}");
        guest_dial(guest, "'network':'tcp','remoteAddress':'127.0.0.1:4001','localAddress':':0'");
        guest_dial(guest, "'network':'udp','remoteAddress':'[::1]:4001'");
        guest_dial(guest, "'network':'udp','remoteAddress':'[::1]:4001','localAddress':'[::1]:4002'");
        guest_dial(guest, "'network':'udp','remoteAddress':'127.0.0.1:4001'");
        guest_release(guest, 0);
        guest_release(guest, 1);
        guest_release(guest, 2);
}

/* ---- several ------------------------------------------------------------------------------------- */

/* Reads events until @what, or @instead, or an overflow, or a hang-up. */
static void await_event(Guest *watcher, const char *what, const char *instead) {
        for (bool seen = false; !seen && !watcher->ended;) {
                json_auto_t *event = guest_receive(watcher);
                const char *told = kit_text(event, "parameters.event.what");

                seen = strcmp(told, what) == 0 || strcmp(told, instead) == 0 ||
                       strcmp(told, "overflow") == 0;
        }
}

static Guest *watch(Play *play) {
        Guest *watcher = play_guest(play);
        size_t mark;

        guest_call(watcher, "GetStatus", "{}");
        if (watcher->ended)
                return watcher;
        mark = play_mark(play);
        guest_send(watcher, "Watch", ",'more':true", "{}");
        play_settle(play, mark);
        return watcher;
}

static void watched(Play *play) {
        Guest *watcher = watch(play), *guest = play_guest(play);

        if (!guest_acquire(guest, "{'network':'tcp4','address':'127.0.0.1:4000'}"))
                return;
        guest_release(guest, 0);
        await_event(watcher, "closed", "closed");
}

static void drained(Play *play) {
        Guest *watcher = watch(play), *first, *second;

        play_two_guests(play, "{'network':'tcp4','address':'127.0.0.1:4000'}", &first, &second);
        /* What fails from now on may do so for ever, or have the broker hang up. */
        if (guest_say(first, "Drain", 0) && !play->panel->plan.onwards)
                await_event(watcher, "drained", "released");
}

/* The connection after the last that there may be, of six together and half for each user, and the
 * lease. */
static void limits(Play *play) {
        Guest *first = play_guest(play), *second = play_guest(play);

        guest_call(first, "GetStatus", "{}");
        guest_call(second, "GetStatus", "{}");
        guest_acquire(first, "{'network':'tcp4','address':'127.0.0.1:4000'},"
                             "{'network':'tcp4','address':'127.0.0.1:4001'}");
        guest_call(play_guest(play), "GetStatus", "{}");
}

/* As many as one user may have. Each is told of the one that is refused. */
static int watches[WATCHES_PER_USER_MAX];

static void watch_all(Play *play) {
        for (size_t i = 0; i < WATCHES_PER_USER_MAX; i++) {
                size_t mark;

                watches[i] = harness_connect(&play->harness);
                json_decref(kit_call(watches[i], "GetStatus", "{}"));
                mark = play_mark(play);
                kit_send(watches[i], "Watch", ",'more':true", "{}");
                play_settle(play, mark);
        }
}

static void watch_no_more(Play *play) {
        for (size_t i = 0; i < WATCHES_PER_USER_MAX; i++)
                watches[i] = fd_close(watches[i]);
}

static void one_watch_more(Play *play) {
        Guest *guest = play_guest(play);

        guest_send(guest, "Watch", ",'more':true", "{}");
        json_decref(guest_receive(guest));
        guest_call(guest, "GetStatus", "{}");
}

enum {
        FEW_FDS = 48,
        N_MANY = 16, /* more than half of what the broker has for clients */
};

/* The kernel counts what all processes of a user have under way, and allows no more of it than one may
 * have open: so the broker becomes somebody who has no others. */
#define FEW_USER "games"

static void too_many(Play *play) {
        Guest *guest = play_guest(play);
        char text[N_MANY * 64] = "";

        for (int i = 0; i < N_MANY; i++)
                sprintf(text + strlen(text), "%s{'network':'unix','address':'@fault-%d'}", i ? "," : "",
                        i);
        cr_assert(not(guest_acquire(guest, "%s", text)));
        guest_acquire(guest, "{'network':'unix','address':'@fault'}");
        guest_release(guest, 0);
}

/* What is hung up on when there is still a descriptor for it to receive. */
static void received_late(Play *play) {
        Guest *guest = play_guest(play);
        size_t mark = play_mark(play);

        guest->provoked = "org.varlink.service.InvalidParameter";
        guest_send(guest, "Acquire", "", "%s",
                   "{'sockets':[{'network':'tcp4','address':'127.0.0.1:4000'}]}");
        guest_send(guest, "GetStatus", ",", "{}");
        play_linger(play, mark);
        guest_take_sockets(guest);
        json_decref(guest_receive(guest));
        json_decref(guest_receive(guest));
}

/* ---- what is left behind ------------------------------------------------------------------------- */

#define PARKED "{'network':'tcp4','address':'127.0.0.1:4000','retainSec':3600%s}"

static void park(Play *play, const char *more) {
        Guest *lost = play_guest(play);
        size_t mark;

        if (!guest_acquire(lost, PARKED, more))
                return;
        mark = play_mark(play);
        guest_leave(lost);
        play_linger(play, mark); /* it may have been hung up on by now */
}

static void adopt(Play *play, const char *more) {
        Guest *heir = play_guest(play);

        guest_acquire(heir, PARKED, more);
        guest_release(heir, 0);
}

static void adoption(Play *play) {
        park(play, "");
        adopt(play, "");
}

/* The one who adopts wants it otherwise: what was changed by an Acquire that fails is changed back. */
static void adoption_otherwise(Play *play) {
        park(play, ",'name':'old','options':{'timeToLive':9}");
        adopt(play, ",'name':'new','sharing':'shared','options':{'timeToLive':10,'backlog':6}");
}

static void adopt_away(Play *play) {
        play_expect_gone(play);
        adopt(play, "");
        play_leave(play);
}

/* It is not for strangers: another user of the group is given a new socket. */
static void takeover(Play *play) {
        park(play, "");
        guest_acquire(play_stranger(play),
                      "{'network':'tcp4','address':'127.0.0.1:4000','retainSec':0}");
}

static void nobody_adopts(Play *play) {
        guest_acquire(play_guest(play), "{'network':'tcp4','address':'127.0.0.1:4000'}");
}

/* -------------------------------------------------------------------------------------------------- */

static const Scenario scenarios[] = {
        { "questions", .run = ask },
        { "an exclusive socket", .run = exclusive },
        { "a holder that hangs up", .run = hang_up },
        { "port 0", .run = port_zero },
        { "a range of ports", .run = port_range },
        { "a path", .run = path },
        { "options", .run = options },
        { "multicast", .run = multicast },
        { "three sockets", .run = all_or_none },
        { "one port for two", .run = same_port },
        { "lifetime process", .run = process },
        { "process, by number", .how = { .no_peer_pidfd = true }, .run = process },
        { "a process that exits", .run = process_exits },
        { "lifetime descriptor", .run = descriptor },
        { "a descriptor that is closed", .run = descriptor_closes },
        { "a list", .run = list },
        { "a slow reader", .prepare = read_nothing, .run = read_late },
        { "connections", .run = dial },
        { "a malformed call", .run = malformed, .outcome = OUTCOME_HUNG_UP },
        { "a watch", .run = watched },
        { "a drain", .run = drained },
        { "limits", .config = CONFIG("RetainSec=0\nMaxConnections=6\nMaxLeasesPerUser=2"), .run = limits,
          .outcome = OUTCOME_REFUSED },
        { "a watch too many", .prepare = watch_all, .run = one_watch_more, .tidy = watch_no_more,
          .stride = 13, .outcome = OUTCOME_REFUSED },
        { "few descriptors", .how = { .max_fds = FEW_FDS, .user = FEW_USER }, .run = too_many,
          .outcome = OUTCOME_REFUSED },
        { "received late", .run = received_late, .outcome = OUTCOME_HUNG_UP },
        { "an adoption", .run = adoption, .tidy = adopt_away },
        { "an adoption otherwise", .run = adoption_otherwise, .tidy = adopt_away },
        { "a takeover", .run = takeover, .tidy = adopt_away },
        { "nobody adopts", .config = CONFIG("RetainSec=1ms"), .run = nobody_adopts },
};

enum { N_SCENARIOS = sizeof(scenarios) / sizeof(scenarios[0]) };

static const struct {
        const Scenario *at;
        const size_t *n;
} others[] = {
        { group_scenarios, &n_group_scenarios },
        { rule_scenarios, &n_rule_scenarios },
        { namespace_scenarios, &n_namespace_scenarios },
        { recovery_scenarios, &n_recovery_scenarios },
};

const Scenario *scenario_at(size_t i) {
        if (i < N_SCENARIOS)
                return &scenarios[i];
        i -= N_SCENARIOS;
        for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
                if (i < *others[k].n)
                        return &others[k].at[i];
                i -= *others[k].n;
        }
        return NULL;
}
