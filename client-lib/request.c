/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is asked for, as the struct of the wire. Keys are found in the tables of proto/wire.h, and the
 * type of the field there says how its text is read: no list of keys stands here. Texts and lists go
 * into a chain of blocks that ends with the request, so that nothing in the struct is freed singly.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/internal.h"

enum {
        CHOICES_TEXT_MAX = 128,
        SUGGESTION_DISTANCE_MAX = 2,
};

struct RequestBlock {
        RequestBlock *next;
        _Alignas(max_align_t) char data[];
};

static void *request_allocate(reuse_request *request, size_t size) {
        RequestBlock *block = malloc(sizeof(*block) + size);

        if (!block)
                return NULL;
        block->next = request->blocks;
        request->blocks = block;
        return block->data;
}

char *request_copy(reuse_request *request, const char *text) {
        size_t size = strlen(text) + 1;
        char *copy = request_allocate(request, size);

        return copy ? memcpy(copy, text, size) : NULL;
}

_public_ int reuse_request_new(reuse_request **ret) {
        reuse_request *request;

        if (!ret)
                return -EINVAL;
        request = malloc(sizeof(*request));
        if (!request)
                return -ENOMEM;
        request->n = 0;
        request->lifetime = -1;
        request->is_outgoing = false;
        request->blocks = NULL;
        *ret = request;
        return 0;
}

_public_ reuse_request *reuse_request_free(reuse_request *request) {
        if (!request)
                return NULL;
        while (request->blocks) {
                RequestBlock *next = request->blocks->next;

                free(request->blocks);
                request->blocks = next;
        }
        free(request);
        return NULL;
}

_public_ size_t reuse_request_count(const reuse_request *request) {
        return request ? request->n : 0;
}

_public_ int reuse_request_set_lifetime(reuse_request *request, const char *lifetime) {
        if (!request || !lifetime)
                return -EINVAL;
        for (int i = 0; i < _LIFETIME_N; i++)
                if (strcmp(wire_lifetime[i], lifetime) == 0) {
                        request->lifetime = i;
                        return 0;
                }
        return -EINVAL;
}

_public_ int reuse_request_add(reuse_request *request, const char *network, const char *address) {
        SocketRequest *socket;

        if (!request || !network || !address || !text_is_utf8(network) || !text_is_utf8(address))
                return -EINVAL;
        if (request->n == SOCKETS_MAX)
                return -E2BIG;
        socket = &request->sockets[request->n];
        wire_init(&wire_socket_request, socket);
        socket->network = request_copy(request, network);
        socket->address = request_copy(request, address);
        if (!socket->network || !socket->address)
                return -ENOMEM;
        return (int)request->n++;
}

/* ---- values: one function for each type of field ---- */

typedef int (*Setter)(reuse_request *request, const Field *field, const char *text, void *at,
                      reuse_error **ret_error);

static int set_string(reuse_request *request, const Field *field, const char *text, void *at,
                      reuse_error **ret_error) {
        const char *copy;

        if (!text_is_utf8(text))
                return reuse_error_set(ret_error, -EINVAL, "%s: the text is not UTF-8", field->name);
        copy = request_copy(request, text);
        if (!copy)
                return -ENOMEM;
        memcpy(at, &copy, sizeof(copy));
        return 0;
}

static int set_int(reuse_request *request, const Field *field, const char *text, void *at,
                   reuse_error **ret_error) {
        int64_t value;

        (void)request;
        if (!text_to_integer(text, &value))
                return reuse_error_set(ret_error, -EINVAL, "%s: \"%s\" is no decimal number",
                                       field->name, text);
        memcpy(at, &value, sizeof(value));
        return 0;
}

static int set_bool(reuse_request *request, const Field *field, const char *text, void *at,
                    reuse_error **ret_error) {
        bool value;

        (void)request;
        if (!text_to_boolean(text, &value))
                return reuse_error_set(ret_error, -EINVAL, "%s: \"%s\" is neither yes nor no",
                                       field->name, text);
        *(Tristate *)at = (Tristate)value;
        return 0;
}

static int set_enum(reuse_request *request, const Field *field, const char *text, void *at,
                    reuse_error **ret_error) {
        char choices[CHOICES_TEXT_MAX] = "";
        size_t n = 0;

        (void)request;
        for (int i = 0; field->symbols[i]; i++) {
                if (strcmp(field->symbols[i], text) == 0) {
                        memcpy(at, &i, sizeof(i));
                        return 0;
                }
                if (n < sizeof(choices))
                        n += (size_t)snprintf(choices + n, sizeof(choices) - n, "%s%s",
                                              i > 0 ? ", " : "", field->symbols[i]);
        }
        return reuse_error_set(ret_error, -EINVAL, "%s: \"%s\" is none of %s", field->name, text,
                               choices);
}

/* Splits "a+b+c". Returns how many, or -ENOMEM; the texts belong to the request. */
static int request_split(reuse_request *request, const char *text, char ***ret) {
        char *rest = request_copy(request, text);
        char **parts;
        int n = 0;

        if (!rest)
                return -ENOMEM;
        /* As many bytes as there are in the text are more parts than it can have. */
        parts = request_allocate(request, (strlen(text) + 1) * sizeof(*parts));
        if (!parts)
                return -ENOMEM;
        while (rest)
                parts[n++] = strsep(&rest, "+");
        *ret = parts;
        return n;
}

static int set_strings(reuse_request *request, const Field *field, const char *text, void *at,
                       reuse_error **ret_error) {
        char **parts;
        int n;

        if (!text_is_utf8(text))
                return reuse_error_set(ret_error, -EINVAL, "%s: the text is not UTF-8", field->name);
        n = request_split(request, text, &parts);
        if (n < 0)
                return n;
        *(WireList *)at = (WireList){ .items = parts, .n = (size_t)n };
        return 0;
}

/* LEVEL:NAME:HEX, in place. */
static bool raw_option_parse(char *text, RawOption *ret) {
        char *level = strsep(&text, ":");
        char *name = strsep(&text, ":");

        if (!text || text[strspn(text, "0123456789abcdefABCDEF")] || strlen(text) % 2 != 0)
                return false;
        ret->value = text;
        return text_to_integer(level, &ret->level) && text_to_integer(name, &ret->name);
}

/* The only records in a list that a request has are raw options. */
static int set_records(reuse_request *request, const Field *field, const char *text, void *at,
                       reuse_error **ret_error) {
        RawOption *options;
        char **parts;
        int n;

        n = request_split(request, text, &parts);
        if (n < 0)
                return n;
        options = request_allocate(request, (size_t)n * sizeof(*options));
        if (!options)
                return -ENOMEM;
        for (int i = 0; i < n; i++)
                if (!raw_option_parse(parts[i], &options[i]))
                        return reuse_error_set(ret_error, -EINVAL, "%s: \"%s\" is not LEVEL:NAME:HEX",
                                               field->name, text);
        *(WireList *)at = (WireList){ .items = options, .n = (size_t)n };
        return 0;
}

/* A field without one is not set by key and value. */
static Setter field_setter(const Field *field) {
        static const Setter setters[] = {
                [FIELD_STRING] = set_string,   [FIELD_INT] = set_int,
                [FIELD_BOOL] = set_bool,       [FIELD_ENUM] = set_enum,
                [FIELD_STRINGS] = set_strings, [FIELD_RECORDS] = set_records,
                [FIELD_RECORD] = NULL,         [FIELD_INTS] = NULL,
        };

        /* The mandatory fields, network and address, came with the socket. */
        return field->nullable ? setters[field->type] : NULL;
}

/* ---- keys ---- */

static const Record *const key_records[] = { &wire_options, &wire_socket_request };

enum {
        N_KEY_RECORDS = sizeof(key_records) / sizeof(key_records[0]),
};

static bool key_is_known(const reuse_request *request, const Record *record, const Field *field) {
        if (!field_setter(field))
                return false;
        return !request->is_outgoing || record == &wire_options ||
               strcmp(field->name, "networkNamespace") == 0;
}

static const Field *key_find(const reuse_request *request, const char *key, const Record **ret_record) {
        for (size_t i = 0; i < N_KEY_RECORDS; i++)
                for (size_t j = 0; j < key_records[i]->n_fields; j++) {
                        const Field *field = &key_records[i]->fields[j];

                        if (strcmp(field->name, key) == 0 &&
                            key_is_known(request, key_records[i], field)) {
                                *ret_record = key_records[i];
                                return field;
                        }
                }
        return NULL;
}

/* The key that was perhaps meant, or NULL. */
static const char *key_suggest(const reuse_request *request, const char *key) {
        size_t best = SUGGESTION_DISTANCE_MAX + 1;
        const char *suggestion = NULL;

        for (size_t i = 0; i < N_KEY_RECORDS; i++)
                for (size_t j = 0; j < key_records[i]->n_fields; j++) {
                        const Field *field = &key_records[i]->fields[j];
                        size_t distance = text_distance(key, field->name);

                        if (distance < best && key_is_known(request, key_records[i], field)) {
                                best = distance;
                                suggestion = field->name;
                        }
                }
        return suggestion;
}

static Options *socket_options(reuse_request *request, SocketRequest *socket) {
        if (!socket->options) {
                socket->options = request_allocate(request, sizeof(*socket->options));
                if (socket->options)
                        wire_init(&wire_options, socket->options);
        }
        return socket->options;
}

_public_ int reuse_request_set(reuse_request *request, const char *key, const char *value,
                               reuse_error **ret_error) {
        SocketRequest *socket;
        const Record *record;
        const Field *field;
        char *at;

        reuse_error_clear(ret_error);
        if (!request || !key || !value)
                return reuse_error_set(ret_error, -EINVAL, "a key and its value are needed");
        if (request->n == 0)
                return reuse_error_set(ret_error, -EINVAL, "%s: no socket to set it for was added yet",
                                       key);
        field = key_find(request, key, &record);
        if (!field) {
                const char *suggestion = key_suggest(request, key);

                return reuse_error_set(ret_error, -EINVAL, "there is no option \"%s\"%s%s%s", key,
                                       suggestion ? ": did you mean " : "", suggestion ?: "",
                                       suggestion ? "?" : "");
        }
        socket = &request->sockets[request->n - 1];
        at = record == &wire_options ? (char *)socket_options(request, socket) : (char *)socket;
        if (!at)
                return -ENOMEM;
        return field_setter(field)(request, field, value, at + field->offset, ret_error);
}

/* ---- several in one text ---- */

/*
 * Ends @text at the first comma that is not escaped, and drops the backslashes of those that are. A
 * leading bracket holds an IPv6 address, in which a comma can be part of the zone.
 * Returns what follows the comma, NULL if there was none.
 */
static char *text_cut(char *text) {
        char *bracket = *text == '[' ? strchr(text, ']') : NULL;
        char *from = bracket ?: text;
        char *to = from;
        char *rest;

        while (*from && *from != ',') {
                if (from[0] == '\\' && from[1] == ',')
                        from++;
                *to++ = *from++;
        }
        rest = *from ? from + 1 : NULL;
        *to = '\0';
        return rest;
}

int reuse_request_set_list(reuse_request *request, const char *list, reuse_error **ret_error) {
        char *next;

        if (!list || !*list)
                return 0;
        next = request_copy(request, list);
        if (!next)
                return -ENOMEM;
        while (next) {
                char *key = next;
                char *value;
                int r;

                next = text_cut(key);
                value = strchr(key, '=');
                if (!value)
                        return reuse_error_set(ret_error, -EINVAL, "\"%s\" is not key=value", key);
                *value++ = '\0';
                r = reuse_request_set(request, key, value, ret_error);
                if (r < 0)
                        return r;
        }
        return 0;
}

int reuse_request_set_outgoing(reuse_request *request, const char *list, reuse_error **ret_error) {
        int r;

        request->is_outgoing = true;
        r = reuse_request_set_list(request, list, ret_error);
        request->is_outgoing = false;
        return r;
}

/* The colon behind the network. Raw IP has one in its name: "ip4:1", "ip:icmp". */
static char *spec_colon(char *spec) {
        char *colon = strchr(spec, ':');
        size_t n = colon ? (size_t)(colon - spec) : 0;

        if (n < 2 || n > 3 || strncmp(spec, "ip", 2) != 0)
                return colon;
        return n == 2 || spec[2] == '4' || spec[2] == '6' ? strchr(colon + 1, ':') : colon;
}

_public_ int reuse_request_add_spec(reuse_request *request, const char *spec, reuse_error **ret_error) {
        char *network, *address, *options;
        int index, r;

        reuse_error_clear(ret_error);
        if (!request || !spec)
                return reuse_error_set(ret_error, -EINVAL, "a request and a text are needed");
        network = request_copy(request, spec);
        if (!network)
                return -ENOMEM;
        address = spec_colon(network);
        if (!address || address == network)
                return reuse_error_set(
                        ret_error, -EINVAL,
                        "\"%s\" is not network:address[,key=value...], as in \"tcp:127.0.0.1:80\"",
                        spec);
        *address++ = '\0';
        options = text_cut(address);
        index = reuse_request_add(request, network, address);
        if (index == -E2BIG)
                return reuse_error_set(ret_error, index, "one request holds at most %d sockets",
                                       SOCKETS_MAX);
        if (index == -EINVAL)
                return reuse_error_set(ret_error, index, "\"%s\" is not UTF-8", spec);
        if (index < 0)
                return index;
        r = options && !*options
                    ? reuse_error_set(ret_error, -EINVAL, "nothing follows the comma of \"%s\"", spec)
                    : reuse_request_set_list(request, options, ret_error);
        if (r < 0) {
                request->n--;
                return r;
        }
        return index;
}
