"""examples/websocket-chat: two people see each other's messages, through a reload, and one leaves."""


def scenario(browser, url):
    ann, bob = browser.page(url), browser.page(url)
    for page, name in ((ann, "Ann"), (bob, "Bøb")):
        page.type("#login [name=name]", name)
        page.type("#login [name=room]", "perl 5")
        page.click("#login button")
        page.wait_for_text("#state", "connected")
    for page in (ann, bob):
        page.wait_for_text("#names", "Ann, Bøb")

    ann.type("#text", "hello, Bøb ☺ <b>\n")
    bob.wait_for_text("#log .message", "Ann: hello, Bøb ☺ <b>")
    bob.type("#text", "hello, Ann")
    bob.click("#say button")
    for page in (ann, bob):
        page.wait_for_text("#log .message", "Bøb: hello, Ann")
        said = page.texts("#log .message")
        assert said == ["Ann: hello, Bøb ☺ <b>", "Bøb: hello, Ann"], said

    # Somebody in another room hears none of it.
    eve = browser.page(url + "?name=Eve&room=rust")
    eve.wait_for_text("#names", "Eve")

    # A reload leaves and comes back, with what was said before.
    bob.reload()
    ann.wait_for_text("#log .note", "Bøb left")
    bob.wait_for_text("#log .message", "Bøb: hello, Ann")
    bob.wait_for_text("#names", "Ann, Bøb")
    ann.type("#text", "still here?\n")
    bob.wait_for_text("#log .message", "Ann: still here?")

    before = len([line for line in ann.texts("#log .note") if line == "Bøb left"])
    bob.close()
    ann.wait("[...document.querySelectorAll('#log .note')].filter(line => line.textContent === 'Bøb left').length > arguments[0]", before)
    assert ann.text("#names") == "Ann", ann.text("#names")
    assert eve.texts("#log .message") == [], eve.texts("#log .message")
