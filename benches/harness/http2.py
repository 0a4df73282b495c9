"""HTTP/2: one request asked by curl, and traffic made by h2load."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from typing import Callable

from .cores import pin
from .load import InOneGo, Traffic
from .trouble import Trouble, WrongAnswer

PATIENCE = 30  # seconds

SHORTEST = 2.0  # seconds of load

# The ways to speak HTTP, as contenders name those they can.
HTTP1 = "http1"
H2C = "h2c"  # HTTP/2 on cleartext connections, by prior knowledge
H2 = "h2"  # HTTP/2 over TLS


@dataclass(frozen=True)
class Http2Exchange:
    """A GET over HTTP/2, `streams` of them at a time on each connection."""

    protocol: str
    streams: int
    path: str = "/"
    status: int = 200
    flaw: Callable[[bytes], str] = field(default=lambda body: "")

    def url(self, host, port):
        return f"{'https' if self.protocol == H2 else 'http'}://{host}:{port}{self.path}"

    def verify(self, host, port, who):
        """Asks once; returns the length of the body in bytes, or raises WrongAnswer."""
        how = ["--http2", "--insecure"] if self.protocol == H2 else ["--http2-prior-knowledge"]
        answer = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", str(PATIENCE), "--noproxy", "*", *how,
             "--write-out", '%{stderr}{"status":%{http_code},"version":"%{http_version}"}', self.url(host, port)],
            capture_output=True, check=False,
        )
        if answer.returncode != 0:
            said = answer.stderr.decode("utf-8", "replace").strip()
            raise WrongAnswer(f"{who} gave no complete answer to GET {self.path}: {said}")
        told = json.loads(answer.stderr.decode("ascii", "replace"))
        if told != {"status": self.status, "version": "2"}:
            raise WrongAnswer(f"{who} answered GET {self.path} with {told}, expected {self.status} over HTTP/2")
        flaw = self.flaw(answer.stdout)
        if flaw:
            raise WrongAnswer(f"{who} answered GET {self.path} wrongly: {flaw}")
        return len(answer.stdout)

    def load(self, core):
        return H2Load(self, core)


@dataclass(frozen=True)
class H2Load(InOneGo):
    """Traffic of one exchange. `examine` changes nothing: h2load looks at every status, and at no body."""

    exchange: Http2Exchange
    core: int

    def run(self, host, port, seconds, connections, examine=None):
        if not shutil.which("h2load"):
            raise Trouble("h2load is needed to make load and is not installed (Debian package nghttp2-client)")
        # Its time begins before the handshakes, which alone may take a tenth of a second on a busy machine.
        seconds = max(seconds, SHORTEST)
        with tempfile.TemporaryDirectory(prefix="pagi-bench-") as directory:
            log = os.path.join(directory, "log")
            output = subprocess.run(
                ["h2load", "--threads", "1", "--clients", str(connections),
                 "--max-concurrent-streams", str(self.exchange.streams),
                 "--duration", f"{int(seconds * 1000)}ms", "--log-file", log, self.exchange.url(host, port)],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                preexec_fn=pin(self.core), timeout=seconds + 60, check=False,
            )
            if output.returncode != 0:
                raise Trouble(f"h2load ended with status {output.returncode}:\n{output.stdout.strip()}")
            return parse(output.stdout, latencies(log), seconds)


def latencies(path):
    """Microseconds from the request to the end of its answer, of each answer that h2load has logged."""
    found = []
    try:
        with open(path, encoding="ascii", errors="replace") as log:
            for line in log:
                columns = line.split()
                if len(columns) >= 3 and columns[1] != "-1":
                    found.append(int(columns[2]))
    except FileNotFoundError:
        pass
    return sorted(found)


def parse(output, found, seconds):
    """What h2load has counted. Requests on their way when the time is over count as nothing."""
    requests = re.search(r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output, re.M)
    statuses = re.search(r"^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output, re.M)
    data = re.search(r"^traffic: .* \((\d+)\) data", output, re.M)
    if not (requests and statuses and data):
        raise Trouble(f"h2load printed no summary that can be read:\n{output.strip()}")
    succeeded, failed, errored, timeout = map(int, requests.groups())
    _, _, *bad = map(int, statuses.groups())
    # Those under way at the end are counted as errors; each was a stream of its own and nobody waits for it.
    answered = succeeded + sum(bad)
    return Traffic(
        requests=answered,
        seconds=seconds,
        bytes=int(data.group(1)),
        read_errors=0,
        socket_errors=timeout + max(0, failed - errored - sum(bad)),
        status_errors=sum(bad),
        examined=answered,
        wrong=0,
        p50=found[len(found) // 2] if found else 0,
        p99=found[len(found) * 99 // 100] if found else 0,
    )
