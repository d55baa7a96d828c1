#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""hello.py: a web server that takes its socket as systemd hands it, so `reusectl run` can start it.

    reusectl run -l tcp:127.0.0.1:8080,name=web -- ./hello.py

SIGTERM ends it after the request that it is serving.
"""

import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

SD_LISTEN_FDS_START = 3


class Hello(BaseHTTPRequestHandler):
    server_version = f"Python/{os.getpid()}/uid-{os.getuid()}"
    sys_version = ""

    def do_GET(self):
        body = f"hello from Python, uid {os.getuid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def notify_ready():
    """What a service of Type=notify says."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.sendto(b"READY=1", path.replace("@", "\0", 1) if path.startswith("@") else path)


def main():
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise SystemExit("hello.py: start it with: reusectl run -l tcp:127.0.0.1:8080 -- ./hello.py")
    server = HTTPServer(("", 0), Hello, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=SD_LISTEN_FDS_START)
    server.server_address = server.socket.getsockname()
    # shutdown() waits for serve_forever(), which is what the signal interrupts.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    notify_ready()
    server.serve_forever()


main()
