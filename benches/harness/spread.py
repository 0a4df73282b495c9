"""The middle of several rounds, and how far they lie apart."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        values = list(values)
        return cls(statistics.median(values), min(values), max(values))


def ratios(values, reference):
    """values / reference round by round; rounds that either side lacks (None) are left out."""
    return [
        value / base
        for value, base in zip(values, reference)
        if value is not None and base is not None and base > 0
    ]
