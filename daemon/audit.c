/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * From events to entries. A limit for each user stands in front of all that costs something: asking
 * /proc for names, and writing.
 */

#include "daemon/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/audit-limit.h"
#include "daemon/clock.h"
#include "daemon/endpoint.h"
#include "daemon/journal.h"
#include "daemon/lease.h"
#include "daemon/log.h"
#include "daemon/timer.h"
#include "proto/error.h"

enum {
        AUDIT_MESSAGE_MAX = 1024,
};

struct Audit {
        Watcher watcher;
        AuditLimit limit;
        Timer timer; /* armed while something is held back */
        bool *timers_changed;
        bool to_journal;
        Journal journal;
};

typedef struct Kind {
        const char *id;
        int priority;
        const char *name;
        const char *plural;
} Kind;

static const Kind kinds[_AUDIT_KIND_N] = {
        [AUDIT_GRANTED] = { AUDIT_ID_GRANTED, LOG_INFO, "granted", "grants" },
        [AUDIT_DENIED] = { AUDIT_ID_DENIED, LOG_NOTICE, "denied", "denials" },
        [AUDIT_REVOKED] = { AUDIT_ID_REVOKED, LOG_WARNING, "revoked", "revocations" },
        [AUDIT_QUOTA] = { AUDIT_ID_QUOTA, LOG_WARNING, "quota", "quota hits" },
        [AUDIT_ENDED] = { AUDIT_ID_ENDED, LOG_DEBUG, "ended", "ends of leases" },
        [AUDIT_DIALLED] = { AUDIT_ID_DIALLED, LOG_INFO, "dialled", "sockets to connect with" },
};

/* What an event is about, as text; NULL or empty where it does not apply. */
typedef struct Facts {
        HolderInfo who;
        char network[NETWORK_TEXT_MAX];
        char address[ADDRESS_TEXT_MAX];
        char remote[ADDRESS_TEXT_MAX];
        const char *sharing;
        const char *name;
        const char *network_namespace; /* NULL: the broker's own */
        char endpoint[ID_TEXT_MAX];
        char lease[ID_TEXT_MAX];
        const char *rule;
        const char *reason;
} Facts;

typedef struct Text {
        char data[AUDIT_MESSAGE_MAX];
        size_t n;
} Text;

/* ---- texts ------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void text_add(Text *text, const char *format, ...) {
        va_list args;

        va_start(args, format);
        vsnprintf(text->data + text->n, sizeof(text->data) - text->n, format, args);
        va_end(args);
        text->n += strlen(text->data + text->n);
}

/* "uid 1000 (nginx, pid 12, unit nginx.service)" */
static void text_add_who(Text *text, const HolderInfo *who) {
        text_add(text, "uid %" PRId64 " (", who->uid);
        if (who->command)
                text_add(text, "%s, ", who->command);
        text_add(text, "pid %" PRId64, who->pid);
        if (who->unit)
                text_add(text, ", unit %s", who->unit);
        text_add(text, ")");
}

/* "tcp4 127.0.0.1:80 (group "web", lease l1-8f0e2b11)" */
static void text_add_socket(Text *text, const Facts *facts) {
        text_add(text, "%s %s", facts->network, facts->address);
        if (facts->network_namespace)
                text_add(text, " in network namespace %s", facts->network_namespace);
        text_add(text, " (%s", facts->sharing);
        if (facts->name)
                text_add(text, " \"%s\"", facts->name);
        if (facts->lease[0])
                text_add(text, ", lease %s", facts->lease);
        text_add(text, ")");
}

static void say_granted(Text *text, const Event *event, const Facts *facts) {
        text_add_who(text, &facts->who);
        text_add(text, " was given ");
        text_add_socket(text, facts);
        if (strcmp(event->what, "adopted") == 0)
                text_add(text, ", with what waited on it");
        if (facts->rule)
                text_add(text, ", by rule %s", facts->rule);
}

static void say_denied(Text *text, const Event *event, const Facts *facts) {
        text_add_who(text, &facts->who);
        text_add(text, " was denied ");
        text_add_socket(text, facts);
        text_add(text, ": %s", facts->reason);
}

static void say_revoked(Text *text, const Event *event, const Facts *facts) {
        text_add_socket(text, facts);
        text_add(text, " was taken from ");
        text_add_who(text, &facts->who);
        text_add(text, ": %s", facts->reason);
}

static void say_quota(Text *text, const Event *event, const Facts *facts) {
        text_add_who(text, &facts->who);
        text_add(text, " was refused ");
        if (facts->network[0])
                text_add_socket(text, facts);
        else
                text_add(text, "a connection");
        text_add(text, ": %s", facts->reason);
}

static void say_ended(Text *text, const Event *event, const Facts *facts) {
        text_add_who(text, &facts->who);
        text_add(text, " no longer has ");
        text_add_socket(text, facts);
        text_add(text, ": %s", facts->reason);
}

static void say_dialled(Text *text, const Event *event, const Facts *facts) {
        text_add_who(text, &facts->who);
        text_add(text, " was given a socket to connect to %s from ", facts->remote);
        text_add_socket(text, facts);
        if (facts->rule)
                text_add(text, ", by rule %s", facts->rule);
}

/* ---- entries ----------------------------------------------------------------------------------- */

/* Every entry begins so, and has a message at last. */
static void entry_begin(JournalEntry *entry, const char *id, int priority, const char *kind) {
        entry->n = 0;
        journal_entry_add(entry, "MESSAGE_ID", "%s", id);
        journal_entry_add(entry, "PRIORITY", "%d", priority);
        journal_entry_add(entry, "SYSLOG_IDENTIFIER", "reuseportd");
        journal_entry_add(entry, "REUSEPORTD_KIND", "%s", kind);
}

/* Where there is no journal, or none any more, the message is a line of the log. */
static void audit_write(Audit *audit, JournalEntry *entry, int priority, const char *message) {
        uint64_t n_lost = audit->journal.n_lost;

        if (audit->to_journal && n_lost > 0) {
                journal_entry_add(entry, "REUSEPORTD_LOST", "%" PRIu64, n_lost);
                journal_entry_add(entry, "MESSAGE", "%s (%" PRIu64 " entries before this one were lost)",
                                  message, n_lost);
        } else {
                journal_entry_add(entry, "MESSAGE", "%s", message);
        }
        if (!audit->to_journal || journal_send(&audit->journal, entry) == JOURNAL_E_ABSENT)
                log_line(priority, "%s", message);
}

static void entry_add_text(JournalEntry *entry, const char *name, const char *value) {
        if (value && value[0])
                journal_entry_add(entry, name, "%s", value);
}

static void entry_add_facts(JournalEntry *entry, const Event *event, const Facts *facts) {
        journal_entry_add(entry, "REUSEPORTD_UID", "%" PRId64, facts->who.uid);
        journal_entry_add(entry, "REUSEPORTD_GID", "%" PRId64, facts->who.gid);
        journal_entry_add(entry, "REUSEPORTD_PID", "%" PRId64, facts->who.pid);
        entry_add_text(entry, "REUSEPORTD_COMMAND", facts->who.command);
        entry_add_text(entry, "REUSEPORTD_UNIT", facts->who.unit);
        entry_add_text(entry, "REUSEPORTD_NETWORK", facts->network);
        entry_add_text(entry, "REUSEPORTD_ADDRESS", facts->address);
        entry_add_text(entry, "REUSEPORTD_REMOTE", facts->remote);
        entry_add_text(entry, "REUSEPORTD_NAMESPACE", facts->network_namespace);
        entry_add_text(entry, "REUSEPORTD_SHARING", facts->sharing);
        entry_add_text(entry, "REUSEPORTD_NAME", facts->name);
        entry_add_text(entry, "REUSEPORTD_ENDPOINT", facts->endpoint);
        entry_add_text(entry, "REUSEPORTD_LEASE", facts->lease);
        entry_add_text(entry, "REUSEPORTD_RULE", facts->rule);
        entry_add_text(entry, "REUSEPORTD_REASON", facts->reason);
        if (event->resource) {
                journal_entry_add(entry, "REUSEPORTD_RESOURCE", "%s", event->resource);
                journal_entry_add(entry, "REUSEPORTD_LIMIT", "%" PRIu64, event->limit);
        }
}

static void audit_tell(Audit *audit, AuditKind kind, const Event *event, const Facts *facts) {
        static void (*const say[_AUDIT_KIND_N])(Text * text, const Event *event, const Facts *facts) = {
                [AUDIT_GRANTED] = say_granted, [AUDIT_DENIED] = say_denied,
                [AUDIT_REVOKED] = say_revoked, [AUDIT_QUOTA] = say_quota,
                [AUDIT_ENDED] = say_ended,     [AUDIT_DIALLED] = say_dialled,
        };
        JournalEntry entry;
        Text text = { .n = 0 };

        say[kind](&text, event, facts);
        entry_begin(&entry, kinds[kind].id, kinds[kind].priority, kinds[kind].name);
        entry_add_facts(&entry, event, facts);
        audit_write(audit, &entry, kinds[kind].priority, text.data);
}

/* ---- what was held back ------------------------------------------------------------------------ */

static void audit_on_held_back(AuditLimit *limit, uid_t uid, AuditKind kind, uint64_t n) {
        Audit *audit = (Audit *)((char *)limit - offsetof(Audit, limit));
        JournalEntry entry;
        Text text = { .n = 0 };

        text_add(&text, "%" PRIu64 " more %s of uid %u in the last %d s were not written", n,
                 kinds[kind].plural, uid, AUDIT_INTERVAL_SEC);
        entry_begin(&entry, AUDIT_ID_HELD_BACK, kinds[kind].priority, kinds[kind].name);
        journal_entry_add(&entry, "REUSEPORTD_UID", "%u", uid);
        journal_entry_add(&entry, "REUSEPORTD_COUNT", "%" PRIu64, n);
        audit_write(audit, &entry, kinds[kind].priority, text.data);
}

static void audit_on_elapsed(Timer *timer) {
        Audit *audit = (Audit *)((char *)timer - offsetof(Audit, timer));

        audit_limit_tell(&audit->limit);
}

/* If there is no timer now, the next that is held back tries again. */
static void audit_set_timer(Audit *audit, uint64_t now) {
        if (!audit->timer.armed && timer_set(&audit->timer, now + AUDIT_INTERVAL_SEC * 1000000ULL) == 0)
                *audit->timers_changed = true;
}

/* ---- events ------------------------------------------------------------------------------------ */

/* _AUDIT_KIND_N: of no concern. */
static AuditKind kind_of(const Event *event) {
        static const struct {
                const char *what;
                AuditKind kind;
        } table[] = {
                { "acquired", AUDIT_GRANTED }, { "adopted", AUDIT_GRANTED },
                { "denied", AUDIT_DENIED },    { "released", AUDIT_ENDED },
                { "quota", AUDIT_QUOTA },      { "dialled", AUDIT_DIALLED },
        };

        if (event->revoked)
                return AUDIT_REVOKED;
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
                if (strcmp(event->what, table[i].what) == 0)
                        return table[i].kind;
        return _AUDIT_KIND_N;
}

/* At the end of a lease the process may have gone, and its number be somebody else's: then what was seen
 * of it before is said. */
static void facts_add_who(Facts *facts, AuditKind kind, Subject *subject) {
        if (kind != AUDIT_ENDED && kind != AUDIT_REVOKED) {
                subject_describe(subject, 0, &facts->who);
                return;
        }
        facts->who = (HolderInfo){ .uid = subject->uid,
                                   .gid = subject->gid,
                                   .pid = subject->pid,
                                   .command = subject->command[0] ? subject->command : NULL,
                                   .unit = subject->unit };
}

static void facts_add_request(Facts *facts, const EventRequest *request) {
        address_network(request->address, facts->network);
        address_format(request->address, facts->address);
        if (request->remote)
                address_format(request->remote, facts->remote);
        facts->sharing = wire_sharing[request->sharing];
        facts->name = request->name;
        if (request->network_namespace)
                facts->network_namespace = namespace_path_text(request->network_namespace);
}

static void facts_add_endpoint(Facts *facts, const Endpoint *endpoint) {
        id_format(endpoint->registry->ids, 'e', endpoint->id, facts->endpoint);
}

static void facts_add_lease(Facts *facts, const Lease *lease) {
        const Endpoint *endpoint = lease->member->endpoint;

        facts_add_request(
                facts, &(EventRequest){ .address = &endpoint->address,
                                        .sharing = endpoint->sharing,
                                        .name = endpoint->name,
                                        .network_namespace = endpoint->network_namespace
                                                                     ? endpoint->network_namespace->path
                                                                     : NULL });
        facts_add_endpoint(facts, endpoint);
        id_format(endpoint->registry->ids, 'l', lease->id, facts->lease);
}

static void audit_notify(Watcher *watcher, const Event *event) {
        Audit *audit = (Audit *)((char *)watcher - offsetof(Audit, watcher));
        Facts facts = { .rule = event->rule, .reason = event->reason };
        AuditKind kind = kind_of(event);
        uint64_t now;

        if (kind == _AUDIT_KIND_N)
                return;
        now = clock_usec(CLOCK_MONOTONIC);
        if (!audit_limit_take(&audit->limit, event->subject->uid, kind, now)) {
                audit_set_timer(audit, now);
                return;
        }
        facts_add_who(&facts, kind, event->subject);
        if (event->lease)
                facts_add_lease(&facts, event->lease);
        else if (event->request)
                facts_add_request(&facts, event->request);
        if (kind == AUDIT_DIALLED && event->endpoint)
                facts_add_endpoint(&facts, event->endpoint);
        audit_tell(audit, kind, event, &facts);
}

/* ---- begin and end ----------------------------------------------------------------------------- */

int audit_new(EventHub *hub, sd_event *event, bool *timers_changed, const char *journal, Audit **ret) {
        Audit *audit = calloc(1, sizeof(*audit));
        int r;

        if (!audit)
                return error_origin(-ENOMEM);
        audit->timers_changed = timers_changed;
        audit->to_journal = journal;
        audit->journal.fd = -1;
        audit->watcher.notify = audit_notify;
        audit_limit_init(&audit->limit, audit_on_held_back);
        LIST_INSERT_HEAD(&hub->watchers, &audit->watcher, entry);
        r = timer_init(&audit->timer, event, audit_on_elapsed);
        if (r == 0 && journal)
                r = journal_init(&audit->journal, journal);
        if (r < 0) {
                audit_free(audit);
                return error_trace(r);
        }
        *ret = audit;
        return 0;
}

Audit *audit_free(Audit *audit) {
        if (!audit)
                return NULL;
        LIST_REMOVE(&audit->watcher, entry);
        audit_limit_deinit(&audit->limit);
        journal_deinit(&audit->journal);
        timer_deinit(&audit->timer);
        free(audit);
        return NULL;
}
