/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the audit makes of events: fields for the journal, a line where there is none, and nothing for
 * what is no concern of it.
 */

#include "daemon/audit.h"

#include <fcntl.h>

#include "daemon/audit-limit.h"
#include "daemon/clock.h"
#include "tests/unit/group-kit.h"
#include "tests/unit/journal-kit.h"

static Kit kit;
static JournalKit journal;
static Audit *audit;
static bool timers_changed;

static void begin(void) {
        int n_fds = leaks_count_fds();

        unsetenv("JOURNAL_STREAM");
        journal_kit_begin(&journal);
        kit_init(&kit, 1000);
        kit.n_fds = n_fds;
        cr_assert(zero(int, audit_new(&kit.services.hub, kit.services.event, &timers_changed,
                                      journal.path, &audit)));
}

static void end(void) {
        audit = audit_free(audit);
        journal_kit_end(&journal);
        kit_end(&kit);
}

static void expect_field(const char *name, const char *value) {
        cr_assert(eq(str, (char *)journal_kit_field(&journal, name), (char *)value), "%s in %s", name,
                  journal.entry);
}

static void expect_entry(const char *id, const char *priority, const char *message) {
        journal_kit_receive(&journal);
        expect_field("MESSAGE_ID", id);
        expect_field("PRIORITY", priority);
        expect_field("SYSLOG_IDENTIFIER", "reuseportd");
        expect_field("REUSEPORTD_UID", "1000");
        cr_assert(ne(ptr, strstr(journal_kit_field(&journal, "MESSAGE"), message), NULL), "%s in %s",
                  message, journal.entry);
        cr_assert(ne(ptr, strstr(journal_kit_field(&journal, "MESSAGE"), "uid 1000 (pid 0)"), NULL),
                  "%s", journal.entry);
}

static void deny(const char *reason, const char *rule) {
        Address address = kit_address("tcp4", "127.0.0.1:80");

        event_hub_emit(&kit.services.hub, &(Event){ .what = "denied",
                                                    .subject = kit.subject,
                                                    .reason = reason,
                                                    .rule = rule,
                                                    .request = &(EventRequest){ .address = &address,
                                                                                .sharing = SHARING_GROUP,
                                                                                .name = "web" } });
}

TestSuite(audit, .timeout = 10);

Test(audit, is_refused_without_descriptors) {
        int n_fds = leaks_count_fds();
        rlim_t limit;
        int r;

        kit_init(&kit, 1000);
        kit.n_fds = n_fds;
        limit = kit_refuse_fds();
        r = audit_new(&kit.services.hub, kit.services.event, &timers_changed, "/none", &audit);
        kit_allow_fds(limit);
        cr_assert(eq(int, r, -EMFILE));
        event_hub_emit(&kit.services.hub, &(Event){ .what = "denied", .subject = kit.subject });
        cr_assert(zero(ptr, audit_free(NULL)));
        kit_end(&kit);
}

Test(audit, other_events_are_no_concern) {
        static const char *const words[] = { "readied",   "drained",  "parked",   "stalled",
                                             "recovered", "repaired", "detached", "closed" };

        begin();
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                event_hub_emit(&kit.services.hub, &(Event){ .what = words[i], .subject = kit.subject });
        cr_assert(journal_kit_is_empty(&journal));
        end();
}

/* What was never handed over was never given. */
Test(audit, an_undone_lease_is_no_concern) {
        begin();
        lease_end(kit_lease(&kit, kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0), NULL),
                  MEMBER_LEAVE_UNDONE, NULL);
        cr_assert(journal_kit_is_empty(&journal));
        end();
}

Test(audit, denied) {
        begin();
        deny("why not", "web (/etc/x.conf:3)");
        expect_entry(AUDIT_ID_DENIED, "5", " was denied tcp4 127.0.0.1:80 (group \"web\"): why not");
        expect_field("REUSEPORTD_KIND", "denied");
        expect_field("REUSEPORTD_GID", "1000");
        expect_field("REUSEPORTD_NETWORK", "tcp4");
        expect_field("REUSEPORTD_ADDRESS", "127.0.0.1:80");
        expect_field("REUSEPORTD_SHARING", "group");
        expect_field("REUSEPORTD_NAME", "web");
        expect_field("REUSEPORTD_RULE", "web (/etc/x.conf:3)");
        expect_field("REUSEPORTD_REASON", "why not");
        expect_field("REUSEPORTD_LEASE", "");
        cr_assert(journal_kit_is_empty(&journal));
        end();
}

/* The same address elsewhere is another. */
Test(audit, denied_in_another_network_namespace) {
        Address address = kit_address("tcp4", "127.0.0.1:80");
        const EventRequest request = { .address = &address,
                                       .sharing = SHARING_GROUP,
                                       .network_namespace = "/run/netns/blue" };

        begin();
        event_hub_emit(&kit.services.hub, &(Event){ .what = "denied",
                                                    .subject = kit.subject,
                                                    .reason = "why not",
                                                    .request = &request });
        expect_entry(AUDIT_ID_DENIED, "5",
                     " was denied tcp4 127.0.0.1:80 in network namespace blue (group): why not");
        expect_field("REUSEPORTD_NAMESPACE", "blue");
        end();
}

Test(audit, quota) {
        begin();
        event_hub_emit_quota(&kit.services.hub, kit.subject, NULL, "connections", 7, "for each user");
        expect_entry(AUDIT_ID_QUOTA, "4",
                     " was refused a connection: the limit is 7 connections for each user");
        expect_field("REUSEPORTD_RESOURCE", "connections");
        expect_field("REUSEPORTD_LIMIT", "7");
        expect_field("REUSEPORTD_ADDRESS", "");
        kit_expect_told(&kit, "quota ");
        end();
}

/* Given, by adoption too, and given back. */
Test(audit, granted_and_ended) {
        Lease *lease;
        Member *member;
        char id[ID_TEXT_MAX], endpoint[ID_TEXT_MAX];

        begin();
        lease = kit_acquire(&kit, "tcp4", "127.0.0.1:0", SHARING_EXCLUSIVE, KIT_RETAIN_USEC);
        member = lease->member;
        id_format(&kit.services.ids, 'l', lease->id, id);
        id_format(&kit.services.ids, 'e', member->endpoint->id, endpoint);
        expect_entry(AUDIT_ID_GRANTED, "6", " was given tcp4 127.0.0.1:");
        expect_field("REUSEPORTD_ADDRESS", endpoint_address_text(member->endpoint));
        expect_field("REUSEPORTD_SHARING", "exclusive");
        expect_field("REUSEPORTD_LEASE", id);
        expect_field("REUSEPORTD_ENDPOINT", endpoint);
        lease_end(lease, MEMBER_LEAVE_LOST, "gone");
        expect_entry(AUDIT_ID_ENDED, "7", " no longer has tcp4 127.0.0.1:");
        expect_field("REUSEPORTD_LEASE", id);
        expect_field("REUSEPORTD_REASON", "gone");

        member_adopt(member, MEMBER_WEIGHT_DEFAULT);
        lease = kit_lease(&kit, member, NULL);
        lease_commit(lease, true);
        expect_entry(AUDIT_ID_GRANTED, "6", "), with what waited on it");
        lease_end(lease, MEMBER_LEAVE_RELEASED, "done");
        expect_entry(AUDIT_ID_ENDED, "7", ": done");
        cr_assert(journal_kit_is_empty(&journal));
        end();
}

/* To the audit alone: watchers of the protocol know no such word. */
Test(audit, dialled) {
        Address local = kit_address("tcp4", "127.0.0.1:80"), remote = kit_address("tcp4", "1.2.3.4:81");
        Member *member;
        EventRequest request = { .address = &local,
                                 .remote = &remote,
                                 .sharing = SHARING_GROUP,
                                 .network_namespace = "/run/netns/blue" };
        Event event = { .what = "dialled", .request = &request, .rule = "web", .audit_only = true };
        char endpoint[ID_TEXT_MAX];

        begin();
        event.subject = kit.subject;
        event_hub_emit(&kit.services.hub, &event);
        expect_entry(AUDIT_ID_DIALLED, "6",
                     " was given a socket to connect to 1.2.3.4:81 from tcp4 127.0.0.1:80 in network "
                     "namespace blue (group), by rule web");
        expect_field("REUSEPORTD_KIND", "dialled");
        expect_field("REUSEPORTD_ADDRESS", "127.0.0.1:80");
        expect_field("REUSEPORTD_REMOTE", "1.2.3.4:81");
        expect_field("REUSEPORTD_NAMESPACE", "blue");
        expect_field("REUSEPORTD_RULE", "web");
        expect_field("REUSEPORTD_ENDPOINT", "");
        member = kit_open(&kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0);
        id_format(&kit.services.ids, 'e', member->endpoint->id, endpoint);
        event.endpoint = member->endpoint;
        request.name = "web";
        event_hub_emit(&kit.services.hub, &event);
        expect_entry(AUDIT_ID_DIALLED, "6", "(group \"web\")");
        expect_field("REUSEPORTD_ENDPOINT", endpoint);
        expect_field("REUSEPORTD_LEASE", "");
        member_leave(member, MEMBER_LEAVE_UNDONE, NULL);
        cr_assert(journal_kit_is_empty(&journal));
        end();
}

Test(audit, revoked) {
        begin();
        lease_end(kit_acquire(&kit, "udp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC),
                  MEMBER_LEAVE_REVOKED, "not its holder");
        journal_kit_receive(&journal);
        expect_entry(AUDIT_ID_REVOKED, "4", " was taken from uid 1000 (pid 0): not its holder");
        expect_field("REUSEPORTD_NETWORK", "udp4");
        expect_field("REUSEPORTD_REASON", "not its holder");
        /* Nothing is kept. */
        kit_expect_told(&kit, "released closed ");
        kit_acquire(&kit, "udp4", "127.0.0.1:0", SHARING_GROUP, KIT_RETAIN_USEC);
        journal_kit_receive(&journal);
        lease_registry_deinit(&kit.services.leases, "the broker stops");
        expect_entry(AUDIT_ID_REVOKED, "4", ": the broker stops");
        cr_assert(journal_kit_is_empty(&journal));
        end();
}

Test(audit, no_text_makes_a_field) {
        begin();
        deny("x\nMESSAGE_ID=forged", "r\nREUSEPORTD_UID=0");
        expect_entry(AUDIT_ID_DENIED, "5", "x\\x0aMESSAGE_ID=forged");
        end();
}

/* ---- many ---------------------------------------------------------------------------------------- */

/* Fewer than the limit, so that the queue of the socket holds them. */
Test(audit, a_flood_is_cut_and_counted) {
        int n = 0;

        begin();
        for (int i = 0; i < 3 * AUDIT_BURST; i++) {
                timers_changed = false;
                deny("no", NULL);
                if (journal_kit_is_empty(&journal))
                        continue;
                n++;
                journal_kit_receive(&journal);
                expect_field("MESSAGE_ID", AUDIT_ID_DENIED);
        }
        /* Some come back while the test runs. */
        cr_assert(ge(int, n, AUDIT_BURST));
        cr_assert(lt(int, n, 3 * AUDIT_BURST));
        audit = audit_free(audit);
        journal_kit_receive(&journal);
        expect_field("MESSAGE_ID", AUDIT_ID_HELD_BACK);
        expect_field("REUSEPORTD_KIND", "denied");
        expect_field("REUSEPORTD_UID", "1000");
        cr_assert(eq(int, atoi(journal_kit_field(&journal, "REUSEPORTD_COUNT")), 3 * AUDIT_BURST - n));
        cr_assert(ne(ptr, strstr(journal_kit_field(&journal, "MESSAGE"), " more denials of uid 1000 "),
                     NULL));
        cr_assert(journal_kit_is_empty(&journal));
        end();
}

Test(audit, entries_that_were_lost_are_told_of) {
        uint64_t n_lost;
        int n = 0;

        begin();
        for (int i = 0; i < AUDIT_BURST; i++)
                deny("no", NULL); /* nobody reads, and this comes back */
        while (!journal_kit_is_empty(&journal)) {
                journal_kit_receive(&journal);
                expect_field("REUSEPORTD_LOST", "");
                n++;
        }
        if (n == AUDIT_BURST)
                cr_skip_test("the queue of a socket is too long here: net.unix.max_dgram_qlen");
        event_hub_emit_quota(&kit.services.hub, kit.subject, NULL, "leases", 7, "for each user");
        journal_kit_receive(&journal);
        n_lost = strtoull(journal_kit_field(&journal, "REUSEPORTD_LOST"), NULL, 10);
        cr_assert(eq(int, (int)n_lost, AUDIT_BURST - n));
        cr_assert(ne(ptr, strstr(journal_kit_field(&journal, "MESSAGE"), " before this one were lost"),
                     NULL));
        event_hub_emit_quota(&kit.services.hub, kit.subject, NULL, "leases", 7, "for each user");
        journal_kit_receive(&journal);
        expect_field("REUSEPORTD_LOST", "");
        end();
}

/* ---- without a journal --------------------------------------------------------------------------- */

/* Standard error is a pipe while @f runs; returns what was written. */
static const char *said_by(void (*f)(void)) {
        static char text[4096];
        int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), pair[2];
        ssize_t n;

        cr_assert(zero(int, pipe2(pair, O_CLOEXEC)));
        cr_assert(eq(int, dup2(pair[1], STDERR_FILENO), STDERR_FILENO));
        f();
        cr_assert(eq(int, dup2(saved, STDERR_FILENO), STDERR_FILENO));
        close(saved);
        close(pair[1]);
        n = read(pair[0], text, sizeof(text) - 1);
        cr_assert(ge(int, (int)n, 0));
        text[n] = '\0';
        close(pair[0]);
        return text;
}

static void deny_once(void) {
        deny("why\nnot", "r");
}

static void expect_line(void) {
        KIT_EXPECT_TEXT(said_by(deny_once),
                        "reuseportd: uid 1000 (pid 0) was denied tcp4 127.0.0.1:80 (group \"web\"): "
                        "why\\x0anot\n");
}

Test(audit, a_line_where_there_is_no_journal) {
        begin();
        audit_free(audit);
        cr_assert(zero(int,
                       audit_new(&kit.services.hub, kit.services.event, &timers_changed, NULL, &audit)));
        expect_line();
        cr_assert(journal_kit_is_empty(&journal));
        end();
}

Test(audit, a_line_when_the_journal_has_gone) {
        begin();
        journal_kit_close(&journal);
        expect_line();
        end();
}
