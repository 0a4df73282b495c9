"""What the command line decided, in one place."""

from dataclasses import dataclass, field

from .cores import Cores


@dataclass(frozen=True)
class Settings:
    rounds: int = 7
    seconds: float = 5.0  # per round
    warmup: float = 1.0  # seconds, before the first round of each server
    connections: int = 64
    soak_requests: int = 1_000_000  # per path
    soak_stages: int = 10
    check: bool = False  # any flaw is fatal; nothing is said about speed
    cores: Cores = field(default_factory=Cores.available)

    def for_check(self):
        """The shortest run that still goes through every line that a real one uses."""
        return Settings(
            rounds=1,
            seconds=0.3,
            warmup=0.1,
            connections=min(self.connections, 8),
            soak_requests=400,
            soak_stages=2,
            check=True,
            cores=self.cores,
        )
