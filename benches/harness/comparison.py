"""The usual kind of scenario: the same traffic for every server, round by round in turn."""

from contextlib import ExitStack
from dataclasses import dataclass, replace

from . import sample
from .answer import Exchange
from .http2 import HTTP1
from .server import Server
from .spread import Spread, ratios
from .table import Table, mib, number


@dataclass(frozen=True)
class Comparison:
    name: str
    summary: str
    application: str
    exchange: Exchange
    connections: int = 0  # 0: what the command line says
    unit: str = "request"  # what the load generator counts
    chunks: int = 0  # parts of one answer, for a cost per part
    latency_matters: bool = False  # adds a ratio of p50
    protocol: str = HTTP1

    def applications(self):
        return [self.application]

    def takes(self, contender):
        return self.protocol in contender.speaks

    def run(self, contenders, settings, say):
        """Runs and returns (Markdown, whether every server has a usable round)."""
        if self.connections:
            settings = replace(settings, connections=self.connections)
        samples = {contender.name: [] for contender in contenders}
        remarks = []
        with ExitStack() as stack:
            # All run all the time, so that a slow or a fast minute of the
            # machine meets every one of them; without load they cost nothing.
            servers = [
                stack.enter_context(
                    Server(contender, self.application, 1, settings.cores.server, self.protocol)
                )
                for contender in contenders
            ]
            for server in servers:
                sample.warm_up(server, self.exchange, settings)
                used = server.connections(settings.connections)
                if used != settings.connections:
                    remarks.append(
                        f"{server.name} serves {used} connection at a time "
                        f"and got that many, not {settings.connections}."
                    )
                if server.contender.silent_close:
                    remarks.append(
                        f"{server.name} closes the connection after every answer, "
                        "so its numbers include a connect per request."
                    )
            for turn in range(1, settings.rounds + 1):
                for server in servers:
                    taken, flaws = sample.take(server, self.exchange, settings)
                    if flaws:
                        remarks.append(
                            f"Round {turn} of {server.name} is not used: {'; '.join(flaws)}."
                        )
                    samples[server.name].append(None if flaws else taken)
                say(f"{self.name}: round {turn} of {settings.rounds}")
        parts = [self._measured(samples), self._compared(samples)]
        parts += ["\n".join(f"- {remark}" for remark in remarks)] if remarks else []
        complete = all(any(rounds) for rounds in samples.values())
        return "\n\n".join(part for part in parts if part), complete

    def _measured(self, samples):
        per_chunk = ["CPU µs/chunk"] if self.chunks else []
        table = Table(
            "server", "rounds", f"CPU µs/{self.unit}", *per_chunk,
            f"{self.unit}s/s", "p50 µs", "p99 µs", "RSS MiB", "Pss MiB",
        )
        for name, rounds in samples.items():
            usable = [taken for taken in rounds if taken]
            if not usable:
                table.add(name, f"0/{len(rounds)}", *["–"] * (6 + len(per_chunk)))
                continue

            def median(field):
                return Spread.of(getattr(taken, field) for taken in usable).median

            chunk = [number(median("cpu") / self.chunks)] if self.chunks else []
            table.add(
                name, f"{len(usable)}/{len(rounds)}", number(median("cpu")), *chunk,
                number(median("rate")), number(median("p50")), number(median("p99")),
                mib(median("rss")), mib(median("pss")),
            )
        return table.markdown()

    def _compared(self, samples):
        """Each round against the same round of the first server (ours, when it takes part)."""
        reference, *others = samples
        if not others:
            return ""
        table = Table(f"relative to {reference}", "of", "median", "lowest", "highest", "by round")
        fields = [("cpu", f"CPU/{self.unit}"), ("p50", "p50")][: 2 if self.latency_matters else 1]
        for name in others:
            for field, label in fields:
                values = [[getattr(s, field) if s else None for s in samples[n]]
                          for n in (name, reference)]
                by_round = ratios(*values)
                if not by_round:
                    table.add(name, label, *["–"] * 4)
                    continue
                spread = Spread.of(by_round)
                table.add(
                    name, label, number(spread.median), number(spread.low), number(spread.high),
                    " ".join(number(ratio) for ratio in by_round),
                )
        return table.markdown()
