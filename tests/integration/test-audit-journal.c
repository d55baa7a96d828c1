/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The audit of a real daemon, with a socket of the test's own in the journal's place: in a mount
 * namespace, so that nobody else meets it.
 */

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "daemon/audit-kind.h"
#include "tests/integration/acquire-kit.h"
#include "tests/unit/journal-kit.h"

#define CONFIG                                                                                          \
        "[Broker]\nSocketMode=0666\nRetainSec=0\nMaxLeasesPerUser=2\nMaxConnectionsPerUser=3\n"         \
        "[Rule closed]\nUser=*\nPort=81\nAllow=no\n[Rule open]\nUser=*\nPort=1-65000\n"                 \
        "[Rule names]\nUser=*\nNetwork=unix\n"

/* What no rule gives. */
#define DENIED "{'network':'tcp4','address':'127.0.0.1:65001'}"

enum {
        /* As in reuseportd(8). */
        BURST = 100,
        FLOOD = 3000,
};

typedef struct Scene {
        Kit kit;
        JournalKit journal;
        int lines; /* what the broker writes to standard error */
        char address[32];
        int control; /* of KIT_UID */
} Scene;

static Scene scene;

TestSuite(audit_journal, .timeout = 60);

/* The queue of datagram sockets that are made from now on. */
static void set_queue_length(int n) {
        FILE *file = fopen("/proc/sys/net/unix/max_dgram_qlen", "we");

        if (!file)
                cr_skip_test("net.unix.max_dgram_qlen cannot be set: %s", strerror(errno));
        fprintf(file, "%d", n);
        cr_assert(zero(int, fclose(file)), "%m");
}

static void private_run(void) {
        if (unshare(CLONE_NEWNS) < 0)
                cr_skip_test("the kernel gives no mount namespace");
        cr_assert(zero(int, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)), "%m");
        cr_assert(zero(int, mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")), "%m");
        cr_assert(zero(int, mkdir("/run/systemd", 0755)));
        cr_assert(zero(int, mkdir("/run/systemd/journal", 0755)));
}

/* Starts the broker with @error as its standard error. */
static void start_broker(int error) {
        int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

        cr_assert(eq(int, dup2(error, STDERR_FILENO), STDERR_FILENO));
        close(error);
        kit_start(&scene.kit, CONFIG);
        cr_assert(eq(int, dup2(saved, STDERR_FILENO), STDERR_FILENO));
        close(saved);
        scene.kit.n_fds--; /* of the copy */
        scene.control = kit_connect_as(&scene.kit, KIT_UID, 0);
}

/* A journal with room for so many entries. */
static void begin(int queue_length) {
        char name[64];
        struct stat st;
        int pair[2];

        kit_require_root();
        harness_private_network();
        private_run();
        set_queue_length(queue_length);
        strcpy(scene.journal.path, JOURNAL_SOCKET);
        journal_kit_open(&scene.journal);
        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)));
        scene.lines = pair[0];
        cr_assert(zero(int, fstat(pair[1], &st)));
        snprintf(name, sizeof(name), "%lu:%lu", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
        setenv("JOURNAL_STREAM", name, 1);
        start_broker(pair[1]);
}

static void end(void) {
        close(scene.control);
        kit_stop(&scene.kit);
        cr_assert(journal_kit_is_empty(&scene.journal));
        journal_kit_close(&scene.journal);
        close(scene.lines);
}

static void expect_field(const char *name, const char *value) {
        cr_assert(eq(str, (char *)journal_kit_field(&scene.journal, name), (char *)value), "%s in %s",
                  name, scene.journal.entry);
}

/* The one entry there is, about a client of KIT_UID. */
static void expect_entry(const char *id) {
        char number[16];

        journal_kit_receive(&scene.journal);
        expect_field("MESSAGE_ID", id);
        expect_field("SYSLOG_IDENTIFIER", "reuseportd");
        snprintf(number, sizeof(number), "%d", KIT_UID);
        expect_field("REUSEPORTD_UID", number);
        expect_field("REUSEPORTD_GID", number);
        snprintf(number, sizeof(number), "%d", getpid());
        expect_field("REUSEPORTD_PID", number);
        expect_field("REUSEPORTD_COMMAND", "test-audit-jour");
        kit_ping(scene.control);
        cr_assert(journal_kit_is_empty(&scene.journal));
}

static void expect_about(const KitSocket *held) {
        expect_field("REUSEPORTD_NETWORK", kit_text(held->reply, "network"));
        expect_field("REUSEPORTD_ADDRESS", kit_address(held));
        expect_field("REUSEPORTD_SHARING", kit_text(held->reply, "sharing"));
        expect_field("REUSEPORTD_ENDPOINT", kit_text(held->reply, "endpoint"));
        expect_field("REUSEPORTD_LEASE", kit_lease(held));
}

/* ---- one entry each ------------------------------------------------------------------------------ */

Test(audit_journal, granted_and_released) {
        KitSocket held;

        begin(100);
        held = kit_acquire(scene.control, "{'network':'tcp4','address':'127.0.0.1:8080','name':'web'}");
        expect_entry(AUDIT_ID_GRANTED);
        expect_about(&held);
        expect_field("REUSEPORTD_NAME", "web");
        expect_field("REUSEPORTD_RULE", "open");
        expect_field("PRIORITY", "6");
        json_decref(kit_call(scene.control, "Release", "{'leases':['%s']}", kit_lease(&held)));
        expect_entry(AUDIT_ID_ENDED);
        expect_about(&held);
        expect_field("REUSEPORTD_REASON", "released by its holder");
        expect_field("PRIORITY", "7");
        kit_drop(&held);
        end();
}

Test(audit_journal, ended_with_its_connection) {
        KitSocket held;
        int control;

        begin(100);
        control = kit_connect_as(&scene.kit, KIT_UID, 0);
        held = kit_acquire(control, "{'network':'udp4','address':'127.0.0.1:8080'}");
        expect_entry(AUDIT_ID_GRANTED);
        close(control);
        expect_entry(AUDIT_ID_ENDED);
        expect_about(&held);
        expect_field("REUSEPORTD_REASON", "the connection has ended");
        kit_drop(&held);
        end();
}

Test(audit_journal, denied_by_no_rule) {
        begin(100);
        json_decref(kit_refused(scene.control, "PolicyDenied", DENIED));
        expect_entry(AUDIT_ID_DENIED);
        expect_field("PRIORITY", "5");
        expect_field("REUSEPORTD_NETWORK", "tcp4");
        expect_field("REUSEPORTD_ADDRESS", "127.0.0.1:65001");
        expect_field("REUSEPORTD_SHARING", "group");
        expect_field("REUSEPORTD_RULE", "");
        expect_field("REUSEPORTD_LEASE", "");
        end();
}

Test(audit_journal, denied_by_a_rule) {
        begin(100);
        json_decref(kit_refused(scene.control, "PolicyDenied",
                                "{'network':'tcp4','address':'0.0.0.0:81','name':'web'}"));
        expect_entry(AUDIT_ID_DENIED);
        expect_field("REUSEPORTD_RULE", "closed");
        expect_field("REUSEPORTD_ADDRESS", "0.0.0.0:81");
        expect_field("REUSEPORTD_NAME", "web");
        end();
}

/* A socket to connect with, which is closed. Returns the reply. */
static json_t *dial(const char *more) {
        char parameters[128];
        int fds[HARNESS_FDS_MAX];
        json_t *reply;
        size_t n_fds;

        snprintf(parameters, sizeof(parameters), "{'network':'tcp4','remoteAddress':'127.0.0.1:80'%s}",
                 more);
        kit_send(scene.control, "Dial", "", parameters);
        reply = kit_receive(scene.control, fds, &n_fds);
        while (n_fds > 0)
                close(fds[--n_fds]);
        return reply;
}

Test(audit_journal, dial_denied) {
        begin(100);
        json_decref(kit_expect_error(dial(",'localAddress':'127.0.0.1:81'"), "PolicyDenied"));
        expect_entry(AUDIT_ID_DENIED);
        expect_field("REUSEPORTD_RULE", "closed");
        expect_field("REUSEPORTD_ADDRESS", "127.0.0.1:81");
        json_decref(kit_expect_error(dial(",'options':{'mark':7}"), "PolicyDenied"));
        expect_entry(AUDIT_ID_DENIED);
        expect_field("REUSEPORTD_ADDRESS", "0.0.0.0:0");
        end();
}

static void dial_given(const char *more) {
        json_t *reply = dial(more);

        kit_expect_success(reply);
        json_decref(reply);
}

static void expect_dialled(const char *more) {
        json_auto_t *reply = dial(more);

        kit_expect_success(reply);
        expect_entry(AUDIT_ID_DIALLED);
        expect_field("PRIORITY", "6");
        expect_field("REUSEPORTD_NETWORK", kit_text(reply, "parameters.network"));
        expect_field("REUSEPORTD_ADDRESS", kit_text(reply, "parameters.localAddress"));
        expect_field("REUSEPORTD_REMOTE", "127.0.0.1:80");
        expect_field("REUSEPORTD_RULE", "open");
        expect_field("REUSEPORTD_LEASE", "");
}

/* Of what anybody could make there is none. */
Test(audit_journal, dialled_from_where_it_is_seen) {
        KitSocket held;

        begin(100);
        dial_given("");
        dial_given(",'localAddress':':0'");
        held = kit_acquire(scene.control, "{'network':'tcp4','address':'127.0.0.1:8080','name':'web'}");
        expect_entry(AUDIT_ID_GRANTED);
        expect_dialled("");
        expect_field("REUSEPORTD_ADDRESS", "127.0.0.1:8080");
        expect_field("REUSEPORTD_SHARING", "group");
        expect_field("REUSEPORTD_NAME", "web");
        expect_field("REUSEPORTD_ENDPOINT", kit_text(held.reply, "endpoint"));
        expect_dialled(",'localAddress':'127.0.0.1:0'");
        expect_field("REUSEPORTD_ADDRESS", "127.0.0.1:0");
        expect_field("REUSEPORTD_NAME", "");
        expect_field("REUSEPORTD_ENDPOINT", "");
        kit_release(scene.control, &held);
        expect_entry(AUDIT_ID_ENDED);
        end();
}

/* As any other kind. */
Test(audit_journal, a_flood_of_dialled_is_cut_and_counted) {
        int n = 0;

        begin(100);
        for (int i = 0; i < 3 * BURST; i++) {
                dial_given(",'localAddress':'127.0.0.1:0'");
                while (!journal_kit_is_empty(&scene.journal)) {
                        journal_kit_receive(&scene.journal);
                        expect_field("MESSAGE_ID", AUDIT_ID_DIALLED);
                        n++;
                }
        }
        cr_assert(ge(int, n, BURST));
        cr_assert(lt(int, n, 3 * BURST));
        journal_kit_receive(&scene.journal);
        expect_field("MESSAGE_ID", AUDIT_ID_HELD_BACK);
        expect_field("REUSEPORTD_KIND", "dialled");
        cr_assert(eq(int, n + atoi(journal_kit_field(&scene.journal, "REUSEPORTD_COUNT")), 3 * BURST));
        end();
}

/* All or none: what was undone was never given. */
Test(audit_journal, quota_of_leases) {
        json_t *reply;

        begin(100);
        reply = kit_call(scene.control, "Acquire",
                         "{'sockets':[{'network':'tcp4','address':'127.0.0.1:8080'},"
                         "{'network':'tcp4','address':'127.0.0.1:8081'},"
                         "{'network':'tcp4','address':'127.0.0.1:8082'}]}");
        json_decref(kit_expect_error(reply, "QuotaExceeded"));
        expect_entry(AUDIT_ID_QUOTA);
        expect_field("PRIORITY", "4");
        expect_field("REUSEPORTD_ADDRESS", "127.0.0.1:8082");
        expect_field("REUSEPORTD_RESOURCE", "leases");
        expect_field("REUSEPORTD_LIMIT", "2");
        end();
}

Test(audit_journal, quota_of_connections) {
        static HarnessReply reply;
        int controls[3];

        begin(100);
        for (int i = 0; i < 3; i++)
                controls[i] = kit_connect_as(&scene.kit, KIT_UID, 0);
        cr_assert(harness_receive(controls[2], &reply));
        expect_entry(AUDIT_ID_QUOTA);
        expect_field("REUSEPORTD_RESOURCE", "connections");
        expect_field("REUSEPORTD_LIMIT", "3");
        expect_field("REUSEPORTD_ADDRESS", "");
        for (int i = 0; i < 3; i++)
                close(controls[i]);
        end();
}

/* A UNIX socket that is shut down cannot be repaired. */
Test(audit_journal, revoked_when_it_cannot_be_repaired) {
        KitSocket held;

        begin(100);
        held = kit_acquire(scene.control, "{'network':'unix','address':'@reuseportd-test-audit'}");
        expect_entry(AUDIT_ID_GRANTED);
        cr_assert(zero(int, shutdown(held.fd, SHUT_RDWR)));
        expect_entry(AUDIT_ID_REVOKED);
        expect_about(&held);
        expect_field("PRIORITY", "4");
        expect_field("REUSEPORTD_REASON", "a holder shut the socket down");
        kit_drop(&held);
        end();
}

Test(audit_journal, revoked_when_the_broker_stops) {
        KitSocket held;

        begin(100);
        held = kit_acquire(scene.control, "{'network':'tcp4','address':'127.0.0.1:8080'}");
        expect_entry(AUDIT_ID_GRANTED);
        harness_stop(&scene.kit.harness);
        journal_kit_receive(&scene.journal);
        expect_field("MESSAGE_ID", AUDIT_ID_REVOKED);
        expect_field("REUSEPORTD_REASON", "the broker stops");
        expect_about(&held);
        cr_assert(journal_kit_is_empty(&scene.journal));
        kit_drop(&held);
        close(scene.control);
        journal_kit_close(&scene.journal);
        close(scene.lines);
}

/* ---- too many ------------------------------------------------------------------------------------ */

/* So many that are denied, while the entries are read. Returns how many entries there were. */
static int flood(int n) {
        int n_entries = 0;

        for (int i = 0; i < n; i++) {
                json_decref(kit_refused(scene.control, "PolicyDenied", DENIED));
                if (journal_kit_is_empty(&scene.journal))
                        continue;
                journal_kit_receive(&scene.journal);
                if (strcmp(journal_kit_field(&scene.journal, "MESSAGE_ID"), AUDIT_ID_DENIED) != 0)
                        break;
                n_entries++;
        }
        return n_entries;
}

/* The rest is counted, and the count comes by itself; another user's entries are there as ever. */
Test(audit_journal, a_flood_is_cut_and_counted) {
        KitSocket held;
        int control, n_entries, n_counted;

        begin(100);
        n_entries = flood(FLOOD);
        cr_assert(ge(int, n_entries, BURST));
        cr_assert(lt(int, n_entries, FLOOD / 2));

        control = harness_connect(&scene.kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:8080'}");
        journal_kit_receive(&scene.journal);
        expect_field("MESSAGE_ID", AUDIT_ID_GRANTED);
        expect_field("REUSEPORTD_UID", "0");
        kit_release(control, &held);
        journal_kit_receive(&scene.journal);
        close(control);

        journal_kit_receive(&scene.journal);
        expect_field("MESSAGE_ID", AUDIT_ID_HELD_BACK);
        expect_field("REUSEPORTD_KIND", "denied");
        n_counted = atoi(journal_kit_field(&scene.journal, "REUSEPORTD_COUNT"));
        cr_assert(eq(int, n_entries + n_counted, FLOOD));
        end();
}

/* Nobody is held up, and what was lost is told of. */
Test(audit_journal, that_does_not_read_holds_up_nobody) {
        KitSocket held;
        int control, n_entries = 0;

        begin(2);
        for (int i = 0; i < BURST; i++)
                json_decref(kit_refused(scene.control, "PolicyDenied", DENIED));
        control = harness_connect(&scene.kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:8080'}");
        kit_expect_served(held.fd);
        kit_ping(control);
        while (!journal_kit_is_empty(&scene.journal)) {
                journal_kit_receive(&scene.journal);
                n_entries++;
        }
        cr_assert(lt(int, n_entries, BURST / 2));
        kit_release(control, &held);
        journal_kit_receive(&scene.journal);
        expect_field("MESSAGE_ID", AUDIT_ID_ENDED);
        /* The grant was lost too. */
        cr_assert(eq(int, atoi(journal_kit_field(&scene.journal, "REUSEPORTD_LOST")),
                     BURST + 1 - n_entries));
        close(control);
        end();
}

/* ---- without a journal --------------------------------------------------------------------------- */

/* All that can be read from @fd at once. */
static const char *read_lines(int fd) {
        static char text[65536];
        ssize_t n;

        cr_assert(ge(int, fcntl(fd, F_SETFL, O_NONBLOCK), 0));
        n = read(fd, text, sizeof(text) - 1);
        cr_assert(gt(int, (int)n, 0));
        text[n] = '\0';
        return text;
}

Test(audit_journal, lines_that_nobody_reads_hold_up_nobody) {
        int pair[2], control;
        KitSocket held;
        const char *text;

        kit_require_root();
        unsetenv("JOURNAL_STREAM");
        cr_assert(zero(int, pipe2(pair, O_CLOEXEC)));
        cr_assert(ge(int, fcntl(pair[1], F_SETPIPE_SZ, 16384), 0), "%m");
        start_broker(pair[1]);
        for (int i = 0; i < BURST; i++)
                json_decref(kit_refused(scene.control, "PolicyDenied", DENIED));
        control = harness_connect(&scene.kit.harness);
        held = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        kit_expect_served(held.fd);
        text = read_lines(pair[0]);
        cr_assert(ne(ptr, strstr(text, "reuseportd: uid 65534 (test-audit-jour, pid "), NULL), "%s",
                  text);
        cr_assert(ne(ptr, strstr(text, " was denied tcp4 127.0.0.1:65001 (group): no rule "), NULL),
                  "%s", text);
        kit_release(control, &held);
        kit_ping(control);
        text = read_lines(pair[0]);
        cr_assert(ne(ptr, strstr(text, " lines were lost here: nobody read them\n"), NULL), "%s", text);
        cr_assert(ne(ptr, strstr(text, ": released by its holder\n"), NULL), "%s", text);
        close(control);
        close(scene.control);
        kit_stop(&scene.kit);
        close(pair[0]);
}
