/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Connections that are made over a client: the sockets come from its broker, and are connected here,
 * beside its calls. One is under way in a list of the client until it is settled, then in a second one
 * until its handler was told; only the telling calls what belongs to the program.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "client-lib/outgoing.h"

enum {
        EVENTS_MAX = 16,
};

/* ---- what is wanted ---- */

const Options *outgoing_options(const reuse_outgoing *outgoing) {
        return outgoing->request->sockets[0].options;
}

const char *outgoing_namespace(const reuse_outgoing *outgoing) {
        return outgoing->request->sockets[0].network_namespace;
}

/* Addresses that cannot be reached from where the program wants to be are left out. */
static int outgoing_read_remotes(reuse_outgoing *outgoing, const OutgoingQuestion *question,
                                 reuse_error **ret_error) {
        const char *reason = NULL;

        outgoing->remotes = calloc(question->n_remotes, sizeof(*outgoing->remotes));
        if (!outgoing->remotes)
                return -ENOMEM;
        for (size_t i = 0; i < question->n_remotes; i++) {
                OutgoingAddress *remote = &outgoing->remotes[outgoing->n_remotes];

                if (outgoing_remote_parse(outgoing->kind, question->remotes[i],
                                          outgoing_namespace(outgoing), remote, &reason) != 0)
                        return reuse_error_set(ret_error, -EINVAL, "the address \"%s\" is not valid: %s",
                                               question->remotes[i], reason);
                if (outgoing->local.family == AF_UNSPEC ||
                    outgoing->local.family == remote->u.sa.sa_family)
                        outgoing->n_remotes++;
        }
        if (outgoing->n_remotes == 0)
                return reuse_error_set(ret_error, -EINVAL,
                                       "%s cannot be connected to from %s: they are of two families",
                                       question->remotes[0], question->local);
        return 0;
}

static int outgoing_read(reuse_outgoing *outgoing, const OutgoingQuestion *question,
                         reuse_error **ret_error) {
        const char *reason = NULL;
        int r;

        outgoing->kind = outgoing_kind_find(question->network);
        if (!outgoing->kind)
                return reuse_error_set(ret_error, -EPROTONOSUPPORT,
                                       "no connections are made over the network \"%s\": ask for tcp, "
                                       "udp, mptcp, sctp or udplite, alone or with 4 or 6, unix, "
                                       "unixgram, unixpacket or vsock",
                                       question->network);
        r = reuse_request_new(&outgoing->request);
        if (r == 0)
                r = reuse_request_add(outgoing->request, question->network, question->remotes[0]);
        if (r >= 0)
                r = reuse_request_set_outgoing(outgoing->request, question->options, ret_error);
        if (r < 0)
                return r;
        if (outgoing_namespace(outgoing) && !outgoing->kind->brokered)
                return reuse_error_set(ret_error, -EOPNOTSUPP,
                                       "connections of %s are made without the broker, and not in "
                                       "another network namespace",
                                       question->network);
        if (outgoing_local_parse(outgoing->kind, question->local, outgoing_namespace(outgoing),
                                 &outgoing->local, &reason) != 0)
                return reuse_error_set(ret_error, -EINVAL, "the local address \"%s\" is not valid: %s",
                                       question->local, reason);
        return outgoing_read_remotes(outgoing, question, ret_error);
}

/* One lane for each family, if both may be tried at once. */
static void outgoing_plan(reuse_outgoing *outgoing) {
        size_t n = outgoing->n_remotes;
        size_t n_first = outgoing->kind->races ? outgoing_split(outgoing->remotes, n) : n;

        lane_init(&outgoing->lanes[0], outgoing, 0, n_first);
        lane_init(&outgoing->lanes[1], outgoing, n_first, n);
        outgoing->n_lanes = n_first < n ? 2 : 1;
}

int outgoing_new(const OutgoingQuestion *question, reuse_outgoing **ret, reuse_error **ret_error) {
        _cleanup_(reuse_outgoing_freep) reuse_outgoing *outgoing = NULL;
        uint64_t now = client_now();
        int r;

        if (!question->network || question->n_remotes == 0 ||
            question->n_remotes > OUTGOING_REMOTES_MAX || !question->remotes[0])
                return reuse_error_set(ret_error, -EINVAL,
                                       "a network and an address to connect to are needed");
        outgoing = calloc(1, sizeof(*outgoing));
        if (!outgoing)
                return -ENOMEM;
        outgoing->fd = -1;
        for (size_t i = 0; i < OUTGOING_LANES_MAX; i++)
                lane_init(&outgoing->lanes[i], outgoing, 0, 0);
        outgoing->handler = question->handler;
        outgoing->userdata = question->userdata;
        outgoing->deadline = client_deadline(now, question->timeout);
        outgoing->head_start_end = client_deadline(now, OUTGOING_HEAD_START_USEC);
        r = outgoing_read(outgoing, question, ret_error);
        if (r < 0)
                return r;
        outgoing_plan(outgoing);
        *ret = ptr_take(outgoing);
        return 0;
}

bool outgoing_needs_broker(const reuse_outgoing *outgoing) {
        return outgoing->local.fixed || outgoing_namespace(outgoing);
}

/* ---- what becomes of it ---- */

/* Consumes @error. */
static void outgoing_settle(reuse_outgoing *outgoing, int number, reuse_error *error) {
        reuse_client *client = outgoing->client;

        for (size_t i = 0; i < outgoing->n_lanes; i++)
                lane_deinit(&outgoing->lanes[i]);
        TAILQ_REMOVE(&client->outgoings, outgoing, entry);
        TAILQ_INSERT_TAIL(&client->settled, outgoing, entry);
        outgoing->settled = true;
        outgoing->number = number;
        outgoing->error = error;
}

static void outgoing_succeed(reuse_outgoing *outgoing, OutgoingLane *lane) {
        outgoing->fd = fd_take(&lane->fd);
        outgoing->reused = lane->reused;
        outgoing->remote = outgoing->remotes[lane->next].text;
        if (outgoing_read_local(outgoing->fd, outgoing_namespace(outgoing), outgoing->address) < 0)
                *outgoing->address = '\0';
        outgoing_settle(outgoing, 0, NULL);
}

void outgoing_advance(reuse_outgoing *outgoing) {
        OutgoingLane *first = &outgoing->lanes[0];
        bool over = true;

        for (size_t i = 0; i < outgoing->n_lanes; i++) {
                OutgoingLane *lane = &outgoing->lanes[i];

                /* The lane before has failed: there is nobody left to have a head start. */
                if (lane->state == LANE_IDLE && over)
                        lane_begin(lane);
                lane_run(lane);
                if (lane->state == LANE_CONNECTED) {
                        outgoing_succeed(outgoing, lane);
                        return;
                }
                over = over && lane->state == LANE_OVER;
        }
        if (over)
                outgoing_settle(outgoing, first->number, ptr_take(first->error));
}

void outgoing_begin(reuse_outgoing *outgoing, reuse_client *client) {
        outgoing->client = client;
        TAILQ_INSERT_TAIL(&client->outgoings, outgoing, entry);
        outgoing_advance(outgoing);
}

/* Takes it out of the client. One that is under way is given up. */
static void outgoing_detach(reuse_outgoing *outgoing) {
        if (!outgoing->client)
                return;
        if (!outgoing->settled)
                (void)reuse_outgoing_cancel(outgoing);
        TAILQ_REMOVE(&outgoing->client->settled, outgoing, entry);
        outgoing->client = NULL;
}

void outgoing_await(reuse_outgoing *outgoing) {
        reuse_client *client = outgoing->client;

        while (!outgoing->settled) {
                int r = reuse_client_wait(client, UINT64_MAX);

                if (r > 0)
                        (void)reuse_client_process(client); /* the end settles it, too */
                else if (r < 0 && r != -EINTR)
                        (void)client_end(client, r, "cannot wait for the broker: %s",
                                         strerrordesc_np(-r));
        }
        outgoing_detach(outgoing);
}

/* ---- beside the calls of a client ---- */

uint64_t outgoings_due(const reuse_client *client) {
        uint64_t first = TAILQ_EMPTY(&client->settled) ? UINT64_MAX : 0;
        const reuse_outgoing *outgoing;

        TAILQ_FOREACH (outgoing, &client->outgoings, entry)
                for (size_t i = 0; i < outgoing->n_lanes; i++) {
                        const OutgoingLane *lane = &outgoing->lanes[i];
                        uint64_t due =
                                lane->state == LANE_IDLE ? outgoing->head_start_end : lane_due(lane);

                        if (due < first)
                                first = due;
                }
        return first;
}

static bool outgoing_on_time(reuse_outgoing *outgoing, uint64_t now) {
        bool any = false;

        for (size_t i = 0; i < outgoing->n_lanes; i++) {
                OutgoingLane *lane = &outgoing->lanes[i];

                if (lane->state == LANE_IDLE && now >= outgoing->head_start_end)
                        lane_begin(lane);
                else if (now >= lane_due(lane))
                        lane_on_time(lane, now);
                else
                        continue;
                any = true;
        }
        if (any)
                outgoing_advance(outgoing);
        return any;
}

static bool outgoings_on_time(reuse_client *client) {
        reuse_outgoing *outgoing = TAILQ_FIRST(&client->outgoings), *next;
        uint64_t now = outgoing ? client_now() : 0;
        bool any = false;

        for (; outgoing; outgoing = next) {
                next = TAILQ_NEXT(outgoing, entry);
                any |= outgoing_on_time(outgoing, now);
        }
        return any;
}

static bool outgoings_on_ready(reuse_client *client) {
        struct epoll_event events[EVENTS_MAX];
        bool any = false;
        int n;

        if (client->n_connecting == 0)
                return false;
        n = epoll_wait(client->poll_fd, events, EVENTS_MAX, 0);
        for (int i = 0; i < n; i++) {
                OutgoingLane *lane = events[i].data.ptr; /* NULL: the connection to the broker */

                /* None is freed meanwhile, but one may have been settled by the other lane. */
                if (!lane || !lane_on_ready(lane))
                        continue;
                outgoing_advance(lane->outgoing);
                any = true;
        }
        return any;
}

/* It may be freed by its handler. */
static int outgoing_tell(reuse_client *client, reuse_outgoing *outgoing) {
        outgoing_detach(outgoing);
        return outgoing->handler ? outgoing->handler(client, outgoing, outgoing->userdata) : 0;
}

int outgoings_process(reuse_client *client) {
        bool any;
        int r;

        any = outgoings_on_time(client);
        any |= outgoings_on_ready(client);
        if (TAILQ_EMPTY(&client->settled))
                return any;
        r = outgoing_tell(client, TAILQ_FIRST(&client->settled));
        return r < 0 ? r : 1;
}

void outgoings_end(reuse_client *client, int number, const reuse_error *why) {
        reuse_outgoing *outgoing;

        while ((outgoing = TAILQ_FIRST(&client->outgoings)))
                outgoing_settle(outgoing, number, reuse_error_copy(why));
}

void outgoings_tell_all(reuse_client *client) {
        reuse_outgoing *outgoing;

        while ((outgoing = TAILQ_FIRST(&client->settled)))
                (void)outgoing_tell(client, outgoing);
}

void outgoings_leave(reuse_client *client) {
        reuse_outgoing *outgoing;

        while ((outgoing = TAILQ_FIRST(&client->outgoings) ?: TAILQ_FIRST(&client->settled)))
                outgoing_detach(outgoing);
}

/* ---- for programs ---- */

_public_ int reuse_client_dial_async(reuse_client *client, const char *network,
                                     const char *remote_address, const char *local_address,
                                     const char *options, uint64_t usec, reuse_outgoing_handler handler,
                                     void *userdata, reuse_outgoing **ret, reuse_error **ret_error) {
        OutgoingQuestion question = {
                .network = network,
                .remotes = &remote_address,
                .n_remotes = 1,
                .local = local_address,
                .options = options,
                .timeout = usec,
                .handler = handler,
                .userdata = userdata,
        };
        reuse_outgoing *outgoing = NULL;
        int r;

        reuse_error_clear(ret_error);
        if (!ret)
                return reuse_error_set(ret_error, -EINVAL, "a place for the connection is needed");
        if (!client)
                return reuse_error_set(ret_error, -EINVAL, "a connection to the broker is needed");
        if (client->state == CLIENT_ENDED)
                return call_refused(-ENOTCONN, ret_error);
        r = outgoing_new(&question, &outgoing, ret_error);
        if (!outgoing)
                return r;
        outgoing_begin(outgoing, client);
        *ret = outgoing;
        return 0;
}

_public_ int reuse_client_dial(reuse_client *client, const char *network, const char *remote_address,
                               const char *local_address, const char *options, uint64_t usec,
                               reuse_outgoing **ret, reuse_error **ret_error) {
        _cleanup_(reuse_outgoing_freep) reuse_outgoing *outgoing = NULL;
        int r;

        if (!ret)
                return reuse_error_set(ret_error, -EINVAL, "a place for the connection is needed");
        r = reuse_client_dial_async(client, network, remote_address, local_address, options, usec, NULL,
                                    NULL, &outgoing, ret_error);
        if (!outgoing)
                return r;
        outgoing_await(outgoing);
        r = outgoing->number;
        if (r == 0)
                *ret = ptr_take(outgoing);
        else if (ret_error)
                *ret_error = ptr_take(outgoing->error);
        return r;
}

/* Those that need no broker have none, and neither has who finds none. */
static int dial_connect(const reuse_outgoing *outgoing, bool alone, reuse_client **ret) {
        reuse_error *error = NULL;

        if (outgoing->kind->brokered && !alone && reuse_client_connect(NULL, ret, &error) == 0)
                return 0;
        return client_new_alone(error, ret);
}

/* Whether the broker went away in the middle of it, and another is not waited for. */
static bool dial_was_left(const reuse_client *client, const reuse_outgoing *outgoing) {
        return client->state == CLIENT_ENDED && !outgoing_needs_broker(outgoing) &&
               (outgoing->number == -ECONNRESET || outgoing->number == -ETIMEDOUT) &&
               client_now() < outgoing->deadline;
}

/* The names of a question, as numbers. */
typedef struct Names {
        char *remotes[RESOLVED_MAX];
        char *local; /* NULL: any */
} Names;

static void names_deinit(Names *names) {
        for (size_t i = 0; i < RESOLVED_MAX; i++)
                free(names->remotes[i]);
        free(names->local);
}

/* @question borrows @ret. Returns 0 or a negative errno. */
static int names_resolve(OutgoingQuestion *question, Names *ret, reuse_error **ret_error) {
        char local[ADDRESS_TEXT_MAX];
        int r;

        /* What is wrong with these is said later. */
        if (!question->network || !question->remotes[0])
                return 0;
        r = addresses_resolve(question->network, question->remotes[0], ret->remotes, ret_error);
        if (r < 0)
                return r;
        question->remotes = (const char *const *)ret->remotes;
        question->n_remotes = (size_t)r;
        if (!question->local)
                return 0;
        r = reuse_resolve(question->network, question->local, local, sizeof(local), ret_error);
        if (r < 0)
                return r;
        ret->local = strdup(local);
        question->local = ret->local;
        return ret->local ? 0 : -ENOMEM;
}

/* What is left of the time. */
static uint64_t time_left(uint64_t deadline) {
        uint64_t now = client_now();

        return deadline == UINT64_MAX ? UINT64_MAX : deadline > now ? deadline - now : 0;
}

static int dial_once(const OutgoingQuestion *question, bool alone, bool *ret_left,
                     reuse_error **ret_error) {
        _cleanup_(reuse_client_freep) reuse_client *client = NULL;
        _cleanup_(reuse_outgoing_freep) reuse_outgoing *outgoing = NULL;
        int r;

        r = outgoing_new(question, &outgoing, ret_error);
        if (!outgoing)
                return r;
        r = dial_connect(outgoing, alone, &client);
        if (!client)
                return r;
        outgoing_begin(outgoing, client);
        outgoing_await(outgoing);
        *ret_left = dial_was_left(client, outgoing);
        if (outgoing->number < 0 && ret_error)
                *ret_error = ptr_take(outgoing->error);
        return outgoing->number < 0 ? outgoing->number : fd_take(&outgoing->fd);
}

_public_ int reuse_dial(const char *network, const char *remote_address, const char *local_address,
                        const char *options, uint64_t usec, reuse_error **ret_error) {
        OutgoingQuestion question = {
                .network = network,
                .remotes = &remote_address,
                .n_remotes = 1,
                .local = local_address,
                .options = options,
        };
        uint64_t deadline = client_deadline(client_now(), usec);
        _cleanup_(names_deinit) Names names = { 0 };
        bool left = false;
        int r;

        reuse_error_clear(ret_error);
        r = names_resolve(&question, &names, ret_error);
        if (r < 0)
                return r;
        question.timeout = time_left(deadline);
        r = dial_once(&question, false, &left, ret_error);
        if (r >= 0 || !left)
                return r;
        if (ret_error)
                *ret_error = reuse_error_free(*ret_error);
        question.timeout = time_left(deadline);
        return dial_once(&question, true, &left, ret_error);
}

_public_ int reuse_outgoing_cancel(reuse_outgoing *outgoing) {
        if (!outgoing)
                return -EINVAL;
        if (!outgoing->settled)
                outgoing_settle(outgoing, -ECANCELED,
                                reuse_error_new(-ECANCELED, "connecting to %s was canceled",
                                                outgoing->remotes[0].text));
        return 0;
}

_public_ reuse_outgoing *reuse_outgoing_free(reuse_outgoing *outgoing) {
        if (!outgoing)
                return NULL;
        outgoing_detach(outgoing);
        for (size_t i = 0; i < OUTGOING_LANES_MAX; i++)
                lane_deinit(&outgoing->lanes[i]);
        reuse_request_free(outgoing->request);
        reuse_error_free(outgoing->error);
        fd_close(outgoing->fd);
        free(outgoing->remotes);
        free(outgoing);
        return NULL;
}

/* 0: it is connected. */
static int outgoing_state(const reuse_outgoing *outgoing) {
        if (!outgoing)
                return -EINVAL;
        return outgoing->settled ? outgoing->number : -EINPROGRESS;
}

_public_ int reuse_outgoing_get_fd(const reuse_outgoing *outgoing) {
        int r = outgoing_state(outgoing);

        return r < 0 ? r : outgoing->fd < 0 ? -EBADF : outgoing->fd;
}

_public_ int reuse_outgoing_take_fd(reuse_outgoing *outgoing) {
        int r = reuse_outgoing_get_fd(outgoing);

        return r < 0 ? r : fd_take(&outgoing->fd);
}

_public_ int reuse_outgoing_get_reused(const reuse_outgoing *outgoing) {
        int r = outgoing_state(outgoing);

        return r < 0 ? r : outgoing->reused;
}

_public_ const char *reuse_outgoing_get_local_address(const reuse_outgoing *outgoing) {
        return outgoing && *outgoing->address ? outgoing->address : NULL;
}

_public_ const char *reuse_outgoing_get_remote_address(const reuse_outgoing *outgoing) {
        return outgoing && outgoing->settled ? outgoing->remote : NULL;
}

_public_ const reuse_error *reuse_outgoing_get_error(const reuse_outgoing *outgoing) {
        if (!outgoing || !outgoing->settled || outgoing->number == 0)
                return NULL;
        return outgoing->error ?: &reuse_error_no_memory;
}
