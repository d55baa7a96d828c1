/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef REUSE_CLIENT_H
#define REUSE_CLIENT_H

/*
 * libreuse-client: listening sockets from the reuseportd broker.
 *
 *     int fd = reuse_listen("tcp", "127.0.0.1:8080", "sharing=group,name=web", NULL);
 *
 * Conventions of every function here:
 *   - An int result is 0 or a count or a descriptor, or a negative errno. Nothing is printed, no signal
 *     is sent or handled, errno is not part of the interface.
 *   - A ret_error argument may be NULL. Otherwise it is set to NULL on success and to an object that the
 *     caller frees with reuse_error_free() on failure; NULL also when there was no memory for one.
 *   - Times are microseconds. Every descriptor is close-on-exec; those of the broker are non-blocking.
 *   - Strings returned belong to the object they were asked of, and live as long as it does.
 *   - Free functions take NULL and return NULL.
 *   - Threads: no global state is kept; different objects may be used by different threads at once, one
 *     object by one thread at a time.
 *
 * Errors of the broker become these numbers, so that a program can act on them; reuse_error_get_name()
 * has the broker's own name:
 *     PolicyDenied -EACCES, PermissionDenied -EPERM, AddressInUse -EADDRINUSE,
 *     AddressUnavailable -EADDRNOTAVAIL, NetworkUnknown -EPROTONOSUPPORT, OptionConflict -EEXIST,
 *     AddressInvalid, OptionInvalid, InvalidParameter -EINVAL, QuotaExceeded -EDQUOT,
 *     NotSupported -EOPNOTSUPP, NoSuchLease, NoSuchEndpoint -ENOENT, SystemFailure: the errno it names,
 *     MethodNotFound, MethodNotImplemented, InterfaceNotFound, ExpectedMore -ENOSYS,
 *     any other -EREMOTEIO.
 * And of the library:
 *     -ENOENT, -ECONNREFUSED no broker there; -EACCES not allowed to connect; -ETIMEDOUT no answer in
 *     time; -ECONNRESET the broker hung up, and none came back in time; -EPROTO it sent something that
 *     is not the protocol; -EBADMSG a descriptor is not the one the broker named; -EMFILE descriptors
 *     were lost for lack of room; -ENOTCONN the connection has ended; -E2BIG too many sockets, or too
 *     long a call; -ENXIO no such host; -EAGAIN, -EIO names cannot be looked up; -EINVAL a wrong
 *     argument; -ENOMEM.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For reuse_client_set_timeout(): wait without end. Since 0.1. */
#define REUSE_TIMEOUT_INFINITE UINT64_MAX

/* What a connection waits for one answer unless told otherwise: 5 s. Since 0.1. */
#define REUSE_TIMEOUT_DEFAULT UINT64_C(5000000)

/* How long a connection whose broker hung up waits for the next one unless told otherwise: 30 s. Since
 * 0.1. */
#define REUSE_RECONNECT_DEFAULT UINT64_C(30000000)

/* One connection to the broker. */
typedef struct reuse_client reuse_client;
/* Sockets being asked for. */
typedef struct reuse_request reuse_request;
/* Sockets that were given. */
typedef struct reuse_sockets reuse_sockets;
/* One answer, as a handler sees it. */
typedef struct reuse_reply reuse_reply;
/* The descriptors that this process was started with. */
typedef struct reuse_inherited reuse_inherited;
/* What a descriptor is. */
typedef struct reuse_description reuse_description;
/* What became of the connection or of a lease, as a handler sees it. */
typedef struct reuse_notice reuse_notice;
/* A connection that is being made to somebody else than the broker, and what became of it. */
typedef struct reuse_outgoing reuse_outgoing;
/* What went wrong, for programs and for people. */
typedef struct reuse_error reuse_error;

/* The version of the library, "0.1.0". Since 0.1. */
const char *reuse_version(void);

/*
 * The socket the library connects to when none is named: $REUSEPORTD_SOCKET (unless the program is
 * setuid), else /run/reuseportd/io.reuseportd if that is there, else
 * $XDG_RUNTIME_DIR/reuseportd/io.reuseportd if that is there, else the first of the two again.
 * @buffer: at least 108 bytes. Returns 0, -ENAMETOOLONG, -EINVAL. Since 0.1.
 */
int reuse_default_socket(char *buffer, size_t size);

/* ---- one line to a descriptor ---------------------------------------------------------------- */

/*
 * A listening stream or seqpacket socket, whose lease lasts as long as this process, over exec too.
 * @network: "tcp", "tcp4", "tcp6", "unix", "unixpacket", "vsock", "mptcp", "sctp".
 * @address: "127.0.0.1:80", "[::1]:80", ":80", "host:FIRST-LAST", "/path", "@abstract", "CID:PORT"; port
 * 0: any.
 * Host and port may be names, "localhost:http", as reuse_resolve() takes them.
 * @options: "key=value,key=value" as reuse_request_set() takes them, or NULL.
 * Waits at most REUSE_TIMEOUT_DEFAULT for the broker, and before that for names, if there are any.
 * Returns a descriptor that the caller owns, or a negative errno: -EPROTONOSUPPORT also where what the
 * broker has for @network has packets; it is closed and released then.
 * The lease ends with the process, not with close(): use a connection to end it earlier. Since 0.1.
 */
int reuse_listen(const char *network, const char *address, const char *options, reuse_error **ret_error);

/* The same for packets: "udp", "udp4", "udp6", "unixgram", "udplite", and raw IP, as "ip4:icmp" at a
 * host without a port. Since 0.1. */
int reuse_listen_packet(const char *network, const char *address, const char *options,
                        reuse_error **ret_error);

/* The same for the sockets of a whole request, all or none, at the default broker. Names in it become
 * numbers, as by reuse_request_resolve(). *ret_sockets is the caller's. The lifetime is always
 * "process". Returns 0 or a negative errno. Since 0.1. */
int reuse_acquire(reuse_request *request, reuse_sockets **ret_sockets, reuse_error **ret_error);

/*
 * A connection to @remote_address: "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"; "unix", "unixgram",
 * "unixpacket" and "vsock" ("CID:PORT"); "mptcp", "sctp" and "udplite", also with 4 or 6, which the
 * broker does not dial. Host and port may be names; of a host all addresses are tried, each for its part
 * of the time, and those of the second family from 300 ms on beside the first. No host is this one.
 *
 * The socket comes from the broker, which has it come from a port that this process listens on where one
 * fits the destination: then the other side sees one address for both. @local_address forces that: an
 * address with a port, or with port 0; ":0" for any port that is not reused; NULL leaves the choice. If
 * an attempt from a reused port fails, other than by a timeout or because nobody listens there, there is
 * a second one from a new port, in the same time; one that turns out to be a connection to itself is
 * closed, and tried up to two times more. Where there is no broker, or one that does not do this, and
 * for what it does not dial, the library makes the socket itself. None of this is done where
 * @local_address has a port.
 *
 * @options: "key=value,key=value" with the keys of Options, or NULL: lingerSec, keepAliveIdleSec,
 * receiveBuffer, ... and networkNamespace, where the broker alone can make it. Unless they say
 * otherwise, TCP connections are made with noDelay, keepAlive, and 15 s for keepAliveIdleSec and
 * keepAliveIntervalSec; lingerSec is never set unasked.
 * @usec: how long all of it may take; REUSE_TIMEOUT_DEFAULT is a good choice, REUSE_TIMEOUT_INFINITE is
 * for ever. Returns a connected descriptor that the caller owns, or a negative errno: that of the kernel
 * or the broker, what reuse_resolve() does, -ETIMEDOUT, -ELOOP (the connection is to itself),
 * -EPROTONOSUPPORT (no such network), -EINVAL (a wrong argument, or two addresses of different
 * families). Since 0.1.
 */
int reuse_dial(const char *network, const char *remote_address, const char *local_address,
               const char *options, uint64_t usec, reuse_error **ret_error);

/* ---- what to ask for ------------------------------------------------------------------------- */

/* An empty request, the caller's. Returns 0 or -ENOMEM. Since 0.1. */
int reuse_request_new(reuse_request **ret);
reuse_request *reuse_request_free(reuse_request *request);

/* Adds a socket. Texts are copied; the broker judges them. Returns its index, -EINVAL, -E2BIG (64 at
 * most), -ENOMEM. Since 0.1. */
int reuse_request_add(reuse_request *request, const char *network, const char *address);

/* Adds the socket "network:address[,key=value...]". As reuse_request_add(), and -EINVAL with *ret_error
 * saying what is wrong with the text. Since 0.1. */
int reuse_request_add_spec(reuse_request *request, const char *spec, reuse_error **ret_error);

/*
 * Sets one thing of the socket added last. @key is a field of SocketRequest or Options in the interface:
 * name, sharing (exclusive, shared, group), steering, weight, standby, retainSec, backlog, noDelay,
 * receiveBuffer, ... @value is its text: numbers in decimal, yes/no/true/false/on/off/1/0, several
 * multicastGroups joined by "+", raw as LEVEL:NAME:HEX joined by "+". Returns 0, -EINVAL (no such key,
 * no such value; *ret_error says which), -ENOMEM. Since 0.1.
 */
int reuse_request_set(reuse_request *request, const char *key, const char *value,
                      reuse_error **ret_error);

/* How long the leases last: "connection" (the default), "process", or "descriptor", as long as any copy
 * of reuse_sockets_get_lifetime_fd() is open. A broker that does not know the last says
 * InvalidParameter, with the parameter "lifetime". Returns 0 or -EINVAL. Since 0.1. */
int reuse_request_set_lifetime(reuse_request *request, const char *lifetime);

/* How many sockets were added. Since 0.1. */
size_t reuse_request_count(const reuse_request *request);

/*
 * The broker looks no names up. These do, by what the system has for that (nsswitch.conf(5)), and block
 * until there is an answer, for as long as name servers take: never call them in an event loop. Nothing
 * else in this library looks names up but the calls of "one line to a descriptor".
 */

/*
 * Writes @address to @buffer with numbers for the names in it: "localhost:http" becomes "127.0.0.1:80".
 * A host becomes one address, of the family that the digit of @network says. Without a digit it is IPv4
 * if the host has any, or IPv6 in brackets: "[host]:http". "localhost" is not looked up. An empty host,
 * numbers, ranges of ports, and what this library knows no names in, paths among that, are copied for
 * the broker to judge. @size: 128 are enough for every address that the broker takes; @buffer and
 * @address must not overlap. Returns 0, -ENXIO (no such host), -EINVAL (unknown port; no address of that
 * family; a wrong argument), -EAGAIN (no name server answers now), -EIO (one fails), -ENAMETOOLONG,
 * -ENOMEM. Since 0.1.
 */
int reuse_resolve(const char *network, const char *address, char *buffer, size_t size,
                  reuse_error **ret_error);

/* The same in place, for all sockets that were added to @request, and for the protocols of raw IP that
 * are in protocols(5) alone; if it fails, the request is as before. Returns 0 or what reuse_resolve()
 * does. Since 0.1. */
int reuse_request_resolve(reuse_request *request, reuse_error **ret_error);

/* ---- what was given -------------------------------------------------------------------------- */

/* Closes the descriptors that were not taken. The leases go on, but for those of the lifetime
 * "descriptor" whose descriptor is among them. Since 0.1. */
reuse_sockets *reuse_sockets_free(reuse_sockets *sockets);

/* How many there are; @index below is 0 to this less one, in the order of the request. With another
 * index the functions return NULL or -EINVAL. Since 0.1. */
size_t reuse_sockets_count(const reuse_sockets *sockets);

/* The descriptor, still owned by @sockets; -EBADF once taken. Since 0.1. */
int reuse_sockets_get_fd(const reuse_sockets *sockets, size_t index);

/* The descriptor, the caller's from now on; -EBADF the second time. Since 0.1. */
int reuse_sockets_take_fd(reuse_sockets *sockets, size_t index);

/*
 * The descriptor on which the leases depend, with the lifetime "descriptor": all of one request on one.
 * They end when its last copy is closed; so it is for who has other processes inherit it, beside the
 * sockets, and the broker may be lost meanwhile. It is close-on-exec, like all; clear FD_CLOEXEC of a
 * copy that execve() is to keep. Nothing is ever read from it: poll() says POLLHUP once the leases have
 * ended before it, by a release or with a broker that nothing keeps the sockets of. The connection does
 * not take such leases up again, and never acquires them anew. -EBADF with another lifetime.
 *
 * Still owned by @sockets, which closes it when freed, or taken: the caller's from now on, -EBADF the
 * second time. Since 0.1.
 */
int reuse_sockets_get_lifetime_fd(const reuse_sockets *sockets);
int reuse_sockets_take_lifetime_fd(reuse_sockets *sockets);

/* The lease (for reuse_client_release() and its like), the endpoint's id, its name or NULL, the network
 * and address it is bound to, with the port that the broker chose; its sharing. Since 0.1. */
const char *reuse_sockets_get_lease(const reuse_sockets *sockets, size_t index);
const char *reuse_sockets_get_endpoint(const reuse_sockets *sockets, size_t index);
const char *reuse_sockets_get_name(const reuse_sockets *sockets, size_t index);
const char *reuse_sockets_get_network(const reuse_sockets *sockets, size_t index);
const char *reuse_sockets_get_address(const reuse_sockets *sockets, size_t index);
const char *reuse_sockets_get_sharing(const reuse_sockets *sockets, size_t index);

/* 1: an earlier client held this very socket, and what it left in the queue is in there; 0: new. Since
 * 0.1. */
int reuse_sockets_get_adopted(const reuse_sockets *sockets, size_t index);

/* ---- what a parent passed -------------------------------------------------------------------- */

/* For reuse_inherited_new(): the variables are gone afterwards, whatever it returns, and no child of
 * this process takes itself to be meant. Since 0.1. */
#define REUSE_INHERITED_UNSET UINT32_C(1)

/*
 * Takes over the descriptors that `reusectl run`, systemd or any other parent passed by LISTEN_FDS, as
 * sd_listen_fds(3) has it; no broker and no libsystemd is needed. Everything is checked before anything
 * is changed: that LISTEN_PID names this process, and LISTEN_PIDFDID, if it is there, this very one;
 * that LISTEN_FDS is a number, and so many descriptors are open; that LISTEN_FDNAMES, unless it is not
 * there or empty, has so many names. Then all of them are close-on-exec; whether they block is as the
 * parent left it. What they are, reuse_describe() says: a parent may pass other things than sockets.
 *
 * Once, at the start: it reads, and with REUSE_INHERITED_UNSET changes, the environment, which other
 * threads must not use meanwhile, and a second object would own the same descriptors.
 *
 * Returns 0 with *ret the caller's, with none in it if nothing was passed, or to another process, such
 * as a shell that started this one without exec; -EINVAL (one of the variables is wrong), -EBADF (fewer
 * are open), -ENOMEM. Since 0.1.
 */
int reuse_inherited_new(uint32_t flags, reuse_inherited **ret, reuse_error **ret_error);

/* Closes the descriptors that were not taken. Since 0.1. */
reuse_inherited *reuse_inherited_free(reuse_inherited *inherited);

/* How many there are; @index below is 0 to this less one, in the order of their numbers. With another
 * index the functions return NULL or -EINVAL. Since 0.1. */
size_t reuse_inherited_count(const reuse_inherited *inherited);

/* The descriptor, still owned by @inherited; -EBADF once taken. Since 0.1. */
int reuse_inherited_get_fd(const reuse_inherited *inherited, size_t index);

/* The descriptor, the caller's from now on; -EBADF the second time. Since 0.1. */
int reuse_inherited_take_fd(reuse_inherited *inherited, size_t index);

/* What the parent calls it, "unknown" if it gave no names. Since 0.1. */
const char *reuse_inherited_get_name(const reuse_inherited *inherited, size_t index);

/* The index of the first that is called @name and was not taken: several may have one name. -ENOENT:
 * there is none. Since 0.1. */
int reuse_inherited_find(const reuse_inherited *inherited, const char *name);

/* ---- what a descriptor is -------------------------------------------------------------------- */

/*
 * Finds out what @fd is, whoever made it, by asking the kernel: a socket of TCP, UDP, UNIX, MPTCP, SCTP,
 * UDP-Lite, vsock or raw IP. @fd stays the caller's, and neither it nor the socket is changed. Returns 0
 * with *ret the caller's, -EBADF (not open), -ENOTSOCK (no socket), -EPROTONOSUPPORT (a socket of
 * another kind; *ret_error names it), -EINVAL, -ENOMEM. Since 0.1.
 */
int reuse_describe(int fd, reuse_description **ret, reuse_error **ret_error);
reuse_description *reuse_description_free(reuse_description *description);

/* AF_INET, AF_INET6, AF_UNIX or AF_VSOCK; SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET or SOCK_RAW;
 * IPPROTO_*, 0 without IP. Since 0.1. */
int reuse_description_get_family(const reuse_description *description);
int reuse_description_get_type(const reuse_description *description);
int reuse_description_get_protocol(const reuse_description *description);

/* 1 or 0: whether it listens, and whether other sockets may be bound to its port (SO_REUSEPORT).
 * Since 0.1. */
int reuse_description_get_listening(const reuse_description *description);
int reuse_description_get_reuse_port(const reuse_description *description);

/* The kernel's number of the socket: descriptors of one socket have the same, in all processes. 0: the
 * kernel has none. Since 0.1. */
uint64_t reuse_description_get_cookie(const reuse_description *description);

/*
 * The network ("tcp4", "tcp6", "tcp" if it serves both, "udp4", "unix", ..., "ip4:1") and the address it
 * is bound to, as reuse_listen() takes them. An address of IPv4 that an IPv6 socket has is written as
 * one of IPv4. A zone is an index if the socket is of another network namespace. Port 0: it is not
 * bound; "": a UNIX socket without a name. Since 0.1.
 */
const char *reuse_description_get_network(const reuse_description *description);
const char *reuse_description_get_local_address(const reuse_description *description);

/* The address it is connected to, "" if the peer has no name; NULL: it is not connected. Since 0.1. */
const char *reuse_description_get_remote_address(const reuse_description *description);

/* ---- errors ---------------------------------------------------------------------------------- */

reuse_error *reuse_error_free(reuse_error *error);

/* The negative errno that the failing function returned. Since 0.1. */
int reuse_error_get_errno(const reuse_error *error);

/* The broker's name for it, "io.reuseportd.AddressInUse"; NULL if the library failed. Since 0.1. */
const char *reuse_error_get_name(const reuse_error *error);

/* One sentence for people: what failed, who is in the way, what to do. Since 0.1. */
const char *reuse_error_get_message(const reuse_error *error);

/* The parameters of the broker's error as JSON text; NULL if the library failed. Since 0.1. */
const char *reuse_error_get_parameters(const reuse_error *error);

/* ---- a connection ---------------------------------------------------------------------------- */

/*
 * A connection to the broker at @path (NULL: reuse_default_socket()). Does not block: a broker whose
 * queue is full is tried again by reuse_client_process(). Leases with lifetime "connection" that are
 * acquired over it end when it is freed. Returns 0 with *ret the caller's, or a negative errno. Since
 * 0.1.
 */
int reuse_client_connect(const char *path, reuse_client **ret, reuse_error **ret_error);

/* Closes the connection; calls under way are given up, their handlers not called. May be called from a
 * handler of another connection, not from one of its own. Since 0.1. */
reuse_client *reuse_client_free(reuse_client *client);

/* How long each further call waits for its answer, and a connection for its broker;
 * REUSE_TIMEOUT_INFINITE for ever. A call with REUSE_CALL_MORE waits without end: the next part of its
 * answer may be far off. A call that is late ends the connection, since its answer could no longer be
 * told from the next. Since 0.1. */
void reuse_client_set_timeout(reuse_client *client, uint64_t usec);

/*
 * The descriptor to poll, the library's own and the same until the connection has ended, through every
 * reconnect: register it once. It is readable whenever there is something to process, also what
 * reuse_client_get_events() calls POLLOUT. Only to be polled, by this process. Or -ENOTCONN; the first
 * time also -EMFILE, -ENFILE, -ENOMEM. Since 0.1.
 */
int reuse_client_get_fd(reuse_client *client);

/* POLLIN, POLLOUT or both: what is waited for now. 0 while only the timeout counts. Since 0.1. */
int reuse_client_get_events(const reuse_client *client);

/*
 * The socket of the connection, for who has other processes inherit it: leases for the connection last
 * as long as any of them keeps it, and the broker lives; the lifetime "descriptor" outlasts it. It is
 * close-on-exec, not to be read or written, and another one after each reconnect; a copy that is left
 * does not reconnect. -ENOTCONN while there is none. Since 0.1.
 */
int reuse_client_get_connection(const reuse_client *client);

/* When reuse_client_process() must be called at the latest: CLOCK_MONOTONIC, absolute; UINT64_MAX:
 * never. Since 0.1. */
uint64_t reuse_client_get_timeout(const reuse_client *client);

/*
 * Does what can be done without waiting, and calls at most one handler. Returns 1 if there was something
 * to do (call again), 0 if not (poll), -ECONNRESET, -ETIMEDOUT, -EPROTO or another negative errno when
 * the connection has ended: the handlers of the calls under way have then been called with that error,
 * and every further call returns -ENOTCONN. Since 0.1.
 */
int reuse_client_process(reuse_client *client);

/* Waits until there is something to process, at most @usec: for a broker whose queue is full in that
 * queue, where room is given in the order of coming, else with poll(). 1: process now; 0: time is over;
 * or a negative errno, -EINTR included. Since 0.1. */
int reuse_client_wait(reuse_client *client, uint64_t usec);

/* Called with the answer; @reply lives as long as the call of the handler. The result of the handler is
 * returned by reuse_client_process() if it is negative. */
typedef int (*reuse_handler)(reuse_client *client, reuse_reply *reply, void *userdata);

/* Flags of a call. MORE: the answer comes in several parts, each to the handler, until one does not
 * continue. Since 0.1. */
#define REUSE_CALL_MORE UINT32_C(1)

/*
 * Queues a call. @method: "List", or with an interface "org.varlink.service.GetInfo". @parameters: a
 * JSON object, or NULL. @handler may be NULL. Calls are answered in their order. Never calls a handler.
 * Returns 0, -EINVAL (@parameters is no JSON object), -E2BIG (over the 64 KiB that the broker takes),
 * -ENOTCONN, -ENOMEM. Since 0.1.
 */
int reuse_client_call_async(reuse_client *client, const char *method, const char *parameters,
                            uint32_t flags, reuse_handler handler, void *userdata);

/* The same for Acquire. @request is read before it returns. Since 0.1. */
int reuse_client_acquire_async(reuse_client *client, const reuse_request *request, reuse_handler handler,
                               void *userdata);

/* Of a reply: the error or NULL; the parameters as JSON text (NULL with an error of the library);
 * whether another part follows. Since 0.1. */
const reuse_error *reuse_reply_get_error(const reuse_reply *reply);
const char *reuse_reply_get_parameters(reuse_reply *reply);
int reuse_reply_get_continues(const reuse_reply *reply);

/* Of the reply to an Acquire: the sockets, the caller's from now on; NULL with an error, or the second
 * time. Since 0.1. */
reuse_sockets *reuse_reply_take_sockets(reuse_reply *reply);

/* The same calls, waiting for the answer: no longer than the connection's timeout. Calls queued before
 * are answered, and their handlers called, meanwhile. *ret_parameters is malloc'ed, the caller's, may be
 * NULL. Return 0 or a negative errno. Since 0.1. */
int reuse_client_call(reuse_client *client, const char *method, const char *parameters,
                      char **ret_parameters, reuse_error **ret_error);
int reuse_client_acquire(reuse_client *client, const reuse_request *request, reuse_sockets **ret_sockets,
                         reuse_error **ret_error);

/* Ends leases of this client. @leases: @n texts of reuse_sockets_get_lease(). Close the descriptors
 * first: from then on the broker may close the sockets. Not over another connection than the one that
 * acquired them, which would not know, and after a reconnect acquire them anew. Since 0.1. */
int reuse_client_release(reuse_client *client, const char *const *leases, size_t n,
                         reuse_error **ret_error);

/* ---- connections to others --------------------------------------------------------------------- */

/*
 * reuse_dial() over a connection to the broker: the ports that are reused are those of the leases of
 * that connection and of this process. Beside the calls of the connection, any number at once:
 * reuse_client_get_fd(), reuse_client_get_timeout() and reuse_client_process() see to all of them. While
 * there are some, a connection to the broker that is lost is made anew, and the next broker is asked
 * again. If it ends for good, so do they, with its error.
 */

/* Called once, when the connection is made or has failed, by reuse_client_process() and so by every call
 * that waits. It may free @outgoing. Its result is used as that of a reuse_handler. */
typedef int (*reuse_outgoing_handler)(reuse_client *client, reuse_outgoing *outgoing, void *userdata);

/*
 * Begins one; the arguments are those of reuse_dial(), but for names, which it does not look up:
 * reuse_resolve() does. They are read before it returns. @handler may be NULL.
 * Never calls a handler. *ret is the caller's, to be freed before or after @client. Returns 0, or
 * -EINVAL, -EPROTONOSUPPORT, -ENOTCONN, -ENOMEM. Since 0.1.
 */
int reuse_client_dial_async(reuse_client *client, const char *network, const char *remote_address,
                            const char *local_address, const char *options, uint64_t usec,
                            reuse_outgoing_handler handler, void *userdata, reuse_outgoing **ret,
                            reuse_error **ret_error);

/* The same, waiting for it. Calls queued before are answered, and their handlers called, meanwhile.
 * *ret is the caller's, and connected. Returns 0 or a negative errno. Since 0.1. */
int reuse_client_dial(reuse_client *client, const char *network, const char *remote_address,
                      const char *local_address, const char *options, uint64_t usec,
                      reuse_outgoing **ret, reuse_error **ret_error);

/* Gives it up: what is half open is closed, and its handler will be told -ECANCELED. Of one that has
 * ended already, connected or not, nothing changes. Returns 0 or -EINVAL. Since 0.1. */
int reuse_outgoing_cancel(reuse_outgoing *outgoing);

/* Gives it up if it is under way, without a call of its handler, and closes the descriptor if that was
 * not taken. Since 0.1. */
reuse_outgoing *reuse_outgoing_free(reuse_outgoing *outgoing);

/* The connected descriptor, still owned by @outgoing, and the same one, the caller's from now on. While
 * it is under way -EINPROGRESS; once taken -EBADF; or what it failed with. Since 0.1. */
int reuse_outgoing_get_fd(const reuse_outgoing *outgoing);
int reuse_outgoing_take_fd(reuse_outgoing *outgoing);

/* 1: it comes from a port that this client listens on; 0: from one of its own; or as
 * reuse_outgoing_get_fd(). Since 0.1. */
int reuse_outgoing_get_reused(const reuse_outgoing *outgoing);

/* Both ends as the kernel has them, once it is connected; NULL otherwise, and for this end of a UNIX
 * socket without a name. Since 0.1. */
const char *reuse_outgoing_get_local_address(const reuse_outgoing *outgoing);
const char *reuse_outgoing_get_remote_address(const reuse_outgoing *outgoing);

/* Why it failed, NULL if it has not. If there was more than one attempt, the sentence names the first,
 * too. Since 0.1. */
const reuse_error *reuse_outgoing_get_error(const reuse_outgoing *outgoing);

/* ---- a broker that is lost --------------------------------------------------------------------- */

/*
 * When the broker hangs up, as one does that dies or is replaced, a connection is made anew that holds
 * leases, or has a Watch, a connection to others, or a call under way that only reads: List, Explain,
 * GetStatus, GetInfo, GetInterfaceDescription. reuse_client_process(), and every call that waits, dials
 * again until there is a broker, and takes the leases up again before anything else. The descriptors
 * that a program has serve on meanwhile. Nothing happens between its calls: who makes none, and does not
 * poll, comes too late for leases that the broker keeps only for a time.
 *
 * Calls under way are asked again, at most twice, in their order; a Watch goes on with an event
 * "overflow". Acquire with the lifetime "process", and methods that this library does not know, are
 * answered -ECONNRESET: whether they were done is not known. An Acquire that is asked again may find the
 * address in use by the lease whose answer was lost, until the broker gives that up. Calls made
 * meanwhile wait. One whose time is over is answered -ETIMEDOUT and the connection goes on; those that
 * are left wait anew for their answer once the broker is back.
 *
 * Leases that the new broker does not know are acquired anew if there is a handler for notices, with
 * the same request, at the address that they had. Without one the connection ends with -ECONNRESET. It
 * does so too if no broker is back in time. A connection that ended for another reason, such as an
 * answer that is not the protocol, is not made anew.
 */

/* How long to wait for the next broker, and for each of its answers until the leases are settled. 0: do
 * not make connections anew; REUSE_TIMEOUT_INFINITE: for ever. REUSE_RECONNECT_DEFAULT unless told
 * otherwise. Counts from the next hang-up on. Since 0.1. */
void reuse_client_set_reconnect(reuse_client *client, uint64_t usec);

/*
 * What a notice says. LOST: the broker hung up. RESUMED: a lease goes on, nothing is to be done.
 * REPLACED: a lease was not known any more, and acquired anew: serve the new descriptor, take what waits
 * in the old one, and close that. CLOSE comes before it where the old socket is in the way, as one that
 * is no member of a group is: close every copy of its descriptor at once, or the lease is GONE. GONE: it
 * could not be, and has ended; the old descriptor may serve on, but no broker knows of it. BACK: all
 * leases are settled and calls go on; that a broker was lost before this is not told again. Others may
 * be added. Since 0.1.
 */
#define REUSE_NOTICE_LOST UINT32_C(1)
#define REUSE_NOTICE_RESUMED UINT32_C(2)
#define REUSE_NOTICE_CLOSE UINT32_C(3)
#define REUSE_NOTICE_REPLACED UINT32_C(4)
#define REUSE_NOTICE_GONE UINT32_C(5)
#define REUSE_NOTICE_BACK UINT32_C(6)

/* Called with a notice, by reuse_client_process() and so by every call that waits; @notice lives as long
 * as the call of the handler. It may make calls. Its result is used as that of a reuse_handler. */
typedef int (*reuse_notice_handler)(reuse_client *client, reuse_notice *notice, void *userdata);

/* Sets the handler for notices, NULL for none. Since 0.1. */
void reuse_client_set_notice_handler(reuse_client *client, reuse_notice_handler handler, void *userdata);

/* Of a notice: REUSE_NOTICE_*; the lease as it was called until now, NULL if it is about none; with GONE
 * why, else NULL. Since 0.1. */
uint32_t reuse_notice_get_what(const reuse_notice *notice);
const char *reuse_notice_get_lease(const reuse_notice *notice);
const reuse_error *reuse_notice_get_error(const reuse_notice *notice);

/* With REPLACED: the socket, one, with its new lease, the caller's from now on. NULL otherwise, or the
 * second time. If the handler does not take it, the new lease is released. Since 0.1. */
reuse_sockets *reuse_notice_take_sockets(reuse_notice *notice);

/* ---- generations ----------------------------------------------------------------------------- */

/*
 * The leases below may be of any connection of the same user, and of other processes of that user. All
 * or none: with one unknown lease nothing is changed.
 */

/* Sockets that were acquired with standby, or drained, take traffic from now on. Returns 0 or a negative
 * errno. Since 0.1. */
int reuse_client_ready(reuse_client *client, const char *const *leases, size_t n,
                       reuse_error **ret_error);

/* Sockets get no new traffic from now on. What waits in them already is for their holder to take: it
 * goes on accepting, and releases the lease when nothing comes any more. Returns at once, 0 or a
 * negative errno. Since 0.1. */
int reuse_client_drain(reuse_client *client, const char *const *leases, size_t n,
                       reuse_error **ret_error);

/*
 * Drains, and waits at most @usec (REUSE_TIMEOUT_INFINITE: for ever) until nothing waits in the sockets
 * any more, or their leases have ended: then their holder may go. Meanwhile the holder must go on
 * accepting, so this is for another thread of it, or another process; in an event loop, Watch and wait
 * for the event "drained". Makes a further connection to the same broker for the time. Its calls to
 * the broker wait for their answers as every call does, beside @usec. If somebody says Ready meanwhile,
 * @usec alone ends it. Returns 0, -ETIMEDOUT (the sockets stay drained, and the connection is as good
 * as before), or another negative errno. Since 0.1.
 */
int reuse_client_drain_wait(reuse_client *client, const char *const *leases, size_t n, uint64_t usec,
                            reuse_error **ret_error);

/* The sockets' share in new traffic of their group from now on, 0 to 100; 0: none, as long as others are
 * there. Returns 0 or a negative errno. Since 0.1. */
int reuse_client_set_weight(reuse_client *client, const char *const *leases, size_t n, int weight,
                            reuse_error **ret_error);

/* ---- policy ---------------------------------------------------------------------------------- */

/*
 * What policy would answer to the one socket of @request, and why; nothing is made. It is asked for this
 * client; or for user @uid, unless (uid_t)-1, with the groups @gids, the primary one first: that may
 * only root and the broker's own user. *ret_parameters is the reply to Explain as JSON text, with
 * "rule", "file", "line" and "reason": malloc'ed, the caller's; it may be NULL. That others hold the
 * address now is in the reason alone. Returns 1 (allowed), 0 (denied), or a negative errno. Since 0.1.
 */
int reuse_client_explain(reuse_client *client, const reuse_request *request, uid_t uid,
                         const gid_t *gids, size_t n_gids, char **ret_parameters,
                         reuse_error **ret_error);

#ifdef __cplusplus
}
#endif

#endif
