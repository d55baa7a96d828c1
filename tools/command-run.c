/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Acquires sockets and becomes the command. The leases go with the process, which execve() keeps, or
 * with a descriptor, which the command and all its children then inherit.
 */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-lib/reuse-client.h"
#include "tools/command.h"
#include "tools/connection.h"
#include "tools/listen-environment.h"
#include "tools/report.h"

static const char help[] =
        "Usage: reusectl run -l SPEC... [OPTIONS] -- COMMAND [ARGUMENTS]\n"
        "\n"
        "Starts COMMAND with sockets of the broker as descriptors 3, 4, ..., announced by LISTEN_FDS,\n"
        "LISTEN_PID and LISTEN_FDNAMES; REUSE_LEASES has their leases, in the same order. SPEC is\n"
        "NETWORK:ADDRESS[,KEY=VALUE...]; names of hosts and services are looked up. All or none.\n"
        "\n"
        "Examples:\n"
        "  reusectl run -l tcp:127.0.0.1:80,sharing=group,name=web -- ./server\n"
        "  reusectl run -l tcp:localhost:http -- ./server\n"
        "  reusectl run -l tcp::443,name=https -l udp::443,name=quic -- ./server\n"
        "  reusectl run -l unix:/run/app/socket -- ./server\n"
        "  reusectl run --lifetime tree -l tcp::80 -- ./daemon-that-forks\n"
        "  reusectl run --standby -l tcp::80 -- ./server\n"
        "\n"
        "Options:\n"
        "  -l, --listen SPEC   A socket; may be given up to 64 times\n"
        "  --as FORM           How COMMAND learns of them: listen (the only one, and the default)\n"
        "  --lifetime WHAT     process (default): as long as COMMAND's process\n"
        "                      tree: as long as any of its descendants keeps the descriptor\n"
        "                      that REUSE_LIFETIME_FD says, above the sockets\n"
        "  --standby           No traffic until 'reusectl ready'\n"
        "  --nonblock          Leave O_NONBLOCK set\n"
        "  and those of 'reusectl --help'\n"
        "\n"
        "Exit status: COMMAND's; 127 if it is not found, 126 if it cannot be executed, 125 for the "
        "rest.\n";

enum {
        OPTION_AS = SETTINGS_OPTION_OWN,
        OPTION_LIFETIME,
        OPTION_NONBLOCK,
        OPTION_STANDBY,
};

typedef struct RunOptions {
        reuse_request *request;
        const char **specs;
        size_t n_specs;
        bool tree;
        bool nonblock;
        bool standby;
} RunOptions;

static int lifetime_parse(const char *text, bool *ret_tree) {
        if (strcmp(text, "process") != 0 && strcmp(text, "tree") != 0)
                return report_usage("--lifetime %s: neither \"process\" nor \"tree\"", text);

        *ret_tree = strcmp(text, "tree") == 0;
        return REPORT_OK;
}

/* Once all options are known: --standby is for every socket, those before it too. */
static int run_fill_request(const Settings *settings, const RunOptions *run) {
        reuse_error *error = NULL;
        size_t i;
        int r = 0;

        for (i = 0; r >= 0 && i < run->n_specs; i++) {
                r = reuse_request_add_spec(run->request, run->specs[i], &error);
                if (r >= 0 && run->standby)
                        r = reuse_request_set(run->request, "standby", "yes", &error);
        }
        if (r >= 0)
                r = reuse_request_resolve(run->request, &error);
        return r < 0 ? report_failure(settings, r, error) : REPORT_OK;
}

/* Returns true to go on; false with *ret_status as settings_option() does. */
static bool run_parse(Settings *settings, RunOptions *run, int argc, char **argv, int *ret_status) {
        static const struct option options[] = {
                { "listen", required_argument, NULL, 'l' },
                { "as", required_argument, NULL, OPTION_AS },
                { "lifetime", required_argument, NULL, OPTION_LIFETIME },
                { "nonblock", no_argument, NULL, OPTION_NONBLOCK },
                { "standby", no_argument, NULL, OPTION_STANDBY },
                SETTINGS_LONG,
        };
        int status = REPORT_OK;
        int c;

        while (status == REPORT_OK &&
               (c = getopt_long(argc, argv, "+l:" SETTINGS_SHORT, options, NULL)) != -1)
                switch (c) {
                case 'l':
                        run->specs[run->n_specs++] = optarg;
                        break;
                case OPTION_AS:
                        if (strcmp(optarg, "listen") != 0)
                                status = report_usage("--as %s: the only form is \"listen\"", optarg);
                        break;
                case OPTION_LIFETIME:
                        status = lifetime_parse(optarg, &run->tree);
                        break;
                case OPTION_NONBLOCK:
                        run->nonblock = true;
                        break;
                case OPTION_STANDBY:
                        run->standby = true;
                        break;
                default:
                        if (!settings_option(settings, c, help, ret_status))
                                return false;
                }

        if (status == REPORT_OK && run->n_specs == 0)
                status = report_usage("run: no socket asked for; -l SPEC is needed");
        if (status == REPORT_OK && optind == argc)
                status = report_usage("run: no command given");
        if (status == REPORT_OK)
                status = run_fill_request(settings, run);
        if (status == REPORT_OK)
                return true;

        *ret_status = status;
        return false;
}

/*
 * The broker's sockets are non-blocking, and programs that are handed one mostly expect the opposite.
 * But the flag belongs to the open socket: the other holders of a shared one would feel a change.
 */
static int socket_set_blocking(const reuse_sockets *sockets, size_t index) {
        const char *sharing = reuse_sockets_get_sharing(sockets, index);
        int fd = reuse_sockets_get_fd(sockets, index);
        int flags;

        if (strcmp(sharing, "shared") == 0)
                return 0;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
                return -errno;
        return 0;
}

/* Has a copy of what the leases depend on, if that is a descriptor, survive execve() too, and says
 * which. */
static int run_keep(reuse_sockets *sockets, const reuse_client *client, size_t n) {
        int fd = reuse_sockets_get_lifetime_fd(sockets);
        int copy;

        if (fd == -EBADF && !client)
                return listen_environment_set_lifetime(-1);
        copy = listen_environment_keep(fd >= 0 ? fd : reuse_client_get_connection(client), n);
        /* Its number may become a socket's. */
        fd = reuse_sockets_take_lifetime_fd(sockets);
        if (fd >= 0)
                close(fd);
        return copy < 0 ? copy : listen_environment_set_lifetime(copy);
}

/*
 * Puts the sockets and what announces them in place. With @client, its connection survives execve() too.
 * Afterwards the client may only be freed: the number of its descriptor may have become a socket's.
 */
static int run_hand_over(reuse_sockets *sockets, bool nonblock, const reuse_client *client) {
        size_t n = reuse_sockets_count(sockets);
        const char **names, **leases;
        int *fds;
        size_t i;
        int r = 0;

        names = calloc(n, sizeof(*names));
        leases = calloc(n, sizeof(*leases));
        fds = calloc(n, sizeof(*fds));
        if (!names || !leases || !fds)
                r = -ENOMEM;

        for (i = 0; r >= 0 && i < n; i++) {
                if (!nonblock)
                        r = socket_set_blocking(sockets, i);
                names[i] = reuse_sockets_get_name(sockets, i);
                leases[i] = reuse_sockets_get_lease(sockets, i);
                fds[i] = reuse_sockets_take_fd(sockets, i);
        }

        if (r >= 0)
                r = run_keep(sockets, client, n);
        if (r >= 0)
                r = listen_environment_place(fds, n);
        if (r >= 0)
                r = listen_environment_set(getpid(), names, n);
        if (r >= 0)
                r = listen_environment_set_leases(leases, n);

        free(names);
        free(leases);
        free(fds);
        return r < 0 ? r : 0;
}

static bool refuses_lifetime(const reuse_error *error) {
        const char *name = reuse_error_get_name(error), *text = reuse_error_get_parameters(error);
        json_auto_t *parameters = text ? json_loads(text, 0, NULL) : NULL;
        const char *parameter = json_string_value(json_object_get(parameters, "parameter"));

        return name && strcmp(name, "org.varlink.service.InvalidParameter") == 0 && parameter &&
               strcmp(parameter, "lifetime") == 0;
}

/* Acquires with the lifetime that was asked for; *@ret_connection: it is that of the connection, as an
 * older broker knows no other that a tree could have. */
static int run_acquire(const Settings *settings, const RunOptions *run, reuse_client *client,
                       reuse_sockets **ret_sockets, bool *ret_connection, reuse_error **ret_error) {
        int r;

        *ret_connection = false;
        r = reuse_request_set_lifetime(run->request, run->tree ? "descriptor" : "process");
        if (r >= 0)
                r = reuse_client_acquire(client, run->request, ret_sockets, ret_error);
        if (r >= 0 || !run->tree || !refuses_lifetime(*ret_error))
                return r;
        *ret_error = reuse_error_free(*ret_error);
        report_say(settings,
                   "the broker is older, and knows no lease of a tree that outlives it: when it is "
                   "lost, these end");
        *ret_connection = true;
        r = reuse_request_set_lifetime(run->request, "connection");
        return r < 0 ? r : reuse_client_acquire(client, run->request, ret_sockets, ret_error);
}

/* Returns only on failure, with the exit status. */
static int run_execute(const Settings *settings, const RunOptions *run, char **argv) {
        reuse_client *client = NULL;
        reuse_sockets *sockets = NULL;
        reuse_error *error = NULL;
        bool by_connection;
        int r;

        if (connection_open(settings, &client) != REPORT_OK)
                return REPORT_RUN_FAILED;

        r = run_acquire(settings, run, client, &sockets, &by_connection, &error);
        if (r < 0) {
                (void)report_failure(settings, r, error);
                reuse_client_free(client);
                return REPORT_RUN_FAILED;
        }

        r = run_hand_over(sockets, run->nonblock, by_connection ? client : NULL);
        if (r < 0) {
                report_say(settings, "cannot hand over the sockets: %s", strerror(-r));
                r = REPORT_RUN_FAILED;
        } else {
                execvp(argv[0], argv);
                r = errno == ENOENT ? REPORT_RUN_NOT_FOUND : REPORT_RUN_NOT_EXECUTABLE;
                report_say(settings, "%s: %s", argv[0], strerror(errno));
        }

        reuse_sockets_free(sockets);
        reuse_client_free(client);
        return r;
}

int command_run(Settings *settings, int argc, char **argv) {
        RunOptions run = {};
        int status, r;

        /* Each spec takes a word at least. */
        run.specs = calloc((size_t)argc, sizeof(*run.specs));
        r = run.specs ? reuse_request_new(&run.request) : -ENOMEM;
        if (r < 0) {
                (void)report_failure(settings, r, NULL);
                status = REPORT_RUN_FAILED;
        } else if (run_parse(settings, &run, argc, argv, &status))
                status = run_execute(settings, &run, argv + optind);
        else if (status != REPORT_OK)
                status = REPORT_RUN_FAILED;

        reuse_request_free(run.request);
        free(run.specs);
        return status;
}
