/* SPDX-License-Identifier: BSD-2-Clause */

/* A call whose second or third socket cannot be had leaves everything as it was. */

#include <sys/stat.h>

#include "tests/integration/parking-kit.h"

TestSuite(all_or_none, .timeout = 60);

static void expect_status(int control, long long endpoints, long long leases) {
        json_auto_t *reply = kit_call(control, "GetStatus", "{}");

        cr_assert(eq(llong, kit_number(reply, "parameters.endpoints"), endpoints));
        cr_assert(eq(llong, kit_number(reply, "parameters.leases"), leases));
}

/* A port that is free now. */
static int free_port(int type) {
        struct sockaddr_storage bound;
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        _cleanup_(fd_closep) int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

        cr_assert(zero(int, bind(fd, (struct sockaddr *)&in, sizeof(in))));
        kit_bound_address(fd, &bound);
        return ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

/* The test itself can have it, without asking to share. */
static void expect_bindable(int type, int port) {
        struct sockaddr_in in = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = { htonl(INADDR_LOOPBACK) } };
        _cleanup_(fd_closep) int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

        cr_assert(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0, "port %d: %m", port);
}

/* What goes wrong with the second socket, at each stage there is. */
static const struct {
        const char *request;
        const char *error;
} failures[] = {
        { "{'network':'tcp5','address':'127.0.0.1:0'}", "NetworkUnknown" },
        { "{'network':'tcp4','address':'127.0.0.1'}", "AddressInvalid" },
        { "{'network':'tcp4','address':'127.0.0.1:0','networkNamespace':'x'}", "PolicyDenied" },
        { "{'network':'tcp4','address':'127.0.0.1:0','options':{'timeToLive':0}}", "OptionInvalid" },
        { "{'network':'tcp4','address':'127.0.0.1:0','options':{'congestion':'none-such'}}",
          "OptionInvalid" },
        { "{'network':'tcp4','address':'127.0.0.1:9'}", "PolicyDenied" },
        { "{'network':'tcp4','address':'192.0.2.1:0'}", "AddressUnavailable" },
        { "{'network':'unix','address':'/none/such/folder'}", "SystemFailure" },
        { "{'network':'unix','address':'/tmp'}", "AddressInUse" },
};

Test(all_or_none, nothing_remains) {
        Kit kit;
        char path[128];
        struct stat st;
        int control, watch;

        kit_start(&kit,
                  "[Broker]\nRetainSec=0\n[Rule no]\nUser=*\nPort=9\nAllow=no\n[Rule all]\nUser=*\n");
        control = harness_connect(&kit.harness);
        watch = kit_watch(&kit, control);
        snprintf(path, sizeof(path), "%s/first", kit.harness.folder);
        for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
                int tcp = free_port(SOCK_STREAM), udp = free_port(SOCK_DGRAM);

                json_decref(kit_refused(control, failures[i].error,
                                        "{'network':'tcp4','address':'127.0.0.1:%d','name':'first'},"
                                        "{'network':'unix','address':'%s'},%s,"
                                        "{'network':'udp4','address':'127.0.0.1:%d'}",
                                        tcp, path, failures[i].request, udp));
                expect_status(control, 0, 0);
                expect_bindable(SOCK_STREAM, tcp);
                expect_bindable(SOCK_DGRAM, udp);
                cr_assert(eq(int, lstat(path, &st), -1));
                /* Nobody was told of what never was, and of a denial once. */
                if (strcmp(failures[i].error, "PolicyDenied") == 0)
                        json_decref(kit_event(watch, "denied"));
                cr_assert(zero(int, kit_is_readable(watch)));
        }
        close(watch);
        close(control);
        kit_stop(&kit);
}

/* The sockets that were given before stay with their holders. */
Test(all_or_none, earlier_leases_stay) {
        static const char *const sharings[] = { "shared", "group" };
        Kit kit;
        int control;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (int i = 0; i < 2; i++) {
                KitSocket held =
                        kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0','sharing':'%s'}",
                                    sharings[i]);

                json_decref(kit_refused(control, "AddressUnavailable",
                                        "{'network':'tcp4','address':'%s','sharing':'%s'},"
                                        "{'network':'tcp4','address':'%s','sharing':'%s'},"
                                        "{'network':'tcp4','address':'192.0.2.1:0'}",
                                        kit_address(&held), sharings[i], kit_address(&held),
                                        sharings[i]));
                expect_status(control, 1, 1);
                for (int j = 0; j < 20; j++)
                        kit_expect_served(held.fd);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

/* The limit of leases is met in the middle of a call. */
Test(all_or_none, limit_of_leases) {
        Kit kit;
        KitSocket held[2];
        int control;

        kit_start(&kit, "[Broker]\nRetainSec=0\nMaxLeasesPerUser=2\n[Rule all]\nUser=*\n");
        control = harness_connect(&kit.harness);
        for (int i = 0; i < 3; i++) {
                json_auto_t *reply = kit_refused(control, "QuotaExceeded",
                                                 "{'network':'tcp4','address':'127.0.0.1:0'},"
                                                 "{'network':'tcp4','address':'127.0.0.1:0'},"
                                                 "{'network':'tcp4','address':'127.0.0.1:0'}");

                cr_assert(eq(llong, kit_number(reply, "parameters.limit"), 2));
                expect_status(control, 0, 0);
        }
        /* What was charged for has been given back. */
        for (int i = 0; i < 2; i++)
                held[i] = kit_acquire(control, "{'network':'tcp4','address':'127.0.0.1:0'}");
        expect_status(control, 2, 2);
        for (int i = 0; i < 2; i++)
                kit_drop(&held[i]);
        close(control);
        kit_stop(&kit);
}

/* ---- endpoints that were there before ---------------------------------------------------------- */

/* They stay after the last lease, and the test holds on to their sockets to look at them. */
#define BEFORE_CONFIG "[Broker]\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n"

/* A socket whose holder has gone, but for the copy that the test looks through. */
static KitSocket park(Scene *scene, const char *request) {
        int lost = harness_connect(&scene->kit.harness);
        KitSocket held = kit_acquire(lost, "%s", request);

        close(lost);
        json_decref(kit_event(scene->watch, "acquired"));
        json_decref(kit_event(scene->watch, "released"));
        json_decref(kit_event(scene->watch, "parked"));
        return held;
}

static void expect_described_as(Scene *scene, const KitSocket *held, const json_t *before) {
        json_auto_t *after = kit_describe(scene->control, held);
        cr_assert(json_equal((json_t *)before, after), "%s", json_dumps(after, 0));
}

static void expect_no_name(Scene *scene, const char *name) {
        json_decref(kit_expect_error(kit_call(scene->control, "List", "{'endpoint':'%s'}", name),
                                     "NoSuchEndpoint"));
}

/* The ways in which an Acquire comes to nothing once its first socket is there. */
enum { SECOND_REFUSED, TWICE_THEN_REFUSED, NOBODY_TO_ANSWER, _WAYS_N };

static void acquire_in_vain(Scene *scene, int way, const char *request) {
        static const char bad[] = "{'network':'tcp4','address':'192.0.2.1:0'}";
        char parameters[2048];
        int gone;

        if (way != NOBODY_TO_ANSWER) {
                json_decref(kit_refused(scene->control, "AddressUnavailable", "%s%s%s,%s", request,
                                        way == TWICE_THEN_REFUSED ? "," : "",
                                        way == TWICE_THEN_REFUSED ? request : "", bad));
                return;
        }
        gone = harness_connect(&scene->kit.harness);
        cr_assert(zero(int, shutdown(gone, SHUT_RD)));
        snprintf(parameters, sizeof(parameters), "{'sockets':[%s]}", request);
        kit_send(gone, "Acquire", "", parameters);
        /* The broker hangs up when it cannot answer, and by then it has undone the call. */
        cr_assert(eq(int, poll(&(struct pollfd){ .fd = gone, .events = 0 }, 1, KIT_PATIENCE_MSEC), 1));
        close(gone);
        kit_ping(scene->control);
}

Test(all_or_none, name_of_a_live_endpoint) {
        static const char *const sharings[] = { "shared", "group" };
        Scene scene;

        scene_open(&scene, BEFORE_CONFIG);
        for (int i = 0; i < 2 * _WAYS_N; i++) {
                KitSocket held, other;
                json_t *before;
                char request[256];

                held = kit_acquire(scene.control,
                                   "{'network':'tcp4','address':'127.0.0.1:0','sharing':'%s'}",
                                   sharings[i % 2]);
                before = kit_describe(scene.control, &held);
                snprintf(request, sizeof(request),
                         "{'network':'tcp4','address':'%s','sharing':'%s','name':'web'}",
                         kit_address(&held), sharings[i % 2]);
                acquire_in_vain(&scene, i / 2, request);
                expect_described_as(&scene, &held, before);
                expect_no_name(&scene, "web");
                other = kit_acquire(scene.control,
                                    "{'network':'udp4','address':'127.0.0.1:0','name':'web'}");
                kit_expect_served(held.fd);
                kit_release(scene.control, &other);
                kit_release(scene.control, &held);
                json_decref(before);
        }
        scene_close(&scene);
}

/* What a parked socket is, and what the call that fails would make of it. */
static const struct {
        const char *network;
        const char *before, *wanted;
        int level, name;
} changes[] = {
        { "tcp4", "'name':'old'", "'name':'new'", SOL_SOCKET, SO_REUSEPORT },
        { "tcp4", "'retainSec':3600", "'retainSec':0", SOL_SOCKET, SO_REUSEPORT },
        { "tcp4", "'sharing':'exclusive'", "'sharing':'group'", SOL_SOCKET, SO_REUSEPORT },
        { "tcp4", "'sharing':'group'", "'sharing':'shared'", SOL_SOCKET, SO_REUSEPORT },
        { "udp4", "'sharing':'group'", "'sharing':'shared'", SOL_SOCKET, SO_REUSEPORT },
        { "udp4", "'sharing':'shared'", "'sharing':'group'", SOL_SOCKET, SO_REUSEPORT },
        { "tcp4", "'options':{'timeToLive':9}", "'options':{'timeToLive':10}", SOL_IP, IP_TTL },
        { "tcp4", "'name':'old'", "'options':{'timeToLive':10,'backlog':6}", SOL_IP, IP_TTL },
        { "tcp4", "'options':{'receiveBuffer':65536}", "'options':{'receiveBuffer':8192}", SOL_SOCKET,
          SO_RCVBUF },
        { "tcp4", "'name':'old'", "'options':{'lingerSec':2}", SOL_SOCKET, SO_LINGER },
        { "udp4", "'name':'old'", "'options':{'broadcast':false,'typeOfService':16}", SOL_SOCKET,
          SO_PRIORITY },
};

/* TWICE_THEN_REFUSED would be refused for another reason where the sharing is not given. */
Test(all_or_none, parked_socket) {
        Scene scene;

        scene_open(&scene, BEFORE_CONFIG);
        for (size_t i = 0; i < 2 * sizeof(changes) / sizeof(changes[0]); i++) {
                KitSocket held, next;
                json_t *before;
                char request[256];
                int option;

                snprintf(request, sizeof(request), "{'network':'%s','address':'127.0.0.1:0',%s}",
                         changes[i / 2].network, changes[i / 2].before);
                held = park(&scene, request);
                before = kit_describe(scene.control, &held);
                option = kit_int_option(held.fd, changes[i / 2].level, changes[i / 2].name);
                snprintf(request, sizeof(request), "{'network':'%s','address':'%s',%s}",
                         changes[i / 2].network, kit_address(&held), changes[i / 2].wanted);
                acquire_in_vain(&scene, i % 2 ? SECOND_REFUSED : NOBODY_TO_ANSWER, request);
                expect_described_as(&scene, &held, before);
                cr_assert(eq(int, kit_int_option(held.fd, changes[i / 2].level, changes[i / 2].name),
                             option));
                expect_no_name(&scene, "new");
                /* Whoever wants it as it was gets it so. */
                next = kit_acquire(scene.control, "{'network':'%s','address':'%s',%s}",
                                   changes[i / 2].network, kit_address(&held), changes[i / 2].before);
                cr_assert(kit_true(next.reply, "adopted"));
                kit_expect_served(next.fd);
                json_decref(before);
                kit_release(scene.control, &next);
                kit_drop(&held);
                json_decref(kit_event(scene.watch, "adopted"));
                json_decref(kit_event(scene.watch, "released"));
                json_decref(kit_event(scene.watch, "closed"));
        }
        scene_close(&scene);
}

/* The second socket takes the name that the first one gave up. */
Test(all_or_none, names_passed_on) {
        KitSocket held;
        json_t *before;
        Scene scene;

        scene_open(&scene, BEFORE_CONFIG);
        held = park(&scene, "{'network':'tcp4','address':'127.0.0.1:0','name':'old'}");
        before = kit_describe(scene.control, &held);
        json_decref(kit_refused(scene.control, "AddressUnavailable",
                                "{'network':'tcp4','address':'%s','name':'new'},"
                                "{'network':'udp4','address':'127.0.0.1:0','name':'old'},"
                                "{'network':'tcp4','address':'%s'},"
                                "{'network':'tcp4','address':'192.0.2.1:0'}",
                                kit_address(&held), kit_address(&held)));
        expect_described_as(&scene, &held, before);
        expect_no_name(&scene, "new");
        json_decref(before);
        kit_drop(&held);
        held = kit_acquire(scene.control, "{'network':'tcp4','address':'127.0.0.1:0','name':'old'}");
        cr_assert(kit_true(held.reply, "adopted"));
        kit_release(scene.control, &held);
        scene_close(&scene);
}
