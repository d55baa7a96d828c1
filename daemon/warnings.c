/* SPDX-License-Identifier: BSD-2-Clause */

/* Each says what is missing and what cannot be had for want of it; a broker that lacks nothing has none.
 */

#include "daemon/warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/services.h"

void warnings_add(Warnings *warnings, const char *format, ...) {
        char **items = reallocarray(warnings->items, warnings->n + 1, sizeof(*items));
        va_list args;
        int n;

        if (!items)
                return;
        warnings->items = items;
        va_start(args, format);
        n = vasprintf(&items[warnings->n], format, args);
        va_end(args);
        if (n >= 0)
                warnings->n++;
}

void warnings_log(const Warnings *warnings) {
        for (size_t i = 0; i < warnings->n; i++)
                log_line(LOG_WARNING, "%s", warnings->items[i]);
}

void warnings_deinit(Warnings *warnings) {
        while (warnings->n > 0)
                free(warnings->items[--warnings->n]);
        free(warnings->items);
        *warnings = (Warnings){ 0 };
}

static void gather_configuration(const Services *services, Warnings *warnings) {
        if (services->reload_error)
                warnings_add(warnings, "the configuration was not reloaded: %s", services->reload_error);
        if (!services->config->from_files)
                warnings_add(warnings, "no configuration: only the broker's own user is served");
}

static void gather_system(const Services *services, Warnings *warnings) {
        if (!services->privileged_ports)
                warnings_add(warnings, "no CAP_NET_BIND_SERVICE: ports below "
                                       "net.ipv4.ip_unprivileged_port_start cannot be given");
        if (!services->steering)
                warnings_add(warnings,
                             "no steering (%s): a member that leaves a group loses what waits on it "
                             "unless net.ipv4.tcp_migrate_req is on",
                             services->no_steering);
        if (services->bpf_kept)
                warnings_add(warnings, "CAP_BPF is kept: with kernel.unprivileged_bpf_disabled, Linux "
                                       "before 5.19 asks for it again and again");
        if (!services->peer_pidfd)
                warnings_add(warnings,
                             "no SO_PEERPIDFD (Linux 6.5): processes are told apart by pid and "
                             "start time");
}

void warnings_gather(Services *services) {
        warnings_deinit(&services->warnings);
        gather_configuration(services, &services->warnings);
        gather_system(services, &services->warnings);
}
