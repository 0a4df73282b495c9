"""The notes of examples/catalyst, dancer2 and mojolicious, used by somebody with a browser."""

import hashlib
import tempfile


def scenario(browser, url, live):
    page = browser.page(url)
    page.wait_for_text("h1", "Hello, guest")
    page.type("#name", "Zoë <b>\n")
    page.wait_for_text("h1", "Hello, Zoë <b>")
    for text in ("first", "☺ & second"):
        page.type("#text", text + "\n")
        page.wait_for_text("#notes", text)
    assert page.texts("#notes li") == ["first", "☺ & second"], page.texts("#notes li")
    page.reload()
    assert page.texts("#visits") == ["5"], page.texts("#visits")
    assert page.evaluate("return getComputedStyle(document.body).marginTop") == "32px", "no style sheet"

    if live == "1":
        page.wait("!document.querySelector('#shout').hidden")  # the WebSocket is open
        page.type("#word", "hear me\n")
        page.wait_for_text("#shouts", "Zoë <b>: HEAR ME")
        page.wait("Number(document.querySelector('#ticks').textContent) > 3")
    else:
        assert page.evaluate("return document.querySelector('#shout').hidden"), "shouting into the void"

    content = b"some bytes " * 10_000
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(content)
        file.flush()
        page.type("#file", file.name)
        page.click("#upload button")
        page.wait_for_text("body", hashlib.sha1(content).hexdigest())
