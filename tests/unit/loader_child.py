"""Brings engines in that may hang, for test_loader.py, and tells how that went as JSON.

    python3 -m tests.unit.loader_child LIMIT_MS FOLDER...

A process of its own, ended at once: the threads of what hangs stay behind in it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tests.timing import EVENT
from tests.unit.test_loader import LIMIT_MS, Module, loader

SETTLE_SECONDS = EVENT
"""For loops to end that were given up; each gets a second before it is interrupted."""

IDLE_SECONDS = 0.2


def running(folders: list[Path]) -> list[str]:
    """The engines whose loops run, of those that were not taken."""
    names = [f"{loader.package_name(str(folder))}.core._core" for folder in folders]
    return [name for name in names if name in sys.modules and sys.modules[name].engine_running()]


def idle_cpu_share() -> float:
    """The share of a processor that is used while nothing is to be done."""
    began, cpu = time.monotonic(), time.process_time()
    time.sleep(IDLE_SECONDS)
    return (time.process_time() - cpu) / (time.monotonic() - began)


def main() -> None:
    """Print one JSON document."""
    limit_ms, folders = int(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    module = Module()
    answers, refused = [], []
    for folder in folders:
        began, error = time.monotonic(), ""
        try:
            module.bring_in(folder, LIMIT_MS if folder.name.endswith("good") else limit_ms)
        except RuntimeError as refusal:
            error = str(refusal)
            refused.append(folder)
        answers.append({"error": error, "seconds": time.monotonic() - began})
    until = time.monotonic() + SETTLE_SECONDS
    while (running(refused) or idle_cpu_share() > 0.5) and time.monotonic() < until:
        time.sleep(0.01)
    found = {"running": running(refused), "idle_cpu_share": idle_cpu_share()}
    print(json.dumps({"answers": answers, **found}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
