"""Whether memory stays flat over very many requests, on each way through the server."""

import math
from dataclasses import dataclass

from . import sample
from .answer import Exchange
from .http2 import HTTP1
from .server import Server
from .table import Table, number
from .trouble import Trouble

FIRST = 0.2  # seconds of load, to learn how fast the server is
LONGEST = 60  # seconds of load between two looks at the server


@dataclass(frozen=True)
class Soak:
    name: str
    summary: str
    application: str
    exchanges: tuple  # of (label, Exchange)

    def takes(self, contender):
        return HTTP1 in contender.speaks

    def applications(self):
        return [self.application]

    def run(self, contenders, settings, say):
        parts, complete = [], True
        for contender in contenders:
            for label, exchange in self.exchanges:
                # A new server for each path: growth on one must not hide in
                # the memory that another has already taken.
                with Server(contender, self.application, 1, settings.cores.server) as server:
                    text, clean = self._path(server, label, exchange, settings, say)
                parts.append(text)
                complete = complete and clean
        return "\n\n".join(parts), complete

    def _path(self, server, label, exchange, settings, say):
        length = exchange.verify(server.host, server.port, server.name)
        load = exchange.load(settings.cores.load)
        stream = _Requests(server, load, exchange, length, settings)
        sample.warm_up(server, exchange, settings)
        table = Table("stage", "requests so far", "RSS KiB before", "RSS KiB after", "bytes/request")
        stage_size = settings.soak_requests / settings.soak_stages
        total, looks = 0, [(0, server.tree.memory().rss)]
        for stage in range(1, settings.soak_stages + 1):
            answered = stream.answer(stage_size)
            total += answered
            before, after = looks[-1][1], server.tree.memory().rss
            looks.append((total, after))
            table.add(
                f"{100 * stage // settings.soak_stages}%", total, before, after,
                number((after - before) * 1024 / answered),
            )
            say(f"{self.name}: {server.name} {label}, {total} requests")
        exchange.verify(server.host, server.port, server.name)
        lines = [
            f"**{server.name}, {label}** ({exchange.path})",
            table.markdown(),
            f"Growth per request: {number(_growth(looks))} bytes over all, "
            f"{number(_growth(looks[len(looks) // 2 :]))} bytes in the second half.",
        ]
        if stream.flaws:
            lines.append("\n".join(f"- Not clean: {flaw}." for flaw in stream.flaws))
        return "\n\n".join(lines), not stream.flaws


class _Requests:
    """Makes about as many requests as asked, with a load generator that is told seconds."""

    def __init__(self, server, load, exchange, length, settings):
        self.server = server
        self.load = load
        self.exchange = exchange
        self.length = length
        self.settings = settings
        self.rate = None
        self.flaws = []

    def answer(self, wanted):
        """Makes at least `wanted` requests; returns how many it were."""
        answered = 0
        while answered < wanted:
            answered += self._burst(wanted - answered)
        return answered

    def _burst(self, wanted):
        seconds = FIRST if self.rate is None else wanted / self.rate
        seconds = 0.2 if seconds < 0.2 else min(math.ceil(seconds * 10) / 10, LONGEST)
        connections = self.server.connections(self.settings.connections)
        traffic = self.load.run(self.server.host, self.server.port, seconds, connections)
        self.server.check_alive()
        flaws = traffic.flaws(
            self.exchange, self.length, self.server.contender.silent_close
        )
        if not traffic.requests or (flaws and self.settings.check):
            raise Trouble(f"{self.server.name} {self.exchange.path}: {'; '.join(flaws)}")
        self.flaws += flaws
        self.rate = traffic.requests / traffic.seconds
        self.server.forget_log()
        return traffic.requests


def _growth(looks):
    """Bytes per request between the first and the last of some (requests, RSS in KiB)."""
    (first, low), (last, high) = looks[0], looks[-1]
    return (high - low) * 1024 / (last - first) if last > first else 0.0
