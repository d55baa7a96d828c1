/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whole lives of a broker: calls of four connections of two users, in any order, while connections and
 * processes end, time passes and any system call may fail. The objects are the daemon's own, the kernel
 * is fake-kernel.c.
 *
 * Each line of the input is one step; N is a decimal number, 0 if it is not there.
 *      {...     a call, as it stands, of the connection that speaks
 *      c N      from now on connection N speaks
 *      u        the next answer does not reach the client
 *      x        the connection that speaks ends, and its client connects again
 *      p        the process of the client that speaks exits
 *      t N      N milliseconds pass
 *      q N      N connections wait on each listener from now on
 *      k N      N flows come to each group
 *      s N      a holder shuts the Nth socket down
 *      a N      the Nth endpoint's sentinel has something to read
 *      f N E    the Nth system call from now fails with errno E
 */

#include "daemon/dispatch.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/describe.h"
#include "daemon/listing.h"
#include "daemon/overlap.h"
#include "daemon/process.h"
#include "daemon/repair.h"
#include "tests/fuzz/fake-kernel.h"
#include "tests/fuzz/fake-steering.h"
#include "tests/fuzz/fuzz.h"

enum {
        CLIENTS = 4,
        USERS = 3,
        FIRST_UID = 1000,
        LEASES_PER_USER = 12,
        STEPS_MAX = 64,
        TURNS_MAX = 1000,
        POOL_FIRST = 40000,
        POOL_N = 3,
};

/* One connection, as peer.c has it. */
typedef struct Client {
        struct Broker *broker;
        Subject *subject;
        User *user;
        LeaseOwner leases;
        Process *process;
        int lifeline; /* the last descriptor that leases depend on; -1: none */
        Watcher watcher;
        bool watching;
} Client;

typedef struct Broker {
        Services services;
        Client clients[CLIENTS];
        Client *speaker;
        bool undeliverable;
} Broker;

/* Two users are one tenant at port 80; one shares port 81 with a third; the rest each has for itself. */
static const char rules[] = "[Rule none]\nUser=*\nPort=1-79\nAllow=no\n"
                            "[Rule web]\nUser=1000 1001\nPort=80\nTenant=web\nMaxLeases=3\n"
                            "[Rule shares]\nUser=1000\nPort=81\nShareWith=1002\n"
                            "[Rule all]\nUser=*\nOptions=*\nRateLimit=50/1s\n"
                            "[Rule look]\nUser=1001\nObserve=yes\n";

static Config *config;

/* ---- a small pool of ports ---------------------------------------------------------------------- */

struct PortPool {
        size_t next;
};

int __wrap_port_pool_new(PortPool **ret);
PortPool *__wrap_port_pool_free(PortPool *pool);
size_t __wrap_port_pool_size(const PortPool *pool);
void __wrap_port_pool_begin(PortPool *pool);
uint16_t __wrap_port_pool_next(PortPool *pool);

int __wrap_port_pool_new(PortPool **ret) {
        *ret = calloc(1, sizeof(**ret));
        fuzz_expect(*ret);
        return 0;
}

PortPool *__wrap_port_pool_free(PortPool *pool) {
        free(pool);
        return NULL;
}

size_t __wrap_port_pool_size(const PortPool *pool) {
        return POOL_N;
}

void __wrap_port_pool_begin(PortPool *pool) {
}

uint16_t __wrap_port_pool_next(PortPool *pool) {
        return (uint16_t)(POOL_FIRST + pool->next++ % POOL_N);
}

/* ---- clients ------------------------------------------------------------------------------------ */

static void client_notify(Watcher *watcher, const Event *event) {
        Client *client = (Client *)((char *)watcher - offsetof(Client, watcher));
        Services *services = &client->broker->services;
        EventText text;
        EventInfo info;

        describe_event(event, &services->ids, &text, &info);
        fuzz_expect(message_encode_reply(&services->event_buffer, &(Reply){ .continues = true },
                                         wire_methods[WIRE_METHOD_WATCH].out,
                                         &(WatchOut){ .event = &info }) == 0);
}

static void client_begin(Broker *broker, Client *client) {
        uid_t uid = FIRST_UID + (uid_t)(client - broker->clients) % USERS;
        Subject *subject = calloc(1, sizeof(*subject));

        fuzz_expect(subject);
        *subject = (Subject){ .n_refs = 1, .uid = uid, .gid = uid };
        *client = (Client){ .broker = broker, .subject = subject, .lifeline = -1 };
        client->watcher.notify = client_notify;
        LIST_INIT(&client->leases.leases);
        fuzz_expect(accounts_user(&broker->services.accounts, uid, &client->user) == 0);
}

static void client_end(Client *client) {
        if (client->watching)
                LIST_REMOVE(&client->watcher, entry);
        lease_owner_end(&client->leases, MEMBER_LEAVE_LOST, "the connection has ended");
        process_unref(client->process);
        client->lifeline = fd_close(client->lifeline);
        user_unref(client->user);
        subject_unref(client->subject);
}

static int client_get_process(Context *context, Process **ret) {
        Client *client = context->peer;
        int pidfd, r;

        if (client->process && client->process->exited)
                return SUBJECT_E_GONE;
        if (fake_kernel_fails())
                return SUBJECT_E_NO_DESCRIPTOR;
        if (!client->process) {
                pidfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
                fuzz_expect(pidfd >= 0);
                r = process_new(context->services->event, pidfd, &client->process);
                if (r < 0)
                        return r;
        }
        *ret = client->process;
        return 0;
}

/* What peer.c does bit by bit, at once. */
static int client_list(Context *context) {
        Client *client = context->peer;
        Listing *listing = NULL;
        const MessageBuffer *reply;
        char reason[MESSAGE_TEXT_MAX];
        Message *message;
        int outcome, r;

        fuzz_expect(listing_new(context->services, client->subject, client->user, &listing) == 0);
        do
                r = listing_step(listing, &outcome);
        while (r == LISTING_E_AGAIN);
        fuzz_expect(r == 0);
        reply = listing_finish(listing);
        fuzz_expect(message_parse(reply->data, reply->n - 1, &message, reason) == 0);
        message_free(message);
        listing_free(listing);
        return 0;
}

static int client_watch(Context *context) {
        Client *client = context->peer;

        client->watching = true;
        LIST_INSERT_HEAD(&context->services->hub.watchers, &client->watcher, entry);
        return 0;
}

/* ---- what holds at any time --------------------------------------------------------------------- */

static size_t count_leases(const Broker *broker, uid_t uid) {
        const Lease *lease;
        size_t n = 0;

        for (lease = broker->services.leases.by_id; lease; lease = lease->hh.next)
                n += lease->subject->uid == uid;
        return n;
}

/* By the rules above, read by hand. */
static bool may_hold(const Endpoint *endpoint, uid_t uid) {
        uint16_t port =
                address_is_ip(&endpoint->address) ? address_port(&endpoint->address) : UINT16_MAX;
        uid_t maker = endpoint->maker->uid;

        if (port < 80)
                return false;
        if (port == 80 && maker < FIRST_UID + 2)
                return uid < FIRST_UID + 2;
        return uid == maker || (port == 81 && maker == FIRST_UID && uid == FIRST_UID + 2);
}

/* What takes traffic of each other belongs to one tenant. */
static void expect_apart(const Endpoint *endpoint) {
        const Endpoint *other;

        for (other = endpoint->hh.next; other; other = other->hh.next)
                fuzz_expect(!overlap_between(&endpoint->address, &other->address) ||
                            tenant_equal(&endpoint->tenant, &other->tenant));
}

static size_t expect_members(const Endpoint *endpoint) {
        size_t n_members = 0, n_leases = 0;
        const Member *member;
        const Lease *lease;

        TAILQ_FOREACH (member, &endpoint->members, entry) {
                n_members++;
                fuzz_expect(member->endpoint == endpoint && fake_kernel_is_socket(member->fd));
                fuzz_expect((member->state == MEMBER_PARKED) == LIST_EMPTY(&member->leases));
                LIST_FOREACH (lease, &member->leases, by_member) {
                        fuzz_expect(lease->member == member);
                        fuzz_expect(may_hold(endpoint, lease->subject->uid));
                        n_leases++;
                }
        }
        TAILQ_FOREACH (member, &endpoint->departing, entry)
                fuzz_expect(member->departure.waiting && LIST_EMPTY(&member->leases));
        fuzz_expect(n_members > 0 && n_members == endpoint->n_members);
        fuzz_expect(endpoint->sharing == SHARING_GROUP || n_members == 1);
        fuzz_expect(endpoint->sharing != SHARING_EXCLUSIVE || n_leases <= 1);
        return n_leases;
}

static void expect_sound(const Broker *broker) {
        const Services *services = &broker->services;
        const Endpoint *endpoint;
        size_t n_leases = 0;

        for (endpoint = services->endpoints.by_key; endpoint; endpoint = endpoint->hh.next) {
                n_leases += expect_members(endpoint);
                expect_apart(endpoint);
        }
        fuzz_expect(n_leases == lease_registry_count(&services->leases));
        fuzz_expect(n_leases == services->accounts.used[RESOURCE_LEASES]);
        for (int i = 0; i < USERS; i++)
                fuzz_expect(count_leases(broker, (uid_t)(FIRST_UID + i)) <= LEASES_PER_USER);
}

/* An answer is one message of the interface; only one without error has descriptors. */
static void expect_answer(const Context *context) {
        const MessageBuffer *buffer = &context->services->buffer;
        char reason[MESSAGE_TEXT_MAX];
        Message *message;
        void *out;
        Reply reply;

        if (!context->answered) {
                fuzz_expect(context->fds.n == 0);
                return;
        }
        fuzz_expect(message_parse(buffer->data, buffer->n - 1, &message, reason) == 0);
        fuzz_expect(message_reply(message, &reply) == 0 && !reply.continues);
        if (reply.error) {
                fuzz_expect(wire_error_find(reply.error) >= 0 && context->fds.n == 0);
        } else {
                out = malloc(context->method->out->size ?: 1);
                fuzz_expect(out && message_decode(message, context->method->out, true, out) == 0);
                free(out);
        }
        message_free(message);
}

/* ---- steps -------------------------------------------------------------------------------------- */

/* Everything that the loop and the poller can do now, as in broker.c. */
static void turn(Broker *broker) {
        EndpointRegistry *endpoints = &broker->services.endpoints;
        Poller *poller = &broker->services.poller;

        for (int i = 0; i < TURNS_MAX; i++) {
                group_settle(endpoints);
                while (sd_event_run(broker->services.event, 0) > 0)
                        group_settle(endpoints);
                if (poller->turns.n_items == 0 &&
                    poll(&(struct pollfd){ .fd = poller->epoll_fd, .events = POLLIN }, 1, 0) == 0)
                        return;
                fuzz_expect(poller_run(poller, true) >= 0);
        }
        fuzz_expect(!"the loop comes to rest");
}

static void reconnect(Broker *broker) {
        client_end(broker->speaker);
        client_begin(broker, broker->speaker);
}

static bool is_pipe(int fd) {
        struct stat st;

        return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* Leases that depend on the one before end in the next turn. */
static void client_keep(Client *client, int fd) {
        fd_close(client->lifeline);
        client->lifeline = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        fuzz_expect(client->lifeline >= 0);
}

/* What comes of it is nobody's but the client's. */
static bool dials(const Context *context) {
        return context->method == &wire_methods[WIRE_METHOD_DIAL];
}

static void step_call(Broker *broker, FuzzInput line) {
        Client *client = broker->speaker;
        uid_t other = FIRST_UID + (client->subject->uid - FIRST_UID + 1) % USERS;
        size_t n_others = count_leases(broker, other),
               n_own = count_leases(broker, client->subject->uid);
        Context context = {
                .services = &broker->services,
                .subject = client->subject,
                .user = client->user,
                .connection = &client->leases,
                .get_process = client_get_process,
                .watch = client_watch,
                .list = client_list,
                .peer = client,
        };
        bool delivered = !broker->undeliverable;
        size_t n_fds, n_leases;
        char *frame;
        int r;

        if (client->watching)
                return; /* it is not listened to */
        frame = fuzz_copy(line.data, line.n);
        r = dispatch_call(&context, frame, line.n);
        if (r >= 0)
                expect_answer(&context);
        n_fds = n_leases = context.fds.n;
        if (n_fds > 0 && is_pipe(context.fds.fds[n_fds - 1])) {
                n_leases--;
                if (delivered)
                        client_keep(client, context.fds.fds[n_fds - 1]);
        }
        if (dials(&context))
                n_leases = 0;
        if (n_fds > 0) {
                fuzz_expect(count_leases(broker, client->subject->uid) == n_own + n_leases);
                broker->undeliverable = false;
        }
        context_finish(&context, r >= 0 && delivered);
        if (n_fds > 0 && !delivered)
                fuzz_expect(count_leases(broker, client->subject->uid) == n_own);
        fuzz_expect(count_leases(broker, other) == n_others);
        free(frame);
        if (r != 0)
                reconnect(broker);
}

static void step_speaker(Broker *broker, FuzzInput line) {
        broker->speaker = &broker->clients[fuzz_number(&line) % CLIENTS];
}

static void step_undeliverable(Broker *broker, FuzzInput line) {
        broker->undeliverable = true;
}

static void step_reconnect(Broker *broker, FuzzInput line) {
        reconnect(broker);
}

static void step_exit(Broker *broker, FuzzInput line) {
        if (broker->speaker->process)
                fuzz_expect(eventfd_write(broker->speaker->process->fd, 1) == 0);
}

static void step_time(Broker *broker, FuzzInput line) {
        fake_kernel_pass((uint64_t)fuzz_number(&line) * 1000);
}

static void step_queue(Broker *broker, FuzzInput line) {
        fake_kernel_set_queue(fuzz_number(&line));
}

static void step_flow(Broker *broker, FuzzInput line) {
        fake_steering_flow(broker->services.steering, fuzz_number(&line));
}

static void step_shut_down(Broker *broker, FuzzInput line) {
        unsigned n = fuzz_number(&line);
        const Endpoint *endpoint;
        Member *member;

        for (endpoint = broker->services.endpoints.by_key; endpoint; endpoint = endpoint->hh.next)
                TAILQ_FOREACH (member, &endpoint->members, entry)
                        if (n-- == 0) {
                                fake_kernel_shut_down(member->fd);
                                member->alarm.on_alarm(&member->alarm, EPOLLHUP | EPOLLRDHUP);
                                return;
                        }
}

static void step_sentinel(Broker *broker, FuzzInput line) {
        unsigned n = fuzz_number(&line);
        Endpoint *endpoint;

        for (endpoint = broker->services.endpoints.by_key; endpoint; endpoint = endpoint->hh.next)
                if (sentinel_is_open(&endpoint->group.sentinel) && n-- == 0) {
                        Alarm *alarm = &endpoint->group.sentinel.alarm;

                        alarm->on_alarm(alarm, EPOLLIN);
                        return;
                }
}

static void step_fail(Broker *broker, FuzzInput line) {
        unsigned nth = fuzz_number(&line), error = fuzz_number(&line);

        /* Below 134 each number is an errno. */
        fake_kernel_fail(nth, (int)(error % 134));
}

static const struct {
        char letter;
        void (*step)(Broker *broker, FuzzInput line);
} steps[] = {
        { 'c', step_speaker }, { 'u', step_undeliverable }, { 'x', step_reconnect },
        { 'p', step_exit },    { 't', step_time },          { 'q', step_queue },
        { 'k', step_flow },    { 's', step_shut_down },     { 'a', step_sentinel },
        { 'f', step_fail },
};

static void step(Broker *broker, FuzzInput line) {
        FuzzInput rest = line;
        uint8_t letter = fuzz_byte(&rest);

        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
                if (steps[i].letter == letter) {
                        steps[i].step(broker, rest);
                        return;
                }
        step_call(broker, line);
}

/* ---- begin and end ------------------------------------------------------------------------------ */

static void broker_begin(Broker *broker) {
        Services *services = &broker->services;
        const char *reason;

        *broker = (Broker){ .speaker = &broker->clients[0] };
        services->config = config;
        services->families = (AddressFamilies){ .ipv4 = true, .ipv6 = true, .mapped = true };
        accounts_init(&services->accounts);
        services->accounts.limit_per_user[RESOURCE_LEASES] = LEASES_PER_USER;
        fuzz_expect(steering_new(&services->steering, &reason) == 0);
        fuzz_expect(id_source_init(&services->ids) == 0 && port_pool_new(&services->ports) == 0);
        fuzz_expect(sd_event_new(&services->event) >= 0);
        fuzz_expect(poller_init(&services->poller, sd_event_get_fd(services->event)) == 0);
        fuzz_expect(endpoint_registry_init(&services->endpoints,
                                           &(EndpointServices){ .event = services->event,
                                                                .poller = &services->poller,
                                                                .hub = &services->hub,
                                                                .ids = &services->ids,
                                                                .steering = services->steering,
                                                                .on_shut_down = repair_member }) == 0);
        for (int i = 0; i < CLIENTS; i++)
                client_begin(broker, &broker->clients[i]);
}

static void broker_end(Broker *broker) {
        Services *services = &broker->services;

        for (int i = 0; i < CLIENTS; i++) {
                turn(broker);
                client_end(&broker->clients[i]);
        }
        /* Those that are left depend on processes. */
        lease_registry_deinit(&services->leases, "the broker stops");
        endpoint_registry_deinit(&services->endpoints);
        for (int i = 0; i < _RESOURCE_N; i++)
                fuzz_expect(services->accounts.used[i] == 0);
        accounts_deinit(&services->accounts);
        steering_free(services->steering);
        poller_deinit(&services->poller);
        sd_event_unref(services->event);
        port_pool_free(services->ports);
        message_buffer_deinit(&services->buffer);
        message_buffer_deinit(&services->event_buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        FuzzInput input = { (const char *)data, size };
        int n_fds = fuzz_count_fds();
        Broker broker;

        fake_kernel_reset();
        broker_begin(&broker);
        for (int i = 0; i < STEPS_MAX && input.n > 0; i++) {
                step(&broker, fuzz_cut(&input, '\n'));
                turn(&broker);
                expect_sound(&broker);
        }
        broker_end(&broker);
        fuzz_expect(fuzz_count_fds() == n_fds);
        return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
        int fd = memfd_create("fuzz-dispatch", MFD_CLOEXEC);
        char path[32], *reason = NULL;

        /* The same every time. */
        json_object_seed(1);
        fuzz_expect(fd >= 0 && write(fd, rules, sizeof(rules) - 1) == sizeof(rules) - 1);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        fuzz_expect(config_load_from(path, NULL, true, 0, &config, &reason) == 0);
        close(fd);
        return 0;
}
