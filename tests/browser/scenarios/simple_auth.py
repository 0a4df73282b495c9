"""examples/simple/auth: a login with a cookie, which another profile does not have."""

from webdriver import Browser

EXPECTED_ERRORS = ["401 (Unauthorized)"]


def scenario(browser, url):
    page = browser.page(url + "members/secret")
    page.wait_for_text("h1", "Log in")
    page.type("[name=user]", "ann")
    page.type("[name=password]", "wrong\n")
    page.wait_for_text("[role=alert]", "Wrong name or password")
    page.type("[name=user]", "ann")
    page.type("[name=password]", "sesame\n")
    page.wait_for_text("body", "Hello, ann.")
    assert page.text("h1") == "Members only", page.text("h1")
    for _ in range(8):    # whichever worker is asked
        page.reload()
        page.wait_for_text("body", "Hello, ann.")
    with Browser() as other:
        stranger = other.page(url + "members/secret")
        stranger.wait_for_text("h1", "Log in")
    page.click("button")
    page.wait_for_text("a", "Log in")
