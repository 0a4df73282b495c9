"""examples/simple/chat: one chat, however many workers serve it."""

PEOPLE = 6


def scenario(browser, url):
    pages = [browser.page(url + "#tea") for _ in range(PEOPLE)]
    for page in pages:
        page.wait_for_text("#log p", "You are in tea")
    elsewhere = browser.page(url + "#coffee")
    elsewhere.wait_for_text("#log p", "You are in coffee")

    for number, page in enumerate(pages):
        page.type("#text", f"/name P{number}\n")
        page.type("#text", f"hello from {number} ☺ <b>\n")
        for other in pages:
            other.wait_for_text("#log p", f"P{number}: hello from {number} ☺ <b>")
    pages[0].close()
    for page in pages[1:]:
        page.wait_for_text("#log p", "P0 left")
    assert elsewhere.texts("#log p") == ["You are in coffee"], elsewhere.texts("#log p")
