"""How many branches the tests named after a module take, of those that decide about a call.

Others may pass through a module by chance: they do not count.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.timing import SECOND

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 100 * SECOND

DECIDING = ("conversation/protocol", "conversation/heard", "service/endings", "service/settings")
"""What a message or an end means: all branches."""

CARRYING_OUT = {"conversation/session": 93, "conversation/tools": 97}
"""What is done about it, in percent: the rest needs a network that fails at the right moment."""

ALSO = {"conversation/session": "tests/unit/test_queue.py"}
"""A file of a module's tests that has another name."""


def run(*arguments: str, data: Path) -> None:
    command = [sys.executable, "-m", "coverage", arguments[0], f"--data-file={data}"]
    done = subprocess.run(
        [*command, *arguments[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "floors",
    [
        pytest.param(dict.fromkeys(DECIDING, 100), id="deciding"),
        pytest.param(CARRYING_OUT, id="carrying out", marks=pytest.mark.slow),
    ],
)
def test_branches_are_taken(tmp_path: Path, floors: dict[str, int]) -> None:
    data = tmp_path / "coverage"
    files = {module: f"pyconvai/{module}.py" for module in floors}
    tests = [f"tests/unit/test_{Path(module).name}.py" for module in floors]
    tests += [ALSO[module] for module in floors if module in ALSO]
    pytest_and_plugin = ("-m", "pytest", "-q", "-p", "tests.unit.traced_threads")
    include = f"--include={','.join(files.values())}"
    run("run", "--branch", include, *pytest_and_plugin, *tests, data=data)
    for module, percent in floors.items():
        shown = (f"--include={files[module]}", f"--fail-under={percent}", "--show-missing")
        run("report", *shown, data=data)
