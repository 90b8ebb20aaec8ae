"""The page of a call: what stands in it, and that whatever was said is text."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from pyconvai import limits
from pyconvai.conversation.account import Account
from pyconvai.conversation.effects import CallTool, Corrected, Said, Speaker
from pyconvai.records import record
from pyconvai.records.recent import Recent
from pyconvai.report import levels, page
from pyconvai.report.style import STYLE
from tests.unit.recorded import end, facts

HOSTILE = (
    "<script>alert(1)</script>",
    "</style></main><img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)' x=\"",
    "<!-- --!> ]]> &lt;b&gt; &#60;i&#62;",
    "\x1b[31mred\x07\x00\x9b0m",
    "abc\u202edcba\u2066\u200f\u061cxyz\u2069",
    "{{7*7}} ${x} %s {0}",
    "\ud83d half an emoji",
)
"""Of anybody: markup, control characters, marks of direction."""

VOID = {"meta", "br", "hr"}
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer"),
    *(
        "h1",
        "h2",
        "p",
        "div",
        "span",
        "b",
        "i",
        "hr",
        "small",
        "em",
        "code",
        "bdi",
        "del",
        "details",
    ),
    *("summary", "dl", "dt", "dd", "ol", "ul", "li", "svg", "path", "table", "thead", "tbody"),
    *("tr", "th", "td"),
}
ATTRIBUTES = {
    *("lang", "dir", "charset", "http-equiv", "content", "name", "class", "style", "title"),
    *("role", "aria-label", "aria-hidden", "tabindex", "scope", "viewbox", "preserveaspectratio"),
    "d",
}


class Parsed(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: dict[str, list[str]] = {}
        self.text = ""
        self.deleted: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")
        if tag not in VOID and tag != "path":
            self._open.append(tag)
        if tag == "del":
            self.deleted.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data
            if "del" in self._open:
                self.deleted[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def talked(**more: Any) -> record.Record:
    """The record of a call with all that there can be in one."""
    account = Account()
    account.begin("conv_1", keeps_words=True)
    account.talk()
    account.said(Said(Speaker.AGENT, "Hello. How can I help you today?", 1))
    account.heard(1, 1500, 1500, -1)
    account.said(Said(Speaker.CALLER, "What are your opening hours?", 0, final=True))
    account.called(CallTool("find_hours", "t1", {}))
    account.answered("t1", "nine to six", is_error=False)
    account.said(Said(Speaker.AGENT, "We are open from nine to six on every weekday.", 2))
    account.interrupted(900, 3000)
    account.heard(2, 900, 3000, 17)
    account.corrected("We are open from...", 2)
    account.away("step", "ask_desk")
    account.away("hold")
    account.away("")
    account.end()
    quality = {"JitterMs": "2.1", "LossPercent": "0.50", "Mos": "4.21"}
    found = record.ended(facts() | end() | quality, account)
    found["latency"] = [{"at_ms": 1000, "ms": 800}, {"at_ms": 5000, "ms": 1600}]
    found["levels"] = encoded(
        b"\x00" * 5 + b"\xd0" * 20 + b"\x20" * 75, b"\xe0" * 30 + b"\x00" * 70
    )
    return found | more


def encoded(caller: bytes, agent: bytes) -> dict[str, Any]:
    both = {"caller": caller, "agent": agent}
    return {"every_ms": 100} | {side: base64.b64encode(b).decode() for side, b in both.items()}


def read(found: record.Record) -> Parsed:
    """The page, held against what every page has to keep to."""
    made = page.made(found, "2026-11-30 07:00:00")
    parsed = Parsed(made)
    assert parsed.elements <= ELEMENTS
    assert set(parsed.attributes) <= ATTRIBUTES
    policy = [each for each in parsed.attributes["content"] if each.startswith("default-src")]
    assert policy == [page._POLICY]
    for style in (STYLE, *parsed.attributes.get("style", ())):
        assert not re.search(r"(?i)//|url\(|@import|expression", style)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", made
    )
    return parsed


def test_a_call_with_everything() -> None:
    parsed = read(talked())
    for text in (
        "Hello. How can I help you today?",
        "What are your opening hours?",
        "find_hours",
        "nine to six",
        "the caller hung up",
        "conv_1",
        "PJSIP/caller-00000001",
        "0301234",
        "MOS: good",
        "0.5 %",
        "Step ask_desk",
        "The caller holds",
        "1.2 s",  # the median of both answers
    ):
        assert text in parsed.text, text
    assert parsed.deleted == [" nine to six on every weekday."]
    titles = parsed.attributes["title"]
    assert "0:00: the caller interrupted the agent, and had heard 900 ms of 3.0 s" in titles
    assert "The caller: 0:00, 2.0 s" in titles
    assert "The agent: 0:00, 3.0 s" in titles


@pytest.mark.parametrize("said", HOSTILE)
def test_hostile_words_are_text(said: str) -> None:
    """Wherever somebody else's words stand: between tags, in attributes, in the title."""
    account = Account()
    account.begin("conv_1", keeps_words=True)
    account.talk()
    account.said(Said(Speaker.AGENT, f"{said} and {said}", 1))
    account.heard(1, 1, 2, len(said))
    account.said(Said(Speaker.CALLER, said, 0, final=True))
    account.called(CallTool(said, "t1", {}))
    account.answered("t1", said, is_error=True)
    account.away("step", said)
    told = facts(agent=said, caller_name=said, caller_number=said, channel=said, called_number=said)
    found = record.ended(told | end(reason=said, detail=said), account)
    found["levels"] = encoded(b"\xff", b"\xff")
    parsed = read(found)
    shown = _as_shown(said)
    assert parsed.text.count(shown) > 8
    assert any(shown in each for each in parsed.deleted)


def _as_shown(text: str) -> str:
    """What nobody sees has its number."""
    named = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
    replaced = text.encode(errors="replace").decode()
    return named.sub(lambda found: f"U+{ord(found[0]):04X}", replaced)


def test_without_words_the_page_says_so() -> None:
    parsed = read(talked(transcript=None))
    assert "What was said is not kept" in parsed.text
    assert "transcripts = records" in parsed.text
    assert "Hello" not in parsed.text


def test_words_that_are_for_files_alone() -> None:
    """Who may look at calls sees that somebody spoke and what was called, and nothing of words."""
    found = talked(status="AGENT_ENDED", detail="he wants his money back")
    shown = Parsed(page.made(found, "2026-11-30 07:00:00", with_words=False)).text
    for text in ("Hello", "hours?", "weekday", "nine to six", "money"):
        assert text not in shown, text
        assert text in Parsed(page.made(found, "2026-11-30 07:00:00")).text, text
    for text in ("What was said is not shown", "find_hours", "MOS: good", "ask_desk"):
        assert text in shown, text
    failed = page.made(talked(status="AUTH", detail="no such key"), "x", with_words=False)
    assert "no such key" in failed


def test_a_call_without_an_agent() -> None:
    found = record.ended(facts() | end(status="UNREACHABLE", reason="nobody is there"), None)
    parsed = read(found)
    assert "There was no conversation" in parsed.text
    assert "nobody is there" in parsed.text
    assert "Nothing is known of it" in parsed.text


def test_a_call_that_is_up() -> None:
    assert "the call is up" in read(record.standing(facts(), None)).text


def test_records_of_older_versions_have_less() -> None:
    found = talked()
    for name in ("levels", "latency", "away", "interrupted", "mos", "jitter_ms"):
        del found[name]
    for turn in found["transcript"]:
        del turn["said"], turn["heard_characters"]
    parsed = read(found | {"talking_ms": 5000})
    assert "Levels of this call were not kept" in parsed.text
    assert "We are open from" in parsed.text


@pytest.mark.parametrize(
    ("turn", "struck"),
    [
        ({"heard_characters": 7}, [" two three"]),  # the end of a word
        ({"heard_characters": 9}, [" two three"]),  # within one
        ({"heard_characters": 0}, ["one one two three"]),
        ({"heard_characters": 17}, []),
        ({"heard_characters": None}, []),
        ({"heard_characters": None, "cut_short": True, "text": "one one..."}, [" two three"]),
        ({"heard_characters": 7, "said": None}, [" two three"]),  # the call ended
    ],
)
def test_what_was_not_heard_is_struck_through(turn: dict[str, Any], struck: list[str]) -> None:
    whole = "one one two three"
    told = {"speaker": "agent", "text": whole, "at_ms": 0, "cut_short": False, "said": whole}
    assert read(talked(transcript=[told | turn])).deleted == struck


# ---- Levels ----


def test_levels_become_columns_and_times_of_speech() -> None:
    """A pause within words is none; silence has no height."""
    speech, pause, noise = b"\xff", b"\x00", b"\x40"
    caller = speech * 3 + pause * 2 + speech * 2 + pause * 4 + speech + noise
    found = levels.of(encoded(caller, pause * len(caller)))
    assert found is not None
    assert found.length_ms == 1300
    assert found.caller.spoke == [(0, 700), (1100, 1200)]
    assert found.caller.spoke_ms == 800
    assert found.caller.heights[0] == 100
    assert found.caller.heights[3] == 0
    assert 0 < found.caller.heights[-1] < 100
    assert "".join("-s"[each] for each in found.caller.speech) == "sss--ss----s-"
    assert found.agent.spoke == []
    assert set(found.agent.heights) == {0}


def test_a_long_call_has_as_many_columns_as_are_shown() -> None:
    found = levels.of(encoded(b"\x7f" * 35_999 + b"\xff", b"\x00" * 36_000))
    assert found is not None
    assert len(found.caller.heights) == limits.REPORT_COLUMNS
    assert found.caller.speech == [False] * (limits.REPORT_COLUMNS - 1) + [True]


@pytest.mark.parametrize(
    "wrong", [None, {}, encoded(b"", b""), encoded(b"x", b"y") | {"caller": "§"}]
)
def test_levels_that_cannot_be_read_are_none(wrong: dict[str, Any] | None) -> None:
    assert levels.of(wrong) is None


# ---- The account ----


def test_what_was_heard_finds_its_turn() -> None:
    """Also where the words come behind the audio, and where the core does not know."""
    account = Account()
    account.begin("conv_1", keeps_words=True)
    account.heard(7, 500, 1000, 6)
    account.said(Said(Speaker.AGENT, "first words", 7))
    account.said(Said(Speaker.AGENT, "0123456789", 8))
    account.heard(8, 500, 1000, -1)
    account.said(Said(Speaker.AGENT, "all of it", 9))
    account.heard(9, 1000, 1000, 4)
    turns = account.told()["transcript"]
    assert [turn["heard_characters"] for turn in turns] == [6, 5, 9]
    correction = Corrected("first", 7)
    account.corrected(correction.text, correction.event_id)
    (first, *_) = account.told()["transcript"]
    assert (first["text"], first["said"], first["heard_characters"]) == ("first", "first words", 6)


def test_times_away_are_bounded_and_end() -> None:
    account = Account()
    account.away("hold")  # before there is an agent
    account.talk()
    account.away("hold")
    account.away("hold")
    account.away("step", "find")
    account.away("")
    told = account.told()["away"]
    assert [(each["why"], each["step"]) for each in told] == [("hold", None), ("step", "find")]
    assert all(each["ms"] is not None for each in told)
    for number in range(limits.RECORD_AWAY + 10):
        account.away("step", str(number))
    assert len(account.told()["away"]) == limits.RECORD_AWAY
    for _ in range(limits.RECORD_INTERRUPTIONS + 10):
        account.interrupted(0, 0)
    assert len(account.told()["interrupted"]) == limits.RECORD_INTERRUPTIONS


# ---- What is kept in memory ----


def test_the_last_calls_are_kept_within_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    recent = Recent()
    for number in range(limits.CALLS_KEPT + 5):
        recent.add(talked(id=f"r{number}"), b"x" * number)
    assert len(list(recent)) == limits.CALLS_KEPT
    assert recent.find("r4") is None
    assert recent.find("r5") == b"xxxxx"
    # The newest of one name; a call has several.
    assert recent.find("PJSIP/caller-00000001") == b"x" * (limits.CALLS_KEPT + 4)
    assert recent.find("conv_1") == recent.find("1.1") == recent.find("PJSIP/caller-00000001")
    monkeypatch.setattr(limits, "CALLS_KEPT_BYTES", 100)
    recent.add(talked(id="long"), b"y" * 101)
    assert recent.find("long") is None
    recent.add(talked(id="short"), b"y" * 50)
    assert sum(len(kept.line) for kept in recent) <= 100
