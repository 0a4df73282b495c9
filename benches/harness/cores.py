"""Which core the servers run on, and which one makes the load."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Cores:
    server: int
    load: int

    @classmethod
    def available(cls):
        """The first two cores this process may use; the same one twice if there is no second."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(server=allowed[0], load=allowed[1] if len(allowed) > 1 else allowed[0])

    @property
    def shared(self):
        return self.server == self.load


def pin(core):
    """A function that pins the process calling it, for subprocess's preexec_fn."""
    return lambda: os.sched_setaffinity(0, {core})
