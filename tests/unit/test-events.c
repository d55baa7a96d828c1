/* SPDX-License-Identifier: BSD-2-Clause */

/* Every watcher hears every event once, as it is. */

#include "daemon/events.h"

#include "tests/unit/leaks.h"

typedef struct Ear {
        Watcher watcher;
        const Event *last;
        int n;
} Ear;

static void hear(Watcher *watcher, const Event *event) {
        Ear *ear = (Ear *)watcher;

        ear->last = event;
        ear->n++;
}

TestSuite(events, .timeout = 10);

Test(events, nobody_listens) {
        EventHub hub = { 0 };

        event_hub_emit(&hub, &(Event){ .what = "closed" });
}

Test(events, who_has_gone_hears_nothing) {
        Ear stays = { .watcher.notify = hear }, goes = { .watcher.notify = hear };
        EventHub hub = { 0 };

        LIST_INSERT_HEAD(&hub.watchers, &stays.watcher, entry);
        LIST_INSERT_HEAD(&hub.watchers, &goes.watcher, entry);
        LIST_REMOVE(&goes.watcher, entry);
        event_hub_emit(&hub, &(Event){ .what = "closed" });
        cr_assert(zero(int, goes.n));
        cr_assert(eq(int, stays.n, 1));
}

Test(events, all_hear_the_same) {
        Ear ears[3] = { 0 };
        EventHub hub = { 0 };
        Event first = { .what = "acquired" }, second = { .what = "closed", .reason = "why" };

        for (int i = 0; i < 3; i++) {
                ears[i].watcher.notify = hear;
                LIST_INSERT_HEAD(&hub.watchers, &ears[i].watcher, entry);
        }
        event_hub_emit(&hub, &first);
        for (int i = 0; i < 3; i++)
                cr_assert(eq(ptr, (void *)ears[i].last, &first));
        event_hub_emit(&hub, &second);
        for (int i = 0; i < 3; i++) {
                cr_assert(eq(ptr, (void *)ears[i].last, &second));
                cr_assert(eq(int, ears[i].n, 2));
        }
}

/* Everything but the words comes from whom the limit is. */
static void hear_quota(Watcher *watcher, const Event *event) {
        cr_assert(eq(str, (char *)event->what, (char *)"quota"));
        cr_assert(eq(str, (char *)event->reason, (char *)"the limit is 7 things for each user"));
        cr_assert(eq(str, (char *)event->resource, (char *)"things"));
        cr_assert(eq(ulong, event->limit, 7));
        cr_assert(not(event->revoked));
        hear(watcher, event);
}

Test(events, quota) {
        Ear ear = { .watcher.notify = hear_quota };
        EventHub hub = { 0 };

        LIST_INSERT_HEAD(&hub.watchers, &ear.watcher, entry);
        event_hub_emit_quota(&hub, NULL, NULL, "things", 7, "for each user");
        cr_assert(eq(int, ear.n, 1));
}
