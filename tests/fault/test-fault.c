/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Each allocation and each system call that a scenario makes in the broker fails once, in turn: the
 * first in the first round, the second in the second, until a round in which none was left to fail.
 *
 * $FAULT_SCENARIO chooses scenarios by a part of their names. With $FAULT_AGAIN=N each round is gone
 * through N more times, with another failure 1 to N calls after the first: where the broker undoes what
 * it had done.
 */

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "tests/fault/rules.h"
#include "tests/fault/scenario.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

static Play play;
static bool in_play;

/* Also after a test that failed, which is when there is something to explain. */
static void explain(void) {
        if (in_play)
                play_explain(&play);
}

TestSuite(fault, .timeout = 300, .fini = explain);

static void begin(const char *config, const Harness *how, PlayWorld world) {
        play_begin(&play, config, how, world);
        in_play = true;
}

static void end(void) {
        play_end(&play);
        in_play = false;
}

/* ---- one call after the other -------------------------------------------------------------------- */

typedef struct Tally {
        size_t n_rounds; /* in which something failed */
        size_t outcomes[_OUTCOME_N];
} Tally;

static void report(const char *what, const Scenario *scenario, const Tally *tally) {
        printf("%-24s %-16s %5zu failed: %5zu served, %5zu refused, %5zu hung up on\n", scenario->name,
               what, tally->n_rounds, tally->outcomes[OUTCOME_SERVED], tally->outcomes[OUTCOME_REFUSED],
               tally->outcomes[OUTCOME_HUNG_UP]);
}

/* Returns whether anything failed. */
static bool run_round(const Scenario *scenario, FaultPlan plan, Tally *tally) {
        Outcome outcome;

        if (scenario->prepare)
                scenario->prepare(&play);
        play_arm(&play, plan);
        scenario->run(&play);
        outcome = play_leave(&play);
        /* What the broker does later, it does under the plan as well, if it can. */
        if (!scenario->tidy && !plan.onwards)
                play_expect_descriptors(&play);
        play_disarm(&play);
        if (scenario->tidy)
                scenario->tidy(&play);
        play_expect_unharmed(&play);
        if (play.panel->failed == 0) {
                cr_assert(outcome == scenario->outcome, "%s: it does not go well when nothing fails",
                          scenario->name);
                return false;
        }
        tally->n_rounds++;
        tally->outcomes[outcome]++;
        return true;
}

static void run_all_rounds(const Scenario *scenario, FaultPlan plan, Tally *tally) {
        const char *text = getenv("FAULT_AGAIN");
        size_t again_max = text && !plan.onwards ? strtoul(text, NULL, 10) : 0;

        for (plan.again = 0; plan.again <= again_max; plan.again++)
                for (plan.nth = 1; run_round(scenario, plan, tally); plan.nth += scenario->stride ?: 1)
                        ;
}

/* Parameters are read in another process, where only what is in this file is at its place. */
static size_t indices[64];

static struct criterion_test_params chosen_scenarios(void) {
        const char *part = getenv("FAULT_SCENARIO");
        size_t n = 0;

        for (size_t i = 0; scenario_at(i); i++) {
                cr_assert(i < ELEMENTS(indices));
                if (!part || strstr(scenario_at(i)->name, part))
                        indices[n++] = i;
        }
        return cr_make_param_array(size_t, indices, n);
}

static const Scenario *begin_scenario(size_t index) {
        const Scenario *scenario = scenario_at(index);
        const char *reason = scenario->lacks ? scenario->lacks() : NULL;

        if (reason)
                cr_skip_test("%s", reason);
        begin(scenario->config ?: KIT_CONFIG, &scenario->how, scenario->world);
        return scenario;
}

ParameterizedTestParameters(fault, system_calls) {
        return chosen_scenarios();
}

ParameterizedTest(const size_t *index, fault, system_calls) {
        const Scenario *scenario = begin_scenario(*index);
        Tally tally = { 0 };

        for (size_t variant = 0; variant < FAULT_ERRORS_MAX; variant++)
                run_all_rounds(scenario, (FaultPlan){ .kind = FAULT_SYSTEM_CALL, .variant = variant },
                               &tally);
        report("system calls", scenario, &tally);
        end();
}

ParameterizedTestParameters(fault, allocations) {
        return chosen_scenarios();
}

ParameterizedTest(const size_t *index, fault, allocations) {
        const Scenario *scenario = begin_scenario(*index);
        bool possible = play.panel->allocations_seen;
        Tally once = { 0 }, onwards = { 0 };

        if (possible) {
                run_all_rounds(scenario, (FaultPlan){ .kind = FAULT_ALLOCATION }, &once);
                report("allocations", scenario, &once);
                run_all_rounds(scenario, (FaultPlan){ .kind = FAULT_ALLOCATION, .onwards = true },
                               &onwards);
                report("all allocations", scenario, &onwards);
        }
        end();
        if (!possible)
                cr_skip_test("the sanitizer's allocations cannot be had to fail");
}

/* ---- no descriptor at all ------------------------------------------------------------------------ */

static void refuse_all(Guest *guest) {
        static const char *const requests[] = {
                "'sockets':[{'network':'tcp4','address':'127.0.0.1:0'}]",
                "'sockets':[{'network':'udp','address':'[::1]:0','name':'web'}]",
                "'sockets':[{'network':'unix','address':'@fault'}]",
                "'sockets':[{'network':'tcp4','address':'127.0.0.1:0'}],'lifetime':'process'",
        };

        for (size_t i = 0; i < ELEMENTS(requests); i++)
                cr_assert(not(guest_call(guest, "Acquire", "{%s}", requests[i])));
        cr_assert(guest->outcome == OUTCOME_REFUSED);
}

/* All that need no descriptor: nobody whom the broker knows suffers. */
static void serve_all(Guest *guest) {
        cr_assert(guest_call(guest, "GetStatus", "{}"));
        cr_assert(guest_call(guest, "List", "{}"));
        cr_assert(guest_acquire(guest,
                                "{'network':'tcp4','address':'127.0.0.1:4001','sharing':'shared'}"));
        cr_assert(guest_release(guest, 0));
        cr_assert(guest_call(guest, "GetStatus", "{}"));
}

/*
 * Whatever would make one says EMFILE, for a while: who is connected is answered, those who come then
 * are answered or hung up on after, and nothing is left of it.
 */
Test(fault, no_descriptors) {
        enum { N_ROUNDS = 5, N_NEWCOMERS = 3 };
        Guest *holder, *first, *second;

        begin(KIT_CONFIG, &(Harness){ 0 }, PLAY_PLAIN);
        for (int i = 0; i < N_ROUNDS; i++) {
                holder = play_guest(&play);
                first = play_guest(&play);
                second = play_guest(&play);
                cr_assert(guest_acquire(
                        holder, "{'network':'tcp4','address':'127.0.0.1:4001','sharing':'shared'}"));
                cr_assert(guest_acquire(first, "{'network':'tcp4','address':'127.0.0.1:4002'}"));
                cr_assert(guest_call(second, "GetStatus", "{}"));

                play_arm(&play, (FaultPlan){ .kind = FAULT_DESCRIPTOR, .nth = 1, .onwards = true });
                for (int k = 0; k < N_NEWCOMERS; k++)
                        guest_send(play_guest(&play), "GetStatus", "", "{}");
                refuse_all(first);
                serve_all(second);
                play_disarm(&play);
                for (int k = 0; k < N_NEWCOMERS; k++)
                        json_decref(guest_receive(&play.guests[3 + k]));
                cr_assert(gt(sz, play.panel->failed, N_NEWCOMERS));
                play_leave(&play);
                play_expect_descriptors(&play);
                play_expect_unharmed(&play);
        }
        end();
}
