/* SPDX-License-Identifier: BSD-2-Clause */

/* Connections by hand: what goes in comes out on the other side, and back. */

#include <arpa/inet.h>

#include "tests/integration/reusectl-kit.h"

TestSuite(reusectl_dial, .timeout = 60);

static int listen_here(int *ret_port) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(fd >= 0);
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(fd, 4)));
        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&address, &size)));
        *ret_port = ntohs(address.sin_port);
        return fd;
}

Test(reusectl_dial, nobody_listens) {
        static ToolResult result;
        int listener, port;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        listener = listen_here(&port);
        close(listener);
        TOOL_RUN(&result, "dial tcp:127.0.0.1:%d", port);
        tool_expect(&result, 1, "cannot connect to 127.0.0.1:");
        TOOL_RUN(&result, "-q dial tcp:127.0.0.1:%d", port);
        tool_expect(&result, 1, "");
        kit_stop(&kit);
}

/* Its network is called as it was written. */
Test(reusectl_dial, raw_ip) {
        static const char *const specs[][2] = {
                { "ip4:1:127.0.0.1", "the network \"ip4:1\": ask for tcp, udp, " },
                { "ip:icmp:127.0.0.1", "the network \"ip:icmp\": ask for tcp, udp, " },
                { "ip6:58:[::1]", "the network \"ip6:58\": ask for tcp, udp, " },
        };
        static ToolResult result;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        TOOL_RUN(&result, "dial ip4:127.0.0.1");
        tool_expect(&result, 2, "\"ip4:127.0.0.1\" is not NETWORK:ADDRESS");
        for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
                TOOL_RUN(&result, "dial %s", specs[i][0]);
                tool_expect(&result, 1, specs[i][1]);
        }
        kit_stop(&kit);
}

Test(reusectl_dial, no_such_network_namespace) {
        static ToolResult result;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        TOOL_RUN(&result, "dial tcp:127.0.0.1:80,networkNamespace=nowhere");
        tool_expect(&result, 4, "in network namespace nowhere");
        TOOL_RUN(&result, "dial unix:@nowhere,networkNamespace=nowhere");
        tool_expect(&result, 1, "not in another network namespace");
        kit_stop(&kit);
}

Test(reusectl_dial, to_and_fro) {
        char text[64] = "", line[256];
        int listener, port, fd;
        static ToolResult result;
        Tool tool;
        Kit kit;

        tool_begin(&kit, KIT_CONFIG);
        listener = listen_here(&port);
        tool = tool_start("dial tcp:127.0.0.1:%d,noDelay=no", port);
        kit_wait_readable(listener);
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(fd >= 0);
        tool_read_line(tool.err, line, sizeof(line));
        cr_assert(strstr(line, "connected to 127.0.0.1:") != NULL, "%s", line);
        cr_assert(eq(int, (int)write(tool.in, "question", 8), 8));
        kit_wait_readable(fd);
        cr_assert(eq(int, (int)recv(fd, text, sizeof(text) - 1, 0), 8));
        KIT_EXPECT_TEXT(text, "question");
        cr_assert(eq(int, (int)send(fd, "answer\n", 7, MSG_NOSIGNAL), 7));
        tool_read_line(tool.out, line, sizeof(line));
        KIT_EXPECT_TEXT(line, "answer");
        cr_assert(eq(int, (int)send(fd, "last", 4, MSG_NOSIGNAL), 4));
        close(fd);
        tool_finish(&tool, &result);
        KIT_EXPECT_TEXT(result.out, "last");
        tool_expect(&result, 0, "");
        close(listener);
        kit_stop(&kit);
}
