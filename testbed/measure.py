"""What a process costs: CPU, memory, threads, descriptors.

    window = CpuWindow(asterisk.pid)
    ...calls run...
    print(window.percent())            # of one core, since the window was opened

    before = asterisk.counters()
    ...
    assert asterisk.counters().grown_since(before) == {}

CPU is user plus system time of the whole process, as the scheduler counts it, in ns; what
/proc/PID/stat has is cut to ticks of 10 ms, too coarse for a few calls and seconds. On a shared
machine a figure only means something as a multiple of the same figure for Echo(), taken in the same
run: see `testbed.echo`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

NS_PER_SECOND = 1e9


@dataclass(frozen=True)
class Counters:
    """What must be as before once all calls are over (memory: roughly)."""

    channels: int
    descriptors: int
    threads: int
    rss_kb: int
    pss_kb: int
    anonymous_kb: int
    """Memory that is this process's alone. PSS moves with others that map the same libraries."""

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
        anonymous_kb=_kilobytes(proc / "smaps_rollup", "Anonymous"),
    )


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used, user and system, in seconds.

    Raises OSError when it has ended.
    """
    return time.clock_gettime(~pid << 3 | 2)  # as clock_getcpuclockid(3) makes it


def ready_seconds(pid: int) -> float:
    """Return how long a process's first thread has been ready to run, and had no processor."""
    waited = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]
    return int(waited) / NS_PER_SECOND


def thread_seconds(pid: int) -> dict[int, tuple[str, float]]:
    """Return the name and the CPU seconds of each of a process's threads, by thread id."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text(encoding="ascii", errors="replace").rstrip("\n")
            used = (task / "schedstat").read_text(encoding="ascii").split()[0]
        except OSError:
            continue  # it has just ended
        found[int(task.name)] = (name, int(used) / NS_PER_SECOND)
    return found


class ThreadWindow:
    """The CPU use of a process's threads from one moment on.

    Threads that begin or end meanwhile count only in `CpuWindow`, which has the whole process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._before, self._time = thread_seconds(pid), time.monotonic()

    def percent(self, group: Callable[[int, str], str]) -> dict[str, float]:
        """Return the use since the window was opened, in percent of one core, by group.

        group: the group of a thread, given its id and its name.
        """
        elapsed = time.monotonic() - self._time
        sums: dict[str, float] = {}
        for tid, (name, seconds) in thread_seconds(self.pid).items():
            if tid in self._before and elapsed > 0:
                used = 100.0 * (seconds - self._before[tid][1]) / elapsed
                sums[group(tid, name)] = sums.get(group(tid, name), 0.0) + used
        return sums


class CpuWindow:
    """The CPU use of a process from one moment on."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._cpu, self._ready, self._time = cpu_seconds(pid), ready_seconds(pid), time.monotonic()

    def percent(self) -> float:
        """Return the use since the window was opened, in percent of one core."""
        elapsed = time.monotonic() - self._time
        return 100.0 * (cpu_seconds(self.pid) - self._cpu) / elapsed if elapsed > 0 else 0.0

    def ready_percent(self) -> float:
        """Return for how much of that time its first thread was ready, and had no processor.

        A process of one thread whose `percent` and this are 100 together never was idle.
        """
        elapsed = time.monotonic() - self._time
        return 100.0 * (ready_seconds(self.pid) - self._ready) / elapsed if elapsed > 0 else 0.0


def _kilobytes(path: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) if found else 0
