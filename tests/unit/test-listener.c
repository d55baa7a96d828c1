/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The control socket's file: nobody gets in before its mode and group say so, nothing of others is
 * replaced or removed, and running out of descriptors is survived.
 */

#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "daemon/inherited.h"
#include "daemon/policy.h"
#include "tests/unit/daemon-kit.h"

enum {
        OTHER_GID = 61010,
};

static Config config;
static char folder[] = "/tmp/test-listener-XXXXXX";
static char path[64];

/* What the file was just before these calls; they stand in front of the C library's. */
static mode_t mode_before_chmod, mode_before_fchownat, mode_before_listen;

static mode_t mode_of(const char *file) {
        struct stat st;

        cr_assert(zero(int, stat(file, &st)), "%s", file);
        return st.st_mode & 07777;
}

int fchmodat(int fd, const char *file, mode_t mode, int flags) {
        mode_before_chmod = mode_of(file);
        return (int)syscall(SYS_fchmodat, fd, file, mode);
}

int fchownat(int fd, const char *file, uid_t uid, gid_t gid, int flags) {
        mode_before_fchownat = mode_of(path);
        return (int)syscall(SYS_fchownat, fd, file, uid, gid, flags);
}

/* Criterion listens, too, in another process. */
int listen(int fd, int backlog) {
        struct stat st;

        if (stat(path, &st) == 0)
                mode_before_listen = st.st_mode & 07777;
        return (int)syscall(SYS_listen, fd, backlog);
}

static void start(Kit *kit) {
        kit_init(kit, getuid());
        config = (Config){ .socket_mode = 0600, .socket_group = (gid_t)-1, .policy = policy_new() };
        cr_assert(ne(ptr, config.policy, NULL));
        kit->services.config = &config;
        cr_assert(ne(ptr, mkdtemp(folder), NULL));
        snprintf(path, sizeof(path), "%s/control", folder);
}

static void end(Kit *kit) {
        cr_assert(zero(int, rmdir(folder)));
        config.policy = policy_free(config.policy);
        kit_end(kit);
}

static Listener *listen_at(Kit *kit, const char *at) {
        Inherited none = { 0 };
        Listener *listener;

        cr_assert(zero(int, listener_new(&kit->services, at, &none, &listener)));
        return listener;
}

static void expect_refused(Kit *kit, const char *at, int answer) {
        int n_fds = leaks_count_fds();
        Inherited none = { 0 };
        Listener *listener = NULL;

        cr_assert(eq(int, listener_new(&kit->services, at, &none, &listener), answer), "%s", at);
        cr_assert(eq(ptr, listener, NULL));
        cr_assert(eq(int, leaks_count_fds(), n_fds));
}

static bool exists(const char *file) {
        struct stat st;

        return lstat(file, &st) == 0;
}

/* Somebody else's socket at the path, listening with room for @backlog, or with -1 only bound. */
static int other_socket(int type, int backlog) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, path);
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        if (backlog >= 0)
                cr_assert(zero(int, listen(fd, backlog)));
        return fd;
}

/* A client, not blocking; -1 with errno. */
static int dial(const char *at) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        strcpy(address.sun_path, at);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                return fd;
        fd_close(fd);
        return -1;
}

/* A call over @fd is answered. */
static bool is_served(Kit *kit, int fd) {
        static const char call[] = "{\"method\":\"org.varlink.service.GetInfo\"}";
        char text[1024];

        if (send(fd, call, sizeof(call), MSG_NOSIGNAL) != sizeof(call))
                return false;
        kit_turn(kit);
        return recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0;
}

TestSuite(listener, .timeout = 10);

/* ---- what is refused ---------------------------------------------------------------------------- */

Test(listener, a_path_that_cannot_be) {
        char too_long[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
        Kit kit;

        start(&kit);
        memset(too_long, 'x', sizeof(too_long) - 1);
        too_long[0] = '/';
        too_long[sizeof(too_long) - 1] = '\0';
        expect_refused(&kit, "", LISTENER_E_PATH);
        expect_refused(&kit, "control", LISTENER_E_PATH);
        expect_refused(&kit, "@control", LISTENER_E_PATH);
        expect_refused(&kit, "./control", LISTENER_E_PATH);
        expect_refused(&kit, too_long, LISTENER_E_PATH);
        cr_assert(eq(ptr, listener_free(NULL), NULL));
        end(&kit);
}

Test(listener, what_is_no_socket_stays) {
        char file[128];
        Kit kit;

        start(&kit);
        cr_assert(zero(int, mkdir(path, 0700)));
        expect_refused(&kit, path, LISTENER_E_IN_USE);
        cr_assert(zero(int, rmdir(path)));

        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        expect_refused(&kit, path, LISTENER_E_IN_USE);
        /* Nor is a folder made where a file is. */
        snprintf(file, sizeof(file), "%s/control", path);
        expect_refused(&kit, file, -ENOTDIR);
        cr_assert(zero(int, unlink(path)));

        /* Wherever it leads. */
        cr_assert(zero(int, symlink("nowhere", path)));
        expect_refused(&kit, path, LISTENER_E_IN_USE);
        cr_assert(exists(path));
        cr_assert(zero(int, unlink(path)));
        end(&kit);
}

Test(listener, only_the_last_folder_is_made) {
        char file[128];
        Kit kit;

        start(&kit);
        snprintf(file, sizeof(file), "%s/a/b/control", folder);
        expect_refused(&kit, file, -ENOENT);
        end(&kit);
}

Test(listener, another_broker_is_left_alone) {
        Listener *first;
        int client;
        Kit kit;

        start(&kit);
        first = listen_at(&kit, path);
        expect_refused(&kit, path, LISTENER_E_IN_USE);
        client = dial(path);
        cr_assert(ge(int, client, 0));
        cr_assert(is_served(&kit, client));
        close(client);
        kit_turn(&kit);
        listener_free(first);
        end(&kit);
}

/* Too busy to answer is not gone. */
Test(listener, a_broker_with_a_full_queue_is_left_alone) {
        int clients[8], other, n = 0;
        Kit kit;

        start(&kit);
        other = other_socket(SOCK_STREAM, 0);
        while (n < 8 && (clients[n] = dial(path)) >= 0)
                n++;
        cr_assert(lt(int, n, 8));
        cr_assert(eq(int, errno, EAGAIN));
        expect_refused(&kit, path, LISTENER_E_IN_USE);
        cr_assert(exists(path));
        while (n > 0)
                close(clients[--n]);
        close(other);
        unlink(path);
        end(&kit);
}

Test(listener, a_socket_of_another_kind_is_left_alone) {
        static const int types[] = { SOCK_DGRAM, SOCK_SEQPACKET };
        Kit kit;

        start(&kit);
        for (int i = 0; i < 2; i++) {
                int other = other_socket(types[i], types[i] == SOCK_DGRAM ? -1 : 1);

                expect_refused(&kit, path, LISTENER_E_IN_USE);
                cr_assert(exists(path));
                close(other);
                unlink(path);
        }
        end(&kit);
}

/* ---- the file ----------------------------------------------------------------------------------- */

Test(listener, the_file_is_born_with_its_mode) {
        static const mode_t modes[] = { 0666, 0660, 0600 };
        mode_t mask = umask(0);
        Kit kit;

        start(&kit);
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
                Listener *listener;

                config.socket_mode = modes[i];
                mode_before_chmod = 0;
                listener = listen_at(&kit, path);
                cr_assert(zero(u32, mode_before_chmod));
                cr_assert(eq(u32, mode_before_listen, modes[i]));
                cr_assert(eq(u32, mode_of(path), modes[i]));
                listener_free(listener);
        }
        /* The mode is what was asked for, whatever the mask, which is as before. */
        umask(0777);
        config.socket_mode = 0666;
        listener_free(listen_at(&kit, path));
        cr_assert(eq(u32, umask(mask), 0777));
        end(&kit);
}

Test(listener, the_group_is_set_before_the_mode) {
        gid_t gid = getuid() == 0 ? OTHER_GID : getgid();
        struct stat st;
        Listener *listener;
        Kit kit;

        start(&kit);
        config.socket_mode = 0660;
        config.socket_group = gid;
        mode_before_fchownat = mode_before_chmod = 07777;
        listener = listen_at(&kit, path);
        cr_assert(eq(u32, mode_before_fchownat, 0600));
        cr_assert(eq(u32, mode_before_chmod, 0600));
        cr_assert(eq(u32, mode_before_listen, 0660));
        cr_assert(zero(int, stat(path, &st)));
        cr_assert(eq(u32, st.st_gid, gid));
        cr_assert(eq(u32, st.st_uid, geteuid()));
        cr_assert(eq(u32, st.st_mode & 07777, 0660));
        listener_free(listener);
        end(&kit);
}

Test(listener, what_a_broker_left_behind_is_replaced) {
        Listener *listener;
        int client;
        Kit kit;

        start(&kit);
        close(other_socket(SOCK_STREAM, 1));
        cr_assert(exists(path));
        listener = listen_at(&kit, path);
        client = dial(path);
        cr_assert(ge(int, client, 0));
        cr_assert(is_served(&kit, client));
        close(client);
        kit_turn(&kit);
        listener_free(listener);
        cr_assert(not(exists(path)));
        end(&kit);
}

Test(listener, the_folder_is_made) {
        char sub[64], file[80];
        Kit kit;

        start(&kit);
        umask(022);
        snprintf(sub, sizeof(sub), "%s/reuseportd", folder);
        snprintf(file, sizeof(file), "%s/control", sub);
        for (int i = 0; i < 2; i++) {
                listener_free(listen_at(&kit, file));
                cr_assert(eq(u32, mode_of(sub), 0755));
                cr_assert(not(exists(file)));
        }
        cr_assert(zero(int, rmdir(sub)));
        end(&kit);
}

Test(listener, a_file_put_in_place_of_ours_stays) {
        Listener *listener;
        int other;
        Kit kit;

        start(&kit);
        listener = listen_at(&kit, path);
        cr_assert(zero(int, unlink(path)));
        other = other_socket(SOCK_STREAM, 1);
        listener_free(listener);
        cr_assert(exists(path));
        close(other);
        unlink(path);

        listener = listen_at(&kit, path);
        cr_assert(zero(int, unlink(path)));
        listener_free(listener);
        end(&kit);
}

/* ---- what was inherited -------------------------------------------------------------------------- */

/* As a service manager passes one socket. */
static int listen_on(Kit *kit, const char *at, int fd, const char *name, Listener **ret) {
        InheritedItem item = { .fd = fd, .name = (char *)name };
        Inherited inherited = { .items = &item, .n = 1 };
        int r = listener_new(&kit->services, at, &inherited, ret);

        fd_close(item.fd); /* nobody has claimed it */
        return r;
}

/* By its name, or by its path, its clients are served, and its file stays. */
static void expect_served_on(Kit *kit, const char *at, const char *name) {
        Listener *listener;
        struct stat st;
        int fd = other_socket(SOCK_STREAM, 8), copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        int early = dial(path), client;

        cr_assert(zero(int, chmod(path, 0640)));
        cr_assert(zero(int, listen_on(kit, at, fd, name, &listener)), "%s", name);
        KIT_EXPECT_TEXT(listener_path(listener), path);
        cr_assert(ne(int, fcntl(copy, F_GETFL) & O_NONBLOCK, 0));
        cr_assert(is_served(kit, early));
        client = dial(path);
        cr_assert(is_served(kit, client));
        close(client);
        close(early);
        kit_turn(kit);
        listener_free(listener);
        /* It is the manager's: clients may go on to connect. */
        cr_assert(zero(int, stat(path, &st)));
        cr_assert(eq(u32, st.st_mode & 07777, 0640));
        client = dial(path);
        cr_assert(ge(int, client, 0));
        close(client);
        close(copy);
        unlink(path);
}

Test(listener, a_socket_of_the_manager_is_served_and_left_alone) {
        Kit kit;

        start(&kit);
        expect_served_on(&kit, path, "control");
        expect_served_on(&kit, "/none/such", "control");
        expect_served_on(&kit, path, "unknown");
        expect_served_on(&kit, path, "io.reuseportd.socket");
        end(&kit);
}

Test(listener, an_abstract_socket_of_the_manager) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), length;
        Listener *listener;
        Kit kit;

        start(&kit);
        kit.n_fds--; /* this socket, which the listener closes */
        /* As long as they come: no NUL is behind it. */
        length = sprintf(address.sun_path + 1, "test-listener-%d-", getpid()) + 1;
        memset(address.sun_path + length, 'x', sizeof(address.sun_path) - (size_t)length);
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(fd, 1)));
        cr_assert(zero(int, listen_on(&kit, path, fd, "control", &listener)));
        address.sun_path[0] = '@';
        cr_assert(zero(
                int, strncmp(listener_path(listener), address.sun_path, sizeof(address.sun_path) - 1)));
        cr_assert(eq(sz, strlen(listener_path(listener)), sizeof(address.sun_path) - 1));
        listener_free(listener);
        end(&kit);
}

/* Whoever calls it so expects it to be served. */
Test(listener, an_inherited_socket_that_cannot_be_the_control_socket) {
        Listener *listener = NULL;
        Kit kit;

        start(&kit);
        int fds[] = {
                socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), /* does not listen */
                socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                other_socket(SOCK_SEQPACKET, 1),
                open("/dev/null", O_RDONLY | O_CLOEXEC),
        };

        cr_assert(zero(int, listen(fds[1], 1)));
        for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
                cr_assert(eq(int, listen_on(&kit, path, fds[i], "control", &listener),
                             LISTENER_E_INHERITED));
        unlink(path);
        /* Called otherwise it is for somebody else. */
        fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, listen_on(&kit, path, fds[0], "unknown", &listener)));
        cr_assert(exists(path));
        listener_free(listener);
        cr_assert(not(exists(path)));
        end(&kit);
}

/* ---- the queue ---------------------------------------------------------------------------------- */

/* Who may wait to be let in, as long as nobody looks. */
static int count_waiting(int clients[static 200]) {
        int n = 0;

        while (n < 200 && (clients[n] = dial(path)) >= 0)
                n++;
        cr_assert(eq(int, errno, EAGAIN));
        return n;
}

Test(listener, a_crowd_of_who_has_too_much_waits_in_a_shorter_queue) {
        int first[200], second[200], third[200], n_first, n_third;
        Listener *listener;
        Kit kit;

        start(&kit);
        kit.services.accounts.limit_per_user[RESOURCE_CONNECTIONS] = 2;
        listener = listen_at(&kit, path);
        n_first = count_waiting(first);
        /* A part of them are seen: two are let in, the others turned away. */
        cr_assert(gt(int, sd_event_run(kit.services.event, 0), 0));
        cr_assert(zero(int, count_waiting(second)));
        kit_turn(&kit);
        /* All have been seen: it is as long again. */
        n_third = count_waiting(third);
        cr_assert(eq(int, n_third, n_first));
        for (int i = 0; i < n_first; i++) {
                close(first[i]);
                close(third[i]);
        }
        kit_turn(&kit);
        listener_free(listener);
        end(&kit);
}

/* ---- clients ------------------------------------------------------------------------------------ */

Test(listener, clients_end_with_it) {
        Listener *listener;
        int clients[20];
        char byte;
        Kit kit;

        start(&kit);
        listener = listen_at(&kit, path);
        for (int i = 0; i < 20; i++)
                clients[i] = dial(path);
        kit_turn(&kit);
        cr_assert(eq(sz, kit.services.accounts.used[RESOURCE_CONNECTIONS], 20));
        cr_assert(is_served(&kit, clients[19]));
        listener_free(listener);
        cr_assert(zero(sz, kit.services.accounts.used[RESOURCE_CONNECTIONS]));
        for (int i = 0; i < 20; i++) {
                cr_assert(zero(int, (int)recv(clients[i], &byte, 1, MSG_DONTWAIT)));
                close(clients[i]);
        }
        end(&kit);
}

Test(listener, without_descriptors_clients_are_turned_away_and_later_served) {
        struct rlimit limit;
        int served, clients[3], *fillers, n = 0;
        Listener *listener;
        char byte;
        Kit kit;

        start(&kit);
        listener = listen_at(&kit, path);
        served = dial(path);
        cr_assert(is_served(&kit, served));
        for (int i = 0; i < 3; i++)
                clients[i] = dial(path);

        cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
        cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 256, limit.rlim_max })));
        fillers = calloc(256, sizeof(*fillers));
        while ((fillers[n] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)) >= 0)
                n++;
        kit_turn(&kit);
        for (int i = 0; i < 3; i++)
                cr_assert(zero(int, (int)recv(clients[i], &byte, 1, MSG_DONTWAIT)));
        /* Who is there already does not notice. */
        cr_assert(is_served(&kit, served));
        while (n > 0)
                close(fillers[--n]);
        free(fillers);

        for (int i = 0; i < 3; i++) {
                close(clients[i]);
                clients[i] = dial(path);
        }
        kit_turn(&kit);
        for (int i = 0; i < 3; i++) {
                cr_assert(is_served(&kit, clients[i]));
                close(clients[i]);
        }
        close(served);
        kit_turn(&kit);
        cr_assert(zero(sz, kit.services.accounts.used[RESOURCE_CONNECTIONS]));
        listener_free(listener);
        end(&kit);
}
