/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The library and a running broker: what does not work, and what a program and its user are told. Every
 * error of the broker that a client can bring about is there with its errno, name and sentence.
 */

#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "tests/integration/library-kit.h"

TestSuite(library_errors, .timeout = 60);

/* ---- no broker ---------------------------------------------------------------------------------- */

static void expect_no_broker(const char *path, int number) {
        reuse_client *client = NULL;
        reuse_error *error = NULL;
        char words[128];

        snprintf(words, sizeof(words), "no broker at %s: ", path);
        cr_assert(eq(int, reuse_client_connect(path, &client, &error), number));
        cr_assert(client == NULL);
        library_expect_error(error, number, NULL, words);

        cr_assert(zero(int, setenv("REUSEPORTD_SOCKET", path, 1)));
        cr_assert(eq(int, reuse_listen("tcp", "127.0.0.1:0", NULL, &error), number));
        library_expect_error(error, number, NULL, words);
        cr_assert(eq(int, reuse_listen_packet("udp", "127.0.0.1:0", NULL, NULL), number));
}

Test(library_errors, no_broker) {
        int n_fds = leaks_count_fds();
        Harness harness;

        harness_start(&harness, KIT_CONFIG);
        expect_no_broker("/nonexistent/socket", -ENOENT);
        /* A broker that was killed leaves its socket behind. */
        harness_kill(&harness);
        expect_no_broker(harness.socket, -ECONNREFUSED);
        harness_remove(&harness);
        leaks_expect_fds(n_fds);
}

Test(library_errors, no_permission_to_connect) {
        reuse_client *client = NULL;
        reuse_error *error = NULL;
        Kit kit;
        int fd;

        kit_require_root();
        library_begin(&kit, "[Broker]\nSocketMode=0600\n[Rule all]\nUser=*\n");
        kit_become(KIT_UID, 0);
        cr_assert(eq(int, reuse_client_connect(kit.harness.socket, &client, &error), -EACCES));
        library_expect_error(error, -EACCES, NULL, "not allowed to connect to ");
        fd = reuse_listen("tcp", "127.0.0.1:0", NULL, &error);
        kit_become_root();
        cr_assert(eq(int, fd, -EACCES));
        library_expect_error(error, -EACCES, NULL, "SocketMode=");
        kit_stop(&kit);
}

/* ---- errors of the broker to an Acquire ----------------------------------------------------------- */

static const struct {
        const char *spec;
        int number;
        const char *name; /* of io.reuseportd */
        const char *words;
} refusals[] = {
        { "tpc:127.0.0.1:0", -EPROTONOSUPPORT, "NetworkUnknown", "the network \"tpc\"" },
        { "tcp:nonsense", -EINVAL, "AddressInvalid", "\"nonsense\" is not valid: missing port" },
        { "unix:relative", -EINVAL, "AddressInvalid", "\"relative\"" },
        { "tcp:localhost:http", -EINVAL, "AddressInvalid", "service names are not looked up" },
        { "tcp:four.example:80", -EINVAL, "AddressInvalid",
          "host names are not looked up by the broker" },
        { "tcp4:[::1]:0", -EINVAL, "AddressInvalid", "\"[::1]:0\"" },
        { "tcp:192.0.2.1:8080", -EADDRNOTAVAIL, "AddressUnavailable",
          "192.0.2.1:8080 is not an address of this host" },
        { "tcp:127.0.0.1:80", -EACCES, "PolicyDenied", "policy denies it: rule \"no-low\" (" },
        { "tcp::80", -EACCES, "PolicyDenied", "rule \"no-low\"" },
        { "unix:@name", -EACCES, "PolicyDenied", "no rule gives uid " },
        { "tcp:127.0.0.1:0,mark=1", -EACCES, "PolicyDenied", "its Options= does not give mark" },
        { "tcp:127.0.0.1:0,backlog=0", -EINVAL, "OptionInvalid", "option backlog: " },
        { "udp:127.0.0.1:0,noDelay=yes", -EINVAL, "OptionInvalid", "option noDelay: " },
        { "tcp:127.0.0.1:0,sharing=shared,steering=cpu", -EOPNOTSUPP, "NotSupported",
          "steering is not supported here" },
        { "tcp:127.0.0.1:0,sharing=exclusive,weight=1", -EOPNOTSUPP, "NotSupported",
          "weight is not supported here" },
        { "unix:/tmp/reuse-nobody,standby=yes", -EOPNOTSUPP, "NotSupported",
          "standby is not supported here" },
        { "unix:/tmp/reuse-nobody,sharing=group", -EOPNOTSUPP, "NotSupported", "ask for shared" },
        { "unix:/tmp/reuse-nobody/none/s", -ENOENT, "SystemFailure", "the broker failed at bind: " },
        /* The test holds this one; the port stands for %d. */
        { "tcp:127.0.0.1:%d,sharing=exclusive", -EADDRINUSE, "AddressInUse", " is in use by pid " },
        { "tcp:127.0.0.1:%d,backlog=77", -EEXIST, "OptionConflict",
          "option backlog: the endpoint has 7, you asked for 77" },
        { "tcp:127.0.0.1:%d,sharing=shared", -EEXIST, "OptionConflict",
          "option sharing: the endpoint has group, you asked for shared" },
        { "tcp:127.0.0.1:%d,name=other", -EEXIST, "OptionConflict",
          "option name: the endpoint has held, you asked for other" },
};

/* The sentence of PolicyDenied has the rule in it once. */
static void expect_said_once(const char *sentence, const char *word) {
        const char *first = strstr(sentence, word);

        cr_assert(first == NULL || strstr(first + 1, word) == NULL, "%s", sentence);
}

static void expect_refused(reuse_client *client, const char *spec, int number, const char *name,
                           const char *words) {
        reuse_request *request = library_request(spec);
        reuse_sockets *sockets = NULL;
        reuse_error *error = NULL;
        char whole[64];

        snprintf(whole, sizeof(whole), "io.reuseportd.%s", name);
        cr_assert(eq(int, reuse_client_acquire(client, request, &sockets, &error), number), "%s: %s",
                  spec, reuse_error_get_message(error));
        cr_assert(sockets == NULL);
        expect_said_once(reuse_error_get_message(error), "\"no-low\"");
        library_expect_error(error, number, whole, words);
        /* Who wants no object gets none, and loses nothing. */
        cr_assert(eq(int, reuse_client_acquire(client, request, &sockets, NULL), number));
        reuse_request_free(request);
}

Test(library_errors, refusals_of_acquire) {
        reuse_client *client;
        reuse_sockets *held;
        Kit kit;
        int port;

        library_begin(&kit, LIBRARY_CONFIG);
        client = library_connect(&kit);
        held = library_acquire(client, "tcp:127.0.0.1:0,name=held,backlog=7");
        port = atoi(strchr(reuse_sockets_get_address(held, 0), ':') + 1);
        for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
                const char *place = strstr(refusals[i].spec, "%d");
                char spec[96];

                if (place)
                        snprintf(spec, sizeof(spec), "%.*s%d%s", (int)(place - refusals[i].spec),
                                 refusals[i].spec, port, place + 2);
                else
                        snprintf(spec, sizeof(spec), "%s", refusals[i].spec);
                expect_refused(client, spec, refusals[i].number, refusals[i].name, refusals[i].words);
                cr_assert(eq(llong, library_number(client, "GetStatus", "leases"), 1), "%s", spec);
        }
        reuse_sockets_free(held);
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_errors, in_use_names_the_holder) {
        char spec[64], words[128], command[16];
        reuse_client *client;
        reuse_sockets *held;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        held = library_acquire(client, "tcp:127.0.0.1:0,sharing=exclusive");
        snprintf(spec, sizeof(spec), "tcp:%s", reuse_sockets_get_address(held, 0));
        cr_assert(zero(int, prctl(PR_GET_NAME, command)));
        snprintf(words, sizeof(words), "%s is in use by pid %d (%s), uid %u, since 20",
                 reuse_sockets_get_address(held, 0), getpid(), command, getuid());
        expect_refused(client, spec, -EADDRINUSE, "AddressInUse", words);
        reuse_sockets_free(held);
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_errors, in_use_outside_the_broker) {
        struct sockaddr_in address = { .sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        reuse_client *client;
        char spec[64];
        Kit kit;

        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(fd, 1)));
        cr_assert(zero(int,
                       getsockname(fd, (struct sockaddr *)&address, &(socklen_t){ sizeof(address) })));
        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%d", ntohs(address.sin_port));
        expect_refused(client, spec, -EADDRINUSE, "AddressInUse", "by a program outside the broker");
        reuse_client_free(client);
        kit_stop(&kit);
        close(fd);
}

Test(library_errors, limit_is_told) {
        reuse_sockets *held[4];
        reuse_client *client;
        Kit kit;

        library_begin(&kit, LIBRARY_CONFIG);
        client = library_connect(&kit);
        for (size_t i = 0; i < 4; i++)
                held[i] = library_acquire(client, "tcp:127.0.0.1:0");
        expect_refused(client, "tcp:127.0.0.1:0", -EDQUOT, "QuotaExceeded", "the limit of 4 leases");
        for (size_t i = 0; i < 4; i++)
                reuse_sockets_free(held[i]);
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_errors, all_or_none) {
        reuse_request *request = library_request("tcp:127.0.0.1:0");
        reuse_sockets *sockets = NULL;
        reuse_error *error = NULL;
        reuse_client *client;
        Kit kit;

        cr_assert(eq(int, reuse_request_add(request, "tcp", "192.0.2.1:0"), 1));
        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        cr_assert(eq(int, reuse_client_acquire(client, request, &sockets, &error), -EADDRNOTAVAIL));
        cr_assert(sockets == NULL);
        reuse_error_free(error);
        cr_assert(zero(llong, library_number(client, "GetStatus", "leases")));
        cr_assert(zero(llong, library_number(client, "GetStatus", "endpoints")));
        reuse_request_free(request);
        reuse_client_free(client);
        kit_stop(&kit);
}

/* ---- errors of the broker to other
 * calls ------------------------------------------------------------ */

static const struct {
        const char *method;
        const char *parameters;
        int number;
        const char *name;
        const char *words;
} call_refusals[] = {
        { "Explain", "{\"request\":{\"network\":\"tcp\",\"address\":\":0\",\"name\":\"/\"}}", -EINVAL,
          "org.varlink.service.InvalidParameter", "request.name" },
        { "List", "{\"endpoint\":\"none\"}", -ENOENT, "io.reuseportd.NoSuchEndpoint", "\"none\"" },
        { "Release", "{\"leases\":[\"l9-x\"]}", -ENOENT, "io.reuseportd.NoSuchLease", "\"l9-x\"" },
        { "Release", "{}", -EINVAL, "org.varlink.service.InvalidParameter", "leases" },
        { "Release", NULL, -EINVAL, "org.varlink.service.InvalidParameter", "leases" },
        { "List", "{\"color\":1}", -EINVAL, "org.varlink.service.InvalidParameter", "color" },
        { "List", "{\"endpoint\":7}", -EINVAL, "org.varlink.service.InvalidParameter", "endpoint" },
        { "Watch", NULL, -ENOSYS, "org.varlink.service.ExpectedMore", "REUSE_CALL_MORE" },
        { "Nothing", NULL, -ENOSYS, "org.varlink.service.MethodNotFound", "io.reuseportd.Nothing" },
        { "list", NULL, -ENOSYS, "org.varlink.service.MethodNotFound", "io.reuseportd.list" },
        { "com.example.Call", NULL, -ENOSYS, "org.varlink.service.InterfaceNotFound", "com.example" },
};

Test(library_errors, refusals_of_calls) {
        reuse_client *client;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        for (size_t i = 0; i < sizeof(call_refusals) / sizeof(*call_refusals); i++) {
                reuse_error *error = NULL;
                char *parameters = NULL;

                cr_assert(eq(int,
                             reuse_client_call(client, call_refusals[i].method,
                                               call_refusals[i].parameters, &parameters, &error),
                             call_refusals[i].number),
                          "%s", call_refusals[i].method);
                cr_assert(parameters == NULL);
                library_expect_error(error, call_refusals[i].number, call_refusals[i].name,
                                     call_refusals[i].words);
        }
        reuse_client_free(client);
        kit_stop(&kit);
}

Test(library_errors, connection_beyond_the_limit) {
        reuse_client *clients[3], *beyond;
        reuse_error *error = NULL;
        Kit kit;

        library_begin(&kit, "[Broker]\nMaxConnectionsPerUser=3\n[Rule all]\nUser=*\n");
        for (size_t i = 0; i < 3; i++) {
                clients[i] = library_connect(&kit);
                library_expect_count(clients[i], "connections", (long long)i + 1);
        }
        beyond = library_connect(&kit);
        cr_assert(eq(int, reuse_client_call(beyond, "GetStatus", NULL, NULL, &error), -EDQUOT));
        library_expect_error(error, -EDQUOT, "io.reuseportd.QuotaExceeded",
                             "the limit of 3 connections");
        reuse_client_free(beyond);
        for (size_t i = 3; i > 1; i--)
                reuse_client_free(clients[i - 1]);
        library_expect_count(clients[0], "connections", 1);
        reuse_client_free(clients[0]);
        kit_stop(&kit);
}

/* ---- a broker that goes, or does not
 * answer --------------------------------------------------------- */

static int count_resets(reuse_client *client, reuse_reply *reply, void *userdata) {
        int *n = userdata;

        (void)client;
        if (reuse_error_get_errno(reuse_reply_get_error(reply)) == -ECONNRESET)
                (*n)++;
        return 0;
}

Test(library_errors, broker_killed_with_calls_under_way) {
        int n_fds = leaks_count_fds(), n = 0, r = 0;
        reuse_client *client = NULL;
        Harness harness;

        harness_start(&harness, KIT_CONFIG);
        cr_assert(zero(int, reuse_client_connect(harness.socket, &client, NULL)));
        reuse_client_set_reconnect(client, 0);
        /* What is sent meanwhile is not served. */
        cr_assert(zero(int, kill(harness.pid, SIGSTOP)));
        for (int i = 0; i < 3; i++)
                cr_assert(zero(int, reuse_client_call_async(client, "List", NULL, 0, count_resets, &n)));
        harness_kill(&harness);
        while (r >= 0) {
                r = reuse_client_process(client);
                if (r == 0)
                        r = reuse_client_wait(client, REUSE_TIMEOUT_INFINITE);
        }
        cr_assert(eq(int, r, -ECONNRESET));
        cr_assert(eq(int, n, 3));
        cr_assert(eq(int, reuse_client_process(client), -ENOTCONN));
        cr_assert(eq(int, reuse_client_call(client, "List", NULL, NULL, NULL), -ENOTCONN));
        reuse_client_free(client);
        harness_remove(&harness);
        leaks_expect_fds(n_fds);
}

/* Kills the broker as soon as what the client sent lies in its queue. */
static void kill_once_asked(int fd, pid_t broker) {
        int unread = 0;

        while (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread == 0)
                sched_yield();
        kill(broker, SIGKILL);
        _exit(0);
}

Test(library_errors, broker_killed_in_mid_call) {
        int n_fds = leaks_count_fds();
        reuse_client *client = NULL;
        reuse_error *error = NULL;
        Harness harness;
        pid_t killer;

        harness_start(&harness, KIT_CONFIG);
        cr_assert(zero(int, reuse_client_connect(harness.socket, &client, NULL)));
        reuse_client_set_reconnect(client, 0);
        cr_assert(zero(int, kill(harness.pid, SIGSTOP)));
        killer = fork();
        cr_assert(killer >= 0);
        if (killer == 0)
                kill_once_asked(reuse_client_get_connection(client), harness.pid);
        cr_assert(eq(int, reuse_client_call(client, "GetStatus", NULL, NULL, &error), -ECONNRESET));
        library_expect_error(error, -ECONNRESET, NULL, "the broker hung up");
        cr_assert(eq(int, waitpid(killer, NULL, 0), killer));
        harness_kill(&harness);
        reuse_client_free(client);
        harness_remove(&harness);
        leaks_expect_fds(n_fds);
}

Test(library_errors, broker_does_not_answer) {
        reuse_client *client;
        reuse_error *error = NULL;
        Kit kit;

        library_begin(&kit, KIT_CONFIG);
        client = library_connect(&kit);
        reuse_client_set_timeout(client, 1);
        cr_assert(zero(int, kill(kit.harness.pid, SIGSTOP)));
        cr_assert(eq(int, reuse_client_call(client, "GetStatus", NULL, NULL, &error), -ETIMEDOUT));
        library_expect_error(error, -ETIMEDOUT, NULL, "did not answer in time");
        cr_assert(eq(int, reuse_client_get_fd(client), -ENOTCONN));
        cr_assert(zero(int, kill(kit.harness.pid, SIGCONT)));
        reuse_client_free(client);
        kit_stop(&kit);
}
