"""examples/toolkit/sse-close: the bar fills, and the page does not ask again when the stream has ended."""


def scenario(browser, url):
    page = browser.page(url)
    page.wait_for_text("#state", "finished")
    assert page.evaluate("return document.getElementById('bar').value") == 100
    assert page.evaluate("return events.readyState") == 2
