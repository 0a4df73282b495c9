"""What can be run. A scenario has a name, a summary, the applications it
needs (a server takes part if it has them all) and run(contenders, settings,
say), which returns Markdown and whether every result could be used."""

from .answer import Exchange, exactly, json_record, json_value
from .comparison import Comparison
from .http2 import H2, H2C, Http2Exchange
from .idle import Idle
from .load import FILE_SIZE, pattern
from .memory import MemoryScenario
from .realtime import Realtime
from .soak import Soak

HELLO = Exchange(flaw=exactly(b"Hello, World!\n"))
ECHOED = pattern(4096)
ORDER = Exchange(
    path="/orders/17",
    method="POST",
    body=b'{"item":"lamp","quantity":3,"price":12.5}',
    content_type="application/json",
    flaw=json_value({"id": 17, "item": "lamp", "quantity": 3, "total": 37.5}),
)
PAGE = Exchange(path="/page", flaw=exactly(pattern(2048)))
ABOUT = Exchange(path="/about", flaw=lambda body: "" if body.count(b" of &lt;this&gt; &amp; that") == 20 else "not the page")

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
        Comparison("file", "a file of 100 KiB", "file", Exchange(flaw=exactly(pattern(FILE_SIZE)))),
        Comparison(
            "static", "a file of 100 KiB from a static folder, without the application", "static",
            Exchange(path="/file", flaw=exactly(pattern(FILE_SIZE))),
        ),
        Comparison(
            "latency", "hello over a single connection", "hello", HELLO,
            connections=1, latency_matters=True,
        ),
        Comparison(
            "toolkit-router", "a routed request with JSON in and out, by the toolkit's classes",
            "toolkit-router", ORDER,
        ),
        Comparison("psgi", "hello as a PSGI application", "psgi", HELLO),
        *(
            Comparison(name, f"a page of the {title} example, by its templates", name, ABOUT)
            for name, title in (("catalyst", "Catalyst"), ("dancer2", "Dancer2"), ("mojolicious", "Mojolicious"))
        ),
        Comparison("middleware", "2 KiB of HTML through ten middleware", "middleware", PAGE),
        Comparison("simple-hello", "hello as a PAGI::Simple route", "simple-hello", HELLO),
        Comparison("simple-json", "JSON in and out of a PAGI::Simple route", "simple-json", ORDER),
        *(
            Comparison(
                f"{name}-{streams}", f"hello over HTTP/2 {over}, {streams} requests at a time on each of 8 connections",
                "hello", Http2Exchange(protocol, streams, flaw=exactly(b"Hello, World!\n")),
                connections=8, protocol=protocol,
            )
            for name, protocol, over in (("h2c", H2C, "without TLS"), ("h2", H2, "and TLS"))
            for streams in (1, 32)
        ),
        Comparison(
            "websocket", "64-byte messages sent back, over 50 WebSockets", "websocket", Realtime("websocket"),
            connections=50, unit="message",
        ),
        Idle("websocket-idle", "10,000 WebSockets that wait", "websocket", Realtime("websocket"), 10_000),
        Comparison(
            "sse", "20 events per second to each of 200 listeners, each by a loop of its own", "sse",
            Realtime("sse"), connections=200, unit="event",
        ),
        Comparison(
            "sse-broadcast", "20 events per second to all of 200 listeners by one loop", "sse-broadcast",
            Realtime("sse"), connections=200, unit="event",
        ),
        Idle("sse-idle", "5,000 event streams with a keepalive per second", "sse-idle", Realtime("sse"), 5_000),
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
