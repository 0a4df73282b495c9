"""The servers that can be compared: whether they are here, and how each is started.

All of them keep connections open as long as the client does: the limits on
requests per connection or per worker are lifted, because a reconnect or a new
worker now and then would be measured along with the requests.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass

from .http2 import H2, H2C, HTTP1
from .load import FILE_SIZE, pattern
from .trouble import Trouble

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "perl-runtime", "lib")
APPS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "apps")
UNLIMITED = "1000000000"
CONNECTIONS = "15000"  # more than any scenario opens
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Contender:
    """A server product. `name` is its name on the command line and in tables."""

    name: str
    suffix: str  # of its application files
    program: str
    modules: tuple = ()  # Perl modules that must be loadable
    packages: str = ""  # where Debian has it
    silent_close: bool = False  # ends each connection after one answer, without announcing it
    unfit: tuple = ()  # applications it has a file for and cannot run
    speaks: tuple = (HTTP1,)

    def application(self, name):
        return os.path.join(APPS, name + self.suffix)

    def has(self, name):
        return name not in self.unfit and os.path.exists(self.application(name))

    def missing(self):
        """Why this server cannot be started here, or ''."""
        if not shutil.which(self.program):
            return f"{self.name}: no {self.program} (Debian: {self.packages})"
        for module in self.modules:
            loads = subprocess.run(
                ["perl", f"-M{module}", "-e", "1"], capture_output=True, check=False
            )
            if loads.returncode != 0:
                return f"{self.name}: Perl module {module} does not load (Debian: {self.packages})"
        return ""

    def command(self, application, port, workers, directory, protocol=HTTP1):
        raise NotImplementedError

    def connections(self, wanted, workers):
        """How many connections it can serve at the same time, at most `wanted`."""
        return wanted


@dataclass(frozen=True)
class Ours(Contender):
    how: tuple = ()  # further options

    def missing(self):
        if not os.access(self.program, os.X_OK):
            return f"{self.name}: {self.program} is not an executable file"
        return ""

    def command(self, application, port, workers, directory, protocol=HTTP1):
        how = ["--http2", "--h2-max-requests", "0"] if protocol == H2C else []
        if protocol == H2:
            certificate, key = _certificate(directory)
            how = ["--ssl-cert", certificate, "--ssl-key", key, "--h2-max-requests", "0"]
        if os.path.basename(application) == "static.pl":
            # A directory of its own: nothing else of this run is to be served.
            folder = os.path.join(directory, "static")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, "file"), "wb") as file:
                file.write(pattern(FILE_SIZE))
            how += ["--static", f"/={folder}"]
        return [
            self.program, "--workers", str(workers), "--no-access-log", "--max-connections", CONNECTIONS,
            "--port", str(port), *self.how, *how, application,
        ]


class Starman(Contender):
    def command(self, application, port, workers, directory, protocol=HTTP1):
        return [
            # Some of our examples are one file for both kinds of servers.
            self.program, "-I", LIBRARY, "--listen", f"{HOST}:{port}", "--workers", str(workers),
            "--preload-app", "--max-requests", UNLIMITED, "--env", "deployment", application,
        ]

    def connections(self, wanted, workers):
        # A worker stays with one connection until that is idle; any more
        # would wait in the backlog for the whole round.
        return min(wanted, workers)


class Nginx(Contender):
    def command(self, application, port, workers, directory, protocol=HTTP1):
        with open(application, encoding="utf-8") as file:
            text = file.read()
        values = {"PORT": port, "WORKERS": workers, "DIRECTORY": directory, "LISTEN": "", "TLS": ""}
        if protocol == H2C:
            values["LISTEN"] = "http2"
        if protocol == H2:
            certificate, key = _certificate(directory)
            values |= {"LISTEN": "ssl http2", "TLS": f"ssl_certificate {certificate}; ssl_certificate_key {key};"}
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        with open(os.path.join(directory, "file"), "wb") as file:
            file.write(pattern(FILE_SIZE))
        path = os.path.join(directory, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return [self.program, "-e", "stderr", "-p", directory, "-c", path]


class Mojo(Contender):
    """Mojolicious::Lite under its own servers; prefork is hypnotoad without hot deployment."""

    def command(self, application, port, workers, directory, protocol=HTTP1):
        if workers == 1:
            # Connections that are idle for 30 s would be closed.
            how = ["daemon", "--clients", CONNECTIONS, "--inactivity-timeout", "0"]
        else:
            how = [
                "prefork", "--workers", str(workers), "--accepts", "0",
                "--pid-file", os.path.join(directory, "prefork.pid"),
            ]
        return [
            self.program, application, *how, "-m", "production",
            "--requests", UNLIMITED, "--listen", f"http://{HOST}:{port}",
        ]


class Hypercorn(Contender):
    def command(self, application, port, workers, directory, protocol=HTTP1):
        how = []
        if protocol == H2:
            certificate, key = _certificate(directory)
            how = ["--certfile", certificate, "--keyfile", key]
        return [
            self.program, "--bind", f"{HOST}:{port}", "--workers", str(workers), "--worker-class", "asyncio",
            "--log-level", "error", *how, f"{application}:app",
        ]


class Uvicorn(Contender):
    """Debian's, with the fast loop and parser, and the library websockets."""

    def missing(self):
        loads = subprocess.run(
            [self.program, "-c", "import uvicorn, uvloop, httptools, websockets"], capture_output=True, check=False
        )
        return f"{self.name}: does not load (Debian: {self.packages})" if loads.returncode else ""

    def command(self, application, port, workers, directory, protocol=HTTP1):
        module = os.path.basename(application).removesuffix(".py")
        return [
            self.program, "-B", "-m", "uvicorn", "--host", HOST, "--port", str(port), "--workers", str(workers),
            "--loop", "uvloop", "--http", "httptools", "--ws", "websockets", "--ws-ping-interval", UNLIMITED,
            "--lifespan", "off", "--no-access-log", "--log-level", "warning",
            "--app-dir", os.path.dirname(application), f"{module}:app",
        ]


class Feersum(Contender):
    def command(self, application, port, workers, directory, protocol=HTTP1):
        fork = [] if workers == 1 else [f"--pre-fork={workers}"]
        return [
            self.program, "-s", "Feersum", "-E", "deployment",
            "--listen", f"{HOST}:{port}", *fork, application,
        ]


class Floor(Contender):
    """A C program that makes the system calls which every server has to make, and nothing else."""

    def command(self, application, port, workers, directory, protocol=HTTP1):
        program = os.path.join(directory, "floor")
        subprocess.run([self.program, "-O2", "-o", program, application], check=True)
        return [program, str(port)]


def _certificate(directory):
    """A self-signed certificate for this run; TLS costs the same with any."""
    certificate, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        capture_output=True, check=False, text=True,
    )
    if made.returncode != 0:
        raise Trouble(f"openssl made no certificate:\n{made.stderr.strip()}")
    return certificate, key


def _under_starman(name, suffix, *modules, packages):
    return Starman(name, suffix, "starman", ("Starman", *modules), f"starman, {packages}")


PEERS = {
    peer.name: peer
    for peer in (
        Starman("starman", ".psgi", "starman", ("Starman",), "starman"),
        Feersum(
            "feersum", ".psgi", "plackup", ("Feersum", "EV"), "libplack-perl, libfeersum-perl",
            # Version 1.41 (Debian 12) has no keep-alive and sends no `Connection: close`.
            silent_close=True,
            # Many dying requests corrupt its heap ("corrupted size vs. prev_size").
            unfit=("soak",),
        ),
        # The same work without the framework or the middleware that a scenario is about.
        _under_starman("starman-bare", ".bare.psgi", packages="libplack-perl"),
        _under_starman("dancer2", ".dancer2.psgi", "Dancer2", packages="libdancer2-perl"),
        Mojo("mojo", ".mojo.pl", "perl", ("Mojolicious",), "libmojolicious-perl"),
        Nginx("nginx", ".nginx.conf", "nginx", (), "nginx-light", speaks=(HTTP1, H2C, H2)),
        Floor("floor", ".floor.c", "cc", (), "gcc"),
        Hypercorn("hypercorn", "_asgi.py", "hypercorn", (), "none; hypercorn from PyPI on the PATH", speaks=(H2C, H2)),
        Uvicorn(
            "uvicorn", "_asgi.py", "/usr/bin/python3",
            packages="python3-uvicorn, python3-uvloop, python3-httptools, python3-websockets",
        ),
    )
}


def ours(program):
    """Ours; and where a scenario asks for it, ours with the same work written against the protocol, or in a pool process."""
    path = os.path.abspath(program)
    every = (HTTP1, H2C, H2)
    return [
        Ours("ours", ".pl", path, speaks=every),
        Ours("ours-bare", ".bare.pl", path, speaks=every),
        Ours("ours-pool", ".pool.psgi", path, how=("--pool", "1")),
    ]
