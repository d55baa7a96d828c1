/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sockets between a virtual machine and its host. Something is sent where there is the loopback of
 * these.
 */

#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <sys/ioctl.h>

#include "client-lib/reuse-client.h"
#include "tests/integration/resume-kit.h"

TestSuite(vsock, .timeout = 60);

#define CONFIG "[Broker]\nSocketMode=0666\nRetainSec=1h\n[Rule all]\nUser=*\nOptions=*\n"

static Keeper keeper;

static void require_vsock(void) {
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                cr_skip_test("the kernel has no vsock");
        close(fd);
}

static struct sockaddr_vm bound_to(int fd) {
        struct sockaddr_vm address = { 0 };
        socklen_t size = sizeof(address);

        cr_assert(zero(int, getsockname(fd, (struct sockaddr *)&address, &size)));
        cr_assert(eq(int, address.svm_family, AF_VSOCK));
        return address;
}

static void expect_listens(const KitSocket *held) {
        struct sockaddr_vm address = bound_to(held->fd);
        char text[64];

        cr_assert(eq(int, kit_int_option(held->fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM));
        cr_assert(eq(int, kit_int_option(held->fd, SOL_SOCKET, SO_ACCEPTCONN), 1));
        cr_assert(eq(u32, address.svm_cid, VMADDR_CID_ANY));
        snprintf(text, sizeof(text), "*:%u", address.svm_port);
        KIT_EXPECT_TEXT(kit_address(held), text);
        KIT_EXPECT_TEXT(kit_text(held->reply, "network"), "vsock");
        KIT_EXPECT_TEXT(kit_text(held->reply, "sharing"), "shared");
}

/* A client of @port of this host; -1 if there is nothing, or no loopback to reach it by. */
static int connect_local(unsigned port) {
        const struct sockaddr_vm address = { .svm_family = AF_VSOCK,
                                             .svm_cid = VMADDR_CID_LOCAL,
                                             .svm_port = port };
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
                return fd;
        close(fd);
        return -1;
}

/* What a unit listens with. */
static int listener_at(uint32_t cid, uint32_t port) {
        struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(fd, 8)));
        return fd;
}

static void require_loopback(void) {
        int listener, client;

        require_vsock();
        listener = listener_at(VMADDR_CID_ANY, VMADDR_PORT_ANY);
        client = connect_local(bound_to(listener).svm_port);
        close(listener);
        if (client < 0)
                cr_skip_test("this host has no loopback of vsock");
        close(client);
}

static void expect_served(const KitSocket *held) {
        int client = connect_local(bound_to(held->fd).svm_port), peer;

        cr_assert(ge(int, client, 0), "%m");
        kit_wait_readable(held->fd);
        peer = accept4(held->fd, NULL, NULL, SOCK_CLOEXEC);
        cr_assert(ge(int, peer, 0));
        kit_expect_byte(peer, client);
        close(peer);
        close(client);
}

static void begin_kept(Kit *kit) {
        kit->n_fds = leaks_count_fds();
        keeper_begin(&keeper, 64);
        kit->harness = (Harness){ .uid = geteuid(), .keeper = &keeper };
}

static void kill_and_restart(Kit *kit, int *control) {
        harness_kill(&kit->harness);
        harness_restart(&kit->harness);
        close(*control);
        *control = harness_connect(&kit->harness);
}

static void end_kept(Kit *kit, int control) {
        close(control);
        harness_stop(&kit->harness);
        keeper_end(&keeper);
        leaks_expect_fds(kit->n_fds);
}

Test(vsock, is_made_or_the_reason_is_said) {
        int control, fd;
        Kit kit;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
                json_auto_t *reply =
                        kit_refused(control, "NotSupported", "{'network':'vsock','address':':'}");

                KIT_EXPECT_TEXT(kit_text(reply, "parameters.feature"), "vsock");
                cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.reason"), "this kernel"), NULL));
        } else {
                KitSocket held = kit_acquire(control, "{'network':'vsock','address':':'}");

                close(fd);
                expect_listens(&held);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

Test(vsock, refused) {
        static const char *const requests[][2] = {
                { "NotSupported", "{'network':'vsock','address':':80','sharing':'group'}" },
                { "NotSupported", "{'network':'vsock','address':':80','weight':1}" },
                { "NotSupported", "{'network':'vsock','address':':80','standby':true}" },
                { "OptionInvalid", "{'network':'vsock','address':':80','options':{'noDelay':true}}" },
                { "OptionInvalid", "{'network':'vsock','address':':80','options':{'receiveBuffer':1}}" },
                { "OptionInvalid", "{'network':'vsock','address':':80','options':{'mark':1}}" },
                { "OptionInvalid", "{'network':'vsock','address':':80','networkNamespace':'blue'}" },
                { "AddressInvalid", "{'network':'vsock','address':'80'}" },
                { "AddressInvalid", "{'network':'vsock','address':':80-81'}" },
                { "AddressInvalid", "{'network':'vsock','address':'host:80'}" },
                { "NetworkUnknown", "{'network':'vsock4','address':':80'}" },
                { "NetworkUnknown", "{'network':'VSOCK','address':':80'}" },
        };
        int control;
        Kit kit;

        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
                json_decref(kit_refused(control, requests[i][0], "%s", requests[i][1]));
        json_decref(kit_expect_error(kit_call(control, "Acquire",
                                              "{'sockets':[{'network':'tcp4','address':'127.0.0.1:0'},"
                                              "{'network':'vsock','address':':','samePortAs':0}]}"),
                                     "org.varlink.service.InvalidParameter"));
        close(control);
        kit_stop(&kit);
}

/* A context that is not this host's. */
Test(vsock, context_of_another) {
        json_auto_t *reply = NULL;
        reuse_error *error = NULL;
        int control;
        Kit kit;

        require_vsock();
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        reply = kit_refused(control, "AddressUnavailable",
                            "{'network':'vsock','address':'4000000000:80'}");
        KIT_EXPECT_TEXT(kit_text(reply, "parameters.network"), "vsock");
        /* As users read it: there is no option that helps. */
        cr_assert(zero(int, setenv("REUSEPORTD_SOCKET", kit.harness.socket, 1)));
        cr_assert(eq(int, reuse_listen("vsock", "4000000000:80", NULL, &error), -EADDRNOTAVAIL));
        cr_assert(ne(ptr, strstr(reuse_error_get_message(error), "context identifier"), NULL));
        cr_assert(eq(ptr, strstr(reuse_error_get_message(error), "freeBind"), NULL));
        reuse_error_free(error);
        close(control);
        kit_stop(&kit);
}

Test(vsock, rules_give_it_by_port) {
        static const char *const denied[] = { "*:1234", "*:70000", "*:" };
        int control;
        Kit kit;

        require_vsock();
        kit_start(&kit, "[Broker]\nRetainSec=0\n[Rule vm]\nUser=*\nNetwork=vsock\nPort=1030 80000\n");
        control = harness_connect(&kit.harness);
        for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
                json_auto_t *reply = kit_refused(control, "PolicyDenied",
                                                 "{'network':'vsock','address':'%s'}", denied[i]);

                cr_assert(ne(ptr, strstr(kit_text(reply, "parameters.reason"), "Port= does not"), NULL));
        }
        for (int i = 0; i < 2; i++) {
                KitSocket held = kit_acquire(control, "{'network':'vsock','address':':%d'}",
                                             i == 0 ? 1030 : 80000);

                expect_listens(&held);
                kit_release(control, &held);
        }
        close(control);
        kit_stop(&kit);
}

static void expect_explained(int control, const char *name, bool allowed) {
        json_auto_t *reply = kit_call(control, "Explain",
                                      "{'request':{'network':'vsock','address':':','name':'%s'}}", name);

        cr_assert(eq(int, kit_true(reply, "parameters.allowed"), allowed));
}

/* A rule that leaves no port to the kernel still gives the one that the name has. */
Test(vsock, rules_give_the_port_of_a_name) {
        KitSocket held, named;
        int control;
        Kit kit;

        require_vsock();
        kit_start(&kit, "[Broker]\nRetainSec=0\n[Rule vm]\nUser=*\nNetwork=vsock\nPort=1031\n");
        control = harness_connect(&kit.harness);
        json_decref(
                kit_refused(control, "PolicyDenied", "{'network':'vsock','address':':','name':'vm'}"));
        expect_explained(control, "vm", false);
        held = kit_acquire(control, "{'network':'vsock','address':':1031','name':'vm'}");
        named = kit_acquire(control, "{'network':'vsock','address':':','name':'vm'}");
        KIT_EXPECT_TEXT(kit_text(named.reply, "cookie"), kit_text(held.reply, "cookie"));
        expect_explained(control, "vm", true);
        expect_explained(control, "other", false);
        json_decref(kit_refused(control, "PolicyDenied",
                                "{'network':'vsock','address':':','name':'other'}"));
        json_decref(kit_refused(control, "PolicyDenied", "{'network':'vsock','address':':'}"));
        kit_release(control, &named);
        kit_release(control, &held);
        close(control);
        kit_stop(&kit);
}

Test(vsock, holders_share_one_queue) {
        KitSocket first, second, third;
        json_t *endpoint;
        int control;
        Kit kit;

        require_vsock();
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'vsock','address':':0','name':'vm'}");
        second = kit_acquire(control, "{'network':'vsock','address':'%s'}", kit_address(&first));
        /* Under its name it need not be known where it is. */
        third = kit_acquire(control, "{'network':'vsock','address':':0','name':'vm'}");
        KIT_EXPECT_TEXT(kit_text(second.reply, "cookie"), kit_text(first.reply, "cookie"));
        KIT_EXPECT_TEXT(kit_text(third.reply, "cookie"), kit_text(first.reply, "cookie"));
        endpoint = kit_describe(control, &first);
        KIT_EXPECT_TEXT(kit_text(endpoint, "network"), "vsock");
        KIT_EXPECT_TEXT(kit_text(endpoint, "address"), kit_address(&first));
        KIT_EXPECT_TEXT(kit_text(endpoint, "sharing"), "shared");
        json_decref(endpoint);
        json_decref(kit_refused(control, "AddressInUse",
                                "{'network':'vsock','address':'%s','sharing':'exclusive'}",
                                kit_address(&first)));
        kit_release(control, &first);
        kit_release(control, &second);
        kit_release(control, &third);
        close(control);
        kit_stop(&kit);
}

/* From one holder to the next, over the broker's death, and when it is parked. */
Test(vsock, no_connection_is_lost) {
        KitSocket first, second;
        int control, waiting;
        char address[64];
        Kit kit;

        require_loopback();
        begin_kept(&kit);
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'vsock','address':':'}");
        snprintf(address, sizeof(address), "%s", kit_address(&first));
        expect_served(&first);
        second = kit_acquire(control, "{'network':'vsock','address':'%s'}", address);
        kit_release(control, &first);
        expect_served(&second);

        waiting = connect_local(bound_to(second.fd).svm_port);
        kill_and_restart(&kit, &control);
        cr_assert(kit_resume(control, &second));
        kit_drop(&second);
        harness_hang_up(control);
        control = harness_connect(&kit.harness);
        first = kit_acquire(control, "{'network':'vsock','address':'%s'}", address);
        cr_assert(kit_true(first.reply, "adopted"));
        kit_wait_readable(first.fd);
        second.fd = accept4(first.fd, NULL, NULL, SOCK_CLOEXEC);
        kit_expect_byte(second.fd, waiting);
        close(second.fd);
        close(waiting);
        expect_served(&first);
        kit_release(control, &first);
        end_kept(&kit, control);
}

Test(vsock, somebody_else_has_the_port) {
        struct sockaddr_vm address;
        int control, fd;
        Kit kit;

        require_vsock();
        kit_start(&kit, KIT_CONFIG);
        control = harness_connect(&kit.harness);
        fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        address = (struct sockaddr_vm){ .svm_family = AF_VSOCK,
                                        .svm_cid = VMADDR_CID_ANY,
                                        .svm_port = VMADDR_PORT_ANY };
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        json_decref(kit_refused(control, "AddressInUse", "{'network':'vsock','address':':%u'}",
                                bound_to(fd).svm_port));
        close(fd);
        close(control);
        kit_stop(&kit);
}

Test(vsock, is_parked_and_adopted) {
        char address[64], cookie[64];
        KitSocket held;
        int control;
        Kit kit;

        require_vsock();
        kit_start(&kit, CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'vsock','address':':'}");
        snprintf(address, sizeof(address), "%s", kit_address(&held));
        snprintf(cookie, sizeof(cookie), "%s", kit_text(held.reply, "cookie"));
        kit_drop(&held);
        harness_hang_up(control);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'vsock','address':'%s','options':{'backlog':3}}",
                           address);
        cr_assert(kit_true(held.reply, "adopted"));
        KIT_EXPECT_TEXT(kit_text(held.reply, "cookie"), cookie);
        expect_listens(&held);
        kit_release(control, &held);
        close(control);
        kit_stop(&kit);
}

Test(vsock, outlives_the_broker) {
        KitSocket held;
        int control;
        Kit kit;

        require_vsock();
        begin_kept(&kit);
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'vsock','address':':'}");
        kill_and_restart(&kit, &control);
        cr_assert(kit_resume(control, &held));
        expect_listens(&held);
        kit_release(control, &held);
        end_kept(&kit, control);
}

Test(vsock, outlives_its_replacement) {
        KitSocket held;
        int control, before;
        Kit kit;

        require_vsock();
        kit_start(&kit, CONFIG);
        control = before = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'vsock','address':':'}");
        harness_replace(&kit.harness);
        control = harness_connect(&kit.harness);
        close(before);
        cr_assert(kit_resume(control, &held));
        kit_release(control, &held);
        close(control);
        harness_stop(&kit.harness);
        leaks_expect_fds(kit.n_fds);
}

/* To the kernel 0 is a port as any; in a request it is none in particular. */
Test(vsock, listener_of_a_unit_at_port_0) {
        KitSocket held;
        int control;
        Kit kit;

        require_vsock();
        if (geteuid() != 0)
                cr_skip_test("only root can bind to a low port");
        begin_kept(&kit);
        keeper_pass(&keeper, "zero", listener_at(VMADDR_CID_ANY, 0));
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'vsock','address':':'}");
        expect_listens(&held);
        cr_assert(ne(u32, bound_to(held.fd).svm_port, 0));
        kit_release(control, &held);
        end_kept(&kit, control);
}

static uint32_t local_cid(void) {
        int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
        uint32_t cid = VMADDR_CID_ANY;

        if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0 || cid == VMADDR_CID_ANY)
                cr_skip_test("this machine has no context identifier of its own");
        close(fd);
        return cid;
}

/* Under its name it need not be known where it is. */
Test(vsock, listener_of_a_unit_at_one_context) {
        uint32_t cid = local_cid();
        KitSocket held;
        int control;
        Kit kit;

        begin_kept(&kit);
        keeper_pass(&keeper, "vm", listener_at(cid, VMADDR_PORT_ANY));
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'vsock','address':':','name':'vm'}");
        cr_assert(eq(u32, bound_to(held.fd).svm_cid, cid));
        kit_release(control, &held);
        end_kept(&kit, control);
}

/* As ListenStream=vsock::PORT of a .socket unit makes it. */
Test(vsock, listener_of_a_unit) {
        struct sockaddr_vm address = { .svm_family = AF_VSOCK,
                                       .svm_cid = VMADDR_CID_ANY,
                                       .svm_port = VMADDR_PORT_ANY };
        int control, fd, unbound;
        KitSocket held;
        Kit kit;

        require_vsock();
        begin_kept(&kit);
        fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        unbound = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cr_assert(zero(int, bind(fd, (struct sockaddr *)&address, sizeof(address))));
        cr_assert(zero(int, listen(fd, 8)));
        keeper_pass(&keeper, "vm", fd);
        keeper_pass(&keeper, "unbound", unbound);
        harness_start_as_set(&kit.harness, CONFIG);
        control = harness_connect(&kit.harness);
        held = kit_acquire(control, "{'network':'vsock','address':':','name':'vm'}");
        expect_listens(&held);
        kill_and_restart(&kit, &control);
        cr_assert(kit_resume(control, &held));
        kit_release(control, &held);
        end_kept(&kit, control);
}
