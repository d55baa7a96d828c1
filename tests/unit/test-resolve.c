/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Names to numbers, by an /etc of the test's own: hosts, services and nothing else, so that no name
 * server is asked. The numbers in the names of tests are those of the behaviours of go-reuseport (s2)
 * and of Go's net (s3) that they hold the library to.
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/internal.h"
#include "tests/unit/etc-kit.h"
#include "tests/unit/leaks.h"

TestSuite(resolve, .timeout = 30);

#define expect_text(text, expected) cr_assert(eq(str, (char *)(text), (char *)(expected)))
#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

static void private_etc(void) {
        etc_kit_setup("192.0.2.99 localhost\n"
                      "192.0.2.1 four four.example\n"
                      "2001:db8::6 six\n"
                      "2001:db8::64 both\n"
                      "192.0.2.64 both\n"
                      "192.0.2.65 both\n"
                      "::ffff:192.0.2.5 mapped\n",
                      "http 80/tcp www\n"
                      "only-tcp 1000/tcp\n"
                      "only-udp 2000/udp\n"
                      "differs 3000/tcp\n"
                      "differs 3001/udp\n"
                      "8080x 8080/tcp\n");
}

/* Consumes @error. */
static void expect_error(reuse_error *error, int number, const char *words) {
        cr_assert(error != NULL);
        cr_assert(eq(int, reuse_error_get_errno(error), number), "%s", reuse_error_get_message(error));
        cr_assert(strstr(reuse_error_get_message(error), words) != NULL, "\"%s\" is not in \"%s\"",
                  words, reuse_error_get_message(error));
        cr_assert(reuse_error_get_name(error) == NULL);
        reuse_error_free(error);
}

/* ---- what is refused ---- */

static const struct {
        const char *network;
        const char *address;
        int number;
        const char *words;
} refused[] = {
        { "tcp", "nowhere:80", -ENXIO, "lookup nowhere: no such host" },
        { "udp", "nowhere:80", -ENXIO, "lookup nowhere: no such host" },
        { "ip4:1", "nowhere", -ENXIO, "lookup nowhere: no such host" },
        { "tcp", "[nowhere]:80", -ENXIO, "lookup nowhere: no such host" },
        { "tcp", "four :80", -ENXIO, "no such host" },
        { "tcp", " four:80", -ENXIO, "no such host" },
        { "tcp", "fo\tur:80", -ENXIO, "no such host" },
        /* What inet_aton() takes beyond four decimal numbers. */
        { "tcp", "0x7f000001:80", -ENXIO, "lookup 0x7f000001: no such host" },
        { "tcp", "0x7f.1:80", -ENXIO, "no such host" },
        { "tcp", "127.0.0.1 :80", -ENXIO, "no such host" },
        { "tcp6", "four:80", -EINVAL, "lookup four: no suitable address found: four has none of IPv6" },
        { "udp6", "four.example:80", -EINVAL, "no suitable address found" },
        { "tcp6", "mapped:80", -EINVAL, "no suitable address found" },
        { "tcp4", "six:80", -EINVAL, "lookup six: no suitable address found: six has none of IPv4" },
        { "ip4:1", "six", -EINVAL, "no suitable address found" },
        { "tcp", ":nothing", -EINVAL, "lookup tcp/nothing: unknown port" },
        { "tcp4", ":nothing", -EINVAL, "lookup tcp4/nothing: unknown port" },
        { "tcp", ":only-udp", -EINVAL, "lookup tcp/only-udp: unknown port" },
        { "udp", ":only-tcp", -EINVAL, "lookup udp/only-tcp: unknown port" },
        { "sctp", ":only-udp", -EINVAL, "unknown port" },
        { "tcp", ":HTTP ", -EINVAL, "unknown port" },
        { "tcp", ":http-https", -EINVAL, "unknown port" },
        { "tcp", ":80-http", -EINVAL, "unknown port" },
        { "tcp", ": 80", -EINVAL, "unknown port" },
        { "tcp", ":\n80", -EINVAL, "unknown port" },
        { "tcp", ":80 ", -EINVAL, "unknown port" },
        { "tcp", ":0x50", -EINVAL, "unknown port" },
        { "tcp", "[::1]:nothing", -EINVAL, "unknown port" },
        /* The port first, as Go does it. */
        { "tcp", "nowhere:nothing", -EINVAL, "unknown port" },
};

Test(resolve, s3_2_names_that_are_not_there) {
        char buffer[128];

        private_etc();
        for (size_t i = 0; i < ELEMENTS(refused); i++) {
                reuse_error *error = NULL;
                int r;

                strcpy(buffer, "as before");
                r = reuse_resolve(refused[i].network, refused[i].address, buffer, sizeof(buffer),
                                  &error);
                cr_assert(eq(int, r, refused[i].number), "%s %s: %s", refused[i].network,
                          refused[i].address, r == 0 ? buffer : reuse_error_get_message(error));
                expect_error(error, refused[i].number, refused[i].words);
                expect_text(buffer, "as before");
                cr_assert(eq(int,
                             reuse_resolve(refused[i].network, refused[i].address, buffer,
                                           sizeof(buffer), NULL),
                             refused[i].number));
        }
        leaks_expect_none();
}

Test(resolve, wrong_arguments) {
        reuse_error *error = NULL;
        char buffer[16] = "";

        cr_assert(eq(int, reuse_resolve(NULL, ":80", buffer, sizeof(buffer), &error), -EINVAL));
        expect_error(error, -EINVAL, "are needed");
        cr_assert(eq(int, reuse_resolve("tcp", NULL, buffer, sizeof(buffer), NULL), -EINVAL));
        cr_assert(eq(int, reuse_resolve("tcp", ":80", NULL, sizeof(buffer), NULL), -EINVAL));
        cr_assert(eq(int, reuse_request_resolve(NULL, &error), -EINVAL));
        expect_error(error, -EINVAL, "a request is needed");

        cr_assert(eq(int, reuse_resolve("tcp", ":80", buffer, 0, &error), -ENAMETOOLONG));
        expect_error(error, -ENAMETOOLONG, "\":80\" does not fit into 0 bytes");
        cr_assert(eq(int, reuse_resolve("tcp", ":80", buffer, 3, NULL), -ENAMETOOLONG));
        expect_text(buffer, "");
        cr_assert(zero(int, reuse_resolve("tcp", ":80", buffer, 4, &error)));
        cr_assert(error == NULL);
        expect_text(buffer, ":80");
}

/* It may be there; so that is said, and not that there is no such host. */
Test(resolve, no_name_server_answers) {
        reuse_error *error = NULL;
        char buffer[128];

        private_etc();
        /* Nobody is at port 53 of a network without interfaces that are up. */
        cr_assert(zero(int, unshare(CLONE_NEWNET)));
        etc_kit_write("/etc/nsswitch.conf", "hosts: files dns\nservices: files\n");
        etc_kit_write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
        cr_assert(eq(int, reuse_resolve("tcp", "web.example:80", buffer, sizeof(buffer), &error),
                     -EAGAIN));
        expect_error(error, -EAGAIN, "lookup web.example: no name server answers now");
        cr_assert(zero(int, reuse_resolve("tcp", "four:80", buffer, sizeof(buffer), NULL)));
        expect_text(buffer, "192.0.2.1:80");
}

/* ---- what has no name in it is the broker's to judge ---- */

static const char *const copied[][2] = {
        { "tcp", "" },
        { "tcp", ":" },
        { "tcp", ":0" },
        { "tcp", ":80" },
        { "tcp", ":000080" },
        { "tcp", ":+80" },
        { "tcp", ":-1" },
        { "tcp", ":99999" },
        { "tcp", "127.0.0.1:80" },
        { "tcp", "127.0.0.1:" },
        { "tcp", "127.0.0.1:8000-8099" },
        { "tcp", "[::1]:80" },
        { "tcp6", "[fe80::1%nosuch]:80" },
        { "tcp4", "[::1]:80" },
        { "tcp6", "127.0.0.1:80" },
        { "udp", "239.255.255.250:3702" },
        /* Malformed. */
        { "tcp", "127.0.0.1" },
        { "tcp", "four" },
        { "tcp", "::1:80" },
        { "tcp", "[::1:80" },
        { "tcp", "[::1]80" },
        { "tcp", "[four:80" },
        { "tcp", "four]:80" },
        { "tcp", "[]:80" },
        { "tcp", "[:80" },
        { "tcp", "127.1:80" },
        { "tcp", "2130706433:80" },
        { "tcp", "127.0.0.01:80" },
        { "tcp", "300.0.0.1:80" },
        { "tcp", "four%lo:80" },
        /* Networks without names, and what is no network. */
        { "unix", "/run/four:http" },
        { "unix", "@four:http" },
        { "unixgram", "/four" },
        { "unixpacket", "/four" },
        { "vsock", "2:http" },
        { "ip", "four" },
        { "ip4:1", "127.0.0.1" },
        { "ip6:58", "::1" },
        { "ip:1", "" },
        { "tcp:80", "four:http" },
        { "tcp5", "four:http" },
        { "TCP", "four:http" },
        { "tc", "four:http" },
        { "4", "four:http" },
        { "", "four:http" },
};

Test(resolve, s3_2_what_has_no_names) {
        char buffer[128];

        private_etc();
        for (size_t i = 0; i < ELEMENTS(copied); i++) {
                cr_assert(zero(int,
                               reuse_resolve(copied[i][0], copied[i][1], buffer, sizeof(buffer), NULL)),
                          "%s %s", copied[i][0], copied[i][1]);
                cr_assert(eq(str, buffer, (char *)copied[i][1]), "%s", copied[i][0]);
        }
        leaks_expect_none();
}

/* ---- names ---- */

static void expect_resolved(const char *const rows[][3], size_t n) {
        char buffer[128];

        private_etc();
        for (size_t i = 0; i < n; i++) {
                reuse_error *error = NULL;
                int r = reuse_resolve(rows[i][0], rows[i][1], buffer, sizeof(buffer), &error);

                cr_assert(zero(int, r), "%s %s: %s", rows[i][0], rows[i][1],
                          reuse_error_get_message(error));
                cr_assert(error == NULL);
                cr_assert(eq(str, buffer, (char *)rows[i][2]), "%s %s", rows[i][0], rows[i][1]);
        }
        leaks_expect_none();
}

Test(resolve, s3_2_services) {
        static const char *const rows[][3] = {
                { "tcp", ":http", ":80" },
                { "tcp4", "127.0.0.1:www", "127.0.0.1:80" },
                { "tcp6", "[::1]:http", "[::1]:80" },
                { "tcp6", "[fe80::1%lo]:http", "[fe80::1%lo]:80" },
                { "mptcp", ":http", ":80" },
                { "sctp4", ":http", ":80" },
                { "tcp", ":differs", ":3000" },
                { "udp", ":differs", ":3001" },
                { "udplite6", ":differs", ":3001" },
                { "udp", ":only-udp", ":2000" },
                { "tcp", ":8080x", ":8080" },
                /* Still malformed. */
                { "tcp", "::1:http", "::1:80" },
        };

        expect_resolved(rows, ELEMENTS(rows));
}

/* One address, IPv4 first. */
Test(resolve, s3_3_one_address_of_a_host) {
        static const char *const rows[][3] = {
                { "tcp", "four:80", "192.0.2.1:80" },
                { "tcp4", "four.example:80", "192.0.2.1:80" },
                { "tcp", "FOUR:80", "192.0.2.1:80" },
                { "udp", "both:80", "192.0.2.64:80" },
                { "udp4", "both:80", "192.0.2.64:80" },
                { "udp6", "both:80", "[2001:db8::64]:80" },
                { "tcp", "six:80", "[2001:db8::6]:80" },
                { "tcp6", "six:", "[2001:db8::6]:" },
                { "tcp", "mapped:80", "192.0.2.5:80" },
                { "tcp4", "mapped:80", "192.0.2.5:80" },
                { "tcp", "four:8000-8099", "192.0.2.1:8000-8099" },
                { "mptcp", "both:http", "192.0.2.64:80" },
                { "ip4:icmp", "both", "192.0.2.64" },
                { "ip6:58", "both", "2001:db8::64" },
                { "ip:1", "six", "2001:db8::6" },
        };

        expect_resolved(rows, ELEMENTS(rows));
}

/* Unless the brackets say that IPv6 is meant. */
Test(resolve, s2_5_the_form_of_ipv6_prefers_it) {
        static const char *const rows[][3] = {
                { "tcp", "both:80", "192.0.2.64:80" },
                { "tcp", "[both]:80", "[2001:db8::64]:80" },
                { "udp6", "[both]:80", "[2001:db8::64]:80" },
                { "tcp4", "[both]:80", "192.0.2.64:80" },
                { "tcp", "[four]:80", "192.0.2.1:80" },
                { "tcp", "[localhost]:80", "[::1]:80" },
        };

        expect_resolved(rows, ELEMENTS(rows));
}

/* Whatever the file says. */
Test(resolve, s3_3_localhost) {
        static const char *const rows[][3] = {
                { "tcp", "localhost:http", "127.0.0.1:80" }, { "tcp4", "LocalHost:0", "127.0.0.1:0" },
                { "tcp6", "localhost:80", "[::1]:80" },      { "udp", "localhost:", "127.0.0.1:" },
                { "ip4:1", "localhost", "127.0.0.1" },       { "ip6:58", "localhost", "::1" },
        };

        expect_resolved(rows, ELEMENTS(rows));
}

/* ---- a request ---- */

/* Those that the broker knows are its to number. */
Test(resolve, s3_1_protocols_of_raw_ip) {
        static const char *const rows[][3] = {
                { "ip4:hmp:both", "ip4:20", "192.0.2.64" },        { "ip:HMP:", "ip:20", "" },
                { "ip4:icmp:both", "ip4:icmp", "192.0.2.64" },     { "ip6:58:::1", "ip6:58", "::1" },
                { "ip4:nosuch:both", "ip4:nosuch", "192.0.2.64" }, { "ip4::both", "ip4:", "192.0.2.64" },
        };
        _cleanup_(reuse_request_freep) reuse_request *request = NULL;

        private_etc();
        cr_assert(zero(int, reuse_request_new(&request)));
        for (size_t i = 0; i < ELEMENTS(rows); i++)
                cr_assert(ge(int, reuse_request_add_spec(request, rows[i][0], NULL), 0));
        cr_assert(zero(int, reuse_request_resolve(request, NULL)));
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                expect_text(request->sockets[i].network, rows[i][1]);
                expect_text(request->sockets[i].address, rows[i][2]);
        }
}

Test(resolve, a_whole_request) {
        _cleanup_(reuse_request_freep) reuse_request *request = NULL;
        reuse_error *error = NULL;

        private_etc();
        cr_assert(zero(int, reuse_request_new(&request)));
        cr_assert(zero(int, reuse_request_resolve(request, NULL)));
        cr_assert(ge(int, reuse_request_add_spec(request, "tcp:both:http,name=web", NULL), 0));
        cr_assert(ge(int, reuse_request_add_spec(request, "udp6:both:differs", NULL), 0));
        cr_assert(ge(int, reuse_request_add_spec(request, "unix:/run/s", NULL), 0));
        cr_assert(ge(int, reuse_request_add_spec(request, "tcp::nothing", NULL), 0));

        /* All or none. */
        cr_assert(eq(int, reuse_request_resolve(request, &error), -EINVAL));
        expect_error(error, -EINVAL, "lookup tcp/nothing: unknown port");
        expect_text(request->sockets[0].address, "both:http");
        expect_text(request->sockets[3].address, ":nothing");

        request->n--;
        for (int i = 0; i < 2; i++) {
                cr_assert(zero(int, reuse_request_resolve(request, &error)));
                cr_assert(error == NULL);
                expect_text(request->sockets[0].network, "tcp");
                expect_text(request->sockets[0].address, "192.0.2.64:80");
                expect_text(request->sockets[0].name, "web");
                expect_text(request->sockets[1].address, "[2001:db8::64]:3001");
                expect_text(request->sockets[2].address, "/run/s");
        }
}

/* The one-line calls look up first: there is no broker here. */
Test(resolve, s2_5_one_line_looks_up_first) {
        reuse_error *error = NULL;

        private_etc();
        cr_assert(zero(int, setenv("REUSEPORTD_SOCKET", "/nonexistent", 1)));
        cr_assert(eq(int, reuse_listen("tcp", "nowhere:80", NULL, &error), -ENXIO));
        expect_error(error, -ENXIO, "lookup nowhere: no such host");
        cr_assert(eq(int, reuse_listen_packet("udp", ":only-tcp", NULL, &error), -EINVAL));
        expect_error(error, -EINVAL, "lookup udp/only-tcp: unknown port");
        cr_assert(eq(int, reuse_listen("tcp", "both:http", NULL, &error), -ENOENT));
        reuse_error_free(error);
}
