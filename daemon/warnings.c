/* SPDX-License-Identifier: BSD-2-Clause */

/* Each says what is missing and what cannot be had for want of it; a broker that lacks nothing
 * has none. */

#include "daemon/warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/capability.h>

#include "daemon/log.h"
#include "daemon/right-trial.h"
#include "daemon/services.h"

void warnings_add(Warnings *warnings, const char *format, ...) {
        char **items = realloc(warnings->items, (warnings->n + 1) * sizeof(*items));
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
                warnings_add(warnings,
                             "no configuration: only the user who started the broker is served");
}

static void gather_rights(const Services *services, Warnings *warnings) {
        const CapabilitySet network = CAPABILITY(CAP_NET_RAW) | CAPABILITY(CAP_NET_ADMIN);
        char names[128];

        if (services->rights_refused == 0)
                return;
        right_trial_names(services->rights_refused, names, sizeof(names));
        if (services->confinement.given_up & network)
                warnings_add(warnings,
                             "rules give %s since the broker gave up what it takes: restart the broker",
                             names);
        else
                warnings_add(warnings,
                             "no CAP_NET_RAW (before Linux 5.17, CAP_NET_ADMIN): rules give %s, which "
                             "cannot be set",
                             names);
}

static void gather_raw_ip(const Services *services, Warnings *warnings) {
        const Confinement *confinement = &services->confinement;

        if (!services->gives_raw_ip || confinement->makes_raw_ip)
                return;
        if ((confinement->keeps | confinement->given_up) & CAPABILITY(CAP_NET_RAW))
                warnings_add(warnings,
                             "rules give raw IP since the broker gave up what it takes: restart "
                             "the broker");
        else
                warnings_add(warnings,
                             "no CAP_NET_RAW: rules give raw IP, of which no socket can be made");
}

static void gather_namespaces(const Services *services, Warnings *warnings) {
        const Namespaces *namespaces = &services->namespaces;

        if (namespaces->helper && !namespaces_can_enter(namespaces))
                warnings_add(warnings,
                             "the process that makes sockets in other network namespaces has ended: "
                             "restart the broker");
        if (namespaces->helper || !services->gives_namespaces)
                return;
        if (namespaces->no_helper)
                warnings_add(warnings, "rules have NetworkNamespace=, and none can be entered: %s",
                             namespaces->no_helper);
        else
                warnings_add(warnings,
                             "rules have NetworkNamespace= since the broker gave up what it takes: "
                             "restart the broker");
}

static void gather_privileges(const Services *services, Warnings *warnings) {
        const Confinement *confinement = &services->confinement;

        if (confinement->asked != services->config->user)
                warnings_add(warnings, "User= has changed: restart the broker for it to take effect");
        if (confinement->stays_root)
                warnings_add(warnings, "the broker runs as root: %s", confinement->stays_root);
        if (!confinement->filtered)
                warnings_add(warnings, "no filter of system calls (seccomp): %s",
                             confinement->no_filter);
        if (!services->privileged_ports)
                warnings_add(warnings, "no CAP_NET_BIND_SERVICE: ports below "
                                       "net.ipv4.ip_unprivileged_port_start cannot be given");
        /* Who serves nobody else gives no socket away. */
        if (services->config->from_files && !(confinement->keeps & CAPABILITY(CAP_CHOWN)))
                warnings_add(warnings, "no CAP_CHOWN: a holder whose lease has ended can listen again");
        gather_rights(services, warnings);
        gather_raw_ip(services, warnings);
        gather_namespaces(services, warnings);
}

static void gather_system(const Services *services, Warnings *warnings) {
        if (!services->steering)
                warnings_add(warnings,
                             "no steering (%s): a member that leaves a group loses what waits on it "
                             "unless net.ipv4.tcp_migrate_req is on",
                             services->no_steering);
        if (services->no_socket_diag)
                warnings_add(
                        warnings,
                        "no tcp_diag (CONFIG_INET_DIAG of the kernel): handshakes under way are not "
                        "seen, so that a member of TCP is drained after 3 s at the earliest");
        if (services->store_was_full)
                warnings_add(
                        warnings,
                        "the service manager's store has room for %zu descriptors alone: what is not "
                        "in it is lost when the broker is; raise FileDescriptorStoreMax= of the unit",
                        fd_store_get_max(services->state.store));
        if (services->bpf_kept)
                warnings_add(warnings, "CAP_BPF is kept: with kernel.unprivileged_bpf_disabled, Linux "
                                       "before 5.19 asks for it again and again");
        if (!services->peer_pidfd && services->no_processes)
                warnings_add(warnings,
                             "no SO_PEERPIDFD (Linux 6.5), and /proc hides other users' processes: no "
                             "lease of lifetime \"process\" can be given; see ProtectProc= of the unit");
        else if (!services->peer_pidfd)
                warnings_add(warnings,
                             "no SO_PEERPIDFD (Linux 6.5): processes are told apart by pid and "
                             "start time");
}

void warnings_gather(Services *services) {
        services->store_was_full =
                services->state.store && fd_store_count_refused(services->state.store) > 0;
        warnings_deinit(&services->warnings);
        gather_configuration(services, &services->warnings);
        gather_privileges(services, &services->warnings);
        gather_system(services, &services->warnings);
}
