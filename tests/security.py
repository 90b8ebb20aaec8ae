"""Which tests are those of security: docs/security.md names them, or they name a row, K1 to K18.

They have the marker `security`, and `make test-security` runs them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "security.md"
TESTS = ROOT / "tests"
ROWS = {f"K{number}" for number in range(1, 19)}
_ROW = re.compile(r"\bK\d{1,2}\b")
_NAMED = re.compile(r"`((?:\w+/|host/forkstream/)?test_\w+\.(?:py|c))(?:::(\w+))?`")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def named() -> list[tuple[str, str]]:
    """(file, test) of all that the page names, the file with its folder; no test: all of a file."""
    found = _NAMED.findall(PAGE.read_text(encoding="utf-8"))
    return [(str(path_of(file) or file), test) for file, test in found]


def rows_of(text: str | None) -> set[str]:
    """The rows that a docstring or a comment names."""
    return set(_ROW.findall(text or "")) & ROWS


def path_of(file: str) -> Path | None:
    """A test's file as the page has it, with its folder where two have one name; from `tests/`."""
    found = list(TESTS.glob(file if "/" in file else f"*/{file}"))
    return found[0].relative_to(TESTS) if len(found) == 1 else None


def proven() -> dict[str, list[str]]:
    """By row: the files of the tests that name it."""
    found: dict[str, list[str]] = {row: [] for row in ROWS}
    for path in sorted(TESTS.glob("*/test_*")):
        for row in {row for text in _texts(path) for row in rows_of(text)}:
            found[row].append(str(path.relative_to(TESTS)))
    return found


def _texts(path: Path) -> Iterator[str]:
    """What a file and its tests say of themselves."""
    if path.suffix == ".c" and path.exists():
        yield from _COMMENT.findall(path.read_text(encoding="utf-8"))
    elif path.suffix == ".py":
        module = ast.parse(path.read_text(encoding="utf-8"))
        yield ast.get_docstring(module) or ""
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield ast.get_docstring(node) or ""


@cache
def _wanted() -> tuple[set[tuple[str, str]], set[str]]:
    """The tests that the page names, and the files of which it names all, or that are in C."""
    pairs = set(named())
    return pairs, {file for file, test in pairs if not test or file.endswith(".c")}


def concerns(path: Path, test: str, docstring: str | None, parameter: str) -> bool:
    """Whether a test is one of security. parameter: of a test that runs C, the suite."""
    pairs, whole = _wanted()
    file = str(path.relative_to(TESTS))
    if file == "unit/test_host.py":
        suite = f"host/test_{parameter}.c"
        return suite in whole or any(map(rows_of, _texts(TESTS / suite)))
    return file in whole or (file, test) in pairs or bool(rows_of(docstring))
