"""Builds images from Dockerfiles and runs containers of them without a container engine: steps are executed in root
directories made by mmdebstrap, containers are processes in namespaces of their own.

What an engine does differently: layers, user namespaces, seccomp profile, cgroup limits, published ports.
"""

import fnmatch
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

import dockerfile
from machine import CACHE, HERE, run

# Mount and process namespaces as an engine makes them: the root is read-only, /tmp is memory, and the command is PID 1.
START = """
root=$1; shift
ip link set lo up
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
exec env -i "$@"
"""


def ignored(name, patterns):
    """Whether .dockerignore leaves a file out; the last pattern that fits decides."""
    out = False
    for pattern in patterns:
        kept = pattern.startswith("!")
        bare = pattern.lstrip("!").strip("/")
        parts = name.split("/")
        fits = any(fnmatch.fnmatch("/".join(parts[:count]), bare) for count in range(1, len(parts) + 1))
        if bare.startswith("**/"):
            fits = fits or any(fnmatch.fnmatch(part, bare[3:]) for part in parts)
        if fits:
            out = not kept
    return out


def copy_context(source, destination):
    """Copies what is sent to a builder."""
    ignore = source / ".dockerignore"
    patterns = ignore.read_text().split() if ignore.exists() else []
    for path in sorted(source.rglob("*")):
        name = str(path.relative_to(source))
        if path.is_file() and not ignored(name, patterns):
            target = destination / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)


class Image:
    """A root directory and how to run it."""

    def __init__(self, root, settings=None):
        self.root = root
        self.settings = settings or {"env": {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                                     "user": "0:0", "workdir": "/", "entrypoint": [], "cmd": [], "health": None,
                                     "signal": "SIGTERM"}

    def command(self, words):
        """The words with the image's environment, directory and user, as arguments of env(1)."""
        user, _, group = self.settings["user"].partition(":")
        assignments = [f"{key}={value}" for key, value in self.settings["env"].items()]
        switch = ["setpriv", f"--reuid={user}", f"--regid={group or user}", "--clear-groups", "--"]
        return [*assignments, "chroot", str(self.root), "env", f"--chdir={self.settings['workdir']}", *switch, *words]

    def size(self):
        """Bytes on disk."""
        return int(run("du", "--summarize", "--bytes", self.root).stdout.split()[0])


class Builder:
    """Executes Dockerfiles."""

    def __init__(self, purpose):
        self.place = CACHE / "images" / purpose
        self.known = {}
        self.executed = []
        self.arguments = {}

    def base(self, name):
        if name in self.known:
            return self.known[name]
        if not (name.startswith("debian:") and name.endswith("-slim")):
            sys.exit(f"no root can be made for the image {name}")
        suite = name[len("debian:"):-len("-slim")]
        root = CACHE / "roots" / f"image-{suite}"
        if not root.exists():
            root.parent.mkdir(parents=True, exist_ok=True)
            run("unshare", "--mount", "--propagation", "private", "mmdebstrap", "--quiet", "--variant=minbase", suite, root)
        return Image(root)

    def build(self, name, path, context, arguments=None):
        """Builds the image NAME from a Dockerfile; the arguments are those of --build-arg."""
        image = None
        self.arguments = arguments or {}
        for number, stage in enumerate(dockerfile.stages(path.read_text())):
            base = self.base(stage.image)
            root = self.place / f"{name.split(':')[0]}-{number}"
            shutil.rmtree(root, ignore_errors=True)
            root.parent.mkdir(parents=True, exist_ok=True)
            run("cp", "-a", "--reflink=auto", base.root, root)
            image = Image(root, {**json.loads(json.dumps(base.settings)), "arguments": {}})
            if stage.name:
                self.known[stage.name] = image
            for step in stage.instructions:
                self.step(image, step, context)
        self.known[name] = image
        return image

    def step(self, image, step, context):
        print(f"  {step.name} {step.text[:90]}", flush=True)
        self.executed.append(step.name)
        settings = image.settings
        if step.name == "RUN":
            words = ["/bin/sh", "-c", step.text]
            given = [f"{key}={value}" for key, value in settings["arguments"].items()]
            run(HERE / "enter", image.root, "env", "-i", *given, *inside(image, words))
        elif step.name == "COPY":
            self.copy(image, step, context)
        elif step.name == "ENV":
            settings["env"].update(dockerfile.assignments(step.text))
        elif step.name == "ARG":
            for key, value in dockerfile.assignments(step.text):
                settings["arguments"][key] = self.arguments.get(key, value)
        elif step.name == "WORKDIR":
            settings["workdir"] = step.text
            (image.root / step.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif step.name == "USER":
            settings["user"] = "0:0" if step.text == "root" else step.text
        elif step.name in ("ENTRYPOINT", "CMD"):
            settings[step.name.lower()] = step.words
        elif step.name == "HEALTHCHECK":
            settings["health"] = step.words
        elif step.name == "STOPSIGNAL":
            settings["signal"] = step.text
        elif step.name not in ("LABEL", "EXPOSE"):
            sys.exit(f"line {step.line}: {step.name} cannot be executed here")

    def copy(self, image, step, context):
        *sources, target = shlex.split(step.text)
        origin = self.known[step.flags["from"]].root if "from" in step.flags else context
        place = image.root / (target if target.startswith("/") else f"{image.settings['workdir']}/{target}").lstrip("/")
        for source in sources:
            path = pathlib.Path(f"{origin}/{source.lstrip('/')}")
            if path.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                run("cp", "-a", f"{path}/.", place)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                run("cp", "-a", path, place)
        run("chown", "-R", "0:0", place) if "from" not in step.flags else None


def inside(image, words):
    """As Image.command, for a process that is in the root already."""
    user, _, group = image.settings["user"].partition(":")
    assignments = [f"{key}={value}" for key, value in {**image.settings["env"], "DEBIAN_FRONTEND": "noninteractive"}.items()]
    switch = ["setpriv", f"--reuid={user}", f"--regid={group or user}", "--clear-groups", "--"]
    return [*assignments, "env", f"--chdir={image.settings['workdir']}", *switch, *words]


class Container:
    """A running image: read-only root, no network but its own loopback, its command is PID 1."""

    def __init__(self, image, environment=None, arguments=None):
        self.image = Image(image.root, {**image.settings, "env": {**image.settings["env"], **(environment or {})}})
        words = [*image.settings["entrypoint"], *(arguments or image.settings["cmd"])]
        self.log = pathlib.Path(f"{image.root}.log")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
                 "--propagation", "private", "sh", "-c", START, "start", str(image.root), *self.image.command(words)],
                stdout=log, stderr=subprocess.STDOUT)
        self.pid = self.wait("the container starts", self.find)

    def find(self):
        found = run("pgrep", "-P", self.process.pid, check=False).stdout.split()
        return found[0] if found else None

    def enter(self, *words, check=False):
        """Runs a command in the container, as `docker exec`."""
        return run("nsenter", "--target", self.pid, "--mount", "--pid", "--net", "--ipc", "--uts", "--", "env", "-i",
                   *self.image.command(words), check=check)

    def get(self, path="/", port=5000):
        told = run("nsenter", "--target", self.pid, "--net", "--", "curl", "--silent", "--max-time", "20",
                   f"http://127.0.0.1:{port}{path}", check=False)
        return told.stdout

    def wait(self, what, condition, seconds=90):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"not within {seconds} s: {what}\n{self.log.read_text()}")
            time.sleep(0.2)
        return value

    def healthy(self):
        """Whether the health check of the image succeeds."""
        return self.enter(*self.image.settings["health"]).returncode == 0

    def zombies(self):
        """Processes of the container that nobody has collected."""
        states = self.enter("sh", "-c", "cat /proc/[0-9]*/stat").stdout.splitlines()
        return [line for line in states if line.rpartition(")")[2].split()[0] == "Z"]

    def stop(self):
        """Sends the stop signal, and returns the exit status."""
        run("kill", f"-{self.image.settings['signal'][3:]}", self.pid)
        return self.process.wait(timeout=60)
