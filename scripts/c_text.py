#!/usr/bin/env python3
"""Print a text file as a C array of characters, to be included by whoever needs the text."""

from __future__ import annotations

import sys
from pathlib import Path

ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\t": "\\t"})


def main() -> int:
    """Print the file as the array of that name; return the exit status."""
    if len(sys.argv) != 3:
        print(f"usage: {sys.argv[0]} FILE NAME", file=sys.stderr)
        return 2
    text = Path(sys.argv[1]).read_text(encoding="ascii")
    print(f"/* Made from {Path(sys.argv[1]).name}; change that. */")
    print(f"static const char {sys.argv[2]}[] =")
    for line in text.splitlines():
        print(f'\t"{line.translate(ESCAPES)}\\n"')
    print("\t;")
    return 0


if __name__ == "__main__":
    sys.exit(main())
