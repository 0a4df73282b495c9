"""examples/simple/rest-api: the page shows the description, and the API does what it says."""

CALL = """
const [method, path, body] = arguments;
return fetch(path, { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) })
  .then(async response => [response.status, response.status === 204 ? null : await response.json()])
"""


def scenario(browser, url):
    page = browser.page(url)
    for line in ("GET /api/books", "POST /api/books", "GET /api/books/{id}", "DELETE /api/books/{id}"):
        page.wait_for_text("#paths p", line)
    status, book = page.evaluate(CALL, "POST", "/api/books", {"title": "Größe", "year": 2024})
    assert (status, book["title"]) == (201, "Größe"), (status, book)
    path = f"/api/books/{book['id']}"
    assert page.evaluate(CALL, "GET", path) == [200, book]
    assert page.evaluate(CALL, "DELETE", path) == [204, None]
