/* SPDX-License-Identifier: BSD-2-Clause */

/* Start, reload and stop. What happens in between is the peers'. */

#include "daemon/broker.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/audit.h"
#include "daemon/clock.h"
#include "daemon/families.h"
#include "daemon/handover.h"
#include "daemon/inherited.h"
#include "daemon/journal.h"
#include "daemon/judge.h"
#include "daemon/listener.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/passed.h"
#include "daemon/policy.h"
#include "daemon/privileges.h"
#include "daemon/recovery.h"
#include "daemon/repair.h"
#include "daemon/right-trial.h"
#include "daemon/services.h"
#include "daemon/socket-factory.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"
#include "proto/message.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum {
        /* When the event loop fails, it is tried again so often, and so long after. */
        LOOP_FAILURES_MAX = 5000,
        LOOP_REST_MSEC = 1,
        /* Of the event loop, in one round: so many things, or for so long. */
        EVENTS_PER_ROUND = 4,
        EVENTS_USEC = 400,
};

struct Broker {
        const BrokerOptions *options;
        uid_t started_by;
        Inherited inherited; /* until the broker has started */
        Services services;
        Audit *audit;
        Listener *listener;
        bool replaced;    /* by another, which has everything */
        int successor_of; /* a broker that waits to end: see handover_take(); -1: none */
        bool owns;        /* what an earlier broker left is its own */
        sd_event_source *hangup;
        sd_event_source *helper_gone;
        Watchdog watchdog;
        size_t n_failures; /* of the event loop, one after the other */
};

/* A loaded configuration takes effect at once and as a whole. */
static void broker_apply(Broker *broker, Config *config) {
        Services *services = &broker->services;
        Accounts *accounts = &services->accounts;

        judge_tenants(config->policy, &services->endpoints);
        config_free(services->config);
        services->config = config;
        accounts->limit[RESOURCE_CONNECTIONS] = config->max_connections;
        accounts->limit_per_user[RESOURCE_CONNECTIONS] = config->max_connections_per_user;
        accounts->limit_per_user[RESOURCE_LEASES] = config->max_leases_per_user;
        /* What is parked has no lease, but somebody who caused it. */
        accounts->limit_per_user[RESOURCE_DESCRIPTORS] =
                config->max_connections_per_user + config->max_leases_per_user;
}

/* Returns 0, BROKER_E_CONFIG with what is wrong in *@ret_reason, or a negative errno. */
static int broker_configure(Broker *broker, char **ret_reason) {
        Config *config;
        int r;

        r = config_load(broker->options->config_file, broker->options->own_only, broker->started_by,
                        &config, ret_reason);
        if (r == CONFIG_E_INVALID) {
                log_line(LOG_ERR, "%s", *ret_reason);
                return BROKER_E_CONFIG;
        }
        if (r < 0)
                return error_trace(r);
        broker_apply(broker, config);
        return 0;
}

/* Of what the configuration asks for, and what there is. */
static void broker_take_stock(Services *services) {
        services->gives_raw_ip = policy_gives_raw_ip(services->config->policy);
        services->gives_namespaces = policy_gives_namespaces(services->config->policy);
        services->rights_refused = right_trial_refused(policy_rights_given(services->config->policy));
        warnings_gather(services);
        warnings_log(&services->warnings);
}

/* The status says why until a good configuration is there. */
static void broker_reload_failed(Services *services, int r, const char *reason) {
        if (r < 0)
                log_fault(LOG_ERR, "cannot reload, the old configuration stays in force");
        else
                log_line(LOG_ERR, "the old configuration stays in force");
        services->reload_error = strdup(reason ?: "a fault, see the log");
        warnings_gather(services);
}

static void broker_reload(Broker *broker) {
        Services *services = &broker->services;
        _cleanup_(freep) char *reason = NULL;
        int r = broker_configure(broker, &reason);

        free(ptr_take(services->reload_error));
        if (r != 0) {
                broker_reload_failed(services, r, reason);
                return;
        }
        log_line(LOG_INFO, "configuration reloaded");
        broker_take_stock(services);
}

static int broker_on_hangup(sd_event_source *source, const struct signalfd_siginfo *info,
                            void *userdata) {
        Broker *broker = userdata;

        notify_reloading();
        broker_reload(broker);
        notify_ready(broker_path(broker), broker->services.reload_error);
        return 0;
}

static int broker_handle_signals(Broker *broker) {
        sd_event *event = broker->services.event;
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return error_origin(-errno);
        /* Without a handler the loop exits. */
        r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, &broker->hangup, SIGHUP, broker_on_hangup, broker);
        /* Whoever connects after the signal is served by the new configuration: the unit counts on it.
         */
        if (r >= 0)
                r = sd_event_source_set_priority(broker->hangup, SD_EVENT_PRIORITY_IMPORTANT);
        return r < 0 ? error_origin(r) : 0;
}

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
        services->peer_pidfd = kernel_has_peer_pidfd();
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

static int broker_start(Broker *broker) {
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

/* Limits that no file changes. */
static void broker_init_accounts(Services *services) {
        Accounts *accounts = &services->accounts;

        accounts_init(accounts);
        accounts->turns = &services->poller.turns;
        accounts->limit_per_user[RESOURCE_WATCHES] = WATCHES_PER_USER_MAX;
        accounts->limit_per_user[RESOURCE_REFUSALS] = REFUSALS_PER_USER_MAX;
        accounts->limit_per_user[RESOURCE_BYTES] = QUEUED_BYTES_PER_USER_MAX;
        accounts->limit[RESOURCE_BYTES] = QUEUED_BYTES_MAX;
        accounts->limit_per_user[RESOURCE_IN_FLIGHT] = IN_FLIGHT_PER_USER_MAX;
}

int broker_new(const BrokerOptions *options, Broker **ret) {
        Broker *broker = calloc(1, sizeof(*broker));
        int r;

        if (!broker)
                return error_origin(-ENOMEM);
        broker->options = options;
        broker->started_by = geteuid();
        broker->services.poller.epoll_fd = -1;
        broker->services.control_fd = broker->services.handover_fd = broker->successor_of = -1;
        broker_init_accounts(&broker->services);
        r = broker_start(broker);
        if (r != 0) {
                broker_free(broker);
                return r;
        }
        *ret = broker;
        return 0;
}

const char *broker_path(const Broker *broker) {
        return listener_path(broker->listener);
}

/*
 * What the event loop lacks to go on, memory most of all, may be there in a moment; meanwhile the
 * clients that are connected are served. Returns 1, to try again, or a negative errno: it has failed too
 * often, @r at last.
 */
static int broker_loop_failed(Broker *broker, int r) {
        (void)error_origin(r);
        if (++broker->n_failures == LOOP_FAILURES_MAX)
                return error_trace(r);
        if (broker->n_failures == 1)
                log_fault(LOG_ERR, "the event loop fails, and is tried again");
        poll(NULL, 0, LOOP_REST_MSEC);
        return 1;
}

/*
 * Some things of the event loop, if it has any: whoever comes in is one of them, and not the only one,
 * so a few have to go in each round. What matters most is first. Returns whether there may be more, or a
 * negative errno.
 */
static int broker_run_events(Broker *broker) {
        Services *services = &broker->services;
        uint64_t begin = clock_usec(CLOCK_MONOTONIC);
        int n = 0, r;

        do {
                services->endpoints.timers_changed = false;
                r = sd_event_run(services->event, 0);
                if (r < 0)
                        return broker_loop_failed(broker, r);
                broker->n_failures = 0;
                services_settle(services);
        } while (r > 0 && ++n < EVENTS_PER_ROUND && clock_usec(CLOCK_MONOTONIC) - begin < EVENTS_USEC &&
                 sd_event_get_state(services->event) != SD_EVENT_FINISHED);
        return r;
}

/* Whether there is room for all that is to be kept is known only when it is not. */
static void broker_review_store(Services *services) {
        bool full = services->state.store && fd_store_count_refused(services->state.store) > 0;

        if (full != services->store_was_full)
                warnings_gather(services);
}

/* The event loop and the clients by turns: connections that come without end keep no client waiting. */
int broker_run(Broker *broker) {
        Services *services = &broker->services;
        bool woken = true;
        int r, more;

        while (sd_event_get_state(services->event) != SD_EVENT_FINISHED) {
                if (services->handover_fd >= 0) {
                        broker->replaced = handover_run(services, fd_take(&services->handover_fd));
                        if (broker->replaced)
                                return 0;
                }
                more = 0;
                if (woken || services->endpoints.timers_changed)
                        more = broker_run_events(broker);
                if (more < 0)
                        return error_trace(more);
                r = poller_run(&services->poller, more == 0 && !services->endpoints.timers_changed);
                if (r < 0)
                        return error_trace(r);
                woken = more > 0 || r > 0;
                services_settle(services);
                broker_review_store(services);
                watchdog_round(&broker->watchdog);
        }
        return 0;
}

/* What it has is a successor's now, or still that of the one it was to replace. */
static bool broker_is_another_s(const Broker *broker) {
        return broker->replaced || broker->successor_of >= 0;
}

/* What is not freed is no leak. */
__attribute__((used)) static Broker *broker_left;

/*
 * What is kept for the next broker is not given up on the way: no lease is ended, no socket shut down,
 * no list changed. The objects are not freed either, which would do just that; the process is about to
 * end.
 */
static void broker_leave(Broker *broker) {
        Services *services = &broker->services;

        broker_left = broker;
        if (broker->listener)
                listener_leave(broker->listener, broker_is_another_s(broker));
        if (broker_is_another_s(broker))
                return;
        services_settle(services);
        fd_store_flush(services->state.store);
        log_line(
                LOG_NOTICE,
                "%zu descriptors of %zu endpoints are left in the service manager's store: over a "
                "restart, "
                "and over a stop where FileDescriptorStorePreserve= says so; without, they are given up",
                fd_store_count(services->state.store), endpoint_registry_count(&services->endpoints));
}

/* There is nobody to keep what it has. */
static void broker_give_up(const Services *services) {
        size_t n = endpoint_registry_count(&services->endpoints);

        if (n > 0)
                log_line(LOG_NOTICE,
                         "%zu endpoints with %zu leases end with the broker, and what waits on "
                         "them",
                         n, lease_registry_count(&services->leases));
}

Broker *broker_free(Broker *broker) {
        if (!broker)
                return NULL;
        if (broker_is_another_s(broker) || (broker->owns && broker->services.state.store)) {
                broker_leave(broker);
                return NULL;
        }
        broker_give_up(&broker->services);
        fd_close(broker->services.handover_fd);
        watchdog_deinit(&broker->watchdog);
        listener_free(broker->listener);
        lease_registry_deinit(&broker->services.leases, "the broker stops");
        endpoint_registry_deinit(&broker->services.endpoints);
        grace_deinit(&broker->services.grace);
        state_deinit(&broker->services.state);
        inherited_deinit(&broker->inherited);
        audit_free(broker->audit);
        steering_free(broker->services.steering);
        poller_deinit(&broker->services.poller);
        sd_event_source_unref(broker->hangup);
        sd_event_source_unref(broker->helper_gone);
        namespaces_deinit(&broker->services.namespaces);
        sd_event_unref(broker->services.event);
        port_pool_free(broker->services.ports);
        message_buffer_deinit(&broker->services.event_buffer);
        message_buffer_deinit(&broker->services.buffer);
        accounts_deinit(&broker->services.accounts);
        cgroup_map_deinit(&broker->services.cgroups);
        warnings_deinit(&broker->services.warnings);
        free(broker->services.reload_error);
        config_free(broker->services.config);
        free(broker);
        return NULL;
}
