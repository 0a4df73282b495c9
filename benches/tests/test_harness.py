"""The parts that compute: parsing what Linux and wrk print, medians and ratios."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import http2
from harness.answer import Exchange
from harness.load import Traffic
from harness.process_tree import ProcessTree, Stat, parse_smaps_rollup
from harness.spread import Spread, ratios
from harness.table import Table, number
from harness.trouble import Trouble

WRK = """Running 1s test @ http://127.0.0.1:5000/
  1 threads and 8 connections
Requests/sec:  23148.26

BENCH {"requests":1000,"microseconds":500000,"bytes":140000,"connect":1,"read":2,"write":3,\
"timeout":4,"status":5,"examined":7,"wrong":6,"p50":126,"p99":361}
"""


H2LOAD = """finished in 1.00s, 4466.88 req/s, 170.69KB/s
requests: 2000 total, 2032 started, 2000 done, 1990 succeeded, 10 failed, 0 errored, 0 timeout
status codes: 1990 2xx, 0 3xx, 4 4xx, 6 5xx
traffic: 76.43KB (78260) total, 7.95KB (8138) headers (space savings 95.43%), 33.20KB (28000) data
"""


class H2Load(unittest.TestCase):
    def test_counts(self):
        traffic = http2.parse(H2LOAD, list(range(1, 201)), 1.0)
        self.assertEqual(traffic, Traffic(2000, 1.0, 28000, 0, 0, 10, 2000, 0, 101, 199))

    def test_output_without_summary_is_refused(self):
        with self.assertRaisesRegex(Trouble, "could not connect"):
            http2.parse("could not connect to host", [], 1)

    def test_latencies_are_those_of_answers(self):
        with tempfile.NamedTemporaryFile("w") as log:
            log.write("1700000000000000\t200\t300\n1700000000000001\t200\t100\n1700000000000002\t-1\t5\n")
            log.flush()
            self.assertEqual(http2.latencies(log.name), [100, 300])
        self.assertEqual(http2.latencies("/does/not/exist"), [])


class Wrk(unittest.TestCase):
    def test_counts(self):
        traffic = Traffic.parse(WRK)
        self.assertEqual(traffic, Traffic(1000, 0.5, 140000, 2, 8, 5, 7, 6, 126, 361))

    def test_output_without_summary_is_refused(self):
        with self.assertRaisesRegex(Trouble, "unable to connect"):
            Traffic.parse("unable to connect to 127.0.0.1:5000 Connection refused\n")

    def flaws(self, silent_close=False, status=200, **changes):
        clean = {"requests": 10, "seconds": 1, "bytes": 1400, "read_errors": 0,
                 "socket_errors": 0, "status_errors": 0, "examined": 0, "wrong": 0, "p50": 5, "p99": 9}
        exchange = Exchange(status=status)
        return Traffic(**{**clean, **changes}).flaws(exchange, 14, silent_close)

    def test_clean_traffic_has_no_flaws(self):
        self.assertEqual(self.flaws(), [])
        self.assertEqual(self.flaws(status=500, status_errors=10), [])
        self.assertEqual(self.flaws(silent_close=True, read_errors=10), [])

    def test_each_kind_of_flaw_is_found(self):
        for changes in (
            {"requests": 0},
            {"read_errors": 1},
            {"read_errors": 11, "silent_close": True},
            {"socket_errors": 1},
            {"status_errors": 1},
            {"status_errors": 9, "status": 500},
            {"wrong": 1, "examined": 1},
            {"bytes": 139},
            {"bytes": 50_000},
            {"p50": 0},
            {"p50": 10},
        ):
            with self.subTest(changes):
                self.assertEqual(len(self.flaws(**changes)), 1)


class Linux(unittest.TestCase):
    def test_stat_of_a_command_with_spaces_and_parentheses(self):
        text = "42 (a ) b (c)) S 7 42 40 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 99 1 1\n"
        self.assertEqual(Stat.parse(text), Stat(42, "S", 7, 40, 127))

    def test_smaps_rollup(self):
        text = "55c7b24e1000-7ffe31539000 ---p 00000000 00:00 0  [rollup]\nRss:  1696 kB\nPss: 429 kB\n"
        self.assertEqual(parse_smaps_rollup(text), {"Rss": 1696, "Pss": 429})

    def test_tree_counts_children_living_and_dead(self):
        burn = "$t = times; 1 while times() - $t < 0.15;"
        script = (
            f"if (!fork) {{ {burn} exit }} wait;"  # a dead child
            f"if (!fork) {{ {burn} print qq(ready\\n); close STDOUT; sleep 60 }} sleep 60;"
        )
        process = subprocess.Popen(
            ["perl", "-e", "$| = 1;" + script], stdout=subprocess.PIPE, start_new_session=True
        )
        tree = ProcessTree(process.pid)
        try:
            process.stdout.readline()
            memory = tree.memory()
            self.assertEqual(len(tree.alive()), 2)
            self.assertEqual(memory.processes, 2)
            self.assertGreater(memory.rss, memory.pss)
            self.assertGreaterEqual(memory.pss, memory.private)
            self.assertGreaterEqual(tree.cpu_seconds(), 0.28)
        finally:
            os.killpg(process.pid, 9)
            process.wait()
            process.stdout.close()


class Numbers(unittest.TestCase):
    def test_spread(self):
        self.assertEqual(Spread.of([3, 1, 2, 9]), Spread(2.5, 1, 9))

    def test_ratios_are_of_the_same_round(self):
        self.assertEqual(ratios([10, None, 30, 8], [5, 2, None, 2]), [2, 4])

    def test_number(self):
        self.assertEqual([number(v) for v in (None, 0.5, 12.34, 1234.5)],
                         ["–", "0.50", "12.3", "1234"])

    def test_table(self):
        table = Table("server", "µs")
        table.add("ours", 12)
        self.assertEqual(table.markdown(), "| server |  µs |\n| ------ | --: |\n| ours   |  12 |")
        with self.assertRaises(ValueError):
            table.add("ours")


if __name__ == "__main__":
    unittest.main()
