/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sockets in another network namespace, while something fails in the broker, or the process that makes
 * them is late or not there. That process itself is left alone.
 */

#include "tests/fault/scenario.h"

#include <errno.h>
#include <signal.h>

#include "tests/unit/namespace-kit.h"

#define CONFIG                                                                                          \
        "[Broker]\nSocketMode=0666\nRetainSec=0\n[Rule own]\nUser=*\nOptions=*\n"                       \
        "[Rule elsewhere]\nUser=*\nOptions=*\nNetworkNamespace=*\n"

#define IN(name) ",'networkNamespace':'" name "'"
#define BLUE IN("blue")

static Keeper keeper;

static const char *lacks_root(void) {
        return geteuid() == 0 ? NULL : "only root has network namespaces";
}

/* A kernel that says that there is no IPv6 there is believed. */
static Guest *come(Play *play) {
        Guest *guest = play_guest(play);

        guest->provoked = "io.reuseportd.AddressInvalid";
        return guest;
}

/* ---- it answers ---------------------------------------------------------------------------------- */

static void in_blue(Play *play) {
        Guest *guest = come(play);

        guest_acquire(guest, "{'network':'tcp6','address':'[::1]:4000'" BLUE "},"
                             "{'network':'udp4','address':'127.0.0.1:0'" BLUE "}");
        guest_release(guest, 0);
        guest_release(guest, 1);
}

static void group_in_blue(Play *play) {
        Guest *first = come(play), *second = come(play);

        guest_acquire(first, "{'network':'tcp4','address':'127.0.0.1:4000'" BLUE "}");
        guest_acquire(second, "{'network':'tcp4','address':'127.0.0.1:4000'" BLUE "}");
        guest_release(first, 0);
        guest_release(second, 0);
}

static void zone_in_blue(Play *play) {
        Guest *guest = come(play);

        guest_acquire(guest, "{'network':'udp6','address':'[ff02::1%%lo]:4000'" BLUE "}");
        guest_release(guest, 0);
}

static void dial_in_blue(Play *play) {
        Guest *guest = come(play);

        guest_acquire(guest, "{'network':'tcp4','address':'127.0.0.1:4000'" BLUE "}");
        guest_dial(guest, "'network':'tcp','remoteAddress':'127.0.0.1:4001'" BLUE);
        guest_dial(guest, "'network':'udp','remoteAddress':'127.0.0.1:4001','localAddress':':0'" BLUE);
        guest_release(guest, 0);
}

static void nowhere(Play *play) {
        Guest *guest = come(play);

        cr_assert(
                not(guest_acquire(guest, "{'network':'tcp4','address':'127.0.0.1:4000'" IN("red") "}")));
        cr_assert(not(guest_dial(guest, "'network':'tcp','remoteAddress':'127.0.0.1:4001'" IN("red"))));
}

/* What was late is thrown away when it comes, and until then nothing is given. */
static void expect_given(Play *play) {
        Guest *guest = come(play);
        bool given = false;

        for (int i = 0; i < 100000 && !given; i++)
                given = guest_acquire(guest, "{'network':'tcp4','address':'127.0.0.1:4000'" BLUE "}");
        cr_assert(given);
        play_leave(play);
}

/* To a broker that was told that nobody is there, nobody is; only the next one has another. Nothing
 * less makes it give up. */
static void have_helper(Play *play) {
        const FaultPanel *panel = play->panel;
        bool told_so = panel->error == ECONNRESET || panel->error == EPIPE ||
                       panel->error == ECONNREFUSED || panel->plan.again > 0;

        play_expect_gone(play);
        play_expect_descriptors(play);
        if (!kit_is_capable(play->onlooker, "netns")) {
                cr_assert(panel->failed > 0 && told_so);
                play_recover(play);
        }
        expect_given(play);
}

/* ---- it does not --------------------------------------------------------------------------------- */

static void ask_in_vain(Play *play, int signal_number) {
        Guest *guest = come(play);

        cr_assert(zero(int, kill(namespace_kit_helper(play->harness.pid), signal_number)), "%m");
        cr_assert(not(guest_acquire(guest, "{'network':'tcp4','address':'127.0.0.1:4000'" BLUE "}")));
        /* Here nobody is the worse for it. */
        guest_acquire(guest, "{'network':'tcp4','address':'127.0.0.1:4000'}");
        guest_release(guest, 0);
}

static void killed(Play *play) {
        ask_in_vain(play, SIGKILL);
}

static void next_helper(Play *play) {
        play_expect_gone(play);
        play_expect_descriptors(play);
        play_recover(play);
}

static void stopped(Play *play) {
        ask_in_vain(play, SIGSTOP);
}

static void go_on(Play *play) {
        play_expect_gone(play);
        cr_assert(zero(int, kill(namespace_kit_helper(play->harness.pid), SIGCONT)), "%m");
        have_helper(play);
}

const Scenario namespace_scenarios[] = {
        { "another network", .config = CONFIG, .how = { .keeper = &keeper }, .world = PLAY_NAMESPACE,
          .lacks = lacks_root, .run = in_blue, .tidy = have_helper },
        { "a group in another network", .config = CONFIG, .how = { .keeper = &keeper },
          .world = PLAY_NAMESPACE, .lacks = lacks_root, .run = group_in_blue, .tidy = have_helper },
        { "a zone of another network", .config = CONFIG, .how = { .keeper = &keeper },
          .world = PLAY_NAMESPACE, .lacks = lacks_root, .run = zone_in_blue, .tidy = have_helper },
        { "connections of another network", .config = CONFIG, .how = { .keeper = &keeper },
          .world = PLAY_NAMESPACE, .lacks = lacks_root, .run = dial_in_blue, .tidy = have_helper },
        { "no such network", .config = CONFIG, .how = { .keeper = &keeper }, .world = PLAY_NAMESPACE,
          .lacks = lacks_root, .run = nowhere, .tidy = have_helper, .outcome = OUTCOME_REFUSED },
        { "a helper that is killed", .config = CONFIG, .how = { .keeper = &keeper },
          .world = PLAY_NAMESPACE, .lacks = lacks_root, .run = killed, .tidy = next_helper, .stride = 5,
          .outcome = OUTCOME_REFUSED },
        /* Each round waits half a second for it. */
        { "a helper that hangs", .config = CONFIG, .how = { .keeper = &keeper }, .world = PLAY_NAMESPACE,
          .lacks = lacks_root, .run = stopped, .tidy = go_on, .stride = 13, .outcome = OUTCOME_REFUSED },
};

const size_t n_namespace_scenarios = sizeof(namespace_scenarios) / sizeof(namespace_scenarios[0]);
