/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What clients do, while something fails. */

#include "tests/fault/play.h"

typedef struct Scenario {
        const char *name;
        const char *config;          /* NULL: everything is granted, and nothing kept */
        Harness how;                 /* the broker is started */
        void (*prepare)(Play *play); /* before anything fails; or NULL */
        void (*run)(Play *play);
        void (*tidy)(Play *play); /* when nothing fails any more, and the guests have left; or NULL */
        Outcome outcome;          /* when nothing fails at all */
} Scenario;

extern const Scenario scenarios[];
extern const size_t n_scenarios;
