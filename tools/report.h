/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * What a command has to say: data on standard output, words on standard error, and the exit status.
 */

#include <jansson.h>

#include "client-lib/reuse-client.h"
#include "tools/settings.h"
#include "tools/table.h"

/* Exit statuses; reusectl(1) documents them. */
enum {
        REPORT_OK = 0,
        REPORT_FAILED = 1,
        REPORT_USAGE = 2,
        REPORT_NOT_FOUND = 3,
        REPORT_DENIED = 4,
        REPORT_LIMIT = 5,
        REPORT_UNREACHABLE = 6,
        REPORT_PROTOCOL = 7,
        REPORT_TEMPORARY = 75,
        /* "run" alone: everything else is the status of the command it became. */
        REPORT_RUN_FAILED = 125,
        REPORT_RUN_NOT_EXECUTABLE = 126,
        REPORT_RUN_NOT_FOUND = 127,
};

/* Says what is wrong with the command line, and where help is. @format: NULL if it was said already.
 * Returns REPORT_USAGE. */
int report_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says it on standard error, unless --quiet, with the program's name in front. */
void report_say(const Settings *settings, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Says that a call of the library returned @r, on standard error unless --quiet, and as a JSON object on
 * standard output with --json. Borrows @error, which may be NULL. Returns the exit status that fits.
 */
int report_error(const Settings *settings, int r, const reuse_error *error);

/* The same, and consumes @error. */
int report_failure(const Settings *settings, int r, reuse_error *error);

/* The same for what is noticed here and not in the library: @message says it, @r is the errno it amounts
 * to. */
int report_problem(const Settings *settings, int r, const char *message);

/* Prints @json, indented, and a newline. Borrows @json. Returns the exit status. */
int report_json(const Settings *settings, const json_t *json);

/* Prints @table as the settings ask. Borrows @table. Returns the exit status. */
int report_table(const Settings *settings, const Table *table);

/* Writes out what is buffered for standard output. Returns @status, or REPORT_FAILED if that
 * was lost. */
int report_flush(const Settings *settings, int status);
