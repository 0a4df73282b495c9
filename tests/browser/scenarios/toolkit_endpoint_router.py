"""examples/toolkit/endpoint-router-demo: the page hears its own WebSocket and the metrics."""


def scenario(browser, url):
    page = browser.page(url)
    page.wait_for_text("h1", "Endpoint Router Demo 1.0.0")
    page.wait_for_text("#echo", "from the page")
    page.wait_for_text("#metrics", '"ws_active":1')
