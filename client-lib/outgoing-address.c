/* SPDX-License-Identifier: BSD-2-Clause */

/* Both ends of an outgoing connection, as texts and for the kernel. No name is looked up. */

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include "client-lib/outgoing.h"

static const OutgoingKind kinds[] = {
        { "tcp", "tcp", SOCK_STREAM, 0, true, true },
        { "tcp4", "tcp4", SOCK_STREAM, 0, true, false },
        { "tcp6", "tcp6", SOCK_STREAM, 0, true, false },
        { "udp", "udp", SOCK_DGRAM, 0, true, false },
        { "udp4", "udp4", SOCK_DGRAM, 0, true, false },
        { "udp6", "udp6", SOCK_DGRAM, 0, true, false },
        { "mptcp", "tcp", SOCK_STREAM, IPPROTO_MPTCP, true, false },
        { "mptcp4", "tcp4", SOCK_STREAM, IPPROTO_MPTCP, true, false },
        { "mptcp6", "tcp6", SOCK_STREAM, IPPROTO_MPTCP, true, false },
        { "sctp", "tcp", SOCK_STREAM, IPPROTO_SCTP, true, false },
        { "sctp4", "tcp4", SOCK_STREAM, IPPROTO_SCTP, true, false },
        { "sctp6", "tcp6", SOCK_STREAM, IPPROTO_SCTP, true, false },
        { "udplite", "udp", SOCK_DGRAM, IPPROTO_UDPLITE, true, false },
        { "udplite4", "udp4", SOCK_DGRAM, IPPROTO_UDPLITE, true, false },
        { "udplite6", "udp6", SOCK_DGRAM, IPPROTO_UDPLITE, true, false },
        { "unix", "unix", SOCK_STREAM, 0, false, false },
        { "unixgram", "unixgram", SOCK_DGRAM, 0, false, false },
        { "unixpacket", "unixpacket", SOCK_SEQPACKET, 0, false, false },
        { "vsock", NULL, SOCK_STREAM, 0, false, false },
};

/* What the host cannot do, the kernel says when it comes to it. Of elsewhere no interface is known. */
static AddressFamilies families_of(const char *network_namespace) {
        return (AddressFamilies){ .ipv4 = true,
                                  .ipv6 = true,
                                  .mapped = true,
                                  .elsewhere = network_namespace,
                                  .interfaces = -1 };
}

const OutgoingKind *outgoing_kind_find(const char *network) {
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (strcmp(kinds[i].network, network) == 0)
                        return &kinds[i];
        return NULL;
}

/* ---- reading ---- */

/* CID:PORT, both of 32 bits. */
static int vsock_parse(const char *text, OutgoingAddress *ret, const char **ret_reason) {
        char cid_text[ADDRESS_TEXT_MAX];
        const char *colon = strchr(text, ':');
        int64_t cid, port;

        if (!colon || strlen(text) >= sizeof(cid_text)) {
                *ret_reason = "not an address of vsock; give CID:PORT";
                return OUTGOING_E_INVALID;
        }
        snprintf(cid_text, sizeof(cid_text), "%.*s", (int)(colon - text), text);
        if (!text_to_integer(cid_text, &cid) || !text_to_integer(colon + 1, &port) || cid < 0 ||
            cid > UINT32_MAX || port < 0 || port > UINT32_MAX) {
                *ret_reason = "not an address of vsock; give CID:PORT, two numbers";
                return OUTGOING_E_INVALID;
        }
        memset(ret, 0, sizeof(*ret));
        ret->u.vm.svm_family = AF_VSOCK;
        ret->u.vm.svm_cid = (unsigned)cid;
        ret->u.vm.svm_port = (unsigned)port;
        ret->len = sizeof(ret->u.vm);
        snprintf(ret->text, sizeof(ret->text), "%s", text);
        return 0;
}

static void outgoing_address_set(OutgoingAddress *outgoing, const Address *address) {
        memset(outgoing, 0, sizeof(*outgoing));
        memcpy(&outgoing->u, &address->u, address->len);
        outgoing->len = address->len;
        address_format(address, outgoing->text);
}

/* As Go has it: this host, by IPv4 unless the network is of IPv6. */
static void address_set_loopback(const OutgoingKind *kind, Address *address) {
        uint16_t port = address_port(address);

        memset(&address->u, 0, sizeof(address->u));
        if (kind->like[strlen(kind->like) - 1] == '6') {
                address->u.in6.sin6_family = AF_INET6;
                address->u.in6.sin6_addr = in6addr_loopback;
                address->len = sizeof(address->u.in6);
                address->ipv6_only = true;
        } else {
                address->u.in.sin_family = AF_INET;
                address->u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                address->len = sizeof(address->u.in);
                address->ipv6_only = false;
        }
        address_set_port(address, port);
}

int outgoing_remote_parse(const OutgoingKind *kind, const char *text, const char *network_namespace,
                          OutgoingAddress *ret, const char **ret_reason) {
        const AddressFamilies families = families_of(network_namespace);
        Address address;

        if (!kind->like)
                return vsock_parse(text, ret, ret_reason);
        if (address_parse(kind->like, text, &families, &address, ret_reason) != 0)
                return OUTGOING_E_INVALID;
        /* It is connected to here, by number. */
        if (network_namespace && address_is_of_link(&address) && address_zone(&address) == 0) {
                *ret_reason = "a zone of another network namespace has no name here; give its index";
                return OUTGOING_E_INVALID;
        }
        if (address_is_ip(&address)) {
                if (address_port(&address) == 0) {
                        *ret_reason = "a destination has one port, from 1 to 65535";
                        return OUTGOING_E_INVALID;
                }
                if (address_is_wildcard(&address))
                        address_set_loopback(kind, &address);
        }
        outgoing_address_set(ret, &address);
        return 0;
}

int outgoing_local_parse(const OutgoingKind *kind, const char *text, const char *network_namespace,
                         OutgoingLocal *ret, const char **ret_reason) {
        const AddressFamilies families = families_of(network_namespace);
        Address address;

        memset(ret, 0, sizeof(*ret));
        if (!text || !*text)
                return 0;
        if (!kind->like) {
                *ret_reason = "this end of vsock is not chosen; leave it out";
                return OUTGOING_E_INVALID;
        }
        if (address_parse(kind->like, text, &families, &address, ret_reason) != 0)
                return OUTGOING_E_INVALID;
        if (address.port_first != address.port_last) {
                *ret_reason = "a connection comes from one port; give PORT, or 0 for any";
                return OUTGOING_E_INVALID;
        }
        outgoing_address_set(&ret->address, &address);
        /* In the program's own words: what a wildcard is depends on what the broker's host can do. */
        snprintf(ret->address.text, sizeof(ret->address.text), "%s", text);
        ret->ask = ret->address.text;
        ret->fixed = !address_is_ip(&address) || address_port(&address) != 0;
        if (address_is_ip(&address) && address_is_wildcard(&address)) {
                /* A wildcard of both families serves both. */
                if (address_family(&address) == AF_INET || address.ipv6_only)
                        ret->family = address_family(&address);
                if (!ret->fixed) {
                        ret->address.len = 0;
                        ret->ask = ":0";
                }
        } else {
                ret->family = address_family(&address);
        }
        return 0;
}

/* ---- of a socket ---- */

int outgoing_read_local(int fd, const char *network_namespace, char buffer[static ADDRESS_TEXT_MAX]) {
        struct sockaddr_storage storage = { 0 };
        const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&storage;
        socklen_t len = sizeof(storage);
        Address address = { 0 };

        if (getsockname(fd, (struct sockaddr *)&storage, &len) < 0)
                return -ENOENT;
        switch (storage.ss_family) {
        case AF_INET:
        case AF_INET6:
        case AF_UNIX:
                address_set_sockaddr(&address, &storage, len);
                address.zone_elsewhere = network_namespace && address_zone(&address) != 0;
                address_format(&address, buffer);
                return *buffer ? 0 : -ENOENT;
        case AF_VSOCK:
                snprintf(buffer, ADDRESS_TEXT_MAX, "%u:%u", vm->svm_cid, vm->svm_port);
                return 0;
        default:
                return -ENOENT;
        }
}

bool outgoing_is_self(int fd) {
        struct sockaddr_storage local = { 0 }, remote = { 0 };
        socklen_t local_len = sizeof(local), remote_len = sizeof(remote);

        if (getsockname(fd, (struct sockaddr *)&local, &local_len) < 0 ||
            getpeername(fd, (struct sockaddr *)&remote, &remote_len) < 0)
                return false;
        return local_len == remote_len && memcmp(&local, &remote, local_len) == 0;
}
