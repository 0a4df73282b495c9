"""examples/simple/uploads: two files chosen in the form arrive."""

import json
import os
import tempfile


def scenario(browser, url):
    with tempfile.TemporaryDirectory() as directory:
        paths = [os.path.join(directory, name) for name in ("notes.txt", "b.bin")]
        for path, size in zip(paths, (5, 200_000)):
            with open(path, "wb") as file:
                file.write(b"x" * size)
        page = browser.page(url)
        page.type("[name=files]", "\n".join(paths))
        page.type("[name=note]", "zwei Größen ☺")
        page.click("button")
        page.wait_for_text("body", "stored")
        answer = json.loads(page.text("body"))
    assert [file["size"] for file in answer["stored"]] == [5, 200_000], answer
    assert [file["was"] for file in answer["stored"]] == ["notes.txt", "b.bin"], answer
    assert answer["note"] == "zwei Größen ☺", answer
    read = "return fetch(arguments[0]).then(response => response.text())"
    assert page.evaluate(read, f"/files/{answer['stored'][0]['name']}") == "xxxxx"
