/* SPDX-License-Identifier: BSD-2-Clause */

/* From nothing to a broker that serves, in an order that counts: what takes rights first, what clients
 * see last. */

#include "daemon/broker-private.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/audit.h"
#include "daemon/clock.h"
#include "daemon/families.h"
#include "daemon/handover.h"
#include "daemon/journal.h"
#include "daemon/log.h"
#include "daemon/passed.h"
#include "daemon/policy.h"
#include "daemon/privileges.h"
#include "daemon/recovery.h"
#include "daemon/repair.h"
#include "daemon/socket-dump.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"
#include "proto/message.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static bool kernel_has_peer_pidfd(void) {
        int pair[2], pidfd = -1;
        socklen_t size = sizeof(pidfd);

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return false;
        if (getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0)
                pidfd = -1;
        fd_close(pair[0]);
        fd_close(pair[1]);
        fd_close(pidfd);
        return pidfd >= 0;
}

static bool broker_can_steer(void *userdata) {
        const Services *services = userdata;

        return !services->steering || steering_is_usable(services->steering);
}

/* The capability that it takes is given up afterwards, loaded or not. */
static int broker_load_steering(Services *services) {
        int r = steering_new(&services->steering, &services->no_steering);

        if (r < 0) {
                log_fault(LOG_WARNING, "cannot load the steering program");
                services->no_steering = "the kernel refused the program";
        }
        r = privileges_drop_bpf(broker_can_steer, services);
        services->bpf_kept = r == PRIVILEGES_E_KEPT;
        return r < 0 ? error_trace(r) : 0;
}

/* Before there is anything of clients that it would have a copy of. */
static int broker_start_helper(Services *services) {
        if (!policy_gives_namespaces(services->config->policy))
                return 0;
        return error_trace(namespaces_start(&services->namespaces, &services->confinement));
}

static int broker_on_helper_gone(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Services *services = userdata;

        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        namespace_helper_set_gone(services->namespaces.helper);
        log_line(LOG_ERR,
                 "the process that makes sockets in other network namespaces has ended, and takes a "
                 "restart of the broker; what there is of them serves on");
        warnings_gather(services);
        return 0;
}

static int broker_watch_helper(Broker *broker) {
        Services *services = &broker->services;
        int r;

        if (!services->namespaces.helper)
                return 0;
        /* That it hangs up is told unasked. */
        r = sd_event_add_io(services->event, &broker->helper_gone,
                            namespace_helper_fd(services->namespaces.helper), 0, broker_on_helper_gone,
                            services);
        return r < 0 ? error_origin(r) : 0;
}

static void broker_probe(Services *services) {
        (void)families_probe(NULL, NULL, &services->families);
        services->finds_connected = families_find_connected();
        services->peer_pidfd = kernel_has_peer_pidfd();
        services->no_socket_diag = !socket_dump_is_possible();
}

/* What only root could give is there: from here on the broker does with less. */
static int broker_confine(Services *services) {
        const ConfinementNeeds needs = { .rights = policy_rights_given(services->config->policy),
                                         .bpf = services->bpf_kept,
                                         .maps = services->steering,
                                         .files = policy_gives_files(services->config->policy),
                                         .raw_ip = policy_gives_raw_ip(services->config->policy) };
        int r = confinement_enter(&services->confinement, &needs);

        if (r < 0)
                return error_trace(r);
        services->privileged_ports = privileges_low_ports();
        /* Root's own, which is there for everybody unless it is hidden. */
        services->no_processes = access("/proc/1", F_OK) < 0;
        broker_take_stock(services);
        return 0;
}

/*
 * Says why there is no control socket; @r is what listener_new() returned. What whoever starts the
 * broker can put right is BROKER_E_SOCKET, anything else stays a fault.
 */
static int broker_refuse_socket(const char *path, int r) {
        switch (r) {
        case LISTENER_E_IN_USE:
                log_line(LOG_ERR,
                         "%s: another broker, or something else, is there; stop it, or give --socket",
                         path);
                return BROKER_E_SOCKET;
        case LISTENER_E_INHERITED:
                log_line(LOG_ERR,
                         "the descriptor \"" LISTENER_NAME "\" of the service manager is no UNIX stream "
                         "socket that listens; see ListenStream= of the .socket unit");
                return BROKER_E_SOCKET;
        case LISTENER_E_PATH:
                log_line(LOG_ERR, "%s: not an absolute path that fits a socket; give --socket", path);
                return BROKER_E_SOCKET;
        case -EACCES:
        case -ENOENT:
        case -ENOTDIR:
        case -EPERM:
        case -EROFS:
                log_line(LOG_ERR, "%s: the control socket cannot be made: %s; give --socket", path,
                         strerrordesc_np(-r));
                return BROKER_E_SOCKET;
        default:
                return error_trace(r);
        }
}

/*
 * What clients cause leaves a quarter for the broker's own: sentinels, files that it reads. Of
 * descriptors under way the kernel allows a user as many as one process may have open.
 */
static void broker_limit_fds(Accounts *accounts, size_t n) {
        accounts->limit[RESOURCE_DESCRIPTORS] = n - n / 4;
        accounts->limit[RESOURCE_IN_FLIGHT] = n / 2;
        /* Out of that quarter. */
        accounts->limit[RESOURCE_REFUSALS] = n / 16 < REFUSALS_MAX ? n / 16 : REFUSALS_MAX;
}

/* Nobody knows what they are for, and they would keep their addresses in use. */
static void broker_close_unclaimed(Inherited *inherited) {
        char name[256];

        for (size_t i = 0; i < inherited->n; i++)
                if (inherited->items[i].fd >= 0)
                        log_line(LOG_WARNING, "closed what the service manager passed as \"%s\"",
                                 log_escape(inherited->items[i].name, name, sizeof(name)));
        inherited_deinit(inherited);
}

/* What needs neither descriptors of others nor a socket of its own. */
static int broker_make_objects(Broker *broker) {
        Services *services = &broker->services;
        int r;

        r = broker_handle_signals(broker);
        if (r == 0)
                r = poller_init(&services->poller, sd_event_get_fd(services->event));
        if (r < 0)
                return error_trace(r);
        r = endpoint_registry_init(&services->endpoints,
                                   &(EndpointServices){ .event = services->event,
                                                        .poller = &services->poller,
                                                        .hub = &services->hub,
                                                        .ids = &services->ids,
                                                        .steering = services->steering,
                                                        .marks = &services->state.marks,
                                                        .no_socket_diag = services->no_socket_diag,
                                                        .on_shut_down = repair_member });
        if (r == 0)
                r = audit_new(&services->hub, services->event, &services->endpoints.timers_changed,
                              log_is_journal() ? JOURNAL_SOCKET : NULL, &broker->audit);
        if (r == 0)
                r = grace_init(&services->grace, services->event, &services->endpoints.timers_changed);
        if (r == 0)
                r = watchdog_init(&broker->watchdog, services->event);
        if (r == 0)
                r = broker_watch_helper(broker);
        return error_trace(r);
}

/*
 * What was there before this broker. As the user that it runs as: the kernel lets only sockets of one
 * user into a group.
 */
static int broker_succeed(Broker *broker) {
        Services *services = &broker->services;
        int r;

        broker->owns = true;
        r = recovery_run(services, &broker->inherited);
        if (r == 0)
                r = passed_adopt(services, &broker->inherited);
        broker_close_unclaimed(&broker->inherited);
        if (r < 0 || broker->successor_of < 0)
                return error_trace(r);
        /* Even if the other has died meanwhile: this one has everything. */
        if (handover_finish(fd_take(&broker->successor_of)) < 0)
                log_fault(LOG_WARNING, "the broker that was replaced did not say that it ends");
        return 0;
}

/* Returns 0, BROKER_E_SOCKET, or a negative errno. */
static int broker_take_over(Broker *broker) {
        int r = handover_take(broker->options->socket, &broker->inherited, &broker->successor_of);

        switch (r) {
        case 0:
                broker->services.takes_over = true;
                return 0;
        case HANDOVER_E_NOBODY:
                log_line(LOG_INFO, "%s: no broker is there to be replaced", broker->options->socket);
                return 0;
        case HANDOVER_E_REFUSED:
                return BROKER_E_SOCKET;
        default:
                return error_trace(r);
        }
}

int broker_start(Broker *broker) {
        size_t n_fds = 0;
        _cleanup_(freep) char *reason = NULL;
        Services *services = &broker->services;
        int r;

        r = inherited_take(&broker->inherited);
        if (r < 0)
                return error_trace(r);
        r = privileges_raise_limits(&n_fds);
        if (r < 0)
                log_fault(LOG_WARNING, "cannot raise the limit of descriptors");
        broker_limit_fds(&services->accounts, n_fds);
        r = broker_configure(broker, &reason);
        if (r != 0)
                return r;
        r = confinement_choose_user(services->config->user, broker->options->own_only,
                                    &services->confinement);
        if (r < 0)
                return error_trace(r);
        /* A seed of the kernel's, before the first object: clients must not know how keys are hashed. */
        json_object_seed(0);
        message_watch_memory();
        services->started_usec = clock_usec(CLOCK_REALTIME);
        r = broker_start_helper(services);
        if (r == 0)
                r = broker_load_steering(services);
        if (r < 0)
                return error_trace(r);
        broker_probe(services);
        r = sd_event_new(&services->event);
        if (r < 0)
                return error_origin(r);
        r = 0;
        if (broker->options->replace)
                r = broker_take_over(broker);
        if (r != 0)
                return r;
        r = id_source_init(&services->ids);
        if (r == 0)
                r = port_pool_new(&services->ports);
        if (r == 0)
                r = recovery_open_state(services, &broker->inherited);
        if (r < 0)
                return error_trace(r);
        r = broker_make_objects(broker);
        if (r < 0)
                return error_trace(r);
        r = listener_new(services, broker->options->socket, &broker->inherited, &broker->listener);
        if (r != 0)
                return broker_refuse_socket(broker->options->socket, r);
        r = broker_confine(services);
        if (r == 0)
                r = broker_succeed(broker);
        return error_trace(r);
}
