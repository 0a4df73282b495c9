"""What packages are made of, as far as it can be checked without building one."""

import json
import pathlib
import re
import subprocess
import tempfile
import tomllib
import unittest

import yaml

TOP = pathlib.Path(__file__).resolve().parents[3]
FILES = TOP / "packaging" / "files"
UNITS = TOP / "systemd"


def run(*command):
    return subprocess.run([str(word) for word in command], cwd=TOP, capture_output=True, text=True, check=False)


def options():
    told = run(TOP / "target/debug/pagi-server", "--help")
    return set(re.findall(r"--([a-z][a-z0-9-]+)", told.stdout))


class Versions(unittest.TestCase):
    def test_there_is_one(self):
        version = run("packaging/version").stdout.strip()
        self.assertEqual(version, tomllib.loads((TOP / "Cargo.toml").read_text())["workspace"]["package"]["version"])
        chart = yaml.safe_load((TOP / "helm/pagi/Chart.yaml").read_text())
        self.assertEqual((chart["version"], chart["appVersion"]), (version, version))


class Units(unittest.TestCase):
    def test_an_instance_differs_in_its_names_only(self):
        text = (UNITS / "pagi.service").read_text()
        for old, new in [
            ("Description=PAGI application server", "Description=PAGI application %i"),
            ("/etc/pagi/pagi.toml", "/etc/pagi/apps/%i.toml"),
            ("/etc/pagi/pagi.env", "/etc/pagi/apps/%i.env"),
            ("/run/pagi/control.sock", "/run/pagi-%i/control.sock"),
            ("RuntimeDirectory=pagi", "RuntimeDirectory=pagi-%i"),
            ("StateDirectory=pagi", "StateDirectory=pagi/%i"),
            ("WorkingDirectory=/var/lib/pagi", "WorkingDirectory=/var/lib/pagi/%i"),
            ("# Writable: /var/lib/pagi,", "# Writable: /var/lib/pagi/%i,"),
            ("/var/log/pagi, /run/pagi, and", "/var/log/pagi, /run/pagi-%i, and"),
        ]:
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        self.assertEqual((UNITS / "pagi@.service").read_text(), text)

    def test_exposure_is_at_most_two(self):
        for unit in ("pagi.service", "pagi@.service"):
            told = run("systemd-analyze", "security", "--offline=true", "--no-pager", UNITS / unit)
            level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told.stdout)
            self.assertLessEqual(float(level.group(1)), 2.0, told.stdout)

    def test_it_waits_longer_than_the_server_drains(self):
        unit = (UNITS / "pagi.service").read_text()
        stop = int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE).group(1))
        told = run(TOP / "target/debug/pagi-server", "--help").stdout
        drain = int(re.search(r"--shutdown-timeout.*?\[default: (\d+)\]", told, re.DOTALL).group(1))
        self.assertGreater(stop, drain)

    def test_the_socket_is_the_address_that_is_configured(self):
        socket = (UNITS / "pagi.socket").read_text()
        stream = re.search(r"^ListenStream=(.*)$", socket, re.MULTILINE).group(1)
        self.assertIn(stream, tomllib.loads((FILES / "pagi.toml").read_text())["listen"])


class Configurations(unittest.TestCase):
    def test_every_key_is_an_option(self):
        known = options()
        for name in ("pagi.toml", "container.toml"):
            for key in tomllib.loads((FILES / name).read_text()):
                self.assertIn(key.replace("_", "-"), known, name)


class Dependencies(unittest.TestCase):
    """Every Perl module that a development machine gets is one that all packages ask for."""

    def setUp(self):
        names = (TOP / "packaging/apt/run.txt").read_text().split()
        self.perl = {name for name in names if re.match(r"lib.*-perl$", name)}
        self.assertGreater(len(self.perl), 5)

    def test_debian(self):
        control = (TOP / "packaging/debian/control").read_text()
        for name in self.perl:
            self.assertRegex(control, rf"(?m)^ {name},$")

    def test_image(self):
        last = (TOP / "Dockerfile").read_text().split("FROM ")[-1]
        for name in self.perl:
            self.assertIn(f" {name} ", last)


class Licences(unittest.TestCase):
    """What is linked is in the SBOM and has its licence beside it."""

    def setUp(self):
        with tempfile.TemporaryDirectory() as directory:
            told = run("packaging/licences", directory, "--locked")
            self.assertEqual(told.returncode, 0, told.stderr)
            self.components = json.loads((pathlib.Path(directory) / "sbom.cdx.json").read_text())["components"]
            self.texts = (pathlib.Path(directory) / "THIRD-PARTY").read_text()

    def test_every_dependency_of_the_server_is_listed(self):
        listed = {entry["name"] for entry in self.components}
        seen = 0
        for crate in ("server-core", "perl-runtime", "supervisor"):
            for name, wanted in tomllib.loads((TOP / crate / "Cargo.toml").read_text())["dependencies"].items():
                package = wanted.get("package", name) if isinstance(wanted, dict) else name
                self.assertIn(package, listed, crate)
                seen += 1
        self.assertGreater(seen, 20)

    def test_every_component_of_others_has_a_line_in_the_texts(self):
        table = self.texts[:self.texts.index("=" * 78)]
        lines = {line.split()[0] for line in table.splitlines()[2:] if line}
        self.assertEqual({entry["name"] for entry in self.components if not entry["name"].startswith("pagi-")}, lines)


class Chart(unittest.TestCase):
    def setUp(self):
        self.values = yaml.safe_load((TOP / "helm/pagi/values.yaml").read_text())

    def test_the_readme_fits_the_values(self):
        told = run("packaging/helm-readme", "--check")
        self.assertEqual(told.returncode, 0, told.stderr)

    def test_the_schema_knows_every_value(self):
        schema = yaml.safe_load((TOP / "helm/pagi/values.schema.json").read_text())
        self.assertEqual(set(schema["properties"]) - {"global"}, set(self.values))

    def test_the_keys_of_its_configuration_are_options(self):
        for key in self.values["config"]:
            self.assertIn(key.replace("_", "-"), options())


if __name__ == "__main__":
    unittest.main()
