"""examples/toolkit/app-01-file: the index page with its style sheet."""


def scenario(browser, url):
    page = browser.page(url)
    page.wait_for_text("h1", "Files")
    assert page.evaluate("return [...document.styleSheets].filter(sheet => sheet.href).length") == 1
