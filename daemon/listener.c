/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Accepting must survive having no descriptor left: a level-triggered loop would spin on a client that
 * it cannot accept. One descriptor is kept in reserve to accept such a client and turn it away.
 */

#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/inherited.h"
#include "daemon/log.h"
#include "daemon/socket-file.h"
#include "proto/cleanup.h"
#include "proto/error.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

enum {
        ACCEPTS_PER_TURN = 8,
        /* While users come who have too much: it is full all the time, and whoever comes next waits for
         * all who are in it. */
        BACKLOG_CROWDED = 32,
        /* How long accepting rests when not even the reserve helped. */
        ACCEPT_REST_USEC = 100 * 1000,
        /* Who is turned away can be back at once, so not each time is told. */
        OVERLOAD_TOLD_USEC = 1000 * 1000,
};

struct Listener {
        Services *services;
        PeerList peers;
        int fd;
        int backlog;
        int reserve;
        uint64_t told_usec; /* when an overload was last told of */
        sd_event_source *io;
        sd_event_source *rest;
        struct sockaddr_un address;
        SocketFile file;
};

static void listener_take_reserve(Listener *listener) {
        if (listener->reserve < 0)
                listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int listener_on_rested(sd_event_source *source, uint64_t usec, void *userdata) {
        Listener *listener = userdata;

        sd_event_source_unref(source);
        listener->rest = NULL;
        listener_take_reserve(listener); /* if there was none to be had when it was needed */
        sd_event_source_set_enabled(listener->io, SD_EVENT_ON);
        return 0;
}

/* No descriptor is left, or no memory. */
static void listener_overloaded(Listener *listener, int error) {
        uint64_t now = clock_usec(CLOCK_MONOTONIC);

        if (listener->told_usec == 0 || now - listener->told_usec >= OVERLOAD_TOLD_USEC) {
                log_line(LOG_WARNING, "cannot accept a client: %s", strerrordesc_np(error));
                listener->told_usec = now;
        }
        listener->reserve = fd_close(listener->reserve);
        fd_close(accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC));
        listener_take_reserve(listener);
        if (listener->reserve >= 0 && (error == EMFILE || error == ENFILE))
                return;
        if (sd_event_add_time_relative(listener->services->event, &listener->rest, CLOCK_MONOTONIC,
                                       ACCEPT_REST_USEC, 0, listener_on_rested, listener) >= 0)
                sd_event_source_set_enabled(listener->io, SD_EVENT_OFF);
}

static void listener_set_backlog(Listener *listener, int backlog) {
        if (backlog != listener->backlog && listen(listener->fd, backlog) == 0)
                listener->backlog = backlog;
}

static int listener_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Listener *listener = userdata;
        bool refused = false;
        int r;

        for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
                int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (client < 0) {
                        if (errno == EAGAIN)
                                listener_set_backlog(listener, LISTENER_BACKLOG);
                        else if (errno != EINTR && errno != ECONNABORTED)
                                listener_overloaded(listener, errno);
                        return 0;
                }
                r = peer_new(listener->services, &listener->peers, client);
                if (r < 0)
                        log_fault(LOG_ERR, "cannot serve a client");
                refused = refused || r == PEER_E_LIMIT;
        }
        if (refused)
                listener_set_backlog(listener, BACKLOG_CROWDED);
        return 0;
}

static int make_folder(const char *path, const Confinement *confinement) {
        _cleanup_(freep) char *folder = strdup(path);
        _cleanup_(fd_closep) int fd = -1;
        char *slash;

        if (!folder)
                return error_origin(-ENOMEM);
        slash = strrchr(folder, '/');
        if (!slash || slash == folder)
                return 0;
        *slash = '\0';
        if (mkdir(folder, 0755) < 0)
                return errno == EEXIST ? 0 : error_origin(-errno);
        fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return error_origin(-errno);
        if (confinement->changes_user &&
            fchownat(fd, "", confinement->uid, confinement->gid, AT_EMPTY_PATH) < 0)
                return error_origin(-errno);
        return 0;
}

static int listener_bind(Listener *listener) {
        SocketFileRefusal refusal;

        switch (socket_file_bind(&listener->file, listener->fd, &listener->address,
                                 sizeof(listener->address), &refusal)) {
        case 0:
                return 0;
        case SOCKET_FILE_E_IN_USE:
                return LISTENER_E_IN_USE;
        default:
                return error_origin(-refusal.error);
        }
}

/* No method takes descriptors: refuse them at the sender, where the kernel can (6.16). */
static void listener_refuse_descriptors(Listener *listener) {
        listener->services->pass_rights =
                setsockopt(listener->fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){ 0 }, sizeof(int)) == 0;
}

/* What the manager passes may have the queue of a broker that died in a crowd. */
static int listener_open_queue(Listener *listener) {
        if (listen(listener->fd, LISTENER_BACKLOG) < 0)
                return error_origin(-errno);
        listener->backlog = LISTENER_BACKLOG;
        return 0;
}

static int listener_make(Listener *listener) {
        int r;

        r = make_folder(listener->address.sun_path, &listener->services->confinement);
        if (r < 0)
                return error_trace(r);
        listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (listener->fd < 0)
                return error_origin(-errno);
        listener_refuse_descriptors(listener);
        r = listener_bind(listener);
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        return listener_open_queue(listener);
}

/*
 * Its address is where clients find it, whatever path was asked for. One in the abstract namespace
 * begins with a NUL, which people write as "@".
 */
static int listener_adopt(Listener *listener) {
        socklen_t size = sizeof(listener->address) - 1; /* a NUL stays at the end */
        int flags;

        if (sd_is_socket_unix(listener->fd, SOCK_STREAM, 1, NULL, 0) <= 0)
                return LISTENER_E_INHERITED;
        flags = fcntl(listener->fd, F_GETFL);
        if (flags < 0 || fcntl(listener->fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return error_origin(-errno);
        listener->address = (struct sockaddr_un){ 0 };
        if (getsockname(listener->fd, (struct sockaddr *)&listener->address, &size) < 0)
                return error_origin(-errno);
        if (listener->address.sun_path[0] == '\0')
                listener->address.sun_path[0] = '@';
        listener_refuse_descriptors(listener);
        return listener_open_queue(listener);
}

/* Of a broker that this one replaces, which made it: it is this one's to remove now. */
static void listener_inherit_file(Listener *listener) {
        struct stat st;

        if (lstat(listener->address.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
                return;
        listener->file.device = st.st_dev;
        listener->file.inode = st.st_ino;
}

static int listener_open(Listener *listener, Inherited *inherited) {
        int r;

        listener->fd = inherited_claim(inherited, LISTENER_OWN_NAME);
        if (listener->fd >= 0)
                listener_inherit_file(listener);
        if (listener->fd < 0)
                listener->fd = inherited_claim(inherited, LISTENER_NAME);
        if (listener->fd < 0)
                listener->fd = inherited_claim_path(inherited, listener->address.sun_path);
        r = listener->fd >= 0 ? listener_adopt(listener) : listener_make(listener);
        if (r != 0)
                return r < 0 ? error_trace(r) : r;
        listener->services->control_fd = listener->fd;
        listener_take_reserve(listener);
        if (listener->reserve < 0)
                return error_origin(-errno);
        r = sd_event_add_io(listener->services->event, &listener->io, listener->fd, EPOLLIN,
                            listener_on_io, listener);
        return r < 0 ? error_origin(r) : 0;
}

int listener_new(Services *services, const char *path, Inherited *inherited, Listener **ret) {
        const Confinement *confinement = &services->confinement;
        Listener *listener;
        int r;

        if (strlen(path) >= sizeof(listener->address.sun_path) || path[0] != '/')
                return LISTENER_E_PATH;
        listener = calloc(1, sizeof(*listener));
        if (!listener)
                return error_origin(-ENOMEM);
        listener->services = services;
        listener->fd = listener->reserve = -1;
        /* To whom the broker will be: what it makes as root it must be able to remove later. */
        listener->file = (SocketFile){ .uid = confinement->changes_user ? confinement->uid : (uid_t)-1,
                                       .gid = services->config->socket_group,
                                       .mode = services->config->socket_mode,
                                       .follow_links = true };
        if (listener->file.gid == (gid_t)-1 && confinement->changes_user)
                listener->file.gid = confinement->gid;
        listener->address.sun_family = AF_UNIX;
        strcpy(listener->address.sun_path, path);
        r = peer_list_init(&listener->peers, services);
        if (r == 0)
                r = listener_open(listener, inherited);
        if (r != 0) {
                listener_free(listener);
                return r < 0 ? error_trace(r) : r;
        }
        *ret = listener;
        return 0;
}

const char *listener_path(const Listener *listener) {
        return listener->address.sun_path;
}

void listener_leave(Listener *listener, bool to_successor) {
        if (!to_successor)
                socket_file_remove(&listener->file, listener->address.sun_path);
        peer_list_flush(&listener->peers);
}

Listener *listener_free(Listener *listener) {
        if (!listener)
                return NULL;
        sd_event_source_disable_unref(listener->io);
        sd_event_source_disable_unref(listener->rest);
        peer_list_end(&listener->peers);
        socket_file_remove(&listener->file, listener->address.sun_path);
        fd_close(listener->fd);
        fd_close(listener->reserve);
        free(listener);
        return NULL;
}
