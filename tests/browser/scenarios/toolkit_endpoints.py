"""examples/toolkit/endpoint-demo: HTTP, events and a WebSocket on one page, in two windows."""


def scenario(browser, url):
    page, other = browser.page(url), browser.page(url)
    for window in (page, other):
        window.wait_for_text("#socket", "Welcome!")
        window.wait("document.getElementById('messages').textContent.split('\\n').length > 2")
    page.wait("events.readyState === 1")
    other.wait("events.readyState === 1")
    page.type("#text", "größe ☺\n")
    for window in (page, other):
        window.wait_for_text("#messages", "größe ☺")
    page.type("#say", "hi\n")
    page.wait_for_text("#socket", '"text":"hi"')
