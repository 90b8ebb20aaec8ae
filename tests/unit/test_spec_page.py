"""What docs/testing.md says of scenarios and statuses, with the engine against the mock."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pyconvai.mock import MockAgent
from tests.unit.engine import Engine

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
TALK = {
    "format": "ulaw_8000",
    "first_message": {"text": "Hello.", "sound": "noise:1:100"},
    "turns": [{"wait_ms": 0, "say": {"text": "Yes.", "sound": "noise:2:100"}}],
}


def rows() -> list[tuple[str, str]]:
    """(status, TOML) of each row of the page's table that has both."""
    return re.findall(r"^\|[^|]+: `(\w+)` \| `(faults = .+)` \|$", PAGE.read_text("utf-8"), re.M)


async def status(engine: Engine, agent: dict[str, Any], seconds: int = 60) -> tuple[str, str]:
    """How a conversation with such an agent ends; ``seconds``: connect_timeout."""
    async with MockAgent({"agents": {"default": TALK | agent}}) as mock:
        settings = {"base_url": mock.url, "connect_timeout": str(seconds)}
        call = engine.call(settings=settings, variables={"customer": "Ada"})
        try:
            return await asyncio.to_thread(call.ending)
        finally:
            call.release()


def test_the_table_is_read() -> None:
    assert len(rows()) == 5


@pytest.mark.parametrize(("expected", "toml"), rows(), ids=[status for status, _ in rows()])
def test_statuses(engine: Engine, expected: str, toml: str) -> None:
    seconds = 1 if expected == "TIMEOUT" else 60
    got, reason = asyncio.run(status(engine, tomllib.loads(toml), seconds))
    assert got == expected, reason


def test_a_last_turn_and_a_variable(engine: Engine) -> None:
    """The two rows that are no faults."""
    bye = {"wait_ms": 0, "say": {"text": "Goodbye.", "sound": "noise:3:100"}, "end": True}
    page = PAGE.read_text("utf-8")
    assert '`first_message = "Hello {{customer}}."`, with `ELEVENLABS_VAR_customer`' in page
    first = {"text": "Hello {{customer}}.", "sound": "noise:1:100"}
    got = asyncio.run(status(engine, {"first_message": first, "turns": [bye]}))
    assert got[0] == "AGENT_ENDED", got
