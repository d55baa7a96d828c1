/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A program that is handed its sockets: it says what libsystemd makes of them, one line each, and then
 * does what its argument says.
 *
 *     listen-report                 nothing more
 *     listen-report exit STATUS     exits with it
 *     listen-report serve           answers connections to the first socket until its input ends
 *     listen-report daemon          the same in a child, while it exits itself
 *
 * A line is: descriptor, name, "listening" or "bound", family, type, "blocking" or "nonblocking",
 * address.
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static const char *family_name(int family) {
        return family == AF_INET    ? "inet"
               : family == AF_INET6 ? "inet6"
               : family == AF_UNIX  ? "unix"
                                    : "?";
}

static const char *type_name(int type) {
        return type == SOCK_STREAM      ? "stream"
               : type == SOCK_DGRAM     ? "datagram"
               : type == SOCK_SEQPACKET ? "seqpacket"
                                        : "?";
}

static int option(int fd, int name) {
        int value = -1;
        socklen_t size = sizeof(value);

        return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

static void print_address(int fd) {
        struct sockaddr_storage address = { 0 };
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
        const struct sockaddr_un *un = (const struct sockaddr_un *)&address;
        char text[INET6_ADDRSTRLEN];
        socklen_t size = sizeof(address);

        if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
                printf("?\n");
        else if (address.ss_family == AF_INET)
                printf("%s:%u\n", inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)),
                       ntohs(in->sin_port));
        else if (address.ss_family == AF_INET6)
                printf("[%s]:%u\n", inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)),
                       ntohs(in6->sin6_port));
        else
                printf("%s%s\n", un->sun_path[0] ? "" : "@", un->sun_path + !un->sun_path[0]);
}

/* Returns how many there are, or a negative errno. */
static int report(void) {
        char **names = NULL;
        int n = sd_listen_fds_with_names(1, &names);

        printf("%d sockets\n", n);
        for (int i = 0; i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;
                int type = option(fd, SO_TYPE);

                printf("%d %s %s %s %s %s ", fd, names[i],
                       option(fd, SO_ACCEPTCONN) == 1 ? "listening" : "bound",
                       family_name(option(fd, SO_DOMAIN)), type_name(type),
                       fcntl(fd, F_GETFL) & O_NONBLOCK ? "nonblocking" : "blocking");
                print_address(fd);
                free(names[i]);
        }
        free(names);
        return fflush(stdout) == 0 ? n : -1;
}

/* Whoever connects is told our process id. */
static void serve(int fd) {
        struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
        pid_t pid = getpid();

        while (poll(p, 2, -1) > 0 && !p[1].revents) {
                int client = accept(fd, NULL, NULL);

                if (client < 0)
                        continue;
                send(client, &pid, sizeof(pid), MSG_NOSIGNAL);
                close(client);
        }
}

int main(int argc, char **argv) {
        const char *mode = argc > 1 ? argv[1] : "";

        if (report() < 0)
                return 99;
        if (strcmp(mode, "exit") == 0 && argc > 2)
                return atoi(argv[2]);
        if (strcmp(mode, "daemon") == 0 && fork() != 0)
                return 0;
        if (strcmp(mode, "daemon") == 0 || strcmp(mode, "serve") == 0)
                serve(SD_LISTEN_FDS_START);
        return 0;
}
