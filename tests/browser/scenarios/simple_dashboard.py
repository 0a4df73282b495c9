"""examples/simple/dashboard: a number that one window sends shows in both."""

SEND = """
return fetch('/metrics', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(arguments[0]) })
  .then(response => response.status)
"""


def scenario(browser, url):
    first, second = browser.page(url), browser.page(url)
    for page in (first, second):
        page.wait_for_text("#metrics tr", "visitors")
    assert first.evaluate(SEND, {"name": "temperature", "value": 21.5}) == 201
    for page in (first, second):
        page.wait_for_text("#metrics tr", "21.5")
    second.reload()
    second.wait_for_text("#metrics tr", "21.5")
