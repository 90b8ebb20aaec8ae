"""The engine's limits: all in one place, each with its reason, in the order that they need."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pyconvai import limits

PACKAGE = Path(limits.__file__).parent
ROOT = PACKAGE.parent
MODULE = ast.parse(Path(limits.__file__).read_text(encoding="utf-8"))
ELSEWHERE = re.compile(r"^_?[A-Z_]+_(?:MS|SECONDS|BYTES|CHARACTERS)\b.* = ", re.MULTILINE)


def test_each_has_a_reason_under_it_and_nothing_is_imported() -> None:
    docstring, *rest = MODULE.body
    assert isinstance(docstring, ast.Expr)
    for limit, reason in zip(rest[::2], rest[1::2], strict=True):
        assert isinstance(limit, ast.Assign), ast.unparse(limit)
        assert isinstance(reason, ast.Expr), ast.unparse(limit)


def test_no_other_file_of_the_engine_has_limits() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if "mock" not in path.parts]
    assert len(files) > 15
    for path in files:
        if path.name != "limits.py":
            assert not ELSEWHERE.findall(path.read_text(encoding="utf-8")), path


@pytest.fixture(autouse=True)
def patient() -> None:
    """The limits are looked at as they are."""


def test_the_order() -> None:
    """H2: one closing handshake fits into the time for all, and that into the module's."""
    module = ROOT / "app_elevenlabs_convai" / "app_elevenlabs_convai.c"
    found = re.search(r"#define EXIT_LIMIT_MS (\d+)", module.read_text(encoding="utf-8"))
    assert found
    assert limits.CLOSE_SECONDS < limits.CLOSE_ALL_SECONDS < int(found[1]) / 1000
    assert limits.SELFTEST_POLL_SECONDS < limits.SELFTEST_SECONDS < 5
    assert limits.ADDRESS_DELAY_SECONDS < limits.HOST_DELAY_SECONDS < 0.5
    assert limits.ANSWER_PART_SECONDS < limits.ADDRESS_SECONDS < 10 < limits.HANDSHAKE_SECONDS
    assert limits.SIGNED_URL_LIFE_SECONDS < 900 - limits.HANDSHAKE_SECONDS
    assert (
        limits.BACKOFF_FIRST_SECONDS
        < limits.BACKOFF_LONGEST_SECONDS
        < limits.BACKOFF_RETRY_AFTER_SECONDS
    )
    assert limits.UNSENT_BYTES < limits.BACKLOG_BYTES
    assert limits.SLOW_JSON_BYTES < limits.MESSAGE_WHOLE_BYTES < limits.MAX_MESSAGE_BYTES
    ticks = [seconds for _, seconds in limits.TICK_SECONDS]
    assert [*ticks, limits.TICK_MANY_SECONDS] == sorted({*ticks, limits.TICK_MANY_SECONDS})
    assert limits.TOOL_SECONDS < 20
    assert limits.SETTLE_SECONDS < limits.REPLY_SECONDS < limits.FAREWELL_SECONDS
    assert limits.MAX_SHOWN_CHARACTERS < limits.MAX_REASON_BYTES < limits.MAX_LOGGED_CHARACTERS
