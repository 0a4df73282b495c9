"""What can be run. A scenario has a name, a summary, the applications it
needs (a server takes part if it has them all) and run(contenders, settings,
say), which returns Markdown and whether every result could be used."""

from .answer import Exchange, exactly, json_record
from .comparison import Comparison
from .load import pattern
from .memory import MemoryScenario
from .soak import Soak

HELLO = Exchange(flaw=exactly(b"Hello, World!\n"))
ECHOED = pattern(4096)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Comparison("hello", "a 14-byte answer", "hello", HELLO),
        Comparison(
            "json", "1 KB of JSON, built and encoded per request", "json",
            Exchange(flaw=json_record),
        ),
        Comparison(
            "post-echo", "4 KB posted and sent back", "post-echo",
            Exchange(method="POST", body=ECHOED, flaw=exactly(ECHOED)),
        ),
        Comparison(
            "stream", "an answer in 64 chunks of 1 KiB", "stream",
            Exchange(flaw=exactly(pattern(64 * 1024))), chunks=64,
        ),
        Comparison(
            "latency", "hello over a single connection", "hello", HELLO,
            connections=1, latency_matters=True,
        ),
        MemoryScenario("memory", "four workers after load, small and big application", HELLO),
        Soak(
            "soak", "memory over very many requests", "soak",
            (
                ("fast path", HELLO),
                ("dying application", Exchange(path="/die", status=500)),
                ("suspended application", Exchange(path="/sleep", flaw=HELLO.flaw)),
            ),
        ),
    )
}
