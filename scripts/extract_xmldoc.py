#!/usr/bin/env python3
"""Take the XML documentation out of C sources, as Asterisk's own build does for its modules.

The documentation is what stands in comments that begin with ``/*** DOCUMENTATION``.  The result is
one file that Asterisk reads from ``<astdatadir>/documentation/thirdparty``.
"""

from __future__ import annotations

import argparse
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

BLOCK = re.compile(r"^/\*\*\* DOCUMENTATION[^\n]*\n(.*?)^\s*\*\*\*/", re.DOTALL | re.MULTILINE)
HEADER = """\
<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE docs SYSTEM "../appdocsxml.dtd">
<docs xmlns:xi="http://www.w3.org/2001/XInclude">
"""
FOOTER = "</docs>\n"


def extract(source: Path) -> str:
    """Return the documentation blocks of a source file, one after the other."""
    return "".join(BLOCK.findall(source.read_text(encoding="utf-8")))


def document(sources: list[Path]) -> str:
    """Return the whole document; raise ValueError if it is empty or not well-formed."""
    blocks = "".join(extract(source) for source in sources)
    if not blocks.strip():
        raise ValueError("no comment begins with /*** DOCUMENTATION")
    text = HEADER + blocks + FOOTER
    try:
        ElementTree.fromstring(text.split("\n", 2)[2])  # noqa: S314 - our own sources
    except ElementTree.ParseError as error:
        raise ValueError(f"the documentation is not well-formed: {error}") from error
    return text


def main() -> int:
    """Write the document; return the exit status."""
    parser = argparse.ArgumentParser(description="Take the XML documentation out of C sources.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("sources", type=Path, nargs="+")
    arguments = parser.parse_args()
    try:
        arguments.output.write_text(document(arguments.sources), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"{', '.join(map(str, arguments.sources))}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
