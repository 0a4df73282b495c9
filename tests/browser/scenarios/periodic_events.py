"""examples/periodic-events: the page's list grows by itself, and a reload starts a new count."""


def scenario(browser, url):
    page = browser.page(url)
    page.wait_for_text("#ticks li", "tick 3")
    assert page.texts("#ticks li")[:3] == ["tick 1", "tick 2", "tick 3"], page.texts("#ticks li")
    page.reload()
    page.wait_for_text("#ticks li", "tick 2")
    assert page.texts("#ticks li")[0] == "tick 1", page.texts("#ticks li")
