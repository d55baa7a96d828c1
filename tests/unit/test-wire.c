/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The tables against the interface file, both ways, and against the structs. The file is the contract:
 * its path comes from the build as INTERFACE_FILE, or from the environment.
 */

#include "proto/wire.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(wire, .timeout = 10);

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

#ifndef INTERFACE_FILE
#define INTERFACE_FILE "proto/io.reuseportd.varlink"
#endif

enum {
        WORD_SIZE = 64,
        ITEMS_MAX = 64,
        DECLARATIONS_MAX = 64,
};

/* "name: ?[]type"; a symbol of an enum has no type. */
typedef struct Item {
        char name[WORD_SIZE];
        char type[WORD_SIZE];
        bool nullable;
        bool list;
} Item;

typedef struct Items {
        Item items[ITEMS_MAX];
        size_t n;
} Items;

typedef struct Declaration {
        char keyword[WORD_SIZE];
        char name[WORD_SIZE];
        Items in;
        Items out; /* of a method */
} Declaration;

static Declaration declarations[DECLARATIONS_MAX];
static size_t n_declarations;

/* The next token: a word, or one of "->" "[]" and single characters. Empty at the end. */
static void next_token(const char **at, char *ret) {
        size_t n = 0;

        while (isspace((unsigned char)**at) || **at == '#')
                *at += **at == '#' ? strcspn(*at, "\n") : 1;
        while (isalnum((unsigned char)(*at)[n]) || (*at)[n] == '.' || (*at)[n] == '_')
                n++;
        if (n == 0 && **at)
                n = strncmp(*at, "->", 2) == 0 || strncmp(*at, "[]", 2) == 0 ? 2 : 1;
        cr_assert(lt(sz, n, WORD_SIZE));
        memcpy(ret, *at, n);
        ret[n] = '\0';
        *at += n;
}

static void expect_token(const char **at, const char *expected) {
        char token[WORD_SIZE];

        next_token(at, token);
        cr_assert(eq(str, token, (char *)expected));
}

static void parse_items(const char **at, Items *ret) {
        char token[WORD_SIZE];

        expect_token(at, "(");
        for (next_token(at, token); strcmp(token, ")") != 0;) {
                Item *item = &ret->items[ret->n++];

                cr_assert(lt(sz, ret->n, ITEMS_MAX));
                strcpy(item->name, token);
                next_token(at, token);
                if (strcmp(token, ":") == 0) {
                        next_token(at, token);
                        item->nullable = strcmp(token, "?") == 0;
                        if (item->nullable)
                                next_token(at, token);
                        item->list = strcmp(token, "[]") == 0;
                        if (item->list)
                                next_token(at, token);
                        strcpy(item->type, token);
                        next_token(at, token);
                }
                if (strcmp(token, ",") == 0)
                        next_token(at, token);
        }
}

static void parse_file(void) {
        static char text[64 * 1024];
        const char *path = getenv("INTERFACE_FILE") ?: INTERFACE_FILE, *at = text;
        char token[WORD_SIZE];
        FILE *file = fopen(path, "re");

        cr_assert(ne(ptr, file, NULL), "%s", path);
        cr_assert(lt(sz, fread(text, 1, sizeof(text) - 1, file), sizeof(text) - 1));
        fclose(file);
        expect_token(&at, "interface");
        expect_token(&at, "io.reuseportd");
        for (next_token(&at, token); token[0]; next_token(&at, token)) {
                Declaration *declaration = &declarations[n_declarations++];

                cr_assert(lt(sz, n_declarations, DECLARATIONS_MAX));
                strcpy(declaration->keyword, token);
                next_token(&at, declaration->name);
                parse_items(&at, &declaration->in);
                if (strcmp(declaration->keyword, "method") == 0) {
                        expect_token(&at, "->");
                        parse_items(&at, &declaration->out);
                }
        }
}

static const Declaration *find_declaration(const char *keyword, const char *name) {
        for (size_t i = 0; i < n_declarations; i++)
                if (strcmp(declarations[i].keyword, keyword) == 0 &&
                    strcmp(declarations[i].name, name) == 0)
                        return &declarations[i];
        return NULL;
}

static size_t count_declarations(const char *keyword) {
        size_t n = 0;

        for (size_t i = 0; i < n_declarations; i++)
                n += strcmp(declarations[i].keyword, keyword) == 0;
        return n;
}

/* The symbols of an enum of the file are those of a table, in order. */
static void expect_symbols(const char *type, const char *const *symbols) {
        const Declaration *declaration = find_declaration("type", type);
        size_t n = 0;

        cr_assert(ne(ptr, (void *)declaration, NULL), "%s", type);
        for (; symbols[n]; n++) {
                cr_assert(lt(sz, n, declaration->in.n), "%s", type);
                cr_assert(eq(str, (char *)symbols[n], (char *)declaration->in.items[n].name));
                cr_assert(eq(str, (char *)declaration->in.items[n].type, (char *)""));
        }
        cr_assert(eq(sz, n, declaration->in.n), "%s", type);
}

static void expect_type(const Item *item, const Field *field) {
        static const struct {
                FieldType type;
                const char *name;
                bool list;
        } plain[] = {
                { FIELD_STRING, "string", false }, { FIELD_STRINGS, "string", true },
                { FIELD_INT, "int", false },       { FIELD_INTS, "int", true },
                { FIELD_BOOL, "bool", false },
        };

        for (size_t i = 0; i < ELEMENTS(plain); i++)
                if (plain[i].type == field->type) {
                        cr_assert(eq(str, (char *)item->type, (char *)plain[i].name), "%s", item->name);
                        cr_assert(eq(int, item->list, plain[i].list), "%s", item->name);
                        return;
                }
        cr_assert(eq(int, item->list, field->type == FIELD_RECORDS), "%s", item->name);
        if (field->type == FIELD_ENUM) {
                expect_symbols(item->type, field->symbols);
                return;
        }
        cr_assert(eq(str, (char *)field->record->name, (char *)item->type), "%s", item->name);
        cr_assert(ne(ptr, (void *)find_declaration("type", item->type), NULL), "%s", item->type);
}

static void expect_record(const char *what, const Items *items, const Record *record) {
        for (size_t i = 0; i < items->n && i < record->n_fields; i++) {
                const Item *item = &items->items[i];
                const Field *field = &record->fields[i];

                cr_assert(eq(str, (char *)field->name, (char *)item->name), "%s", what);
                cr_assert(eq(int, field->nullable, item->nullable), "%s: %s", what, item->name);
                expect_type(item, field);
        }
        cr_assert(eq(sz, record->n_fields, items->n), "%s", what);
}

/* Every record that is a type of the interface. */
static const Record *const types[] = {
        &wire_raw_option, &wire_options, &wire_socket_request, &wire_socket, &wire_holder,
        &wire_lease,      &wire_member,  &wire_endpoint,       &wire_event,  &wire_resume_request,
};

static const struct {
        const char *name;
        const char *const *symbols;
        size_t n; /* of the C enum */
} enums[] = {
        { "Sharing", wire_sharing, _SHARING_N },
        { "Lifetime", wire_lifetime, _LIFETIME_N },
        { "Steering", wire_steering, _STEERING_N },
        { "MemberState", wire_member_state, _MEMBER_STATE_N },
};

Test(wire, file_has_nothing_but_types_methods_and_errors, .init = parse_file) {
        cr_assert(eq(sz,
                     count_declarations("type") + count_declarations("method") +
                             count_declarations("error"),
                     n_declarations));
        for (size_t i = 0; i < n_declarations; i++)
                cr_assert(eq(ptr,
                             (void *)find_declaration(declarations[i].keyword, declarations[i].name),
                             &declarations[i]),
                          "%s twice", declarations[i].name);
}

Test(wire, types_are_those_of_the_file, .init = parse_file) {
        for (size_t i = 0; i < ELEMENTS(types); i++) {
                const Declaration *declaration = find_declaration("type", types[i]->name);

                cr_assert(ne(ptr, (void *)declaration, NULL), "%s", types[i]->name);
                expect_record(types[i]->name, &declaration->in, types[i]);
        }
        for (size_t i = 0; i < ELEMENTS(enums); i++)
                expect_symbols(enums[i].name, enums[i].symbols);
        cr_assert(eq(sz, count_declarations("type"), ELEMENTS(types) + ELEMENTS(enums)));
}

static void expect_known_types(const Record *record) {
        for (size_t i = 0; i < record->n_fields; i++) {
                const Record *inner = record->fields[i].record;
                bool found = !inner;

                for (size_t j = 0; j < ELEMENTS(types) && !found; j++)
                        found = types[j] == inner;
                cr_assert(found, "%s", record->fields[i].name);
        }
}

Test(wire, tables_use_no_types_but_these) {
        for (size_t i = 0; i < ELEMENTS(types); i++)
                expect_known_types(types[i]);
        for (size_t i = 0; i < _WIRE_METHOD_N; i++) {
                expect_known_types(wire_methods[i].in);
                expect_known_types(wire_methods[i].out);
        }
        for (size_t i = 0; i < _WIRE_ERROR_N; i++)
                expect_known_types(wire_errors[i].parameters);
}

/* The name within io.reuseportd, or NULL for what belongs to org.varlink.service. */
static const char *own_name(const char *name) {
        static const char prefix[] = "io.reuseportd.";

        return strncmp(name, prefix, sizeof(prefix) - 1) == 0 ? name + sizeof(prefix) - 1 : NULL;
}

Test(wire, methods_are_those_of_the_file, .init = parse_file) {
        size_t n = 0;

        for (size_t i = 0; i < _WIRE_METHOD_N; i++) {
                const char *name = own_name(wire_methods[i].name);
                const Declaration *declaration;

                if (!name)
                        continue;
                declaration = find_declaration("method", name);
                cr_assert(ne(ptr, (void *)declaration, NULL), "%s", name);
                expect_record(name, &declaration->in, wire_methods[i].in);
                expect_record(name, &declaration->out, wire_methods[i].out);
                n++;
        }
        cr_assert(eq(sz, n, count_declarations("method")));
}

Test(wire, errors_are_those_of_the_file, .init = parse_file) {
        size_t n = 0;

        for (size_t i = 0; i < _WIRE_ERROR_N; i++) {
                const char *name = own_name(wire_errors[i].name);
                const Declaration *declaration;

                if (!name)
                        continue;
                declaration = find_declaration("error", name);
                cr_assert(ne(ptr, (void *)declaration, NULL), "%s", name);
                expect_record(name, &declaration->in, wire_errors[i].parameters);
                n++;
        }
        cr_assert(eq(sz, n, count_declarations("error")));
}

Test(wire, symbols_are_as_many_as_their_enum_has) {
        for (size_t i = 0; i < ELEMENTS(enums); i++) {
                size_t n = 0;

                while (enums[i].symbols[n])
                        n++;
                cr_assert(eq(sz, n, enums[i].n), "%s", enums[i].name);
        }
        cr_assert(eq(str, (char *)wire_sharing[SHARING_GROUP], (char *)"group"));
        cr_assert(eq(str, (char *)wire_lifetime[LIFETIME_PROCESS], (char *)"process"));
        cr_assert(eq(str, (char *)wire_steering[STEERING_LEAST_LOAD], (char *)"leastLoad"));
        cr_assert(eq(str, (char *)wire_member_state[MEMBER_DRAINING], (char *)"draining"));
}

/* "name:type" for each field, with '?' and "[]" as in an interface file. */
static void expect_literal(const Record *record, const char *expected) {
        char text[512] = "";

        for (size_t i = 0; i < record->n_fields; i++) {
                const Field *field = &record->fields[i];

                cr_assert(field->type == FIELD_STRING || field->type == FIELD_STRINGS);
                snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s:%s%sstring",
                         i > 0 ? " " : "", field->name, field->nullable ? "?" : "",
                         field->type == FIELD_STRINGS ? "[]" : "");
        }
        cr_assert(eq(str, text, (char *)expected));
}

Test(wire, service_is_the_one_of_varlink) {
        static const struct {
                const char *name, *in, *out;
        } methods[] = {
                { "org.varlink.service.GetInfo", "",
                  "vendor:string product:string version:string url:string interfaces:[]string" },
                { "org.varlink.service.GetInterfaceDescription", "interface:string",
                  "description:string" },
        };
        static const char *const errors[][2] = {
                { "org.varlink.service.InterfaceNotFound", "interface:string" },
                { "org.varlink.service.MethodNotFound", "method:string" },
                { "org.varlink.service.MethodNotImplemented", "method:string" },
                { "org.varlink.service.InvalidParameter", "parameter:string" },
                { "org.varlink.service.PermissionDenied", "" },
                { "org.varlink.service.ExpectedMore", "" },
        };
        size_t n = 0;

        for (size_t i = 0; i < _WIRE_METHOD_N; i++) {
                if (own_name(wire_methods[i].name))
                        continue;
                cr_assert(lt(sz, n, ELEMENTS(methods)));
                cr_assert(eq(str, (char *)wire_methods[i].name, (char *)methods[n].name));
                expect_literal(wire_methods[i].in, methods[n].in);
                expect_literal(wire_methods[i].out, methods[n].out);
                n++;
        }
        cr_assert(eq(sz, n, ELEMENTS(methods)));
        for (size_t i = 0; i < ELEMENTS(errors); i++) {
                int id = wire_error_find(errors[i][0]);

                cr_assert(ge(int, id, 0), "%s", errors[i][0]);
                expect_literal(wire_errors[id].parameters, errors[i][1]);
        }
}

Test(wire, error_is_found_by_its_whole_name_only) {
        static const char *const unknown[] = {
                "",
                "AddressInUse",
                "io.reuseportd",
                "io.reuseportd.",
                "io.reuseportd.addressinuse",
                "io.reuseportd.AddressInUse ",
                "org.varlink.service.AddressInUse",
                "io.reuseportd.Acquire",
        };

        for (size_t i = 0; i < ELEMENTS(unknown); i++)
                cr_assert(eq(int, wire_error_find(unknown[i]), -1), "%s", unknown[i]);
        for (int i = 0; i < _WIRE_ERROR_N; i++)
                cr_assert(eq(int, wire_error_find(wire_errors[i].name), i));
}
