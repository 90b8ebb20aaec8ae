"""How many branches the tests named after a module take, of those that decide about a call.

Others may pass through a module by chance: they do not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

from tests.timing import SCALE, SECOND, only_in_full

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 600 * SECOND
TRACED = 3
"""How much slower everything is while it is traced."""

DECIDING = (
    "conversation/protocol",
    "conversation/admission",
    "conversation/sent",
    "conversation/heard",
    "service/endings",
    "service/settings",
)
"""What a message or an end means: all branches."""

CARRYING_OUT = {
    "conversation/session": 93,
    "conversation/tools": 97,
    "conversation/steps": 97,
    "conversation/channel_tools": 100,
    "conversation/events": 94,
    "conversation/spoken": 95,
}
"""What is done about it, in percent: the rest needs a network that fails at the right moment."""

MORE = {
    "conversation/session": (
        "tests/unit/test_hold.py",
        "tests/unit/test_queue.py",
        "tests/unit/test_steps.py",
        "tests/unit/test_python_tools.py",
        "tests/unit/test_events.py",
    ),
    "conversation/tools": ("tests/unit/test_jobs.py",),
}
"""Tests of a module that stand in a file of their own."""

WITH = {"admission": "protocol", "sent": "protocol", "spoken": "events"}
"""Modules that are tested with another one."""


@pytest.mark.parametrize(
    "floors",
    [
        pytest.param(dict.fromkeys(DECIDING, 100), id="deciding", marks=pytest.mark.slow),
        pytest.param(
            CARRYING_OUT, id="carrying out", marks=only_in_full("runs 300 calls again, traced")
        ),
    ],
)
@pytest.mark.limit(LIMIT_SECONDS / SECOND)
def test_branches_are_taken(tmp_path: Path, floors: dict[str, int]) -> None:
    data, report = tmp_path / "coverage", tmp_path / "report"
    files = {module: f"pyconvai/{module}.py" for module in floors}
    names = [Path(module).name for module in floors]
    tests = [f"tests/unit/test_{name}.py" for name in names if name not in WITH]
    tests += [test for module in floors for test in MORE.get(module, ())]
    command = ["coverage", "run", f"--data-file={data}", "--branch"]
    command += [f"--include={','.join(files.values())}"]
    command += ["-m", "pytest", "-q", "-p", "tests.unit.traced_threads", *tests]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=os.environ
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "CONVAI_TIME_SCALE": str(SCALE * TRACED)},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = coverage.Coverage(data_file=str(data))
    found.load()
    found.json_report(outfile=str(report))
    measured = json.loads(report.read_text())["files"]
    for module, percent in floors.items():
        of_file = measured[files[module]]
        missing = of_file["missing_lines"], of_file["missing_branches"]
        assert of_file["summary"]["percent_covered"] >= percent, (module, *missing)
