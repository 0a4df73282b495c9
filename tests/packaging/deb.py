"""The life of the Debian package on a machine with a real systemd: installed, used, upgraded under load, removed, purged.

usage: deb.py SUITE...       bookworm (systemd 252, Perl 5.36) and trixie (systemd 257, Perl 5.40)
"""

import json
import pathlib
import re
import shutil
import sys

from machine import TOP, Box, Root, Steps, following, version

APP = """use strict;
use warnings;
use Future::AsyncAwait;

async sub app {{
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{{type}}\\n" if $scope->{{type}} ne 'http';
    await $send->({{ type => 'http.response.start', status => 200, headers => [[ 'content-type', 'text/plain' ]] }});
    await $send->({{ type => 'http.response.body', body => "{text}, worker of $<\\n" }});
}}

\\&app;
"""
BROKEN = "use strict;\nmy $missing = ;\n"
URL = "http://127.0.0.1:5000/"


def workers(box, socket="/run/pagi/control.sock"):
    told = box.call("pagictl", "--socket", socket, "status", "--json").stdout
    return json.loads(told)


def pids(box):
    return {worker["pid"] for worker in workers(box)["workers"]}


def replaced(box, before):
    """Waits until the workers of before are gone: they are listed while they finish what they have."""
    box.wait("the workers are replaced", lambda: not before & pids(box))


def install(box, steps, package):
    shutil.copy(package, box.path / "root")
    box.call("apt-get", "install", "-y", "--no-install-recommends", f"/root/{package.name}")
    steps.equal(box.call("systemctl", "is-enabled", "pagi", check=False).stdout.strip(), "disabled",
                "an installed service is not enabled by itself")
    box.call("systemctl", "enable", "--now", "pagi")
    steps.equal(box.show("pagi", "ActiveState"), "active", "systemctl enable --now pagi")
    steps.expect("PAGI is running" in box.get(URL), "the welcome page answers on the default port")
    status = workers(box)
    steps.equal(len(status["workers"]), 2, "two workers, says pagictl status")
    users = {box.call("ps", "-o", "user=", "-p", str(worker["pid"])).stdout.strip() for worker in status["workers"]}
    steps.equal(users, {"pagi"}, "they run as the user pagi")
    steps.equal(box.call("stat", "-c", "%U:%G %a", "/var/log/pagi/access.log").stdout.strip(), "pagi:pagi 640",
                "the access log belongs to pagi, and others cannot read it")
    pages = box.call("sh", "-c", "ls /usr/share/man/man1 /usr/share/man/man3 | grep -c -i pagi").stdout.strip()
    steps.expect(int(pages) > 50, f"{pages} manual pages are installed")
    documents(box, steps)
    hardening(box, steps)


def documents(box, steps):
    doc = box.path / "usr/share/doc/pagi"
    names = {path.name for path in (TOP / "docs").glob("*.md")}
    steps.equal({path.name for path in (doc / "docs").iterdir()}, names, f"{len(names)} documents are where README.md links to")
    # Those that need nothing but what the package depends on.
    for example in ("hello", "cgi"):
        told = box.call("pagi-server", "--check", f"/usr/share/doc/pagi/examples/{example}/app.pl", check=False)
        steps.equal(told.returncode, 0, f"the installed example {example} loads")
    steps.expect(box.call("test", "-x", "/usr/share/doc/pagi/examples/cgi/cgi-bin/guestbook", check=False).returncode == 0,
                 "and its scripts can be executed")
    for example in ("catalyst", "dancer2", "psgi-bridge"):
        steps.expect((doc / "examples" / example / "app.psgi").is_file(), f"the example {example} is installed")
    steps.expect((doc / "examples/mojolicious/app.pl").is_file(), "the example mojolicious is installed")
    listed = {entry["name"] for entry in json.loads((doc / "sbom.cdx.json").read_text())["components"]}
    steps.equal({"brotli", "mime_guess", "nix", "ratatui", "zstd"} - listed, set(), f"the SBOM lists {len(listed)} components")


def hardening(box, steps):
    told = box.call("systemd-analyze", "security", "--no-pager", "pagi.service").stdout
    level = re.search(r"Overall exposure level for pagi.service: ([0-9.]+)", told).group(1)
    steps.expect(float(level) <= 2.0, f"systemd-analyze security says {level}", told)
    steps.equal(box.show("pagi", "FileDescriptorStoreMax"), "1024", "systemd has a store for the listening sockets")
    steps.expect(int(box.show("pagi", "NFileDescriptorStore")) > 0, "and the server has put them there")


def reload(box, steps):
    box.write("/srv/app/app.pl", APP.format(text="first"))
    configuration = (box.path / "etc/pagi/pagi.toml").read_text()
    own = configuration.replace("/usr/share/pagi/welcome/app.pl", "/srv/app/app.pl")
    box.write("/etc/pagi/pagi.toml", own)
    box.call("systemctl", "restart", "pagi")
    steps.expect(box.get(URL).startswith("first, worker of "), "an application of one's own")
    before = pids(box)

    box.write("/srv/app/app.pl", APP.format(text="second"))
    box.call("systemctl", "reload", "pagi")
    steps.expect(box.get(URL).startswith("second"), "systemctl reload returns when the new code serves")
    replaced(box, before)
    steps.equal(len(pids(box)), 2, "every worker was replaced")

    box.write("/srv/app/app.pl", BROKEN)
    told = box.call("systemctl", "reload", "pagi", check=False)
    steps.expect(told.returncode != 0, "systemctl reload fails with broken code")
    log = box.call("journalctl", "-u", "pagi", "--no-pager", "-n", "40").stdout
    steps.expect("syntax error at /srv/app/app.pl line 2" in log, "the journal has Perl's message with file and line", log)
    steps.equal(box.show("pagi", "ActiveState"), "active", "the service is still active")
    steps.expect(box.get(URL).startswith("second"), "the old code keeps serving")
    told = box.call("pagictl", "--socket", "/run/pagi/control.sock", "reload", check=False)
    steps.expect(told.returncode == 1 and "syntax error" in told.stderr, "pagictl reload fails with the same message")

    box.write("/srv/app/app.pl", APP.format(text="third"))
    box.call("systemctl", "reload", "pagi")
    steps.expect(box.get(URL).startswith("third"), "and mended code is loaded")
    before = pids(box)
    box.call("pagictl", "--socket", "/run/pagi/control.sock", "restart")
    replaced(box, before)
    steps.equal(len(pids(box)), 2, "pagictl restart replaces the workers")
    return own


def instance(box, steps):
    box.write("/srv/shop/app.pl", APP.format(text="shop"))
    box.write("/etc/pagi/apps/shop.toml",
              'app = "/srv/shop/app.pl"\nlisten = ["127.0.0.1:5001"]\nworkers = 1\nenv = "production"\n')
    box.call("systemctl", "start", "pagi@shop")
    steps.expect(box.get("http://127.0.0.1:5001/").startswith("shop"), "pagi@shop serves its own application")


def rotate(box, steps):
    box.get(URL + "before-rotation")
    box.call("logrotate", "--force", "/etc/logrotate.d/pagi")

    def reopened():
        box.get(URL + "after-rotation")
        log = box.path / "var/log/pagi/access.log"
        return log.exists() and "after-rotation" in log.read_text()

    box.wait("the new access log is written", reopened)
    old = (box.path / "var/log/pagi/access.log.1").read_text()
    steps.expect("before-rotation" in old, "logrotate moved the access log and the server writes a new one")


def upgrade(box, steps, package, number, own):
    main = box.show("pagi", "MainPID")
    before = box.call("pagi-server", "--version").stdout
    box.call("rm", "-f", "/root/stop")
    shutil.copy(pathlib.Path(__file__).with_name("clients.py"), box.path / "root/clients.py")
    clients = box.start_call("python3", "/root/clients.py", "5000", "/root/stop")
    # Load before, while and after.
    log = box.path / "var/log/pagi/access.log"
    size = log.stat().st_size
    box.wait("there is load", lambda: log.stat().st_size > size + 50_000)
    shutil.copy(package, box.path / "root")
    told = box.call("dpkg", "--install", f"/root/{package.name}")
    steps.expect("pagi.service serves with the new version" in told.stdout, "the package hands the server over", told.stdout)
    steps.expect("pagi@shop.service serves with the new version" in told.stdout, "and the instance", told.stdout)
    size = log.stat().st_size
    box.wait("there is load after", lambda: log.stat().st_size > size + 50_000)
    box.write("/root/stop", "")
    output = clients.communicate(timeout=120)[0]
    counts = json.loads(output.strip().splitlines()[-1])
    steps.equal(list(counts), ["ok"], f"no request failed: {counts}")
    steps.expect(counts["ok"] > 1000, f"{counts['ok']} requests were answered meanwhile")
    after = box.call("pagi-server", "--version").stdout
    steps.expect(before != after and number in after, f"pagi-server --version says {after.strip()!r} after {before.strip()!r}")
    status = workers(box)
    steps.equal(status["version"], number, "the new version serves")
    steps.expect(box.show("pagi", "MainPID") != main, "systemd knows the new main process")
    steps.equal(box.show("pagi", "MainPID"), str(status["pid"]), "and it is the one that answers")
    steps.equal(box.show("pagi", "NRestarts"), "0", "systemd did not restart anything")
    steps.expect(box.get(URL).startswith("third"), "the application is the same")
    steps.equal((box.path / "etc/pagi/pagi.toml").read_text(), own, "the changed configuration file was kept")
    box.call("systemctl", "reload", "pagi")
    steps.equal(box.show("pagi", "ActiveState"), "active", "systemctl reload works with the successor")
    box.call("systemctl", "restart", "pagi")
    steps.expect(box.get(URL).startswith("third"), "and so does systemctl restart")


def crash(box, steps):
    main = box.show("pagi", "MainPID")
    box.call("kill", "-9", main)
    box.wait("the service is back", lambda: box.show("pagi", "ActiveState") == "active"
             and box.show("pagi", "MainPID") not in ("0", main))
    steps.expect(box.get(URL).startswith("third"), "a killed master is replaced")


def socket(box, steps):
    box.call("systemctl", "stop", "pagi")
    box.call("systemctl", "start", "pagi.socket")
    steps.equal(box.show("pagi", "ActiveState"), "inactive", "with pagi.socket the service starts later")
    steps.expect(box.get(URL).startswith("third"), "with the first connection, which is answered")
    box.call("systemctl", "stop", "pagi.socket", "pagi")
    box.call("systemctl", "start", "pagi")


def remove(box, steps):
    box.call("apt-get", "remove", "-y", "pagi")
    steps.equal(box.call("pgrep", "-c", "pagi-server", check=False).stdout.strip(), "0", "removal stops the servers")
    steps.expect((box.path / "etc/pagi/pagi.toml").exists(), "removal keeps the configuration")
    steps.expect(not (box.path / "usr/bin/pagi-server").exists(), "and removes the program")
    box.call("rm", "/etc/pagi/apps/shop.toml")
    box.call("apt-get", "purge", "-y", "pagi")
    told = box.call("sh", "-c", "find / -xdev \\( -path /root -o -path /srv -o -path /proc -o -path /sys -o -path /tmp "
                    "-o -path /var/lib/dpkg -o -path /var/log/journal -o -path /run/log -o -path /var/cache \\) -prune "
                    "-o -iname '*pagi*' -print").stdout.split()
    # systemd's own record of the last socket or start, not a file of the package.
    steps.equal(told, [], "after the purge nothing is left")
    listed = box.call("dpkg-query", "-W", "-f", "${Status}", "pagi", check=False).stdout
    steps.expect("installed" not in listed.replace("not-installed", ""), "dpkg has forgotten it", listed)
    failed = box.call("systemctl", "list-units", "--all", "--plain", "--no-legend", "pagi*").stdout
    steps.expect("failed" not in failed, "no failed unit stays behind", failed)


def lint(root, steps, package):
    told = root.call("lintian", "--allow-root", "--fail-on", "error,warning", "--info", f"/out/{package.name}", check=False)
    steps.expect(told.returncode == 0, "lintian is content", told.stdout + told.stderr)


def main(suite):
    steps = Steps(suite)
    root = Root(suite)
    old, new = version(), following(version())
    first = root.build_deb(old)
    lint(root, steps, first)
    second = root.build_deb(new)
    box = Box(suite, "deb")
    install(box, steps, first)
    own = reload(box, steps)
    instance(box, steps)
    rotate(box, steps)
    upgrade(box, steps, second, new, own)
    crash(box, steps)
    socket(box, steps)
    remove(box, steps)
    box.remove()
    print(f"{suite}: {steps.number} expectations held", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: deb.py SUITE...")
    for name in sys.argv[1:]:
        main(name)
