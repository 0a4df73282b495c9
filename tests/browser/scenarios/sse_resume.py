"""examples/sse-resume: EventSource hears every event once, over connections that break, in Chromium and in Node."""

import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from relay import Relay
from webdriver import PATIENCE

CUTS, EVENTS, NEED = 3, 2, 12

LISTEN = """
const [path, need] = arguments;
return new Promise(resolve => {
  const ids = [], source = new EventSource(path);
  source.onmessage = event => {
    ids.push(Number(event.lastEventId));
    if (ids.length === need) { source.close(); resolve(ids); }
  };
});
"""


def judge(name, ids, relay):
    print(f"{name}: {len(ids)} events, {ids[0]} to {ids[-1]}; Last-Event-ID of its requests: {relay.asked}")
    assert ids == list(range(ids[0], ids[0] + NEED)), f"{name}: {ids}"
    assert len(relay.asked) == CUTS + 1 and relay.asked[0] is None, f"{name}: {relay.asked}"
    assert all(last is not None for last in relay.asked[1:]), f"{name}: {relay.asked}"


def scenario(browser, url):
    parts = urlsplit(url)
    address = (parts.hostname, parts.port)

    relay = Relay(address, CUTS, EVENTS)
    page = browser.page(relay.url + "/page")
    judge("Chromium", page.evaluate(LISTEN, "/log", NEED), relay)

    relay = Relay(address, CUTS, EVENTS)
    program = Path(__file__).with_name("sse_resume.cjs")
    command = ["node", program, relay.url + "/log", str(NEED)]
    environment = {**os.environ, "NODE_PATH": os.environ.get("NODE_PATH", "/usr/share/nodejs")}
    node = subprocess.run(command, stdout=subprocess.PIPE, timeout=PATIENCE, check=True, env=environment)
    judge("Node", json.loads(node.stdout), relay)


# What a cut looks like to the page.
EXPECTED_ERRORS = ["net::ERR_CONNECTION_RESET", "net::ERR_INCOMPLETE_CHUNKED_ENCODING"]
