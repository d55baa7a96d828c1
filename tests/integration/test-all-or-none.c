/* SPDX-License-Identifier: BSD-2-Clause */

/* A call whose second or third socket cannot be had leaves everything as it was. */

#include <sys/stat.h>

#include "tests/integration/acquire-kit.h"

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
        { "{'network':'tcp4','address':'127.0.0.1:0','weight':3}", "NotSupported" },
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
