"""examples/toolkit/contact-form: filled in and sent, with an attachment that is allowed and one that is not."""

import os
import tempfile

EXPECTED_ERRORS = ["400 (Bad Request)"]


def scenario(browser, url):
    page = browser.page(url)
    with tempfile.TemporaryDirectory() as directory:
        good, bad = (os.path.join(directory, name) for name in ("notes.txt", "program.exe"))
        for path in (good, bad):
            with open(path, "w", encoding="utf-8") as file:
                file.write("text")

        def fill(attachment):
            page.type("[name=name]", "Renée")
            page.type("[name=email]", "renee@example.org")
            page.type("[name=message]", "Hello ☺")
            page.type("[name=attachment]", attachment)
            page.click("button")

        fill(bad)
        page.wait_for_text("#result.bad", "File type not allowed")
        fill(good)
        page.wait_for_text("#result", "Thank you, Renée! We have received your message.")
    assert page.evaluate("return document.querySelector('[name=name]').value") == "", "the form is empty again"
