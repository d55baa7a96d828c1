/* SPDX-License-Identifier: BSD-2-Clause */

/* What rules say, while something fails: never more is given than without that. */

#include "tests/fault/scenario.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "proto/cleanup.h"

#define BROKER "[Broker]\nSocketMode=0666\nRetainSec=0\n"
#define ALL "[Rule all]\nUser=*\nOptions=*\n"

/* ---- the configuration --------------------------------------------------------------------------- */

#define BEFORE                                                                                          \
        BROKER "[Rule before]\nUser=root *\nNetwork=unix\nPath=@before\n"                               \
               "[Rule other]\nUser=*\nNetwork=tcp udp\n"
/* More than is read at one time. */
#define COMMENT "# It would be wrong to take the first half of these rules for all of them.\n"
#define COMMENTS COMMENT COMMENT COMMENT COMMENT COMMENT COMMENT COMMENT COMMENT
#define AFTER                                                                                           \
        "[Rule first]\nUser=root *\nNetwork=unix\nPath=@first\n" BROKER "MaxConnections=100\n"          \
        "[Rule other]\nUser=*\nNetwork=tcp udp\nOptions=*\n" COMMENTS COMMENTS COMMENTS COMMENTS        \
                COMMENTS COMMENTS COMMENTS COMMENTS                                                     \
        "[Rule last]\nUser=*\nGroup=root\nNetwork=unix\nPath=@last\n"

static bool is_allowed(Play *play, const char *address) {
        json_auto_t *reply = kit_call(play->onlooker, "Explain",
                                      "{'request':{'network':'unix','address':'%s'}}", address);

        return kit_true(reply, "parameters.allowed");
}

static void reload_with(Play *play, const char *config) {
        size_t mark = play_mark(play);

        harness_ask_to_reload(&play->harness, config);
        play_settle(play, mark);
}

/* The old one stays in force as a whole, or the new one does. */
static void reload(Play *play) {
        bool before, first, last;

        reload_with(play, AFTER);
        play_disarm(play);
        before = is_allowed(play, "@before");
        first = is_allowed(play, "@first");
        last = is_allowed(play, "@last");
        cr_assert(first != before && last != before, "@before %d, @first %d, @last %d", before, first,
                  last);
}

static void reload_back(Play *play) {
        reload_with(play, BEFORE);
        cr_assert(is_allowed(play, "@before"));
}

/* ---- tenants ------------------------------------------------------------------------------------- */

#define TENANT(name) BROKER "[Rule web]\nUser=*\nPort=4000\nTenant=" name "\n" ALL
#define WEB "{'network':'tcp4','address':'127.0.0.1:4000','sharing':'exclusive','name':'web'}"

static void one_has_it(Play *play) {
        cr_assert(guest_acquire(play_guest(play), WEB));
}

/* What is there belongs to whom the rules in force give it. */
static void expect_owner(Play *play) {
        json_auto_t *rule = kit_call(play->onlooker, "Explain", "{'request':" WEB "}");
        json_auto_t *list = kit_call(play->onlooker, "List", "{'endpoint':'web'}");

        KIT_EXPECT_TEXT(kit_text(list, "parameters.endpoints.0.tenant"),
                        kit_text(rule, "parameters.tenant"));
}

static void change_owner(Play *play) {
        reload_with(play, TENANT("after"));
        play_disarm(play);
        expect_owner(play);
}

static void change_owner_back(Play *play) {
        reload_with(play, TENANT("before"));
}

/* ---- questions about rules ----------------------------------------------------------------------- */

static void explain(Guest *guest, const char *parameters, bool allowed) {
        json_auto_t *reply = NULL;

        guest_send(guest, "Explain", "", "%s", parameters);
        reply = guest_receive(guest);
        if (reply && !json_object_get(reply, "error"))
                cr_assert(kit_true(reply, "parameters.allowed") == allowed, "%s", parameters);
}

/* No answer is wrong. */
static void explained(Play *play) {
        Guest *holder = play_guest(play), *guest = play_guest(play);

        guest_acquire(holder, "%s", WEB);
        explain(guest, "{'request':" WEB "}", true);
        explain(guest, "{'request':{'network':'tcp','address':':4000-4010'},'uid':7,'gids':[8,9]}",
                true);
        explain(guest, "{'request':{'network':'tcp4','address':'127.0.0.1:5000'}}", false);
}

/* ---- limits of a rule ---------------------------------------------------------------------------- */

/* Of the second rule, one socket in the whole of the test. */
#define LIMITED                                                                                         \
        BROKER "[Rule few]\nUser=*\nPort=4000\nMaxLeases=1\nRateLimit=1000/1ms\n"                       \
               "[Rule once]\nUser=*\nPort=4001\nRateLimit=1/1h\n" ALL

#define FEW "{'network':'tcp4','address':'127.0.0.1:4000'}"
#define ONCE "{'network':'tcp4','address':'127.0.0.1:4001'}"

static void have_had_one(Play *play) {
        guest_acquire(play_guest(play), ONCE);
        play_leave(play);
}

static void rule_limits(Play *play) {
        Guest *guest = play_stranger(play);
        bool one = guest_acquire(guest, FEW), another = guest_acquire(guest, FEW);

        cr_assert(not(one && another), "two leases, and one is allowed");
        guest_release(guest, 0);
        guest_acquire(guest, FEW);
        cr_assert(not(guest_acquire(play_guest(play), ONCE)), "asked for too often, and given");
}

/* No lease is counted any more. */
static void take_one(Play *play) {
        play_expect_gone(play);
        cr_assert(guest_acquire(play_stranger(play), FEW));
        play_leave(play);
}

/* ---- files of sockets ---------------------------------------------------------------------------- */

#define GIVEN_AWAY                                                                                      \
        BROKER "[Rule file]\nUser=*\nNetwork=unix\nPath=/*\nSocketUser=65534\nSocketGroup=65533\n"      \
               "SocketMode=0640\n" ALL

static const char *lacks_root(void) {
        return geteuid() == 0 ? NULL : "only root gives files away";
}

/* Who is given the socket finds its file as the rule has it. */
static void give_away(Play *play) {
        Guest *guest = play_guest(play);
        struct stat st;

        if (!guest_acquire(guest, "{'network':'unix','address':'%s'}", play->path))
                return;
        if (lstat(play->path, &st) < 0) {
                cr_assert(not(guest_call(guest, "GetStatus", "{}")), "the file has gone");
                return;
        }
        cr_assert(st.st_uid == 65534 && st.st_gid == 65533 && (st.st_mode & 07777) == 0640,
                  "uid %u, gid %u, mode %#o", st.st_uid, st.st_gid, st.st_mode & 07777);
        guest_release(guest, 0);
}

/* As of a broker that was killed. */
static void leave_file(Play *play) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, play->path);
        cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "%m");
        close(fd);
}

static void replace_file(Play *play) {
        Guest *guest = play_guest(play);

        /* It may be in the way, for all that the broker can tell. */
        guest_acquire(guest, "{'network':'unix','address':'%s'}", play->path);
        guest_release(guest, 0);
}

static void remove_file(Play *play) {
        unlink(play->path);
}

/* ---- the audit ----------------------------------------------------------------------------------- */

static const char *lacks_namespace(void) {
        return geteuid() == 0 ? NULL : "only root can put something in the journal's place";
}

/* Whatever the journal says to it, the client has nothing to do with that. */
static void audited(Play *play) {
        const FaultPanel *panel = play->panel;
        Guest *guest = play_guest(play);

        guest_acquire(guest, FEW);
        guest_release(guest, 0);
        if (panel->failed == 1 && strcmp(panel->name, "sendto") == 0)
                cr_assert(guest->outcome == OUTCOME_SERVED);
}

/* It is read now and then only: in between it is full. */
static void read_journal(Play *play) {
        if (play->panel->plan.nth % 8 == 0)
                while (!journal_kit_is_empty(&play->journal))
                        journal_kit_receive(&play->journal);
}

/* ---- units --------------------------------------------------------------------------------------- */

#define UNIT                                                                                            \
        BROKER "[Rule unit]\nUser=*\nPort=4000\nUnit=fault@*.service\n"                                 \
               "[Rule not-unit]\nUser=*\nPort=4001\nUnit=fault@*.service\nAllow=no\n"                   \
               "[Rule nobody-else]\nUser=*\nPort=4000\nAllow=no\n" ALL

static const char *cgroup_root(void) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs fs;

        for (size_t i = 0; i < 2; i++)
                if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                        return roots[i];
        return NULL;
}

static const char *lacks_cgroups(void) {
        if (geteuid() != 0)
                return "only root makes control groups";
        return cgroup_root() ? NULL : "no control groups of version 2 are mounted";
}

static char unit[128];

/* This process, which is all the guests, goes into @folder. */
static void enter(const char *folder) {
        _cleanup_(fd_closep) int fd = -1;
        char path[192];

        snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        cr_assert(fd >= 0 && write(fd, "0", 1) == 1, "%s: %m", path);
}

/* Another one each time: the broker remembers. */
static void begin_unit(Play *play) {
        snprintf(unit, sizeof(unit), "%s/fault@%d.service", cgroup_root(), getpid());
        cr_assert(mkdir(unit, 0755) == 0, "%s: %m", unit);
        enter(unit);
}

/* What could not be found out is not remembered. */
static void end_unit(Play *play) {
        cr_assert(guest_acquire(play_guest(play), FEW));
        play_leave(play);
        enter(cgroup_root());
        cr_assert(rmdir(unit) == 0, "%s: %m", unit);
}

/* Whose unit cannot be told has nothing by it, and nothing that it is to be refused. */
static void by_unit(Play *play) {
        Guest *guest = play_guest(play);

        guest->provoked = "io.reuseportd.PolicyDenied";
        guest_acquire(guest, FEW);
        cr_assert(not(guest_acquire(guest, ONCE)), "given in spite of its unit");
        guest_release(guest, 0);
}

/* -------------------------------------------------------------------------------------------------- */

const Scenario rule_scenarios[] = {
        { "a reload", .config = BEFORE, .run = reload, .tidy = reload_back },
        { "a reload with tenants", .config = TENANT("before"), .prepare = one_has_it,
          .run = change_owner, .tidy = change_owner_back },
        { "an explanation", .config = BROKER "[Rule not-this]\nUser=*\nPort=5000\nAllow=no\n" ALL,
          .run = explained },
        { "limits of a rule", .config = LIMITED, .prepare = have_had_one, .run = rule_limits,
          .tidy = take_one, .outcome = OUTCOME_REFUSED },
        { "a file given away", .config = GIVEN_AWAY, .lacks = lacks_root, .run = give_away },
        { "a file left behind", .prepare = leave_file, .run = replace_file, .tidy = remove_file },
        { "the journal", .world = PLAY_JOURNAL, .lacks = lacks_namespace, .run = audited,
          .tidy = read_journal },
        { "a unit", .config = UNIT, .lacks = lacks_cgroups, .prepare = begin_unit, .run = by_unit,
          .tidy = end_unit, .outcome = OUTCOME_REFUSED },
        { "a unit, by /proc", .config = UNIT, .how = { .no_pidfd_info = true }, .lacks = lacks_cgroups,
          .prepare = begin_unit, .run = by_unit, .tidy = end_unit, .outcome = OUTCOME_REFUSED },
};

const size_t n_rule_scenarios = sizeof(rule_scenarios) / sizeof(rule_scenarios[0]);
