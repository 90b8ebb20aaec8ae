"""Whatever the service says: no exception, no effect but the defined ones, and no long text.

Messages that its descriptions admit, the same with something wrong in them, and mere bytes.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconvai import limits
from pyconvai.conversation import sent, wire
from pyconvai.conversation.effects import (
    Admitted,
    AskFirst,
    CallTool,
    Corrected,
    CountPong,
    CountStale,
    CountUnknown,
    Effect,
    Flush,
    Log,
    Play,
    PlayHold,
    Queued,
    QueueTimedOut,
    Said,
    Send,
    ToolNews,
)
from pyconvai.conversation.protocol import MESSAGES, Conversation, EffectKind
from pyconvai.service.endings import from_close
from pyconvai.service.metadata import Metadata
from tests import hostile
from tests.specs.made import ANYTHING, messages
from tests.specs.schemas import faults, specifications
from tests.unit.frame_reader import examples

DEFINED: dict[EffectKind, tuple[type, ...]] = {
    EffectKind.NONE: (),
    EffectKind.TRANSCRIPT: (Log, Said, Corrected),
    EffectKind.STATE: (
        *(Log, Send, CountPong, Metadata, Play, PlayHold, AskFirst, CountUnknown),
        *(Queued, QueueTimedOut),
    ),
    EffectKind.AUDIO: (Play, PlayHold, CountStale, Flush, Log),
    EffectKind.TOOL: (CallTool, Send, Log),
    EffectKind.ERROR: (Log, AskFirst),
    EffectKind.END: (Log, ToolNews),
}
"""``Play`` belongs to the metadata, behind which early audio is played.

``Admitted`` may come with any: whatever is said shows that an agent is there.
"""

NASTY: list[Any] = [
    *(None, True, False, 0, -1, 7, 2**63, 10**40, -0.0, 1.5, 1e308, "", " ", "7", "-7", "x", "\0"),
    *("\ud83d", "é" * 3000, "a" * 70_000, [], {}, [None], {"": None}, [[[[]]]], {"chunk": "QQ=="}),
    *(
        "waiting",
        "admitted",
        "timed_out",
        "awaiting_approval",
        "end_call",
        "ulaw_8000",
        "QUI",
        "=" * 9,
    ),
]

SPECIFICATIONS = specifications()
KINDS = [(each, kind) for each in SPECIFICATIONS for kind in each.validators["server"]]
VALID = st.sampled_from(KINDS).flatmap(lambda known: messages(*known))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a message."""
    found = [path] if path else []
    if isinstance(value, dict):
        inner: Any = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        inner = ()
    for key, each in inner:
        found += places(each, (*path, key))
    return found


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """A message with one or more values replaced, removed or put elsewhere."""
    message = json.loads(json.dumps(draw(VALID)))
    for _ in range(draw(st.integers(1, 3))):
        found = [path for path in places(message) if path != ("type",)]
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        holder = message
        for step in way:
            holder = holder[step]
        change = draw(st.sampled_from(["nasty", "anything", "gone", "deep"]))
        if change == "gone":
            del holder[last]
        elif change == "deep":
            holder[last] = {str(last): holder[last]}
        else:
            value = draw(st.sampled_from(NASTY) if change == "nasty" else ANYTHING)
            holder[last] = deepcopy(value)  # the next change may be within it
    return message


def as_text(message: Any) -> bytes:
    """As a service writes it that does not look at its texts."""
    return json.dumps(message).encode()


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A text with some bytes of it changed."""
    text = bytearray(as_text(draw(VALID)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        match draw(st.sampled_from(["put", "cut", "again", "end"])):
            case "put":
                text[at:at] = draw(
                    st.sampled_from([b"{", b"]", b'"', b"\\", b"\xff", b",", b"1e999"])
                )
            case "cut":
                del text[at : at + 3]
            case "again":
                text[at:at] = text[: draw(st.integers(0, 60))]
            case "end":
                del text[at:]
    return bytes(text)


def check(message: bytes, effects: tuple[Effect, ...]) -> None:
    """What must hold of the effects of any message."""
    kind = known_kind(message)
    allowed = (*DEFINED[MESSAGES[kind][0]], Admitted) if kind else (CountUnknown, Log, Admitted)
    for effect in effects:
        assert isinstance(effect, allowed), (kind, effect)
        match effect:
            case Log(_, text):
                assert len(text) < 8 * limits.MAX_TEXT_CHARACTERS
            case Send(text):
                # Not orjson: a number that goes back may be one that it does not read.
                assert json.loads(text)["type"] in ("pong", "mcp_tool_approval_result")
                assert len(text) < 100 + 6 * limits.ID_CHARACTERS
            case CallTool(name, call_id, parameters, _):
                assert len(name) <= limits.MAX_TEXT_CHARACTERS
                assert isinstance(parameters, dict)
                if call_id:
                    sent.tool_result(call_id, "x", is_error=False)
            case Play(text, event_id):
                assert isinstance(text, str)
                assert -(2**63) <= event_id < 2**63


def known_kind(message: bytes) -> str:
    """The type of a message that is known; empty where there is none."""
    try:
        document = wire.loads(wire.readable(message)[0])
    except ValueError:
        return ""
    kind = document.get("type") if isinstance(document, dict) else None
    return kind if isinstance(kind, str) and kind in MESSAGES else ""


def converse(texts: list[bytes]) -> None:
    """One conversation, as a session has it; the end of it has to be told as well."""
    conversation = Conversation()
    begun = 0
    for text in texts:
        effects = conversation.receive(text)
        check(text, effects)
        for effect in effects:
            match effect:
                case Play(_, event_id, True):
                    conversation.response_began(event_id, 0)
                case Flush():
                    conversation.flushed(0, 0, 0)
                case Metadata():
                    begun += 1
        assert len(wire.for_log(text)) < limits.MAX_LOGGED_CHARACTERS + 100
    assert begun <= 1
    error = conversation.last_error
    words, kind = (error.message, error.kind) if error else ("", "")
    ending = from_close(1002, words, talking=True, error=kind, tool=conversation.ending_tool)
    assert len(ending.reason) <= limits.MAX_REASON_BYTES


@given(st.lists(VALID, max_size=4))
@examples(60, 5_000)
def test_what_the_service_may_say(said: list[dict[str, Any]]) -> None:
    """S7: and the messages made up here are what the descriptions admit."""
    for message in said:
        assert faults("server", message) == []
    converse([as_text(message) for message in said])


@given(st.lists(spoilt(), min_size=1, max_size=4))
@examples(120, 10_000)
def test_what_it_may_not_say(said: list[dict[str, Any]]) -> None:
    """S7."""
    converse([as_text(message) for message in said])


@given(st.lists(broken() | st.binary() | ANYTHING.map(as_text), min_size=1, max_size=3))
@examples(80, 10_000)
def test_what_is_no_message(said: list[bytes]) -> None:
    """S7."""
    converse(said)


@pytest.mark.parametrize("text", hostile.ALL.values(), ids=list(hostile.ALL))
def test_each_hostile_message(text: str) -> None:
    """S7."""
    converse([text.encode()])
