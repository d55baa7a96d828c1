/* SPDX-License-Identifier: BSD-2-Clause */

#include "tests/fault/play.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/namespace-kit.h"

enum {
        /* Of its own accord the broker looks around once in a millisecond, if at all. */
        LINGER_MSEC = 10,
        YIELDS_FIRST = 100,
};

/* What is awaited is mostly there at once. Not for ever: what takes as long as that never comes. */
static void wait_a_moment(const Play *play, int tries) {
        cr_assert(zero(int, waitpid(play->harness.pid, NULL, WNOHANG)), "the broker has ended");
        if (play->harness.keeper)
                keeper_work(play->harness.keeper);
        if (tries < YIELDS_FIRST)
                sched_yield();
        else
                poll(NULL, 0, 1);
}

#define AWAIT(done, ...)                                                                                \
        for (int tries_ = 0; !(done); tries_++) {                                                       \
                cr_assert(tries_ < KIT_PATIENCE_MSEC, __VA_ARGS__);                                     \
                wait_a_moment(play, tries_);                                                            \
        }

/* ---- the panel ----------------------------------------------------------------------------------- */

size_t play_mark(const Play *play) {
        const FaultPanel *panel = play->panel;

        AWAIT(panel->waiting, "the broker does not come to rest");
        return panel->waits;
}

void play_arm(Play *play, FaultPlan plan) {
        FaultPanel *panel = play->panel;

        cr_assert(ftruncate(play->log_fd, 0) == 0 && lseek(play->log_fd, 0, SEEK_SET) == 0, "%m");
        play_mark(play);
        panel->plan = plan;
        panel->failed = panel->calls = panel->n_frames = 0;
        panel->armed = true;
}

void play_disarm(Play *play) {
        play->panel->armed = false;
}

void play_settle(const Play *play, size_t mark) {
        const FaultPanel *panel = play->panel;

        AWAIT(panel->waits != mark && panel->waiting, "the broker does not come to rest");
}

void play_linger(const Play *play, size_t mark) {
        const FaultPanel *panel = play->panel;

        for (int i = 0; i < LINGER_MSEC && (panel->waits == mark || !panel->waiting); i++)
                poll(NULL, 0, 1);
}

static size_t count_descriptors(const Play *play) {
        char path[64];
        size_t n = 0;
        DIR *folder;

        snprintf(path, sizeof(path), "/proc/%d/fd", play->harness.pid);
        folder = opendir(path);
        cr_assert(folder != NULL, "%m");
        for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
                n += entry->d_name[0] != '.';
        closedir(folder);
        return n;
}

void play_expect_descriptors(const Play *play) {
        AWAIT(count_descriptors(play) == play->n_fds && play->panel->waiting,
              "the broker has %zu descriptors, expected %zu", count_descriptors(play), play->n_fds);
}

/* ---- the broker ---------------------------------------------------------------------------------- */

/* In a mount namespace, so that nobody else's is met. */
static void make_journal(Play *play) {
        if (unshare(CLONE_NEWNS) < 0)
                cr_skip_test("the kernel gives no mount namespace");
        cr_assert(zero(int, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)), "%m");
        cr_assert(zero(int, mount("tmpfs", "/run", "tmpfs", 0, "mode=0755")), "%m");
        cr_assert(zero(int, mkdir("/run/systemd", 0755) | mkdir("/run/systemd/journal", 0755)), "%m");
        strcpy(play->journal.path, JOURNAL_SOCKET);
        journal_kit_open(&play->journal);
}

/* Says that what is now standard error is the journal's. */
static void announce_journal(void) {
        char name[64];
        struct stat st;

        cr_assert(zero(int, fstat(STDERR_FILENO, &st)), "%m");
        snprintf(name, sizeof(name), "%lu:%lu", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
        setenv("JOURNAL_STREAM", name, 1);
}

/* Its complaints are expected, and told only when they matter. @config: NULL for one more. */
static void launch(Play *play, const char *config) {
        int stderr_fd = dup(STDERR_FILENO);

        panel_preload(play->panel_fd);
        cr_assert(stderr_fd >= 0 && dup2(play->log_fd, STDERR_FILENO) >= 0, "%m");
        if (play->journal.path[0])
                announce_journal();
        if (config)
                harness_start_as_set(&play->harness, config);
        else
                harness_restart(&play->harness);
        dup2(stderr_fd, STDERR_FILENO);
        close(stderr_fd);
        panel_unload();
}

static void start_broker(Play *play, const char *config, const Harness *how) {
        play->log_fd = memfd_create("log", MFD_CLOEXEC);
        cr_assert(play->log_fd >= 0, "%m");
        play->harness = *how;
        play->harness.uid = geteuid();
        if (how->keeper)
                keeper_begin(how->keeper, KEEPER_ITEMS_MAX);
        launch(play, config);
}

void play_recover(Play *play) {
        harness_kill(&play->harness);
        play->panel->waiting = false;
        launch(play, NULL);
        close(play->onlooker);
        play->onlooker = harness_connect(&play->harness);
        cr_assert(kit_resume(play->onlooker, &play->held));
}

static void admit_onlooker(Play *play) {
        size_t mark = play_mark(play);

        play->onlooker = harness_connect(&play->harness);
        play->held = kit_acquire(play->onlooker,
                                 "{'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'}");
        play->steers = kit_is_capable(play->onlooker, "steer");
        play_settle(play, mark);
        play->n_fds = count_descriptors(play);
}

static void make_world(Play *play, PlayWorld world) {
        if (world == PLAY_NAMESPACE) {
                namespace_kit_begin();
                namespace_kit_add("blue");
                return;
        }
        if (geteuid() == 0)
                harness_private_network();
        if (world == PLAY_JOURNAL)
                make_journal(play);
}

void play_begin(Play *play, const char *config, const Harness *how, PlayWorld world) {
        *play = (Play){ .n_own_fds = leaks_count_fds() };
        make_world(play, world);
        play->panel = panel_new(&play->panel_fd);
        start_broker(play, config, how);
        snprintf(play->path, sizeof(play->path), "%s/guest", play->harness.folder);
        if (!play->panel->working) {
                harness_stop(&play->harness);
                cr_skip_test("the kernel has no syscall user dispatch");
        }
        admit_onlooker(play);
        if (!play->harness.keeper)
                return;
        /* A successor has not all that the first one has. */
        play_recover(play);
        play_mark(play);
        play->n_fds = count_descriptors(play);
}

void play_end(Play *play) {
        kit_drop(&play->held);
        play->onlooker = fd_close(play->onlooker);
        harness_stop(&play->harness);
        if (play->harness.keeper)
                keeper_end(play->harness.keeper);
        panel_free(play->panel, play->panel_fd);
        close(play->log_fd);
        if (play->journal.path[0])
                journal_kit_close(&play->journal);
        leaks_expect_fds(play->n_own_fds);
}

/* ---- guests -------------------------------------------------------------------------------------- */

static Guest *admit(Play *play, bool foreign) {
        Guest *guest = &play->guests[play->n_guests++];

        cr_assert(play->n_guests <= PLAY_GUESTS_MAX);
        guest_come(guest, &play->harness, foreign);
        return guest;
}

Guest *play_guest(Play *play) {
        return admit(play, false);
}

void play_two_guests(Play *play, const char *request, Guest **ret_first, Guest **ret_second) {
        *ret_first = play_guest(play);
        *ret_second = play_guest(play);
        guest_acquire(*ret_first, "%s", request);
        guest_acquire(*ret_second, "%s", request);
}

Guest *play_foreign_guest(Play *play) {
        return admit(play, true);
}

Guest *play_stranger(Play *play) {
        bool root = geteuid() == 0;
        Guest *guest;

        if (root)
                kit_become(KIT_UID, 0);
        guest = play_guest(play);
        if (root)
                kit_become_root();
        return guest;
}

Outcome play_leave(Play *play) {
        Outcome worst = OUTCOME_SERVED;

        while (play->n_guests > 0) {
                Guest *guest = &play->guests[--play->n_guests];

                guest_leave(guest);
                if (guest->outcome > worst)
                        worst = guest->outcome;
        }
        return worst;
}

/* ---- afterwards ---------------------------------------------------------------------------------- */

static long long count_connections(const Play *play) {
        json_auto_t *reply = kit_call(play->onlooker, "GetStatus", "{}");

        return kit_number(reply, "parameters.connections");
}

void play_expect_gone(const Play *play) {
        AWAIT(count_connections(play) == 1, "a guest has left, and is still counted");
}

void play_expect_alone(Play *play, size_t n_guests) {
        json_auto_t *reply = kit_call(play->onlooker, "GetStatus", "{}");

        cr_assert(eq(llong, kit_number(reply, "parameters.connections"), 1 + (long long)n_guests));
        cr_assert(eq(llong, kit_number(reply, "parameters.leases"), 1));
        cr_assert(eq(llong, kit_number(reply, "parameters.endpoints"), 1));
}

/* One that cannot be looked at, or not be removed, stays. */
static bool keeps_files(const char *call) {
        return strstr(call, "stat") || strstr(call, "unlink");
}

static void expect_no_file(const Play *play) {
        struct stat st;

        if (lstat(play->path, &st) < 0)
                return;
        cr_assert(keeps_files(play->panel->name) || keeps_files(play->panel->last),
                  "a socket's file is left");
        unlink(play->path);
}

/* Whoever still stands in line before this one has been looked at, and is not there any more. */
static void expect_nobody_in_line(Play *play) {
        Guest *last = play_guest(play);

        guest_call(last, "GetStatus", "{}");
        play_leave(play);
        play_expect_descriptors(play);
}

static void serve_newcomer(Play *play) {
        int control = harness_connect(&play->harness);
        KitSocket socket = kit_acquire(control, "{'network':'tcp','address':'127.0.0.1:0'}");

        kit_release(control, &socket);
        close(control);
}

void play_expect_unharmed(Play *play) {
        expect_nobody_in_line(play);
        serve_newcomer(play);
        play_expect_descriptors(play);
        play_expect_alone(play, 0);
        expect_no_file(play);
        cr_assert(eq(long, play->panel->unknown_call, -1), "system call %ld is not in rules.c",
                  play->panel->unknown_call);
}

/* ---- what went wrong ----------------------------------------------------------------------------- */

/* A frame in the broker itself is told by function and line, if the tool for that is there. */
static void explain_frame(const char *frame) {
        const char *offset = strchr(frame, '+');
        char command[512];

        fprintf(stderr, "  %s\n", frame);
        if (!offset || strncmp(frame, "reuseportd+", strlen("reuseportd+")) != 0)
                return;
        snprintf(command, sizeof(command), "addr2line -f -p -s -e '%s' %s 1>&2", REUSEPORTD_PATH,
                 offset + 1);
        /* NOLINTNEXTLINE(cert-env33-c): a path of the build and an offset */
        if (system(command) != 0)
                fprintf(stderr, "  (no addr2line)\n");
}

void play_explain(const Play *play) {
        const FaultPanel *panel = play->panel;
        char text[4096];
        ssize_t n;

        fprintf(stderr, "call %zu failed: %s: %s, called from\n", panel->plan.nth, panel->name,
                strerrorname_np(panel->error) ?: "nothing");
        for (size_t i = 0; i < panel->n_frames; i++)
                explain_frame(panel->frames[i]);
        n = pread(play->log_fd, text, sizeof(text), 0);
        fprintf(stderr, "%s%.*s", n > 0 ? "the broker says:\n" : "", n > 0 ? (int)n : 0, text);
}
