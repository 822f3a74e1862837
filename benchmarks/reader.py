"""A process that reads one key again and again until its input ends, and prints how long each took, in ms."""

from __future__ import annotations

import select
import socket
import sys
import time

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    latencies = []
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        began = time.perf_counter()
        connection.sendall(b"*2\r\n$3\r\nGET\r\n$4\r\nnone\r\n")
        connection.recv(4096)
        latencies.append((time.perf_counter() - began) * 1e3)
print("\n".join(f"{latency:.4f}" for latency in latencies))
