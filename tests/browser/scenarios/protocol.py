"""A page and what it fetches come over the protocol that is expected, HTTP/2 ("h2") say."""


def scenario(browser, url, protocol):
    page = browser.page(url)
    used = page.evaluate("return performance.getEntriesByType('navigation')[0].nextHopProtocol")
    assert used == protocol, used
    fetched = page.evaluate(
        "return (async () => {"
        "  await (await fetch('?again')).text();"
        "  return performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol);"
        "})()"
    )
    assert fetched and set(fetched) == {protocol}, fetched
