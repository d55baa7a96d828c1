/* SPDX-License-Identifier: BSD-2-Clause */

// varlink-go calls a running broker by the Varlink library of another project, in another language: what
// the broker speaks is Varlink, and not only what its own library takes for that.
//
//	varlink-go SOCKET ENDPOINT    ENDPOINT is held by somebody meanwhile
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/varlink/go/varlink"
)

func fail(format string, arguments ...interface{}) {
	fmt.Fprintf(os.Stderr, "varlink-go: "+format+"\n", arguments...)
	os.Exit(1)
}

type lease struct {
	Lease  string
	Holder struct{ Pid, Uid int }
}

type member struct {
	State  string
	Leases []lease
}

type endpoint struct {
	Endpoint, Network, Address, Sharing string
	Name                                *string
	Members                             []member
}

type listReply struct {
	Endpoints []endpoint
}

type statusReply struct {
	Version                        string
	StartedUsec                    int64
	Connections, Endpoints, Leases int
	Capabilities, Warnings         []string
}

func checkInfo(ctx context.Context, c *varlink.Connection) {
	var vendor, product, version, url string
	var interfaces []string

	if err := c.GetInfo(ctx, &vendor, &product, &version, &url, &interfaces); err != nil {
		fail("GetInfo: %v", err)
	}
	fmt.Printf("info %s %s\n", product, strings.Join(interfaces, " "))
	for _, name := range interfaces {
		text, err := c.GetInterfaceDescription(ctx, name)
		if err != nil {
			fail("GetInterfaceDescription %s: %v", name, err)
		}
		if !strings.Contains(text, "\ninterface "+name+"\n") {
			fail("the description of %s is of another interface", name)
		}
		fmt.Printf("described %s\n", name)
	}
}

func checkList(ctx context.Context, c *varlink.Connection, name string) {
	var reply listReply

	err := c.Call(ctx, "io.reuseportd.List", map[string]string{"endpoint": name}, &reply)
	if err != nil {
		fail("List: %v", err)
	}
	if len(reply.Endpoints) != 1 {
		fail("List: %d endpoints", len(reply.Endpoints))
	}
	e := reply.Endpoints[0]
	if e.Name == nil || len(e.Members) != 1 || len(e.Members[0].Leases) != 1 {
		fail("List: %+v", e)
	}
	fmt.Printf("endpoint %s %s %s %s uid %d\n", *e.Name, e.Network, e.Sharing, e.Members[0].State,
		e.Members[0].Leases[0].Holder.Uid)
}

func checkStatus(ctx context.Context, c *varlink.Connection) {
	var reply statusReply

	if err := c.Call(ctx, "io.reuseportd.GetStatus", nil, &reply); err != nil {
		fail("GetStatus: %v", err)
	}
	if reply.Version == "" || reply.StartedUsec == 0 || len(reply.Capabilities) == 0 {
		fail("GetStatus: %+v", reply)
	}
	fmt.Printf("status connections %d endpoints %d leases %d\n", reply.Connections, reply.Endpoints, reply.Leases)
}

// Errors of Varlink itself become types of the library, those of the interface keep their parameters.
func checkErrors(ctx context.Context, c *varlink.Connection) {
	var noMethod *varlink.MethodNotFound
	var noInterface *varlink.InterfaceNotFound
	var badParameter *varlink.InvalidParameter
	var other *varlink.Error

	err := c.Call(ctx, "io.reuseportd.Nothing", nil, nil)
	if !errors.As(err, &noMethod) {
		fail("an unknown method: %v", err)
	}
	fmt.Printf("no method %s\n", noMethod.Method)

	err = c.Call(ctx, "com.example.Nothing", nil, nil)
	if !errors.As(err, &noInterface) {
		fail("an unknown interface: %v", err)
	}
	fmt.Printf("no interface %s\n", noInterface.Interface)

	err = c.Call(ctx, "io.reuseportd.List", map[string]int{"color": 1}, nil)
	if !errors.As(err, &badParameter) {
		fail("an unknown parameter: %v", err)
	}
	fmt.Printf("no parameter %s\n", badParameter.Parameter)

	err = c.Call(ctx, "io.reuseportd.List", map[string]string{"endpoint": "none"}, nil)
	if !errors.As(err, &other) {
		fail("an unknown endpoint: %v", err)
	}
	raw, ok := other.Parameters.(*json.RawMessage)
	if !ok {
		fail("an unknown endpoint: no parameters")
	}
	fmt.Printf("%s %s\n", other.Name, *raw)
}

func main() {
	if len(os.Args) != 3 {
		fail("usage: varlink-go SOCKET ENDPOINT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c, err := varlink.NewConnection(ctx, "unix:"+os.Args[1])
	if err != nil {
		fail("%v", err)
	}
	defer c.Close()
	checkInfo(ctx, c)
	checkList(ctx, c, os.Args[2])
	checkStatus(ctx, c)
	checkErrors(ctx, c)
}
