"""examples/sse-dashboard: the numbers move, in two windows at once."""


def scenario(browser, url):
    first, second = browser.page(url), browser.page(url)
    for page in (first, second):
        page.wait_for_text("#state", "live")
        page.wait_for_text("#listeners", "2")
        page.wait("document.getElementById('curve').points.length > 3")
        assert int(page.text("#memory")) > 1000, page.text("#memory")
        assert page.text("#requests") == "2", page.text("#requests")
    second.close()
    first.wait_for_text("#listeners", "1")
    first.reload()
    first.wait_for_text("#requests", "3")
