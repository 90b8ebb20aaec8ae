"""What a process costs: CPU, memory, threads, descriptors.

    window = CpuWindow(asterisk.pid)
    ...calls run...
    print(window.percent())            # of one core, since the window was opened

    before = asterisk.counters()
    ...
    assert asterisk.counters().grown_since(before) == {}

CPU is user plus system time of the whole process. On a shared machine a figure only means something
as a multiple of the same figure for Echo(), taken in the same run: see `testbed.echo`.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Counters:
    """What must be as before once all calls are over (memory: roughly)."""

    channels: int
    descriptors: int
    threads: int
    rss_kb: int
    pss_kb: int

    def grown_since(self, before: Counters) -> dict[str, int]:
        """Return which of channels, descriptors and threads have grown, and by how much."""
        now, then = asdict(self), asdict(before)
        names = ("channels", "descriptors", "threads")
        return {name: now[name] - then[name] for name in names if now[name] > then[name]}


def process_counters(pid: int, channels: int = 0) -> Counters:
    """Read the counters of a process."""
    proc = Path(f"/proc/{pid}")
    return Counters(
        channels=channels,
        descriptors=len(list((proc / "fd").iterdir())),
        threads=len(list((proc / "task").iterdir())),
        rss_kb=_kilobytes(proc / "smaps_rollup", "Rss"),
        pss_kb=_kilobytes(proc / "smaps_rollup", "Pss"),
    )


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used, user and system, in seconds."""
    # The name in field 2 may hold spaces and parentheses: count from the last one.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    after_name = fields.rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / CLOCK_TICKS


class CpuWindow:
    """The CPU use of a process from one moment on."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._cpu, self._time = cpu_seconds(pid), time.monotonic()

    def percent(self) -> float:
        """Return the use since the window was opened, in percent of one core."""
        elapsed = time.monotonic() - self._time
        return 100.0 * (cpu_seconds(self.pid) - self._cpu) / elapsed if elapsed > 0 else 0.0


def _kilobytes(path: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) if found else 0
