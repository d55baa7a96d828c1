/* SPDX-License-Identifier: BSD-2-Clause */

/* Without SA_RESTART: whoever waits in the kernel at that moment comes back with EINTR. */

#include "tests/bench/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "proto/error.h"

static volatile sig_atomic_t interrupted;

static void interrupt_note(int sig) {
        interrupted = 1;
}

void interrupt_init(void) {
        static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
        struct sigaction note = { .sa_handler = interrupt_note };

        for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
                sigaction(ending[i], &note, NULL);
        signal(SIGPIPE, SIG_IGN);
}

int interrupt_check(void) {
        return interrupted ? error_origin(-EINTR) : 0;
}
