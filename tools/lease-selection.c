/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The broker takes nothing but ids, and lists everything that the caller holds: what a word stands for
 * is found in that list.
 */

#include "tools/lease-selection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/connection.h"
#include "tools/report.h"

#define PID_PREFIX "pid:"

static const char *text_at(const json_t *object, const char *key) {
        const char *text = json_string_value(json_object_get(object, key));

        return text ? text : "";
}

static bool word_is_pid(const char *word, json_int_t *ret_pid) {
        const char *digits = word + strlen(PID_PREFIX);

        if (strncmp(word, PID_PREFIX, strlen(PID_PREFIX)) != 0)
                return false;

        /* Too large a number is no process either. */
        *ret_pid = *digits && !digits[strspn(digits, "0123456789")] ? strtoll(digits, NULL, 10) : 0;
        return true;
}

/* By its id any lease; otherwise the caller's own, since more than one may be meant. */
static bool word_means(const char *word, const json_t *endpoint, const json_t *lease) {
        const json_t *holder = json_object_get(lease, "holder");
        const json_t *uid = json_object_get(holder, "uid");
        json_int_t pid;

        if (strcmp(word, text_at(lease, "lease")) == 0)
                return true;
        if (!json_is_integer(uid) || json_integer_value(uid) != (json_int_t)geteuid())
                return false;
        if (word_is_pid(word, &pid))
                return pid > 0 && json_integer_value(json_object_get(holder, "pid")) == pid;
        return strcmp(word, text_at(endpoint, "endpoint")) == 0 ||
               strcmp(word, text_at(endpoint, "name")) == 0;
}

/* Whether any of @words means this lease; notes in @ret_found which do. */
static bool words_mean(char *const *words, const json_t *endpoint, const json_t *lease,
                       bool *ret_found) {
        bool any = false;
        size_t i;

        for (i = 0; words[i]; i++)
                if (*words[i] && word_means(words[i], endpoint, lease)) {
                        ret_found[i] = true;
                        any = true;
                }
        return any;
}

static int selection_add(LeaseSelection *selection, const char *lease) {
        const char **leases = reallocarray(selection->leases, selection->n + 1, sizeof(*leases));

        if (!leases)
                return -ENOMEM;
        selection->leases = leases;
        leases[selection->n++] = lease;
        return 0;
}

static int selection_fill(LeaseSelection *selection, char *const *words, bool *ret_found) {
        json_t *endpoint, *member, *lease;
        size_t i, j, k;

        json_array_foreach(json_object_get(selection->reply, "endpoints"), i, endpoint) {
                json_array_foreach(json_object_get(endpoint, "members"), j, member) {
                        json_array_foreach(json_object_get(member, "leases"), k, lease) {
                                const char *id = text_at(lease, "lease");

                                if (*id && words_mean(words, endpoint, lease, ret_found) &&
                                    selection_add(selection, id) < 0)
                                        return -ENOMEM;
                        }
                }
        }
        return 0;
}

static int selection_expect_found(const Settings *settings, char *const *words, const bool *found) {
        char text[256];
        size_t i;

        for (i = 0; words[i]; i++) {
                if (found[i])
                        continue;
                snprintf(text, sizeof(text),
                         "\"%s\" is no lease, and no endpoint or process that you have leases of",
                         words[i]);
                return report_problem(settings, -ENXIO, text);
        }
        return REPORT_OK;
}

int lease_selection_init(const Settings *settings, char *const *words, LeaseSelection *ret) {
        size_t n_words = 0;
        bool *found;
        int status;

        *ret = (LeaseSelection){};
        while (words[n_words])
                n_words++;

        status = connection_open(settings, &ret->client);
        if (status == REPORT_OK)
                status = connection_ask(settings, ret->client, "List", NULL, &ret->reply);
        if (status != REPORT_OK)
                return status;

        found = calloc(n_words + 1, sizeof(*found)); /* of none it may be NULL */
        if (!found || selection_fill(ret, words, found) < 0)
                status = report_failure(settings, -ENOMEM, NULL);
        else
                status = selection_expect_found(settings, words, found);
        free(found);
        return status;
}

void lease_selection_deinit(LeaseSelection *selection) {
        reuse_client_free(selection->client);
        free(selection->leases);
        json_decref(selection->reply);
        *selection = (LeaseSelection){};
}

int lease_selection_report(const Settings *settings, const LeaseSelection *selection, int r,
                           reuse_error *error) {
        json_auto_t *json = NULL;
        json_t *leases;
        size_t i;

        if (r < 0)
                return report_failure(settings, r, error);
        if (settings->output != OUTPUT_JSON)
                return REPORT_OK;

        leases = json_array();
        for (i = 0; i < selection->n; i++)
                json_array_append_new(leases, json_string(selection->leases[i]));
        json = json_pack("{s:o}", "leases", leases);
        return json ? report_json(settings, json) : report_failure(settings, -ENOMEM, NULL);
}
