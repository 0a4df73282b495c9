"""Machines to try packages on: build roots and boxes with a real systemd, kept between runs below $PAGI_PACKAGE_CACHE."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
CACHE = pathlib.Path(os.environ.get("PAGI_PACKAGE_CACHE", pathlib.Path.home() / ".cache" / "pagi-packages"))

BUILD = [
    "apparmor", "build-essential", "ca-certificates", "cargo-web", "debhelper", "dh-apparmor", "fakeroot", "libperl-dev",
    "lintian", "perl", "python3", "rpm", "rustc-web",
]


def run(*command, check=True, **options):
    """Runs a command; its output is shown when it fails."""
    told = subprocess.run([str(word) for word in command], text=True, capture_output=True, check=False, **options)
    if check and told.returncode != 0:
        shown = " ".join(str(word) for word in command)
        sys.exit(f"{shown} failed with {told.returncode}:\n{told.stdout[-6000:]}\n{told.stderr[-6000:]}")
    return told


def version():
    return run(TOP / "packaging/version").stdout.strip()


def following(number):
    """The next patch version."""
    first, last = number.rsplit(".", 1)
    return f"{first}.{int(last) + 1}"


def dependencies():
    """What the Debian package depends on, from its control file."""
    text = (TOP / "packaging/debian/control").read_text()
    section = text[text.index("Package: pagi\n"):]
    names = re.findall(r"^ ([a-z0-9+.-]+)(?::any)?,$", section[:section.index("Suggests:")], re.MULTILINE)
    return names


# The same code, compiled sooner: these tests are about packages, not about speed.
QUICK = ["env", "PROFILE=dev", "CARGO_NET_OFFLINE=true"]
TARGET = "src/target/deb/source/target"


class Root:
    """A root directory in which packages are built."""

    def __init__(self, suite):
        self.suite = suite
        self.path = CACHE / "roots" / f"build-{suite}"
        if not self.path.exists():
            print(f"making a {suite} to build in", flush=True)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            run("unshare", "--mount", "--propagation", "private", "mmdebstrap", "--quiet", "--variant=minbase",
                "--include=" + ",".join([*BUILD, *dependencies()]), suite, self.path)

    def call(self, *command, check=True):
        return run(HERE / "enter", self.path, *command, check=check)

    def put_source(self, number):
        """Copies the sources to /src, with their crates, as the release with this number. /src/target is kept."""
        source = self.path / "src"
        source.mkdir(exist_ok=True)
        for entry in source.iterdir():
            if entry.name != "target":
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        run(TOP / "packaging/stage", source)
        self.fetch()
        current = version()
        for name in ("Cargo.toml", "Cargo.lock", "helm/pagi/Chart.yaml"):
            path = source / name
            text = path.read_text()
            if name == "Cargo.lock":
                text = re.sub(rf'(name = "pagi-[a-z-]+"\nversion = )"{re.escape(current)}"', rf'\1"{number}"', text)
            else:
                text = text.replace(current, number)
            stamp = path.stat()
            path.write_text(text)
            os.utime(path, (stamp.st_atime, stamp.st_mtime))

    def fetch(self):
        """Fetches the crates on this machine, as the root may have no way out, and brings what is compiled already."""
        run("cargo", "fetch", "--locked", cwd=TOP)
        bring_crates(self.path)
        debug = self.path / TARGET / "debug"
        if self.has_our_compiler() and not debug.exists():
            bring_objects(debug)

    def has_our_compiler(self):
        """Whether what this machine has compiled can be used in the root."""
        return pathlib.Path.home() == pathlib.Path("/root") and self.call("rustc", "-vV").stdout == run("rustc", "-vV").stdout

    def build_deb(self, number):
        """Builds the package of a version, and returns its file."""
        print(f"building {number} for {self.suite}", flush=True)
        self.put_source(number)
        self.call(*QUICK, "/src/packaging/build-deb", "--keep", "/out")
        return next((self.path / "out").glob(f"pagi_{number}+*.deb"))


def bring_crates(root):
    """Copies the crates that this machine has fetched into a root."""
    (root / "root/.cargo").mkdir(exist_ok=True)
    run("cp", "-au", pathlib.Path.home() / ".cargo/registry", root / "root/.cargo")


def bring_objects(debug):
    """Copies what this machine has compiled into a target directory: cargo takes what fits and compiles the rest."""
    (debug / "deps").mkdir(parents=True)
    for name in (".fingerprint", "build"):
        run("cp", "-a", TOP / "target/debug" / name, debug)
    for path in (TOP / "target/debug/deps").iterdir():
        # Libraries of others: ours are compiled anew, because they are in another place.
        if path.suffix in (".rlib", ".rmeta", ".so", ".d") and "pagi_" not in path.name:
            shutil.copy2(path, debug / "deps")


class Box:
    """A machine with a real systemd."""

    def __init__(self, suite, purpose, extra=()):
        template = CACHE / "roots" / f"box-{suite}"
        if not template.exists():
            print(f"making a {suite} with systemd", flush=True)
            template.parent.mkdir(parents=True, exist_ok=True)
            run(HERE / "box", "create", template, suite, ",".join(["logrotate", *dependencies()]))
        self.path = CACHE / "roots" / f"{purpose}-{suite}"
        self.remove()
        run("cp", "-a", "--reflink=auto", template, self.path)
        if extra:
            run(HERE / "enter", self.path, "apt-get", "update", "-qq")
            run(HERE / "enter", self.path, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *extra)
        run(HERE / "box", "start", self.path)

    def remove(self):
        if self.path.exists():
            run(HERE / "box", "stop", self.path, check=False)
            mounted = run("findmnt", "--list", "--noheadings", "--output", "TARGET").stdout.split()
            if any(target.startswith(str(self.path)) for target in mounted):
                sys.exit(f"{self.path} has mounts; it is not removed")
            shutil.rmtree(self.path)

    def call(self, *command, check=True):
        return run(HERE / "box", "exec", self.path, *command, check=check)

    def start_call(self, *command):
        """Starts a command and returns the process."""
        return subprocess.Popen([HERE / "box", "exec", self.path, *command], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def write(self, name, text, mode=0o644):
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def get(self, url, check=True):
        return self.call("curl", "--silent", "--show-error", "--max-time", "20", "--fail", url, check=check).stdout

    def show(self, unit, prop):
        return self.call("systemctl", "show", "--property", prop, "--value", unit).stdout.strip()

    def wait(self, what, condition, seconds=90):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                log = self.call("journalctl", "--no-pager", "-n", "60", check=False).stdout
                sys.exit(f"not within {seconds} s: {what}\n{log}")
            time.sleep(0.2)
        return value


class Steps:
    """Counts what was shown."""

    def __init__(self, title):
        self.title = title
        self.number = 0

    def expect(self, condition, what, detail=""):
        self.number += 1
        if not condition:
            sys.exit(f"not ok {self.number} - {self.title}: {what}\n{detail}")
        print(f"ok {self.number} - {self.title}: {what}", flush=True)

    def equal(self, found, expected, what):
        self.expect(found == expected, what, f"found {found!r}, expected {expected!r}")
