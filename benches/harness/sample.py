"""One round of one server: what it cost and what the client saw."""

from dataclasses import dataclass

from .trouble import Trouble, WrongAnswer


@dataclass(frozen=True)
class Sample:
    cpu: float  # microseconds of user and system time per request
    rate: float  # requests per second
    p50: float  # microseconds
    p99: float
    rss: int  # KiB, over the process tree, right after the load
    pss: int


def warm_up(server, exchange, settings):
    """Lets caches fill, workers load and memory settle, and examines every answer."""
    length = exchange.verify(server.host, server.port, server.name)
    traffic = _traffic(server, exchange, settings.warmup, settings, examine=length)
    server.check_alive()
    flaws = traffic.flaws(exchange, length, server.contender.silent_close)
    if flaws:
        raise WrongAnswer(f"{server.name} under load: {'; '.join(flaws)}")


def take(server, exchange, settings):
    """Returns a Sample and the list of flaws; a sample with flaws is not to be used."""
    server.check_alive()
    length = exchange.verify(server.host, server.port, server.name)
    examine = length if settings.check else None
    with _prepared(server, exchange, settings.seconds, settings, examine) as prepared:
        before = server.tree.cpu_seconds()
        traffic = prepared.run()
        after = server.tree.cpu_seconds()
        memory = server.tree.memory()
    server.check_alive()
    flaws = traffic.flaws(exchange, length, server.contender.silent_close)
    if after < before:
        flaws.append("CPU time went backwards: a process left the tree during the round")
    if not 0 < memory.pss <= memory.rss:
        flaws.append(f"Pss {memory.pss} KiB and Rss {memory.rss} KiB make no sense")
    if settings.check and flaws:
        raise Trouble(f"{server.name}: " + "; ".join(flaws))
    if not traffic.requests:
        return None, flaws
    return (
        Sample(
            cpu=(after - before) * 1e6 / traffic.requests,
            rate=traffic.requests / traffic.seconds,
            p50=traffic.p50,
            p99=traffic.p99,
            rss=memory.rss,
            pss=memory.pss,
        ),
        flaws,
    )


def _traffic(server, exchange, seconds, settings, examine):
    with _prepared(server, exchange, seconds, settings, examine) as prepared:
        return prepared.run()


def _prepared(server, exchange, seconds, settings, examine):
    connections = server.connections(settings.connections)
    load = exchange.load(settings.cores.load)
    return load.prepare(server.host, server.port, seconds, connections, examine)
