/* SPDX-License-Identifier: BSD-2-Clause */

/* Each error of the broker: its number for programs and its sentence for people. */

#include "tests/unit/fake-broker.h"

TestSuite(reuse_error, .timeout = 10);

static const struct {
        const char *name;
        const char *parameters;
        int number;
        const char *sentence; /* ends with "*": only this start */
} errors[] = {
        /* Not known here, or without the parameters that belong to it. */
        { "com.example.Later", "{\"a\":1}", -EREMOTEIO,
          "the broker answered com.example.Later {\"a\":1}" },
        { "io.reuseportd.AddressInUse", "{}", -EADDRINUSE,
          "the broker answered io.reuseportd.AddressInUse {}" },
        { "io.reuseportd.PolicyDenied", "{\"reason\":5}", -EACCES, "the broker answered *" },
        { "io.reuseportd.SystemFailure", "{\"errno\":\"EMFILE\"}", -EREMOTEIO, "the broker answered *" },
        { "io.reuseportd.SystemFailure",
          "{\"step\":\"bind\",\"errno\":\"ENOSUCHTHING\",\"message\":\"m\"}", -EREMOTEIO,
          "the broker failed at bind: m (ENOSUCHTHING)" },

        { "io.reuseportd.NetworkUnknown", "{\"network\":\"tcp5\"}", -EPROTONOSUPPORT,
          "the broker does not know the network \"tcp5\"*" },
        { "io.reuseportd.AddressInvalid", "{\"address\":\"x\",\"reason\":\"no port\"}", -EINVAL,
          "the address \"x\" is not valid: no port" },
        { "io.reuseportd.AddressInUse", "{\"address\":\"127.0.0.1:80\"}", -EADDRINUSE,
          "127.0.0.1:80 is in use by a program outside the broker: see \"ss -ltunp\"" },
        { "io.reuseportd.AddressInUse",
          "{\"address\":\"127.0.0.1:80\",\"holder\":{\"uid\":33,\"gid\":33,\"pid\":4711,\"command\":"
          "\"nginx\","
          "\"unit\":\"nginx.service\",\"sinceUsec\":86400000000}}",
          -EADDRINUSE,
          "127.0.0.1:80 is in use by pid 4711 (nginx, nginx.service), uid 33, since 1970-01-02 "
          "00:00:00: "
          "stop it, or ask for another address" },
        { "io.reuseportd.AddressInUse",
          "{\"address\":\":80\",\"holder\":{\"uid\":33,\"gid\":33,\"pid\":4711,\"command\":\"\\u001b["
          "2Jx\\u009b\","
          "\"sinceUsec\":9223372036854775807}}",
          -EADDRINUSE, ":80 is in use by pid 4711 (?[2Jx?\?), uid 33, since *" },
        { "io.reuseportd.AddressUnavailable", "{\"address\":\"192.0.2.1:80\"}", -EADDRNOTAVAIL,
          "192.0.2.1:80 is not an address of this host*" },
        { "io.reuseportd.AddressUnavailable", "{\"address\":\"[2001:db8::1]:80\",\"network\":\"tcp6\"}",
          -EADDRNOTAVAIL,
          "[2001:db8::1]:80 is not an address of this host: add it to an interface, or set freeBind" },
        { "io.reuseportd.AddressUnavailable", "{\"address\":\"1:0\",\"network\":\"vsock\"}",
          -EADDRNOTAVAIL,
          "this machine does not have the context identifier of vsock:1:0: ask for its own, or for "
          ":PORT, "
          "which is any" },
        { "io.reuseportd.PolicyDenied", "{\"reason\":\"not yours\",\"rule\":\"web\"}", -EACCES,
          "policy denies it: not yours (rule \"web\"); see reuseportd.conf(5)" },
        { "io.reuseportd.PolicyDenied",
          "{\"reason\":\"not yours\",\"rule\":\"web\",\"file\":\"/a.conf\",\"line\":7}", -EACCES,
          "policy denies it: not yours (rule \"web\", /a.conf:7); see reuseportd.conf(5)" },
        { "io.reuseportd.PolicyDenied",
          "{\"reason\":\"rule \\\"web\\\" (/a.conf:7) refuses\",\"rule\":\"web\",\"file\":\"/a.conf\","
          "\"line\":7}",
          -EACCES, "policy denies it: rule \"web\" (/a.conf:7) refuses; see reuseportd.conf(5)" },
        { "io.reuseportd.PolicyDenied",
          "{\"reason\":\"not yours\",\"rule\":\"own\",\"file\":\"(built in)\",\"line\":null}", -EACCES,
          "policy denies it: not yours (rule \"own\"); see reuseportd.conf(5)" },
        { "io.reuseportd.PolicyDenied", "{\"reason\":\"not yours\",\"rule\":null}", -EACCES,
          "policy denies it: not yours; see reuseportd.conf(5)" },
        { "io.reuseportd.QuotaExceeded", "{\"resource\":\"sockets\",\"limit\":8}", -EDQUOT,
          "the limit of 8 sockets is reached*" },
        { "io.reuseportd.OptionConflict", "{\"option\":\"backlog\",\"have\":\"512\",\"want\":\"128\"}",
          -EEXIST,
          "option backlog: the endpoint has 512, you asked for 128: ask for the same or leave it out" },
        { "io.reuseportd.OptionInvalid", "{\"option\":\"mark\",\"reason\":\"below 0\"}", -EINVAL,
          "option mark: below 0" },
        { "io.reuseportd.NotSupported", "{\"feature\":\"steering\",\"reason\":\"no BPF\"}", -EOPNOTSUPP,
          "steering is not supported here: no BPF" },
        { "io.reuseportd.NoSuchLease", "{\"lease\":\"l\"}", -ENOENT, "this client has no lease \"l\"*" },
        { "io.reuseportd.NoSuchEndpoint", "{\"endpoint\":\"e\"}", -ENOENT,
          "there is no endpoint \"e\"*" },
        { "io.reuseportd.SystemFailure",
          "{\"step\":\"bind\",\"errno\":\"EACCES\",\"message\":\"Permission denied\"}", -EACCES,
          "the broker failed at bind: Permission denied (EACCES)" },
        { "io.reuseportd.SystemFailure",
          "{\"step\":\"socket\",\"errno\":\"EHWPOISON\",\"message\":\"m\"}", -EHWPOISON,
          "the broker failed at socket: m (EHWPOISON)" },
        { "org.varlink.service.InterfaceNotFound", "{\"interface\":\"a.b\"}", -ENOSYS, "*" },
        { "org.varlink.service.MethodNotFound", "{\"method\":\"a.b.C\"}", -ENOSYS,
          "this broker does not have the method a.b.C*" },
        { "org.varlink.service.MethodNotImplemented", "{\"method\":\"a.b.C\"}", -ENOSYS, "*" },
        { "org.varlink.service.InvalidParameter", "{\"parameter\":\"sockets[0].x\"}", -EINVAL,
          "the broker does not take the parameter sockets[0].x*" },
        { "org.varlink.service.PermissionDenied", "{}", -EPERM,
          "the broker does not let this user ask that: ask as root, or as the user that the broker runs "
          "as" },
        { "org.varlink.service.ExpectedMore", "{}", -ENOSYS, "the method answers in several parts*" },
};

static void expect_start(const char *text, const char *pattern) {
        const char *star = strchr(pattern, '*');

        if (star)
                cr_assert(zero(int, strncmp(text, pattern, (size_t)(star - pattern))), "%s", text);
        else
                expect_text(text, pattern);
}

Test(reuse_error, each_has_a_number_and_a_sentence) {
        Broker broker;

        setenv("TZ", "UTC", 1);
        broker_start(&broker);
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
                char *parameters = NULL;
                reuse_error *error;
                char text[1024];

                snprintf(text, sizeof(text), "{\"error\":\"%s\",\"parameters\":%s}", errors[i].name,
                         errors[i].parameters);
                broker_say(&broker, text);
                cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, &parameters, &error),
                             errors[i].number),
                          "%s", errors[i].name);
                cr_assert(eq(ptr, parameters, NULL));
                cr_assert(eq(int, reuse_error_get_errno(error), errors[i].number));
                expect_text(reuse_error_get_name(error), errors[i].name);
                expect_start(reuse_error_get_message(error), errors[i].sentence);
                cr_assert(eq(int, reuse_error_get_parameters(error)[0], '{'));
                reuse_error_free(error);
        }
        broker_end(&broker);
}

/* An error ends the call, not the connection; and nobody has to look at it. */
Test(reuse_error, may_be_ignored) {
        Broker broker;

        broker_start(&broker);
        for (int i = 0; i < 3; i++) {
                broker_say(&broker, "{\"error\":\"org.varlink.service.PermissionDenied\"}");
                cr_assert(eq(int, reuse_client_call(broker.client, "List", NULL, NULL, NULL), -EPERM));
        }
        broker_end(&broker);
}

Test(reuse_error, none) {
        cr_assert(zero(int, reuse_error_get_errno(NULL)));
        cr_assert(eq(ptr, (void *)reuse_error_get_name(NULL), NULL));
        cr_assert(eq(ptr, (void *)reuse_error_get_parameters(NULL), NULL));
        cr_assert(ne(ptr, (void *)reuse_error_get_message(NULL), NULL));
        cr_assert(eq(ptr, reuse_error_free(NULL), NULL));
}
