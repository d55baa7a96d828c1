/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The native protocol of the journal: a datagram of lines NAME=value. sd_journal_sendv() speaks it too,
 * but waits in sendmsg() as long as the queue of the journal is full (seen with 252: after 11 entries,
 * net.unix.max_dgram_qlen being 10), and the broker must not.
 *
 * The protocol has a second form, for values with line breaks. No value has any here: journalctl -x puts
 * fields into the text of the catalog as they are, so what clients choose is escaped, to forge no line
 * there either. And a third, a descriptor, for what exceeds a datagram: here it is cut before.
 */

#include "daemon/journal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/log.h"
#include "proto/cleanup.h"
#include "proto/error.h"

int journal_init(Journal *journal, const char *path) {
        *journal = (Journal){ .fd = -1, .address.sun_family = AF_UNIX };
        if (strlen(path) >= sizeof(journal->address.sun_path))
                return error_origin(-ENAMETOOLONG);
        strcpy(journal->address.sun_path, path);
        journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return journal->fd < 0 ? error_origin(-errno) : 0;
}

void journal_deinit(Journal *journal) {
        journal->fd = fd_close(journal->fd);
}

void journal_entry_add(JournalEntry *entry, const char *name, const char *format, ...) {
        size_t room = sizeof(entry->data) - entry->n, n = strlen(name) + sizeof("=");
        char value[JOURNAL_VALUE_MAX], *end = entry->data + entry->n;
        va_list args;

        if (room < n)
                return;
        va_start(args, format);
        vsnprintf(value, sizeof(value), format, args);
        va_end(args);
        end = stpcpy(end, name);
        *end++ = '=';
        log_escape(value, end, room - n + 1);
        end += strlen(end);
        *end++ = '\n'; /* in the place of the NUL */
        entry->n = (size_t)(end - entry->data);
}

int journal_send(Journal *journal, const JournalEntry *entry) {
        /* By its path each time: the journal may be another one by now. */
        if (sendto(journal->fd, entry->data, entry->n, MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *)&journal->address, sizeof(journal->address)) >= 0) {
                journal->n_lost = 0;
                return 0;
        }
        switch (errno) {
        case EAGAIN:
        case ENOBUFS:
        case ENOMEM:
                journal->n_lost++;
                return JOURNAL_E_LOST;
        default:
                return JOURNAL_E_ABSENT;
        }
}
