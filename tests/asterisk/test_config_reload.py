"""Reloading elevenlabs.conf under a live call: what changed is said, and what is wrong is named."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section, settled, wait_result, wait_talking
from tests.timing import EVENT, MS

MODULE = "app_elevenlabs_convai"
PREFIX = "ElevenLabs configuration: "
CHUNK_SECONDS = 4.0
"""How much audio is sent while chunks are counted: some may wait, whatever their length."""

CHUNK_LIMIT = EVENT

GOOD = "[good]\nagent_id = good\nauth = none\n"


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, "default") as mock:
        yield mock


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")


def module_reload(pbx: Instance, last: str) -> list[str]:
    """What `module reload` logs, but warnings, up to its last line: level and text of each."""
    start = len(pbx.log())
    pbx.cli(f"module reload {MODULE}.so")
    pbx.wait_log(re.escape(last), start=start)
    lines = re.findall(r" (NOTICE|ERROR)\[.*\] ([\w/]+)\.c: (.*)", pbx.log()[start:])
    ours = ("config/", MODULE)
    return [f"{level} {text}" for level, file, text in lines if file.startswith(ours)]


def changes(answer: str) -> list[str]:
    """The lines behind the one that says how many agents there are."""
    first, *rest = (line for line in answer.splitlines() if not line.startswith("WARNING: "))
    assert "reloaded successfully" in first, answer
    return [line.strip() for line in rest]


# --- what changed ---

KEY_1, KEY_2 = "sk-before-0123", "sk-after-4567"


def test_what_changed(pbx: Instance, mock: MockAgent) -> None:
    """Agents that came, went and changed, by name, with their keys; never a value."""
    before = section("sales", mock.url, api_key=KEY_1) + section("old", mock.url)
    after = section("support", mock.url) + section("sales", mock.url, api_key=KEY_2, chunk_ms="60")
    after = "[general]\nmax_sessions = 9\n" + after
    expected = ["added: support", "removed: old", "changed: sales (api_key, chunk_ms)",
                "changed: [general] (max_sessions)"]  # fmt: skip
    configure(pbx, before)
    answer = configure(pbx, after)
    assert "ElevenLabs configuration reloaded successfully: 2 agents" in answer
    assert changes(answer) == expected
    assert changes(pbx.cli("elevenlabs reload")) == ["nothing changed"]

    configure(pbx, before)
    (pbx.etc / "elevenlabs.conf").write_text(after, encoding="utf-8")
    logged = module_reload(pbx, PREFIX + expected[-1])
    assert logged[0] == "NOTICE ElevenLabs configuration reloaded successfully: 2 agents"
    assert logged[1:] == [f"NOTICE {PREFIX}{line}" for line in expected]
    again = f"{PREFIX}nothing changed"
    assert module_reload(pbx, again)[1:] == [f"NOTICE {again}"]
    assert not {KEY_1, KEY_2} & set(re.findall(r"sk-\w+-\d+", answer + pbx.log()))


# --- live calls ---


def chunks_sent(pbx: Instance, channel: str) -> tuple[int, float]:
    """How many chunks a call has sent so far, and the seconds of audio in them."""
    shown = pbx.cli(f"elevenlabs show session {channel}")
    heard = re.search(r"Heard: +([\d.]+) s", shown)
    sent = re.search(r"(\d+) audio chunks sent", shown)
    assert heard, shown
    assert sent, shown
    return int(sent[1]), float(heard[1])


def chunk_ms(pbx: Instance, channel: str) -> float:
    """The length of the chunks that a call sends now."""
    count, seconds = count_after, seconds_after = chunks_sent(pbx, channel)
    deadline = time.monotonic() + CHUNK_LIMIT
    while seconds_after < seconds + CHUNK_SECONDS:
        assert time.monotonic() < deadline, f"{channel} sends nothing"
        time.sleep(100 * MS)
        count_after, seconds_after = chunks_sent(pbx, channel)
    return 1000 * (seconds_after - seconds) / (count_after - count)


def channels(pbx: Instance) -> list[str]:
    return re.findall(r"^(PJSIP/\S+)", pbx.cli("elevenlabs show sessions"), re.MULTILINE)


def test_a_call_keeps_what_it_began_with(pbx: Instance, mock: MockAgent) -> None:
    """Its chunks stay as long as they were, even without its agent; a new call has the new ones."""
    configure(pbx, section("default", mock.url, chunk_ms="40"))
    before = pbx.counters()
    with Callers(pbx, 1, "default", send=CODECS["ulaw"].noise(60.0, seed=1)) as old:
        old.wait_up()
        [first] = channels(pbx)
        answer = configure(pbx, section("default", mock.url, chunk_ms="200"))
        assert changes(answer) == ["changed: default (chunk_ms)"]
        assert chunk_ms(pbx, first) == pytest.approx(40, rel=0.2)
        with Callers(pbx, 1, "default", send=CODECS["ulaw"].noise(60.0, seed=2)) as new:
            new.wait_up()
            [second] = {*channels(pbx)} - {first}
            assert chunk_ms(pbx, second) == pytest.approx(200, rel=0.2)
            assert changes(configure(pbx, GOOD)) == ["added: good", "removed: default"]
            assert chunk_ms(pbx, first) == pytest.approx(40, rel=0.2)
    assert "good" in pbx.cli("elevenlabs show agents")
    assert not {k: v for k, v in settled(pbx, before).items() if k == "channels"}


# --- faults ---


@dataclass(frozen=True)
class Fault:
    """A file, all that is to be said of it (where, and words), and what Asterisk's log says."""

    name: str
    text: str
    said: tuple[tuple[str, str], ...]
    """Where: behind the name of elevenlabs.conf, or in more.conf."""
    files: dict[str, str] = field(default_factory=dict)
    logged: str = ""


UNPARSED = (("", "Asterisk cannot parse it; Asterisk's log says where"),)

FAULTS = [
    Fault("unknown key", GOOD + "chunkms = 40\n",
          ((":4 [good]", " signed_url_endpoint, chunk_ms, max_sessions, "),)),
    Fault("bad value", GOOD + "chunk_ms = 7\n", ((":4 [good]", "from 20 to 1000"),)),
    Fault("hidden value", GOOD + "api_key = my secret\n", ((":4 [good]", "(not shown)"),)),
    Fault("no agent_id", "[a]\nauth = none\n", ((":2 [a]", "there is no agent_id"),)),
    Fault("empty section", GOOD + "[a]\n", ((" [a]", "there is no agent_id"),)),
    Fault("only a template's", "[t](!)\nauth = none\n[a](t)\n",
          ((" [a]", "there is no agent_id"),)),
    Fault("section twice", GOOD + "[GOOD]\nagent_id = x\n", ((":5 [GOOD]", "twice"),)),
    Fault("section twice, with a template",
          f"[t](!)\nauth = none\n{GOOD}\n[good](t)\n\nsilence = no\n", ((":9 [good]", "twice"),)),
    Fault("general twice", "[general]\n[general]\n" + GOOD, ((" [general]", "twice"),)),
    Fault("key file", GOOD + "api_key_file = /none\n", ((":4 [good]", "readable file"),)),
    Fault("several, also in an included file",
          GOOD + "[c]\nagent_id = y\nfoo = bar\n#include more.conf\nauth = x\n",
          ((":6 [c]", "no key foo"), ("/more.conf:1 [c]", "silence"), (":8 [c]", "signed_url")),
          {"more.conf": "silence = loud\n"}),
    Fault("a file included twice", GOOD + "#include more.conf\n[b]\n#include more.conf\n",
          (("more.conf:2 [good]", "chunk_ms = 1"), ("more.conf:2 [b]", "chunk_ms = 1")),
          {"more.conf": "agent_id = x\nchunk_ms = 1\n"}),
    Fault("no section", "auth = none\n" + GOOD, UNPARSED,
          logged="No category context for line 1 of"),
    Fault("include of none", GOOD + "#include none.conf\n", UNPARSED,
          logged="'none.conf' was listed as a #include but it does not exist"),
    Fault("bracket", GOOD + "[b\n", UNPARSED, logged="no closing ']', line 4 of"),
    Fault("no template", GOOD + "[b](none)\nagent_id = x\n", UNPARSED,
          logged="category 'none' does not exist, line 4 of"),
    Fault("nothing to add to", GOOD + "[b](+)\nsilence = no\n", UNPARSED,
          logged="category 'b' does not exist, line 4 of"),
]  # fmt: skip


@pytest.fixture(scope="module")
def live(pbx: Instance, mock: MockAgent) -> Iterator[Callers]:
    """A call that is up during all tests of faults, and must not notice."""
    configure(pbx, section("default", mock.url, chunk_ms="40"))
    with Callers(pbx, 1, "default") as calls:
        wait_talking(pbx, 1)
        yield calls


def check_said(lines: list[str], fault: Fault) -> None:
    """Each fault once, with its place and its words, and no other."""
    assert len(lines) == len(fault.said), lines
    for place, words in fault.said:
        where = place if "more.conf" in place else f"elevenlabs.conf{place}"
        [line] = [line for line in lines if f"{where}: " in line]
        assert words in line
        assert "my secret" not in line


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_fault(pbx: Instance, live: Callers, fault: Fault) -> None:
    """Named on the CLI and in the log; nothing changes, the call goes on."""
    start = len(pbx.log())
    agents = pbx.cli("elevenlabs show agents")
    for name, text in fault.files.items():
        (pbx.etc / name).write_text(text, encoding="utf-8")
    try:
        answer = configure(pbx, fault.text)
        count = len(fault.said)
        assert f"not reloaded: {count} fault{'s'[: count > 1]};" in answer, answer
        check_said(re.findall(r"^ERROR: (.*)", answer, re.MULTILINE), fault)
        logged = module_reload(pbx, "the old configuration stays in use")
        *faults, _ = [line for line in logged if line.startswith("ERROR ")]
        check_said([line.removeprefix("ERROR ") for line in faults], fault)
        assert fault.logged in pbx.log()[start:]
    finally:
        for name in fault.files:
            (pbx.etc / name).unlink()
    assert pbx.cli("elevenlabs show agents") == agents
    assert live[0].ended_at is None
    assert "talking" in pbx.cli("elevenlabs show sessions")


SKIPPED = {
    "no equal sign": ("chunk_ms 40\n", "No '=' (equal sign) in line 4 of"),
    "no key": ("= 40\n", "No variable name in line 4 of"),
    "directive": ("#chunk_ms = 40\n", "Unknown directive '#chunk_ms' at line 4 of"),
    "include of nothing": ("#include\n", "needs an argument (filename) at line 4 of"),
    "include of none that may be missing": ("#tryinclude none.conf\n", ""),
    "exec": ("#exec /bin/true\n", "Cannot perform #exec unless execincludes"),
    "comment": (";-- chunk_ms = 40\n", "Unterminated comment detected beginning on line 4"),
    "long line": (f"chunk_ms = 40{' ' * 9000}\n", "Line 4 too long, skipping"),
}
"""A line that Asterisk skips, and what its log says of it."""


@pytest.mark.parametrize("name", SKIPPED)
def test_a_line_that_asterisk_skips(pbx: Instance, live: Callers, name: str) -> None:
    """It is in Asterisk's log; the file is taken without it, and the call goes on."""
    line, logged = SKIPPED[name]
    configure(pbx, GOOD)
    start = len(pbx.log())
    assert changes(configure(pbx, GOOD + line)) == ["nothing changed"]
    pbx.wait_log(re.escape(logged), start=start)
    assert live[0].ended_at is None


def test_an_included_file_of_which_asterisk_reads_a_part(pbx: Instance, live: Callers) -> None:
    """Asterisk takes it as a whole one; what is missing afterwards is listed."""
    more = pbx.etc / "more.conf"
    try:
        more.write_text("[b]\nagent_id = x\nauth = none\n[c]\nagent_id = x\nauth = none\n")
        assert "3 agents" in configure(pbx, GOOD + "#include more.conf\n")
        more.write_text(more.read_text().replace("[c]", "[oops\n[c]"))
        start = len(pbx.log())
        assert changes(pbx.cli("elevenlabs reload")) == ["removed: c"]
        pbx.wait_log("no closing ']', line 4 of .*/more.conf", start=start)
    finally:
        more.unlink()
    assert live[0].ended_at is None


HARDLY_MEANT = """\
[general]
api_key = "sk-secret-1"
[t](!)
var_hours = Mon-Fri;Sat
[a](t)
agent_id = a
branch_id = b'
override_prompt = \N{LEFT DOUBLE QUOTATION MARK}Sell bicycles.\N{RIGHT DOUBLE QUOTATION MARK}
#include more.conf
var_meant = "yes" or "no" ; comment
var_escaped = a\\;b
json_meant = "text"
override_first_message = Hello; how are you?
[b]
agent_id = b
#include more.conf
"""
"""H7: with more.conf, whose second line is ``var_more=more;1``."""


def test_lines_that_are_hardly_meant(pbx: Instance, live: Callers) -> None:
    """H7: quotes, and semicolons, are warned about, each with its line and a remedy."""
    more = pbx.etc / "more.conf"
    try:
        more.write_text("\nvar_more=more;1\n")
        answer = configure(pbx, HARDLY_MEANT)
    finally:
        more.unlink()
    assert "2 agents" in answer
    quotes, semicolon = "Asterisk makes part of the value; remove", "ends before the ; in this line"
    said = re.findall(r"^WARNING: (\S+?(?::\d+)?) (\[\w+\]): (.*)", answer, re.MULTILINE)
    found = [(place.rsplit("/", 1)[-1], section, text) for place, section, text in said]
    expected = [
        ("elevenlabs.conf:2", "[general]", "api_key", quotes),
        ("elevenlabs.conf:4", "[a]", "var_hours", semicolon),
        ("elevenlabs.conf:7", "[a]", "branch_id", quotes),
        ("elevenlabs.conf:8", "[a]", "override_prompt", quotes),
        ("more.conf:2", "[a]", "var_more", semicolon),
        ("elevenlabs.conf:13", "[a]", "override_first_message", semicolon),
        ("more.conf:2", "[b]", "var_more", semicolon),
        ("elevenlabs.conf:2", "[general]", "AST_CONFIG()", "api_key_file"),
        ("elevenlabs.conf", "[a]", "nothing limits", "max_sessions"),
    ]
    assert len(found) == len(expected), answer
    for (place, section_name, text), (*where, key, words) in zip(found, expected, strict=True):
        assert [place, section_name] == where
        assert key in text
        assert words in text
    assert "sk-secret" not in answer
    assert live[0].ended_at is None


def test_the_call_ends_as_ever(pbx: Instance, live: Callers) -> None:
    start = len(pbx.log())
    live.hangup_all()
    live.wait()
    assert wait_result(pbx, start).status == "HANGUP"
