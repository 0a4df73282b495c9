"""examples/toolkit/sse-dashboard: the numbers move in two windows."""


def scenario(browser, url):
    first, second = browser.page(url), browser.page(url)
    first.wait_for_text("#state", "subscriber 1")
    second.wait_for_text("#state", "subscriber 2")
    for page in (first, second):
        page.wait("Number(document.getElementById('updates').textContent) >= 2")
        assert int(page.text("#memory")) > 1000, page.text("#memory")
