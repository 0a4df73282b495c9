"""Exchanges of connections that stay: WebSocket messages and event streams."""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass

from . import realtime_load
from .cores import pin
from .load import Traffic
from .trouble import Trouble, WrongAnswer

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "realtime_load.py")
PATIENCE = 120  # seconds; ten thousand connections take a while


@dataclass(frozen=True)
class Realtime:
    """What every connection does: `websocket` or `sse`."""

    kind: str
    path: str = "/"
    status: int = 200  # no answer counts as an error answer

    def verify(self, host, port, who):
        """Opens one connection and looks at what comes; returns the bytes of one unit, or raises WrongAnswer."""
        try:
            connection, status = realtime_load.connect(self.kind, host, port, self.path)
        except OSError as error:
            raise WrongAnswer(f"{who} gives no answer to a {self.kind} request: {error}") from error
        with connection:
            if status != (101 if self.kind == "websocket" else 200):
                raise WrongAnswer(f"{who} answered a {self.kind} request with status {status}")
            return self._echo(connection, who) if self.kind == "websocket" else self._event(connection, who)

    def load(self, core):
        return RealtimeLoad(self.kind, self.path, core)

    def holding(self, core):
        """Load that opens connections and does nothing with them."""
        return RealtimeLoad(f"hold-{self.kind}", self.path, core)

    def _echo(self, connection, who):
        connection.sendall(realtime_load.ASKED)
        expected = realtime_load.ECHOED
        got = _receive(connection, lambda got: len(got) >= len(expected), who)
        if got != expected:
            raise WrongAnswer(f"{who} sent {got!r} back, not {expected!r}")
        return len(expected)

    def _event(self, connection, who):
        got = _receive(connection, lambda got: b"\n\n" in got, who)
        if b"data: " not in got and b":" not in got:
            raise WrongAnswer(f"{who} sent {got!r}, which is no event")
        return got.index(b"\n\n") + 2


def _receive(connection, done, who):
    got = b""
    while not done(got):
        try:
            piece = connection.recv(4096)
        except socket.timeout as error:
            raise WrongAnswer(f"{who} sends nothing more after {got!r}") from error
        if not piece:
            raise WrongAnswer(f"{who} closed the connection after {got!r}")
        got += piece
    return got


class RealtimeLoad:
    def __init__(self, mode, path, core):
        self.mode, self.path, self.core = mode, path, core

    def prepare(self, host, port, seconds, connections, examine=None):
        """Opens the connections. What is returned runs the load once, and closes them in a `with` statement."""
        command = [
            sys.executable, "-B", PROGRAM, self.mode, host, str(port), self.path, str(connections), str(seconds),
        ]
        return Prepared(command, self.core, seconds)

    def run(self, host, port, seconds, connections, examine=None):
        with self.prepare(host, port, seconds, connections) as prepared:
            return prepared.run()


class Prepared:
    def __init__(self, command, core, seconds):
        self.seconds = seconds
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=pin(core),
        )
        if self.process.stdout.readline() != "READY\n":
            said = self.process.stderr.read()
            self.__exit__()
            raise Trouble(f"no load: {said.strip()}")

    def run(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return Traffic.parse(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
