/* SPDX-License-Identifier: BSD-2-Clause */

/* What every call has to get past, whoever sends it; and what each method then answers. */

#include "daemon/dispatch.h"

#include "daemon/config.h"
#include "proto/interface.h"
#include "proto/limits.h"
#include "tests/unit/daemon-kit.h"

#define CALL(method, parameters) "{\"method\":\"" method "\",\"parameters\":" parameters "}"
#define ACQUIRE(sockets) CALL("io.reuseportd.Acquire", "{\"sockets\":[" sockets "]}")
#define TCP "{\"network\":\"tcp4\",\"address\":\"127.0.0.1:0\"}"

/* Stands for one connection. */
typedef struct Caller {
        Kit kit;
        bool broken; /* no answer gets through */
        int watched;
        int asked_for_process;
        size_t n_fds; /* with the last answer */
} Caller;

static int get_process(Context *context, Process **ret) {
        Caller *caller = context->peer;

        caller->asked_for_process++;
        return SUBJECT_E_GONE;
}

static int watch(Context *context) {
        Caller *caller = context->peer;

        caller->watched++;
        return 0;
}

static void caller_start(Caller *caller, uid_t uid) {
        char *reason;

        *caller = (Caller){ 0 };
        kit_init(&caller->kit, uid);
        cr_assert(zero(int,
                       config_load_from(NULL, NULL, false, uid, &caller->kit.services.config, &reason)));
        cr_assert(zero(int, port_pool_new(&caller->kit.services.ports)));
}

static void caller_end(Caller *caller) {
        lease_owner_end(&caller->kit.connection, MEMBER_LEAVE_RELEASED, "end");
        config_free(caller->kit.services.config);
        port_pool_free(caller->kit.services.ports);
        kit_end(&caller->kit);
}

/* The answer of dispatch_call(), and in *@ret_text what is sent, "" for nothing; valid until
 * the next. */
static int serve(Caller *caller, const char *frame, size_t n, const char **ret_text) {
        Context context = {
                .services = &caller->kit.services,
                .subject = caller->kit.subject,
                .user = caller->kit.user,
                .connection = &caller->kit.connection,
                .get_process = get_process,
                .watch = watch,
                .peer = caller,
        };
        int r = dispatch_call(&context, frame, n);

        *ret_text = context.answered ? context.services->buffer.data : "";
        caller->n_fds = context.fds.n;
        context_finish(&context, !caller->broken);
        return r;
}

static const char *call(Caller *caller, const char *frame) {
        const char *text;

        cr_assert(zero(int, serve(caller, frame, strlen(frame), &text)), "%s", frame);
        return text;
}

static void expect(Caller *caller, const char *frame, const char *fragment) {
        const char *text = call(caller, frame);

        cr_assert(ne(ptr, strstr(text, fragment), NULL), "%s\nis answered %s\nnot %s", frame, text,
                  fragment);
}

static void expect_parameter(Caller *caller, const char *frame, const char *parameter) {
        char fragment[128];

        snprintf(fragment, sizeof(fragment), "\"parameter\":\"%s\"", parameter);
        expect(caller, frame, "org.varlink.service.InvalidParameter");
        expect(caller, frame, fragment);
}

TestSuite(dispatch, .timeout = 10);

/* ---- what is no call ---------------------------------------------------------------------------- */

static const char *const malformed[] = {
        "",
        " ",
        "{",
        "}",
        "[]",
        "null",
        "1",
        "\"io.reuseportd.List\"",
        "{\"method\":\"io.reuseportd.List\"",
        "{\"method\":\"io.reuseportd.List\"}}",
        "{\"method\":\"io.reuseportd.List\"}{}",
        "{\"method\":\"io.reuseportd.List\",\"method\":\"io.reuseportd.List\"}",
        "{\"method\":\"io.reuseportd.List\",\"parameters\":{\"endpoint\":\"a\",\"endpoint\":\"b\"}}",
        "{\"method\":\"\xff\"}",
        "{\"a.b\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]],\"method\":\"io.reuseportd.List\"}",
        "{method:\"io.reuseportd.List\"}",
        "{'method':'io.reuseportd.List'}",
};

Test(dispatch, what_is_malformed_is_answered_and_was_the_last) {
        Caller caller;
        const char *text;

        caller_start(&caller, 1000);
        for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
                cr_assert(eq(int, serve(&caller, malformed[i], strlen(malformed[i]), &text),
                             DISPATCH_E_MALFORMED),
                          "%s", malformed[i]);
                cr_assert(ne(ptr, strstr(text, "org.varlink.service.InvalidParameter"), NULL), "%s",
                          malformed[i]);
        }
        caller_end(&caller);
}

/* Frame, and the parameter that the refusal names. */
static const char *const envelopes[][2] = {
        { "{}", "method" },
        { "{\"method\":null}", "method" },
        { "{\"method\":1}", "method" },
        { "{\"method\":\"io.reuseportd.List\",\"more\":1}", "more" },
        { "{\"method\":\"io.reuseportd.List\",\"oneway\":\"yes\"}", "oneway" },
        { "{\"method\":\"io.reuseportd.List\",\"upgrade\":{}}", "upgrade" },
        { "{\"method\":\"io.reuseportd.List\",\"parameters\":[]}", "parameters" },
        { "{\"method\":\"io.reuseportd.List\",\"parameters\":\"x\"}", "parameters" },
        { "{\"method\":\"io.reuseportd.List\",\"unknown\":1}", "unknown" },
        { "{\"method\":\"io.reuseportd.List\",\"upgrade\":true}", "upgrade" },
        { "{\"method\":\"io.reuseportd.Watch\",\"upgrade\":true,\"more\":true}", "upgrade" },
        { "{\"method\":\"io.reuseportd.Acquire\",\"more\":true,\"parameters\":{\"sockets\":[" TCP "]}}",
          "more" },
        { "{\"method\":\"\"}", "method" },
        { "{\"method\":\"List\"}", "method" },
        { "{\"method\":\".List\"}", "method" },
};

Test(dispatch, an_envelope_is_checked_and_the_connection_goes_on) {
        Caller caller;

        caller_start(&caller, 1000);
        for (size_t i = 0; i < sizeof(envelopes) / sizeof(envelopes[0]); i++)
                expect_parameter(&caller, envelopes[i][0], envelopes[i][1]);
        cr_assert(zero(int, caller.watched));
        cr_assert(zero(sz, lease_registry_count(&caller.kit.services.leases)));
        caller_end(&caller);
}

/* ---- names -------------------------------------------------------------------------------------- */

static const char *const unknown[][2] = {
        { "com.example.Nothing", "\"interface\":\"com.example\"" },
        { "io.reuseportd.sub.List", "\"interface\":\"io.reuseportd.sub\"" },
        { "io.Reuseportd.List", "\"interface\":\"io.Reuseportd\"" },
        { "io.reuseportd..List", "\"interface\":\"io.reuseportd.\"" },
        { "io.reuseportd.Lis", "\"method\":\"io.reuseportd.Lis\"" },
        { "io.reuseportd.List ", "\"method\":\"io.reuseportd.List \"" },
        { "io.reuseportd.list", "\"method\":\"io.reuseportd.list\"" },
        { "io.reuseportd.", "\"method\":\"io.reuseportd.\"" },
        { "io.reuseportd.GetInfo", "\"method\":\"io.reuseportd.GetInfo\"" },
        { "org.varlink.service.List", "\"method\":\"org.varlink.service.List\"" },
};

Test(dispatch, names_that_are_not_there) {
        char frame[2048], interface[1024];
        Caller caller;

        caller_start(&caller, 1000);
        for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
                snprintf(frame, sizeof(frame), "{\"method\":\"%s\"}", unknown[i][0]);
                expect(&caller, frame, unknown[i][1]);
                expect(&caller, frame,
                       strstr(unknown[i][1], "interface") ? "org.varlink.service.InterfaceNotFound"
                                                          : "org.varlink.service.MethodNotFound");
        }
        memset(interface, 'a', sizeof(interface) - 1);
        interface[sizeof(interface) - 1] = '\0';
        snprintf(frame, sizeof(frame), "{\"method\":\"%s.List\"}", interface);
        expect_parameter(&caller, frame, "method");
        caller_end(&caller);
}

Test(dispatch, every_method_of_the_interfaces_has_a_row) {
        char frame[256];
        Caller caller;

        caller_start(&caller, 1000);
        for (int i = 0; i < _WIRE_METHOD_N; i++) {
                const char *text;

                snprintf(frame, sizeof(frame), "{\"method\":\"%s\"}", wire_methods[i].name);
                text = call(&caller, frame);
                cr_assert(ne(chr, text[0], '\0'), "%s", frame);
                cr_assert(eq(ptr, strstr(text, "MethodNotFound"), NULL), "%s", frame);
                cr_assert(eq(ptr, strstr(text, "InterfaceNotFound"), NULL), "%s", frame);
        }
        caller_end(&caller);
}

/* ---- oneway ------------------------------------------------------------------------------------- */

static const char *const silent[] = {
        "{\"oneway\":true}",
        "{\"oneway\":true,\"method\":1}",
        "{\"method\":\"io.reuseportd.List\",\"unknown\":1,\"oneway\":true}",
        "{\"method\":\"io.reuseportd.List\",\"more\":1,\"oneway\":true}",
        "{\"method\":\"io.reuseportd.List\",\"parameters\":[],\"oneway\":true}",
        "{\"oneway\":true,\"method\":\"com.example.Nothing\"}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.Nothing\"}",
        "{\"oneway\":true,\"method\":\"nothing\"}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.Dial\"}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.Dial\",\"parameters\":{\"network\":\"tcp\","
        "\"remoteAddress\":\"127.0.0.1:80\"}}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.List\",\"upgrade\":true}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.List\",\"parameters\":{\"unknown\":1}}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.List\",\"parameters\":{\"endpoint\":\"none\"}}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.Watch\"}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.Watch\",\"more\":true}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[\"l1-"
        "00000000\"]}}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.GetStatus\"}",
        "{\"oneway\":true,\"method\":\"org.varlink.service.GetInfo\"}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[]}}",
        "{\"oneway\":true,\"method\":\"io.reuseportd.Acquire\",\"parameters\":{\"sockets\":[" TCP "]}}",
        "{\"oneway\":true,\"more\":true,\"method\":\"io.reuseportd.Acquire\",\"parameters\":{"
        "\"sockets\":[" TCP "]}}",
};

Test(dispatch, oneway_is_never_answered) {
        Caller caller;

        caller_start(&caller, 1000);
        for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
                KIT_EXPECT_TEXT(call(&caller, silent[i]), "");
                cr_assert(zero(sz, caller.n_fds));
        }
        /* Nobody would ever be told of what was made, or of events. */
        cr_assert(zero(sz, endpoint_registry_count(&caller.kit.services.endpoints)));
        cr_assert(zero(int, caller.watched));
        caller_end(&caller);
}

Test(dispatch, a_oneway_release_releases) {
        char frame[256], id[ID_TEXT_MAX];
        Caller caller;
        Lease *lease;

        caller_start(&caller, 1000);
        lease = kit_acquire(&caller.kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0);
        id_format(&caller.kit.services.ids, 'l', lease->id, id);
        snprintf(frame, sizeof(frame),
                 "{\"oneway\":true,\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[\"%"
                 "s\"]}}",
                 id);
        KIT_EXPECT_TEXT(call(&caller, frame), "");
        cr_assert(zero(sz, lease_registry_count(&caller.kit.services.leases)));
        caller_end(&caller);
}

/* ---- parameters --------------------------------------------------------------------------------- */

static const char *const parameters[][2] = {
        { CALL("io.reuseportd.List", "{\"unknown\":1}"), "unknown" },
        { CALL("io.reuseportd.List", "{\"endpoint\":1}"), "endpoint" },
        { CALL("io.reuseportd.Release", "{}"), "leases" },
        { CALL("io.reuseportd.Release", "{\"leases\":null}"), "leases" },
        { CALL("io.reuseportd.Release", "{\"leases\":\"l1\"}"), "leases" },
        { CALL("io.reuseportd.Release", "{\"leases\":[1]}"), "leases[0]" },
        { CALL("io.reuseportd.GetStatus", "{\"x\":1}"), "x" },
        { CALL("io.reuseportd.Watch", "{\"x\":1}"), "x" },
        { CALL("org.varlink.service.GetInfo", "{\"x\":1}"), "x" },
        { CALL("org.varlink.service.GetInterfaceDescription", "{}"), "interface" },
        { CALL("io.reuseportd.Acquire", "{}"), "sockets" },
        { ACQUIRE(""), "sockets" },
        { ACQUIRE("{}"), "sockets[0].network" },
        { ACQUIRE(TCP ",{\"network\":\"tcp4\"}"), "sockets[1].address" },
        { ACQUIRE("{\"network\":\"tcp4\",\"address\":\"127.0.0.1:0\",\"sharing\":\"all\"}"),
          "sockets[0].sharing" },
        { ACQUIRE("{\"network\":\"tcp4\",\"address\":\"127.0.0.1:0\",\"options\":{\"x\":1}}"),
          "sockets[0].options.x" },
        { ACQUIRE("{\"network\":\"tcp4\",\"address\":\"127.0.0.1:0\",\"name\":\"a b\"}"),
          "sockets[0].name" },
        { ACQUIRE("{\"network\":\"tcp4\",\"address\":\"127.0.0.1:0\",\"retainSec\":-1}"),
          "sockets[0].retainSec" },
        { ACQUIRE("{\"network\":\"tcp4\",\"address\":\"127.0.0.1:0\",\"samePortAs\":0}"),
          "sockets[0].samePortAs" },
};

Test(dispatch, parameters_are_refused_by_name) {
        Caller caller;

        caller_start(&caller, 1000);
        for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
                expect_parameter(&caller, parameters[i][0], parameters[i][1]);
        cr_assert(zero(sz, endpoint_registry_count(&caller.kit.services.endpoints)));
        caller_end(&caller);
}

/* ---- the methods -------------------------------------------------------------------------------- */

Test(dispatch, release_is_all_or_none) {
        char frame[512], mine[ID_TEXT_MAX], theirs[ID_TEXT_MAX];
        Lease *lease, *other;
        Subject *subject;
        LeaseTerms terms;
        Caller caller;
        Kit *kit;

        caller_start(&caller, 1000);
        kit = &caller.kit;
        lease = kit_acquire(kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0);
        subject = kit_subject(2000);
        terms = (LeaseTerms){ .subject = subject, .user = kit->user, .connection = &kit->connection };
        cr_assert(zero(int, lease_new(&kit->services.leases, kit_join(lease->member->endpoint), &terms,
                                      &other)));
        subject_unref(subject);
        id_format(&kit->services.ids, 'l', lease->id, mine);
        id_format(&kit->services.ids, 'l', other->id, theirs);

        snprintf(frame, sizeof(frame),
                 CALL("io.reuseportd.Release", "{\"leases\":[\"%s\",\"l999-00000000\"]}"), mine);
        expect(&caller, frame, "io.reuseportd.NoSuchLease");
        expect(&caller, frame, "\"lease\":\"l999-00000000\"");
        snprintf(frame, sizeof(frame), CALL("io.reuseportd.Release", "{\"leases\":[\"%s\",\"%s\"]}"),
                 mine, mine);
        expect(&caller, frame, "io.reuseportd.NoSuchLease");
        snprintf(frame, sizeof(frame), CALL("io.reuseportd.Release", "{\"leases\":[\"%s\",\"%s\"]}"),
                 mine, theirs);
        expect(&caller, frame, "io.reuseportd.NoSuchLease");
        cr_assert(eq(sz, lease_registry_count(&kit->services.leases), 2));

        snprintf(frame, sizeof(frame), CALL("io.reuseportd.Release", "{\"leases\":[\"%s\"]}"), mine);
        KIT_EXPECT_TEXT(call(&caller, frame), "{\"parameters\":{}}");
        cr_assert(eq(sz, lease_registry_count(&kit->services.leases), 1));
        expect(&caller, frame, "io.reuseportd.NoSuchLease");
        KIT_EXPECT_TEXT(call(&caller, CALL("io.reuseportd.Release", "{\"leases\":[]}")),
                        "{\"parameters\":{}}");
        caller_end(&caller);
}

Test(dispatch, too_many_leases_in_one_release) {
        char *frame = NULL;
        size_t size;
        FILE *stream = open_memstream(&frame, &size);
        Caller caller;

        caller_start(&caller, 1000);
        fputs("{\"method\":\"io.reuseportd.Release\",\"parameters\":{\"leases\":[\"\"", stream);
        for (int i = 0; i < LEASES_PER_CALL_MAX; i++)
                fputs(",\"\"", stream);
        fputs("]}}", stream);
        fclose(stream);
        expect(&caller, frame, "io.reuseportd.QuotaExceeded");
        expect(&caller, frame, "\"limit\":1024");
        free(frame);
        caller_end(&caller);
}

Test(dispatch, watch_wants_more) {
        Caller caller;

        caller_start(&caller, 1000);
        expect(&caller, "{\"method\":\"io.reuseportd.Watch\"}", "org.varlink.service.ExpectedMore");
        expect(&caller, "{\"method\":\"io.reuseportd.Watch\",\"more\":false}",
               "org.varlink.service.ExpectedMore");
        cr_assert(zero(int, caller.watched));
        KIT_EXPECT_TEXT(call(&caller, "{\"method\":\"io.reuseportd.Watch\",\"more\":true}"), "");
        cr_assert(eq(int, caller.watched, 1));
        caller_end(&caller);
}

Test(dispatch, list_shows_what_may_be_seen) {
        Subject *own, *others;
        Endpoint *endpoint;
        Caller caller;

        caller_start(&caller, geteuid() + 1000);
        expect(&caller, "{\"method\":\"io.reuseportd.List\"}", "{\"endpoints\":[]}");
        expect(&caller, CALL("io.reuseportd.List", "{\"endpoint\":\"web\"}"),
               "io.reuseportd.NoSuchEndpoint");
        endpoint = kit_open(&caller.kit, "tcp4", "127.0.0.1:0", SHARING_GROUP, 0)->endpoint;
        cr_assert(zero(int, endpoint_rename(endpoint, "web")));
        others = kit_subject(geteuid() + 2000);
        own = endpoint->maker;
        endpoint->maker = others;
        expect(&caller, "{\"method\":\"io.reuseportd.List\"}", "{\"endpoints\":[]}");
        /* By name it is as good as not there. */
        expect(&caller, CALL("io.reuseportd.List", "{\"endpoint\":\"web\"}"),
               "io.reuseportd.NoSuchEndpoint");
        endpoint->maker = own;
        subject_unref(others);
        expect(&caller, "{\"method\":\"io.reuseportd.List\"}", "\"name\":\"web\"");
        expect(&caller, CALL("io.reuseportd.List", "{\"endpoint\":\"web\"}"), "\"name\":\"web\"");
        expect(&caller, CALL("io.reuseportd.List", "{\"endpoint\":\"mail\"}"),
               "io.reuseportd.NoSuchEndpoint");
        caller_end(&caller);
}

Test(dispatch, what_the_broker_says_of_itself) {
        Caller caller;

        caller_start(&caller, 1000);
        expect(&caller,
               CALL("org.varlink.service.GetInterfaceDescription", "{\"interface\":\"com.example\"}"),
               "org.varlink.service.InterfaceNotFound");
        expect(&caller,
               CALL("org.varlink.service.GetInterfaceDescription", "{\"interface\":\"io.reuseportd\"}"),
               "interface io.reuseportd");
        expect(&caller, "{\"method\":\"org.varlink.service.GetInfo\"}",
               "\"interfaces\":[\"io.reuseportd\",\"org.varlink.service\"]");
        warnings_add(&caller.kit.services.warnings, "beware");
        expect(&caller, "{\"method\":\"io.reuseportd.GetStatus\"}", "\"warnings\":[\"beware\"]");
        warnings_deinit(&caller.kit.services.warnings);
        expect(&caller, "{\"method\":\"io.reuseportd.GetStatus\"}", "\"leases\":0");
        /* "more" for one who gives only one answer does no harm. */
        expect(&caller, "{\"method\":\"io.reuseportd.GetStatus\",\"more\":true}", "\"endpoints\":0");
        caller_end(&caller);
}

Test(dispatch, acquire_fails_as_a_whole) {
        Caller caller;

        caller_start(&caller, 1000);
        /* The last of three is refused by the kernel: 192.0.2.1 is nobody's. */
        expect(&caller, ACQUIRE(TCP "," TCP ",{\"network\":\"tcp4\",\"address\":\"192.0.2.1:0\"}"),
               "io.reuseportd.AddressUnavailable");
        cr_assert(zero(sz, caller.n_fds));
        cr_assert(zero(sz, endpoint_registry_count(&caller.kit.services.endpoints)));
        expect(&caller,
               CALL("io.reuseportd.Acquire", "{\"lifetime\":\"process\",\"sockets\":[" TCP "]}"),
               "ESRCH");
        cr_assert(eq(int, caller.asked_for_process, 1));
        cr_assert(zero(sz, endpoint_registry_count(&caller.kit.services.endpoints)));
        kit_expect_told(&caller.kit, "");
        caller_end(&caller);
}

/* Nobody has what was made for an answer that did not leave, and nobody hears of it. */
Test(dispatch, an_acquire_that_does_not_arrive_is_undone) {
        Caller caller;

        caller_start(&caller, 1000);
        caller.broken = true;
        expect(&caller, ACQUIRE(TCP "," TCP), "\"socketFileDescriptor\":1");
        cr_assert(zero(sz, endpoint_registry_count(&caller.kit.services.endpoints)));
        cr_assert(zero(sz, lease_registry_count(&caller.kit.services.leases)));
        kit_expect_told(&caller.kit, "");
        caller_end(&caller);
}

/* The watchers hear of it only when the answer has left, so the two do not get into each other's way. */
Test(dispatch, acquire_gives_as_many_descriptors_as_it_lists) {
        Caller caller;

        caller_start(&caller, 1000);
        expect(&caller, ACQUIRE(TCP "," TCP ",{\"network\":\"udp4\",\"address\":\"127.0.0.1:0\"}"),
               "\"socketFileDescriptor\":2");
        cr_assert(eq(sz, caller.n_fds, 3));
        cr_assert(eq(sz, lease_registry_count(&caller.kit.services.leases), 3));
        kit_expect_told(&caller.kit, "acquired acquired acquired ");
        caller_end(&caller);
}
