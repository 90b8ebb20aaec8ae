"""docs/cookbook.md: every recipe, as it stands there, in real calls, all at once."""

from __future__ import annotations

import array
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pyconvai.mock.audio import FORMATS, encode
from testbed import service
from testbed.config import USELESS_MODULES
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import PROJECT
from testbed.root import Root
from testbed.speech import RATE, read_wav, speech
from tests.asterisk import cookbook
from tests.asterisk import cookbook_scenes as scenes
from tests.asterisk.attested import Carrier
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure, results
from tests.asterisk.stage import loud_seconds, packets_of
from tests.asterisk.stepping import GREETING, REPLY, SOME, SOUNDS, WORD_SECONDS, Played, collect
from tests.planted import key
from tests.timing import SECOND, only_in_full

NEEDED = {"app_amd", "res_stir_shaken", "res_pjsip_stir_shaken"}
"""What the recipes use and the testbed leaves out."""

ATTESTED = "15550100"


class Come(NamedTuple):
    """What all scenes came to."""

    pbx: Instance
    kitchen: scenes.Kitchen
    played: dict[str, Played]
    sessions: list[dict[str, Any]]
    ended: dict[str, str]
    """The status that the dialplan of each context was left with."""

    def told(self, agent: str) -> list[dict[str, Any]]:
        """The dynamic variables of each of its conversations."""
        return [s["dynamic_variables"] for s in self.sessions if s["agent_id"] == agent]


def files(carrier: Carrier) -> dict[str, str]:
    """Configuration beside dialplan and agents: the page's, with this carrier."""
    SOUNDS.mkdir(parents=True, exist_ok=True)
    for name, sound in cookbook.PROMPTS.items():
        (SOUNDS / f"{name}.ulaw").write_bytes(sound)
    noload = "".join(f"noload = {name}.so\n" for name in USELESS_MODULES if name not in NEEDED)
    here = [
        ("/etc/asterisk/stir-shaken-authorities.pem", carrier.authority),
        ("/var/lib/asterisk/stir-shaken", carrier.cache),
        # The carrier is this Asterisk too, and its certificate is not where carriers have theirs.
        ("= verify", "= on\nrelax_x5u_port_scheme_restrictions = yes\nx5u_permit = 127.0.0.1/32"),
    ]
    page = cookbook.config("stir_shaken.conf", here)
    return {
        "modules.conf": f"[modules]\nautoload = yes\n{noload}",
        "confbridge.conf": cookbook.config("confbridge.conf"),
        "stir_shaken.conf": page + carrier.attests(ATTESTED),
        **{f"{name}.key": key(which) for name, which in scenes.TENANTS.items()},
    }


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, root: Root) -> Iterator[Instance]:
    with Carrier(root) as carrier:
        yield asterisk(
            dialplan=cookbook.dialplan(root),
            elevenlabs="[general]\n",
            endpoint={"stir_shaken_profile": "carriers"},
            files=files(carrier),
        )


@pytest.fixture(scope="module")
def come(pbx: Instance, root: Root) -> Come:
    itself = f"sip:headers@127.0.0.1:{pbx.ports.sip}"
    pbx.cli(f"dialplan set global SELF {itself}")
    keys = {
        f"/etc/asterisk/{name.removesuffix('_agent')}.key": root.path(pbx.etc / f"{name}.key")
        for name in scenes.TENANTS
    }
    start = len(pbx.log())
    with MockAgent(root, scenes.service(), record=True) as mock:
        text = cookbook.sections(mock.url, keys, scenes.TOOLS)
        assert "reloaded successfully" in configure(pbx, text)
        kitchen = scenes.cook(pbx)
    played = collect(pbx, mock, kitchen.stages, start)
    ended = {each.agent: each.status for each in results(pbx, start)}
    return Come(pbx, kitchen, played, mock.report["sessions"], ended)


def test_every_recipe_is_played() -> None:
    """By this file or another; and each block says which file it is for."""
    played = [*cookbook.AGENTS, *cookbook.ELSEWHERE]
    assert sorted(cookbook.titles()) == sorted(played)
    assert all(block.file for block in cookbook.blocks() if "asterisk -rx" not in block.text)


def test_listen_and_whisper(come: Come) -> None:
    """The supervisor hears all that is said; what is whispered only the person hears."""
    played = come.played["listen"]
    others, said = played.others, played.said
    assert come.ended["listened"] == "TRANSFER"
    for sound in (REPLY, said["to agent"]):
        assert scenes.heard(others["ear"], sound)
    for sound in (said["to person"], said["from person"]):
        assert scenes.heard(others["mouth"], sound)
    assert scenes.heard(others["person"], said["whispered"])
    assert played.caller_heard(said["whispered"]) == 0
    played.agent_heard_only("to agent")


def test_an_agent_in_a_conference(come: Come) -> None:
    """One, which hears the people, and leaves with the last of them."""
    played = come.played["meeting"]
    assert len(played.seen["sessions"]) == 1
    assert 0.5 < loud_seconds(played.heard) / WORD_SECONDS < 1.5, "one word, and not that before"
    assert played.session["close_code"] == 1000


def recorded(come: Come, side: str) -> bytes:
    """What the one recording has of a side, as the line carries it."""
    (file,) = Path(come.pbx.folder).rglob(f"*-{side}.wav")
    return encode(array.array("h", read_wav(file, RATE)), FORMATS["ulaw_8000"])


def test_a_recording(come: Come) -> None:
    """Each side in its file, nothing of the pause, and one time line."""
    played = come.played["record"]
    caller, agent = recorded(come, "caller"), recorded(come, "agent")
    for word in ("before", "behind"):
        assert packets_of(played.said[word], caller) >= SOME
        assert packets_of(played.said[word], agent) == 0
    for sound in (GREETING, REPLY, scenes.AFTERWARDS):
        assert packets_of(sound, agent) >= SOME
    for sound in (played.said["in the pause"], cookbook.PROMPTS["enter-card-number"]):
        assert packets_of(sound, caller + agent) == 0
    assert loud_seconds(caller) < 2.2 * WORD_SECONDS
    assert abs(len(caller) - len(agent)) <= RATE / 10
    told = [each["result"] for s in played.seen["sessions"] for each in s["tool_results"]]
    assert told == ["rejected"]


def test_outbound(come: Come) -> None:
    """The agent talks with the person, and knows that it is one."""
    (told,) = come.told("outbound")
    assert told["answered_by"] == "HUMAN"
    assert told["call_direction"] == "outbound"
    assert told["called_number"] == "15550121"
    assert packets_of(GREETING, come.kitchen.legs["machine"].heard) == 0


def test_a_campaign(come: Come) -> None:
    """Two at once, all in the end, and what became of each."""
    assert "2 results found" in come.kitchen.shown["todo"]
    called = come.kitchen.shown["called"]
    assert (called.count("HANGUP"), called.count("BUSY")) == (3, 1)
    assert len(come.told("campaign")) == 3


def test_headers(come: Come) -> None:
    by_account = {told["account"]: told for told in come.told("headers")}
    genuine = {account: told["number_is_genuine"] for account, told in by_account.items()}
    assert genuine == {"4711": "yes", "2": "yes", "3": "no", "4": "no"}
    diverted = by_account["4711"]
    assert diverted["diverted_from"] == "15550177"
    assert diverted["diverted_why"] == "cfu"
    assert by_account["3"]["diverted_from"] == ""


def test_own_words(come: Come) -> None:
    """Heard, by the scene; and the log says why."""
    assert "no agent: UNREACHABLE" in come.pbx.log()
    assert come.told("words") == []


def test_tenants(come: Come) -> None:
    """Each with a key that the service takes of it alone; and a step of one."""
    for name in scenes.TENANTS:
        assert len(come.told(name)) == 1
    assert come.played["acme_agent"].session["tool_results"][0]["result"] == "SUCCESS"


def test_day_and_night(come: Come) -> None:
    """The agent has had the three calls that were not by day."""
    assert len(come.told("night")) == 3


def test_nothing_is_left(come: Come) -> None:
    assert [s["violations"] for s in come.sessions if s["violations"]] == []
    assert "0 sessions" in come.pbx.cli("elevenlabs show sessions")
    assert "0 results found" in come.pbx.cli("database show todo")


@only_in_full("starts two more of Asterisk")
@pytest.mark.limit(240)
@pytest.mark.parametrize("works", [True, False])
def test_ci(root: Root, tmp_path: Path, works: bool) -> None:
    """The script as a job runs it, in a repository with callers; a broken dialplan fails it."""
    (tmp_path / "ci").mkdir()
    for block in cookbook.blocks():
        if block.file.startswith("ci/"):
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    for name, text in (("asks-the-price", "What is the price?"), ("says-goodbye", "Thank you.")):
        wav = speech(root, text, rate=16000).read_bytes()
        (tmp_path / "ci" / f"{name}.wav").write_bytes(wav)
    (tmp_path / "elevenlabs.conf").write_text("[sales_agent]\nagent_id = agent_1\n")
    (tmp_path / "extensions.conf").write_text(
        f"[incoming]\nexten => 100,1,ElevenLabsConvAI({'sales_agent' if works else 'nobody'})\n"
        " same => n,Log(NOTICE,the agent: ${ELEVENLABSSTATUS})\n same => n,Hangup()\n"
    )
    name = f"cookbook-{os.getpid()}"
    try:
        done = subprocess.run(
            ["sh", "ci/call.sh"],
            cwd=tmp_path,
            env=os.environ | {"APP": str(PROJECT), "TESTBED_NAME": name},
            capture_output=True,
            text=True,
            timeout=200 * SECOND,
            check=False,
        )
    finally:
        if service.read_state(name):
            service.down(name)
    assert (done.returncode == 0) == works, done.stdout + done.stderr
    if works:
        assert "agent: Ten euros an hour." in done.stdout
