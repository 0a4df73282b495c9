"""Traffic: wrk on its own core, and what it counted."""

import json
import math
import os
import shutil
import signal
import subprocess
import time
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace

from .cores import pin
from .trouble import Trouble

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "load.lua")


# What `file` sends.
FILE_SIZE = 100 * 1024


def pattern(length):
    """A request body of that length: hexadecimal digits, over and over."""
    digits = b"0123456789abcdef"
    return (digits * math.ceil(length / len(digits)))[:length]


@dataclass(frozen=True)
class Traffic:
    """What was answered in one run of the load generator."""

    requests: int
    seconds: float
    bytes: int
    read_errors: int  # connections that ended while an answer could have come
    socket_errors: int  # the other kinds: connect, write, timeout
    status_errors: int  # answers above 399
    examined: int  # answers whose status and length were looked at
    wrong: int  # of these
    p50: float  # latency, microseconds
    p99: float

    @classmethod
    def parse(cls, output):
        lines = [line for line in output.splitlines() if line.startswith("BENCH ")]
        if len(lines) != 1:
            raise Trouble(f"wrk printed no summary that can be read:\n{output.strip()}")
        counted = json.loads(lines[0].removeprefix("BENCH "))
        others = ("connect", "write", "timeout")
        return cls(
            requests=counted["requests"],
            seconds=counted["microseconds"] / 1e6,
            bytes=counted["bytes"],
            read_errors=counted["read"],
            socket_errors=sum(counted[name] for name in others),
            status_errors=counted["status"],
            examined=counted["examined"],
            wrong=counted["wrong"],
            p50=counted["p50"],
            p99=counted["p99"],
        )

    def flaws(self, exchange, body_length, silent_close=False):
        """Why this traffic must not be used, as sentences; none if it may.

        With `silent_close`, one unannounced end of connection per answer is fine.
        """
        found = []
        if self.requests <= 0:
            return ["not one request was answered"]
        tolerated = self.requests if silent_close else 0
        if self.socket_errors or self.read_errors > tolerated:
            found.append(
                f"{self.read_errors} connections ended early or unannounced, "
                f"{self.socket_errors} other socket errors"
            )
        expected = self.requests if exchange.status > 399 else 0
        if self.status_errors != expected:
            found.append(
                f"{self.status_errors} of {self.requests} answers had a status above 399, "
                f"expected {expected}"
            )
        if self.wrong:
            found.append(
                f"{self.wrong} of {self.examined} answers examined had another status "
                f"or length than {exchange.status} and {body_length} bytes"
            )
        # Also where nothing was examined, the average length unmasks answers
        # that are short or padded: head and chunk framing together stay far
        # below the allowance.
        average = self.bytes / self.requests
        if exchange.status == 200 and not body_length <= average <= 2 * body_length + 2048:
            found.append(f"{average:.0f} bytes per answer do not fit a body of {body_length}")
        if not 0 < self.p50 <= self.p99:
            found.append(f"latencies p50={self.p50} and p99={self.p99} make no sense")
        return found


class InOneGo:
    """Load of a program that opens its connections in the round."""

    def prepare(self, *arguments):
        """What has run(), in a `with` statement: nothing is prepared."""
        return nullcontext(SimpleNamespace(run=lambda: self.run(*arguments)))


class Load(InOneGo):
    """HTTP/1.1 traffic of one exchange over connections that are kept open."""

    def __init__(self, exchange, core):
        self.exchange = exchange
        self.core = core

    def run(self, host, port, seconds, connections, examine=None):
        """Returns the Traffic. With `examine`, a body length, each answer is looked at.

        That slows the load generator down, so it is for warming up and for
        checks; a measured round leaves it out.
        """
        if not shutil.which("wrk"):
            raise Trouble("wrk is needed to make load and is not installed (Debian package wrk)")
        command = [
            "wrk", "--threads", "1", "--connections", str(connections),
            "--duration", f"{math.ceil(seconds)}s", "--timeout", "10s", "--latency",
            "--script", SCRIPT, f"http://{host}:{port}{self.exchange.path}",
            "--", self.exchange.method, self.exchange.body.decode("ascii"), self.exchange.content_type,
        ]
        if examine is not None:
            command.append(str(self.exchange.status))
            # The text of an error answer is the server's own affair (SRV-6).
            command += [str(examine)] if self.exchange.status == 200 else []
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            preexec_fn=pin(self.core),
        )
        try:
            if seconds != math.ceil(seconds):
                _interrupt(process, seconds)
            output, _ = process.communicate(timeout=seconds + 60)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode != 0:
            raise Trouble(f"wrk ended with status {process.returncode}:\n{output.strip()}")
        return Traffic.parse(output)


def _interrupt(process, seconds):
    """Ends wrk after a fraction of a second: its own --duration knows whole seconds only."""
    deadline = time.monotonic() + 10
    while not _catches_sigint(process.pid) and process.poll() is None:
        if time.monotonic() > deadline:
            raise Trouble("wrk did not start within 10 s")
        time.sleep(0.005)
    time.sleep(seconds)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)


def _catches_sigint(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1)
    return False
