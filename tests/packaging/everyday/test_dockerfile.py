"""Lints the Dockerfiles. The rules are those of hadolint that apply here, each with its number there."""

import pathlib
import re
import subprocess
import sys
import unittest

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests" / "packaging"))

import dockerfile  # noqa: E402

FILES = [TOP / "Dockerfile", TOP / "examples" / "container" / "Dockerfile"]
KNOWN = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL", "USER", "WORKDIR",
}
ONCE = {"CMD", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL"}


def findings(text):
    """What is wrong with a Dockerfile, as (rule, line)."""
    found = []
    stages = dockerfile.stages(text)
    for stage in stages:
        seen = set()
        if ":" not in stage.image and stage.image != "scratch":
            found.append(("DL3006 an image without a tag", 0))
        for step in stage.instructions:
            found += [(rule, step.line) for rule in check(step)]
            if step.name in seen & ONCE:
                found.append(("DL4003 given twice", step.line))
            seen.add(step.name)
        users = [step.text for step in stage.instructions if step.name == "USER"]
        if stage is stages[-1] or users:
            if not users or re.match(r"(root|0)\b", users[-1]):
                found.append(("DL3002 the last user is root", 0))
            elif not re.match(r"\d+(:\d+)?$", users[-1]):
                found.append(("Kubernetes cannot see that a named user is not root", 0))
    return found


def check(step):
    if step.name not in KNOWN:
        yield "unknown instruction, or ADD (DL3020) or MAINTAINER (DL4000)"
    if step.name in ("CMD", "ENTRYPOINT") and step.words is None:
        yield "DL3025 not in JSON form: a shell would be PID 1 and swallow signals"
    if step.name == "HEALTHCHECK" and step.words is None:
        yield "a health check through a shell"
    if step.name == "WORKDIR" and not step.text.startswith("/"):
        yield "DL3000 a relative WORKDIR"
    if step.name == "RUN":
        yield from check_run(step.text)
    if step.name == "ENV" and re.search(r"(PASSWORD|SECRET|TOKEN|KEY)\s*=", step.text):
        yield "a secret in the image"


def check_run(text):
    if re.search(r"\b(sudo|su)\b", text):
        yield "DL3004 sudo"
    if re.search(r"\bapt (install|update)", text):
        yield "DL3027 apt is for people; apt-get"
    if re.search(r"\bcd /", text):
        yield "DL3003 cd; WORKDIR"
    if "apt-get install" in text:
        if not re.search(r"apt-get install[^&]*(--yes|-y\b)", text):
            yield "DL3014 apt-get install would ask"
        if not re.search(r"apt-get install[^&]*--no-install-recommends", text):
            yield "DL3015 apt-get install without --no-install-recommends"
        if "rm -rf /var/lib/apt/lists" not in text:
            yield "DL3009 the lists of apt stay in the layer"
        if not re.search(r"apt-get update && apt-get install", text):
            yield "install without update in the same layer"
    if "apt-get upgrade" in text or "dist-upgrade" in text:
        yield "DL3005 apt-get upgrade"
    if re.search(r"[^|]\|[^|]", text) and "pipefail" not in text:
        yield "DL4006 a pipe hides failures"
    if re.search(r"\b(curl|wget)\b", text):
        yield "something fetched that nothing verifies"


class Lint(unittest.TestCase):
    def test_our_files_are_clean(self):
        for path in FILES:
            with self.subTest(path):
                self.assertEqual(findings(path.read_text()), [])

    def test_the_lint_finds_mistakes(self):
        bad = {
            "FROM debian\nUSER 1\n": "DL3006",
            "FROM debian:12\nUSER root\n": "DL3002",
            "FROM debian:12\nRUN true\n": "DL3002",
            "FROM debian:12\nUSER pagi\n": "Kubernetes",
            "FROM debian:12\nCMD pagi-server\nUSER 1\n": "DL3025",
            "FROM debian:12\nWORKDIR srv\nUSER 1\n": "DL3000",
            "FROM debian:12\nADD x /x\nUSER 1\n": "DL3020",
            "FROM debian:12\nRUN apt-get update && apt-get install -y perl && rm -rf /var/lib/apt/lists/*\nUSER 1\n": "DL3015",
            "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends perl\nUSER 1\n": "DL3009",
            "FROM debian:12\nRUN apt install perl\nUSER 1\n": "DL3027",
            "FROM debian:12\nRUN true | false\nUSER 1\n": "DL4006",
            "FROM debian:12\nCMD [\"a\"]\nCMD [\"b\"]\nUSER 1\n": "DL4003",
            "FROM debian:12\nENV DB_PASSWORD=x\nUSER 1\n": "a secret",
        }
        for text, expected in bad.items():
            with self.subTest(text):
                rules = [rule for rule, _ in findings(text)]
                self.assertTrue(any(expected in rule for rule in rules), rules)

    def test_scripts_in_run_steps_are_clean_shell(self):
        for path in FILES:
            for stage in dockerfile.stages(path.read_text()):
                for step in stage.instructions:
                    if step.name == "RUN":
                        told = subprocess.run(["sh", "-n", "-c", step.text], capture_output=True, text=True, check=False)
                        self.assertEqual(told.returncode, 0, told.stderr)


class OurImage(unittest.TestCase):
    def setUp(self):
        self.stages = dockerfile.stages(FILES[0].read_text())
        self.last = {step.name: step for step in self.stages[-1].instructions}

    def test_it_has_two_stages_and_the_last_has_no_compiler(self):
        self.assertEqual([stage.name for stage in self.stages], ["build", ""])
        runs = " ".join(step.text for step in self.stages[-1].instructions if step.name == "RUN")
        self.assertNotRegex(runs, r"\b(gcc|cargo|rustc|cargo-web|rustc-web|libperl-dev)\b")

    def test_signal_and_health_check(self):
        self.assertEqual(self.last["STOPSIGNAL"].text, "SIGTERM")
        self.assertEqual(self.last["HEALTHCHECK"].words, ["pagictl", "status"])

    def test_files_that_are_copied_exist(self):
        for path in FILES:
            for stage in dockerfile.stages(path.read_text()):
                for step in stage.instructions:
                    if step.name == "COPY" and "from" not in step.flags:
                        for source in step.text.split()[:-1]:
                            self.assertTrue((path.parent / source).exists(), source)


if __name__ == "__main__":
    unittest.main()
