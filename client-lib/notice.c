/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a program is told of a broker that was lost and came back. Notices wait in a queue, since one
 * turn of reuse_client_process() calls one handler, and nothing else goes on before they are told.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client-lib/internal.h"

struct reuse_notice {
        STAILQ_ENTRY(reuse_notice) entry;
        uint32_t what;
        reuse_error *error;
        reuse_sockets *sockets;
        char lease[]; /* "": it is about none */
};

static reuse_notice *notice_free(reuse_notice *notice) {
        if (!notice)
                return NULL;
        reuse_error_free(notice->error);
        reuse_sockets_free(notice->sockets);
        free(notice);
        return NULL;
}

CLEANUP_DEFINE(reuse_notice, notice_free)

int notice_add(reuse_client *client, uint32_t what, const char *lease, reuse_sockets *sockets,
               reuse_error *error) {
        size_t size = lease ? strlen(lease) + 1 : 1;
        reuse_notice *notice;

        notice = client->notice_handler ? malloc(sizeof(*notice) + size) : NULL;
        if (!notice) {
                reuse_sockets_free(sockets);
                reuse_error_free(error);
                if (!client->notice_handler)
                        return 0;
                return client_end(client, -ENOMEM, "no memory to tell what became of the leases");
        }
        *notice = (reuse_notice){ .what = what, .sockets = sockets, .error = error };
        memcpy(notice->lease, lease ?: "", size);
        STAILQ_INSERT_TAIL(&client->notices, notice, entry);
        return 0;
}

void notices_free(reuse_client *client) {
        reuse_notice *notice;

        while ((notice = STAILQ_FIRST(&client->notices))) {
                STAILQ_REMOVE_HEAD(&client->notices, entry);
                notice_free(notice);
        }
}

/* A listener that the program did not take: its share of the traffic would wait for nobody. */
static void notice_release(reuse_client *client, const reuse_notice *notice) {
        const char *lease = reuse_sockets_get_lease(notice->sockets, 0);
        const WireMethod *method = &wire_methods[WIRE_METHOD_RELEASE];
        LeasesIn in = { .leases = { .items = &lease, .n = 1 } };
        Question question = {
                .call = { .method = method->name },
                .record = method->in,
                .value = &in,
        };
        int r = client_ask(client, &question);

        if (r < 0 && r != -ENOTCONN)
                (void)client_end(client, r, "cannot release a lease that the program did not take");
}

int notice_tell(reuse_client *client) {
        _cleanup_(notice_freep) reuse_notice *notice = STAILQ_FIRST(&client->notices);
        int r = 0;

        if (!notice)
                return 0;
        STAILQ_REMOVE_HEAD(&client->notices, entry);
        /* The program may have taken its handler away since. */
        if (client->notice_handler)
                r = client->notice_handler(client, notice, client->notice_userdata);
        if (notice->sockets)
                notice_release(client, notice);
        return r < 0 ? r : 1;
}

_public_ void reuse_client_set_notice_handler(reuse_client *client, reuse_notice_handler handler,
                                              void *userdata) {
        if (!client)
                return;
        client->notice_handler = handler;
        client->notice_userdata = userdata;
}

_public_ uint32_t reuse_notice_get_what(const reuse_notice *notice) {
        return notice ? notice->what : 0;
}

_public_ const char *reuse_notice_get_lease(const reuse_notice *notice) {
        return notice && *notice->lease ? notice->lease : NULL;
}

_public_ const reuse_error *reuse_notice_get_error(const reuse_notice *notice) {
        /* Where there was no memory for it. */
        static const reuse_error no_memory = {
                .number = -ENOMEM,
                .message = (char *)"there was no memory to say what went wrong",
        };

        if (!notice || notice->what != REUSE_NOTICE_GONE)
                return NULL;
        return notice->error ?: &no_memory;
}

_public_ reuse_sockets *reuse_notice_take_sockets(reuse_notice *notice) {
        return notice ? ptr_take(notice->sockets) : NULL;
}
