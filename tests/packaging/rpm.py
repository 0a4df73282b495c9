"""The life of the RPM package: built, installed, upgraded under load and erased with rpm's own database and scriptlets, on
a machine with a real systemd. The machine is a Debian with rpm, because no RPM distribution can be had here: the names
of Fedora's packages are provided by one made for the test, after each of them was seen to exist.

usage: rpm.py
"""

import json
import re
import shutil

from deb import APP, BROKEN, URL, workers
from machine import HERE, QUICK, TARGET, TOP, Box, Root, Steps, following, version

SUITE = "trixie"
PROVIDER = """Name: debian-provides
Version: 1
Release: 1
Summary: What this machine has, under the names of RPM distributions
License: none
BuildArch: noarch
{provides}
%description
Made for a test.
%files
"""
# What shows that a package of another distribution would be there.
COMMANDS = {"shadow-utils": "useradd", "systemd": "systemctl"}


def build(root, number):
    print(f"building {number} as an rpm", flush=True)
    root.put_source(number)
    # What was compiled for the Debian package is used again.
    root.call(*QUICK, f"CARGO_TARGET_DIR=/{TARGET}", "/src/packaging/build-rpm", "/out")
    return next((root.path / "out").glob(f"pagi-{number}-*.x86_64.rpm"))


def exists(box, requirement):
    """Whether what a package asks for is really there."""
    name = requirement.split()[0]
    if match := re.fullmatch(r"perl\((.+)\)", name):
        return box.call("perl", "-e", f"require {match.group(1)}", check=False).returncode == 0
    if match := re.match(r"([^()]+\.so[.0-9]*)\(", name):
        return match.group(1) in box.call("ldconfig", "-p").stdout
    if name.startswith("/"):
        return box.call("test", "-e", name, check=False).returncode == 0
    command = COMMANDS.get(name)
    return command is not None and box.call("sh", "-c", f"command -v {command}", check=False).returncode == 0


def provide(box, steps, package):
    asked = box.call("rpm", "-qp", "--requires", f"/root/{package.name}").stdout.splitlines()
    asked = sorted({line.strip() for line in asked if line.strip() and not line.startswith(("rpmlib(", "rtld(", "config("))})
    missing = [line for line in asked if not exists(box, line)]
    steps.equal(missing, [], f"each of {len(asked)} requirements is on the machine")
    steps.expect(any(line.startswith("libperl.so.5.") for line in asked), "the libperl it was built with is one of them")
    refused = box.call("rpm", "-i", f"/root/{package.name}", check=False)
    steps.expect(refused.returncode != 0 and "Failed dependencies" in refused.stderr, "rpm asks for dependencies")
    names = [line if "(" not in line or ">=" in line else line.split()[0] for line in asked]
    provides = "\n".join(f"Provides: {name.replace('>=', '=')}" for name in names if not name.startswith("/"))
    provides += "".join(f"\nProvides: {name}" for name in names if name.startswith("/")) + "\nProvides: rtld(GNU_HASH)"
    box.write("/root/provider.spec", PROVIDER.format(provides=provides))
    box.call("rpmbuild", "-bb", "--define", "_topdir /root/provider", "/root/provider.spec")
    box.call("sh", "-c", "rpm -i /root/provider/RPMS/noarch/*.rpm")


def install(box, steps, package):
    provide(box, steps, package)
    told = box.call("rpm", "-i", f"/root/{package.name}")
    steps.equal(told.stderr.strip(), "", "rpm -i says nothing")
    steps.equal(box.call("rpm", "-V", "pagi", check=False).stdout.strip(), "", "rpm -V finds every file as packaged")
    files = set(box.call("rpm", "-ql", "pagi").stdout.split())
    wanted = {f"/usr/share/doc/pagi/docs/{path.name}" for path in (TOP / "docs").glob("*.md")}
    wanted |= {f"/usr/share/doc/pagi/examples/{name}/app.psgi" for name in ("catalyst", "dancer2", "psgi-bridge")}
    wanted |= {f"/usr/share/doc/pagi/examples/{name}/app.pl" for name in ("hello", "mojolicious", "cgi")}
    wanted |= {f"/usr/share/doc/pagi/{name}" for name in ("README.md", "NEWS.md", "THIRD-PARTY", "sbom.cdx.json")}
    steps.equal(wanted - files, set(), f"{len(wanted)} documents, examples and lists are among its {len(files)} files")
    steps.expect(box.call("id", "pagi").stdout.startswith("uid="), "the scriptlet made the user")
    steps.equal(box.call("stat", "-c", "%U %a", "/var/lib/pagi").stdout.strip(), "pagi 750", "and the state directory")
    box.call("systemctl", "enable", "--now", "pagi")
    steps.expect("PAGI is running" in box.get(URL), "the service runs from it")
    box.write("/srv/app/app.pl", APP.format(text="mine"))
    own = (box.path / "etc/pagi/pagi.toml").read_text().replace("/usr/share/pagi/welcome/app.pl", "/srv/app/app.pl")
    box.write("/etc/pagi/pagi.toml", own)
    box.call("systemctl", "restart", "pagi")
    steps.expect(box.get(URL).startswith("mine"), "with an application of one's own")
    box.write("/srv/app/app.pl", BROKEN)
    steps.expect(box.call("systemctl", "reload", "pagi", check=False).returncode != 0, "reload fails with broken code")
    box.write("/srv/app/app.pl", APP.format(text="mine"))
    return own


def upgrade(box, steps, package, number, own):
    shutil.copy(HERE / "clients.py", box.path / "root/clients.py")
    log = box.path / "var/log/pagi/access.log"
    size = log.stat().st_size
    before = box.call("pagi-server", "--version").stdout
    clients = box.start_call("python3", "/root/clients.py", "5000", "/root/stop")
    box.wait("there is load", lambda: log.stat().st_size > size + 50_000)
    told = box.call("rpm", "-U", f"/root/{package.name}")
    steps.expect("pagi.service serves with the new version" in told.stdout, "rpm -U hands the server over", told.stdout)
    size = log.stat().st_size
    box.wait("there is load after", lambda: log.stat().st_size > size + 50_000)
    box.write("/root/stop", "")
    counts = json.loads(clients.communicate(timeout=120)[0].strip().splitlines()[-1])
    steps.equal(list(counts), ["ok"], f"no request failed: {counts}")
    after = box.call("pagi-server", "--version").stdout
    steps.expect(before != after and number in after, f"pagi-server --version says {after.strip()!r} after {before.strip()!r}")
    steps.equal(workers(box)["version"], number, "the new version serves")
    steps.equal((box.path / "etc/pagi/pagi.toml").read_text(), own, "%config(noreplace): the changed file was kept")
    steps.equal(box.call("rpm", "-q", "--queryformat", "%{VERSION}\n", "pagi").stdout.strip(), number, "one version is installed")


def erase(box, steps):
    box.call("rpm", "-e", "pagi")
    steps.equal(box.call("pgrep", "-c", "pagi-server", check=False).stdout.strip(), "0", "rpm -e stops the server")
    left = [name for name in ("usr/bin/pagi-server", "usr/share/pagi", "usr/lib/systemd/system/pagi.service",
                              "etc/systemd/system/multi-user.target.wants/pagi.service") if (box.path / name).is_symlink()
            or (box.path / name).exists()]
    steps.equal(left, [], "and removes program, library and units")
    steps.expect((box.path / "etc/pagi/pagi.toml.rpmsave").exists(), "the changed configuration is kept as .rpmsave")


def main():
    steps = Steps("rpm")
    root = Root(SUITE)
    old, new = version(), following(version())
    packages = [build(root, old), build(root, new)]
    box = Box(SUITE, "rpm", ["rpm"])
    for package in packages:
        shutil.copy(package, box.path / "root")
    install_own = install(box, steps, packages[0])
    upgrade(box, steps, packages[1], new, install_own)
    erase(box, steps)
    box.remove()
    print(f"rpm: {steps.number} expectations held", flush=True)


if __name__ == "__main__":
    main()
