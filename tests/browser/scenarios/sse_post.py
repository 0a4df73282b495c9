"""examples/sse-post: an answer comes word by word, can be stopped, and can be refused."""

EXPECTED_ERRORS = ["422 (Unprocessable"]


def scenario(browser, url):
    page = browser.page(url)
    page.type("#question", "drei zwei größe ☺\n")
    page.wait_for_text("#state", "7 words")
    assert page.text("#answer") == "Backwards, that is: ☺ größe zwei drei", page.text("#answer")

    page.type("#question", " \n")
    page.wait_for_text("#state", "of at most 10000 bytes, please.")

    page.type("#question", "word " * 200)
    page.click("#ask button")
    page.wait_for_text("#answer", "Backwards, that is: word")
    page.click("#stop")
    page.wait_for_text("#state", "stopped")
