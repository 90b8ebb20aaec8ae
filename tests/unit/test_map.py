"""docs/design.md opens with a map: each file and each function that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
MAP = PAGE[PAGE.index("## The house") : PAGE.index("## The one rule")]
ROW = re.compile(r"^\| (\d|\w+ ?\w*) \|.*?\| `([\w/.]+)` \| (`\w[\w. `,]*`) \|$", re.MULTILINE)
STEPS = 8
"""Of each way: up and down."""

DEFINITION = {
    # The line above may hold no end of a statement: a call looks like a definition otherwise.
    ".c": r"^(?:[\w]+[\w \*]*[ \*])?{name}\([^;]*?\)\n\{{",
    ".h": r"^(?:static inline )[\w \*]*?\b{name}\(",
    ".py": r"^ *(?:async )?def {name}\(",
    ".pyx": r"^ *(?:def|cpdef|cdef)\b[\w \*]*\b{name}\(",
    ".pxi": r"^ *(?:def|cpdef|cdef)\b[\w \*]*\b{name}\(",
}


def rows() -> list[tuple[str, str]]:
    """(file, function) of every row of the map."""
    return [
        (file, name.strip("` ").rpartition(".")[2])
        for _, file, names in ROW.findall(MAP)
        for name in names.split(",")
    ]


@pytest.mark.parametrize(("file", "name"), rows())
def test_what_the_map_names_is_there(file: str, name: str) -> None:
    path = ROOT / file
    pattern = DEFINITION[path.suffix].format(name=name)
    assert re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE), f"{file}: {name}"


def test_each_way_has_its_steps() -> None:
    for way in ("### A frame of the caller's", "### A frame of the agent's"):
        part = MAP[MAP.index(way) :]
        part = part[: part.index("\n##", 4)] if "\n##" in part[4:] else part
        assert [number for number, _, _ in ROW.findall(part)] == [
            str(n) for n in range(1, STEPS + 1)
        ]


def test_every_folder_is_on_the_map() -> None:
    for top in ("app_elevenlabs_convai", "pyconvai"):
        for room in (ROOT / top).iterdir():
            if (room / "README.md").exists():
                assert f"{room.name}/" in MAP, room
