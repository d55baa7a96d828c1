/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a socket from the broker costs, beside a floor that no server of this protocol can go below, and
 * beside s6-fdholderd, in one run on one machine: only the ratios mean anything elsewhere.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/cleanup.h"
#include "proto/error.h"
#include "tests/bench/arguments.h"
#include "tests/bench/bench.h"
#include "tests/bench/cage.h"
#include "tests/bench/cpu.h"
#include "tests/bench/fan-in.h"
#include "tests/bench/held.h"
#include "tests/bench/single.h"
#include "tests/bench/stage.h"

#define FAN_IN_RATIO_MIN 0.70
#define HELD_BYTES_BELOW 1024
/* Two runs of the same thing differ by this much. */
#define HELD_SLOWER_MAX 1.05
/* Where seven of ten ports are held, one that is not is the third or fourth that is looked at. */
#define PORTS_SLOWER_MAX 1.40

enum {
        NUMBER_MAX = 10 * 1000 * 1000,
        CPU_FIRST = NUMBER_MAX + 1,
};

typedef struct Order {
        const char *daemon;
        size_t cpu;
        size_t iterations;
        size_t calls;
        size_t leases;
        size_t sockets;
        size_t ports;
        bool kept;
} Order;

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

/* As arguments_parse(). */
static int order_parse(Order *order, Bench *bench, int argc, char **argv) {
        const Argument arguments[] = {
                { "daemon", .text = &order->daemon, .mandatory = true },
                { "cpu", .number = &order->cpu, .min = 0, .max = NUMBER_MAX },
                { "iterations", .number = &order->iterations, .min = CONTEST_ROUNDS, .max = NUMBER_MAX },
                { "calls", .number = &order->calls, .min = FAN_IN_CLIENTS, .max = NUMBER_MAX },
                { "leases", .number = &order->leases, .min = HELD_FEW + 1, .max = NUMBER_MAX },
                { "sockets", .number = &order->sockets, .min = HELD_FEW + 1, .max = NUMBER_MAX },
                { "ports", .number = &order->ports, .min = HELD_FEW + 1, .max = NUMBER_MAX },
                { "kept", .flag = &order->kept },
                { "json", .flag = &bench->json },
                { "check", .flag = &bench->check },
        };

        return arguments_parse(arguments, sizeof(arguments) / sizeof(*arguments), usage, argc, argv);
}

/* The load runs beside the server, where there is a second CPU for it. */
static int many_clients(Stage *stage, const Order *order, int cpu, int other, Report *report) {
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
                                   order->calls, &floor, &broker);
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
 * A network with as many ports to choose from that @n are of them what 20 000 are of those that there
 * are by default: so many descriptors one user has of no broker. Returns 0, CAGE_E_NOT_ALLOWED, or a
 * negative errno.
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

typedef struct Held {
        HeldKind kind;
        const char *key, *title, *bytes, *what;
} Held;

static void held_report(const Held *held, Contest *contest, double bytes, Report *report) {
        Samples *few = &contest_find(contest, HELD_NAME_FEW)->acquired;
        Samples *many = &contest_find(contest, HELD_NAME_MANY)->acquired;
        char title[128];

        report_contest(report, contest);
        snprintf(title, sizeof(title), "the broker's memory for each %s held, of %zu", held->what,
                 held->kind.n);
        report_figure(report, held->bytes, title, bytes, "bytes");
        report_goal(report, title, bytes, GOAL_BELOW, HELD_BYTES_BELOW);
        snprintf(title, sizeof(title), "Acquire with %zu %ss held, p50, times Acquire with %d",
                 held->kind.n, held->what, HELD_FEW);
        report_goal(report, title, samples_percentile(many, 50) / samples_percentile(few, 50),
                    GOAL_AT_MOST, held->kind.any_port ? PORTS_SLOWER_MAX : HELD_SLOWER_MAX);
}

/* Many leases of few sockets; about as many sockets as one user may have of a broker with 20 000
 * descriptors: half of three quarters; and most of the ports that there are to choose from. */
static int many_held(const Order *order, const char *folder, Report *report) {
        const Held kinds[] = {
                {
                        .kind = { "shared", false, order->leases },
                        .key = "heldLeases",
                        .title = "\nOne lease more of a shared socket, with 10 leases held and with "
                                 "many.",
                        .bytes = "bytesPerLease",
                        .what = "lease",
                },
                {
                        .kind = { "exclusive", false, order->sockets },
                        .key = "heldSockets",
                        .title = "\nOne socket more, with 10 sockets held and with many.",
                        .bytes = "bytesPerSocket",
                        .what = "socket",
                },
                {
                        .kind = { "exclusive", true, order->ports },
                        .key = "heldPorts",
                        .title = "\nOne port more of the broker's choice, with 10 held and with many.",
                        .bytes = "bytesPerPort",
                        .what = "port",
                },
        };

        for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
                const Held *held = &kinds[i];
                Contest contest = { .key = held->key, .title = held->title };
                double bytes;
                int r = 0;

                if (held->kind.any_port)
                        r = narrow_ports(held->kind.n);
                if (r == CAGE_E_NOT_ALLOWED) {
                        report_note(report,
                                    "Ports of the broker's choice are not measured: that takes root.");
                        continue;
                }
                if (r == 0)
                        r = held_measure(order->daemon, folder, &held->kind, order->iterations, &contest,
                                         &bytes);
                if (r < 0)
                        return error_trace(r);
                held_report(held, &contest, bytes, report);
                contest_deinit(&contest);
        }
        return 0;
}

static int measure(void *userdata, const char *folder, Report *report) {
        const Order *order = userdata;
        int cpu, other, r;
        Stage stage;

        r = cpu_choose(order->cpu == CPU_FIRST ? -1 : (int)order->cpu, &cpu, &other);
        if (r == -EINVAL)
                fprintf(stderr, "handoff: this process may not run on CPU %zu\n", order->cpu);
        if (r == 0)
                r = cpu_pin(cpu);
        if (r < 0)
                return error_trace(r);
        report_note(report, "Both ends on CPU %d, %zu hand-overs each.", cpu, order->iterations);
        r = stage_init(&stage, order->daemon, folder, order->kept);
        if (r == 0)
                r = single_measure(&stage, order->iterations, report);
        if (r == 0)
                r = many_clients(&stage, order, cpu, other, report);
        stage_deinit(&stage);
        if (r == 0)
                r = many_held(order, folder, report);
        return r < 0 ? error_trace(r) : 0;
}

int main(int argc, char **argv) {
        Order order = {
                .cpu = CPU_FIRST,
                .iterations = 20000,
                .calls = 200000,
                .leases = 100000,
                .sockets = 7000,
                .ports = 7000,
        };
        Bench bench = { .measure = measure, .userdata = &order };
        struct rlimit limit;
        int r;

        r = order_parse(&order, &bench, argc, argv);
        if (r != 0)
                return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        /* The broker inherits this. */
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
        return bench_run(&bench);
}
