"""examples/simple/hello: the page and its link."""


def scenario(browser, url):
    page = browser.page(url)
    assert page.text("h1") == "Hello, World!", page.text("h1")
    page.click("a")
    page.wait_for_text("body", "Hello, you!")
