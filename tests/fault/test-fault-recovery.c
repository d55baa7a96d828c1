/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The broker dies amid its recovery: at the first system call since it looked at what was kept, at the
 * second, and so on, until one is ready. Each time the next one finds everything.
 */

#include <criterion/criterion.h>

#include "build-config.h"
#include "tests/fault/panel.h"
#include "tests/integration/resume-kit.h"

TestSuite(fault_recovery, .timeout = 240);

#define CONFIG "[Broker]\nSocketMode=0666\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n"

enum {
        LIVE,
        ALSO_LIVE,
        STANDBY,
        EXCLUSIVE,
        UDP,
        OF_PROCESS,
        N_HELD,
};

typedef struct Stage {
        int n_fds;
        Harness harness;
        FaultPanel *panel;
        int panel_fd;
        int control;
        bool steers;
        KitSocket held[N_HELD];
        KitSocket parked; /* nobody's */
        int peer;         /* whose connection waits there */
        long long flows;  /* that came to the group */
        size_t n_kept;    /* descriptors, after a recovery that nothing befell */
} Stage;

static Keeper keeper;

/* ---- what there is -------------------------------------------------------------------------------- */

static KitSocket park(const Harness *h) {
        int control = harness_connect(h);
        KitSocket socket =
                kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'}");

        close(socket.fd);
        harness_hang_up(control);
        return socket;
}

static void acquire_all(Stage *stage) {
        KitSocket *held = stage->held;
        int control = stage->control;

        held[LIVE] = kit_acquire(control,
                                 "{'network':'tcp4','address':'127.0.0.1:0','steering':'roundRobin'}");
        held[ALSO_LIVE] = kit_acquire(control, "{'network':'tcp4','address':'%s','weight':%d}",
                                      kit_address(&held[LIVE]), 10);
        held[STANDBY] = kit_acquire(control, "{'network':'tcp4','address':'%s'%s}",
                                    kit_address(&held[LIVE]), stage->steers ? ",'standby':true" : "");
        held[EXCLUSIVE] =
                kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive',"
                                     "'name':'one','options':{'backlog':7}}");
        held[UDP] = kit_acquire(control, "{'network':'udp4','address':'127.0.0.1:0'}");
        kit_acquire_call(control,
                         "{'sockets':[{'network':'unix','address':'@reuseportd-fault-recovery'}],"
                         "'lifetime':'process'}",
                         1, &held[OF_PROCESS]);
        stage->parked = park(&stage->harness);
        stage->peer = kit_connect_to(&stage->parked);
}

static void begin(Stage *stage) {
        *stage = (Stage){ .n_fds = leaks_count_fds() };
        if (geteuid() == 0)
                harness_private_network();
        stage->panel = panel_new(&stage->panel_fd);
        keeper_begin(&keeper, 64);
        stage->harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
        harness_start_as_set(&stage->harness, CONFIG);
        stage->control = harness_connect(&stage->harness);
        stage->steers = kit_is_capable(stage->control, "steer");
        acquire_all(stage);
}

static void end(Stage *stage) {
        for (size_t i = 0; i < N_HELD; i++) {
                cr_assert(kit_resume(stage->control, &stage->held[i]), "%zu", i);
                kit_release(stage->control, &stage->held[i]);
        }
        close(stage->peer);
        json_decref(stage->parked.reply);
        close(stage->control);
        harness_stop(&stage->harness);
        keeper_end(&keeper);
        panel_free(stage->panel, stage->panel_fd);
        leaks_expect_fds(stage->n_fds);
}

/* ---- what is found -------------------------------------------------------------------------------- */

static void expect_status(const Stage *stage) {
        static const struct {
                const char *what;
                long long n;
        } expected[] = { { "recovered", N_HELD + 1 },
                         { "lost", 0 },
                         { "foreign", 0 },
                         { "leases", N_HELD },
                         { "endpoints", 5 } };
        json_auto_t *reply = kit_call(stage->control, "GetStatus", "{}");
        char path[64];

        for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
                snprintf(path, sizeof(path), "parameters.%s", expected[i].what);
                cr_assert(eq(llong, kit_number(reply, path), expected[i].n), "%s", expected[i].what);
        }
}

static void expect_state(const Stage *stage, const KitSocket *held, size_t member, const char *state) {
        json_auto_t *endpoint = kit_describe(stage->control, held);
        char path[32];

        snprintf(path, sizeof(path), "members.%zu.state", member);
        cr_assert(eq(str, (char *)kit_text(endpoint, path), (char *)state));
}

static long long count_flows(const Stage *stage) {
        json_auto_t *endpoint = kit_describe(stage->control, &stage->held[LIVE]);

        return kit_number(endpoint, "members.0.flows") + kit_number(endpoint, "members.1.flows") +
               kit_number(endpoint, "members.2.flows");
}

/* All come to those who are live. */
static void expect_flows(Stage *stage) {
        enum { N = 4 };
        int peers[N];
        size_t n = 0;

        if (!stage->steers)
                return;
        cr_assert(eq(llong, count_flows(stage), stage->flows));
        for (size_t i = 0; i < N; i++)
                peers[i] = kit_connect_to(&stage->held[LIVE]);
        for (size_t i = 0; i < 2; i++)
                n += kit_accept_all(stage->held[i].fd);
        cr_assert(eq(sz, n, N));
        cr_assert(zero(sz, kit_accept_all(stage->held[STANDBY].fd)));
        for (size_t i = 0; i < N; i++)
                close(peers[i]);
        stage->flows += N;
}

static void expect_everything(Stage *stage) {
        stage->control = harness_connect(&stage->harness);
        expect_status(stage);
        expect_state(stage, &stage->held[LIVE], 0, "live");
        expect_state(stage, &stage->held[LIVE], 2, stage->steers ? "standby" : "live");
        expect_state(stage, &stage->held[UDP], 0, "live");
        expect_state(stage, &stage->parked, 0, "parked");
        expect_flows(stage);
        /* Nothing is left of those that died. */
        cr_assert(eq(sz, keeper_count(&keeper), stage->n_kept));
}

/* ----
 * dying ------------------------------------------------------------------------------------------ */

/* One that dies at the @nth system call of its recovery. Returns false if it comes to its end before. */
static bool start_and_die(Stage *stage, size_t nth) {
        FaultPanel *panel = stage->panel;
        bool ready;

        panel->plan = (FaultPlan){ .kind = FAULT_DEATH, .nth = nth };
        panel->failed = panel->calls = 0;
        panel->armed = true;
        panel_preload(stage->panel_fd);
        ready = harness_try_restart(&stage->harness);
        panel->armed = false;
        panel_unload();
        if (!panel->working && ready) {
                harness_stop(&stage->harness);
                cr_skip_test("the kernel has no syscall user dispatch");
        }
        cr_assert(ready || panel->failed == 1, "it ended by itself");
        if (ready)
                harness_kill(&stage->harness);
        return !ready;
}

static void kill_it(Stage *stage) {
        harness_kill(&stage->harness);
        close(stage->control);
}

/* Also sets what is to be found after any other. */
static void recover_unharmed(Stage *stage) {
        kill_it(stage);
        harness_restart(&stage->harness);
        stage->n_kept = keeper_count(&keeper);
        expect_everything(stage);
}

/* One after the other, and nobody in between who comes to the end: what they leave does not
 * become more. */
Test(fault_recovery, time_and_again) {
        enum { STRIDE = 7 };
        Stage stage;

        begin(&stage);
        expect_flows(&stage);
        recover_unharmed(&stage);
        kill_it(&stage);
        /* What the records speak of, and what the last one had: a map and counts each, and what
         * it made. */
        for (size_t n = 1; start_and_die(&stage, n); n += STRIDE)
                cr_assert(le(sz, keeper_count(&keeper), stage.n_kept + 4), "after call %zu", n);
        harness_restart(&stage.harness);
        expect_everything(&stage);
        end(&stage);
}

Test(fault_recovery, at_each_system_call) {
        /* A sanitizer's broker takes its time to start. */
        enum { STRIDE = SANITIZED ? 7 : 1 };
        size_t n = 1, n_deaths = 0;
        Stage stage;
        bool died;

        begin(&stage);
        expect_flows(&stage);
        recover_unharmed(&stage);
        do {
                kill_it(&stage);
                died = start_and_die(&stage, n);
                n_deaths += died;
                n += STRIDE;
                harness_restart(&stage.harness);
                expect_everything(&stage);
        } while (died);
        printf("died at %zu system calls\n", n_deaths);
        end(&stage);
}
