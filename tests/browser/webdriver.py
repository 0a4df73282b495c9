"""A small WebDriver client (W3C WebDriver over chromedriver) of nothing but Python's standard library.

Debian's python3-selenium would do too, but only under Debian's own interpreter; this runs under any python3.
"""

import ctypes
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

# How long anything may take before a scenario fails. Machines are slow and noisy; only a hang reaches this.
PATIENCE = 30
START_PATIENCE = 90

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PR_SET_PDEATHSIG = 1
# The server under test is local, whatever proxy the machine has for the rest of the world.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failure(Exception):
    """Something was not as a scenario expects."""


class Browser:
    """A headless Chromium with a profile of its own: cookies and storage are shared by its pages and by nobody else."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="pagi-browser-")
        self.driver = None
        self.session = None
        self.fresh_window = None
        try:
            self._start_driver()
            self._start_session()
        except BaseException:
            self.quit()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.quit()

    def page(self, url):
        """A new window that shows this URL."""
        window = self.fresh_window
        self.fresh_window = None
        if window is None:
            window = self.call("POST", "/window/new", {"type": "window"})["handle"]
        page = Page(self, window)
        page.open(url)
        return page

    def console(self):
        """What the pages have written to the console since the last call: pairs of level and message."""
        return [(entry["level"], entry["message"]) for entry in self.call("POST", "/se/log", {"type": "browser"})]

    def call(self, method, path, parameters=None, patience=PATIENCE):
        """One WebDriver command of this session."""
        return self._request(method, f"/session/{self.session}{path}", parameters, patience)

    def quit(self):
        """Ends the browser and forgets its profile."""
        if self.session is not None:
            try:
                self.call("DELETE", "")
            except (Failure, OSError) as error:
                print(f"the browser does not quit by itself: {error}", file=sys.stderr)
            self.session = None
        if self.driver is not None:
            # The driver leads a process group, and the browser's processes are in it.
            try:
                os.killpg(self.driver.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.driver.wait()
            self.driver = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start_driver(self):
        command = [
            _program("CHROMEDRIVER", "chromedriver", "chromium-driver"),
            "--port=0",
            f"--log-path={self.directory}/chromedriver.log",
        ]
        self.driver = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": self.directory, "HOME": self.directory},
            process_group=0,
            preexec_fn=_die_with_parent,
        )
        said = b""
        for line in self.driver.stdout:
            said += line
            if b"started successfully on port " in line:
                self.address = "http://127.0.0.1:" + line.rsplit(b" ", 1)[1].strip(b". \n").decode()
                return
        raise Failure(f"chromedriver does not start: {said.decode(errors='replace')}")

    def _start_session(self):
        arguments = [
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--no-first-run",
            "--disable-background-networking",
            # Windows that nobody sees are at work all the same.
            "--disable-background-timer-throttling",
            "--disable-backgrounding-occluded-windows",
            "--disable-renderer-backgrounding",
            # The pages are our own, and the sandbox wants rights that containers and root do not have.
            "--no-sandbox",
            f"--user-data-dir={self.directory}/profile",
        ]
        capabilities = {
            "browserName": "chrome",
            # Tests of TLS use certificates of their own.
            "acceptInsecureCerts": True,
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": self._mortal_chromium(), "args": arguments},
        }
        answer = self._request("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}}, START_PATIENCE)
        self.session = answer["sessionId"]
        self.fresh_window = self.call("GET", "/window")

    def _mortal_chromium(self):
        """Chromium as a program that does not outlive its driver, which dies with us, however we die."""
        program = _program("CHROMIUM", "chromium", "chromium")
        path = f"{self.directory}/chromium"
        with open(path, "w", encoding="utf-8") as wrapper:
            wrapper.write(f'#!/bin/sh\nexec setpriv --pdeathsig KILL {shlex.quote(program)} "$@"\n')
        os.chmod(path, 0o755)
        return path

    def _request(self, method, path, parameters, patience):
        data = None if method in ("GET", "DELETE") else json.dumps(parameters or {}).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with DIRECT.open(request, timeout=patience) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            problem = json.load(error)["value"]
            raise Failure(f"{problem['error']}: {problem['message'].splitlines()[0]}") from None


class Page:
    """One window. Elements are named by CSS selectors; a command waits until its element is there."""

    def __init__(self, browser, window):
        self.browser = browser
        self.window = window

    def open(self, url):
        """Goes to a URL and waits until it has loaded."""
        self._call("POST", "/url", {"url": url})

    def reload(self):
        """What the reload button does."""
        self._call("POST", "/refresh")

    def close(self):
        """Closes the window."""
        self._call("DELETE", "/window")

    def evaluate(self, script, *arguments):
        """Runs a function body in the page, with `arguments`; waits for the promise if it returns one."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def texts(self, selector):
        """The texts of all elements as the page shows them."""
        script = "return [...document.querySelectorAll(arguments[0])].map(element => element.innerText)"
        return self.evaluate(script, selector)

    def text(self, selector):
        """The text of an element, which has to be the only one."""
        texts = self.texts(selector)
        if len(texts) != 1:
            raise Failure(f"there are {len(texts)} elements {selector!r}, not one:\n{self._shown()}")
        return texts[0]

    def click(self, selector):
        """Clicks on an element as a mouse does."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._call("POST", f"/element/{self._element(selector)}/click")
            except Failure as failure:
                # A live page may put another element in its place between finding and clicking: nothing was clicked.
                if not str(failure).startswith("stale element reference") or time.monotonic() > deadline:
                    raise

    def type(self, selector, text):
        """Replaces what an input holds by typing; a line feed at the end presses the enter key."""
        element = self._element(selector)
        self._call("POST", f"/element/{element}/clear")
        self._call("POST", f"/element/{element}/value", {"text": text})

    def wait(self, condition, *arguments):
        """Waits until a JavaScript expression over `arguments` is true."""
        self._wait(condition, lambda: self.evaluate(f"return Boolean({condition})", *arguments))

    def wait_for_text(self, selector, text):
        """Waits until one of the elements shows a text."""
        what = f"{text!r} in {selector!r}"
        self._wait(what, lambda: any(text in shown for shown in self.texts(selector)))

    def _element(self, selector):
        script = "return document.querySelector(arguments[0])"
        return self._wait(f"an element {selector!r}", lambda: self.evaluate(script, selector))[ELEMENT]

    def _wait(self, what, question):
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = question()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise Failure(f"waited in vain for {what}; the page:\n{self._shown()}")
            time.sleep(0.02)

    def _shown(self):
        return self.evaluate("return document.documentElement.innerText")

    def _call(self, method, path, parameters=None):
        self.browser.call("POST", "/window", {"handle": self.window})
        return self.browser.call(method, path, parameters)


def _program(variable, name, package):
    path = os.environ.get(variable) or shutil.which(name)
    if path is None:
        raise Failure(f"there is no {name}: install Debian's {package}, or name it in ${variable}")
    return path


def _die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
