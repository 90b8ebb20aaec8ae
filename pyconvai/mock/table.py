"""Reading tables of a TOML file with errors that say where, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any


class ScenarioError(Exception):
    """A fault in a scenario file: one line naming file, key, what is allowed and the remedy."""


class Table:
    """One table whose keys are taken one by one; ``finish`` refuses what nobody took."""

    def __init__(self, raw: Any, where: str):
        """``where`` names file and path: ``demo.toml:`` or ``demo.toml: agents.sales``."""
        self.where = where
        if not isinstance(raw, dict):
            raise ScenarioError(
                f"{where}: expected a table, found {raw!r}; write [section] or {{…}}"
            )
        self._raw: dict[str, Any] = raw
        self._known: set[str] = set()

    def error(self, key: str, problem: str) -> ScenarioError:
        """The error to raise for ``key``."""
        return ScenarioError(f"{self.path(key)}: {problem}")

    def path(self, key: str) -> str:
        """File and path of ``key``."""
        return f"{self.where}{' ' if self.where.endswith(':') else '.'}{key}"

    def has(self, key: str) -> bool:
        """Whether the key is given; also marks it as known."""
        self._known.add(key)
        return key in self._raw

    def raw(self, key: str) -> Any:
        """The value as it stands, or None."""
        self._known.add(key)
        return self._raw.get(key)

    def text(self, key: str, default: str = "", choices: Sequence[str] = ()) -> str:
        """A string, optionally one of ``choices``."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.error(key, f'expected text in quotes, found {value!r}; write {key} = "…"')
        if choices and value not in choices:
            raise self.error(key, f"{value!r} is not known; {_allowed(value, choices)}")
        return value

    def integer(self, key: str, default: int, low: int = 0, high: int = 1 << 31) -> int:
        """A whole number between ``low`` and ``high``."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.error(key, f"expected a whole number {low}..{high}, found {value!r}")
        return value

    def number(self, key: str, default: float, low: float = 0.0) -> float:
        """A number, at least ``low``."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or value < low:
            raise self.error(key, f"expected a number not below {low:g}, found {value!r}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(key, f"expected true or false, found {value!r}")
        return value

    def texts(
        self, key: str, default: Sequence[str] = (), choices: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """A list of strings, each optionally one of ``choices``."""
        value = self.raw(key)
        if value is None:
            return tuple(default)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, f'expected a list of texts, found {value!r}; write ["a", "b"]')
        for item in value:
            if choices and item not in choices:
                raise self.error(key, f"{item!r} is not known; {_allowed(item, choices)}")
        return tuple(value)

    def table(self, key: str) -> Table:
        """A sub-table; empty when the key is missing."""
        return Table(self.raw(key) or {}, self.path(key))

    def tables(self, key: str) -> list[Table]:
        """A list of tables (``[[key]]``); empty when the key is missing."""
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(key, f"expected a list of tables, found {value!r}; write [[…{key}]]")
        return [Table(item, f"{self.path(key)}[{n}]") for n, item in enumerate(value, 1)]

    def names(self) -> list[str]:
        """All keys, for tables whose keys are free; marks them as known."""
        self._known.update(self._raw)
        return list(self._raw)

    def finish(self) -> None:
        """Refuses keys that were never asked for."""
        for key in self._raw:
            if key not in self._known:
                raise self.error(key, f"unknown key; {_allowed(key, sorted(self._known))}")


def _allowed(value: str, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(value, choices, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(choices)}"
