"""What a channel's thread costs in Echo(), in bench_floor.c and with an agent, side by side.

All in the same seconds, so that they share whatever the machine does meanwhile. The floor waits as
a call with an agent does, and does nothing else: what it costs above Echo() is Asterisk's and the
kernel's, and what an agent costs above the floor is the module's, with the caches that it shares
with the loop thread.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.bench_bed import Started
from testbed.bench_load import SETTLE_SECONDS, UP_SECONDS, channel_threads, place
from testbed.instance import Instance

CALLS = 60
"""Of each kind: together nearly as many as the most that are measured."""

KINDS = ("echo", "floor", "chunk20")
SOURCE = Path(__file__).with_name("bench_floor.c")
BUILD_SECONDS = 60.0
COMPILE = (
    *("gcc", "-std=gnu11", "-O2", "-g", "-fPIC", "-shared", "-pthread", "-Wall", "-Wextra"),
    *("-Wno-unused-parameter", "-Wno-missing-field-initializers", "-D_GNU_SOURCE"),
    *('-DAST_MODULE="bench_floor"', "-DAST_MODULE_SELF_SYM=__internal_bench_floor_self"),
)
NS_PER_US = 1000


@dataclass(frozen=True)
class Use:
    """What threads have used until now, all together."""

    ns: int
    """On a processor; the kernel's scheduler counts it exactly."""
    waits: int
    """How often they have waited, of their own will."""

    @classmethod
    def of(cls, pid: int, threads: set[int]) -> Use:
        """Read it of these threads of a process."""
        tasks = [Path(f"/proc/{pid}/task/{tid}") for tid in threads]
        statuses = [(task / "status").read_text(encoding="ascii") for task in tasks]
        return cls(
            sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks),
            sum(
                int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in statuses
            ),
        )


def side_by_side(bed: Started, calls: int = CALLS) -> dict[str, Any]:
    """Microseconds and waits of a channel's thread for a second of a call, by kind."""
    asterisk = bed.asterisk
    load(asterisk)
    threads: dict[str, set[int]] = {}
    with ExitStack() as stack:
        groups = []
        for number, kind in enumerate(KINDS):
            later = (len(KINDS) - number) * UP_SECONDS / len(KINDS)
            group = stack.enter_context(place(asterisk, kind, calls, bed.seconds + later))
            group.wait_up(UP_SECONDS)
            known = set().union(*threads.values())
            threads[kind] = channel_threads(asterisk) - known
            groups.append(group)
        time.sleep(SETTLE_SECONDS)
        before = {kind: Use.of(asterisk.pid, threads[kind]) for kind in KINDS}
        began = time.monotonic()
        time.sleep(bed.seconds)
        seconds = time.monotonic() - began
        after = {kind: Use.of(asterisk.pid, threads[kind]) for kind in KINDS}
        for group in groups:
            group.hangup_all()
            group.wait()
    asterisk.wait_no_channels()
    for group in groups:
        group.delete_files()
    found: dict[str, Any] = {"calls": calls}
    for kind in KINDS:
        share = len(threads[kind]) * seconds
        found[f"{kind}_us"] = round((after[kind].ns - before[kind].ns) / NS_PER_US / share, 1)
        found[f"{kind}_waits"] = round((after[kind].waits - before[kind].waits) / share, 1)
    return found


def load(asterisk: Instance) -> None:
    """Compile bench_floor.c for the Asterisk that is measured, and load it; once is enough."""
    if "bench_floor.so" in asterisk.cli("module show like bench_floor"):
        return
    target = asterisk.module_folder / "bench_floor.so"
    root = asterisk.root
    root.run(
        [*COMPILE, "-o", root.path(target), root.path(SOURCE)], timeout=BUILD_SECONDS, writable=True
    )
    asterisk.cli("module load bench_floor.so")
