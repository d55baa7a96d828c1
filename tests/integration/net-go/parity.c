/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * parity NET-GO [SEED [N]]: random networks and addresses come to the same as in Go's net, which NET-GO
 * asks: a refusal or a socket, and of a socket its family, its IP address, zone and IPV6_V6ONLY as the
 * kernel says them once it is bound, and the port that was asked for. Where the two differ on purpose, a
 * row of excuses[] says what exactly may differ, and why. Prints how often each of them was needed, and
 * what differs otherwise; the exit status is 1 if anything does.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/families.h"
#include "daemon/socket-factory.h"
#include "proto/address.h"
#include "proto/cleanup.h"
#include "proto/message.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

enum {
        CASES = 20000,
        TEXT_MAX = 96,
        TOLD_MAX = 20,
        N_EXCUSES = 11,
};

/* What there is in the end, on either side. */
typedef struct Verdict {
        bool ok;
        char reason[256];            /* of a refusal */
        char kind[16];               /* "4", "6", "46" without IPV6_V6ONLY, "4:1" of raw IP, "unix" */
        char host[ADDRESS_TEXT_MAX]; /* of "unix" the path */
        unsigned zone, port;
} Verdict;

typedef struct Case {
        char network[16];
        char address[TEXT_MAX];
        Address parsed; /* if here.ok */
        Verdict here, go;
} Case;

static AddressFamilies families; /* of this host */
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
        "::1%nope",
        "::%lo",
        "::ffff:1.2.3.4%lo",
        "2001:db8::1%eth0",
        "fe80::1%nope",
        "fe80::1%1",
        "fe80::1%01x",
        "fe80::1%4711",
        "fe80::1%",
        "::1%",
        "%lo",
        "ff02::1%lo",
        "ff05::1",
        "ff05::1%lo",
        "::00001",
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
        "1e3",   "8080",  "53",    "-",          "-0",
        "80-80", "90-80", "0-80",  "1-65535",    "+80-+90",
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

/* ---- here ----------------------------------------------------------------------------------------- */

/* Of a socket that is bound. */
static void describe(int fd, const Address *address, Verdict *ret) {
        struct sockaddr_storage ss = { 0 };
        const struct sockaddr_in *in = (const struct sockaddr_in *)&ss;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&ss;
        socklen_t size = sizeof(ss), n = sizeof(int);
        int only = 0;

        if (getsockname(fd, (struct sockaddr *)&ss, &size) < 0)
                return;
        ret->ok = true;
        ret->port = address->port_first;
        if (ss.ss_family == AF_INET) {
                strcpy(ret->kind, "4");
                inet_ntop(AF_INET, &in->sin_addr, ret->host, sizeof(ret->host));
        } else {
                (void)getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &n);
                strcpy(ret->kind, only || address_is_raw(address) ? "6" : "46");
                inet_ntop(AF_INET6, &in6->sin6_addr, ret->host, sizeof(ret->host));
                ret->zone = in6->sin6_scope_id;
        }
        if (address_is_raw(address))
                snprintf(ret->kind + 1, sizeof(ret->kind) - 1, ":%d", address_protocol(address));
}

/* As net-go does it: to any address, and beyond this host to nobody. */
static void make_socket(const Address *address, Verdict *ret) {
        SocketSpec spec = { .address = *address, .sharing = SHARING_GROUP };
        _cleanup_(fd_closep) int fd = -1;
        SocketFailure failure;
        Options options;
        Address bound;

        wire_init(&wire_options, &options);
        options.free_bind = true;
        if (!address_is_of_link(address))
                options.bind_to_device = "lo";
        spec.options = &options;
        address_set_port(&spec.address, 0);
        if (socket_factory_open(&spec, &fd, &bound, &failure) == 0)
                describe(fd, address, ret);
        else
                snprintf(ret->reason, sizeof(ret->reason), "%s: %s", failure.step,
                         failure.refusal.reason ?: strerrordesc_np(failure.refusal.error));
}

static void judge(const char *network, const char *text, Address *parsed, Verdict *ret) {
        const char *reason = NULL;

        *ret = (Verdict){ 0 };
        if (address_parse(network, text, &families, parsed, &reason) != 0) {
                snprintf(ret->reason, sizeof(ret->reason), "%s", reason);
        } else if (address_is_ip(parsed)) {
                make_socket(parsed, ret);
        } else {
                ret->ok = true;
                strcpy(ret->kind, "unix");
                address_format(parsed, ret->host);
        }
}

/* ---- where the two differ ------------------------------------------------------------------------- */

/* Refused here for this reason, and had by Go. */
static bool refuses(const Case *c, const char *why) {
        return !c->here.ok && c->go.ok && strstr(c->here.reason, why);
}

/* What is behind the last colon. */
static const char *port_text(const Case *c) {
        const char *colon = strrchr(c->address, ':');

        return colon ? colon + 1 : "";
}

static bool is_same(const Verdict *a, const Verdict *b) {
        return a->ok == b->ok && (!a->ok || (strcmp(a->kind, b->kind) == 0 && a->zone == b->zone &&
                                             a->port == b->port && strcmp(a->host, b->host) == 0));
}

static bool is_host_name(const Case *c) {
        return refuses(c, "host names are not looked up");
}

static bool is_service_name(const Case *c) {
        return refuses(c, "service names are not looked up") && isalpha((unsigned char)*port_text(c));
}

/* One of ours, of which Go knows nothing. */
static bool is_range(const Case *c) {
        unsigned first, last;
        int n = 0;

        return c->here.ok && !c->go.ok && sscanf(port_text(c), "%u-%u%n", &first, &last, &n) == 2 &&
               port_text(c)[n] == '\0' && c->parsed.port_first == first && c->parsed.port_last == last &&
               first > 0 && first <= last && last <= UINT16_MAX;
}

static bool is_sign_without_number(const Case *c) {
        const char *text = port_text(c);

        return refuses(c, "port is not a number") && c->go.port == 0 &&
               (strcmp(text, "+") == 0 || (*text == '-' && text[1 + strspn(text + 1, "0")] == '\0'));
}

/* With the multiplication of Go 1.19, which runs over before it is looked at. */
static bool is_wrapped(const Case *c) {
        uint32_t n = 0;
        const char *text = port_text(c);

        for (text += *text == '+'; isdigit((unsigned char)*text); text++) {
                if (n >= UINT32_C(1) << 30)
                        return false;
                n = n * 10 + (uint32_t)(*text - '0');
        }
        return *text == '\0' && refuses(c, "port is above 65535") && c->go.port == n;
}

/* Copies @text without the zeros in front that make more than four digits of a group. */
static void shorten_groups(const char *text, char ret[static TEXT_MAX]) {
        while (*text != '\0') {
                size_t n = strspn(text, "0123456789abcdefABCDEF");

                for (; n > 4 && *text == '0'; n--)
                        text++;
                n += n == 0;
                memcpy(ret, text, n);
                ret += n;
                text += n;
        }
        *ret = '\0';
}

static size_t excuse_find(const Case *c);

/* Without these zeros it is the same, or has another excuse. */
/* NOLINTNEXTLINE(misc-no-recursion): there are none the next time */
static bool is_long_group(const Case *c) {
        Case shorter = *c;

        shorten_groups(c->address, shorter.address);
        if (!refuses(c, "not an IPv6 address") || strcmp(shorter.address, c->address) == 0)
                return false;
        judge(shorter.network, shorter.address, &shorter.parsed, &shorter.here);
        return is_same(&shorter.here, &c->go) || excuse_find(&shorter) < N_EXCUSES;
}

static bool is_digits_of_zone(const Case *c) {
        const char *zone = strrchr(c->address, '%');

        return zone && refuses(c, "no such zone") && c->go.zone > 0 &&
               c->go.zone == strtoul(zone + 1, NULL, 10);
}

/* In Go the wildcard of its family, without IPV6_V6ONLY unless the network says so; the zone, or that
 * there is none, is lost on the way. */
static bool is_group_of_hosts(const Case *c) {
        const char *wildcard = strcmp(c->go.kind, "4") == 0 ? "0.0.0.0" : "::";
        bool six = c->network[strlen(c->network) - 1] == '6';

        if (!c->go.ok || strncmp(c->network, "udp", 3) != 0 || strcmp(c->go.host, wildcard) != 0 ||
            (strcmp(wildcard, "::") == 0 && strcmp(c->go.kind, six ? "6" : "46") != 0))
                return false;
        if (c->here.ok)
                return address_is_multicast(&c->parsed) && c->here.port == c->go.port &&
                       c->here.kind[0] == (strcmp(wildcard, "::") == 0 ? '6' : '4');
        return strncasecmp(c->address, "[ff", 3) == 0 &&
               (refuses(c, "without its interface") || refuses(c, "no such zone"));
}

static bool is_path(const Case *c) {
        static const char *const reasons[] = { "not a UNIX address", "abstract name is empty",
                                               "empty component", "'.' or '..'" };

        for (size_t i = 0; i < ELEMENTS(reasons); i++)
                if (strncmp(c->network, "unix", 4) == 0 && refuses(c, reasons[i]))
                        return true;
        return false;
}

static bool is_odd_protocol(const Case *c) {
        const char *protocol = strchr(c->network, ':');

        return is_raw(c) && protocol && strtoul(protocol + 1, NULL, 10) >= IPPROTO_RAW && c->go.ok &&
               !c->here.ok;
}

/* What Go finds in /etc/hosts, or does not. */
static bool is_localhost(const Case *c) {
        const char *host = c->address + (*c->address == '[');

        return strncasecmp(host, "localhost", 9) == 0 && (host[9] == '\0' || strchr("]:", host[9])) &&
               c->here.ok && strcmp(c->here.host, "::1") == 0 && !c->go.ok &&
               strstr(c->go.reason, "no suitable address found");
}

static const struct {
        bool (*holds)(const Case *c);
        const char *why;
} excuses[] = {
        { is_host_name, "names of hosts are the client library's to look up" },
        { is_service_name, "names of services are the client library's to look up" },
        { is_range, "FIRST-LAST is a range of ports here" },
        { is_sign_without_number, "to Go \"+\", \"-\" and \"-0\" are port 0" },
        { is_wrapped, "to Go 1.19 4294967376 is port 80" },
        { is_long_group,
          "Go 1.19 takes more than four digits in a group of an IPv6 address, later ones do not" },
        { is_digits_of_zone, "to Go \"1x\" is the interface 1 if none is called so" },
        { is_group_of_hosts, "who listens at a group of hosts is bound to it, not to the wildcard" },
        { is_path, "one file has one name; Go leaves relative paths, \"..\" and \"\" to the kernel" },
        { is_odd_protocol, "of raw IP nothing arrives on 255, and beyond it there is no protocol" },
        { is_localhost, "localhost has both families, whatever /etc/hosts says" },
};

static_assert(ELEMENTS(excuses) == N_EXCUSES, "each is counted");

/* Which row of excuses[] it takes; N_EXCUSES: none has it. */
/* NOLINTNEXTLINE(misc-no-recursion): see is_long_group() */
static size_t excuse_find(const Case *c) {
        size_t i = 0;

        while (i < N_EXCUSES && !excuses[i].holds(c))
                i++;
        return i;
}

/* ---- both ----------------------------------------------------------------------------------------- */

/* A line of net-go's. */
static bool go_read(char *line, Verdict *ret) {
        struct in_addr in;
        struct in6_addr in6;

        line[strcspn(line, "\n")] = '\0';
        *ret = (Verdict){ 0 };
        if (strncmp(line, "error ", 6) == 0) {
                snprintf(ret->reason, sizeof(ret->reason), "%.255s", line + 6);
                return true;
        }
        ret->ok = true;
        if (strncmp(line, "unix ", 5) == 0) {
                strcpy(ret->kind, "unix");
                snprintf(ret->host, sizeof(ret->host), "%.127s", line + 5);
                return true;
        }
        if (sscanf(line, "%15s %127s %u %u", ret->kind, ret->host, &ret->zone, &ret->port) != 4)
                return false;
        /* An IPv6 address can be written in more than one way. */
        return ret->kind[0] == '4' && ret->kind[1] != '6'
                       ? inet_pton(AF_INET, ret->host, &in) == 1
                       : inet_pton(AF_INET6, ret->host, &in6) == 1 &&
                                 inet_ntop(AF_INET6, &in6, ret->host, sizeof(ret->host));
}

static int ask_go(const char *program, const char *path, Case *cases, size_t n) {
        char command[512], line[512];
        FILE *answers;
        size_t i;

        snprintf(command, sizeof(command), "'%s' <'%s'", program, path);
        answers = popen(command, "r"); /* NOLINT(cert-env33-c): both paths are the test's own */
        if (!answers)
                return -1;
        for (i = 0; i < n && fgets(line, sizeof(line), answers) && go_read(line, &cases[i].go); i++)
                ;
        return pclose(answers) == 0 && i == n ? 0 : -1;
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

static void print_verdict(const char *whose, const Verdict *verdict) {
        if (verdict->ok)
                printf("  %s: %s %s zone %u port %u\n", whose, verdict->kind, verdict->host,
                       verdict->zone, verdict->port);
        else
                printf("  %s: refused: %s\n", whose, verdict->reason);
}

static size_t report(const Case *cases, size_t n) {
        size_t n_excused[N_EXCUSES] = { 0 }, n_different = 0, n_accepted = 0;

        for (size_t i = 0; i < n; i++) {
                const Case *c = &cases[i];
                size_t excuse;

                n_accepted += c->here.ok;
                if (is_same(&c->here, &c->go))
                        continue;
                excuse = excuse_find(c);
                if (excuse < N_EXCUSES) {
                        n_excused[excuse]++;
                } else if (n_different++ < TOLD_MAX) {
                        printf("\"%s\" \"%s\"\n", c->network, c->address);
                        print_verdict("here", &c->here);
                        print_verdict("Go", &c->go);
                }
        }
        printf("%zu cases, %zu accepted here\n", n, n_accepted);
        for (size_t i = 0; i < N_EXCUSES; i++)
                printf("%6zu differ: %s\n", n_excused[i], excuses[i].why);
        printf("%6zu differ otherwise\n", n_different);
        return n_different;
}

int main(int argc, char **argv) {
        char path[] = "/tmp/reuseportd-parity-XXXXXX";
        size_t n = argc > 3 ? strtoul(argv[3], NULL, 10) : CASES;
        Case *cases = calloc(n, sizeof(*cases));
        int r;

        if (argc < 2 || !cases)
                return 2;
        families_probe(NULL, NULL, &families);
        state = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
        for (size_t i = 0; i < n; i++) {
                make_case(&cases[i]);
                judge(cases[i].network, cases[i].address, &cases[i].parsed, &cases[i].here);
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
