"""examples/simple/demo: session, htmx, an event stream and a WebSocket on one page."""

HEAR = """
return new Promise(resolve => {
  const heard = [], source = new EventSource('/clock');
  source.addEventListener('tick', event => { heard.push(event.data); if (heard.length === 3) { source.close(); resolve(heard); } });
})
"""

ECHO = """
return new Promise((resolve, reject) => {
  const socket = new WebSocket(`ws://${location.host}/echo`);
  socket.onopen = () => socket.send('größe');
  socket.onmessage = event => { resolve(event.data); socket.close(); };
  socket.onerror = () => reject('failed');
})
"""


def scenario(browser, url):
    page = browser.page(url)
    page.wait_for_text("#visits", "Visits in this session: 1")
    page.reload()
    page.wait_for_text("#visits", "Visits in this session: 2")
    page.wait("window.htmx")
    page.click("#load")
    page.wait_for_text("#data", "from Mozilla")
    assert page.evaluate(HEAR) == ['{"tick":1}', '{"tick":2}', '{"tick":3}'], page.evaluate(HEAR)
    assert page.evaluate(ECHO) == "echo: größe"
    for link, text in (("/countdown", "lift off"), ("/primes/10000", "1229"), ("/hello/", "Hello, World!"), ("/rest-api/", "Books API")):
        page.open(url)
        page.click(f"a[href='{link}']")
        page.wait_for_text("body", text)
