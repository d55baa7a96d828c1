/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* The long-lived objects that methods work on. Owned by the broker, borrowed by everybody else. */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/account.h"
#include "daemon/cgroup.h"
#include "daemon/config.h"
#include "daemon/confinement.h"
#include "daemon/endpoint.h"
#include "daemon/events.h"
#include "daemon/grace.h"
#include "daemon/id.h"
#include "daemon/lease.h"
#include "daemon/namespace.h"
#include "daemon/poller.h"
#include "daemon/port-pool.h"
#include "daemon/recovery-tally.h"
#include "daemon/state.h"
#include "daemon/warnings.h"
#include "proto/message.h"

typedef struct Services {
        sd_event *event;
        Poller poller;
        Config *config;
        AddressFamilies families;
        bool finds_connected; /* the kernel does: families.h */
        PortPool *ports;
        IdSource ids;
        EventHub hub;
        Accounts accounts;
        CgroupMap cgroups;
        Steering *steering;      /* NULL: groups are not steered, */
        const char *no_steering; /* for this reason */
        bool bpf_kept;           /* CAP_BPF could not be given up */
        Confinement confinement;
        unsigned rights_refused; /* PolicyRight bits that rules give and the kernel does not */
        Namespaces namespaces;
        bool gives_raw_ip;     /* rules do */
        bool gives_namespaces; /* rules do, other than the broker's own */
        EndpointRegistry endpoints;
        LeaseRegistry leases;
        State state;
        Grace grace;
        RecoveryTally recovered;
        int control_fd;       /* borrowed from the listener */
        int handover_fd;      /* to a successor that asked to take over; -1: nobody did */
        uint64_t n_handovers; /* that were begun */
        bool takes_over;      /* from another that runs: nothing is in a store yet */
        bool store_was_full;  /* when the warnings were gathered */
        /* Every reply is encoded in here and sent, or copied, before the next. */
        MessageBuffer buffer;
        /* Events are encoded apart: they happen while a reply is waiting in the other. */
        MessageBuffer event_buffer;
        uint64_t event_serial; /* of the event in there: it is the same for all who watch; 0: of none */
        uint64_t started_usec; /* CLOCK_REALTIME */
        /* What this kernel and these privileges allow; for GetStatus. */
        bool peer_pidfd;     /* SO_PEERPIDFD */
        bool no_socket_diag; /* of TCP */
        bool no_processes;   /* in /proc, of other users: ProtectProc= of a unit */
        bool pass_rights;    /* SO_PASSRIGHTS: descriptors nobody asked for are refused at the sender */
        bool privileged_ports; /* ports below net.ipv4.ip_unprivileged_port_start */
        char *reload_error;    /* why the last reload failed; NULL if it did not */
        Warnings warnings;
} Services;

/* Lists of groups and the saved state follow what was done; before anybody is told of it. What was
 * entered in vain is left. */
static inline void services_settle(Services *services) {
        group_settle(&services->endpoints);
        state_settle(&services->state);
        namespaces_sweep(&services->namespaces);
}
