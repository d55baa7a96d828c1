/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Files to one struct. inih splits lines into keys and values and knows comments. As it is usually
 * built it tells neither line numbers nor sections without keys, cuts section names at 49 bytes, splits
 * long lines, and takes an indented key for the last one's second value. So its reader, which sees each
 * line first, counts them, refuses long ones, strips them, and deals with the sections itself.
 */

#include "daemon/config.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pattern.h"
#include "daemon/policy.h"
#include "daemon/reason.h"
#include "daemon/value.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"

#define USEC_PER_SEC UINT64_C(1000000)
#define DIGITS "0123456789"
#define BLANKS " \t\r"
#define BOM "\xef\xbb\xbf" /* what some editors begin a file with */
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-" DIGITS
#define ELEMENTSOF(array) (sizeof(array) / sizeof(*(array)))

static const Config config_defaults = {
        .user = (uid_t)-1,
        .socket_mode = CONFIG_SOCKET_MODE,
        .socket_group = (gid_t)-1,
        .retain_usec = CONFIG_RETAIN_SEC * USEC_PER_SEC,
        .max_connections = CONFIG_MAX_CONNECTIONS,
        .max_connections_per_user = CONFIG_MAX_CONNECTIONS_PER_USER,
        .max_leases_per_user = CONFIG_MAX_LEASES_PER_USER,
};

/* One load, from the first file to the last. What is wrong does not end it, so that all can be told. */
typedef struct Loader {
        Config *config;
        const ConfigObserver *observer; /* may be NULL */
        const char *file;
        FILE *stream;
        unsigned line;
        bool unread; /* the line has something that inih has not understood so far */
        /* Keys in SECTION_WRONG are not looked at: where they belong is not known. */
        enum { SECTION_NONE, SECTION_BROKER, SECTION_RULE, SECTION_WRONG } section;
        Rule *rule;   /* of SECTION_RULE */
        bool faulty;  /* something is wrong in it: then what it lacks is not told as well */
        int r;        /* CONFIG_E_INVALID once something is wrong; a fault ends it */
        char *reason; /* the first that is wrong */
} Loader;

/* Something that is wrong, in @line of the file at hand, or with the whole file with 0. */
__attribute__((format(printf, 3, 4))) static void loader_refuse(Loader *loader, unsigned line,
                                                                const char *format, ...) {
        _cleanup_(freep) char *what = NULL, *reason = NULL;
        const ConfigObserver *observer = loader->observer;
        char number[16] = "";
        va_list args;

        va_start(args, format);
        if (vasprintf(&what, format, args) < 0)
                what = NULL;
        va_end(args);
        if (line > 0)
                snprintf(number, sizeof(number), ":%u", line);
        if (!what || asprintf(&reason, "%s%s: %s", loader->file, number, what) < 0) {
                reason = NULL;
                loader->r = error_origin(-ENOMEM);
                return;
        }

        if (loader->r == 0)
                loader->r = CONFIG_E_INVALID;
        loader->faulty = true;
        if (observer)
                observer->wrong(observer->userdata, reason);
        if (!loader->reason)
                loader->reason = ptr_take(reason);
}

static int parse_group(const char *value, void *field, char **ret_reason) {
        Pattern pattern;
        int r;

        r = pattern_parse_group(value, &pattern, ret_reason);
        if (r == PATTERN_E_INVALID)
                return CONFIG_E_INVALID;
        if (r < 0)
                return error_trace(r);

        *(gid_t *)field = pattern.id;
        return 0;
}

/* Somebody with a group and a name: a number alone does not do. */
static int parse_user(const char *value, void *field, char **ret_reason) {
        const struct passwd *passwd;
        Pattern pattern;
        int r;

        r = pattern_parse_user(value, &pattern, ret_reason);
        if (r == PATTERN_E_INVALID)
                return CONFIG_E_INVALID;
        if (r < 0)
                return error_trace(r);
        passwd = getpwuid(pattern.id);
        if (!passwd)
                return reason_write(ret_reason, CONFIG_E_INVALID, "there is no user with the number %s",
                                    value);

        *(uid_t *)field = passwd->pw_uid;
        return 0;
}

/* What the files write as plain values, for the table below. */
static int parse_mode(const char *value, void *field, char **ret_reason) {
        return value_parse_mode(value, field, ret_reason);
}

static int parse_count(const char *value, void *field, char **ret_reason) {
        return value_parse_count(value, field, ret_reason);
}

static int parse_span(const char *value, void *field, char **ret_reason) {
        return value_parse_span(value, field, ret_reason);
}

#define BROKER_FIELD(field) offsetof(Config, field), sizeof(((Config *)NULL)->field)

static const struct {
        const char *name;
        int (*parse)(const char *value, void *field, char **ret_reason);
        size_t offset;
        size_t size;
} broker_keys[] = {
        { "User", parse_user, BROKER_FIELD(user) },
        { "SocketMode", parse_mode, BROKER_FIELD(socket_mode) },
        { "SocketGroup", parse_group, BROKER_FIELD(socket_group) },
        { "RetainSec", parse_span, BROKER_FIELD(retain_usec) },
        { "MaxConnections", parse_count, BROKER_FIELD(max_connections) },
        { "MaxConnectionsPerUser", parse_count, BROKER_FIELD(max_connections_per_user) },
        { "MaxLeasesPerUser", parse_count, BROKER_FIELD(max_leases_per_user) },
};

/* Returns 0, CONFIG_E_INVALID, or -ENOMEM. */
static int broker_set(Config *config, const char *key, const char *value, char **ret_reason) {
        const char *near = NULL;

        for (size_t i = 0; i < ELEMENTSOF(broker_keys); i++) {
                void *field = (char *)config + broker_keys[i].offset;

                if (strcmp(broker_keys[i].name, key) == 0) {
                        if (*value)
                                return broker_keys[i].parse(value, field, ret_reason);
                        memcpy(field, (const char *)&config_defaults + broker_keys[i].offset,
                               broker_keys[i].size);
                        return 0;
                }
                if (strcasecmp(broker_keys[i].name, key) == 0)
                        near = broker_keys[i].name;
        }
        return reason_unknown_key(ret_reason, CONFIG_E_INVALID, near);
}

static int loader_begin_rule(Loader *loader, const char *name) {
        const Rule *same;
        size_t n = strlen(name);
        int r;

        if (n == 0 || n > NAME_SIZE_MAX || name[strspn(name, NAME_CHARACTERS)]) {
                loader_refuse(loader, loader->line,
                              "\"%s\" is no name of a rule; give 1 to %d of A-Z a-z 0-9 . _ -", name,
                              NAME_SIZE_MAX);
                return 0;
        }
        same = policy_find_rule(loader->config->policy, name);
        if (same) {
                loader_refuse(loader, loader->line,
                              "there is a [Rule %s] already, at %s:%u; give this one another name", name,
                              rule_file(same), rule_line(same));
                return 0;
        }

        r = policy_add_rule(loader->config->policy, name, loader->file, loader->line, &loader->rule);
        if (r < 0)
                return error_trace(r);
        loader->section = SECTION_RULE;
        return 0;
}

static int loader_end_section(Loader *loader) {
        _cleanup_(freep) char *reason = NULL;
        int r = 0;

        if (loader->section == SECTION_RULE && !loader->faulty)
                r = rule_check(loader->rule, &reason);
        if (r > 0)
                loader_refuse(loader, rule_line(loader->rule), "%s", reason);
        loader->section = SECTION_NONE;
        loader->faulty = false;
        return r < 0 ? error_trace(r) : 0;
}

/* @text: the line from its bracket on; changed. */
static int loader_begin_section(Loader *loader, char *text) {
        char *name = text + 1, *end, *after;
        int r;

        r = loader_end_section(loader);
        if (r < 0)
                return error_trace(r);

        loader->section = SECTION_WRONG;
        end = strchr(name, ']');
        after = end ? end + 1 + strspn(end + 1, BLANKS) : name;
        if (!end || !strchr(";#", *after)) {
                loader_refuse(loader, loader->line,
                              "no section; write [Broker] or [Rule NAME] on a line");
                return 0;
        }
        *end = '\0';

        if (strcmp(name, "Broker") == 0)
                loader->section = SECTION_BROKER;
        else if (strncmp(name, "Rule ", 5) == 0)
                return loader_begin_rule(loader, name + 5);
        else
                loader_refuse(loader, loader->line,
                              "unknown section [%s]; there are [Broker] and [Rule NAME]", name);
        return 0;
}

/* Once inih is done with a line: it tells only the first that it does not understand. */
static void loader_end_line(Loader *loader) {
        if (loader->unread)
                loader_refuse(loader, loader->line,
                              "neither KEY=VALUE, a section in brackets nor a comment");
        loader->unread = false;
}

/* Reads the next line to @buffer, stripped. Returns false after the last, and where the file makes no
 * sense to go on with. */
static bool loader_get_line(Loader *loader, char *buffer, int size) {
        size_t n = 0;
        int c;

        while ((c = getc(loader->stream)) != EOF && c != '\n') {
                if (n == 0 && strchr(BLANKS, c) && c != '\0')
                        continue;
                if (c == '\0') {
                        loader_refuse(loader, loader->line, "the line has a NUL byte; remove it");
                        return false;
                }
                if (n + 1 >= (size_t)size) {
                        loader_refuse(loader, loader->line,
                                      "the line is longer than %d bytes; give the key again for the "
                                      "rest of a list",
                                      size - 1);
                        return false;
                }
                buffer[n++] = (char)c;
                if (loader->line == 1 && n == strlen(BOM) && memcmp(buffer, BOM, strlen(BOM)) == 0)
                        n = 0;
        }
        buffer[n] = '\0';
        if (ferror(loader->stream)) {
                loader_refuse(loader, 0, "cannot be read: %m");
                return false;
        }
        return c != EOF || n > 0;
}

/* The reader that inih calls: one line a call, without its end. */
static char *loader_read_line(char *buffer, int size, void *userdata) {
        Loader *loader = userdata;
        int r = 0;

        loader_end_line(loader);
        if (loader->r < 0)
                return NULL;

        loader->line++;
        if (!loader_get_line(loader, buffer, size))
                return NULL;
        if (*buffer == '[') {
                r = loader_begin_section(loader, buffer);
                *buffer = '\0';
        }
        if (r < 0)
                loader->r = r;
        /* A comment, or nothing: strchr() finds the end of its text, too. */
        loader->unread = !strchr(";#", *buffer);
        return buffer;
}

static int loader_set_key(Loader *loader, const char *key, const char *value) {
        _cleanup_(freep) char *reason = NULL;
        int r = 0;

        switch (loader->section) {
        case SECTION_NONE:
                loader_refuse(loader, loader->line,
                              "%s= stands before any section; begin with [Broker] or [Rule NAME]", key);
                loader->section = SECTION_WRONG;
                break;
        case SECTION_BROKER:
                r = broker_set(loader->config, key, value, &reason);
                break;
        case SECTION_RULE:
                r = rule_set(loader->rule, key, value, &reason);
                break;
        case SECTION_WRONG:
                break;
        }

        if (r > 0)
                loader_refuse(loader, loader->line, "%s=: %s", key, reason);
        return r < 0 ? error_trace(r) : 0;
}

/* What inih calls for each key. Returns 1: that it was wrong is kept in the loader. */
static int loader_take_key(void *userdata, const char *section __attribute__((unused)), const char *key,
                           const char *value) {
        Loader *loader = userdata;
        int r;

        loader->unread = false;
        r = loader_set_key(loader, key, value);
        if (r < 0)
                loader->r = r;
        return 1;
}

static void stream_closep(FILE **stream) {
        if (*stream)
                fclose(*stream);
}

/* Returns 0, whatever is wrong with the file, or -ENOMEM. */
static int loader_read_file(Loader *loader, const char *file, bool required) {
        _cleanup_(stream_closep) FILE *stream = NULL;
        const ConfigObserver *observer = loader->observer;
        int r;

        loader->file = file;
        stream = fopen(file, "re");
        if (!stream) {
                if (errno != ENOENT || required)
                        loader_refuse(loader, 0, "cannot be opened: %m");
                return loader->r < 0 ? error_trace(loader->r) : 0;
        }

        loader->config->from_files = true;
        if (observer)
                observer->read(observer->userdata, file);
        loader->stream = stream;
        loader->line = 0;
        loader->section = SECTION_NONE;
        loader->faulty = false;
        r = ini_parse_stream(loader_read_line, loader, loader_take_key, loader);
        if (r == -2)
                return error_origin(-ENOMEM);
        loader_end_line(loader);
        r = loader_end_section(loader);
        return loader->r < 0 ? error_trace(loader->r) : r;
}

/* Drop-in files, but not editors' backups and hidden files. */
static int entry_is_conf(const struct dirent *entry) {
        const char *suffix = strrchr(entry->d_name, '.');

        return entry->d_name[0] != '.' && suffix && strcmp(suffix, ".conf") == 0;
}

/* By bytes: alphasort() would follow the locale. */
static int entry_compare(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int loader_read_folder(Loader *loader, const char *folder) {
        struct dirent **entries;
        int n, r = 0;

        loader->file = folder;
        n = scandir(folder, &entries, entry_is_conf, entry_compare);
        if (n < 0) {
                if (errno != ENOENT)
                        loader_refuse(loader, 0, "cannot be read: %m");
                return loader->r < 0 ? error_trace(loader->r) : 0;
        }

        for (int i = 0; i < n; i++) {
                _cleanup_(freep) struct dirent *entry = entries[i];
                _cleanup_(freep) char *file = NULL;

                if (r != 0)
                        continue;
                if (asprintf(&file, "%s/%s", folder, entry->d_name) < 0) {
                        file = NULL;
                        r = error_origin(-ENOMEM);
                        continue;
                }
                r = loader_read_file(loader, file, true);
        }
        free(entries);
        return r;
}

/* What only the rules of all files together tell. */
static int loader_resolve(Loader *loader) {
        _cleanup_(freep) char *reason = NULL;
        const Rule *rule;
        int r = policy_resolve(loader->config->policy, &rule, &reason);

        if (r <= 0)
                return error_trace(r);
        loader->file = rule_file(rule);
        loader_refuse(loader, rule_line(rule), "ShareWith=: %s", reason);
        return loader->r;
}

Config *config_free(Config *config) {
        if (!config)
                return NULL;

        policy_free(config->policy);
        free(config);
        return NULL;
}

CLEANUP_DEFINE(Config, config_free)

static int loader_load(Loader *loader, const char *file, const char *folder, bool required, uid_t uid,
                       Config **ret) {
        _cleanup_(config_freep) Config *config = NULL;
        int r = 0;

        config = malloc(sizeof(*config));
        if (!config)
                return error_origin(-ENOMEM);
        *config = config_defaults;
        config->policy = policy_new();
        if (!config->policy)
                return error_origin(-ENOMEM);

        loader->config = config;
        if (file)
                r = loader_read_file(loader, file, required);
        if (r == 0 && folder)
                r = loader_read_folder(loader, folder);
        r = r ?: loader->r;
        if (r == 0)
                r = loader_resolve(loader);
        if (r == 0 && !config->from_files)
                r = policy_add_own(config->policy, uid);
        if (r)
                return r < 0 ? error_trace(r) : r;

        *ret = ptr_take(config);
        return 0;
}

static int config_load_with(Loader *loader, const char *file, const char *folder, bool required,
                            uid_t uid, Config **ret, char **ret_reason) {
        int r = loader_load(loader, file, folder, required, uid, ret);

        if (r > 0)
                *ret_reason = ptr_take(loader->reason);
        free(loader->reason);
        return r < 0 ? error_trace(r) : r;
}

int config_load_from(const char *file, const char *folder, bool required, uid_t uid, Config **ret,
                     char **ret_reason) {
        Loader loader = {};

        return config_load_with(&loader, file, folder, required, uid, ret, ret_reason);
}

int config_load_observed(const char *file, bool own_only, uid_t uid, const ConfigObserver *observer,
                         Config **ret, char **ret_reason) {
        Loader loader = { .observer = observer };

        if (file)
                return config_load_with(&loader, file, NULL, true, uid, ret, ret_reason);
        if (own_only)
                return config_load_with(&loader, NULL, NULL, false, uid, ret, ret_reason);
        return config_load_with(&loader, CONFIG_FILE_DEFAULT, CONFIG_FOLDER_DEFAULT, false, uid, ret,
                                ret_reason);
}

int config_load(const char *file, bool own_only, uid_t uid, Config **ret, char **ret_reason) {
        return config_load_observed(file, own_only, uid, NULL, ret, ret_reason);
}
