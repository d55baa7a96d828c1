/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * parity NET-GO [SEED [N]]: random networks and addresses get the same verdict, family and port from
 * address_parse() as from Go's net, which NET-GO asks. Where the two differ on purpose, a row of
 * differences[] says so. Prints what differs otherwise; the exit status is 1 if anything does.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/families.h"
#include "proto/address.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

enum {
        CASES = 20000,
        TEXT_MAX = 96,
        TOLD_MAX = 20,
};

typedef struct Case {
        char network[16];
        char address[TEXT_MAX];
        /* address_parse() */
        int r;
        Address parsed;
        const char *reason;
        /* Go */
        bool go_ok;
        char go[256];
} Case;

static uint64_t state;

/* splitmix64 */
static uint32_t draw(uint32_t n) {
        uint64_t x = state += 0x9e3779b97f4a7c15;

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return (uint32_t)((x ^ x >> 31) >> 32) % n;
}

#define PICK(list) (list)[draw(ELEMENTS(list))]

/* ---- cases ---------------------------------------------------------------------------------------- */

static const char *const networks[] = { "tcp",        "tcp4",    "tcp6",   "udp",    "udp4",
                                        "udp6",       "tcp",     "udp",    "unix",   "unixgram",
                                        "unixpacket", "tcp5",    "TCP",    "tcp:80", "ip",
                                        "",           "upd",     "unix4",  "ip:1",   "ip4:icmp",
                                        "ip6:58",     "ip:OSPF", "ip4:",   "ip:01",  "ip4:256",
                                        "ip4:255",    "ip6:0",   "ip:foo", "ip:1:2", "ip4:+1" };
static const char *const hosts[] = {
        "",
        "0.0.0.0",
        "127.0.0.1",
        "localhost",
        "LocalHost",
        "10.1.2.3",
        "255.255.255.255",
        "256.1.1.1",
        "1.2.3",
        "01.2.3.4",
        "1.2.3.4.5",
        "::",
        "::1",
        "fe80::1",
        "2001:db8::1",
        "::ffff:1.2.3.4",
        "::ffff:0.0.0.0",
        "::1.2.3.4",
        "1::2::3",
        "0:0:0:0:0:0:0:1",
        "0:0:0:0:0:0:0:0:1",
        "12345::",
        "ff02::1",
        "239.255.255.250",
        "fe80::1%lo",
        "::1%lo",
        "127.0.0.1%lo",
        "no such host",
        "0x7f.1",
        "::ffff:7f00:1",
        "FE80::ABCD",
        "1:2:3:4:5:6:7::",
        "::ffff:01.2.3.4",
};
static const char *const ports[] = {
        "",      "0",     "1",     "80",         "65535",
        "65536", "99999", "00080", "0000000080", "+80",
        "+",     "+0",    "-80",   "-1",         "80-90",
        "8 0",   "0x50",  "http",  "4294967376", "18446744073709551696",
        "1e3",   "8080",  "53",
};
static const char *const unix_names[] = { "/run/a", "/run/../a", "a",       "@a", "@",
                                          "/",      "//a",       "/run/a/", "" };

static void make_address(bool raw, char *text) {
        const char *host = PICK(hosts), *port = ports[draw(draw(2) > 0 ? 5 : ELEMENTS(ports))];

        switch (raw && draw(8) > 0 ? 1 : draw(12)) {
        case 0: /* as it is, whatever colons there are */
                snprintf(text, TEXT_MAX, "%s:%s", host, port);
                break;
        case 1:
                snprintf(text, TEXT_MAX, "%s", host);
                break;
        default:
                snprintf(text, TEXT_MAX, strchr(host, ':') || draw(6) == 0 ? "[%s]:%s" : "%s:%s", host,
                         port);
        }
}

/* Takes a character away, doubles one, or puts another in. */
static void mutate(char *text) {
        static const char alphabet[] = "0123456789abcdef::..[[]]%+-/ @x";
        size_t n = strlen(text), at = draw((uint32_t)n + 1);

        if (n > 0 && at < n && draw(3) == 0)
                memmove(text + at, text + at + 1, n - at);
        else if (n + 1 < TEXT_MAX) {
                memmove(text + at + 1, text + at, n - at + 1);
                text[at] = alphabet[draw(sizeof(alphabet) - 1)];
        }
}

static bool is_raw(const Case *c) {
        return strncmp(c->network, "ip", 2) == 0;
}

static void make_case(Case *c) {
        /* The first are the ones that there are. */
        snprintf(c->network, sizeof(c->network), "%s",
                 networks[draw(draw(4) > 0 ? 6 : ELEMENTS(networks))]);
        if (strncmp(c->network, "unix", 4) == 0 && draw(8) > 0)
                snprintf(c->address, sizeof(c->address), "%s", PICK(unix_names));
        else
                make_address(is_raw(c), c->address);
        for (uint32_t i = draw(4); i > 1; i--)
                mutate(c->address);
}

/* ---- where the two differ ------------------------------------------------------------------------- */

static bool refuses(const Case *c, const char *why) {
        return c->r != 0 && strstr(c->reason, why);
}

static bool is_name(const Case *c) {
        return refuses(c, "not looked up");
}

static bool is_range(const Case *c) {
        const char *port = strrchr(c->address, ':');

        return port && strchr(port, '-');
}

static bool is_sign_alone(const Case *c) {
        const char *port = strrchr(c->address, ':');

        return port && strcmp(port, ":+") == 0 && refuses(c, "port is not a number");
}

static bool is_wrapped(const Case *c) {
        const char *port = strrchr(c->address, ':');

        return port && strtoull(port + 1, NULL, 10) > UINT32_MAX && refuses(c, "port is above 65535");
}

static bool is_long_group(const Case *c) {
        return c->go_ok && refuses(c, "not an IPv6 address");
}

static bool is_zone(const Case *c) {
        return refuses(c, "zone");
}

static bool is_of_link(const Case *c) {
        return refuses(c, "without its interface");
}

static bool is_unix(const Case *c) {
        return c->r == ADDRESS_E_INVALID && strncmp(c->network, "unix", 4) == 0;
}

static bool is_odd_protocol(const Case *c) {
        const char *protocol = strchr(c->network, ':');

        return is_raw(c) && protocol &&
               (strcmp(protocol, ":0") == 0 || strtoul(protocol + 1, NULL, 10) >= IPPROTO_RAW);
}

static bool is_not_permitted(const Case *c) {
        return is_raw(c) && strstr(c->go, "not permitted");
}

static bool is_localhost(const Case *c) {
        return strcasestr(c->address, "localhost") && strchr(c->network, '6');
}

/* All of which are refused here and had by Go, or the other way round. */
static const struct {
        bool (*holds)(const Case *c);
        const char *why;
} differences[] = {
        { is_name, "names of hosts and services are the client library's to look up" },
        { is_range, "FIRST-LAST is a range of ports; Go takes \"-0\" for a number" },
        { is_sign_alone, "Go takes \"+\" for 0" },
        { is_wrapped, "Go 1.19 takes 4294967376 for 80" },
        { is_long_group,
          "Go 1.19 takes more than four digits in a group of an IPv6 address, later ones do not" },
        { is_zone,
          "a zone that the kernel ignores gives one socket many names; Go binds with unknown ones" },
        { is_of_link, "a link-local address means nothing without its interface" },
        { is_unix, "one file has one name; Go leaves relative paths, \"..\" and \"\" to the kernel" },
        { is_odd_protocol, "Go leaves 0, 255 and more than that to the kernel" },
        { is_not_permitted, "who runs this may have no sockets of raw IP" },
        { is_localhost, "what localhost is in IPv6 depends on /etc/hosts in Go" },
};

static bool may_differ(const Case *c) {
        for (size_t i = 0; i < ELEMENTS(differences); i++)
                if (differences[i].holds(c))
                        return true;
        return false;
}

/* The port behind the last colon of Go's text. */
static unsigned go_port(const Case *c) {
        const char *port = strrchr(c->go, ':');

        return port ? (unsigned)strtoul(port + 1, NULL, 10) : 0;
}

static const char *family_of(const Address *address) {
        static char raw[16];

        if (address_is_raw(address)) {
                snprintf(raw, sizeof(raw), "%c:%d ", address_family(address) == AF_INET ? '4' : '6',
                         address_protocol(address));
                return raw;
        }
        if (address_family(address) == AF_INET)
                return "4 ";
        if (address_family(address) == AF_UNIX)
                return "unix ";
        return address->ipv6_only ? "6 " : "6 dual ";
}

/* Go lets specific IPv6 addresses, which cannot serve IPv4 anyway, be without IPV6_V6ONLY on "tcp". */
static bool is_same_family(const Case *c) {
        const char *family = family_of(&c->parsed);

        if (strncmp(c->go, family, strlen(family)) == 0)
                return true;
        return address_family(&c->parsed) == AF_INET6 && !address_is_wildcard(&c->parsed) &&
               strncmp(c->go, "6 dual ", 7) == 0;
}

/* What differs; NULL: nothing that it should not. */
static const char *compare(const Case *c) {
        bool ok = c->r == 0;

        if (ok != c->go_ok)
                return may_differ(c) ? NULL : "verdict";
        if (!ok)
                return NULL;
        if (!is_same_family(c))
                return "family";
        if (address_has_port(&c->parsed) && !is_range(c) && go_port(c) != c->parsed.port_first)
                return "port";
        return NULL;
}

/* ---- both ----------------------------------------------------------------------------------------- */

static int ask_go(const char *program, const char *path, Case *cases, size_t n) {
        char command[512];
        FILE *answers;

        snprintf(command, sizeof(command), "'%s' <'%s'", program, path);
        answers = popen(command, "r"); /* NOLINT(cert-env33-c): both paths are the test's own */
        if (!answers)
                return -1;
        for (size_t i = 0; i < n; i++) {
                if (!fgets(cases[i].go, sizeof(cases[i].go), answers)) {
                        pclose(answers);
                        return -1;
                }
                cases[i].go[strcspn(cases[i].go, "\n")] = '\0';
                cases[i].go_ok = strncmp(cases[i].go, "error ", 6) != 0;
        }
        return pclose(answers) == 0 ? 0 : -1;
}

static int write_cases(char *path, const Case *cases, size_t n) {
        int fd = mkstemp(path);
        FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

        if (!file)
                return -1;
        for (size_t i = 0; i < n; i++)
                fprintf(file, "%s\t%s\n", cases[i].network, cases[i].address);
        return fclose(file);
}

static size_t report(const Case *cases, size_t n) {
        size_t n_different = 0, n_accepted = 0;

        for (size_t i = 0; i < n; i++) {
                const char *what = compare(&cases[i]);

                n_accepted += cases[i].r == 0;
                if (what && n_different++ < TOLD_MAX)
                        printf("%s: \"%s\" \"%s\": here %s%s, Go says %s\n", what, cases[i].network,
                               cases[i].address,
                               cases[i].r == 0 ? family_of(&cases[i].parsed) : "refused: ",
                               cases[i].r == 0 ? "" : cases[i].reason, cases[i].go);
        }
        printf("%zu cases, %zu accepted here, %zu differ\n", n, n_accepted, n_different);
        return n_different;
}

int main(int argc, char **argv) {
        char path[] = "/tmp/reuseportd-parity-XXXXXX";
        size_t n = argc > 3 ? strtoul(argv[3], NULL, 10) : CASES;
        Case *cases = calloc(n, sizeof(*cases));
        AddressFamilies families;
        int r;

        if (argc < 2 || !cases)
                return 2;
        families_probe(NULL, NULL, &families);
        state = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
        for (size_t i = 0; i < n; i++) {
                make_case(&cases[i]);
                cases[i].r = address_parse(cases[i].network, cases[i].address, &families,
                                           &cases[i].parsed, &cases[i].reason);
        }
        r = write_cases(path, cases, n);
        if (r == 0)
                r = ask_go(argv[1], path, cases, n);
        unlink(path);
        if (r < 0)
                fprintf(stderr, "parity: %s cannot be asked\n", argv[1]);
        else
                r = report(cases, n) > 0;
        free(cases);
        return r < 0 ? 2 : r;
}
