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


EXACT_BITS = 4
"""Each power of two is cut into so many buckets, as a power of two: see core/histogram.h."""


def _width(upper_us: int) -> int:
    """What the bucket with this upper edge spans, in microseconds."""
    return 1 << max(0, upper_us.bit_length() - EXACT_BITS - 1)


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

        Within its bucket by proportion, as if the values there lay evenly. Where they grow rarer
        with length, which is so in the tail, that is a little too long.
        """
        wanted, seen = share * self.count, 0
        for upper, count in sorted(self.buckets.items()):
            if count and seen + count >= wanted:
                within = _width(upper) * (1 - (wanted - seen) / count)
                return min(upper - within, self.max_us) / US_PER_MS
            seen += count
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
