/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What clients do, while something fails. */

#include "tests/fault/play.h"

typedef struct Scenario {
        const char *name;
        const char *config;          /* NULL: everything is granted, and nothing kept */
        Harness how;                 /* the broker is started */
        PlayWorld world;             /* in which it is */
        void (*prepare)(Play *play); /* before anything fails; or NULL */
        void (*run)(Play *play);
        void (*tidy)(Play *play);   /* when nothing fails any more, and the guests have left; or NULL */
        const char *(*lacks)(void); /* why it cannot be had here, or NULL; or NULL */
        size_t stride;   /* of calls that are much the same, only every so many-th fails; 0: each */
        Outcome outcome; /* when nothing fails at all */
} Scenario;

/* All of them, from 0 on; NULL: that was the last. */
const Scenario *scenario_at(size_t i);

/* Of these, the ones about sockets that two share. */
extern const Scenario group_scenarios[];
extern const size_t n_group_scenarios;

/* The ones about rules. */
extern const Scenario rule_scenarios[];
extern const size_t n_rule_scenarios;

/* The ones about other network namespaces. */
extern const Scenario namespace_scenarios[];
extern const size_t n_namespace_scenarios;

/* And those about what an earlier broker left. */
extern const Scenario recovery_scenarios[];
extern const size_t n_recovery_scenarios;
