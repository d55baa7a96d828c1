#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# ported.sh: each test of the programs that this is built after has one here of its name in snake case, or of another
# name, after "=", or a reason, after "|", why it has none.
set -eu
cd "$(dirname "$0")/.."
. tests/complain.sh

found=$(mktemp)
trap 'rm -f "$found"' EXIT

# The second word of each test, or the third.
grep -hoE '^(Test|ParameterizedTest)\([^)]*' tests/*/*.c |
        sed -E 's/.*[(,] *([a-z0-9_]+) *$/\1/; s/.*, ([a-z0-9_]+),.*/\1/' | sort -u >"$found"

while read -r name how rest; do
        case $how in
        '') [ -z "$name" ] || grep -qx "$name" "$found" || complain "there is no test $name" ;;
        =) grep -qx "$rest" "$found" || complain "there is no test $rest, which $name is called here" ;;
        '|')
                ! grep -qx "$name" "$found" || complain "$name is a test: its reason for being none is out of date"
                [ -n "$rest" ] || complain "$name is no test, and has no reason"
                ;;
        *) [ "$name" = '#' ] || complain "$name $how $rest: neither = nor |" ;;
        esac
done <<'END'
# go-libp2p, p2p/net/reuseport
test_none_and_single
test_two_local
test_global_preference_v4
test_global_preference_v6
test_loopback_preference
test_v6_v4
test_global_to_global
test_duplicate_global
test_reuse_error = s1_16_which_failures_are_worth_another_attempt

# go-libp2p, p2p/transport/tcp, whose bodies are of its own layers
test_tcp_transport | streams, peers and their upgrade are above sockets
test_tcp_transport_with_metrics | counts what goes through connections, which a broker never sees
test_resource_manager | its limits are of connections; those of sockets are test-limits.c
test_tcp_transport_cant_dial_dns = s2_4_addresses_invalid
test_tcp_transport_cant_listen_utp = networks_unknown

# go-libp2p, p2p/transport/tcpreuse: what was accepted is sorted by its first bytes
test_listener_single | nobody accepts here but the program itself
test_listener_multiplexed | a group gives connections to members whatever is in them
test_listener_close = test_closing_listener
test_hit_timeout | of a queue of accepted connections, which is not here

# go-reuseport
test_dial_from_listening_port
test_dial_from_listening_port_tcp6
test_listen_packet_wildcard_address
test_error_when_dial_unresolvable

# go-reuseport until 0.1.19
test_stream_listen_same_port
test_packet_listen_same_port
test_dial_self
test_stream_listen_dial_same_port
test_stream_listen_dial_same_port_stress_many_msgs_tcp
test_stream_listen_dial_same_port_stress_many_msgs_tcp4
test_stream_listen_dial_same_port_stress_many_msgs_tcp6
test_stream_listen_dial_same_port_stress_many_nodes_tcp
test_stream_listen_dial_same_port_stress_many_nodes_tcp4
test_stream_listen_dial_same_port_stress_many_nodes_tcp6
test_stream_listen_dial_same_port_stress_many_msgs_many_nodes_tcp
test_stream_listen_dial_same_port_stress_many_msgs_many_nodes_tcp4
test_stream_listen_dial_same_port_stress_many_msgs_many_nodes_tcp6
test_packet_listen_dial_same_port
test_dial_respects_timeout
test_dial_respects_context
test_unix_not_supported
test_open_fds

# Go's net
test_tcp_listener
test_udp_listener
test_dual_stack_tcp_listener
test_dual_stack_udp_listener
test_wild_wildcard_listener
test_ipv4_multicast_listener
test_ipv6_multicast_listener
test_closing_listener
test_listen_config_control
test_dialer_control
test_file_conn
test_file_listener
test_file_packet_conn
test_file_close_race
test_unix_unlink
test_unix_conn_local_and_remote_names
test_unixgram_conn_local_and_remote_names
test_max_ack_backlog
test_dial_cancel
test_cancel_after_dial
test_dialer_local_addr
test_dialer_partial_deadline = s3_21_time_is_divided
test_dial_with_non_zero_deadline
test_dialer_keep_alive
test_prohibitionary_dial_arg
END
exit $status
