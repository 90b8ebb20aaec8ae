"""docs/protocol.md against the specifications, the code, and the tests that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyconvai.conversation.channel_tools import CHANNEL_TOOLS
from pyconvai.conversation.protocol import MESSAGES
from pyconvai.conversation.sent import SENT
from pyconvai.conversation.tools import TOOLS
from pyconvai.service.endings import TABLE
from pyconvai.service.settings import OVERRIDES, WANTED
from tests.specs.page import PAGE, rows
from tests.specs.schemas import Sender, specifications

ROOT = Path(__file__).parents[2]
HEADINGS: dict[Sender, str] = {"server": "From the service", "client": "To the service"}
TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


@pytest.mark.parametrize("sender", HEADINGS)
def test_every_message_of_the_specifications_has_one_row(sender: Sender) -> None:
    described = {kind for each in specifications() for kind in each.validators[sender]}
    known = set(MESSAGES) if sender == "server" else SENT
    names = [row[0].strip("`") for row in rows(HEADINGS[sender])]
    assert len(names) == len(set(names))
    assert set(names) == described | known


def test_every_effect_is_the_code_s() -> None:
    shown = {
        name.strip("`"): re.split(r"\W", effect)[0]
        for name, _, effect, _ in rows(HEADINGS["server"])
    }
    assert shown == {kind: effect.value for kind, (effect, _) in MESSAGES.items()}


def test_what_is_sent_is_the_code_s() -> None:
    shown = {name.strip("`") for name, _, effect, _ in rows(HEADINGS["client"]) if effect == "sent"}
    assert shown == SENT


def test_every_tool_has_a_row() -> None:
    assert [row[0].strip("`") for row in rows("Tools")] == sorted([*TOOLS, *CHANNEL_TOOLS])


def test_every_row_names_a_test_unless_nothing_is_sent() -> None:
    for heading in HEADINGS.values():
        for name, _, effect, test in rows(heading):
            assert TEST.fullmatch(test) or effect.startswith("not sent"), name


def test_every_test_that_is_named_exists() -> None:
    named = TEST.findall(PAGE)
    assert len(named) > 30
    for file, name in named:
        path = ROOT / "tests" / "unit" / file
        assert f"def {name}(" in path.read_text(encoding="utf-8"), f"{file}::{name}"


def test_the_endings_are_those_of_the_table() -> None:
    expected = [
        [
            str(row.precedence),
            f"{row.cause} `{row.key}`",
            f"`{row.status.name}`",
            f"{row.meaning}{' (retry)' if row.retry else ''}".strip(),
        ]
        for row in TABLE
    ]
    assert rows("Endings") == expected


def test_the_overrides_are_those_of_the_table() -> None:
    expected = [
        [f"`{name}`", f"`{'.'.join(path)}`", WANTED[kind]]
        for name, (path, kind) in OVERRIDES.items()
    ]
    assert rows("What a call begins with") == expected


C_TYPES = {
    "TEXT": str,
    "NUMBER": float,
    "WHOLE": int,
    "FLAG": bool,
    "LIST": list,
    "OBJECT": dict,
}


def test_the_overrides_that_a_reload_checks_are_those_of_the_engine() -> None:
    source = ROOT / "app_elevenlabs_convai" / "config" / "pairs.c"
    found = re.findall(r'\{ "(\w+)", TYPE_(\w+) \}', source.read_text(encoding="utf-8"))
    assert {name: C_TYPES[kind] for name, kind in found} == {
        name: kind for name, (_, kind) in OVERRIDES.items()
    }
