#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""load.py HOST PORT: connects and asks, once at least and until its input ends; says how many were answered by
how many processes, and what became of the others."""

import collections
import http.client
import sys
import threading

CLIENTS = 4
ended = threading.Event()
answered, lost = collections.Counter(), collections.Counter()


def client():
    while True:
        connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=20)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read()
            answered[response.getheader("Server")] += 1
        except (OSError, http.client.HTTPException) as error:
            lost[repr(error)] += 1
        finally:
            connection.close()
        if ended.is_set():
            return


threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
for thread in threads:
    thread.start()
sys.stdin.read()
ended.set()
for thread in threads:
    thread.join()
print(f"{answered.total()} answered by {len(answered)} processes, {lost.total()} lost")
for error, n in lost.items():
    print(f"lost: {n} x {error}")
sys.exit(1 if lost or not answered else 0)
