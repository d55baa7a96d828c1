/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Calls and replies: typed structs to JSON and back, by the tables of wire.h. The only user of jansson.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

/* One parsed frame. Owns the memory of everything decoded from it. */
typedef struct Message Message;

enum {
        _MESSAGE_E_SUCCESS,
        /* Not a JSON object, nested too deep, or with doubled keys; message_parse() says why. */
        MESSAGE_E_MALFORMED,
        /* A field is unknown, missing or of the wrong type: message_parameter() */
        MESSAGE_E_PARAMETER,
};

enum {
        MESSAGE_TEXT_MAX = 160,
};

typedef struct Call {
        const char *method;
        bool oneway;
        bool more;
        bool upgrade;
} Call;

typedef struct Reply {
        /* Fully qualified name of the error; NULL for success. */
        const char *error;
        bool continues;
} Reply;

/*
 * From now on message_parse() notices each lack of memory. jansson does not: it leaves out a character
 * and goes on, or finds fault with the text. Sets its functions of allocation, which are the whole
 * process's; before the first message.
 */
void message_watch_memory(void);

/*
 * Parses @text, @n bytes without a NUL. On MESSAGE_E_MALFORMED *@ret_reason (MESSAGE_TEXT_MAX bytes)
 * says why. Returns 0 with *@ret owned by the caller, MESSAGE_E_MALFORMED, or -ENOMEM.
 */
int message_parse(const char *text, size_t n, Message **ret, char *ret_reason);

/* Takes NULL; returns NULL. */
Message *message_free(Message *message);

/*
 * The envelope of a call; checks its keys and types. Returns 0, or MESSAGE_E_PARAMETER; then ret->oneway
 * is still what the call says.
 */
int message_call(Message *message, Call *ret);

/* The envelope of a reply; unknown keys are left alone. 0 or MESSAGE_E_PARAMETER. */
int message_reply(Message *message, Reply *ret);

/*
 * Decodes the parameters into @ret, a struct of @record. @strict: unknown fields are refused (the
 * broker); otherwise ignored (the library). Returns 0, MESSAGE_E_PARAMETER, or -ENOMEM.
 */
int message_decode(Message *message, const Record *record, bool strict, void *ret);

/* After MESSAGE_E_PARAMETER: the path of the field, as "sockets[0].options.mark". Belongs to the
 * message. */
const char *message_parameter(const Message *message);

/* Memory that lives as long as the message, for what its reply is put together from. NULL: there is
 * none. */
void *message_allocate(Message *message, size_t size);

/* The parameters as JSON text, malloc'ed. Returns 0 or -ENOMEM. */
int message_parameters_text(const Message *message, char **ret);

/* A buffer for encoded messages, reused from one to the next: no allocation in the steady state. */
typedef struct MessageBuffer {
        char *data;
        size_t n; /* with the final NUL */
        size_t size;
} MessageBuffer;

void message_buffer_deinit(MessageBuffer *buffer);

/*
 * Encode one frame into @buffer, replacing what it held; the NUL at its end is part of it. @value is a
 * struct of @record; with @record NULL there are no parameters.
 * Return 0 or -ENOMEM, and -EMSGSIZE for more than REPLY_SIZE_MAX bytes. Text that is not UTF-8 is
 * -EINVAL in a call; in a reply its bytes beyond ASCII become '?', since others may have chosen it.
 */
int message_encode_call(MessageBuffer *buffer, const Call *call, const Record *record,
                        const void *value);
int message_encode_reply(MessageBuffer *buffer, const Reply *reply, const Record *record,
                         const void *value);

/*
 * One frame in pieces, for what would take too long at once: text as it is, and values, each at the end
 * of what @buffer has; message_append_end() makes a frame of it. With @open, a list of the record's,
 * that one stays open at the end of the value: its items are to follow, and "]}". Return 0, -ENOMEM, or
 * -EMSGSIZE.
 */
int message_append_text(MessageBuffer *buffer, const char *text);
int message_append_value(MessageBuffer *buffer, const Record *record, const void *value,
                         const char *open);
int message_append_end(MessageBuffer *buffer);

/* An empty message, whose memory is of use: see message_allocate(). Returns 0 or -ENOMEM. */
int message_new(Message **ret);

/* A call whose parameters are given as JSON text, "" or NULL for none. Also MESSAGE_E_MALFORMED. */
int message_encode_call_text(MessageBuffer *buffer, const Call *call, const char *parameters);

/*
 * A deep copy of a struct in one block, strings and lists included: free() ends it all.
 * Returns 0 or -ENOMEM.
 */
int wire_copy(const Record *record, const void *value, void **ret);
