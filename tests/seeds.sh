#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# seeds.sh: each behaviour that this is built after has a test whose name begins with its number, s1_12_... or
# d7_..., or a reason why it has none.
#   1  go-libp2p's reuseport   2  go-reuseport   3  Go's net package   D  what Linux does, as it was measured
set -eu
cd "$(dirname "$0")/.."
. tests/complain.sh

seeds=$(mktemp)
trap 'rm -f "$seeds" "$seeds.found" "$seeds.known"' EXIT

# NUMBER, what it is about, and after a bar why there is no test of it.
cat >"$seeds" <<'END'
1.1 listeners are kept by family, and found by every dial
1.2 networks that no port can be reused on are refused
1.3 families are apart
1.4 a plain listener where reuse fails, whose port is not reused: refused here, with who has it
1.5 a listener of the wrong kind is closed
1.6 a port that was given up is not dialled from
1.7 one address many times, and port 0 twice is two ports
1.8 the address has the port that was chosen
1.9 loopback, unspecified, specific
1.10 destinations that cannot be dialled
1.11 the listener at the source that routing prefers
1.12 a loopback listener for loopback
1.13 a wildcard one for the rest
1.14 otherwise none
1.15 in this order
1.16 which failures have a second attempt
1.17 no local address is a plain dial
1.18 what makes the second attempt needed
1.19 deadlines and cancelling
1.20 linger is not set unasked
1.21 linger and keepalive on request
1.22 the same two ends again in TIME-WAIT
1.23 accepted connections have the listener's options
1.24 connections to oneself
2.1 an option that is refused fails all of it, before bind
2.2 what there is to be had is not found out by listening
2.3 streams are listened on, packets are listened for
2.4 addresses of both ends have to fit
2.5 networks, and which address a name is
2.6 two at one address, and a dial from one to another
3.1 names of networks
3.2 hosts and ports
3.3 a name is one address
3.4 a digit is one family
3.5 a wildcard without one is both, if the host has both
3.6 an address is of its own family
3.7 what the host has is tried out
3.8 IPV6_V6ONLY is always set
3.9 IPv4 in IPv6
3.10 what a socket has before bind
3.11 close-on-exec from birth, and never by fcntl()
3.12 the backlog
3.13 SOCK_SEQPACKET is listened on
3.14 one peer of a connected datagram socket
3.15 listening at the address of a group of hosts
3.16 joining one
3.17 who gets what is sent to it
3.18 asking from the port that is listened on
3.19 how a connection is waited for
3.20 connections to oneself are tried again
3.21 many addresses of a host
3.22 no delay, and keepalive
3.23 MPTCP is not TCP
3.24 from a descriptor to what it is
3.25 without any right
3.26 files of UNIX sockets
3.27 descriptors under way
D1 SO_REUSEADDR on UDP lets any user take datagrams
D2 of TCP it does not
D3 a port is shared with the owner of its socket alone
D4 UNIX sockets have no SO_REUSEPORT
D5 one socket of many holders is at the mercy of each
D6 a copy that nobody reads has its share
D7 port 0 of UDP with reuse is not unique
D8 what is bound and does not listen holds the port, and takes nothing
END

# The head of each test's name, once: s1_12, d7.
grep -hE '^(Test|ParameterizedTest)\(' tests/*/*.c |
        sed -nE 's/^.*[(,] *((s[0-9]+_[0-9]+|d[0-9]+)_[A-Za-z0-9_]*)[,)].*/\2/p' | sort -u >"$seeds.found"
: >"$seeds.known"

while read -r number rest; do
        case $number in
        D*) head=d${number#D} ;;
        *) head=s$(echo "$number" | tr . _) ;;
        esac
        if grep -qx "$head" "$seeds.found"; then
                case $rest in
                *\|*) complain "$number has a test now, ${head}_...: its reason for none is out of date" ;;
                esac
        else
                case $rest in
                *'| '?*) echo "$number has no test: ${rest#*| }" ;;
                *) complain "$number has no test whose name begins with ${head}_, and no reason: $rest" ;;
                esac
        fi
        echo "$head" >>"$seeds.known"
done <"$seeds"
for head in $(grep -vxF -f "$seeds.known" "$seeds.found"); do
        complain "${head}_... is the name of a test, and there is no such number"
done
exit $status
