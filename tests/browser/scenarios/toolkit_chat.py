"""examples/toolkit/chat-showcase and websocket-chat-v2: two people, rooms, a private message, and a reload."""

from webdriver import Browser


def enter(browser, url, name):
    page = browser.page(url)
    page.type("#name", name + "\n")
    page.wait_for_text("#state", "connected")
    page.wait_for_text("#people li", name)
    return page


def scenario(browser, url):
    with Browser() as other:
        ann, bob = enter(browser, url, "Ann"), enter(other, url, "Bob")
        ann.wait_for_text("#log .note", "Bob has come")
        ann.wait_for_text("#users_online", "")
        bob.wait_for_text("#users_online", "2")
        bob.type("#text", "hello ☺ <b>")
        ann.wait_for_text("#typing", "Bob is typing")
        bob.click("#say button")
        for page in (ann, bob):
            page.wait_for_text("#log .message", "Bob: hello ☺ <b>")
        ann.type("#text", "/pm bob psst\n")
        bob.wait_for_text("#log .private", "Ann to you: psst")
        ann.wait_for_text("#log .private", "you to Bob: psst")
        ann.type("#text", "/join perl\n")
        ann.wait_for_text("#log .note", "You are in perl")
        bob.wait_for_text("#rooms li", "perl")
        bob.type("#text", "only here\n")
        bob.wait_for_text("#log .message", "Bob: only here")
        assert "only here" not in ann.text("#log"), ann.text("#log")

        # The session is in the profile: after a reload it is the same person, and nobody was told of a farewell.
        bob.reload()
        bob.type("#name", "Somebody else\n")
        bob.wait_for_text("#log .note", "Welcome back, Bob")
        bob.type("#text", "here again\n")
        bob.wait_for_text("#log .message", "Bob: here again")
        bob.click("#theme")
        bob.wait("document.body.classList.contains('dark')")
        assert not [line for line in ann.texts("#log .note") if "left" in line], ann.texts("#log .note")
