/* SPDX-License-Identifier: BSD-2-Clause */

// net-go says what Go's net makes of an address to listen on. Each line of its input is a network, a tab and
// an address; each line of its output is "error TEXT", "unix ADDRESS", or, as the kernel says it of the socket
// once it is bound, "4", "6" or "46" (IPv6 without IPV6_V6ONLY), of raw IP with the protocol behind a colon, its IP
// address, the index of its zone, and the port that was asked for.
//
// Sockets are bound in earnest, as it is bind() that judges zones and has the last word on IPV6_V6ONLY: to any
// address, had by this host or not, to a port of the kernel's, and, but for what belongs to a link, to the
// loopback device. Files are not made, and no name server is asked.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
)

// What ends a call when all is known.
var errSeen = errors.New("seen")

// The address that Go would bind to, as it writes it.
func ask(network, address string) (seen string, err error) {
	config := net.ListenConfig{Control: func(_, address string, _ syscall.RawConn) error {
		seen = address
		return errSeen
	}}
	_, err = listen(&config, network, address)
	if errors.Is(err, errSeen) {
		err = nil
	}
	return
}

func listen(config *net.ListenConfig, network, address string) (syscall.Conn, error) {
	if strings.HasPrefix(network, "udp") || strings.HasPrefix(network, "ip") || network == "unixgram" {
		made, err := config.ListenPacket(context.Background(), network, address)
		if err != nil {
			return nil, err
		}
		return made.(syscall.Conn), nil
	}
	made, err := config.Listen(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return made.(syscall.Conn), nil
}

// "[fe80::1%lo]:80", "0.0.0.0:80", ":80", and of raw IP without the port.
func isOfLink(seen string) bool {
	host, _, err := net.SplitHostPort(seen)
	if err != nil {
		host = seen
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Is6() && !ip.Is4In6() &&
		(ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsInterfaceLocalMulticast())
}

func freeBind(fd int) error {
	const ipv6FreeBind = 78 // which this Go has no name for

	domain, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_DOMAIN)
	if err == nil && domain == syscall.AF_INET6 {
		return syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, ipv6FreeBind, 1)
	}
	return syscall.SetsockoptInt(fd, syscall.SOL_IP, syscall.IP_FREEBIND, 1)
}

func confine(ofLink bool) func(string, string, syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) {
			err = freeBind(int(fd))
			if err == nil && !ofLink {
				err = syscall.BindToDevice(int(fd), "lo")
			}
		})
		return
	}
}

func describe(fd int) (kind string, ip netip.Addr, zone uint32) {
	name, _ := syscall.Getsockname(fd)
	switch name := name.(type) {
	case *syscall.SockaddrInet4:
		kind, ip = "4", netip.AddrFrom4(name.Addr)
	case *syscall.SockaddrInet6:
		kind, ip, zone = "6", netip.AddrFrom16(name.Addr), name.ZoneId
	}
	of, _ := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
	only, _ := syscall.GetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY)
	if of == syscall.SOCK_RAW {
		protocol, _ := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_PROTOCOL)
		kind = fmt.Sprintf("%s:%d", kind, protocol)
	} else if kind == "6" && only == 0 {
		kind = "46"
	}
	return
}

func judge(network, address string) string {
	seen, err := ask(network, address)
	if err != nil {
		return fmt.Sprintf("error %v", err)
	}
	if strings.HasPrefix(network, "unix") {
		return "unix " + seen
	}

	port := "0"
	if !strings.HasPrefix(network, "ip") {
		port = seen[strings.LastIndexByte(seen, ':')+1:]
		address = address[:strings.LastIndexByte(address, ':')+1]
	}
	config := net.ListenConfig{Control: confine(isOfLink(seen))}
	made, err := listen(&config, network, address)
	if err != nil {
		return fmt.Sprintf("error %v", err)
	}
	raw, err := made.SyscallConn()
	if err != nil {
		return fmt.Sprintf("error %v", err)
	}
	var kind string
	var ip netip.Addr
	var zone uint32
	raw.Control(func(fd uintptr) { kind, ip, zone = describe(int(fd)) })
	made.(interface{ Close() error }).Close()
	return fmt.Sprintf("%s %s %d %s", kind, ip, zone, port)
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
