"""examples/toolkit/background-tasks: every button is answered at once."""


def scenario(browser, url):
    page = browser.page(url)
    page.wait_for_text("#log", "Connected! Send a message.")
    page.click("#async")
    page.wait_for_text("#log", '{"status":"ok"}')
    page.click("#blocking")
    page.type("#email", "renée@example.org\n")
    page.wait_for_text("#log", "Welcome, renée@example.org")
    page.wait("document.getElementById('log').textContent.split('\"ok\"').length === 3")
