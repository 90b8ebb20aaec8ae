#!/usr/bin/env python3
"""Check that includes and imports run one way, and that no files include each other in a ring.

``check_arrows.py [ROOT]`` names every arrow that runs up and every ring; then its status is 1.
``docs/design.md`` shows the floors.  A unit is a C file with its header, or a Python module.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

C_TOP, PYTHON_TOP = "app_elevenlabs_convai", "pyconvai"

C_MAY = {
    "": {"call", "config", "control", "engine", "tests"},
    "control": {"call", "config", "engine"},
    "call": {"config", "engine"},
    "config": set[str](),
    "engine": set[str](),
    "tests": {"", "call", "config", "control", "engine"},
    "convai_ops": set[str](),
    "monotonic": set[str](),
}
"""Folders of the C module, and which others each may include; "" is the top folder.

Names behind it are headers of the top folder that every folder may include.
"""

PYTHON_MAY = {
    "": {"conversation", "service", "core"},
    "conversation": {"service", "core"},
    "service": {"core"},
    "core": set[str](),
    "mock": set[str](),
    "__init__": set[str](),
    "limits": set[str](),
    "log": {"core"},
}
"""Packages of the engine, and which others each may import; as above."""

INCLUDE = re.compile(r'^\s*#\s*include\s+"([\w/]+)\.h"', re.MULTILINE)

Arrows = dict[str, set[str]]


def unit(path: Path, top: Path) -> str:
    """Return a unit's name: its place below the top folder, without what its file ends with."""
    return path.relative_to(top).with_suffix("").as_posix()


def c_arrows(top: Path) -> Arrows:
    """Return what each unit of the C module includes, of the module's own."""
    arrows: Arrows = {}
    files = [*top.glob("*.[ch]"), *top.glob("*/*.[ch]")]
    for path in files:
        found = set(INCLUDE.findall(path.read_text("utf-8")))
        own = {name for name in found if (top / f"{name}.h").exists()}
        arrows.setdefault(unit(path, top), set()).update(own - {unit(path, top)})
    return arrows


def imported(tree: ast.Module, package: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    """Yield what a module of this package imports from the engine, each name from its top."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                parts = tuple(name.name.split("."))
                if parts[0] == PYTHON_TOP:
                    yield parts[1:]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            parts = (*base, *(node.module or "").split(".")) if node.module else base
            if not node.level and parts[:1] == (PYTHON_TOP,):
                parts = parts[1:]
            elif not node.level:
                continue
            for name in node.names:
                yield (*parts, name.name)


def python_arrows(top: Path) -> Arrows:
    """Return what each module of the engine imports, of the engine's own."""
    arrows: Arrows = {}
    for path in [*top.rglob("*.py"), *top.rglob("*.pyi")]:
        package = path.relative_to(top).parent.parts
        tree = ast.parse(path.read_text("utf-8"), str(path))
        to = arrows.setdefault(unit(path, top), set())
        for name in imported(tree, package):
            # A name in a module, a module, or a name of a package's face.
            for parts in (name, name[:-1], (*name[:-1], "__init__")):
                there = top.joinpath(*parts)
                if parts and any(there.with_suffix(end).is_file() for end in (".py", ".pyx")):
                    to.add("/".join(parts))
                    break
        to.discard(unit(path, top))
    return arrows


def floor(name: str, may: Mapping[str, set[str]]) -> str:
    """Return the folder of a unit, or its own name where every folder may have it."""
    return name if name in may else name.rpartition("/")[0].partition("/")[0]


def upward(arrows: Arrows, may: Mapping[str, set[str]]) -> Iterable[tuple[str, str]]:
    """Yield each arrow that runs up, or to the side."""
    for start, ends in sorted(arrows.items()):
        for end in sorted(ends):
            above, below = floor(start, may), floor(end, may)
            if below not in (above, end) and below not in may[above]:
                yield start, end


def rings(arrows: Arrows) -> Iterable[list[str]]:
    """Yield rings, each once, by following every way from every unit."""
    done: set[str] = set()

    def follow(way: list[str]) -> Iterable[list[str]]:
        for end in sorted(arrows.get(way[-1], ())):
            if end in way:
                yield [*way[way.index(end) :], end]
            elif end not in done:
                yield from follow([*way, end])
        done.add(way[-1])

    for start in sorted(arrows):
        if start not in done:
            yield from follow([start])


def faults(root: Path) -> list[str]:
    """Return a line for each arrow that runs up and for each ring."""
    found: list[str] = []
    for top, arrows, may in (
        (C_TOP, c_arrows(root / C_TOP), C_MAY),
        (PYTHON_TOP, python_arrows(root / PYTHON_TOP), PYTHON_MAY),
    ):
        found += [f"{top}: {a} -> {b} runs up" for a, b in upward(arrows, may)]
        found += [f"{top}: a ring: {' -> '.join(ring)}" for ring in rings(arrows)]
    return found


def main() -> int:
    """Run the command line; return the exit status."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    found = faults(root)
    for line in found:
        print(line, file=sys.stderr)
    if found:
        print("docs/design.md, The house: who may include and import whom", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
