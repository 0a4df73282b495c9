"""A contender that is running: started, waited for, and taken down with all its children."""

import os
import signal
import socket
import subprocess
import tempfile
import time

from .contender import HOST
from .cores import pin
from .http2 import HTTP1
from .process_tree import ProcessTree
from .trouble import Trouble

START_LIMIT = 30  # seconds until it accepts a connection
STOP_LIMIT = 15  # seconds between SIGTERM and SIGKILL


class Server:
    """Use it in a `with` statement: it runs inside and is gone after."""

    def __init__(self, contender, application, workers, core, protocol=HTTP1):
        self.contender = contender
        self.application = application
        self.workers = workers
        self.core = core
        self.protocol = protocol
        self.host = HOST
        self.port = None
        self.tree = None

    @property
    def name(self):
        return self.contender.name

    def __enter__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="pagi-bench-")
        # nginx's workers run as another user and need to enter.
        os.chmod(self._directory.name, 0o755)
        # Append mode, so that forget_log() can empty it while it is written.
        self._log = open(os.path.join(self._directory.name, "log"), "ab+")
        self.port = _free_port()
        path = self.contender.application(self.application)
        self._process = subprocess.Popen(
            self.contender.command(path, self.port, self.workers, self._directory.name, self.protocol),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=self._directory.name,
            start_new_session=True,
            preexec_fn=pin(self.core),
        )
        self.tree = ProcessTree(self._process.pid)
        try:
            self._wait_until_it_accepts()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._stop()
        self._log.close()
        self._directory.cleanup()

    def connections(self, wanted):
        return self.contender.connections(wanted, self.workers)

    def log_tail(self, size=2000):
        self._log.flush()
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - size))
        return self._log.read().decode("utf-8", "replace").strip()

    def forget_log(self):
        """Empties the log: a million failing requests would fill the disk."""
        self._log.truncate(0)

    def check_alive(self):
        status = self._process.poll()
        if status is not None:
            raise Trouble(f"{self.name} ended with status {status}; its last words:\n{self.log_tail()}")

    def _wait_until_it_accepts(self):
        deadline = time.monotonic() + START_LIMIT
        while True:
            self.check_alive()
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise Trouble(
                        f"{self.name} did not accept connections on {self.host}:{self.port} "
                        f"within {START_LIMIT} s; its last words:\n{self.log_tail()}"
                    ) from None
            time.sleep(0.05)

    def _stop(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=STOP_LIMIT)
            except subprocess.TimeoutExpired:
                pass
        # Whatever is left: a server that hung, or workers that outlived it.
        for pid in self.tree.alive():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._process.wait()


def _free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
