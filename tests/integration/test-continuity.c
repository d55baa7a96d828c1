/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What becomes of that which waits on a member when it leaves: in each situation the word that List has
 * for it, and connections and datagrams that fare as the word says. In a network of its own, where the
 * kernel's switch can be set.
 */

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/integration/group-kit.h"

#include <criterion/parameterized.h>

TestSuite(continuity, .timeout = 60);

enum { N_WAITING = 3 };

/* ---- situations ---------------------------------------------------------------------------------- */

typedef struct Situation {
        Harness how;
        bool steers;
        bool migrate_req;
        const char *warning; /* of the broker; NULL: not looked for */
        const char *word;    /* for TCP, with somebody else there */
        const char *reason;
} Situation;

#define BY_PROGRAM .steers = true, .word = "migrate", .reason = "steering program"
#define BY_KERNEL .migrate_req = true, .word = "migrate", .reason = "tcp_migrate_req is on"
#define BY_NOBODY .word = "none", .reason = "tcp_migrate_req is off"

static const Situation situations[] = {
        { BY_PROGRAM },
        { BY_PROGRAM, .migrate_req = true },
        { BY_PROGRAM, .how.no_peer_pidfd = true, .warning = "SO_PEERPIDFD" },
        { BY_KERNEL, .how.no_bpf = true, .warning = "no CAP_BPF" },
        { BY_NOBODY, .how.no_bpf = true, .warning = "no CAP_BPF" },
        { BY_KERNEL, .how.program = REUSEPORTD_BARE_PATH, .warning = "built without BPF" },
        { BY_NOBODY, .how.program = REUSEPORTD_BARE_PATH, .warning = "built without BPF" },
};

static const Situation *situation;
static Stage stage;

static struct criterion_test_params every_situation(void) {
        static int indices[sizeof(situations) / sizeof(situations[0])];

        for (size_t i = 0; i < sizeof(indices) / sizeof(indices[0]); i++)
                indices[i] = (int)i;
        return cr_make_param_array(int, indices, sizeof(indices) / sizeof(indices[0]));
}

static void set_migrate_req(bool on) {
        FILE *file = fopen("/proc/sys/net/ipv4/tcp_migrate_req", "we");

        if (!file && !on)
                return;
        if (!file)
                cr_skip_test("this kernel has no tcp_migrate_req");
        cr_assert(eq(int, fputc(on ? '1' : '0', file), on ? '1' : '0'));
        cr_assert(zero(int, fclose(file)));
}

static void situation_begin(int index) {
        Harness how = situations[index].how;
        bool steers;

        situation = &situations[index];
        harness_private_network();
        set_migrate_req(situation->migrate_req);
        how.uid = geteuid();
        stage_begin_as_set(&stage, GROUP_CONFIG, &how);
        steers = kit_is_capable(stage.control, "steer");
        if ((situation->steers && !steers) ||
            (!how.program && kit_is_warned(stage.control, "built without BPF"))) {
                stage_end(&stage);
                cr_skip_test("the broker cannot steer here");
        }
        cr_assert(eq(int, steers, situation->steers));
        if (situation->warning)
                cr_assert(kit_is_warned(stage.control, situation->warning));
        cr_assert(eq(int, kit_is_capable(stage.control, "migrate"),
                     strcmp(situation->word, "migrate") == 0));
}

static void expect_word(const KitSocket *held, const char *word, const char *reason) {
        json_auto_t *endpoint = kit_describe(stage.control, held);

        KIT_EXPECT_TEXT(kit_text(endpoint, "continuity"), word);
        cr_assert(ne(ptr, strstr(kit_text(endpoint, "continuityReason"), reason), NULL), "%s",
                  kit_text(endpoint, "continuityReason"));
}

/* ---- who leaves ---------------------------------------------------------------------------------- */

typedef enum Way { WAY_RELEASE, WAY_HANG_UP, WAY_EXIT, _WAY_N } Way;

/* A holder, and the clients that wait on its socket. */
typedef struct Leaver {
        Way way;
        int control;
        pid_t pid; /* whose the connection is; 0: this process's */
        KitSocket held;
        KitSocket place; /* what is known of it afterwards */
        struct sockaddr_storage address;
        socklen_t size;
        int type;
        int waiting[N_WAITING];
} Leaver;

/* A connection of a process of its own, which shares the descriptors of this one. */
static int connect_as_child(pid_t *ret_pid) {
        int channel[2], control;
        pid_t pid;

        cr_assert(zero(int, pipe2(channel, O_CLOEXEC)));
        pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
        cr_assert(ge(int, pid, 0));
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                control = harness_connect(&stage.kit.harness);
                if (write(channel[1], &control, sizeof(control)) == sizeof(control))
                        pause();
                _exit(1);
        }
        cr_assert(eq(int, (int)read(channel[0], &control, sizeof(control)), (int)sizeof(control)));
        close(channel[0]);
        close(channel[1]);
        *ret_pid = pid;
        return control;
}

static int leaver_come(const Leaver *leaver) {
        int client = kit_connect_address(&leaver->address, leaver->size, leaver->type);

        cr_assert(client >= 0, "%m");
        if (leaver->type == SOCK_DGRAM)
                cr_assert(eq(int, (int)send(client, "x", 1, 0), 1));
        return client;
}

/* The holder of a new endpoint, on whom clients wait. */
static Leaver leaver_begin(Way way, const char *request) {
        Leaver leaver = { .way = way };
        char parameters[512];

        leaver.control =
                way == WAY_EXIT ? connect_as_child(&leaver.pid) : harness_connect(&stage.kit.harness);
        snprintf(parameters, sizeof(parameters), "{'sockets':[{%s}],'lifetime':'%s'}", request,
                 way == WAY_EXIT ? "process" : "connection");
        kit_acquire_call(leaver.control, parameters, 1, &leaver.held);
        json_decref(kit_event(stage.watch, "acquired"));
        leaver.place = (KitSocket){ .fd = -1, .reply = json_incref(leaver.held.reply) };
        leaver.size = kit_bound_address(leaver.held.fd, &leaver.address);
        leaver.type = kit_int_option(leaver.held.fd, SOL_SOCKET, SO_TYPE);
        for (size_t i = 0; i < N_WAITING; i++)
                leaver.waiting[i] = leaver_come(&leaver);
        return leaver;
}

static void leaver_leave(Leaver *leaver) {
        if (leaver->way == WAY_RELEASE)
                kit_release(leaver->control, &leaver->held);
        else
                kit_drop(&leaver->held);
        if (leaver->way == WAY_EXIT) {
                cr_assert(zero(int, kill(leaver->pid, SIGKILL)));
                cr_assert(eq(int, waitpid(leaver->pid, NULL, 0), leaver->pid));
        }
        if (leaver->way != WAY_EXIT)
                leaver->control = fd_close(leaver->control);
        stage_expect(&stage, "released", &leaver->place);
}

static void leaver_end(Leaver *leaver) {
        fd_close(leaver->control);
        json_decref(leaver->place.reply);
}

/* ---- how what waited fared ----------------------------------------------------------------------- */

static void expect_served_by(const KitSocket *member, const Leaver *leaver) {
        if (leaver->type != SOCK_DGRAM) {
                group_serve_all(member, leaver->waiting, N_WAITING);
                return;
        }
        for (size_t i = 0; i < N_WAITING; i++) {
                group_take(member);
                close(leaver->waiting[i]);
        }
}

static void expect_reset(const Leaver *leaver) {
        for (size_t i = 0; i < N_WAITING; i++) {
                kit_wait_readable(leaver->waiting[i]);
                cr_assert(eq(int, (int)recv(leaver->waiting[i], (char[1]){ 0 }, 1, 0), -1));
                cr_assert(eq(int, errno, ECONNRESET));
                close(leaver->waiting[i]);
        }
}

static void expect_lost(const KitSocket *member, const Leaver *leaver) {
        kit_ping(stage.control);
        cr_assert(not(kit_is_readable(member->fd)));
        for (size_t i = 0; i < N_WAITING; i++)
                close(leaver->waiting[i]);
}

/* ---- with somebody else there -------------------------------------------------------------------- */

static void check_tcp_company(Way way, const char *request) {
        Leaver leaver = leaver_begin(way, request);
        KitSocket stays = stage_join(&stage, &leaver.held, "");

        expect_word(&stays, situation->word, situation->reason);
        cr_assert(not(kit_is_readable(stays.fd)));
        leaver_leave(&leaver);
        if (strcmp(situation->word, "migrate") == 0)
                expect_served_by(&stays, &leaver);
        else
                expect_reset(&leaver);
        kit_expect_members(stage.control, &stays, 1);
        cr_assert(not(kit_is_readable(stays.fd)));
        group_expect_only(&stays, 1, 0);
        stage_expect_no_event(&stage);
        leaver_end(&leaver);
        stage_finish(&stage, &stays);
}

ParameterizedTestParameters(continuity, tcp_in_company) {
        return every_situation();
}

ParameterizedTest(const int *index, continuity, tcp_in_company) {
        situation_begin(*index);
        for (int way = 0; way < _WAY_N; way++) {
                check_tcp_company(way, "'network':'tcp4','address':'127.0.0.1:0'");
                check_tcp_company(way, "'network':'tcp6','address':'[::1]:0'");
                /* Moving needs no memory of it. */
                check_tcp_company(way, "'network':'tcp','address':':0','retainSec':0");
        }
        stage_end(&stage);
}

/* Datagrams do not move. What can be kept for another client is kept off the list. */
static void check_udp_company(Way way, const char *request, bool kept) {
        Leaver leaver = leaver_begin(way, request);
        KitSocket members[2];

        members[0] = stage_join(&stage, &leaver.held, "");
        if (kept)
                expect_word(&members[0], "adopt", "another client");
        else
                expect_word(&members[0], "none", "datagrams");
        leaver_leave(&leaver);
        if (kept)
                kit_expect_event(stage.watch, "parked", kit_text(leaver.place.reply, "endpoint"));
        else
                kit_expect_members(stage.control, &members[0], 1);
        cr_assert(not(kit_is_readable(members[0].fd)));
        group_expect_only(members, 1, 0);
        members[1] = stage_join(&stage, &members[0], "");
        cr_assert(eq(int, kit_true(members[1].reply, "adopted"), kept));
        if (kept)
                expect_served_by(&members[1], &leaver);
        else
                expect_lost(&members[1], &leaver);
        kit_expect_both_served(members[0].fd, members[1].fd);
        leaver_end(&leaver);
        stage_release(&stage, &members[1]);
        stage_finish(&stage, &members[0]);
}

ParameterizedTestParameters(continuity, udp_in_company) {
        return every_situation();
}

ParameterizedTest(const int *index, continuity, udp_in_company) {
        situation_begin(*index);
        for (int way = WAY_HANG_UP; way < _WAY_N; way++) {
                check_udp_company(way, "'network':'udp4','address':'127.0.0.1:0'", situation->steers);
                check_udp_company(way, "'network':'udp6','address':'[::1]:0'", situation->steers);
                check_udp_company(way, "'network':'udp4','address':'127.0.0.1:0','retainSec':0", false);
        }
        stage_end(&stage);
}

/* ---- with nobody else there ---------------------------------------------------------------------- */

static const char *const alone[] = {
        "'network':'tcp4','address':'127.0.0.1:0'",
        "'network':'tcp6','address':'[::1]:0'",
        "'network':'tcp4','address':'127.0.0.1:0','sharing':'shared'",
        "'network':'tcp4','address':'127.0.0.1:0','sharing':'exclusive'",
        "'network':'udp4','address':'127.0.0.1:0'",
        "'network':'udp6','address':'[::1]:0','sharing':'shared'",
        "'network':'unix','address':'@reuseportd-test-continuity'",
};

enum { N_ALONE = sizeof(alone) / sizeof(alone[0]) };

/* The same way of sharing as before. */
static KitSocket adopt(const Leaver *leaver) {
        char more[64];

        snprintf(more, sizeof(more), ",'sharing':'%s'", kit_text(leaver->place.reply, "sharing"));
        return stage_join(&stage, &leaver->place, more);
}

static void check_adopted(Way way, const char *request) {
        Leaver leaver = leaver_begin(way, request);
        KitSocket next;
        int client;

        expect_word(&leaver.held, "adopt", "another client");
        leaver_leave(&leaver);
        kit_expect_event(stage.watch, "parked", kit_text(leaver.place.reply, "endpoint"));
        expect_word(&leaver.place, "adopt", "another client");
        client = leaver_come(&leaver);
        next = adopt(&leaver);
        cr_assert(kit_true(next.reply, "adopted"));
        KIT_EXPECT_TEXT(kit_text(next.reply, "cookie"), kit_text(leaver.place.reply, "cookie"));
        expect_served_by(&next, &leaver);
        group_take(&next);
        close(client);
        leaver_end(&leaver);
        stage_finish(&stage, &next);
}

/* The first that waits learns it, and nobody is adopted afterwards. */
static void check_closed(Way way, const char *request) {
        Leaver leaver = leaver_begin(way, request);
        KitSocket next;

        if (way != WAY_RELEASE)
                expect_word(&leaver.held, "none", "retainSec is 0");
        leaver_leave(&leaver);
        kit_expect_event(stage.watch, "closed", kit_text(leaver.place.reply, "endpoint"));
        if (leaver.type != SOCK_DGRAM && leaver.address.ss_family != AF_UNIX)
                expect_reset(&leaver);
        next = adopt(&leaver);
        cr_assert(not(kit_true(next.reply, "adopted")));
        if (leaver.type == SOCK_DGRAM || leaver.address.ss_family == AF_UNIX)
                expect_lost(&next, &leaver);
        leaver_end(&leaver);
        stage_finish(&stage, &next);
}

ParameterizedTestParameters(continuity, alone_and_kept) {
        return every_situation();
}

ParameterizedTest(const int *index, continuity, alone_and_kept) {
        situation_begin(*index);
        for (size_t i = 0; i < N_ALONE; i++) {
                check_adopted(WAY_HANG_UP, alone[i]);
                check_adopted(WAY_EXIT, alone[i]);
        }
        stage_end(&stage);
}

/* Because it is not to be kept, or because its holder said that it is done. */
ParameterizedTestParameters(continuity, alone_and_not_kept) {
        return every_situation();
}

ParameterizedTest(const int *index, continuity, alone_and_not_kept) {
        char request[256];

        situation_begin(*index);
        for (size_t i = 0; i < N_ALONE; i++) {
                check_closed(WAY_RELEASE, alone[i]);
                snprintf(request, sizeof(request), "%s,'retainSec':0", alone[i]);
                check_closed(WAY_HANG_UP, request);
                check_closed(WAY_EXIT, request);
        }
        stage_end(&stage);
}
