"""The command line of checks that look through a checkout for what is not to be there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def main(faults: Callable[[Path], list[str]], page: str) -> int:
    """Print what is found in the checkout, or in the folder named; return the exit status.

    page: where to read what is right.
    """
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    found = faults(root)
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print(page, file=sys.stderr)
    return 1 if found else 0
