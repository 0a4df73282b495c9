"""Any page: it loads, shows a text, and throws no error."""


def scenario(browser, url, selector, text):
    browser.page(url).wait_for_text(selector, text)
