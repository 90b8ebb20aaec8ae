"""What the module tells of its own delays, as histograms: `elevenlabs show stats buckets`.

Each line is one histogram since the engine started, with only the buckets that hold something:

    <name> <max_us>  <upper_us>:<count> <upper_us>:<count> ...

    before = read(asterisk)
    ...calls run...
    print(since(read(asterisk), before)["uplink"].percentile(0.99))      # milliseconds
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from testbed.instance import Instance

COMMAND = "elevenlabs show stats buckets"
NAMES = ("tick", "uplink", "downlink", "interruption", "gap")
US_PER_MS = 1000.0

_LINE = re.compile(r"^(\w+) +(\d+)((?: +\d+:\d+)*) *$", re.MULTILINE)
_BUCKET = re.compile(r"(\d+):(\d+)")


@dataclass(frozen=True)
class Histogram:
    """Counts by the upper edge of their bucket, in microseconds."""

    max_us: int
    buckets: Mapping[int, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.buckets.values())

    def percentile(self, share: float) -> float:
        """Return what this share of the values does not exceed, in ms; 0 of none.

        It is the upper edge of a bucket: never better than the truth.
        """
        wanted, seen = share * self.count, 0
        for upper, count in sorted(self.buckets.items()):
            seen += count
            if count and seen >= wanted:
                return min(upper, self.max_us) / US_PER_MS
        return 0.0

    def as_dict(self) -> dict[str, float]:
        """Return what a report says of it, in ms."""
        return {
            "count": self.count,
            "p50": self.percentile(0.5),
            "p99": self.percentile(0.99),
            "max": self.max_us / US_PER_MS,
        }


def read(asterisk: Instance) -> dict[str, Histogram] | None:
    """Return the histograms by name; None where the module has no such command."""
    return parse(asterisk.cli(COMMAND))


def parse(shown: str) -> dict[str, Histogram] | None:
    """Return the histograms that the command's answer holds, None if there are none."""
    found = {
        name: Histogram(int(most), {int(u): int(n) for u, n in _BUCKET.findall(buckets)})
        for name, most, buckets in _LINE.findall(shown)
        if name in NAMES
    }
    return found or None


def since(
    now: Mapping[str, Histogram] | None, before: Mapping[str, Histogram] | None
) -> dict[str, Histogram]:
    """Return what has been added, without those that nothing was added to.

    The largest value is known exactly if it is a new record; else it is the upper edge of the
    highest bucket that has grown.
    """
    result = {}
    for name, histogram in (now or {}).items():
        old = (before or {}).get(name, Histogram(0))
        grown = {u: n - old.buckets.get(u, 0) for u, n in histogram.buckets.items()}
        grown = {u: n for u, n in grown.items() if n > 0}
        if grown:
            result[name] = Histogram(min(max(grown), histogram.max_us), grown)
    return result
