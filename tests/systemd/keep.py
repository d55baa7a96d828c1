#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""keep.py WHAT [N]: in the place of the broker, changes what the service manager keeps for the next one, says that
it is ready, and waits to be stopped.

cut N: the state ends after N bytes.  half: in the middle.  version N: it is of that version.
other: what is called so is a memfd that can shrink.  foreign: there is more, of somebody else's."""

import fcntl
import os
import signal
import socket
import sys

STATE = "..state"
VERSION_AT = 16
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = os.environ["NOTIFY_SOCKET"]
manager.connect("\0" + path[1:] if path[0] == "@" else path)


def tell(text, *fds):
    socket.send_fds(manager, [text.encode()], fds)


def store(name, fd):
    tell(f"FDSTORE=1\nFDPOLL=0\nFDNAME={name}", fd)


def memory(data, seals):
    fd = os.memfd_create("keep", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def replace_state(data, seals=fcntl.F_SEAL_SHRINK):
    tell(f"FDSTOREREMOVE=1\nFDNAME={STATE}")
    store(STATE, memory(data, seals))


def listener():
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made.detach()


names = os.environ.get("LISTEN_FDNAMES", "").split(":")
state = 3 + names.index(STATE)
whole = os.pread(state, os.fstat(state).st_size, 0)
match sys.argv[1:]:
    case ["cut", n]:
        replace_state(whole[: int(n)])
    case ["half"]:
        # Of what is written: behind that are zeros. Between two records nothing would be missed.
        replace_state(whole[: len(whole.rstrip(b"\0")) // 2 // 64 * 64 + 40])
    case ["version", n]:
        replace_state(whole[:VERSION_AT] + int(n).to_bytes(4, sys.byteorder) + whole[VERSION_AT + 4 :])
    case ["other"]:
        replace_state(whole, 0)
    case ["foreign"]:
        store(".zzz", listener())
        store(".1", os.pipe()[1])
        # With the names of what the broker keeps.
        for name in [n for n in names if n.startswith(".")]:
            store(name, memory(b"", 0))
        store("..map.zzz", memory(b"", 0))
        store("..counts.zzz", memory(b"", 0))
        # Of those that were kept for a program with names of its own.
        store("web", os.pipe()[1])
        store("stored", memory(b"", 0))

done, ours = os.pipe()
tell("BARRIER=1", ours)
os.close(ours)
os.read(done, 1)
tell("READY=1")
signal.pause()
