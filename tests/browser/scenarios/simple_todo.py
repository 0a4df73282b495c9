"""examples/simple/todo: htmx keeps the list, and other windows see it."""


def scenario(browser, url):
    page, other = browser.page(url), browser.page(url)
    other.wait("window.htmx && document.querySelector('[sse-connect]')")
    page.type("[name=title]", "buy <tea>\n")
    page.wait_for_text("#todo-1", "buy <tea>")
    other.wait_for_text("#todo-1", "buy <tea>")

    page.click("#todo-1 input")
    page.wait("document.querySelector('#todo-1').className.includes('done')")
    other.wait("document.querySelector('#todo-1').className.includes('done')")

    page.evaluate("window.confirm = question => { window.asked = question; return true; }")
    page.click("#todo-1 button")
    page.wait("!document.querySelector('#todo-1')")
    assert page.evaluate("return window.asked") == "Delete it?"
    other.wait("!document.querySelector('#todo-1')")
