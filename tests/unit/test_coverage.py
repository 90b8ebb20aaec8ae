"""Every branch of the files that decide what a message or an end means is taken by their tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.timing import SECOND

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "tests"),
    [
        ("protocol", ["test_protocol.py"]),
        ("endings", ["test_endings.py"]),
        ("settings", ["test_settings.py"]),
    ],
)
def test_every_branch_is_taken(module: str, tests: list[str], tmp_path: Path) -> None:
    """By the tests named after the module alone: others may pass through it by chance."""
    data = f"--data-file={tmp_path / 'coverage'}"
    coverage = [sys.executable, "-m", "coverage"]
    files = [f"tests/unit/{name}" for name in tests]
    include = f"--include=pyconvai/{module}.py"
    run = [*coverage, "run", "--branch", data, include, "-m", "pytest", "-q", "--no-header", *files]
    done = subprocess.run(
        run, cwd=ROOT, capture_output=True, text=True, timeout=60 * SECOND, check=False
    )
    assert done.returncode == 0, done.stdout
    report = [*coverage, "report", data, "--fail-under=100", "--show-missing"]
    said = subprocess.run(
        report, cwd=ROOT, capture_output=True, text=True, timeout=60 * SECOND, check=False
    )
    assert said.returncode == 0, said.stdout
