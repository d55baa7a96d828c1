/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Rules about network namespaces, and which of them a socket is in. */

#include "tests/integration/group-kit.h"
#include "tests/unit/namespace-kit.h"

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

#define BROKER "[Broker]\nSocketMode=0666\nRetainSec=0\n"
#define OWN "[Rule own]\nUser=*\nOptions=*\nTenant=all\n"
#define BLUE "[Rule blue]\nUser=*\nOptions=*\nTenant=all\nNetworkNamespace=blue\n"
#define ALL "[Rule all]\nUser=*\nOptions=*\nTenant=all\nNetworkNamespace=*\n"
#define IN(name) "'network':'tcp4','address':'127.0.0.1:0','networkNamespace':'" name "'"

static inline void expect_reason(json_t *reply, const char *words) {
        json_auto_t *owned = reply;

        cr_assert(ne(ptr, strstr(kit_text(owned, "parameters.reason"), words), NULL), "%s",
                  kit_text(owned, "parameters.reason"));
}

static inline void expect_invalid(int control, const char *request, const char *words) {
        json_auto_t *reply = kit_refused(control, "OptionInvalid", "{%s}", request);

        KIT_EXPECT_TEXT(kit_text(reply, "parameters.option"), "networkNamespace");
        expect_reason(json_incref(reply), words);
}

/* A client in the namespace called @name reaches @holder. */
static inline void expect_served_in(const char *name, int holder) {
        int home;

        namespace_kit_enter(name, &home);
        kit_expect_served(holder);
        namespace_kit_go_home(home);
}

static inline void expect_cookie(const KitSocket *held, uint64_t cookie) {
        cr_assert(eq(u64, namespace_kit_cookie(held->fd), cookie));
}

/* A namespace called blue, and a broker with @config. Returns a connection. */
static inline int kit_start_beside_blue(Kit *kit, const char *config) {
        namespace_kit_begin();
        namespace_kit_add("blue");
        kit_start(kit, config);
        return harness_connect(&kit->harness);
}
