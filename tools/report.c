/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The sentences come from the library, which knows who holds a port and which rule said no. Here they
 * get the program's name in front, what a person can do next where that depends on being at a shell, and
 * an exit status.
 */

#include "tools/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A row has the broker's name of an error, or the library's errno. The same errno is often both: a
 * broker that is not there and an endpoint that is not there are -ENOENT, so a name is looked for alone.
 */
static const struct {
        const char *name;
        int error;
        int status;
} outcomes[] = {
        { "io.reuseportd.NoSuchEndpoint", 0, REPORT_NOT_FOUND },
        { "io.reuseportd.NoSuchLease", 0, REPORT_NOT_FOUND },
        { "io.reuseportd.PolicyDenied", 0, REPORT_DENIED },
        { "org.varlink.service.PermissionDenied", 0, REPORT_DENIED },
        { "io.reuseportd.QuotaExceeded", 0, REPORT_LIMIT },
        { "io.reuseportd.AddressInUse", 0, REPORT_TEMPORARY },
        { "org.varlink.service.InterfaceNotFound", 0, REPORT_PROTOCOL },
        { "org.varlink.service.MethodNotFound", 0, REPORT_PROTOCOL },
        { "org.varlink.service.MethodNotImplemented", 0, REPORT_PROTOCOL },
        { NULL, -ENOENT, REPORT_UNREACHABLE },
        { NULL, -ECONNREFUSED, REPORT_UNREACHABLE },
        { NULL, -EACCES, REPORT_UNREACHABLE },
        { NULL, -ECONNRESET, REPORT_UNREACHABLE },
        { NULL, -ENOTCONN, REPORT_UNREACHABLE },
        { NULL, -ENXIO, REPORT_NOT_FOUND },
        { NULL, -EMFILE, REPORT_LIMIT },
        { NULL, -EPROTO, REPORT_PROTOCOL },
        { NULL, -EBADMSG, REPORT_PROTOCOL },
        { NULL, -ETIMEDOUT, REPORT_TEMPORARY },
        { NULL, -EAGAIN, REPORT_TEMPORARY },
};

static int outcome_status(const char *name, int r) {
        size_t i;

        for (i = 0; i < sizeof(outcomes) / sizeof(*outcomes); i++)
                if (name ? outcomes[i].name && strcmp(outcomes[i].name, name) == 0
                         : outcomes[i].error == r)
                        return outcomes[i].status;
        return REPORT_FAILED;
}

/* The words may be about somebody else's process, which may call itself what it likes. */
__attribute__((format(printf, 1, 0))) static void words_print(const char *format, va_list args) {
        char *text;

        if (vasprintf(&text, format, args) < 0)
                return;

        table_clean(text);
        fprintf(stderr, "reusectl: %s\n", text);
        free(text);
}

void report_say(const Settings *settings, const char *format, ...) {
        va_list args;

        if (settings->quiet)
                return;

        va_start(args, format);
        words_print(format, args);
        va_end(args);
}

int report_usage(const char *format, ...) {
        va_list args;

        if (format) {
                va_start(args, format);
                words_print(format, args);
                va_end(args);
        }
        fputs("See 'reusectl --help'.\n", stderr);
        return REPORT_USAGE;
}

static void failure_to_json(const char *name, int r, const char *parameters, const char *message) {
        json_auto_t *object = NULL;
        json_t *values;

        values = parameters ? json_loads(parameters, 0, NULL) : NULL;
        object = json_pack("{s:s, s:o, s:s}", "error", name ? name : strerrorname_np(-r), "parameters",
                           values ? values : json_object(), "message", message);
        if (!object)
                return;

        json_dumpf(object, stdout, JSON_INDENT(2));
        putchar('\n');
}

int report_error(const Settings *settings, int r, const reuse_error *error) {
        const char *name;

        if (!error)
                return report_problem(settings, r, strerror(-r));

        name = reuse_error_get_name(error);
        report_say(settings, "%s", reuse_error_get_message(error));
        if (settings->output == OUTPUT_JSON)
                failure_to_json(name, r, reuse_error_get_parameters(error),
                                reuse_error_get_message(error));
        return outcome_status(name, r);
}

int report_failure(const Settings *settings, int r, reuse_error *error) {
        int status = report_error(settings, r, error);

        reuse_error_free(error);
        return status;
}

int report_problem(const Settings *settings, int r, const char *message) {
        report_say(settings, "%s", message);
        if (settings->output == OUTPUT_JSON)
                failure_to_json(NULL, r, NULL, message);
        return outcome_status(NULL, r);
}

int report_json(const Settings *settings, const json_t *json) {
        if (json_dumpf(json, stdout, JSON_INDENT(2)) < 0 && !ferror(stdout))
                return report_failure(settings, -ENOMEM, NULL);
        putchar('\n');
        return REPORT_OK;
}

int report_table(const Settings *settings, const Table *table) {
        unsigned int flags = 0;
        int r;

        if (settings->output == OUTPUT_PLAIN)
                flags |= TABLE_PLAIN;
        if (settings->header)
                flags |= TABLE_HEADER;

        r = table_print(table, stdout, flags);
        return r < 0 ? report_failure(settings, r, NULL) : REPORT_OK;
}

int report_flush(const Settings *settings, int status) {
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;

        report_say(settings, "cannot write to standard output: %s", strerror(errno));
        return status == REPORT_OK ? REPORT_FAILED : status;
}
