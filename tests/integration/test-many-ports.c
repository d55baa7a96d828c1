/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Port 0 when 20 000 ports are held, which takes a machine that lets a process have 60 000 descriptors:
 * each is another one, and the next takes as few calls of bind() as the eleventh. What it takes in
 * time is for contrib/bench.
 */

#include <linux/perf_event.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/integration/acquire-kit.h"

enum {
        MANY = 20000,
        FEW = 10,
        AT_ONCE = 50,
        /* One user has half of three quarters of what there are. */
        DESCRIPTORS = 60000,
        MEASURED = 200,
        PORTS = 65536,
};

#define TRACING "/sys/kernel/tracing"

#define CONFIG KIT_CONFIG "[Broker]\nMaxLeasesPerUser=30000\n"

TestSuite(many_ports, .timeout = 600);

static void raise_limit(void) {
        struct rlimit limit;

        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
        if (limit.rlim_max < DESCRIPTORS)
                cr_skip_test("a process has %llu descriptors at most here, not %d",
                             (unsigned long long)limit.rlim_max, DESCRIPTORS);
        limit.rlim_cur = DESCRIPTORS;
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
}

/* Counts how often process @pid calls bind(). */
static int count_binds(pid_t pid) {
        struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
        FILE *file;
        int fd;

        file = fopen(TRACING "/events/syscalls/sys_enter_bind/id", "re");
        cr_assert(file && fscanf(file, "%llu", (unsigned long long *)&attr.config) == 1);
        fclose(file);
        fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
        cr_assert(ge(int, fd, 0), "%m");
        return fd;
}

static unsigned long long binds_counted(int counter) {
        unsigned long long n;

        cr_assert(eq(int, (int)read(counter, &n, sizeof(n)), (int)sizeof(n)));
        return n;
}

/* How often bind() is called for MEASURED ports, one at a time. */
static unsigned long long measure(int control, const char *network, int counter) {
        unsigned long long before = binds_counted(counter);

        for (int i = 0; i < MEASURED; i++) {
                KitSocket held =
                        kit_acquire(control, "{'network':'%s','address':'127.0.0.1:0'}", network);

                kit_release(control, &held);
        }
        return binds_counted(counter) - before;
}

/* @n more at once. Of them nothing is kept here but the lease. */
static void hold(int control, const char *network, size_t n, bool held[static PORTS]) {
        char requests[AT_ONCE * 80], *end = requests;
        KitSocket sockets[AT_ONCE];

        end += sprintf(end, "{'sockets':[");
        for (size_t i = 0; i < n; i++)
                end += sprintf(end, "%s{'network':'%s','address':'127.0.0.1:0'}", i > 0 ? "," : "",
                               network);
        sprintf(end, "]}");
        kit_acquire_call(control, requests, n, sockets);
        for (size_t i = 0; i < n; i++) {
                int port = kit_port(&sockets[i]);

                cr_assert(not(held[port]), "port %d twice", port);
                held[port] = true;
                kit_drop(&sockets[i]);
        }
}

static void expect_flat(const char *network) {
        bool *held = calloc(PORTS, sizeof(*held));
        unsigned long long few, many;
        int control, counter;
        Kit kit;

        kit_require_root();
        raise_limit();
        harness_private_network();
        kit_start(&kit, CONFIG);
        control = harness_connect(&kit.harness);
        counter = count_binds(kit.harness.pid);
        hold(control, network, FEW, held);
        few = measure(control, network, counter);
        for (size_t n = 0; n < MANY; n += AT_ONCE)
                hold(control, network, AT_ONCE, held);
        many = measure(control, network, counter);
        cr_assert(ge(ullong, few, MEASURED));
        cr_assert(eq(ullong, many, few));
        close(counter);
        close(control);
        kit_stop(&kit);
        free(held);
}

Test(many_ports, s1_7_tcp) {
        expect_flat("tcp4");
}

Test(many_ports, d7_udp) {
        expect_flat("udp4");
}
