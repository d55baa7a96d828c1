/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Which system calls fail, and how. */

#include <stdbool.h>
#include <stddef.h>

enum {
        FAULT_ERRORS_MAX = 5,
};

/* The first rule that fits decides. One without errors is of a call that cannot fail, or must not. */
typedef struct FaultRule {
        const char *name;
        long number;
        int argument; /* which argument has to be @value; 0: none, 1 to 6 */
        long value;
        bool descriptor; /* a new one is what it returns */
        bool done;       /* the call has its effect all the same */
        int errors[FAULT_ERRORS_MAX];
} FaultRule;

/* NULL: nobody has thought about this one. */
const FaultRule *fault_rule_find(long number, const long arguments[static 6]);
