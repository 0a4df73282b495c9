"""One request asked by hand, and whether its answer is what the scenario promises.

A scenario needs an exchange: an object with verify(), which asks once and
judges, and load(), which makes the traffic of it. This one speaks HTTP/1.1;
a WebSocket or HTTP/2 scenario brings a class of its own with these two.
"""

import http.client
import json
from dataclasses import dataclass
from typing import Callable

from .load import Load
from .trouble import WrongAnswer

PATIENCE = 30  # seconds; a worker may still be loading its application


@dataclass(frozen=True)
class Exchange:
    """A request, and the judgement of its answer."""

    path: str = "/"
    method: str = "GET"
    body: bytes = b""  # ASCII without NUL: it travels as an argument of wrk
    content_type: str = ""  # of the body, when the application looks at it
    status: int = 200
    # Takes the body; returns what is wrong with it, or '' when it is right.
    flaw: Callable[[bytes], str] = lambda body: ""

    def verify(self, host, port, who):
        """Asks once; returns the length of the body in bytes, or raises WrongAnswer."""
        status, body = self._ask(host, port, who)
        where = f"{who} answered {self.method} {self.path}"
        if status != self.status:
            raise WrongAnswer(f"{where} with status {status}, expected {self.status}: {_shown(body)}")
        flaw = self.flaw(body)
        if flaw:
            raise WrongAnswer(f"{where} wrongly: {flaw}: {_shown(body)}")
        return len(body)

    def load(self, core):
        """The load generator for this exchange, to run on that core."""
        return Load(self, core)

    def _ask(self, host, port, who):
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        try:
            connection.request(
                self.method,
                self.path,
                body=self.body or None,
                # Leaves a server with one connection per worker free for the load.
                headers={
                    "Connection": "close",
                    **({"Content-Type": self.content_type} if self.content_type else {}),
                },
            )
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise WrongAnswer(
                f"{who} gave no complete answer to {self.method} {self.path} "
                f"within {PATIENCE} s: {error!r}"
            ) from error
        finally:
            connection.close()


def exactly(expected):
    def flaw(body):
        if body == expected:
            return ""
        return f"{len(body)} bytes that are not the {len(expected)} expected ones"

    return flaw


def json_record(body):
    """The record of apps/lib/Bench/Record.pm, written down a second time on purpose."""
    try:
        record = json.loads(body)
    except ValueError as error:
        return f"not JSON ({error})"
    expected = {
        "id": 4711,
        "customer": "Example Ltd",
        "note": None,
        "items": [
            {
                "sku": f"item-{number}",
                "quantity": number,
                "price": number * 2.5,
                "in_stock": number % 2 == 1,
                "tags": ["red", f"size-{number}"],
            }
            for number in range(1, 12)
        ],
    }
    if record != expected:
        return "JSON of other content than apps/lib/Bench/Record.pm describes"
    if not 900 <= len(body) <= 1150:
        return f"the right JSON in {len(body)} bytes instead of about 1 KB"
    return ""


def json_value(expected):
    """Any spelling of that value: key order, and blanks between tokens, are the encoder's choice."""

    def flaw(body):
        try:
            value = json.loads(body)
        except ValueError as error:
            return f"not JSON ({error})"
        return "" if value == expected else f"JSON of another value than {expected!r}"

    return flaw


def _shown(body):
    return repr(body[:200]) + (" ..." if len(body) > 200 else "")
