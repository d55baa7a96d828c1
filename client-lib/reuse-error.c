/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The error object. It is a number for programs and a sentence for people; a function that cannot get
 * memory for one still returns the number.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/internal.h"

/*
 * The sentence may quote names that another user's process chose; on a terminal, control characters in
 * them would be commands. Those of C1 are two bytes in UTF-8: c2 80 to c2 9f.
 */
static void text_disarm(char *text) {
        for (unsigned char *p = (unsigned char *)text; *p; p++) {
                if (*p < 0x20 || *p == 0x7f)
                        *p = '?';
                else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
                        p[0] = p[1] = '?';
        }
}

reuse_error *reuse_error_newv(int number, const char *format, va_list arguments) {
        reuse_error *error = malloc(sizeof(*error));

        if (!error)
                return NULL;
        *error = (reuse_error){ .number = number };
        if (vasprintf(&error->message, format, arguments) < 0) {
                free(error);
                return NULL;
        }
        text_disarm(error->message);
        return error;
}

reuse_error *reuse_error_new(int number, const char *format, ...) {
        reuse_error *error;
        va_list arguments;

        va_start(arguments, format);
        error = reuse_error_newv(number, format, arguments);
        va_end(arguments);
        return error;
}

int reuse_error_set(reuse_error **ret_error, int number, const char *format, ...) {
        va_list arguments;

        if (!ret_error)
                return number;
        va_start(arguments, format);
        *ret_error = reuse_error_newv(number, format, arguments);
        va_end(arguments);
        return number;
}

int reuse_error_from_reply(Message *message, const char *name, reuse_error **ret_error) {
        _cleanup_(reuse_error_freep) reuse_error *error = NULL;
        _cleanup_(freep) char *text = NULL;
        int number;

        number = refusal_explain(message, name, &text);
        if (text)
                error = reuse_error_new(number, "%s", text);
        if (error) {
                error->name = strdup(name);
                if (!error->name || message_parameters_text(message, &error->parameters) < 0)
                        error = reuse_error_free(error);
        }
        *ret_error = ptr_take(error);
        return number;
}

const reuse_error reuse_error_no_memory = {
        .number = -ENOMEM,
        .message = (char *)"there was no memory to say what went wrong",
};

void reuse_error_append(reuse_error *error, const char *format, ...) {
        _cleanup_(freep) char *more = NULL;
        va_list arguments;
        char *whole;
        int n;

        if (!error)
                return;
        va_start(arguments, format);
        n = vasprintf(&more, format, arguments);
        va_end(arguments);
        if (n < 0) {
                more = NULL;
                return;
        }
        if (asprintf(&whole, "%s%s", error->message, more) < 0)
                return;
        text_disarm(whole);
        free(error->message);
        error->message = whole;
}

reuse_error *reuse_error_copy(const reuse_error *error) {
        _cleanup_(reuse_error_freep) reuse_error *copy = NULL;

        if (!error)
                return NULL;
        copy = reuse_error_new(error->number, "%s", error->message);
        if (!copy)
                return NULL;
        copy->name = error->name ? strdup(error->name) : NULL;
        copy->parameters = error->parameters ? strdup(error->parameters) : NULL;
        if ((error->name && !copy->name) || (error->parameters && !copy->parameters))
                return NULL;
        return ptr_take(copy);
}

_public_ reuse_error *reuse_error_free(reuse_error *error) {
        if (!error)
                return NULL;
        free(error->name);
        free(error->message);
        free(error->parameters);
        free(error);
        return NULL;
}

_public_ int reuse_error_get_errno(const reuse_error *error) {
        return error ? error->number : 0;
}

_public_ const char *reuse_error_get_name(const reuse_error *error) {
        return error ? error->name : NULL;
}

_public_ const char *reuse_error_get_message(const reuse_error *error) {
        return error ? error->message : "there was no memory to say what went wrong";
}

_public_ const char *reuse_error_get_parameters(const reuse_error *error) {
        return error ? error->parameters : NULL;
}
