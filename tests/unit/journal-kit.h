/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* A socket in the place of the journal's. */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/journal.h"
#include "proto/cleanup.h"

typedef struct JournalKit {
        char folder[32];
        char path[64];
        int fd;
        char entry[JOURNAL_ENTRY_MAX + 1]; /* that was received last */
} JournalKit;

static inline void journal_kit_open(JournalKit *kit) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        strcpy(address.sun_path, kit->path);
        kit->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        cr_assert(ge(int, kit->fd, 0));
        cr_assert(zero(int, bind(kit->fd, (struct sockaddr *)&address, sizeof(address))), "%m");
}

/* The file stays. */
static inline void journal_kit_close(JournalKit *kit) {
        kit->fd = fd_close(kit->fd);
}

static inline void journal_kit_begin(JournalKit *kit) {
        strcpy(kit->folder, "/tmp/reuseportd-journal-XXXXXX");
        cr_assert(ne(ptr, mkdtemp(kit->folder), NULL));
        snprintf(kit->path, sizeof(kit->path), "%s/socket", kit->folder);
        journal_kit_open(kit);
}

static inline void journal_kit_end(JournalKit *kit) {
        journal_kit_close(kit);
        unlink(kit->path);
        cr_assert(zero(int, rmdir(kit->folder)));
}

static inline bool journal_kit_is_empty(const JournalKit *kit) {
        return poll(&(struct pollfd){ .fd = kit->fd, .events = POLLIN }, 1, 0) == 0;
}

/* The next entry, as text; waits for it, but not for ever. */
static inline char *journal_kit_receive(JournalKit *kit) {
        ssize_t n;

        cr_assert(eq(int, poll(&(struct pollfd){ .fd = kit->fd, .events = POLLIN }, 1, 20000), 1));
        n = recv(kit->fd, kit->entry, sizeof(kit->entry) - 1, MSG_DONTWAIT);
        cr_assert(n > 0, "no entry: %m");
        kit->entry[n] = '\0';
        cr_assert(eq(sz, strlen(kit->entry), (size_t)n));
        return kit->entry;
}

/* The value of a field of the entry received last; "" if it has none. Good until the next call. */
static inline const char *journal_kit_field(const JournalKit *kit, const char *name) {
        static char value[JOURNAL_ENTRY_MAX];
        size_t n = strlen(name);

        for (const char *line = kit->entry; *line; line = strchr(line, '\n') + 1)
                if (strncmp(line, name, n) == 0 && line[n] == '=') {
                        snprintf(value, sizeof(value), "%.*s", (int)strcspn(line + n + 1, "\n"),
                                 line + n + 1);
                        return value;
                }
        return "";
}
