/* SPDX-License-Identifier: BSD-2-Clause */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "client-lib/internal.h"
#include "tests/unit/leaks.h"

TestSuite(request, .timeout = 10);

#define expect_text(text, expected) cr_assert(eq(str, (char *)(text), (char *)(expected)))

/* ---- what is refused ---- */

static const struct {
        const char *spec;
        const char *hint; /* the message has this in it */
} bad_specs[] = {
        { "", "network:address" },
        { "tcp", "network:address" },
        { ":80", "network:address" },
        { "ip4:1", "network:address" },
        { "ip:icmp", "network:address" },
        { "tcp::80,", "comma" },
        { "tcp::80,,name=a", "key=value" },
        { "tcp::80,name=a,", "key=value" },
        { "tcp::80,name", "key=value" },
        { "tcp::80,=", "\"\"" },
        { "tcp::80,network=udp", "network" },
        { "tcp::80,address=:81", "address" },
        { "tcp::80,options=x", "options" },
        { "tcp::80,level=1", "level" },
        { "tcp::80,nodelay=yes", "did you mean noDelay?" },
        { "tcp::80,no_delay=yes", "did you mean noDelay?" },
        { "tcp::80,receivebufer=1", "did you mean receiveBuffer?" },
        { "tcp::80,BACKLOG=1", "did you mean backlog?" },
        { "tcp::80,somethingquitedifferentfromanykeythereis=1", "no option" },
        { "tcp::80,sharing=", "exclusive, shared, group" },
        { "tcp::80,sharing=Group", "exclusive, shared, group" },
        { "tcp::80,steering=random", "hash, roundRobin, leastLoad, cpu, source" },
        { "tcp::80,noDelay=", "neither yes nor no" },
        { "tcp::80,noDelay=maybe", "neither yes nor no" },
        { "tcp::80,noDelay=YES", "neither yes nor no" },
        { "tcp::80,backlog=", "decimal" },
        { "tcp::80,backlog=-", "decimal" },
        { "tcp::80,backlog=+1", "decimal" },
        { "tcp::80,backlog= 1", "decimal" },
        { "tcp::80,backlog=1 ", "decimal" },
        { "tcp::80,backlog=0x10", "decimal" },
        { "tcp::80,backlog=1.5", "decimal" },
        { "tcp::80,backlog=9223372036854775808", "decimal" },
        { "tcp::80,backlog=-9223372036854775808", "decimal" },
        { "tcp::80,raw=", "LEVEL:NAME:HEX" },
        { "tcp::80,raw=1:2", "LEVEL:NAME:HEX" },
        { "tcp::80,raw=1:2:abc", "LEVEL:NAME:HEX" },
        { "tcp::80,raw=1:2:gg", "LEVEL:NAME:HEX" },
        { "tcp::80,raw=1:2:00:00", "LEVEL:NAME:HEX" },
        { "tcp::80,raw=x:2:00", "LEVEL:NAME:HEX" },
        { "tcp::80,raw=1:2:00+", "LEVEL:NAME:HEX" },
        { "unix:/\xff", "UTF-8" },
        { "unix:/\xc0\xaf", "UTF-8" },
        { "unix:/\xed\xa0\x80", "UTF-8" },
        { "unix:/\xf4\x90\x80\x80", "UTF-8" },
        { "unix:/\xe2\x82", "UTF-8" },
        { "tcp::80,name=\x80", "UTF-8" },
        { "udp::80,multicastGroups=\x80", "UTF-8" },
};

Test(request, bad_spec_adds_nothing) {
        reuse_request *request;

        cr_assert(zero(int, reuse_request_new(&request)));
        for (size_t i = 0; i < sizeof(bad_specs) / sizeof(bad_specs[0]); i++) {
                reuse_error *error = NULL;

                cr_assert(eq(int, reuse_request_add_spec(request, bad_specs[i].spec, &error), -EINVAL),
                          "%s", bad_specs[i].spec);
                cr_assert(ne(ptr, strstr(reuse_error_get_message(error), bad_specs[i].hint), NULL),
                          "%s: %s", bad_specs[i].spec, reuse_error_get_message(error));
                error = reuse_error_free(error);
                cr_assert(eq(int, reuse_request_add_spec(request, bad_specs[i].spec, NULL), -EINVAL));
                cr_assert(zero(sz, reuse_request_count(request)));
        }
        reuse_request_free(request);
        leaks_expect_none();
}

Test(request, refused_value_changes_nothing) {
        static const char *const keys[] = { "name",    "sharing",         "backlog",
                                            "noDelay", "multicastGroups", "raw" };
        static const char *const bad[] = { "\xff", "x", "x", "x", "\xff", "1:2:3" };
        SocketRequest before;
        reuse_request *request;

        cr_assert(zero(int, reuse_request_new(&request)));
        cr_assert(zero(int, reuse_request_add_spec(request,
                                                   "udp::80,name=a,sharing=shared,backlog=1,noDelay=yes,"
                                                   "multicastGroups=224.0.0.1,raw=1:2:00",
                                                   NULL)));
        before = request->sockets[0];
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                cr_assert(eq(int, reuse_request_set(request, keys[i], bad[i], NULL), -EINVAL), "%s",
                          keys[i]);
        cr_assert(eq(ptr, (void *)request->sockets[0].name, (void *)before.name));
        cr_assert(eq(int, request->sockets[0].sharing, SHARING_SHARED));
        cr_assert(eq(i64, request->sockets[0].options->backlog, 1));
        cr_assert(eq(int, request->sockets[0].options->no_delay, 1));
        cr_assert(eq(sz, request->sockets[0].options->multicast_groups.n, 1));
        cr_assert(eq(sz, request->sockets[0].options->raw.n, 1));
        reuse_request_free(request);
}

Test(request, wrong_arguments) {
        reuse_error *error = NULL;
        reuse_request *request;

        cr_assert(eq(int, reuse_request_new(NULL), -EINVAL));
        cr_assert(zero(int, reuse_request_new(&request)));
        cr_assert(eq(int, reuse_request_set(request, "name", "a", &error), -EINVAL));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), "yet"), NULL));
        error = reuse_error_free(error);
        cr_assert(eq(int, reuse_request_add(request, NULL, ":80"), -EINVAL));
        cr_assert(eq(int, reuse_request_add(request, "tcp", NULL), -EINVAL));
        cr_assert(eq(int, reuse_request_add(NULL, "tcp", ":80"), -EINVAL));
        cr_assert(eq(int, reuse_request_add(request, "t\x80", ":80"), -EINVAL));
        cr_assert(eq(int, reuse_request_add_spec(request, NULL, &error), -EINVAL));
        error = reuse_error_free(error);
        cr_assert(eq(int, reuse_request_add_spec(NULL, "tcp::80", NULL), -EINVAL));
        cr_assert(zero(int, reuse_request_add(request, "tcp", ":80")));
        cr_assert(eq(int, reuse_request_set(request, NULL, "a", NULL), -EINVAL));
        cr_assert(eq(int, reuse_request_set(request, "name", NULL, NULL), -EINVAL));
        cr_assert(eq(int, reuse_request_set(NULL, "name", "a", NULL), -EINVAL));
        cr_assert(eq(int, reuse_request_set_lifetime(request, "ever"), -EINVAL));
        cr_assert(eq(int, reuse_request_set_lifetime(request, NULL), -EINVAL));
        cr_assert(eq(int, reuse_request_set_lifetime(NULL, "process"), -EINVAL));
        cr_assert(eq(int, request->lifetime, -1));
        cr_assert(zero(sz, reuse_request_count(NULL)));
        cr_assert(eq(ptr, reuse_request_free(NULL), NULL));
        reuse_request_free(request);
        leaks_expect_none();
}

Test(request, no_more_than_the_protocol_has) {
        reuse_error *error = NULL;
        reuse_request *request;

        cr_assert(zero(int, reuse_request_new(&request)));
        for (int i = 0; i < SOCKETS_MAX; i++)
                cr_assert(eq(int, reuse_request_add_spec(request, "tcp::80", NULL), i));
        cr_assert(eq(int, reuse_request_add_spec(request, "tcp::80", &error), -E2BIG));
        cr_assert(eq(int, reuse_error_get_errno(error), -E2BIG));
        cr_assert(eq(int, reuse_request_add(request, "tcp", ":80"), -E2BIG));
        cr_assert(eq(sz, reuse_request_count(request), SOCKETS_MAX));
        reuse_error_free(error);
        reuse_request_free(request);
}

/* ---- what is understood ---- */

static const struct {
        const char *spec, *network, *address, *name;
} good_specs[] = {
        { "tcp:[::1]:80,sharing=group,name=web", "tcp", "[::1]:80", "web" },
        { "unix:/run/x.sock,name=a", "unix", "/run/x.sock", "a" },
        { "tcp::80", "tcp", ":80", NULL },
        { "tcp:", "tcp", "", NULL },
        { "unix:@abs", "unix", "@abs", NULL },
        { "unix:/a:b", "unix", "/a:b", NULL },
        { "unix:/a\\,b,name=x\\,y", "unix", "/a,b", "x,y" },
        { "unix:/a\\b", "unix", "/a\\b", NULL },
        { "unix:/[a,name=n", "unix", "/[a", "n" },
        { "unix:/\xe2\x82\xac\xf0\x9f\x98\x80", "unix", "/\xe2\x82\xac\xf0\x9f\x98\x80", NULL },
        { "tcp6:[fe80::1%eth,0]:80,name=n", "tcp6", "[fe80::1%eth,0]:80", "n" },
        { "tcp:[::1,name=n", "tcp", "[::1", "n" },
        { "tcp:127.0.0.1:8000-8010,name=", "tcp", "127.0.0.1:8000-8010", "" },
        { "tcp::80,name=a=b", "tcp", ":80", "a=b" },
        { "tcp::80,name=a,name=b", "tcp", ":80", "b" },
        { "ip4:1:127.0.0.1,name=n", "ip4:1", "127.0.0.1", "n" },
        { "ip:icmp:127.0.0.1", "ip:icmp", "127.0.0.1", NULL },
        { "ip6:58:::1", "ip6:58", "::1", NULL },
        { "ip5:127.0.0.1", "ip5", "127.0.0.1", NULL },
        { "ipx:y:z", "ipx", "y:z", NULL },
        { "vsock:3:80", "vsock", "3:80", NULL },
};

Test(request, good_spec) {
        reuse_request *request;

        cr_assert(zero(int, reuse_request_new(&request)));
        for (int i = 0; i < (int)(sizeof(good_specs) / sizeof(good_specs[0])); i++) {
                const SocketRequest *socket = &request->sockets[i];

                cr_assert(eq(int, reuse_request_add_spec(request, good_specs[i].spec, NULL), i), "%s",
                          good_specs[i].spec);
                expect_text(socket->network, good_specs[i].network);
                expect_text(socket->address, good_specs[i].address);
                if (good_specs[i].name)
                        expect_text(socket->name, good_specs[i].name);
                else
                        cr_assert(eq(ptr, (void *)socket->name, NULL));
                cr_assert(eq(ptr, socket->options, NULL));
        }
        reuse_request_free(request);
        leaks_expect_none();
}

Test(request, every_type_of_value) {
        const SocketRequest *socket;
        reuse_request *request;
        const RawOption *raw;

        cr_assert(zero(int, reuse_request_new(&request)));
        cr_assert(
                zero(int, reuse_request_add_spec(
                                  request,
                                  "udp:224.0.0.1:80,sharing=exclusive,steering=cpu,weight=7,"
                                  "standby=on,retainSec=-1,networkNamespace=blue,samePortAs=3,noDelay=0,"
                                  "priority=9223372036854775807,broadcast=false,"
                                  "multicastGroups=224.0.0.1+224.0.0.2,raw=1:-2:00fF+3:4:",
                                  NULL)));
        socket = &request->sockets[0];
        cr_assert(eq(int, socket->sharing, SHARING_EXCLUSIVE));
        expect_text(wire_steering[socket->steering], "cpu");
        cr_assert(eq(i64, socket->weight, 7));
        cr_assert(eq(int, socket->standby, 1));
        cr_assert(eq(i64, socket->retain_sec, -1));
        expect_text(socket->network_namespace, "blue");
        cr_assert(eq(i64, socket->same_port_as, 3));
        cr_assert(zero(int, socket->options->no_delay));
        cr_assert(zero(int, socket->options->broadcast));
        cr_assert(eq(int, socket->options->keep_alive, TRISTATE_ABSENT));
        cr_assert(eq(i64, socket->options->priority, INT64_MAX));
        cr_assert(eq(i64, socket->options->backlog, WIRE_ABSENT));
        cr_assert(eq(sz, socket->options->multicast_groups.n, 2));
        expect_text(((const char **)socket->options->multicast_groups.items)[1], "224.0.0.2");
        cr_assert(eq(sz, socket->options->raw.n, 2));
        raw = socket->options->raw.items;
        cr_assert(eq(i64, raw[0].level, 1));
        cr_assert(eq(i64, raw[0].name, -2));
        expect_text(raw[0].value, "00fF");
        expect_text(raw[1].value, "");
        reuse_request_free(request);
        leaks_expect_none();
}

/* Each key of the interface that can be set, by a value of its type. */
Test(request, every_key) {
        static const Record *const records[] = { &wire_socket_request, &wire_options };
        static const char *const values[] = {
                [FIELD_STRING] = "text", [FIELD_INT] = "1",       [FIELD_BOOL] = "yes",
                [FIELD_RECORD] = NULL,   [FIELD_STRINGS] = "a+b", [FIELD_RECORDS] = "1:2:00",
        };
        reuse_request *request;
        int n = 0;

        cr_assert(zero(int, reuse_request_new(&request)));
        cr_assert(zero(int, reuse_request_add(request, "tcp", ":80")));
        for (int i = 0; i < 2; i++)
                for (size_t j = 0; j < records[i]->n_fields; j++) {
                        const Field *field = &records[i]->fields[j];
                        const char *value =
                                field->type == FIELD_ENUM ? field->symbols[0] : values[field->type];

                        if (!field->nullable || !value)
                                continue;
                        cr_assert(zero(int, reuse_request_set(request, field->name, value, NULL)), "%s",
                                  field->name);
                        n++;
                }
        cr_assert(eq(int, n, 38));
        cr_assert(zero(int, reuse_request_set_lifetime(request, "process")));
        cr_assert(eq(int, request->lifetime, LIFETIME_PROCESS));
        cr_assert(zero(int, reuse_request_set_lifetime(request, "descriptor")));
        cr_assert(eq(int, request->lifetime, LIFETIME_DESCRIPTOR));
        cr_assert(zero(int, reuse_request_set_lifetime(request, "connection")));
        cr_assert(eq(int, request->lifetime, LIFETIME_CONNECTION));
        reuse_request_free(request);
        leaks_expect_none();
}
