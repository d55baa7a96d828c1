/* SPDX-License-Identifier: BSD-2-Clause */

/* What may not be set raw, whatever policy says, and that the rest gets to the kernel byte by byte. */

#include "daemon/raw-option.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

typedef struct Case {
        int64_t level, name;
        const char *value;
        const char *reason; /* a fragment; NULL: good */
} Case;

static const Case cases[] = {
        { SOL_SOCKET, SO_REUSEADDR, "01000000", "who shares a port" },
        { SOL_SOCKET, SO_REUSEPORT, "01000000", "who shares a port" },
        { SOL_SOCKET, SO_REUSEPORT, "", "who shares a port" },
        { SOL_SOCKET, SO_ATTACH_FILTER, "00000000000000000000000000000000", "pointer" },
        { SOL_SOCKET, SO_DETACH_FILTER, "00000000", "who shares a port" },
        { SOL_SOCKET, SO_LOCK_FILTER, "01000000", "who shares a port" },
        { SOL_SOCKET, SO_ATTACH_BPF, "00000000", "descriptor" },
        { SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, "00000000", "pointer" },
        { SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, "00000000", "descriptor" },
        { SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, "00000000", "who shares a port" },
        { SOL_TCP, TCP_REPAIR, "01000000", "forges" },
        { SOL_IP, 64, "00", "packet filter" },
        { SOL_IP, 65, "00", "packet filter" },
        { SOL_IP, 96, "00", "packet filter" },
        { SOL_IP, 127, "00", "packet filter" },
        { SOL_IP, 128, "00", "packet filter" },
        { SOL_IP, 1157, "00", "packet filter" },
        { SOL_IPV6, 64, "00", "packet filter" },
        { SOL_IPV6, 65, "00", "packet filter" },
        { SOL_IPV6, 200, "00000000", "packet filter" },
        { SOL_IPV6, 212, "00000000", "packet filter" },
        { SOL_IPV6, IPV6_V6ONLY, "00000000", "network name" },
        { -1, 1, "00", "level and name" },
        { 1, -1, "00", "level and name" },
        { 4294967297, SO_REUSEADDR, "01000000", "level and name" },
        { SOL_SOCKET, 4294967296 + SO_REUSEADDR, "01000000", "level and name" },
        { SOL_TCP, TCP_NODELAY, "1", "even number" },
        { SOL_TCP, TCP_NODELAY, "0100000", "even number" },
        { SOL_TCP, TCP_NODELAY, "0x01", "even number" },
        { SOL_TCP, TCP_NODELAY, "01 0", "even number" },
        { SOL_TCP, TCP_NODELAY, "0g", "even number" },
        { SOL_TCP, TCP_NODELAY, "01000000", NULL },
        { SOL_IPV6, IPV6_RECVTCLASS, "01000000", NULL },
        { SOL_SOCKET, SO_KEEPALIVE, "", NULL },
        { SOL_SOCKET, SO_KEEPALIVE, "aAfF", NULL },
        { SOL_IP, IP_MULTICAST_ALL, "00000000", NULL },
};

static int new_socket(void) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(ge(int, fd, 0));
        return fd;
}

TestSuite(raw_option, .timeout = 10);

Test(raw_option, checked) {
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                RawOption raw[] = { { SOL_SOCKET, SO_KEEPALIVE, "01000000" },
                                    { cases[i].level, cases[i].name, cases[i].value } };
                const char *reason = raw_options_check(&(WireList){ raw, 2 });

                if (cases[i].reason)
                        cr_assert(ne(ptr, strstr(reason ?: "", cases[i].reason), NULL), "case %zu: %s",
                                  i, reason);
                else
                        cr_assert(eq(ptr, (void *)reason, NULL), "case %zu: %s", i, reason);
        }
}

Test(raw_option, limits) {
        char longest[2 * RAW_VALUE_MAX + 3];
        RawOption many[RAW_OPTIONS_MAX + 1];

        for (size_t i = 0; i < ELEMENTS(many); i++)
                many[i] = (RawOption){ SOL_TCP, TCP_NODELAY, "01000000" };
        KIT_EXPECT_TEXT(raw_options_check(&(WireList){ many, ELEMENTS(many) }), "too many raw options");
        cr_assert(eq(ptr, (void *)raw_options_check(&(WireList){ many, ELEMENTS(many) - 1 }), NULL));

        memset(longest, '0', sizeof(longest));
        longest[sizeof(longest) - 1] = '\0';
        many[0].value = longest;
        KIT_EXPECT_TEXT(raw_options_check(&(WireList){ many, 1 }), "the value is too long");
        longest[sizeof(longest) - 3] = '\0';
        cr_assert(eq(ptr, (void *)raw_options_check(&(WireList){ many, 1 }), NULL));
}

Test(raw_option, what_the_kernel_refuses) {
        int n_fds = leaks_count_fds(), fd = new_socket();

        cr_assert(eq(int, raw_option_set(fd, &(RawOption){ SOL_TCP, TCP_NODELAY, "01" }), EINVAL));
        cr_assert(eq(int, raw_option_set(fd, &(RawOption){ SOL_TCP, TCP_NODELAY, "" }), EINVAL));
        cr_assert(eq(int, raw_option_set(fd, &(RawOption){ SOL_TCP, 9999, "00000000" }), ENOPROTOOPT));
        cr_assert(eq(int, raw_option_set(-1, &(RawOption){ SOL_TCP, TCP_NODELAY, "01000000" }), EBADF));
        close(fd);
        leaks_expect_fds(n_fds);
}

typedef struct ReadCase {
        RawOption option;
        const char *read;
} ReadCase;

static const ReadCase read_cases[] = {
        { { SOL_TCP, TCP_KEEPIDLE, "0B000000" }, "0b000000" },
        { { SOL_SOCKET, SO_LINGER, "0100000005000000" }, "0100000005000000" },
        { { SOL_SOCKET, SO_RCVBUF, "00200000" }, "00400000" },
        /* The kernel tells in another length. */
        { { SOL_SOCKET, SO_BINDTODEVICE, "6C6F" }, "6C6F" },
};

Test(raw_option, set_and_read_back) {
        char value[RAW_HEX_SIZE];
        int fd = new_socket();

        for (size_t i = 0; i < ELEMENTS(read_cases); i++) {
                const RawOption *option = &read_cases[i].option;

                cr_assert(zero(int, raw_option_set(fd, option)), "case %zu", i);
                raw_option_read(fd, option, value);
                KIT_EXPECT_TEXT(value, read_cases[i].read);
        }
        close(fd);
}

Test(raw_option, equal_in_order_and_by_byte) {
        RawOption ab[] = { { 6, 1, "0a" }, { 6, 9, "03" } }, ba[] = { { 6, 9, "03" }, { 6, 1, "0a" } };
        RawOption upper[] = { { 6, 1, "0A" }, { 6, 9, "03" } },
                  other[] = { { 6, 1, "0b" }, { 6, 9, "03" } };
        const WireList list = { ab, 2 }, swapped = { ba, 2 }, shorter = { ab, 1 }, none = { 0 };
        char text[32];

        cr_assert(not(raw_options_equal(&list, &swapped)));
        cr_assert(not(raw_options_equal(&list, &shorter)));
        cr_assert(not(raw_options_equal(&none, &shorter)));
        cr_assert(not(raw_options_equal(&list, &(WireList){ other, 2 })));
        cr_assert(raw_options_equal(&list, &(WireList){ upper, 2 }));
        cr_assert(raw_options_equal(&none, &none));
        raw_options_format(&none, text, sizeof(text));
        KIT_EXPECT_TEXT(text, "");
        raw_options_format(&list, text, sizeof(text));
        KIT_EXPECT_TEXT(text, "6:1=0a 6:9=03");
        raw_options_format(&list, text, 5);
        KIT_EXPECT_TEXT(text, "6:1=");
}
