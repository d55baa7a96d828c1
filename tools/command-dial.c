/* SPDX-License-Identifier: BSD-2-Clause */

/* A connection for trying things by hand: what is typed goes there, and what comes back is shown. */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-lib/reuse-client.h"
#include "tools/command.h"
#include "tools/connection.h"
#include "tools/report.h"

static const char help[] =
        "Usage: reusectl dial [--from ADDRESS] [OPTIONS] SPEC\n"
        "\n"
        "Connects to SPEC, NETWORK:ADDRESS[,KEY=VALUE...], by a socket of the broker, sends standard\n"
        "input there and prints what comes back, until the other side ends it.\n"
        "\n"
        "Examples:\n"
        "  reusectl dial tcp:127.0.0.1:80\n"
        "  reusectl dial --from 127.0.0.1:4001 tcp:127.0.0.1:80,lingerSec=0\n"
        "  reusectl dial tcp:127.0.0.1:80,networkNamespace=blue\n"
        "  reusectl dial unix:/run/app/socket\n"
        "\n"
        "Options:\n"
        "  --from ADDRESS  Connect from there: a port that is listened on, or port 0\n"
        "  and those of 'reusectl --help'; --timeout is for connecting\n";

enum {
        OPTION_FROM = SETTINGS_OPTION_OWN,
        CHUNK_MAX = 64 * 1024,
        ADDRESS_MAX = 128,
};

/* ---- to and fro ---- */

/* Returns 0 or a negative errno. */
static int send_all(int fd, const char *data, size_t n) {
        while (n > 0) {
                ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);

                if (sent >= 0) {
                        data += sent;
                        n -= (size_t)sent;
                } else if (errno == EAGAIN) {
                        (void)poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
                } else if (errno != EINTR) {
                        return -errno;
                }
        }
        return 0;
}

static int print_all(const char *data, size_t n) {
        while (n > 0) {
                ssize_t written = write(STDOUT_FILENO, data, n);

                if (written < 0 && errno != EINTR)
                        return -errno;
                if (written > 0) {
                        data += written;
                        n -= (size_t)written;
                }
        }
        return 0;
}

/* One piece of standard input. Returns 1, 0 at its end, or a negative errno. */
static int relay_out(int fd, char *buffer) {
        ssize_t n = read(STDIN_FILENO, buffer, CHUNK_MAX);
        int r;

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 1 : -errno;
        if (n == 0) {
                /* There may be an answer yet. */
                shutdown(fd, SHUT_WR);
                return 0;
        }
        r = send_all(fd, buffer, (size_t)n);
        return r < 0 ? r : 1;
}

/* One piece of what comes. Returns as relay_out(). */
static int relay_in(int fd, char *buffer) {
        ssize_t n = recv(fd, buffer, CHUNK_MAX, 0);
        int r;

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 1 : -errno;
        if (n == 0)
                return 0;
        r = print_all(buffer, (size_t)n);
        return r < 0 ? r : 1;
}

static int relay(int fd) {
        static char buffer[CHUNK_MAX];
        struct pollfd p[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = fd, .events = POLLIN } };

        for (;;) {
                int r;

                if (poll(p, 2, -1) < 0 && errno != EINTR)
                        return -errno;
                if (p[0].revents) {
                        r = relay_out(fd, buffer);
                        if (r < 0)
                                return r;
                        if (r == 0)
                                p[0].fd = -1;
                }
                if (p[1].revents) {
                        r = relay_in(fd, buffer);
                        if (r <= 0)
                                return r;
                }
        }
}

/* ---- the command ---- */

/* The colon behind the network. Raw IP has one in its name; it is not dialled, and refused by that. */
static char *spec_colon(char *spec) {
        char *colon = strchr(spec, ':');
        bool raw = strncmp(spec, "ip:", 3) == 0 || strncmp(spec, "ip4:", 4) == 0 ||
                   strncmp(spec, "ip6:", 4) == 0;

        return raw ? strchr(colon + 1, ':') : colon;
}

/* Cuts it in place. Returns false if there is no network or no address. */
static bool spec_cut(char *spec, char **ret_address, char **ret_options) {
        char *colon = spec_colon(spec);
        char *bracket, *comma;

        if (!colon || colon == spec)
                return false;
        *colon = '\0';
        *ret_address = colon + 1;
        bracket = **ret_address == '[' ? strchr(*ret_address, ']') : NULL;
        comma = strchr(bracket ? bracket : *ret_address, ',');
        if (comma)
                *comma++ = '\0';
        *ret_options = comma;
        return true;
}

/* Who is not reached is not the broker. Consumes @error. */
static int dial_failed(const Settings *settings, int r, reuse_error *error) {
        bool of_broker = reuse_error_get_name(error);
        int status = report_failure(settings, r, error);

        return status == REPORT_UNREACHABLE && !of_broker ? REPORT_FAILED : status;
}

/* Over the broker's connection there are no names. @from: NULL for any. */
static int dial_by_name(reuse_client *client, const char *network, const char *address, const char *from,
                        const char *options, uint64_t usec, reuse_outgoing **ret,
                        reuse_error **ret_error) {
        char remote[ADDRESS_MAX], local[ADDRESS_MAX];
        int r;

        r = reuse_resolve(network, address, remote, sizeof(remote), ret_error);
        if (r == 0 && from)
                r = reuse_resolve(network, from, local, sizeof(local), ret_error);
        if (r < 0)
                return r;
        return reuse_client_dial(client, network, remote, from ? local : NULL, options, usec, ret,
                                 ret_error);
}

static int dial_execute(const Settings *settings, char *spec, const char *from) {
        char *address, *options;
        reuse_outgoing *outgoing = NULL;
        reuse_error *error = NULL;
        reuse_client *client;
        const char *local;
        int status, r;

        if (!spec_cut(spec, &address, &options))
                return report_usage("dial: \"%s\" is not NETWORK:ADDRESS[,KEY=VALUE...]", spec);
        status = connection_open(settings, &client);
        if (status != REPORT_OK)
                return status;
        r = dial_by_name(client, spec, address, from, options, settings->timeout_usec, &outgoing,
                         &error);
        if (r < 0) {
                reuse_client_free(client);
                return dial_failed(settings, r, error);
        }
        local = reuse_outgoing_get_local_address(outgoing);
        report_say(settings, "connected to %s%s%s%s", reuse_outgoing_get_remote_address(outgoing),
                   local ? " from " : "", local ? local : "",
                   reuse_outgoing_get_reused(outgoing) > 0 ? ", a port that is listened on" : "");
        r = relay(reuse_outgoing_get_fd(outgoing));
        reuse_outgoing_free(outgoing);
        reuse_client_free(client);
        return r < 0 ? report_problem(settings, r, strerrordesc_np(-r)) : REPORT_OK;
}

int command_dial(Settings *settings, int argc, char **argv) {
        static const struct option options[] = {
                { "from", required_argument, NULL, OPTION_FROM },
                SETTINGS_LONG,
        };
        const char *from = NULL;
        int c, status;

        while ((c = getopt_long(argc, argv, SETTINGS_SHORT, options, NULL)) != -1)
                if (c == OPTION_FROM)
                        from = optarg;
                else if (!settings_option(settings, c, help, &status))
                        return status;

        if (optind + 1 != argc)
                return report_usage("dial: one address is needed");
        return dial_execute(settings, argv[optind], from);
}
