#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""load.py HOST:PORT REQUESTS: sends HTTP requests, each on a connection of its own, and counts who answered."""

import collections
import http.client
import sys
import threading
import time

CLIENTS = 8


def client(host, requests, served, lost):
    for _ in range(requests):
        connection = http.client.HTTPConnection(host, timeout=10)
        try:
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read()
            served.append(response.getheader("Server").strip())
        except OSError as error:
            lost.append(repr(error))
        finally:
            connection.close()


def main():
    host, requests = sys.argv[1], int(sys.argv[2])
    served, lost = [], []
    threads = [threading.Thread(target=client, args=(host, requests // CLIENTS, served, lost)) for _ in range(CLIENTS)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begin

    print(f"{len(served)} answered, {len(lost)} lost, in {seconds:.1f} s")
    for server, n in sorted(collections.Counter(served).items()):
        language, pid, user = server.split("/")
        share = n / len(served)
        print(f"  {language:<7} pid {pid:<8} {user:<10} {n:5} {share:6.1%}  {'#' * round(40 * share)}")
    for error, n in collections.Counter(lost).items():
        print(f"  lost: {n} x {error}")
    sys.exit(1 if lost else 0)


main()
