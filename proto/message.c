/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A parsed frame: its JSON, the envelope of a call or reply, and an arena for what is decoded from it.
 * What is checked here is checked before any table is looked at: depth, doubled keys, the envelope.
 */

#include "proto/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"
#include "proto/message-private.h"

enum {
        ARENA_BLOCK_SIZE = 4096,
};

struct ArenaBlock {
        struct ArenaBlock *next;
        size_t used;
        size_t size;
        _Alignas(max_align_t) char data[];
};

void *message_allocate(Message *message, size_t size) {
        ArenaBlock *block = message->arena;
        void *p;

        size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
        if (!block || block->size - block->used < size) {
                size_t block_size = size > ARENA_BLOCK_SIZE ? size : ARENA_BLOCK_SIZE;

                block = malloc(sizeof(*block) + block_size);
                if (!block)
                        return NULL;
                block->next = message->arena;
                block->used = 0;
                block->size = block_size;
                message->arena = block;
        }
        p = block->data + block->used;
        block->used += size;
        return p;
}

/* The parser recurses: how deep is seen before it is called. */
bool message_text_too_deep(const char *text, size_t n) {
        size_t depth = 0;
        bool in_string = false;

        for (size_t i = 0; i < n; i++) {
                switch (text[i]) {
                case '\\':
                        i += in_string;
                        break;
                case '"':
                        in_string = !in_string;
                        break;
                case '{':
                case '[':
                        if (!in_string && ++depth > JSON_DEPTH_MAX)
                                return true;
                        break;
                case '}':
                case ']':
                        if (!in_string && depth > 0)
                                depth--;
                        break;
                }
        }
        return false;
}

static _Thread_local bool out_of_memory;

static void *watched_malloc(size_t size) {
        void *memory = malloc(size);

        if (!memory)
                out_of_memory = true;
        return memory;
}

void message_watch_memory(void) {
        json_set_alloc_funcs(watched_malloc, free);
}

int message_parse(const char *text, size_t n, Message **ret, char *ret_reason) {
        json_auto_t *root = NULL;
        json_error_t error = { 0 };
        Message *message;

        if (message_text_too_deep(text, n)) {
                snprintf(ret_reason, MESSAGE_TEXT_MAX, "nested deeper than %d", JSON_DEPTH_MAX);
                return MESSAGE_E_MALFORMED;
        }
        out_of_memory = false;
        root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
        /* Even if it says that all went well; and it had none if it cannot say what is wrong. */
        if (out_of_memory || (!root && json_error_code(&error) <= json_error_out_of_memory))
                return error_origin(-ENOMEM);
        if (!root) {
                snprintf(ret_reason, MESSAGE_TEXT_MAX, "byte %d: %.120s", error.position, error.text);
                return MESSAGE_E_MALFORMED;
        }
        if (!json_is_object(root)) {
                snprintf(ret_reason, MESSAGE_TEXT_MAX, "not a JSON object");
                return MESSAGE_E_MALFORMED;
        }
        message = malloc(sizeof(*message));
        if (!message)
                return error_origin(-ENOMEM);
        *message = (Message){ .root = ptr_take(root) };
        *ret = message;
        return 0;
}

int message_new(Message **ret) {
        Message *message = calloc(1, sizeof(*message));

        if (!message)
                return error_origin(-ENOMEM);
        *ret = message;
        return 0;
}

Message *message_free(Message *message) {
        if (!message)
                return NULL;
        json_decref(message->root);
        while (message->arena) {
                ArenaBlock *next = message->arena->next;

                free(message->arena);
                message->arena = next;
        }
        free(message);
        return NULL;
}

/* The path to a wrong field is put together from its end, on the way out of the recursion. */
int message_refuse_field(Message *message, const char *name) {
        bool dot = message->path[0] && message->path[0] != '[';
        char path[MESSAGE_PATH_MAX];

        snprintf(path, sizeof(path), "%.64s%s%.62s", name, dot ? "." : "", message->path);
        memcpy(message->path, path, sizeof(path));
        return MESSAGE_E_PARAMETER;
}

int message_refuse_item(Message *message, size_t index) {
        char item[32];

        snprintf(item, sizeof(item), "[%zu]", index);
        return message_refuse_field(message, item);
}

/* A field of the envelope that is true, false, null or not there. */
static int envelope_flag(Message *message, const char *name, bool *ret) {
        json_t *value = json_object_get(message->root, name);

        if (value && !json_is_boolean(value) && !json_is_null(value))
                return message_refuse_field(message, name);
        *ret = json_is_true(value);
        return 0;
}

static int envelope_parameters(Message *message) {
        json_t *value = json_object_get(message->root, "parameters");

        if (value && !json_is_object(value) && !json_is_null(value))
                return message_refuse_field(message, "parameters");
        message->parameters = json_is_object(value) ? value : NULL;
        return 0;
}

/* Only keys that are known, or extensions, which are named in reverse-domain notation. */
static int envelope_keys(Message *message) {
        static const char *const known[] = { "method", "parameters", "oneway", "more", "upgrade" };
        const char *key;
        json_t *value;

        json_object_foreach(message->root, key, value) {
                bool found = strchr(key, '.');

                for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && !found; i++)
                        found = strcmp(key, known[i]) == 0;
                if (!found)
                        return message_refuse_field(message, key);
        }
        return 0;
}

int message_call(Message *message, Call *ret) {
        Call call = { 0 };
        int r;

        r = envelope_flag(message, "oneway", &call.oneway);
        ret->oneway = call.oneway;
        if (r == 0)
                r = envelope_keys(message);
        if (r == 0)
                r = envelope_flag(message, "more", &call.more);
        if (r == 0)
                r = envelope_flag(message, "upgrade", &call.upgrade);
        if (r == 0)
                r = envelope_parameters(message);
        if (r != 0)
                return r;
        call.method = json_string_value(json_object_get(message->root, "method"));
        if (!call.method)
                return message_refuse_field(message, "method");
        *ret = call;
        return 0;
}

int message_reply(Message *message, Reply *ret) {
        json_t *error = json_object_get(message->root, "error");
        Reply reply;
        int r;

        if (error && !json_is_string(error) && !json_is_null(error))
                return message_refuse_field(message, "error");
        reply.error = json_string_value(error);
        r = envelope_flag(message, "continues", &reply.continues);
        if (r == 0)
                r = envelope_parameters(message);
        if (r == 0)
                *ret = reply;
        return r;
}

const char *message_parameter(const Message *message) {
        return message->path;
}

int message_parameters_text(const Message *message, char **ret) {
        char *text = message->parameters ? json_dumps(message->parameters, JSON_COMPACT) : strdup("{}");

        if (!text)
                return error_origin(-ENOMEM);
        *ret = text;
        return 0;
}
