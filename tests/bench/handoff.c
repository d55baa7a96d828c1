/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a socket from the broker costs, beside a floor that no server of this protocol can go below, and
 * beside s6-fdholderd, in one run on one machine: only the ratios mean anything elsewhere.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/cage.h"
#include "tests/bench/cpu.h"
#include "tests/bench/fan-in.h"
#include "tests/bench/held.h"
#include "tests/bench/interrupt.h"
#include "tests/bench/report.h"
#include "tests/bench/single.h"
#include "tests/bench/stage.h"

#define FAN_IN_RATIO_MIN 0.70
#define HELD_BYTES_BELOW 1024
/* Two runs of the same thing differ by this much. */
#define HELD_SLOWER_MAX 1.05
/* Where seven of ten ports are held, one that is not is the third or fourth that is looked at. */
#define PORTS_SLOWER_MAX 1.40

typedef struct Arguments {
        const char *daemon;
        int cpu;
        size_t iterations;
        size_t calls;
        size_t leases;
        size_t sockets;
        size_t ports;
        bool kept;
        bool json;
        bool check;
} Arguments;

static const char usage[] =
        "Usage: handoff --daemon PATH [OPTION...]\n"
        "Compare the hand-over of sockets with the least it can cost, and with s6.\n"
        "\n"
        "      --daemon=PATH      the reuseportd to measure\n"
        "      --cpu=N            the CPU for both ends (default: the first)\n"
        "      --iterations=N     hand-overs of each kind (default: 7000)\n"
        "      --calls=N          calls of 64 clients at once (default: 200000)\n"
        "      --leases=N         leases of shared sockets held (default: 100000)\n"
        "      --sockets=N        sockets held (default: 7000)\n"
        "      --ports=N          ports held that the broker has chosen (default: 7000)\n"
        "      --kept             with a store of descriptors for the broker\n"
        "      --json             print one JSON object instead of tables\n"
        "      --check            fail when a goal is missed\n"
        "  -h, --help             print this\n";

/* Returns 0 or -EINVAL. */
static int number_parse(const char *text, size_t min, size_t *ret) {
        unsigned long long value;
        char *end;

        errno = 0;
        value = strtoull(text, &end, 10);
        if (errno != 0 || *text < '0' || *text > '9' || *end || value < min ||
            value > 10 * 1000 * 1000) {
                fprintf(stderr, "handoff: \"%s\" is not a number from %zu to 10000000\n", text, min);
                return -EINVAL;
        }
        *ret = (size_t)value;
        return 0;
}

enum { DAEMON = 256, CPU, ITERATIONS, CALLS, LEASES, SOCKETS, PORTS, KEPT, JSON, CHECK };
static const struct option options[] = {
        { "daemon", required_argument, NULL, DAEMON },
        { "cpu", required_argument, NULL, CPU },
        { "iterations", required_argument, NULL, ITERATIONS },
        { "calls", required_argument, NULL, CALLS },
        { "leases", required_argument, NULL, LEASES },
        { "sockets", required_argument, NULL, SOCKETS },
        { "ports", required_argument, NULL, PORTS },
        { "kept", no_argument, NULL, KEPT },
        { "json", no_argument, NULL, JSON },
        { "check", no_argument, NULL, CHECK },
        { "help", no_argument, NULL, 'h' },
        { 0 },
};

/* Returns 0, 1 when only help was asked for, or -EINVAL. */
static int arguments_parse(Arguments *arguments, int argc, char **argv) {
        size_t cpu;
        int c, r = 0;

        while (r == 0 && (c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                switch (c) {
                case DAEMON:
                        arguments->daemon = optarg;
                        break;
                case CPU:
                        r = number_parse(optarg, 0, &cpu);
                        if (r == 0)
                                arguments->cpu = (int)cpu;
                        break;
                case ITERATIONS:
                        r = number_parse(optarg, CONTEST_ROUNDS, &arguments->iterations);
                        break;
                case CALLS:
                        r = number_parse(optarg, FAN_IN_CLIENTS, &arguments->calls);
                        break;
                case LEASES:
                        r = number_parse(optarg, HELD_FEW + 1, &arguments->leases);
                        break;
                case SOCKETS:
                        r = number_parse(optarg, HELD_FEW + 1, &arguments->sockets);
                        break;
                case PORTS:
                        r = number_parse(optarg, HELD_FEW + 1, &arguments->ports);
                        break;
                case KEPT:
                        arguments->kept = true;
                        break;
                case JSON:
                        arguments->json = true;
                        break;
                case CHECK:
                        arguments->check = true;
                        break;
                case 'h':
                        fputs(usage, stdout);
                        return 1;
                default:
                        return -EINVAL;
                }
        }
        if (r == 0 && (!arguments->daemon || optind < argc)) {
                fputs(usage, stderr);
                return -EINVAL;
        }
        return r;
}

/* The load runs beside the server, where there is a second CPU for it. */
static int many_clients(Stage *stage, const Arguments *arguments, int cpu, int other, Report *report) {
        double floor, broker;
        int r;

        report_note(report,
                    "\n%d clients at once, Acquire and Release of one shared socket by turns.\n"
                    "  One process is all the clients, %s.",
                    FAN_IN_CLIENTS,
                    cpu == other ? "on the server's CPU: they share its time" : "on a CPU of its own");
        r = cpu_pin(other);
        if (r == 0)
                r = fan_in_measure(stage->floor_path, stage->broker.path, stage->shared.address,
                                   arguments->calls, &floor, &broker);
        if (r == 0)
                r = cpu_pin(cpu);
        if (r < 0)
                return error_trace(r);
        report_figure(report, "fanInFloorCallsPerSecond", "floor", floor, "calls/s");
        report_figure(report, "fanInBrokerCallsPerSecond", "reuseportd", broker, "calls/s");
        report_goal(report, "64 clients: calls per second, times the floor", broker / floor,
                    GOAL_AT_LEAST, FAN_IN_RATIO_MIN);
        return 0;
}

/*
 * A network with as many ports to choose from that @n are of them what 20 000 are of those that there are by
 * default: so many descriptors one user has of no broker. Returns 0, CAGE_E_NOT_ALLOWED, or a negative errno.
 */
static int narrow_ports(size_t n) {
        _cleanup_(fd_closep) int fd = -1;
        char text[32];
        int r, size;

        r = cage_own_network();
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        size = snprintf(text, sizeof(text), "%d %zu\n", HELD_POOL_FIRST,
                        HELD_POOL_FIRST + n * HELD_POOL_PORTS / 20000 - 1);
        fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, (size_t)size) != size)
                return error_origin(-errno);
        return 0;
}

/* Many leases of few sockets; about as many sockets as one user may have of a broker with 20 000
 * descriptors: half of three quarters; and most of the ports that there are to choose from. */
static int many_held(const Arguments *arguments, const char *folder, Report *report) {
        const struct {
                HeldKind kind;
                const char *key, *title, *bytes, *what;
        } kinds[] = {
                { { "shared", false, arguments->leases },
                  "heldLeases",
                  "\nOne lease more of a shared socket, with 10 leases held and with many.",
                  "bytesPerLease",
                  "lease" },
                { { "exclusive", false, arguments->sockets },
                  "heldSockets",
                  "\nOne socket more, with 10 sockets held and with many.",
                  "bytesPerSocket",
                  "socket" },
                { { "exclusive", true, arguments->ports },
                  "heldPorts",
                  "\nOne port more of the broker's choice, with 10 held and with many.",
                  "bytesPerPort",
                  "port" },
        };

        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
                Contest contest = { .key = kinds[i].key, .title = kinds[i].title };
                char title[128];
                double bytes;
                int r = 0;

                if (kinds[i].kind.any_port)
                        r = narrow_ports(kinds[i].kind.n);
                if (r == CAGE_E_NOT_ALLOWED) {
                        report_note(report, "Ports of the broker's choice are not measured: that takes root.");
                        continue;
                }
                if (r == 0)
                        r = held_measure(arguments->daemon, folder, &kinds[i].kind, arguments->iterations,
                                 &contest, &bytes);
                if (r < 0)
                        return error_trace(r);
                report_contest(report, &contest);
                snprintf(title, sizeof(title), "the broker's memory for each %s held, of %zu",
                         kinds[i].what, kinds[i].kind.n);
                report_figure(report, kinds[i].bytes, title, bytes, "bytes");
                report_goal(report, title, bytes, GOAL_BELOW, HELD_BYTES_BELOW);
                snprintf(title, sizeof(title), "Acquire with %zu %ss held, p50, times Acquire with %d",
                         kinds[i].kind.n, kinds[i].what, HELD_FEW);
                report_goal(
                        report, title,
                        samples_percentile(&contest_find(&contest, HELD_NAME_MANY)->acquired, 50) /
                                samples_percentile(&contest_find(&contest, HELD_NAME_FEW)->acquired, 50),
                        GOAL_AT_MOST, kinds[i].kind.any_port ? PORTS_SLOWER_MAX : HELD_SLOWER_MAX);
                contest_deinit(&contest);
        }
        return 0;
}

static int measure(const Arguments *arguments, const char *folder, Report *report) {
        int cpu, other, r;
        Stage stage;

        r = cpu_choose(arguments->cpu, &cpu, &other);
        if (r == -EINVAL)
                fprintf(stderr, "handoff: this process may not run on CPU %d\n", arguments->cpu);
        if (r == 0)
                r = cpu_pin(cpu);
        if (r < 0)
                return error_trace(r);
        report_note(report, "Both ends on CPU %d, %zu hand-overs each.", cpu, arguments->iterations);
        r = stage_init(&stage, arguments->daemon, folder, arguments->kept);
        if (r == 0)
                r = single_measure(&stage, arguments->iterations, report);
        if (r == 0)
                r = many_clients(&stage, arguments, cpu, other, report);
        stage_deinit(&stage);
        if (r == 0)
                r = many_held(arguments, folder, report);
        return r < 0 ? error_trace(r) : 0;
}

int main(int argc, char **argv) {
        Arguments arguments = {
                .cpu = -1,
                .iterations = 20000,
                .calls = 200000,
                .leases = 100000,
                .sockets = 7000,
                .ports = 7000,
        };
        char folder[SCRATCH_PATH_MAX], text[512];
        struct rlimit limit;
        Report *report;
        bool met = false;
        int r;

        r = arguments_parse(&arguments, argc, argv);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        interrupt_init();
        /* The broker inherits this. */
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
        r = report_new(arguments.json, &report);
        if (r == 0) {
                r = scratch_new(folder);
                if (r == 0) {
                        r = measure(&arguments, folder, report);
                        scratch_remove(folder);
                }
                if (r == 0)
                        met = report_finish(report);
                report_free(report);
        }
        if (r < 0) {
                fprintf(stderr, "handoff: %s\n", error_describe(text, sizeof(text)));
                return EXIT_FAILURE;
        }
        return arguments.check && !met ? EXIT_FAILURE : EXIT_SUCCESS;
}
