/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Entries of several fields for the journal, which never make the sender wait: what the journal does not
 * take at once is lost, and counted.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

enum {
        /* Of an entry, far below what fits into a datagram. */
        JOURNAL_ENTRY_MAX = 8192,
        /* Of the value of a field, before it is escaped. */
        JOURNAL_VALUE_MAX = 1024,
};

typedef struct Journal {
        int fd;
        struct sockaddr_un address;
        uint64_t n_lost; /* since the last entry that the journal took */
} Journal;

/* Starts with n = 0. */
typedef struct JournalEntry {
        size_t n;
        char data[JOURNAL_ENTRY_MAX];
} JournalEntry;

enum {
        _JOURNAL_E_SUCCESS,
        JOURNAL_E_LOST,   /* it does not read, or not fast enough; counted in n_lost */
        JOURNAL_E_ABSENT, /* nobody has the socket, or it is out of reach */
};

/* Entries will go to the socket at @path, whether it is there yet or not. Returns 0 or a negative errno;
 * journal_deinit() may follow either. */
int journal_init(Journal *journal, const char *path);

void journal_deinit(Journal *journal);

/* Adds a field; escaped as log_escape() does it, and left out, or cut, where there is no room. */
void journal_entry_add(JournalEntry *entry, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Returns 0 or JOURNAL_E_*. */
int journal_send(Journal *journal, const JournalEntry *entry);
