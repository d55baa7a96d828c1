/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* An /etc of the test's own with hosts, services, a protocol and root in it and nothing else: no name
 * server is asked. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

static inline void etc_kit_write(const char *path, const char *text) {
        FILE *file = fopen(path, "w");

        cr_assert(ne(ptr, file, NULL));
        fputs(text, file);
        cr_assert(zero(int, fclose(file)));
}

/* Skips the test without root. */
static inline void etc_kit_setup(const char *hosts, const char *services) {
        if (geteuid() != 0)
                cr_skip_test("needs root, for an /etc of its own");
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/etc", "tmpfs", 0, NULL) < 0)
                cr_skip_test("the kernel gives no mount namespace");
        etc_kit_write("/etc/nsswitch.conf", "hosts: files\nservices: files\nprotocols: files\n");
        etc_kit_write("/etc/host.conf", "multi on\n");
        etc_kit_write("/etc/passwd", "root:x:0:0:root:/:/bin/sh\n");
        etc_kit_write("/etc/group", "root:x:0:\n");
        etc_kit_write("/etc/hosts", hosts);
        etc_kit_write("/etc/services", services);
        etc_kit_write("/etc/protocols", "hmp 20 HMP\nicmp 99\n");
}
