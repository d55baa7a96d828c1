/* SPDX-License-Identifier: BSD-2-Clause */

/* What neither the broker nor the library ever calls, whatever it is asked for. */

#include <linux/close_range.h>

#include "tests/integration/law.h"
#include "tests/integration/library-kit.h"

#include "daemon/listener.h"

TestSuite(system_calls, .timeout = 60);

#define ELEMENTS(x) (sizeof(x) / sizeof((x)[0]))

/* ---- descriptors are born close-on-exec ---------------------------------------------------------- */

/*
 * Between birth and fcntl() another thread may call execve(). Nor is there a way around the flags: a
 * kernel that does not know them is older than what this is built on.
 */
static const LawRow born_closed[] = {
        LAW_WITHOUT(socket, 1, SOCK_CLOEXEC),
        LAW_WITHOUT(socketpair, 1, SOCK_CLOEXEC),
        LAW_WITHOUT(accept4, 3, SOCK_CLOEXEC),
        LAW_WITHOUT(pipe2, 1, O_CLOEXEC),
        LAW_WITHOUT(dup3, 2, O_CLOEXEC),
        LAW_WITHOUT(recvmsg, 2, MSG_CMSG_CLOEXEC),
        LAW_IF(fcntl, 1, F_SETFD),
        LAW_IF(fcntl, 1, F_SETFL),
        LAW_IF(fcntl, 1, F_DUPFD),
        LAW_NEVER(accept),
        LAW_NEVER(dup),
#ifdef SYS_pipe
        LAW_NEVER(pipe),
        LAW_NEVER(dup2),
#endif
};

static void law_of_birth(void) {
        /* Nor does anything come from this process. */
        close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        law_impose(born_closed, ELEMENTS(born_closed));
}

static int make_bare(void) {
        return socket(AF_INET, SOCK_STREAM, 0);
}

static int make_and_mend(void) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int make_well(void) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int status_under(void (*law)(void), int (*f)(void)) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                law();
                _exit(f() < 0);
        }
        cr_assert(eq(int, waitpid(pid, &status, 0), pid));
        return status;
}

static bool killed(int status) {
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

/* What the other tests prove hangs on it. */
Test(system_calls, the_law_is_enforced) {
        cr_assert(killed(status_under(law_of_birth, make_bare)));
        cr_assert(killed(status_under(law_of_birth, make_and_mend)));
        cr_assert(zero(int, status_under(law_of_birth, make_well)));
}

/* As the kernel tells it of another process: fdinfo has the flag among those of open(). */
static void expect_all_closed_on_exec(pid_t pid) {
        char path[64], line[128];
        struct dirent *entry;
        DIR *folder;

        snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
        folder = opendir(path);
        cr_assert(ne(ptr, folder, NULL));
        while ((entry = readdir(folder))) {
                unsigned flags = 0;
                FILE *file;

                if (atoi(entry->d_name) <= 2)
                        continue;
                snprintf(path, sizeof(path), "/proc/%d/fdinfo/%.16s", pid, entry->d_name);
                file = fopen(path, "re");
                if (!file)
                        continue; /* closed since it was read of */
                while (fgets(line, sizeof(line), file))
                        sscanf(line, "flags: %o", &flags); /* NOLINT(cert-err34-c): the kernel's */
                fclose(file);
                cr_assert(ne(uint, flags & O_CLOEXEC, 0), "descriptor %s of the broker", entry->d_name);
        }
        closedir(folder);
}

static const char *const all_kinds[] = {
        "{'network':'tcp','address':'127.0.0.1:0','sharing':'exclusive'}",
        "{'network':'tcp','address':':0','sharing':'shared'}",
        "{'network':'tcp4','address':'127.0.0.1:0','sharing':'group'}",
        "{'network':'tcp6','address':'[::1]:0','sharing':'group'}",
        "{'network':'udp','address':'127.0.0.1:0','sharing':'group'}",
        "{'network':'unix','address':'@birth'}",
        "{'network':'unixgram','address':'@births'}",
        "{'network':'unixpacket','address':'@packets'}",
};

Test(system_calls, s3_11_whatever_the_broker_makes) {
        Harness how = { .uid = geteuid(), .prepare = law_of_birth };
        KitSocket held[ELEMENTS(all_kinds)], more;
        int control, lifetime;
        Kit kit;

        kit_start_as_set(&kit, KIT_CONFIG, &how);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < ELEMENTS(all_kinds); i++) {
                held[i] = kit_acquire(control, "%s", all_kinds[i]);
                cr_assert(ne(int, fcntl(held[i].fd, F_GETFL) & O_NONBLOCK, 0), "%s", all_kinds[i]);
        }
        /* A second member has the sentinel made. */
        more = kit_acquire(control, "{'network':'tcp4','address':'%s','sharing':'group'}",
                           kit_address(&held[2]));
        kit_release(control, &more);
        more = kit_acquire_by_descriptor(control, "{'network':'tcp4','address':'127.0.0.1:0'}",
                                         &lifetime);
        expect_all_closed_on_exec(kit.harness.pid);
        close(lifetime);
        kit_drop(&more);
        for (size_t i = 0; i < ELEMENTS(all_kinds); i++)
                kit_release(control, &held[i]);
        close(control);
        kit_stop(&kit);
}

static bool is_well_born(int fd) {
        bool well = fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFL) & O_NONBLOCK;

        close(fd);
        return well;
}

static int use_library(void) {
        reuse_sockets *sockets = NULL;
        reuse_client *client = NULL;
        reuse_request *request;
        int n = 0;

        n += is_well_born(reuse_listen("tcp", "127.0.0.1:0", NULL, NULL));
        n += is_well_born(reuse_listen("unix", "@library", NULL, NULL));
        n += is_well_born(reuse_listen_packet("udp", "127.0.0.1:0", "sharing=group", NULL));
        if (reuse_client_connect(NULL, &client, NULL) < 0 || reuse_request_new(&request) < 0 ||
            reuse_request_add_spec(request, "tcp4:127.0.0.1:0", NULL) < 0 ||
            reuse_request_set_lifetime(request, "descriptor") < 0 ||
            reuse_client_acquire(client, request, &sockets, NULL) < 0)
                return -1;
        n += fcntl(reuse_sockets_get_lifetime_fd(sockets), F_GETFD) == FD_CLOEXEC;
        n += is_well_born(reuse_sockets_take_fd(sockets, 0));
        reuse_sockets_free(sockets);
        reuse_request_free(request);
        reuse_client_free(client);
        return n == 5 ? 0 : -1;
}

Test(system_calls, s3_11_whatever_the_library_hands_out) {
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        cr_assert(zero(int, status_under(law_of_birth, use_library)));
        kit_stop(&kit);
}

/* ---- nothing is tried out by listening ------------------------------------------------------------ */

/* The one socket that the broker listens on unasked is where it is asked. */
static const LawRow nothing_listens[] = { LAW_UNLESS(listen, 1, LISTENER_BACKLOG) };
static const LawRow nothing_at_all[] = { LAW_NEVER(listen), LAW_NEVER(bind) };

static void law_of_silence(void) {
        law_impose(nothing_listens, ELEMENTS(nothing_listens));
}

static void law_of_strangers(void) {
        law_impose(nothing_at_all, ELEMENTS(nothing_at_all));
}

/* Whoever asks what there is to be had hears it, and what is given is given: only a listener is listened
 * on. */
Test(system_calls, s2_2_what_there_is_is_known_without_listening) {
        Harness how = { .uid = geteuid(), .prepare = law_of_silence };
        json_t *reply;
        KitSocket held[2];
        int control, status;
        Kit kit;

        kit_start_as_set(&kit, KIT_CONFIG, &how);
        control = harness_connect(&kit.harness);
        cr_assert(kit_is_capable(control, "ipv4"));
        reply = kit_call(control, "Explain",
                         "{'request':{'network':'tcp','address':'127.0.0.1:0','sharing':'group'}}");
        cr_assert(kit_true(reply, "parameters.allowed"));
        json_decref(reply);
        /* That ports are reused here, datagrams show. */
        held[0] = kit_acquire(control, "{'network':'udp4','address':'127.0.0.1:0','sharing':'group'}");
        held[1] = kit_acquire(control, "{'network':'udp4','address':'%s','sharing':'group'}",
                              kit_address(&held[0]));
        cr_assert(eq(int, kit_port(&held[0]), kit_port(&held[1])));
        cr_assert(ne(ullong, kit_cookie(held[0].fd), kit_cookie(held[1].fd)));
        json_decref(kit_refused(control, "NotSupported",
                                "{'network':'unix','address':'@x','sharing':'group'}"));
        kit_release(control, &held[0]);
        kit_release(control, &held[1]);

        /* It would have been the end of it. */
        kit_send(control, "Acquire", "", "{'sockets':[{'network':'tcp4','address':'127.0.0.1:0'}]}");
        cr_assert(eq(int, waitpid(kit.harness.pid, &status, 0), kit.harness.pid));
        cr_assert(killed(status));
        close(control);
        harness_remove(&kit.harness);
        leaks_expect_fds(kit.n_fds);
}

static int ask_nobody(void) {
        reuse_error *error = NULL;
        int r = reuse_listen("tcp", "127.0.0.1:0", "sharing=group", &error);
        bool said = error && strstr(reuse_error_get_message(error), "no broker at");

        reuse_error_free(error);
        return r == -ENOENT && said ? 0 : -1;
}

static int ask_broker(void) {
        reuse_client *client = NULL;
        char *text = NULL;
        int r = reuse_client_connect(NULL, &client, NULL);

        if (r == 0)
                r = reuse_client_call(client, "GetStatus", NULL, &text, NULL);
        free(text);
        reuse_client_free(client);
        if (r == 0)
                r = is_well_born(reuse_listen("tcp", "127.0.0.1:0", "sharing=group", NULL)) ? 0 : -1;
        return r;
}

/* Who uses the library listens on nothing and binds nothing: it is given, or the reason why not. */
Test(system_calls, s2_2_the_library_tries_nothing) {
        Kit kit;

        cr_assert(zero(int, setenv("REUSEPORTD_SOCKET", "/nowhere/at/all", 1)));
        cr_assert(zero(int, status_under(law_of_strangers, ask_nobody)));
        library_begin(&kit, KIT_CONFIG);
        cr_assert(zero(int, status_under(law_of_strangers, ask_broker)));
        kit_stop(&kit);
}
