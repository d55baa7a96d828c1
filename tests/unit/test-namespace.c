/* SPDX-License-Identifier: BSD-2-Clause */

/* A namespace is its cookie: what a name leads to later is another, and nothing is made in it for the
 * old one's sake. */

#include "daemon/namespace.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>

#include "daemon/confinement.h"
#include "daemon/handshakes.h"
#include "daemon/socket-dump.h"
#include "daemon/socket-factory.h"
#include "tests/unit/leaks.h"
#include "tests/unit/namespace-kit.h"

#define BLUE "/run/netns/blue"

TestSuite(namespace, .timeout = 60);

typedef struct Scene {
        Namespaces namespaces;
        NamespaceFailure failure;
        int n_fds;
} Scene;

static void scene_begin(Scene *scene) {
        static const Confinement as_it_is = { .stays_root = "the test says so" };

        namespace_kit_begin();
        namespace_kit_add("blue");
        *scene = (Scene){ .n_fds = leaks_count_fds() };
        cr_assert(zero(int, namespaces_start(&scene->namespaces, &as_it_is)));
        if (!scene->namespaces.helper)
                cr_skip_test("%s", scene->namespaces.no_helper);
}

static void scene_end(Scene *scene) {
        namespaces_deinit(&scene->namespaces);
        leaks_expect_fds(scene->n_fds);
}

static Namespace *enter(Scene *scene, const char *path) {
        Namespace *namespace = NULL;

        cr_assert(zero(int, namespace_enter(&scene->namespaces, path, &namespace, &scene->failure)),
                  "%s", scene->failure.reason);
        return namespace;
}

static void expect_refused(Scene *scene, const char *path, int outcome, const char *words) {
        Namespace *namespace = NULL;

        cr_assert(eq(int, namespace_enter(&scene->namespaces, path, &namespace, &scene->failure),
                     outcome));
        cr_assert(zero(ptr, namespace));
        cr_assert(ne(ptr, strstr(scene->failure.reason, words), NULL), "%s", scene->failure.reason);
}

static void expect_no_socket(Scene *scene, const Namespace *namespace, const char *words) {
        int fd = -1;

        cr_assert(eq(int, namespace_socket(namespace, AF_INET, SOCK_STREAM, 0, &fd, &scene->failure),
                     NAMESPACE_HELPER_E_INVALID));
        cr_assert(eq(int, fd, -1));
        cr_assert(ne(ptr, strstr(scene->failure.reason, words), NULL), "%s", scene->failure.reason);
}

/* ---- what is refused ---------------------------------------------------------------------------- */

Test(namespace, without_a_helper_none_is_entered) {
        Scene scene = { .namespaces = { .no_helper = NULL } };

        expect_refused(&scene, BLUE, NAMESPACE_HELPER_E_UNAVAILABLE, "no rule gave any");
        scene.namespaces.no_helper = "for a reason";
        expect_refused(&scene, BLUE, NAMESPACE_HELPER_E_UNAVAILABLE, "for a reason");
        cr_assert(not(namespaces_can_enter(&scene.namespaces)));
}

Test(namespace, the_own_one_is_not_entered) {
        Scene scene;

        scene_begin(&scene);
        close(open("/run/netns/own", O_CREAT | O_RDONLY | O_CLOEXEC, 0));
        cr_assert(zero(int, mount("/proc/self/ns/net", "/run/netns/own", NULL, MS_BIND, NULL)));
        expect_refused(&scene, "/run/netns/own", NAMESPACE_HELPER_E_INVALID, "the broker's own");
        expect_refused(&scene, "/run/netns/no", NAMESPACE_HELPER_E_INVALID, "is not there");
        scene_end(&scene);
}

/* Between two questions the name has become another's. */
Test(namespace, nothing_is_made_where_the_name_leads_by_now) {
        Namespace *before, *after;
        Scene scene;

        scene_begin(&scene);
        before = namespace_ref(enter(&scene, BLUE));
        namespace_kit_delete("blue");
        expect_no_socket(&scene, before, "is not there");
        namespace_kit_add("blue");
        expect_no_socket(&scene, before, "is another network namespace than before");
        after = enter(&scene, BLUE);
        cr_assert(ne(ptr, after, before));
        cr_assert(eq(ptr, namespace_find(&scene.namespaces, BLUE), after));
        namespace_unref(before);
        scene_end(&scene);
}

/* What it would have to be asked for cannot be had, and nobody waits for it. */
Test(namespace, one_of_an_earlier_broker_whose_name_has_gone) {
        const SocketFilter filter = { .family = AF_INET, .protocol = IPPROTO_TCP };
        Address address = { .transport = TRANSPORT_TCP, .len = sizeof(struct sockaddr_in) };
        SocketFilter there = filter;
        Handshakes handshakes;
        Namespace *namespace;
        Scene scene;

        scene_begin(&scene);
        cr_assert(zero(int, namespace_resume(&scene.namespaces, 4711, BLUE, &namespace)));
        cr_assert(zero(ptr, namespace->ports));
        cr_assert(namespace->families.ipv4 && namespace->families.mapped);
        cr_assert(not(namespace_migrate_req(namespace)));
        expect_no_socket(&scene, namespace, "is another network namespace");
        address.u.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(80) };
        cr_assert(zero(int, handshakes_read_in(namespace, &address, &handshakes)));
        cr_assert(zero(sz, handshakes.n));
        there.network_namespace = namespace;
        cr_assert(eq(int, socket_dump(&there, NULL, NULL), -ENOENT));
        scene_end(&scene);
}

/* ---- what is there ------------------------------------------------------------------------------- */

Test(namespace, it_is_learnt_once_and_swept_when_nobody_has_it) {
        Namespace *blue;
        Scene scene;
        int n;

        scene_begin(&scene);
        n = leaks_count_fds();
        blue = namespace_ref(enter(&scene, BLUE));
        cr_assert(eq(u64, blue->cookie, namespace_kit_cookie_of("blue")));
        cr_assert(blue->families.ipv4);
        cr_assert(gt(sz, port_pool_size(blue->ports), 0));
        cr_assert(eq(str, (char *)namespace_text(blue), (char *)"blue"));
        for (int i = 0; i < 10; i++)
                cr_assert(eq(ptr, enter(&scene, BLUE), blue));
        /* By another name it is the same, and that is the way from then on. */
        close(open("/run/netns/other", O_CREAT | O_RDONLY | O_CLOEXEC, 0));
        cr_assert(zero(int, mount(BLUE, "/run/netns/other", NULL, MS_BIND, NULL)));
        cr_assert(eq(ptr, enter(&scene, "/run/netns/other"), blue));
        namespace_kit_delete("blue");
        cr_assert(eq(ptr, enter(&scene, "/run/netns/other"), blue));
        cr_assert(eq(str, (char *)namespace_text(blue), (char *)"blue"));
        namespaces_sweep(&scene.namespaces);
        cr_assert(eq(ptr, enter(&scene, "/run/netns/other"), blue));
        namespace_unref(blue);
        namespaces_sweep(&scene.namespaces);
        cr_assert(eq(int, leaks_count_fds(), n));
        scene_end(&scene);
}

static int count(const struct inet_diag_msg *found, void *userdata) {
        ++*(int *)userdata;
        return 0;
}

static int stop(const struct inet_diag_msg *found, void *userdata) {
        ++*(int *)userdata;
        return 42;
}

/* Its sockets are listed, time after time over one descriptor, also after somebody has had enough. */
Test(namespace, its_sockets_are_listed) {
        SocketFilter filter = {
                .family = AF_INET, .protocol = IPPROTO_TCP, .states = 1U << 10, .port = 80
        };
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(80) };
        Scene scene;
        int fds[300], n;

        scene_begin(&scene);
        filter.network_namespace = enter(&scene, BLUE);
        for (size_t i = 0; i < 300; i++) {
                cr_assert(zero(int, namespace_socket(filter.network_namespace, AF_INET, SOCK_STREAM, 0,
                                                     &fds[i], &scene.failure)));
                cr_assert(zero(int,
                               setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &(int){ 1 }, sizeof(int))));
                cr_assert(zero(int, bind(fds[i], (struct sockaddr *)&address, sizeof(address))));
                cr_assert(zero(int, listen(fds[i], 1)));
        }
        for (int i = 0; i < 5; i++) {
                n = 0;
                cr_assert(eq(int, socket_dump(&filter, stop, &n), 42));
                cr_assert(eq(int, n, 1));
                n = 0;
                cr_assert(zero(int, socket_dump(&filter, count, &n)));
                cr_assert(eq(int, n, 300));
        }
        filter.network_namespace = NULL;
        n = 0;
        cr_assert(zero(int, socket_dump(&filter, count, &n)));
        cr_assert(zero(int, n));
        for (size_t i = 0; i < 300; i++)
                close(fds[i]);
        scene_end(&scene);
}

Test(namespace, its_switch_is_its_own) {
        Namespace *blue;
        Scene scene;
        int home, fd;

        scene_begin(&scene);
        blue = enter(&scene, BLUE);
        cr_assert(not(namespace_migrate_req(blue)));
        namespace_kit_enter("blue", &home);
        fd = open("/proc/sys/net/ipv4/tcp_migrate_req", O_WRONLY | O_CLOEXEC);
        cr_assert(eq(int, (int)write(fd, "1", 1), 1));
        close(fd);
        namespace_kit_go_home(home);
        cr_assert(namespace_migrate_req(blue));
        scene_end(&scene);
}

Test(namespace, a_socket_is_made_bound_and_listens_there) {
        SocketSpec spec = { .sharing = SHARING_EXCLUSIVE };
        SocketFailure failure;
        Address bound;
        Scene scene;
        int fd = -1;

        scene_begin(&scene);
        spec.network_namespace = enter(&scene, BLUE);
        spec.address = (Address){ .transport = TRANSPORT_TCP, .len = sizeof(struct sockaddr_in) };
        spec.address.u.in =
                (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
        address_set_port(&spec.address, 80);
        cr_assert(zero(int, socket_factory_open(&spec, &fd, &bound, &failure)));
        cr_assert(eq(u64, namespace_kit_cookie(fd), namespace_kit_cookie_of("blue")));
        close(fd);
        namespace_kit_delete("blue");
        cr_assert(
                eq(int, socket_factory_open(&spec, &fd, &bound, &failure), SOCKET_FACTORY_E_NAMESPACE));
        cr_assert(ne(ptr, strstr(failure.reason, "is not there"), NULL), "%s", failure.reason);
        scene_end(&scene);
}
