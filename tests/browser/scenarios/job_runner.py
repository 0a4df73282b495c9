"""examples/job-runner: a job is started and followed, another is stopped."""


def scenario(browser, url):
    page, other = browser.page(url), browser.page(url)
    for each in (page, other):
        each.wait_for_text("#message", "connected")
    page.evaluate("document.getElementById('largest').value = 5000")
    page.click("#start")
    page.wait_for_text("#jobs li span", "up to 5000: 669 primes, finished")
    other.wait_for_text("#jobs li span", "up to 5000: 669 primes, finished")
    page.evaluate("document.getElementById('largest').value = 3000000")
    page.click("#start")
    page.wait_for_text("#message", "started")
    page.wait("document.querySelectorAll('#jobs li').length === 2")
    other.wait("document.querySelectorAll('#jobs li').length === 2")
    other.click("#jobs li button")
    page.wait_for_text("#jobs li span", "stopped")
