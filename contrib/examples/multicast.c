/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * multicast: asks a multicast group who is there, from the very port on which it listens for the
 * answers; any number of processes can do so at once, and all that one device answers comes to the same
 * one of them. One socket does both: a second one that is connected to the group could not be bound to
 * that port.
 *
 *     multicast LOCAL GROUP SECONDS        multicast 192.0.2.7:12345 239.255.255.250:3702 10
 */

#include <client-lib/reuse-client.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* -1: it is none, or too great for a port. */
static int number(const char *text) {
        char *end;
        unsigned long value = strtoul(text, &end, 10);

        return *text >= '0' && *text <= '9' && !*end && value <= UINT16_MAX ? (int)value : -1;
}

/* "239.255.255.250:3702" */
static int parse(const char *text, struct sockaddr_in *ret) {
        const char *colon = strrchr(text, ':');
        char host[INET_ADDRSTRLEN] = "";
        int port = colon ? number(colon + 1) : -1;

        if (port < 0 || (size_t)(colon - text) >= sizeof(host))
                return -1;
        memcpy(host, text, (size_t)(colon - text));
        *ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
        return inet_pton(AF_INET, host, &ret->sin_addr) == 1 ? 0 : -1;
}

static void print_answers(int fd) {
        struct sockaddr_in from = { 0 };
        socklen_t size = sizeof(from);
        char text[1500], host[INET_ADDRSTRLEN];
        ssize_t n;

        while ((n = recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&from, &size)) >= 0) {
                printf("from %s:%u: %.*s\n", inet_ntop(AF_INET, &from.sin_addr, host, sizeof(host)),
                       ntohs(from.sin_port), (int)n, text);
                fflush(stdout);
                size = sizeof(from);
        }
}

static int64_t now_msec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv) {
        reuse_error *error = NULL;
        struct sockaddr_in group;
        struct pollfd socket;
        int seconds = argc == 4 ? number(argv[3]) : -1;
        int64_t now, next, end;

        if (seconds < 0 || parse(argv[2], &group) < 0) {
                fprintf(stderr, "usage: multicast LOCAL GROUP SECONDS\n");
                return 2;
        }
        socket.fd = reuse_listen_packet("udp4", argv[1], NULL, &error);
        socket.events = POLLIN;
        if (socket.fd < 0) {
                fprintf(stderr, "multicast: %s\n",
                        error ? reuse_error_get_message(error) : strerror(-socket.fd));
                reuse_error_free(error);
                return 1;
        }
        now = next = now_msec();
        end = now + (int64_t)seconds * 1000;
        while (now < end) {
                /* Once a second, whatever comes. */
                if (now >= next) {
                        next = now + 1000;
                        if (sendto(socket.fd, "who is there?", 13, 0, (struct sockaddr *)&group,
                                   sizeof(group)) < 0)
                                fprintf(stderr, "multicast: %s\n", strerror(errno));
                }
                if (poll(&socket, 1, (int)(next - now)) > 0)
                        print_answers(socket.fd);
                now = now_msec();
        }
        return 0;
}
