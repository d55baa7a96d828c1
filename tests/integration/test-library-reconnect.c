/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The library and a broker that is killed and started again. Whether the next broker knows the leases of
 * the one before depends on where that kept its state; to a program it is the same: what it holds when
 * it is told that the broker is back is served, and the broker knows of it.
 */

#include "tests/integration/library-kit.h"

TestSuite(library_reconnect, .timeout = 60);

typedef struct Held {
        reuse_sockets *sockets;
        char lease[64];
        bool back;
        int gone;
} Held;

static void held_set(Held *held, reuse_sockets *sockets) {
        reuse_sockets_free(held->sockets);
        held->sockets = sockets;
        snprintf(held->lease, sizeof(held->lease), "%s", reuse_sockets_get_lease(sockets, 0));
}

static int on_notice(reuse_client *client, reuse_notice *notice, void *userdata) {
        Held *held = userdata;

        (void)client;
        switch (reuse_notice_get_what(notice)) {
        case REUSE_NOTICE_CLOSE:
                held->sockets = reuse_sockets_free(held->sockets);
                break;
        case REUSE_NOTICE_REPLACED:
                KIT_EXPECT_TEXT(reuse_notice_get_lease(notice), held->lease);
                held_set(held, reuse_notice_take_sockets(notice));
                break;
        case REUSE_NOTICE_GONE:
                held->gone = reuse_error_get_errno(reuse_notice_get_error(notice));
                break;
        case REUSE_NOTICE_BACK:
                held->back = true;
                break;
        }
        return 0;
}

static void await_back(reuse_client *client, const Held *held) {
        while (!held->back) {
                int r = reuse_client_process(client);

                if (r == 0)
                        r = reuse_client_wait(client, REUSE_TIMEOUT_INFINITE);
                cr_assert(r >= 0 || r == -EINTR, "%s", strerrorname_np(-r));
        }
}

static bool broker_knows(reuse_client *client, const char *lease) {
        char *text = NULL;
        bool known;

        cr_assert(zero(int, reuse_client_call(client, "List", NULL, &text, NULL)));
        known = strstr(text, lease);
        free(text);
        return known;
}

/* Holds what @spec says while brokers come and go. */
static void outlive_brokers(const char *spec, const char *lifetime, int turns) {
        reuse_request *request = library_request(spec);
        reuse_sockets *sockets = NULL;
        Held held = { 0 };
        reuse_client *client;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        reuse_client_set_notice_handler(client, on_notice, &held);
        cr_assert(zero(int, reuse_request_set_lifetime(request, lifetime)));
        cr_assert(zero(int, reuse_client_acquire(client, request, &sockets, NULL)));
        reuse_request_free(request);
        held_set(&held, sockets);
        for (int i = 0; i < turns; i++) {
                char address[128];

                snprintf(address, sizeof(address), "%s", reuse_sockets_get_address(held.sockets, 0));
                held.back = false;
                harness_kill(&kit.harness);
                harness_restart(&kit.harness);
                await_back(client, &held);
                cr_assert(zero(int, held.gone), "%s", strerrorname_np(-held.gone));
                KIT_EXPECT_TEXT(reuse_sockets_get_address(held.sockets, 0), address);
                cr_assert(broker_knows(client, held.lease));
                kit_expect_served(reuse_sockets_get_fd(held.sockets, 0));
        }
        reuse_sockets_free(held.sockets);
        cr_assert(zero(int, reuse_client_release(client, (const char *const[]){ held.lease }, 1, NULL)));
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_reconnect, lease_of_a_connection) {
        outlive_brokers("tcp:127.0.0.1:0,name=web", "connection", 3);
}

Test(library_reconnect, lease_of_a_process) {
        outlive_brokers("tcp:127.0.0.1:0", "process", 2);
}

Test(library_reconnect, datagrams) {
        outlive_brokers("udp:127.0.0.1:0", "connection", 2);
}

Test(library_reconnect, alone) {
        outlive_brokers("tcp:127.0.0.1:0,sharing=exclusive", "connection", 2);
}

Test(library_reconnect, file) {
        outlive_brokers("unix:@reuse-test-reconnect", "connection", 2);
}
