#!/usr/bin/env python3
"""Tell editors how the C files are compiled.

``compile_commands.py --output FILE SOURCE... -- COMPILER ARGUMENT...`` writes the JSON that clangd
and others read; sources are named from the directory that this runs in, which is where make does.
With ``--add`` what the file says of other directories stays in it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main() -> int:
    """Run the command line; return the exit status."""
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    command = sys.argv[at + 1 :]
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--add", action="store_true")
    parser.add_argument("sources", nargs="+")
    arguments = parser.parse_args(sys.argv[1:at])
    entries = [
        {"directory": str(Path.cwd()), "file": source, "arguments": [*command, "-c", source]}
        for source in arguments.sources
    ]
    if arguments.add and arguments.output.exists():
        before = json.loads(arguments.output.read_text(encoding="utf-8"))
        entries += [each for each in before if each["directory"] != str(Path.cwd())]
    arguments.output.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
