#!/usr/bin/env python3
"""Check that includes and imports run one way, and that no files include each other in a ring.

``check_arrows.py [ROOT]`` names every arrow that runs up and every ring; then its status is 1.
``docs/design.md`` shows the floors.  A unit is a C file with its header, or a module of Python or
Cython.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import tell_faults

C_TOP, PYTHON_TOP, FORK_TOP = "app_elevenlabs_convai", "pyconvai", "app_forkstream"

C_ANY = {"cache", "convai_ops", "door", "monotonic", "words"}
C_MAY = {
    "": {"call", "config", "control", "engine", "tests", *C_ANY},
    "control": {"call", "config", "engine", *C_ANY},
    "call": {"config", "engine", *C_ANY},
    "config": C_ANY,
    "engine": C_ANY,
    "tests": {"", "call", "config", "control", "engine", *C_ANY},
    "cache": set[str](),
    "convai_ops": set[str](),
    "door": {"words"},
    "monotonic": set[str](),
    "words": set[str](),
}
"""Folders of the C module, and what each may include; "" is the top folder.

The last ones, ``C_ANY``, are files of the top folder that every folder may include.
"""

C_SHARED = {f"../{C_TOP}/{name}" for name in C_ANY - {"door"}}
PYTHON_ANY = {"__init__", "limits", "log", "secret", "ticks", "words"}
PYTHON_MAY = {
    "": {"checking", "report", "records", "conversation", "service", "core", *PYTHON_ANY},
    "checking": {"conversation", "service", "core", *PYTHON_ANY},
    "report": {"records", "conversation", "service", "core", *PYTHON_ANY},
    "records": {"conversation", "service", "core", *PYTHON_ANY},
    "conversation": {"service", "tools", "core", *PYTHON_ANY},
    "service": {"core", *PYTHON_ANY},
    "core": C_SHARED,
    "mock": {"__init__"},
    "tools": {"__init__", "limits"},
    "__init__": set[str](),
    "limits": set[str](),
    "log": {"core", "limits", "secret", "words"},
    "secret": {"limits"},
    "ticks": {"limits"},
    "words": {"core", "limits", "secret"},
    **{name: set[str]() for name in C_SHARED},
}
"""Packages of the engine, and what each may import, or include in C and Cython; as above."""

FORK_ANY = {"bounds", "options", "packet", *(f"../{C_TOP}/{name}" for name in C_ANY)}
FORK_MAY = {
    "": {"control", "start", "transport", "websocket", "tell", "stream", "config", *FORK_ANY},
    "control": {"start", "tell", "stream", "media", *FORK_ANY},
    "start": {"transport", "tell", "stream", "config", *FORK_ANY},
    "transport": {"udp", "websocket", "tell", "stream", *FORK_ANY},
    "udp": {"tell", "stream", "media", *FORK_ANY},
    "websocket": {"tell", "stream", "media", "config", *FORK_ANY},
    "tell": {"stream", "media", *FORK_ANY},
    "stream": {"media", *FORK_ANY},
    "media": {"ring", *FORK_ANY},
    "config": FORK_ANY,
    "ring": {"bounds"},
    "options": {"bounds", "packet"},
    "packet": set[str](),
    "bounds": set[str](),
    **{f"../{C_TOP}/{name}": {f"../{C_TOP}/words"} for name in C_ANY},
}
"""Files of the tap, and what each may include; "" is the file that Asterisk calls."""

INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)
CYTHON_INCLUDE = re.compile(r'^\s*(?:include|cdef\s+extern\s+from)\s+["\']([^"\']+)', re.MULTILINE)
CYTHON_IMPORT = re.compile(
    r"^[ \t]*((?:from[ \t]+[.\w]+[ \t]+)?)c?(import\b[ \t]*(?:\([^)]*\)|[^\n;#]*))", re.MULTILINE
)

CYTHON_ENDS = {".pyx", ".pxd", ".pxi"}
PYTHON_ENDS = {".py", ".pyi", *CYTHON_ENDS}

Arrows = dict[str, set[str]]


def unit(path: Path, top: Path) -> str:
    """Return a unit's name: its place from the top folder, without what its file ends with."""
    return Path(os.path.relpath(path, top)).with_suffix("").as_posix()


def included(path: Path, names: Iterable[str], top: Path) -> Iterable[str]:
    """Yield the units that a file includes, those that are found where the compiler looks."""
    for name in names:
        for folder in (path.parent, top.parent / C_TOP):
            if (folder / name).is_file():
                yield unit(folder / name, top)
                break


def c_arrows(top: Path) -> Arrows:
    """Return what each C unit below a folder includes, of our own."""
    arrows: Arrows = {}
    for path in top.rglob("*.[ch]"):
        own = set(included(path, INCLUDE.findall(path.read_text("utf-8")), top))
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


@cache
def imports_of(text: str, suffix: str, package: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return what a module's text imports; kept, for the tests ask about each text many times."""
    return tuple(imported(parsed(text, suffix), package))


def parsed(text: str, suffix: str) -> ast.Module:
    """Return a module's tree; of Cython only the imports."""
    if suffix in {".py", ".pyi"}:
        return ast.parse(text)
    tree = ast.Module([], [])
    for words in CYTHON_IMPORT.findall(text.replace("\\\n", " ")):
        # A line of a docstring may look like an import.
        with contextlib.suppress(SyntaxError):
            tree.body += ast.parse("".join(words)).body
    return tree


def python_arrows(top: Path) -> Arrows:
    """Return what each module of the engine imports and includes, of our own."""
    arrows = c_arrows(top)
    for path in top.rglob("*.p*"):
        if path.suffix not in PYTHON_ENDS:
            continue
        to = arrows.setdefault(unit(path, top), set())
        text = path.read_text("utf-8")
        if path.suffix in CYTHON_ENDS:
            to.update(included(path, CYTHON_INCLUDE.findall(text), top))
        for name in imports_of(text, path.suffix, path.relative_to(top).parent.parts):
            # A name in a module, a module, or a name of a package's face.
            for parts in (name, name[:-1], (*name[:-1], "__init__")):
                there = top.joinpath(*parts)
                if parts and any(there.with_suffix(end).is_file() for end in PYTHON_ENDS):
                    to.add("/".join(parts))
                    break
        to.discard(unit(path, top))
    return arrows


def floor(name: str, may: Mapping[str, set[str]]) -> str:
    """Return the folder of a unit, or its own name where that has a rule."""
    return name if name in may else name.rpartition("/")[0].partition("/")[0]


def upward(arrows: Arrows, may: Mapping[str, set[str]]) -> Iterable[tuple[str, str]]:
    """Yield each arrow that runs up, or to the side."""
    for start, ends in sorted(arrows.items()):
        for end in sorted(ends):
            above, below = floor(start, may), floor(end, may)
            if below != above and below not in may[above]:
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
        (FORK_TOP, c_arrows(root / FORK_TOP), FORK_MAY),
    ):
        found += [f"{top}: {a} -> {b} runs up" for a, b in upward(arrows, may)]
        found += [f"{top}: a ring: {' -> '.join(ring)}" for ring in rings(arrows)]
    return found


if __name__ == "__main__":
    sys.exit(tell_faults.main(faults, "docs/design.md, The house: who may include and import whom"))
