/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * A set of descriptors that travels with one message, or arrived with some. It owns them, unless it was
 * made to borrow: then they are copied once the message has to wait, and most never have to.
 */

#include <stdbool.h>
#include <stddef.h>

typedef struct FDList {
        int *fds;
        size_t n;
        size_t size;
        bool borrows;
        bool gives; /* once sent they are the receiver's alone: see fdlist_sent() */
} FDList;

#define FDLIST_INIT ((FDList){ 0 })
#define FDLIST_BORROWING ((FDList){ .borrows = true })
#define FDLIST_GIVING ((FDList){ .gives = true })

/*
 * Closes a socket that another process has, or had: it may have made a connection of a listener and
 * asked close() to wait for its peer (SO_LINGER), which then never comes. That connection is reset
 * instead. Returns -1, as fd_close() does.
 */
int socket_close(int fd);

/* Closes what it owns and frees; the list is empty afterwards, owns what comes, and may be
 * used again. */
void fdlist_deinit(FDList *list);

/*
 * They have left: closes what it owns and frees, as fdlist_deinit(). But of a list that gives, how a
 * socket is closed is the receiver's to say, who has it by now: its SO_LINGER is left alone.
 */
void fdlist_sent(FDList *list);

/* Consumes @fd, also on failure; a list that borrows leaves it to its owner. Returns 0 or -ENOMEM. */
int fdlist_add(FDList *list, int fd);

/* Makes a list that borrows own copies of what it has. Returns 0, or a negative errno with nothing
 * changed. */
int fdlist_own(FDList *list);

/* Takes the descriptor at @index out: the caller owns it. -1 if there is none, or it was
 * taken before. */
int fdlist_take(FDList *list, size_t index);

/* Takes the first @n out of @from into @to, in order. Returns 0, or -ENOMEM with nothing moved. */
int fdlist_shift(FDList *from, size_t n, FDList *to);
