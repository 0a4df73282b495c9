#!/usr/bin/env python3
"""Load generator for connections that stay: WebSocket messages, event streams, and connections that only wait.

usage: realtime_load.py websocket|sse|hold-websocket|hold-sse HOST PORT PATH CONNECTIONS SECONDS

It opens all connections and says READY. A line on standard input starts the load; the summary is a line like that of
load.lua. The connections stay open until standard input ends, so that neither their beginning nor their end is measured.
"""

import json
import select
import socket
import struct
import sys
import time

# 64 bytes; the server sends them back in one frame of two bytes more.
MESSAGE = b"0123456789abcdef" * 4
MASK = b"\x12\x34\x56\x78"
ASKED = bytes([0x81, 0x80 | len(MESSAGE)]) + MASK + bytes(byte ^ MASK[i % 4] for i, byte in enumerate(MESSAGE))
ECHOED = bytes([0x81, len(MESSAGE)]) + MESSAGE
STAMP = b"data: "
PATIENCE = 30

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
STREAM = "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n\r\n"


def connect(kind, host, port, path):
    """An open connection, and the status of the answer."""
    connection = socket.create_connection((host, port), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = HANDSHAKE if kind == "websocket" else STREAM
    connection.sendall(request.format(host=host, port=port, path=path).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            raise OSError(f"the server closed the connection after {head!r}")
        head += piece
    return connection, int(head.split(b" ", 2)[1])


def open_all(kind, host, port, path, number):
    connections, wrong = [], 0
    for _ in range(number):
        connection, status = connect(kind, host, port, path)
        wrong += status != (101 if kind == "websocket" else 200)
        connections.append(connection)
    return connections, wrong


class Count:
    def __init__(self):
        self.units = self.bytes = self.errors = self.wrong = 0
        self.latencies = []
        self.began = time.perf_counter()

    def summary(self, examined):
        latencies = sorted(self.latencies) or [0]
        return {
            "requests": self.units,
            "microseconds": round((time.perf_counter() - self.began) * 1e6),
            "bytes": self.bytes,
            "connect": 0, "read": self.errors, "write": 0, "timeout": 0, "status": 0,
            "examined": examined,
            "wrong": self.wrong,
            "p50": round(latencies[len(latencies) // 2] * 1e6, 1),
            "p99": round(latencies[len(latencies) * 99 // 100] * 1e6, 1),
        }


def watched(connections):
    poll = select.epoll()
    for connection in connections:
        connection.setblocking(False)
        poll.register(connection.fileno(), select.EPOLLIN)
    return poll, {connection.fileno(): connection for connection in connections}


def echo(connections, seconds):
    """Each connection sends its message again as soon as the echo is there."""
    count = Count()
    poll, by_number = watched(connections)
    sent, partial = {}, {}
    clock = time.perf_counter
    for number, connection in by_number.items():
        sent[number] = clock()
        connection.send(ASKED)
    deadline = clock() + seconds
    while by_number and clock() < deadline:
        for number, _ in poll.poll(0.1):
            connection = by_number[number]
            try:
                got = connection.recv(65536)
            except OSError:
                got = b""
            if not got:
                count.errors += 1
                del by_number[number]
                connection.close()
                continue
            if got != ECHOED:
                got = partial.pop(number, b"") + got
                if len(got) < len(ECHOED) and ECHOED.startswith(got):
                    partial[number] = got
                    continue
                count.wrong += got != ECHOED
            now = clock()
            count.units += 1
            count.bytes += len(got)
            count.latencies.append(now - sent[number])
            sent[number] = now
            connection.send(ASKED)
    return count


def pieces(connections, seconds, count):
    """What comes within that time: pairs of a descriptor and bytes. Connections that end are errors."""
    poll, by_number = watched(connections)
    deadline = time.perf_counter() + seconds
    while by_number and time.perf_counter() < deadline:
        for number, _ in poll.poll(0.1):
            try:
                got = by_number[number].recv(65536)
            except OSError:
                got = b""
            if got:
                yield number, got
            else:
                count.errors += 1
                by_number.pop(number).close()


def listen(connections, seconds):
    """Counts events. Each carries the time when it was made, in seconds since 1970."""
    count = Count()
    heard = {connection.fileno(): 0 for connection in connections}
    last = dict.fromkeys(heard, b"")
    for number, got in pieces(connections, seconds, count):
        now = time.time()
        events = (last[number] + got).count(b"\n\n")
        last[number] = got[-1:] if got[-1:] == b"\n" and got[-2:] != b"\n\n" else b""
        heard[number] += events
        count.units += events
        count.bytes += len(got)
        stamp = got.rfind(STAMP)
        if stamp >= 0:
            try:
                made = float(got[stamp + len(STAMP) :].split(b"\n", 1)[0])
            except ValueError:
                continue  # cut by the end of the piece
            count.latencies.append(max(now - made, 1e-7))
    # A stream that is silent is no stream.
    count.wrong = sum(1 for events in heard.values() if not events)
    return count


def hold(connections, seconds):
    """Reads whatever comes, keepalives for instance, and counts the pieces as units."""
    count = Count()
    for _, got in pieces(connections, seconds, count):
        count.units += 1
        count.bytes += len(got)
    return count


def greet(connections):
    """One message each way: a WebSocket that was never used is not what waits in real life."""
    wrong = 0
    for connection in connections:
        connection.sendall(ASKED)
        got = b""
        while len(got) < len(ECHOED):
            piece = connection.recv(4096)
            if not piece:
                raise OSError("the server closed a connection that was greeted")
            got += piece
        wrong += got != ECHOED
    return wrong


def main():
    mode, host, port, path, number, seconds = sys.argv[1:]
    kind = mode.removeprefix("hold-")
    try:
        connections, wrong = open_all(kind, host, int(port), path, int(number))
        if mode == "hold-websocket":
            wrong += greet(connections)
    except OSError as error:
        sys.exit(f"the connections cannot be opened: {error}")
    print("READY", flush=True)
    if not sys.stdin.readline():
        return
    work = {"websocket": echo, "sse": listen}.get(mode, hold)
    count = work(connections, float(seconds))
    count.wrong += wrong
    print("BENCH " + json.dumps(count.summary(examined=count.units + len(connections))), flush=True)
    # Ends with whoever started this.
    sys.stdin.read()
    for connection in connections:
        # A reset leaves no TIME_WAIT behind, of which there would soon be more than there are ports.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


if __name__ == "__main__":
    main()
