/* SPDX-License-Identifier: BSD-2-Clause */

#include "tests/fault/guest.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/cleanup.h"

enum {
        PATIENCE_SEC = 20,
};

/* Errors that are no lie when something fails in the broker. */
static const char *const honest_errors[] = {
        "io.reuseportd.AddressInUse",  "io.reuseportd.AddressUnavailable", "io.reuseportd.OptionInvalid",
        "io.reuseportd.QuotaExceeded", "io.reuseportd.SystemFailure",
};

static void expect_honest(const Guest *guest, const char *error, const char *text) {
        if (guest->provoked && strcmp(error, guest->provoked) == 0)
                return;
        for (size_t i = 0; i < sizeof(honest_errors) / sizeof(honest_errors[0]); i++)
                if (strcmp(error, honest_errors[i]) == 0)
                        return;
        cr_fatal("%s", text);
}

static void guest_note(Guest *guest, Outcome outcome) {
        if (outcome > guest->outcome)
                guest->outcome = outcome;
}

/* The broker knows a connection by the process that made it, whoever uses it. */
static void connect_and_wait(int control, const Harness *harness, int connected) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        strcpy(address.sun_path, harness->socket);
        if (connect(control, (struct sockaddr *)&address, sizeof(address)) < 0)
                _exit(1);
        close(connected);
        for (;;)
                pause();
}

static void guest_come_as_another(Guest *guest, const Harness *harness) {
        struct timeval patience = { .tv_sec = PATIENCE_SEC };
        int connected[2];
        char byte;

        guest->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert(guest->control >= 0 && pipe2(connected, O_CLOEXEC) == 0, "%m");
        cr_assert_eq(setsockopt(guest->control, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
                     0);
        guest->process = fork();
        cr_assert(guest->process >= 0);
        if (guest->process == 0)
                connect_and_wait(guest->control, harness, connected[1]);
        close(connected[1]);
        cr_assert_eq(read(connected[0], &byte, 1), 0);
        close(connected[0]);
}

void guest_come(Guest *guest, const Harness *harness, bool foreign) {
        *guest = (Guest){ .control = -1, .lifeline = -1 };
        if (foreign)
                guest_come_as_another(guest, harness);
        else
                guest->control = harness_connect(harness);
}

void guest_send(Guest *guest, const char *method, const char *flags, const char *format, ...) {
        char *parameters, *text;
        bool hung_up;
        va_list args;

        va_start(args, format);
        cr_assert(vasprintf(&parameters, format, args) >= 0);
        va_end(args);
        cr_assert(asprintf(&text, "{'method':'%s%s'%s,'parameters':%s}",
                           strchr(method, '.') ? "" : "io.reuseportd.", method, flags, parameters) > 0);
        for (char *c = text; *c; c++)
                if (*c == '\'')
                        *c = '"';
        /* After a hang-up there may still be an answer to read. */
        if (send(guest->control, text, strlen(text) + 1, MSG_NOSIGNAL) < 0) {
                hung_up = errno == EPIPE || errno == ECONNRESET;
                cr_assert(hung_up, "%m");
        }
        free(text);
        free(parameters);
}

static json_t *guest_receive_with(Guest *guest, HarnessReply *reply) {
        json_error_t error;
        json_t *json;

        reply->n_fds = 0;
        if (guest->ended || !harness_receive(guest->control, reply)) {
                guest->ended = true;
                guest_note(guest, OUTCOME_HUNG_UP);
                return NULL;
        }
        json = json_loads(reply->text, JSON_REJECT_DUPLICATES, &error);
        cr_assert(json != NULL, "%s in %s", error.text, reply->text);
        if (json_object_get(json, "error")) {
                expect_honest(guest, json_string_value(json_object_get(json, "error")), reply->text);
                cr_assert(reply->n_fds == 0, "descriptors with %s", reply->text);
                guest_note(guest, OUTCOME_REFUSED);
        }
        return json;
}

json_t *guest_receive(Guest *guest) {
        static HarnessReply reply;
        json_t *json = guest_receive_with(guest, &reply);

        cr_assert(reply.n_fds == 0, "descriptors with %s", reply.text);
        return json;
}

bool guest_call(Guest *guest, const char *method, const char *format, ...) {
        json_auto_t *reply = NULL;
        char *parameters;
        va_list args;

        va_start(args, format);
        cr_assert(vasprintf(&parameters, format, args) >= 0);
        va_end(args);
        guest_send(guest, method, "", "%s", parameters);
        free(parameters);
        reply = guest_receive(guest);
        return reply && !json_object_get(reply, "error");
}

bool guest_take_sockets(Guest *guest) {
        static HarnessReply reply;
        json_auto_t *json = guest_receive_with(guest, &reply);
        const json_t *item;
        size_t i;

        if (!json || json_object_get(json, "error"))
                return false;
        json_array_foreach(json_object_get(json_object_get(json, "parameters"), "sockets"), i, item) {
                size_t n = guest->n_leases++;

                cr_assert(n < GUEST_LEASES_MAX && i < reply.n_fds, "%s", reply.text);
                guest->fds[n] = reply.fds[i];
                snprintf(guest->leases[n], GUEST_TEXT_MAX, "%s",
                         json_string_value(json_object_get(item, "lease")));
                snprintf(guest->addresses[n], GUEST_TEXT_MAX, "%s",
                         json_string_value(json_object_get(item, "address")));
        }
        item = json_object_get(json_object_get(json, "parameters"), "lifetimeFileDescriptor");
        if (item) {
                cr_assert(json_integer_value(item) == (json_int_t)i && i < reply.n_fds, "%s",
                          reply.text);
                fd_close(guest->lifeline);
                guest->lifeline = reply.fds[i++];
        }
        cr_assert(i == reply.n_fds, "%zu descriptors with %s", reply.n_fds, reply.text);
        return true;
}

bool guest_acquire(Guest *guest, const char *format, ...) {
        char *sockets;
        va_list args;

        va_start(args, format);
        cr_assert(vasprintf(&sockets, format, args) >= 0);
        va_end(args);
        guest_send(guest, "Acquire", "", "{'sockets':[%s]}", sockets);
        free(sockets);
        return guest_take_sockets(guest);
}

bool guest_dial(Guest *guest, const char *format, ...) {
        static HarnessReply reply;
        json_auto_t *json = NULL;
        char *parameters;
        bool given;
        va_list args;

        va_start(args, format);
        cr_assert(vasprintf(&parameters, format, args) >= 0);
        va_end(args);
        guest_send(guest, "Dial", "", "{%s}", parameters);
        free(parameters);
        json = guest_receive_with(guest, &reply);
        given = json && !json_object_get(json, "error");
        if (json)
                cr_assert(reply.n_fds == (given ? 1 : 0), "%zu descriptors with %s", reply.n_fds,
                          reply.text);
        harness_close(&reply);
        return given;
}

bool guest_say(Guest *guest, const char *method, size_t i) {
        return i < guest->n_leases && guest_call(guest, method, "{'leases':['%s']}", guest->leases[i]);
}

bool guest_release(Guest *guest, size_t i) {
        bool released = guest_say(guest, "Release", i);

        if (i < guest->n_leases)
                guest->fds[i] = fd_close(guest->fds[i]);
        return released;
}

void guest_come_back(Guest *guest, const Harness *harness) {
        fd_close(guest->control);
        guest->control = harness_connect(harness);
        guest->ended = false;
}

bool guest_resume(Guest *guest, size_t i) {
        unsigned long long cookie = 0;
        json_auto_t *reply = NULL;
        const json_t *resumed;

        if (i >= guest->n_leases)
                return false;
        cr_assert_eq(getsockopt(guest->fds[i], SOL_SOCKET, SO_COOKIE, &cookie,
                                &(socklen_t){ sizeof(cookie) }),
                     0);
        guest_send(guest, "Resume", "", "{'leases':[{'lease':'%s','cookie':'%llu'}]}", guest->leases[i],
                   cookie);
        reply = guest_receive(guest);
        resumed = json_object_get(json_object_get(reply, "parameters"), "resumed");
        return json_array_size(resumed) == 1;
}

void guest_leave(Guest *guest) {
        for (size_t i = 0; i < guest->n_leases; i++)
                guest->fds[i] = fd_close(guest->fds[i]);
        guest->lifeline = fd_close(guest->lifeline);
        guest->control = fd_close(guest->control);
        if (guest->process > 0) {
                kill(guest->process, SIGKILL);
                cr_assert_eq(waitpid(guest->process, NULL, 0), guest->process);
                guest->process = 0;
        }
}
