/* SPDX-License-Identifier: BSD-2-Clause */

// net-go says what Go's net makes of an address to listen on. Each line of its input is a network, a tab and
// an address; each line of its output is "error TEXT", or the family of the socket ("4", "6", "6 dual", "unix"),
// of raw IP with its protocol ("4:1"), and the address that it would be bound to. Nothing is bound, and no name server is asked.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// What ends a call when all is known.
var errSeen = errors.New("seen")

type socket struct {
	network, address string
	dual, raw, ipv6  bool
	protocol         int
}

func (s *socket) control(network, address string, c syscall.RawConn) error {
	s.network, s.address = network, address
	c.Control(func(fd uintptr) {
		only, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY)
		s.dual = err == nil && only == 0
		kind, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TYPE)
		s.raw = err == nil && kind == syscall.SOCK_RAW
		s.protocol, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PROTOCOL)
		domain, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_DOMAIN)
		s.ipv6 = err == nil && domain == syscall.AF_INET6
	})
	return errSeen
}

func (s *socket) family() string {
	switch {
	case s.raw && s.ipv6:
		return fmt.Sprintf("6:%d", s.protocol)
	case s.raw:
		return fmt.Sprintf("4:%d", s.protocol)
	case strings.HasPrefix(s.network, "unix"):
		return "unix"
	case strings.HasSuffix(s.network, "4"):
		return "4"
	case s.dual:
		return "6 dual"
	}
	return "6"
}

func judge(network, address string) string {
	var s socket
	config := net.ListenConfig{Control: s.control}
	var err error

	if strings.HasPrefix(network, "udp") || strings.HasPrefix(network, "ip") || network == "unixgram" {
		_, err = config.ListenPacket(context.Background(), network, address)
	} else {
		_, err = config.Listen(context.Background(), network, address)
	}
	if !errors.Is(err, errSeen) {
		return fmt.Sprintf("error %v", err)
	}
	return s.family() + " " + s.address
}

func main() {
	net.DefaultResolver = &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("nobody is asked")
		},
	}
	in := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		network, address, _ := strings.Cut(in.Text(), "\t")
		fmt.Fprintln(out, strings.ReplaceAll(judge(network, address), "\n", " "))
	}
}
