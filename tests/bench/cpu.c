/* SPDX-License-Identifier: BSD-2-Clause */

/* With both ends on one CPU a hand-over costs the work of both and two switches, and nothing sleeps. */

#include "tests/bench/cpu.h"

#include <errno.h>
#include <sched.h>

#include "proto/error.h"

int cpu_choose(int cpu, int *ret_cpu, int *ret_other) {
        int other = -1;
        cpu_set_t set;

        if (sched_getaffinity(0, sizeof(set), &set) < 0)
                return error_origin(-errno);
        for (int i = 0; i < CPU_SETSIZE && cpu < 0; i++)
                if (CPU_ISSET(i, &set))
                        cpu = i;
        if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &set))
                return error_origin(-EINVAL);
        for (int i = 0; i < CPU_SETSIZE && other < 0; i++)
                if (i != cpu && CPU_ISSET(i, &set))
                        other = i;
        *ret_cpu = cpu;
        *ret_other = other >= 0 ? other : cpu;
        return 0;
}

int cpu_pin(int cpu) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        return sched_setaffinity(0, sizeof(set), &set) < 0 ? error_origin(-errno) : 0;
}
