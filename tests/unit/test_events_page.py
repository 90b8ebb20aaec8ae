"""docs/events.md has every event and action, with the fields that the XML documentation has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "app_elevenlabs_convai"
SOURCES = "\n".join(path.read_text("utf-8") for path in sorted(MODULE.rglob("*.c")))
PAGE = (ROOT / "docs" / "events.md").read_text("utf-8")
COMMON = ("Channel", "Agent", "ConversationId", "Time")
INCLUDED = "/docs/managerEvent[@name='ElevenLabsStart']/managerEventInstance/syntax/parameter"
"""Where the other events have these from."""


def parameters(body: str) -> list[str]:
    """Fields of an event in its XML, those of all written out."""
    include = f'<xi:include xpointer="xpointer({INCLUDED})" />'
    written = "".join(f'<parameter name="{name}">' for name in COMMON)
    return re.findall(r'<parameter name="(\w+)"', body.replace(include, written))


EVENTS = {
    name: parameters(body)
    for name, body in re.findall(
        r'(?s)^\t<managerEvent name="(\w+)"(.*?)^\t</managerEvent>', SOURCES, re.MULTILINE
    )
}
"""Of each, its fields in the XML documentation."""
ACTIONS = {
    name: re.findall(r'<parameter name="(\w+)"', body)
    for name, body in re.findall(
        r'(?s)^\t<manager name="(\w+)"(.*?)^\t</manager>', SOURCES, re.MULTILINE
    )
}
CODE = SOURCES + "\n".join(
    path.read_text("utf-8") for path in (ROOT / "pyconvai" / "conversation").glob("*.py")
) + (MODULE / "call" / "quality.h").read_text("utf-8")  # fmt: skip

OF_CEL = "ElevenLabsTransfer"
"""An event of CEL's alone."""


def fields_of(name: str) -> list[str]:
    """Fields of an event in the page's table, those of all left out."""
    text = PAGE.partition(f"### {name}\n")[2].split("\n##")[0]
    return re.findall(r"(?m)^\| `(\w+)` \|", text)


def test_the_sources_are_read() -> None:
    assert len(EVENTS) >= 9
    assert len(ACTIONS) == 7


@pytest.mark.parametrize("name", EVENTS)
def test_an_event(name: str) -> None:
    """Its fields are in the XML, in the page, and in the code that makes them."""
    assert EVENTS[name][: len(COMMON)] == list(COMMON)
    fields = EVENTS[name][len(COMMON) :]
    assert fields == fields_of(name)
    without_docs = re.sub(r"(?s)/\*\*\* DOCUMENTATION.*?\*\*\*/", "", CODE)
    for each in fields:
        assert f'"{each}"' in without_docs, each
    assert f"`{name}`" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action(name: str) -> None:
    """All that it takes and gives is in its row."""
    (row,) = re.findall(rf"(?m)^\| `{name}` \|.*$", PAGE)
    for each in set(ACTIONS[name]) - {"EventList", "ListItems"}:
        assert f"`{each}`" in row, each
    assert f'"{name}"' in SOURCES


def test_no_event_is_published_without_documentation() -> None:
    published = set(re.findall(r'"(ElevenLabs\w+)"', SOURCES)) - {"ElevenLabsConvAI", OF_CEL}
    assert f"`{OF_CEL}`" in PAGE
    listed = {"ElevenLabsAgent", "ElevenLabsSession"}
    of_lists = listed | {f"{each}sComplete" for each in listed}
    assert published - of_lists == set(EVENTS) | set(ACTIONS)
