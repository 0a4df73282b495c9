"""What connections cost that only wait: memory of the server's processes for each, and CPU while they do."""

import time
from dataclasses import dataclass

from .http2 import HTTP1
from .realtime import Realtime
from .server import Server
from .spread import Spread, ratios
from .table import Table, number

SETTLE = 1.0  # seconds after the last connection was opened


@dataclass(frozen=True)
class Look:
    per_connection: float  # KiB of private memory
    rss: float  # KiB of resident memory, per connection
    cpu: float  # milliseconds of CPU per second
    units: float  # pieces received per second, over all connections


@dataclass(frozen=True)
class Idle:
    name: str
    summary: str
    application: str
    exchange: Realtime
    connections: int

    def takes(self, contender):
        return HTTP1 in contender.speaks

    def applications(self):
        return [self.application]

    def run(self, contenders, settings, say):
        connections = settings.connections if settings.check else self.connections
        found = {contender.name: [] for contender in contenders}
        remarks = []
        for turn in range(1, settings.rounds + 1):
            for contender in contenders:
                look, flaws = self._look(contender, connections, settings)
                if flaws:
                    remarks.append(f"- Round {turn} of {contender.name} is not used: {'; '.join(flaws)}.")
                found[contender.name].append(None if flaws else look)
            say(f"{self.name}: round {turn} of {settings.rounds}")
        parts = [self._measured(found, connections), _compared(found), "\n".join(remarks)]
        return "\n\n".join(part for part in parts if part), all(any(looks) for looks in found.values())

    def _look(self, contender, connections, settings):
        with Server(contender, self.application, 1, settings.cores.server) as server:
            self.exchange.verify(server.host, server.port, server.name)
            before = server.tree.memory()
            load = self.exchange.holding(settings.cores.load)
            with load.prepare(server.host, server.port, settings.seconds, connections) as prepared:
                time.sleep(0 if settings.check else SETTLE)
                cpu = server.tree.cpu_seconds()
                traffic = prepared.run()
                cpu = server.tree.cpu_seconds() - cpu
                after = server.tree.memory()
            server.check_alive()
        flaws = []
        if traffic.read_errors or traffic.wrong:
            flaws.append(f"{traffic.read_errors} connections were closed, {traffic.wrong} answered wrongly")
        return (
            Look(
                per_connection=(after.private - before.private) / connections,
                rss=(after.rss - before.rss) / connections,
                cpu=cpu * 1000 / traffic.seconds,
                units=traffic.requests / traffic.seconds,
            ),
            flaws,
        )

    def _measured(self, found, connections):
        table = Table(
            f"server, {connections} connections", "rounds", "private KiB/connection", "lowest", "highest",
            "RSS KiB/connection", "CPU ms/s", "pieces/s",
        )
        for name, looks in found.items():
            usable = [look for look in looks if look]
            if not usable:
                table.add(name, f"0/{len(looks)}", *["–"] * 6)
                continue
            memory = Spread.of(look.per_connection for look in usable)
            others = [Spread.of(getattr(look, field) for look in usable).median for field in ("rss", "cpu", "units")]
            table.add(
                name, f"{len(usable)}/{len(looks)}", number(memory.median), number(memory.low), number(memory.high),
                *map(number, others),
            )
        return table.markdown()


def _compared(found):
    reference, *others = found
    if not others:
        return ""
    table = Table(f"memory per connection relative to {reference}", "median", "lowest", "highest")
    for name in others:
        values = [[look and look.per_connection for look in found[n]] for n in (name, reference)]
        by_round = ratios(*values)
        if by_round:
            spread = Spread.of(by_round)
            table.add(name, number(spread.median), number(spread.low), number(spread.high))
    return table.markdown()
