"""bench --check as a program: quiet with a right server, loud with a wrong one."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.join(os.path.dirname(HERE), "bench")
DOUBLE = os.path.join(HERE, "pagi-server-double")


def bench(*arguments, lie=""):
    return subprocess.run(
        [sys.executable, BENCH, *arguments],
        env={**os.environ, "LIE": lie},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def check(lie):
    return bench("--check", "hello", "--ours", DOUBLE, "--peers", "none", lie=lie)


class CheckOfAServer(unittest.TestCase):
    def test_right_answers_pass(self):
        result = check(lie="")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("ok hello: ours", result.stdout)

    def test_wrong_answers_fail_with_a_reason(self):
        reasons = {
            "wrong-body": "ours answered GET / wrongly",
            "wrong-status": "with status 404, expected 200",
            "truncated": "gave no complete answer",
            "never-starts": "the application does not compile",
            "exits": "ended with status 7",
            "errors-under-load": "answers had a status above 399",
            "redirects-under-load": "had another status",
            "padded-under-load": "had another status or length",
            "drops-under-load": "connections ended early or unannounced",
        }
        for lie, reason in reasons.items():
            with self.subTest(lie):
                result = check(lie)
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertIn(reason, result.stderr)
                self.assertNotIn("ok hello", result.stdout)
                self.assertNotIn("Traceback", result.stderr)


class Results(unittest.TestCase):
    def run_hello(self, lie=""):
        with tempfile.NamedTemporaryFile() as file:
            result = bench(
                "hello", "--ours", DOUBLE, "--peers", "none", "--rounds", "2", "--seconds", "0.2",
                "--connections", "2", "--markdown", file.name, lie=lie,
            )
            return result, file.read().decode()

    def test_medians_are_printed_and_written(self):
        result, written = self.run_hello()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(written, r"\| ours +\| +2/2 \| +[0-9.]+ \| ")
        self.assertIn(written.strip(), result.stdout)

    def test_rounds_with_errors_are_named_and_not_used(self):
        result, written = self.run_hello(lie="errors-after-warming-up")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(written, r"\| ours +\| +0/2 \| +– \| ")
        self.assertIn("Round 1 of ours is not used", written)


class CommandLine(unittest.TestCase):
    def test_mistakes_are_explained(self):
        for arguments, reason in {
            ("nonsense",): "there is no scenario 'nonsense'",
            (): "which scenario?",
            ("hello", "--peers", "apache"): "there is no peer 'apache'",
            ("hello", "--rounds", "0"): "must be more than 0, not 0",
            ("hello", "--ours", "/nowhere", "--peers", "none"): "/nowhere is not an executable file",
            ("hello", "--ours", "none", "--peers", "none"): "no server to run",
        }.items():
            with self.subTest(arguments):
                result = bench(*arguments)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(reason, result.stderr)
                self.assertNotIn("Traceback", result.stderr)


if __name__ == "__main__":
    unittest.main()
