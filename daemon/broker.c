/* SPDX-License-Identifier: BSD-2-Clause */

/* Reload, the loop, and stop. What happens in between is the peers'. */

#include "daemon/broker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/broker-private.h"
#include "daemon/clock.h"
#include "daemon/handover.h"
#include "daemon/judge.h"
#include "daemon/log.h"
#include "daemon/policy.h"
#include "daemon/right-trial.h"
#include "proto/cleanup.h"
#include "proto/error.h"
#include "proto/limits.h"
#include "proto/message.h"

enum {
        /* When the event loop fails, it is tried again so often, and so long after. */
        LOOP_FAILURES_MAX = 5000,
        LOOP_REST_MSEC = 1,
        /* Of the event loop, in one round: so many things, or for so long. */
        EVENTS_PER_ROUND = 4,
        EVENTS_USEC = 400,
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

int broker_configure(Broker *broker, char **ret_reason) {
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

void broker_take_stock(Services *services) {
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

int broker_handle_signals(Broker *broker) {
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
        /* Whoever connects after the signal is served by the new configuration: the unit counts
         * on it. */
        if (r >= 0)
                r = sd_event_source_set_priority(broker->hangup, SD_EVENT_PRIORITY_IMPORTANT);
        return r < 0 ? error_origin(r) : 0;
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
