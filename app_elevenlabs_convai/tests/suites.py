"""What the programs beside this share: running suites, and saying how it went."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 600.0
"""For everything that is run here; most takes seconds."""


def given_path(name: str) -> Path:
    """Return a path as it was meant where the program was called."""
    return (Path(os.environ.get("CALLED_FROM", ".")) / name).resolve()


def run(what: str, command: list[str]) -> bool:
    """Run a command in the checkout, show what it prints, and tell whether it succeeded."""
    print(f"==> {what}", flush=True)
    done = subprocess.run(command, cwd=PROJECT, timeout=LIMIT_SECONDS, check=False)
    return done.returncode == 0


def c_suites(*names: str) -> bool:
    """Run suites of tests/host: the module's C code, in a host that stands in for Asterisk."""
    make = ["make", "--silent", "-C", "asterisk_context_files", "VARIANT=asan", "run"]
    return run(f"C: {', '.join(names)}", [*make, f"TESTS={' '.join(names)}"])


def python_tests(*names: str) -> bool:
    """Run files of tests/unit."""
    files = [f"tests/unit/test_{name}.py" for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    return run(f"Python: {', '.join(names)}", command)


def conclude(program: str, *passed: bool) -> int:
    """Say how it went; return the exit status."""
    print(f"{program}: {'passed' if all(passed) else 'FAILED'}", flush=True)
    return 0 if all(passed) else 1
