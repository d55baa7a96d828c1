/* SPDX-License-Identifier: BSD-2-Clause */

/* What the manager is sent, and what is made of it that it never answers. */

#include "daemon/fd-store.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "daemon/clock.h"
#include "tests/unit/leaks.h"
#include "tests/unit/socket-kit.h"
/* After what it is made with. */
#include "tests/unit/manager-kit.h"

enum {
        ENTRIES = 1500, /* more than any queue takes */
};

typedef struct Scene {
        int n_fds;
        int one; /* a descriptor to be kept */
        bool timers_changed;
        sd_event *event;
        Manager manager;
        FdStore *store;
} Scene;

static void scene_begin(Scene *scene, const char *max) {
        *scene = (Scene){ .n_fds = leaks_count_fds(), .one = eventfd(1, EFD_CLOEXEC) };
        cr_assert(ge(int, sd_event_new(&scene->event), 0));
        manager_begin(&scene->manager, max);
        cr_assert(zero(int, fd_store_new(scene->event, &scene->timers_changed, &scene->store)));
        cr_assert(ne(ptr, scene->store, NULL));
}

static void scene_end(Scene *scene) {
        cr_assert(eq(ptr, fd_store_free(scene->store), NULL));
        manager_end(&scene->manager);
        sd_event_unref(scene->event);
        close(scene->one);
        leaks_expect_fds(scene->n_fds);
}

/* Turns the loop until it has nothing to do. Returns how often it had. */
static int turn(const Scene *scene) {
        int n = 0;

        while (sd_event_run(scene->event, 0) > 0)
                cr_assert(lt(int, ++n, 100), "the loop spins");
        return n;
}

/* Both of them by turns, until all has arrived. */
static void settle(Scene *scene) {
        size_t before;

        do {
                before = scene->manager.n_messages;
                manager_turn(&scene->manager);
                turn(scene);
        } while (scene->manager.n_messages > before);
}

static void put_all(Scene *scene, FdStoreEntry *entries, size_t n) {
        char name[FD_STORE_NAME_MAX];

        for (size_t i = 0; i < n; i++) {
                snprintf(name, sizeof(name), ".%zu", i);
                fd_store_put(scene->store, &entries[i], name, scene->one);
        }
}

static bool is_same(int a, int b) {
        struct stat x, y;

        return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void expect_next(Scene *scene, const char *expected, bool with_fd) {
        char text[512];
        int fd;

        cr_assert(manager_receive(&scene->manager, text, sizeof(text), &fd), "%s", expected);
        KIT_EXPECT_TEXT(text, expected);
        cr_assert(eq(int, fd >= 0, with_fd));
        if (fd >= 0)
                close(fd);
}

static void expect_nothing(Scene *scene) {
        char text[512];
        int fd;

        cr_assert(not(manager_receive(&scene->manager, text, sizeof(text), &fd)));
}

TestSuite(fd_store, .timeout = 30);

/* ----
 * messages -------------------------------------------------------------------------------------- */

Test(fd_store, a_descriptor_is_sent_under_its_name) {
        FdStoreEntry entry = { 0 };
        Scene scene;
        char text[512];
        int fd;

        scene_begin(&scene, "10");
        fd_store_put(scene.store, &entry, ".a", scene.one);
        cr_assert(manager_receive(&scene.manager, text, sizeof(text), &fd));
        KIT_EXPECT_TEXT(text, "FDSTORE=1\nFDPOLL=0\nFDNAME=.a");
        cr_assert(eq(int, (int)lseek(fd, 0, SEEK_CUR), (int)lseek(scene.one, 0, SEEK_CUR)));
        cr_assert(is_same(fd, scene.one));
        close(fd);
        cr_assert(eq(int, entry.state, FD_STORE_IN));
        cr_assert(eq(sz, fd_store_count(scene.store), 1));
        cr_assert(eq(sz, fd_store_get_max(scene.store), 10));
        /* Once. */
        fd_store_put(scene.store, &entry, ".a", scene.one);
        expect_nothing(&scene);
        fd_store_remove(&entry);
        expect_next(&scene, "FDSTOREREMOVE=1\nFDNAME=.a", false);
        cr_assert(eq(int, entry.state, FD_STORE_OUT));
        cr_assert(zero(sz, fd_store_count(scene.store)));
        fd_store_remove(&entry);
        expect_nothing(&scene);
        scene_end(&scene);
}

Test(fd_store, what_another_broker_put_there_can_be_taken_out) {
        FdStoreEntry entry = { 0 };
        char name[256], expected[512];
        Scene scene;

        scene_begin(&scene, "10");
        fd_store_resume(scene.store, &entry, ".a", scene.one);
        cr_assert(eq(sz, fd_store_count(scene.store), 1));
        fd_store_put(scene.store, &entry, ".a", scene.one);
        expect_nothing(&scene);
        fd_store_remove(&entry);
        expect_next(&scene, "FDSTOREREMOVE=1\nFDNAME=.a", false);
        cr_assert(zero(sz, fd_store_count(scene.store)));
        fd_store_discard(scene.store, ".stranger");
        expect_next(&scene, "FDSTOREREMOVE=1\nFDNAME=.stranger", false);
        cr_assert(zero(sz, fd_store_count(scene.store)));
        /* The longest that the manager takes. */
        memset(name, 'x', 255);
        name[0] = '.';
        name[255] = '\0';
        fd_store_discard(scene.store, name);
        snprintf(expected, sizeof(expected), "FDSTOREREMOVE=1\nFDNAME=%s", name);
        expect_next(&scene, expected, false);
        expect_nothing(&scene);
        scene_end(&scene);
}

Test(fd_store, without_one_nothing_is_done) {
        FdStoreEntry entry = { 0 };

        fd_store_put(NULL, &entry, ".a", 0);
        cr_assert(eq(int, entry.state, FD_STORE_OUT));
        fd_store_resume(NULL, &entry, ".a", 0);
        cr_assert(eq(int, entry.state, FD_STORE_OUT));
        fd_store_remove(&entry);
        fd_store_discard(NULL, ".a");
        fd_store_flush(NULL);
        cr_assert(eq(ptr, fd_store_free(NULL), NULL));
}

/* ---- where the manager
 * is ---------------------------------------------------------------------------- */

static int new_store(const char *path, const char *max, FdStore **ret) {
        sd_event *event;
        bool timers_changed;
        int r;

        unsetenv("NOTIFY_SOCKET");
        unsetenv("FDSTORE");
        if (path)
                setenv("NOTIFY_SOCKET", path, 1);
        if (max)
                setenv("FDSTORE", max, 1);
        cr_assert(ge(int, sd_event_new(&event), 0));
        r = fd_store_new(event, &timers_changed, ret);
        *ret = *ret ? fd_store_free(*ret) ?: (FdStore *)1 : NULL;
        sd_event_unref(event);
        return r;
}

Test(fd_store, there_is_none_without_a_manager_that_has_one) {
        int n_fds = leaks_count_fds();
        FdStore *store;

        cr_assert(zero(int, new_store(NULL, NULL, &store)));
        cr_assert(eq(ptr, store, NULL));
        cr_assert(zero(int, new_store("@nobody", NULL, &store)));
        cr_assert(eq(ptr, store, NULL));
        cr_assert(zero(int, new_store(NULL, "10", &store)));
        cr_assert(eq(ptr, store, NULL));
        /* Of another transport. */
        cr_assert(zero(int, new_store("vsock:2:1234", "10", &store)));
        cr_assert(eq(ptr, store, NULL));
        cr_assert(zero(int, new_store("", "10", &store)));
        cr_assert(eq(ptr, store, NULL));
        leaks_expect_fds(n_fds);
}

Test(fd_store, a_manager_that_is_not_there_is_an_error) {
        int n_fds = leaks_count_fds();
        char path[200];
        FdStore *store;

        cr_assert(eq(int, new_store("@nobody", "10", &store), -ECONNREFUSED));
        cr_assert(eq(ptr, store, NULL));
        cr_assert(eq(int, new_store("/nonexistent/notify", "10", &store), -ENOENT));
        memset(path, 'a', sizeof(path));
        path[0] = '/';
        path[sizeof(path) - 1] = '\0';
        cr_assert(eq(int, new_store(path, "10", &store), -ENAMETOOLONG));
        leaks_expect_fds(n_fds);
}

Test(fd_store, a_manager_with_a_path_is_found) {
        char folder[] = "/tmp/test-fd-store-XXXXXX", path[64];
        FdStoreEntry entry = { 0 };
        bool timers_changed;
        Manager manager;
        sd_event *event;
        FdStore *store;

        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(path, sizeof(path), "%s/notify", folder);
        manager_begin_at(&manager, path, "10");
        cr_assert(ge(int, sd_event_new(&event), 0));
        cr_assert(zero(int, fd_store_new(event, &timers_changed, &store)));
        fd_store_put(store, &entry, ".a", manager.fd);
        manager_turn(&manager);
        cr_assert(ge(int, manager_find(&manager, ".a"), 0));
        fd_store_free(store);
        sd_event_unref(event);
        manager_end(&manager);
        cr_assert(zero(int, unlink(path)));
        cr_assert(zero(int, rmdir(folder)));
}

/* ---- a queue that is
 * full ---------------------------------------------------------------------------- */

Test(fd_store, what_finds_the_queue_full_is_sent_when_there_is_room) {
        static FdStoreEntry entries[40];
        size_t waiting = 0;
        Scene scene;

        scene_begin(&scene, "1000");
        /* Fills it, with what is no concern of the store's. */
        for (int i = 0; i < ENTRIES; i++)
                fd_store_discard(scene.store, ".x");
        put_all(&scene, entries, 40);
        for (size_t i = 0; i < 40; i++)
                waiting += entries[i].state == FD_STORE_WAITING;
        cr_assert(eq(sz, waiting, 40));
        cr_assert(eq(sz, fd_store_count(scene.store), 40));
        cr_assert(zero(int, turn(&scene)), "the loop spins though nothing is taken");
        settle(&scene);
        cr_assert(eq(sz, scene.manager.n, 40));
        for (size_t i = 0; i < 40; i++)
                cr_assert(eq(int, entries[i].state, FD_STORE_IN));
        cr_assert(eq(sz, scene.manager.n_messages, ENTRIES + 40));
        scene_end(&scene);
}

Test(fd_store, what_is_removed_while_it_waits_is_never_sent) {
        FdStoreEntry entries[3] = { 0 };
        Scene scene;

        scene_begin(&scene, "1000");
        for (int i = 0; i < ENTRIES; i++)
                fd_store_discard(scene.store, ".x");
        put_all(&scene, entries, 3);
        fd_store_remove(&entries[1]);
        cr_assert(eq(sz, fd_store_count(scene.store), 2));
        settle(&scene);
        cr_assert(eq(sz, scene.manager.n, 2));
        cr_assert(eq(int, manager_find(&scene.manager, ".1"), -1));
        cr_assert(eq(sz, scene.manager.n_messages, ENTRIES + 2));
        scene_end(&scene);
}

/* Or the manager would have no room. */
Test(fd_store, removals_are_sent_before_what_waits) {
        FdStoreEntry old = { 0 }, new = { 0 };
        Scene scene;

        scene_begin(&scene, "2");
        fd_store_put(scene.store, &old, ".old", scene.one);
        for (int i = 0; i < ENTRIES; i++)
                fd_store_discard(scene.store, ".x");
        fd_store_put(scene.store, &new, ".new", scene.one);
        fd_store_remove(&old);
        fd_store_discard(scene.store, ".y");
        expect_next(&scene, "FDSTORE=1\nFDPOLL=0\nFDNAME=.old", true);
        for (int i = 0; i < ENTRIES; i++) {
                turn(&scene);
                expect_next(&scene, "FDSTOREREMOVE=1\nFDNAME=.x", false);
        }
        turn(&scene);
        expect_next(&scene, "FDSTOREREMOVE=1\nFDNAME=.old", false);
        expect_next(&scene, "FDSTOREREMOVE=1\nFDNAME=.y", false);
        expect_next(&scene, "FDSTORE=1\nFDPOLL=0\nFDNAME=.new", true);
        scene_end(&scene);
}

Test(fd_store, what_waits_at_the_end_is_given_up) {
        static FdStoreEntry entries[10];
        Scene scene;

        scene_begin(&scene, "1000");
        for (int i = 0; i < ENTRIES; i++)
                fd_store_discard(scene.store, ".x");
        put_all(&scene, entries, 10);
        scene_end(&scene);
}

/* ---- a store that is
 * full ---------------------------------------------------------------------------- */

Test(fd_store, what_finds_no_room_is_sent_when_there_is_some) {
        FdStoreEntry entries[5] = { 0 };
        Scene scene;

        scene_begin(&scene, "2");
        put_all(&scene, entries, 5);
        settle(&scene);
        cr_assert(eq(sz, scene.manager.n, 2));
        cr_assert(eq(sz, fd_store_count(scene.store), 2));
        cr_assert(eq(sz, fd_store_count_refused(scene.store), 3));
        /* One that was refused is no room. */
        fd_store_remove(&entries[3]);
        settle(&scene);
        cr_assert(eq(sz, fd_store_count_refused(scene.store), 2));
        cr_assert(eq(sz, scene.manager.n, 2));
        fd_store_remove(&entries[0]);
        settle(&scene);
        cr_assert(eq(sz, scene.manager.n, 2));
        cr_assert(ge(int, manager_find(&scene.manager, ".2"), 0));
        cr_assert(eq(int, entries[4].state, FD_STORE_REFUSED));
        fd_store_remove(&entries[1]);
        fd_store_remove(&entries[2]);
        settle(&scene);
        cr_assert(eq(sz, scene.manager.n, 1));
        cr_assert(ge(int, manager_find(&scene.manager, ".4"), 0));
        cr_assert(zero(sz, fd_store_count_refused(scene.store)));
        cr_assert(eq(sz, fd_store_count(scene.store), 1));
        scene_end(&scene);
}

/* Of an earlier broker's, when the manager took more. */
Test(fd_store, one_that_has_too_much_takes_nothing_before_there_is_room) {
        FdStoreEntry resumed[4] = { 0 }, entry = { 0 };
        Scene scene;

        scene_begin(&scene, "2");
        for (int i = 0; i < 4; i++)
                fd_store_resume(scene.store, &resumed[i], ".r", scene.one);
        fd_store_put(scene.store, &entry, ".new", scene.one);
        cr_assert(eq(int, entry.state, FD_STORE_REFUSED));
        for (int i = 0; i < 2; i++) {
                fd_store_remove(&resumed[i]);
                cr_assert(eq(int, entry.state, FD_STORE_REFUSED));
        }
        fd_store_remove(&resumed[2]);
        cr_assert(eq(int, entry.state, FD_STORE_IN));
        settle(&scene);
        cr_assert(eq(sz, scene.manager.n, 1));
        scene_end(&scene);
}

Test(fd_store, a_number_that_is_none_is_no_limit) {
        static FdStoreEntry entries[40];
        Scene scene;

        scene_begin(&scene, "many");
        for (size_t i = 0; i < 40; i++) {
                fd_store_put(scene.store, &entries[i], ".a", scene.one);
                manager_turn(&scene.manager);
        }
        cr_assert(zero(sz, fd_store_get_max(scene.store)));
        cr_assert(eq(sz, scene.manager.n, 40));
        scene_end(&scene);
}

/* ---- a manager that
 * fails ---------------------------------------------------------------------------- */

Test(fd_store, a_manager_that_has_gone_keeps_nobody) {
        static FdStoreEntry entries[100];
        uint64_t before = clock_usec(CLOCK_MONOTONIC);
        Scene scene;

        scene_begin(&scene, "50");
        put_all(&scene, entries, 10);
        close(scene.manager.fd);
        scene.manager.fd = -1;
        for (size_t i = 10; i < 100; i++)
                fd_store_put(scene.store, &entries[i], ".b", scene.one);
        cr_assert(zero(int, turn(&scene)));
        for (size_t i = 0; i < 100; i++)
                fd_store_remove(&entries[i]);
        cr_assert(zero(sz, fd_store_count(scene.store)));
        cr_assert(zero(sz, fd_store_count_refused(scene.store)));
        fd_store_flush(scene.store);
        cr_assert(lt(u64, clock_usec(CLOCK_MONOTONIC) - before, 4000000));
        scene_end(&scene);
}

/* While something waits for it. */
Test(fd_store, a_manager_that_goes_while_it_is_busy_keeps_nobody) {
        FdStoreEntry entry = { 0 };
        Scene scene;

        scene_begin(&scene, "50");
        for (int i = 0; i < ENTRIES; i++)
                fd_store_discard(scene.store, ".x");
        fd_store_put(scene.store, &entry, ".a", scene.one);
        close(scene.manager.fd);
        scene.manager.fd = -1;
        turn(&scene);
        cr_assert(eq(int, entry.state, FD_STORE_IN));
        scene_end(&scene);
}

/* The broker ends in spite of a manager that does not read. */
Test(fd_store, the_end_does_not_wait_for_ever) {
        uint64_t before;
        Scene scene;

        scene_begin(&scene, "50");
        for (int i = 0; i < ENTRIES; i++)
                fd_store_discard(scene.store, ".x");
        before = clock_usec(CLOCK_MONOTONIC);
        fd_store_flush(scene.store);
        cr_assert(lt(u64, clock_usec(CLOCK_MONOTONIC) - before, 15000000));
        scene_end(&scene);
}

/* ---- a kernel that
 * refuses --------------------------------------------------------------------------- */

/* So many descriptors are under way that no more may be. Returns a socket that has them. */
static int fill_flight(int one) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (char *)"x", .iov_len = 1 };
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        int pair[2];

        cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)));
        control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS,
                                           .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(&control.header), &one, sizeof(one));
        for (int i = 0; i < 200; i++)
                if (sendmsg(pair[0], &message, 0) < 0)
                        break;
        cr_assert(eq(int, errno, ETOOMANYREFS), "%s", strerror(errno));
        close(pair[0]);
        return pair[1];
}

/* What is under way to others counts as well: it is no reason to spin. */
Test(fd_store, too_many_under_way_are_waited_for) {
        struct rlimit limit = { .rlim_cur = 60, .rlim_max = 60 };
        FdStoreEntry entry = { 0 };
        int full, n = 0;
        Scene scene;

        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(61005) < 0 || setuid(61005) < 0))
                cr_skip_test("cannot be another user");
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
        scene_begin(&scene, "50");
        full = fill_flight(scene.one);
        fd_store_put(scene.store, &entry, ".a", scene.one);
        cr_assert(eq(int, entry.state, FD_STORE_WAITING));
        cr_assert(scene.timers_changed);
        cr_assert(zero(int, turn(&scene)), "the loop spins");
        close(full);
        while (entry.state == FD_STORE_WAITING && n++ < 100)
                sd_event_run(scene.event, 100000);
        settle(&scene);
        cr_assert(ge(int, manager_find(&scene.manager, ".a"), 0));
        scene_end(&scene);
}
