"""The container images: every step of both Dockerfiles is executed, and the results run as containers do.

usage: image.py
"""

import json
import shutil
import threading

from container import Builder, Container, copy_context
from machine import CACHE, TOP, Steps, bring_crates, bring_objects, run

# Leaves orphans behind: a child ends at once, its own child a moment later.
ORPHANS = r"""use strict;
use warnings;
use Future::AsyncAwait;
use Future::IO;
use POSIX ();

async sub app {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    if ($scope->{path} eq '/orphan') {
        my $child = fork // die "fork: $!";
        if (!$child) {
            my $grandchild = fork // POSIX::_exit(1);
            if (!$grandchild) { select undef, undef, undef, 0.2 }
            POSIX::_exit(0);
        }
        waitpid $child, 0;
    }
    await Future::IO->sleep(2) if $scope->{path} eq '/slow';
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body', body => "pid $$ of $<" });
}

\&app;
"""


def context():
    """What `docker build .` would send, and what cache mounts would bring: objects compiled already."""
    staged, sent = CACHE / "images" / "staged", CACHE / "images" / "context"
    for path in (staged, sent):
        shutil.rmtree(path, ignore_errors=True)
    run(TOP / "packaging/stage", staged)
    copy_context(staged, sent)
    bring_objects(sent / "target/debug")
    return sent


def defaults(steps, image):
    steps.equal(image.settings["user"], "10001:10001", "the image runs as a number that is not root's")
    container = Container(image)
    container.wait("the server answers", lambda: "PAGI is running" in container.get())
    steps.expect(True, "the welcome page answers on all addresses, with a read-only root")
    comm = container.enter("cat", "/proc/1/comm").stdout.strip()
    steps.equal(comm, "pagi-server", "the server is PID 1")
    owner = container.enter("stat", "-c", "%u:%g", "/proc/1").stdout.strip()
    steps.equal(owner, "10001:10001", "and not root")
    steps.expect(container.enter("touch", "/srv/app/x").returncode != 0, "nothing can be written to the image")
    steps.expect(container.healthy(), "the health check succeeds")
    steps.equal(container.enter("which", "gcc", "cargo").stdout, "", "no compiler is in the image")
    steps.equal(container.stop(), 0, "it stops on its stop signal with status 0")
    told = run("unshare", "--mount", "--pid", "--fork", "--propagation", "private", "env", "-i",
               *image.command(image.settings["health"]), check=False)
    steps.equal(told.returncode, 3, "without a server the health check fails")


def environment(steps, image):
    container = Container(image, {"PAGI_WORKERS": "3", "PAGI_LOG_LEVEL": "debug"})
    container.wait("three workers", lambda: container.healthy()
                   and len(json.loads(container.enter("pagictl", "status", "--json").stdout)["workers"]) == 3)
    steps.expect(True, "PAGI_WORKERS wins over the file")
    container.stop()


def pid_one(steps, image):
    application = image.root / "srv/test/app.pl"
    application.parent.mkdir(parents=True, exist_ok=True)
    application.write_text(ORPHANS)
    for workers in ("2", "0"):
        container = Container(image, {"PAGI_APP": "/srv/test/app.pl", "PAGI_WORKERS": workers})
        container.wait("the server answers", lambda it=container: it.get().startswith("pid"))
        for _ in range(20):
            container.get("/orphan")
        container.wait("orphans are collected", lambda it=container: not it.zombies(), 30)
        steps.expect(True, f"PID 1 collects orphans, with {workers} workers")
        told = container.enter("pagictl", "upgrade")
        steps.expect(told.returncode == 1 and "The container would end" in told.stderr, "an upgrade inside is refused",
                     told.stderr)
        answers = []
        slow = threading.Thread(target=lambda it=container: answers.append(it.get("/slow")))
        slow.start()
        container.wait("the slow request is there", lambda it=container: active(it) > 0, 30)
        status = container.stop()
        slow.join()
        steps.expect(answers[0].startswith("pid"), f"a request under way is finished before the end, with {workers} workers")
        steps.equal(status, 0, "and the end is a clean one")


def active(container):
    told = container.enter("pagictl", "status", "--json")
    if told.returncode != 0:
        return 0
    return sum(worker.get("active", 0) for worker in json.loads(told.stdout)["workers"])


def example(steps, builder):
    image = builder.build("my-app:latest", TOP / "examples/container/Dockerfile", TOP / "examples/container")
    container = Container(image)
    container.wait("the example answers", lambda: "Hello, Ada!" in container.get("/?name=Ada"))
    steps.expect(True, "the image of an application answers")
    container.stop()


def main():
    steps = Steps("image")
    builder = Builder("pagi")
    base = builder.base("debian:trixie-slim")
    # Steps here may have no way to crates.io.
    run("cargo", "fetch", "--locked", cwd=TOP)
    bring_crates(base.root)
    image = builder.build("pagi:latest", TOP / "Dockerfile", context(), {"PROFILE": "dev"})
    shutil.rmtree(image.root / "root/.cargo")
    print(f"image: {image.size() / 1e6:.0f} MB", flush=True)
    defaults(steps, image)
    environment(steps, image)
    pid_one(steps, image)
    example(steps, builder)
    print(f"image: {steps.number} expectations held; executed {len(builder.executed)} instructions", flush=True)


if __name__ == "__main__":
    main()
