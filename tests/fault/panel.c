/* SPDX-License-Identifier: BSD-2-Clause */

#include "tests/fault/panel.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

FaultPanel *panel_new(int *ret_fd) {
        int fd = memfd_create("fault-panel", MFD_CLOEXEC);
        FaultPanel *panel;
        void *memory;

        cr_assert(fd >= 0 && ftruncate(fd, sizeof(FaultPanel)) == 0, "%m");
        memory = mmap(NULL, sizeof(FaultPanel), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cr_assert(memory != MAP_FAILED, "%m");
        panel = memory;
        panel->unknown_call = -1;
        *ret_fd = fd;
        return panel;
}

void panel_free(FaultPanel *panel, int fd) {
        munmap(panel, sizeof(FaultPanel));
        close(fd);
}

/* The injector comes before the sanitizer, which would mind, and knows nothing of it. */
void panel_preload(int fd) {
        static const char order[] = "verify_asan_link_order=0";
        const char *options = getenv("ASAN_OPTIONS") ?: "";
        char text[512];

        snprintf(text, sizeof(text), "%s:%s", options, order);
        if (!strstr(options, order))
                setenv("ASAN_OPTIONS", text, 1);
        snprintf(text, sizeof(text), "/proc/%d/fd/%d", getpid(), fd);
        setenv(PANEL_VARIABLE, text, 1);
        setenv("LD_PRELOAD", FAULT_INJECTOR_PATH, 1);
}

void panel_unload(void) {
        unsetenv("LD_PRELOAD");
}
