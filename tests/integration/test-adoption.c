/* SPDX-License-Identifier: BSD-2-Clause */

/* The one who adopts a parked socket may want it otherwise than the one before. */

#include "tests/integration/parking-kit.h"

TestSuite(adoption, .timeout = 60);

#define ADOPTION_CONFIG "[Broker]\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n"

static KitSocket acquire_and_hang_up(Scene *scene, const char *network, const char *address,
                                     const char *more) {
        int lost = harness_connect(&scene->kit.harness);
        KitSocket held = kit_acquire(lost, "{'network':'%s','address':'%s'%s}", network, address, more);

        close(lost);
        for (;;) {
                json_auto_t *event = NULL;
                int fds[HARNESS_FDS_MAX];
                size_t n_fds;

                event = kit_receive(scene->watch, fds, &n_fds);
                if (strcmp(kit_text(event, "parameters.event.what"), "parked") == 0)
                        return held;
        }
}

static KitSocket adopt(Scene *scene, const KitSocket *before, const char *more) {
        KitSocket held = kit_acquire(scene->control, "{'network':'%s','address':'%s'%s}",
                                     kit_text(before->reply, "network"), kit_address(before), more);

        cr_assert(eq(int, kit_true(held.reply, "adopted"), true));
        KIT_EXPECT_TEXT(kit_text(held.reply, "cookie"), kit_text(before->reply, "cookie"));
        return held;
}

/* ----
 * refusals -------------------------------------------------------------------------------------- */

/* What cannot be had is refused, and the socket waits on. */
Test(adoption, option_that_the_kernel_refuses) {
        Scene scene;
        KitSocket held, next;

        scene_open(&scene, ADOPTION_CONFIG);
        held = acquire_and_hang_up(&scene, "tcp4", "127.0.0.1:0", "");
        json_decref(kit_refused(scene.control, "OptionInvalid",
                                "{'network':'tcp4','address':'%s','options':{'congestion':'none-such'}}",
                                kit_address(&held)));
        next = adopt(&scene, &held, "");
        kit_expect_served(next.fd);
        kit_drop(&held);
        kit_release(scene.control, &next);
        scene_close(&scene);
}

/* What was set before the kernel refused is put back. */
Test(adoption, options_that_the_kernel_refuses_half_way) {
        static const struct {
                const char *network;
                const char *options, *bad;
                int level, name;
        } table[] = {
                { "tcp4", "'timeToLive':9", "congestion':'none-such", SOL_IP, IP_TTL },
                { "tcp4", "'lingerSec':9", "congestion':'none-such", SOL_SOCKET, SO_LINGER },
                { "tcp4", "'sendBuffer':9000", "congestion':'none-such", SOL_SOCKET, SO_SNDBUF },
                { "tcp6", "'typeOfService':8", "congestion':'none-such", SOL_IPV6, IPV6_TCLASS },
                { "udp4", "'typeOfService':8", "multicastInterface':'none-such", SOL_IP, IP_TOS },
                { "udp4", "'typeOfService':16", "multicastInterface':'none-such", SOL_SOCKET,
                  SO_PRIORITY },
                { "udp4", "'broadcast':false", "multicastInterface':'none-such", SOL_SOCKET,
                  SO_BROADCAST },
        };
        Scene scene;

        scene_open(&scene, ADOPTION_CONFIG);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                KitSocket held, next;
                int before;

                held = acquire_and_hang_up(&scene, table[i].network,
                                           strcmp(table[i].network, "tcp6") ? "127.0.0.1:0" : "[::1]:0",
                                           ",'sharing':'exclusive'");
                before = kit_int_option(held.fd, table[i].level, table[i].name);
                json_decref(kit_refused(scene.control, "OptionInvalid",
                                        "{'network':'%s','address':'%s','options':{%s,'%s'}}",
                                        table[i].network, kit_address(&held), table[i].options,
                                        table[i].bad));
                cr_assert(eq(int, kit_int_option(held.fd, table[i].level, table[i].name), before));
                cr_assert(zero(int, kit_int_option(held.fd, SOL_SOCKET, SO_REUSEPORT)));
                next = adopt(&scene, &held, ",'sharing':'exclusive'");
                kit_expect_served(next.fd);
                kit_drop(&held);
                kit_release(scene.control, &next);
        }
        scene_close(&scene);
}

Test(adoption, name_of_another_endpoint) {
        Scene scene;
        KitSocket named, held, next;

        scene_open(&scene, ADOPTION_CONFIG);
        named = kit_acquire(scene.control, "{'network':'tcp4','address':'127.0.0.1:0','name':'web'}");
        held = acquire_and_hang_up(&scene, "tcp4", "127.0.0.1:0", "");
        json_decref(kit_refused(scene.control, "OptionConflict",
                                "{'network':'tcp4','address':'%s','name':'web'}", kit_address(&held)));
        next = adopt(&scene, &held, "");
        kit_drop(&held);
        kit_release(scene.control, &next);
        kit_release(scene.control, &named);
        scene_close(&scene);
}

/* ----
 * changes --------------------------------------------------------------------------------------- */

Test(adoption, other_options) {
        Scene scene;
        KitSocket held, next;

        scene_open(&scene, ADOPTION_CONFIG);
        held = acquire_and_hang_up(&scene, "tcp4", "127.0.0.1:0",
                                   ",'options':{'timeToLive':9,'backlog':5}");
        next = adopt(&scene, &held, ",'options':{'timeToLive':10,'backlog':6,'keepAlive':true}");
        cr_assert(eq(llong, kit_number(next.reply, "options.timeToLive"), 10));
        cr_assert(eq(llong, kit_number(next.reply, "options.backlog"), 6));
        cr_assert(eq(int, kit_true(next.reply, "options.keepAlive"), true));
        kit_expect_served(next.fd);
        /* They are what the endpoint has from now on. */
        json_decref(kit_refused(scene.control, "OptionConflict",
                                "{'network':'tcp4','address':'%s','options':{'timeToLive':9}}",
                                kit_address(&held)));
        kit_drop(&held);
        kit_release(scene.control, &next);
        scene_close(&scene);
}

/* What cannot change on a bound socket need not, if it is asked for as it is. */
Test(adoption, same_options_and_another) {
        static const struct {
                const char *network;
                const char *address;
                const char *same;
        } table[] = {
                { "tcp", ":0", "'ipv6Only':true" },
                { "tcp", ":0", "'ipv6Only':false" },
                { "tcp6", "[::1]:0", "'ipv6Only':true" },
                { "udp4", "127.0.0.1:0", "'multicastGroups':['239.1.2.3%lo']" },
                { "udp4", "127.0.0.1:0", "'multicastInterface':'lo','multicastLoop':false" },
                { "tcp4", "127.0.0.1:0", "'freeBind':true" },
                { "tcp4", "127.0.0.1:0", "'reuseAddress':false,'fastOpenQueue':5,'deferAcceptSec':3" },
                { "tcp4", "127.0.0.1:0", "'raw':[{'level':1,'name':9,'value':'01000000'}]" },
        };
        Scene scene;

        scene_open(&scene, ADOPTION_CONFIG);
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
                KitSocket held, next;
                char more[256];

                snprintf(more, sizeof(more), ",'options':{%s}", table[i].same);
                held = acquire_and_hang_up(&scene, table[i].network, table[i].address, more);
                snprintf(more, sizeof(more), ",'options':{%s,'timeToLive':10}", table[i].same);
                next = adopt(&scene, &held, more);
                cr_assert(eq(llong, kit_number(next.reply, "options.timeToLive"), 10));
                kit_drop(&held);
                kit_release(scene.control, &next);
        }
        scene_close(&scene);
}

Test(adoption, other_sharing) {
        static const char *const sharings[] = { "exclusive", "shared", "group" };
        static const char *const networks[] = { "tcp4", "udp4" };
        Scene scene;

        scene_open(&scene, ADOPTION_CONFIG);
        for (int i = 0; i < 2 * 3 * 3; i++) {
                const char *from = sharings[i % 3], *to = sharings[i / 3 % 3],
                           *network = networks[i / 9];
                KitSocket held, next;
                char more[64];

                snprintf(more, sizeof(more), ",'sharing':'%s'", from);
                held = acquire_and_hang_up(&scene, network, "127.0.0.1:0", more);
                snprintf(more, sizeof(more), ",'sharing':'%s'", to);
                next = adopt(&scene, &held, more);
                KIT_EXPECT_TEXT(kit_text(next.reply, "sharing"), to);
                kit_expect_served(next.fd);
                if (strcmp(to, "group") == 0) {
                        KitSocket joined = kit_acquire(scene.control, "{'network':'%s','address':'%s'}",
                                                       network, kit_address(&next));

                        kit_expect_both_served(next.fd, joined.fd);
                        kit_release(scene.control, &joined);
                } else {
                        json_decref(kit_refused(
                                scene.control,
                                strcmp(to, "shared") == 0 ? "OptionConflict" : "AddressInUse",
                                "{'network':'%s','address':'%s'}", network, kit_address(&next)));
                }
                kit_drop(&held);
                kit_release(scene.control, &next);
        }
        scene_close(&scene);
}

Test(adoption, other_name) {
        Scene scene;
        KitSocket held, next, other;

        scene_open(&scene, ADOPTION_CONFIG);
        held = acquire_and_hang_up(&scene, "tcp4", "127.0.0.1:0", ",'name':'old'");
        next = adopt(&scene, &held, ",'name':'new'");
        KIT_EXPECT_TEXT(kit_text(next.reply, "name"), "new");
        /* The old one is free for others. */
        other = kit_acquire(scene.control, "{'network':'udp4','address':'127.0.0.1:0','name':'old'}");
        json_decref(kit_refused(scene.control, "OptionConflict",
                                "{'network':'udp4','address':'127.0.0.1:0','name':'new'}"));
        kit_drop(&held);
        kit_release(scene.control, &other);
        kit_release(scene.control, &next);
        scene_close(&scene);
}

/* The retention of the one who adopted counts, not that of the one before. */
Test(adoption, other_retention) {
        Scene scene;
        KitSocket held, next;
        int lost;

        scene_open(&scene, ADOPTION_CONFIG);
        held = acquire_and_hang_up(&scene, "tcp4", "127.0.0.1:0", ",'retainSec':3600");
        lost = harness_connect(&scene.kit.harness);
        next = kit_acquire(lost, "{'network':'tcp4','address':'%s','retainSec':0}", kit_address(&held));
        cr_assert(eq(int, kit_true(next.reply, "adopted"), true));
        close(lost);
        json_decref(kit_event(scene.watch, "adopted"));
        json_decref(kit_event(scene.watch, "released"));
        json_decref(kit_event(scene.watch, "closed"));
        kit_drop(&held);
        kit_drop(&next);
        scene_close(&scene);
}
