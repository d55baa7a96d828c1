/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the broker's errors mean: one row each, with the errno for programs and the sentence for people.
 * A sentence says what failed, who is in the way, and what to do about it.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client-lib/internal.h"

enum {
        /* Above the greatest errno that Linux has. */
        ERRNO_END = 134,
        USEC_PER_SEC = 1000000,
        RULE_TEXT_MAX = 128,
};

typedef int (*Sentence)(const ErrorParameters *p, char **ret);

static int say_network_unknown(const ErrorParameters *p, char **ret) {
        return asprintf(ret,
                        "the broker does not know the network \"%s\": ask for tcp, udp, mptcp, sctp or "
                        "udplite, or one of these with 4 or 6, unix, unixgram, unixpacket, vsock or "
                        "ip[46]:PROTOCOL",
                        p->network);
}

static int say_address_invalid(const ErrorParameters *p, char **ret) {
        return asprintf(ret, "the address \"%s\" is not valid: %s", p->address, p->reason);
}

static void write_time(int64_t usec, char *buffer, size_t size) {
        time_t seconds = usec / USEC_PER_SEC;
        struct tm tm;

        if (!localtime_r(&seconds, &tm) || strftime(buffer, size, "%F %T", &tm) == 0)
                snprintf(buffer, size, "%" PRId64 " s after 1970", (int64_t)seconds);
}

static int say_address_in_use(const ErrorParameters *p, char **ret) {
        const HolderInfo *holder = p->holder;
        const char *command, *unit;
        char since[64];

        if (!holder)
                return asprintf(ret, "%s is in use by a program outside the broker%s", p->address,
                                *p->address == '/'
                                        ? ", or there is a file: see \"ss -lxp\", or remove it"
                                : *p->address == '@' ? ": see \"ss -lxp\""
                                                     : ": see \"ss -ltunp\"");
        command = holder->command ?: "name not known";
        unit = holder->unit ?: "";
        write_time(holder->since_usec, since, sizeof(since));
        return asprintf(ret,
                        "%s is in use by pid %" PRId64 " (%s%s%s), uid %" PRId64
                        ", since %s: stop it, or ask for another address",
                        p->address, holder->pid, command, *unit ? ", " : "", unit, holder->uid, since);
}

static int say_address_unavailable(const ErrorParameters *p, char **ret) {
        /* A machine has the one that its hypervisor gave it, and at most that of its loopback. */
        if (p->network && strcmp(p->network, "vsock") == 0)
                return asprintf(ret,
                                "this machine does not have the context identifier of vsock:%s: ask for "
                                "its own, or for :PORT, which is any",
                                p->address);
        return asprintf(ret,
                        "%s is not an address of this host: add it to an interface, or set freeBind",
                        p->address);
}

/* Whether the reason has the rule already, with its place; in quotes, which tell it from a
 * common word. */
static bool reason_names_rule(const char *reason, const char *rule) {
        char quoted[RULE_TEXT_MAX];

        snprintf(quoted, sizeof(quoted), "\"%s\"", rule);
        return strstr(reason, quoted);
}

static int say_policy_denied(const ErrorParameters *p, char **ret) {
        if (!p->rule || reason_names_rule(p->reason, p->rule))
                return asprintf(ret, "policy denies it: %s; see reuseportd.conf(5)", p->reason);
        if (!p->file || p->line == WIRE_ABSENT)
                return asprintf(ret, "policy denies it: %s (rule \"%s\"); see reuseportd.conf(5)",
                                p->reason, p->rule);
        return asprintf(ret,
                        "policy denies it: %s (rule \"%s\", %s:%" PRId64 "); see reuseportd.conf(5)",
                        p->reason, p->rule, p->file, p->line);
}

static int say_quota_exceeded(const ErrorParameters *p, char **ret) {
        return asprintf(ret,
                        "the limit of %" PRId64 " %s is reached%s%s: release some, or raise it in "
                        "reuseportd.conf(5)",
                        p->limit, p->resource, p->reason ? "; " : "", p->reason ?: "");
}

static int say_option_conflict(const ErrorParameters *p, char **ret) {
        return asprintf(
                ret,
                "option %s: the endpoint has %s, you asked for %s: ask for the same or leave it out",
                p->option, p->have, p->want);
}

static int say_option_invalid(const ErrorParameters *p, char **ret) {
        return asprintf(ret, "option %s: %s", p->option, p->reason);
}

static int say_not_supported(const ErrorParameters *p, char **ret) {
        return asprintf(ret, "%s is not supported here: %s", p->feature, p->reason);
}

static int say_no_such_lease(const ErrorParameters *p, char **ret) {
        return asprintf(ret, "this client has no lease \"%s\": it was released or has ended", p->lease);
}

static int say_no_such_endpoint(const ErrorParameters *p, char **ret) {
        return asprintf(ret, "there is no endpoint \"%s\" that you may see", p->endpoint);
}

static int say_system_failure(const ErrorParameters *p, char **ret) {
        return asprintf(ret, "the broker failed at %s: %s (%s)", p->step, p->message, p->errno_name);
}

static int say_interface_not_found(const ErrorParameters *p, char **ret) {
        return asprintf(ret, "the broker does not have the interface %s", p->interface);
}

static int say_method_not_found(const ErrorParameters *p, char **ret) {
        return asprintf(ret, "this broker does not have the method %s: is it older than this program?",
                        p->method);
}

static int say_invalid_parameter(const ErrorParameters *p, char **ret) {
        return asprintf(ret,
                        "the broker does not take the parameter %s: it is unknown, missing, or has the "
                        "wrong type or value",
                        p->parameter);
}

static int say_permission_denied(const ErrorParameters *p, char **ret) {
        (void)p;
        return asprintf(ret, "the broker does not let this user ask that: ask as root, or as the user "
                             "that the broker runs as");
}

static int say_expected_more(const ErrorParameters *p, char **ret) {
        (void)p;
        return asprintf(ret, "the method answers in several parts: call it with REUSE_CALL_MORE");
}

static const struct {
        int number;
        Sentence sentence;
} refusals[_WIRE_ERROR_N] = {
        [WIRE_ERROR_NETWORK_UNKNOWN] = { -EPROTONOSUPPORT, say_network_unknown },
        [WIRE_ERROR_ADDRESS_INVALID] = { -EINVAL, say_address_invalid },
        [WIRE_ERROR_ADDRESS_IN_USE] = { -EADDRINUSE, say_address_in_use },
        [WIRE_ERROR_ADDRESS_UNAVAILABLE] = { -EADDRNOTAVAIL, say_address_unavailable },
        [WIRE_ERROR_POLICY_DENIED] = { -EACCES, say_policy_denied },
        [WIRE_ERROR_QUOTA_EXCEEDED] = { -EDQUOT, say_quota_exceeded },
        [WIRE_ERROR_OPTION_CONFLICT] = { -EEXIST, say_option_conflict },
        [WIRE_ERROR_OPTION_INVALID] = { -EINVAL, say_option_invalid },
        [WIRE_ERROR_NOT_SUPPORTED] = { -EOPNOTSUPP, say_not_supported },
        [WIRE_ERROR_NO_SUCH_LEASE] = { -ENOENT, say_no_such_lease },
        [WIRE_ERROR_NO_SUCH_ENDPOINT] = { -ENOENT, say_no_such_endpoint },
        [WIRE_ERROR_SYSTEM_FAILURE] = { -EREMOTEIO, say_system_failure },
        [WIRE_ERROR_INTERFACE_NOT_FOUND] = { -ENOSYS, say_interface_not_found },
        [WIRE_ERROR_METHOD_NOT_FOUND] = { -ENOSYS, say_method_not_found },
        [WIRE_ERROR_METHOD_NOT_IMPLEMENTED] = { -ENOSYS, say_method_not_found },
        [WIRE_ERROR_INVALID_PARAMETER] = { -EINVAL, say_invalid_parameter },
        [WIRE_ERROR_PERMISSION_DENIED] = { -EPERM, say_permission_denied },
        [WIRE_ERROR_EXPECTED_MORE] = { -ENOSYS, say_expected_more },
};

/* The numbers differ between machines, so the wire has the name. */
static int errno_by_name(const char *name, int fallback) {
        for (int number = 1; number < ERRNO_END; number++) {
                const char *known = strerrorname_np(number);

                if (known && strcmp(known, name) == 0)
                        return -number;
        }
        return fallback;
}

int refusal_explain(Message *message, const char *name, char **ret_text) {
        int id = wire_error_find(name);
        int number = id < 0 ? -EREMOTEIO : refusals[id].number;
        _cleanup_(freep) char *parameters = NULL;
        ErrorParameters p;
        char *text = NULL;
        int n = -1;

        if (id >= 0) {
                if (message_decode(message, wire_errors[id].parameters, false, &p) == 0) {
                        if (id == WIRE_ERROR_SYSTEM_FAILURE)
                                number = errno_by_name(p.errno_name, number);
                        n = refusals[id].sentence(&p, &text);
                }
        }
        /* An error of a later broker, or without the parameters that belong to it. */
        if (n < 0 && message_parameters_text(message, &parameters) == 0)
                n = asprintf(&text, "the broker answered %s %s", name, parameters);
        *ret_text = n < 0 ? NULL : text;
        return number;
}
