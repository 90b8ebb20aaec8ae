"""Every branch of the files that decide what a message or an end means is taken by their tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.timing import SECOND

ROOT = Path(__file__).parents[2]
MODULES = ("conversation/protocol", "service/endings", "service/settings")


def test_every_branch_is_taken(tmp_path: Path) -> None:
    """By the tests named after the modules alone: others may pass through them by chance."""
    coverage = [sys.executable, "-m", "coverage"]
    data = f"--data-file={tmp_path / 'coverage'}"
    include = "--include=" + ",".join(f"pyconvai/{module}.py" for module in MODULES)
    tests = [f"tests/unit/test_{Path(module).name}.py" for module in MODULES]
    for command in (
        [*coverage, "run", "--branch", data, include, "-m", "pytest", "-q", *tests],
        [*coverage, "report", data, "--fail-under=100", "--show-missing"],
    ):
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=60 * SECOND, check=False
        )
        assert done.returncode == 0, done.stdout
