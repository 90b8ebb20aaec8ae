"""The table of docs/development.md: every command of the earlier guide, and what runs it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.paths import PROJECT

PAGE = PROJECT / "docs" / "development.md"
HEADING = "## Every command of the guide"
UNCHECKED = "not checked: "


@dataclass(frozen=True)
class Row:
    """One command, and how it is checked."""

    command: str
    how: str
    check: str

    @property
    def unchecked(self) -> bool:
        """Whether the page says why there is no check."""
        return self.check.startswith(UNCHECKED) and len(self.check) > len(UNCHECKED)


def rows() -> list[Row]:
    """The rows in their order."""
    text = PAGE.read_text(encoding="utf-8").split(HEADING)[1]
    cells = [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in re.findall(r"^\|.*\|$", _protect(text), re.M)
    ]
    restored = map(_restore, cells[2:])
    return [Row(_plain(command), how, check.strip("`")) for command, how, check in restored]


# In the table, a bar of a command is written \| and the \| of a regular expression \\|.
_BAR = "\0"


def _protect(text: str) -> str:
    return text.replace(r"\\|", _BAR)


def _restore(cells: list[str]) -> list[str]:
    return [cell.replace(_BAR, r"\|") for cell in cells]


def _plain(command: str) -> str:
    return command.removeprefix("`").removesuffix("`")


_covered: dict[str, tuple[str, ...]] = {}


def covers(*commands: str) -> Callable[[Any], Any]:
    """Say which commands a test runs. Its name is the row's, with `test_` in front."""

    def note(test: Any) -> Any:
        _covered[test.__name__.removeprefix("test_")] = commands
        return test

    return note


def covered() -> dict[str, tuple[str, ...]]:
    """All that tests have said so far."""
    return dict(_covered)


def exists(test: str) -> bool:
    """Whether `path::function` is a test of the project's."""
    path, _, function = test.partition("::")
    file = Path(PROJECT, path)
    return file.is_file() and f"\ndef {function}(" in file.read_text(encoding="utf-8")
