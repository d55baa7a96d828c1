/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* What message.c, message-decode.c and message-encode.c share: the three that see jansson. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/message.h"

enum {
        /* The longest path of a wrong field that is told; the tables nest less deep. */
        MESSAGE_PATH_MAX = 128,
};

typedef struct ArenaBlock ArenaBlock;

struct Message {
        json_t *root;
        json_t *parameters; /* borrowed from root, NULL if there are none */
        ArenaBlock *arena;
        char path[MESSAGE_PATH_MAX];
};

/* Whether parsing @text would recurse deeper than the protocol allows. */
bool message_text_too_deep(const char *text, size_t n);

/* Put a name or an index in front of the path of the wrong field. Return MESSAGE_E_PARAMETER. */
int message_refuse_field(Message *message, const char *name);
int message_refuse_item(Message *message, size_t index);
