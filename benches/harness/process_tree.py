"""CPU time and memory of a server: the started process and everything below it."""

import os
from dataclasses import dataclass

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Stat:
    """The fields of /proc/PID/stat that matter here (proc(5))."""

    pid: int
    state: str
    parent: int
    session: int
    ticks: int  # utime + stime + cutime + cstime

    @classmethod
    def parse(cls, text):
        # The command name stands in parentheses and may itself hold spaces and
        # parentheses, so the fields are counted from the last one.
        head, tail = text.rsplit(")", 1)
        fields = tail.split()
        return cls(
            pid=int(head.split(" ", 1)[0]),
            state=fields[0],
            parent=int(fields[1]),
            session=int(fields[3]),
            ticks=sum(int(field) for field in fields[11:15]),
        )


@dataclass(frozen=True)
class Memory:
    """Sums over a process tree, in KiB. Rss counts a shared page once per process, Pss once."""

    processes: int
    rss: int
    pss: int
    private: int


class ProcessTree:
    """Descendants of a process, and members of its session.

    The session catches workers whose parent has exited (a double fork) on a
    server that does not make itself their subreaper.
    """

    def __init__(self, root):
        self.root = root

    def stats(self):
        everything = {stat.pid: stat for stat in _all_stats()}
        children = {}
        for stat in everything.values():
            children.setdefault(stat.parent, []).append(stat.pid)
        found = {pid for pid, stat in everything.items() if stat.session == self.root}
        queue = [self.root, *found]
        while queue:
            pid = queue.pop()
            if pid in everything:
                found.add(pid)
            queue.extend(child for child in children.get(pid, []) if child not in found)
        return [everything[pid] for pid in sorted(found)]

    def cpu_seconds(self):
        """User and system time so far.

        Times of dead children are counted by their parent (cutime, cstime), so
        a worker that is replaced during a round stays in the sum.
        """
        return sum(stat.ticks for stat in self.stats()) / TICKS_PER_SECOND

    def memory(self):
        processes = rss = pss = private = 0
        for stat in self.stats():
            sizes = _smaps_rollup(stat.pid)
            if not sizes:
                continue
            processes += 1
            rss += sizes["Rss"]
            pss += sizes["Pss"]
            private += sizes["Private_Clean"] + sizes["Private_Dirty"]
        return Memory(processes, rss, pss, private)

    def alive(self):
        return [stat.pid for stat in self.stats() if stat.state not in "ZX"]


def parse_smaps_rollup(text):
    """The sizes of /proc/PID/smaps_rollup by name, in KiB."""
    sizes = {}
    for line in text.splitlines()[1:]:
        name, _, value = line.partition(":")
        sizes[name] = int(value.split()[0])
    return sizes


def _smaps_rollup(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return parse_smaps_rollup(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return {}  # a zombie, or gone since the tree was listed


def _all_stats():
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                yield Stat.parse(file.read())
        except (FileNotFoundError, ProcessLookupError):
            continue
