"""Memory of four workers, and what one more worker of a big application costs."""

import math
import time
from dataclasses import dataclass, replace

from . import sample
from .answer import Exchange
from .http2 import HTTP1
from .server import Server
from .spread import Spread, ratios
from .table import Table, mib, number
from .trouble import Trouble

SETTLE = 0.5  # seconds after the load, for connections to be closed and freed


@dataclass(frozen=True)
class Run:
    """One start of a server with `workers` workers, loaded, looked at, stopped."""

    application: str
    workers: int


SMALL = Run("hello", 4)
BIG = Run("heavy", 4)
BIG_LESS_ONE = Run("heavy", 3)


@dataclass(frozen=True)
class MemoryScenario:
    name: str
    summary: str
    exchange: Exchange

    def takes(self, contender):
        return HTTP1 in contender.speaks

    def applications(self):
        return [SMALL.application]

    def run(self, contenders, settings, say):
        remarks = []
        found = {contender.name: {} for contender in contenders}
        for turn in range(1, settings.rounds + 1):
            for contender in contenders:
                for run in (SMALL, BIG, BIG_LESS_ONE):
                    if contender.has(run.application):
                        memory, flaws = self._look(contender, run, settings)
                        if flaws:
                            remarks.append(
                                f"Round {turn} of {contender.name}, {run.application} with "
                                f"{run.workers} workers, is not used: {'; '.join(flaws)}."
                            )
                        found[contender.name].setdefault(run, []).append(None if flaws else memory)
            say(f"{self.name}: round {turn} of {settings.rounds}")
        parts = [self._measured(found), self._compared(found)]
        parts += ["\n".join(f"- {remark}" for remark in remarks)] if remarks else []
        complete = all(any(looks) for runs in found.values() for looks in runs.values())
        return "\n\n".join(part for part in parts if part), complete

    def _look(self, contender, run, settings):
        # As many connections per worker with three as with four: what the
        # connections take must not pass for what a worker takes.
        each = math.ceil(settings.connections / SMALL.workers)
        settings = replace(settings, connections=each * run.workers)
        with Server(contender, run.application, run.workers, settings.cores.server) as server:
            sample.warm_up(server, self.exchange, settings)
            taken, flaws = sample.take(server, self.exchange, settings)
            time.sleep(SETTLE)
            memory = server.tree.memory()
            if memory.processes < run.workers:
                raise Trouble(
                    f"{server.name} was asked for {run.workers} workers "
                    f"and runs {memory.processes} processes"
                )
            return memory, flaws

    def _measured(self, found):
        table = Table(
            "server", "processes", "hello: Pss MiB", "hello: RSS MiB",
            "heavy: Pss MiB", "heavy: private MiB per further worker", "lowest", "highest",
        )
        for name, runs in found.items():
            small = [look for look in runs.get(SMALL, []) if look]
            big = [look for look in runs.get(BIG, []) if look]
            further = _further(runs)
            cells = [name]
            cells += [
                max(look.processes for look in small),
                mib(Spread.of(look.pss for look in small).median),
                mib(Spread.of(look.rss for look in small).median),
            ] if small else ["–"] * 3
            cells += [mib(Spread.of(look.pss for look in big).median)] if big else ["–"]
            if further:
                spread = Spread.of(further)
                cells += [mib(spread.median), mib(spread.low), mib(spread.high)]
            else:
                cells += ["–"] * 3
            table.add(*cells)
        return table.markdown()

    def _compared(self, found):
        reference, *others = found
        if not others:
            return ""
        table = Table(f"Pss relative to {reference}", "median", "lowest", "highest", "by round")
        for name in others:
            for run in (SMALL, BIG):
                values = [[look and look.pss for look in found[n].get(run, [])]
                          for n in (name, reference)]
                by_round = ratios(*values)
                if by_round:
                    spread = Spread.of(by_round)
                    table.add(
                        f"{name}, {run.application}", number(spread.median), number(spread.low),
                        number(spread.high), " ".join(number(ratio) for ratio in by_round),
                    )
        return table.markdown()


def _further(runs):
    """Private memory of four workers minus that of three, in KiB, round by round."""
    pairs = zip(runs.get(BIG, []), runs.get(BIG_LESS_ONE, []))
    return [four.private - three.private for four, three in pairs if four and three]
