"""One client in a process of its own: `python -m bench.probe PORT SECONDS` times GET /healthz.

Whoever makes the load is late by itself; that is not the service's.
"""

import json
import socket
import sys
import time

EVERY_SECONDS = 0.05
ASKED = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def ask(port: int) -> tuple[float, bool]:
    """Make a request on a connection of its own; return its seconds, and whether it went well."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(ASKED)
        answer = b""
        while piece := client.recv(65_536):
            answer += piece
    return time.perf_counter() - began, answer.startswith(b"HTTP/1.1 200 ")


def main(port: int, seconds: float) -> None:
    """Print the times of all requests, and how many went badly."""
    until, times, bad = time.monotonic() + seconds, [], 0
    while time.monotonic() < until:
        spent, is_good = ask(port)
        times.append(spent)
        bad += not is_good
        time.sleep(EVERY_SECONDS)
    json.dump({"times": times, "bad": bad}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
