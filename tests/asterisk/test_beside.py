"""Tools beside the call, in real calls: dialplan on channels of its own, all scenes at once.

Each agent has the name of its scene.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from testbed.ami import Ami
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from testbed.telephone import Leg
from testbed.telephones import Telephones
from testbed.variants import install_variant
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import RESULT, configure, section, wait_result
from tests.asterisk.stage import loud_seconds, packets_of, until
from tests.timing import SECOND, only_in_full

ULAW = CODECS["ulaw"]
GREETING, REPLY = ULAW.noise(0.3, seed=1), ULAW.noise(0.4, seed=2)
"""Before the tool, and after its result."""
LONG_SECONDS = 4
LONG = ULAW.noise(LONG_SECONDS, seed=4)
MUSIC = ULAW.noise(1.0, seed=5)
GO = "go-on"
"""A file in Asterisk's folder: what hangs does so until it is there."""

TOGETHER = 4
"""Tools of one call that run together: each waits until all of them do."""

TIMEOUT_SECONDS = 1
FLOOD = 200

DIALPLAN = f"""\
[callers]
exten => _[a-z].,1,Set(AGENT=${{EXTEN}})
 same => n,Set(SHARED(said)=shared words)
 same => n,ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})
 same => n,Hangup()
exten => h,1,Log(NOTICE,{RESULT}hung up|${{AGENT}})
 same => n,ExecIf($["${{AGENT}}" = "leaving"]?Set(GLOBAL(HAS_LEFT)=1))

[hints]
exten => 100,hint,Custom:desk

[elevenlabs-steps]
exten => in_both,1,Return(the step)

[elevenlabs-tools]
exten => look_up,1,Set(who=${{IMPORT(${{ELEVENLABS_CHANNEL}},AGENT)}})
 same => n,Return(${{ELEVENLABS_TOOL}} ${{ELEVENLABS_ARG_order}} ${{ELEVENLABS_ARG_text}} ${{who}} \
${{SHARED(said,${{ELEVENLABS_CHANNEL}})}} ${{CALLERID(num)}} ${{CHANNEL(channeltype)}})
exten => hangs,1,Set(x=${{SHELL(until [ -e {GO} ]\\; do sleep 0.1\\; done)}})
 same => n,Return(too late)
exten => hangs_long,1,Set(x=${{SHELL(sleep 7)}})
 same => n,Return(too late)
exten => waits,1,Wait(60)
 same => n,Return(never)
exten => counts,1,Set(i=0)
 same => n(again),Set(i=$[${{i}}+1])
 same => n,Goto(again)
exten => slow,1,Wait(1)
 same => n,Return(slow)
exten => together,1,Set(GROUP()=together)
 same => n(again),Wait(0.1)
 same => n,ExecIf($[${{GROUP_COUNT(together)}} = {TOGETHER}]?Set(GLOBAL(ALL_THERE)=1))
 same => n,GotoIf($["${{ALL_THERE}}" != "1"]?again)
 same => n,Return(together ${{ELEVENLABS_ARG_number}})
exten => slower,1,Wait(3)
 same => n,Return(slower)
exten => notes,1,Wait(0.1)
 same => n,GotoIf($["${{HAS_LEFT}}" != "1"]?1)
 same => n,Log(NOTICE,noted to the end)
 same => n,Return()
exten => command,1,System(true)
exten => typo,1,Retrun(done)
exten => _by_[a-z].,1,Return(found)
exten => in_both,1,Return(beside)
"""

FILES = {
    "musiconhold.conf": "[default]\nmode = files\ndirectory = {music}\n",
    "queues.conf": "[sales]\nmember => Local/looks@callers/n\n[empty]\n",
    "cdr.conf": "[general]\nenable = yes\nunanswered = yes\n",
    "cdr_manager.conf": "[general]\nenabled = yes\n",
    "cel.conf": "[general]\nenable = yes\napps = all\nevents = ALL\n[manager]\nenabled = yes\n",
}
LATER = ("app_queue", "res_musiconhold", "cdr_manager", "cel_manager")
"""Modules that the testbed leaves out."""


def tool(name: str, parameters: str = "", *, waits: bool = True, wait_ms: int = 0) -> str:
    """A turn that calls a tool, and goes on at once unless it waits for the result."""
    expects = "" if waits else ", expects_response = false"
    return (
        f"{{ wait_ms = {wait_ms}, tool = {{ name = '{name}', parameters = {{ {parameters} }},"
        f" timeout_ms = 20000{expects} }} }}"
    )


def agent(name: str, *turns: str, first: str = 'sound = "noise:1:300"') -> str:
    """One that greets, calls tools, and then says something."""
    listed = "".join(f"{turn},\n" for turn in turns)
    return f"""
[agents.{name}]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "Noise.", {first}, interruptible = false }}
turns = [
{listed}{{ wait_ms = 0, say = {{ text = "Noise.", sound = "noise:2:400", interruptible = false }} }}
]
"""


AGENTS = 'title = "beside"\n' + "".join(
    (
        agent("looks", tool("look_up", 'order = 17, text = "a;b,c$(id)"')),
        agent("hanging", tool("hangs")),
        agent("waiting", tool("waits")),
        agent("counting", tool("counts")),
        agent("missing", tool("fly")),
        agent("both", tool("in_both")),
        agent("command", tool("command")),
        agent("typo", tool("typo")),
        agent(
            "several",
            *(tool("together", f"number = {i}", waits=i == TOGETHER - 1) for i in range(TOGETHER)),
        ),
        agent(
            "flood", *(tool("look_up", f"order = {i}", waits=i == FLOOD - 1) for i in range(FLOOD))
        ),
        agent("leaving", tool("notes")),
        agent("steady", first=f'sound = "noise:4:{LONG_SECONDS * 1000}"'),
        agent("music", tool("slower")),
        agent("tone", tool("slower")),
        agent("unfilled", tool("slow")),
        agent(
            "states",
            *(
                tool("get_state", f"name = '{name}'")
                for name in ("100@hints", "sales", "empty", "nobody", "Custom:desk", "x@hints")
            ),
        ),
        agent("watcher", tool("waits")),
        agent("unloaded", tool("slow", waits=False), tool("waits")),
        agent("refused", tool("hangs_long", waits=False), tool("waits")),
        agent("stopped", tool("waits")),
        agent("renewed", tool("slower")),
    )
)
KEYS: dict[str, dict[str, str]] = {
    "hanging": {"tool_timeout": str(TIMEOUT_SECONDS)},
    "waiting": {"tool_timeout": str(TIMEOUT_SECONDS)},
    "counting": {"tool_timeout": str(TIMEOUT_SECONDS)},
    "music": {"filler": "music", "filler_after_ms": "200"},
    "tone": {"filler": "tone", "filler_after_ms": "200"},
    "unfilled": {"filler_after_ms": "0"},
    "states": {"get_state_allow": "100@*,sales,empty,nobody,Custom:desk"},
}

Told = dict[str, dict[str, Any]]
"""By scene: its session at the service, and its leg."""


def conf(url: str, *names: str) -> str:
    return "".join(section(name, url, tools="*", **KEYS.get(name, {})) for name in names)


class Stage:
    """Where one scene plays."""

    def __init__(self, pbx: Instance, phones: Telephones, name: str) -> None:
        self.pbx, self.name = pbx, name
        self.leg = phones.phone(f"customer_{name}", "5550123").call(name).wait_up()

    def hears(self, sound: bytes) -> None:
        until(lambda: sound in self.leg.so_far().heard, f"{self.name}: not heard")


def replied(stage: Stage) -> None:
    stage.hears(REPLY)
    stage.leg.hangup()


def leaving(stage: Stage) -> None:
    stage.hears(GREETING)
    stage.pbx.wait_log("runs tool notes on Surrogate/")
    stage.leg.hangup()


PLAIN = (
    *("looks", "hanging", "waiting", "counting", "missing", "both", "command", "typo", "several"),
    *("flood", "steady", "music", "tone", "unfilled", "states"),
)
SCENES: dict[str, Callable[[Stage], None]] = dict.fromkeys(PLAIN, replied) | {"leaving": leaving}


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", debug=0, files=FILES)


def music(pbx: Instance) -> None:
    """Music on hold that can be told from everything else."""
    folder = pbx.folder / "music"
    folder.mkdir()
    (folder / "noise.ulaw").write_bytes(MUSIC)
    path = Path(pbx.etc) / "musiconhold.conf"
    path.write_text(path.read_text().format(music=pbx.root.path(folder)))
    for module in LATER:
        pbx.cli(f"module load {module}.so")
    pbx.cli("devstate change Custom:desk INUSE")


@pytest.fixture(scope="module")
def scenes(pbx: Instance, root: Root) -> Told:
    music(pbx)
    legs: dict[str, Leg] = {}

    def perform(name: str, phones: Telephones) -> None:
        stage = Stage(pbx, phones, name)
        legs[name] = stage.leg
        SCENES[name](stage)

    with MockAgent(root, AGENTS) as mock, Ami(pbx, events="on") as ami:
        said = configure(pbx, conf(mock.url, *SCENES))
        assert "reloaded successfully" in said, said
        with Telephones(pbx) as phones, ThreadPoolExecutor(len(SCENES)) as threads:
            futures = [threads.submit(perform, name, phones) for name in SCENES]
            late = "1 beyond tool_timeout"
            until(lambda: late in pbx.cli("elevenlabs show stats"), "the thread is not counted")
            (pbx.folder / GO).touch()
            faults = [future.exception() for future in futures]
        assert not any(faults), faults
        pbx.wait_no_channels()
        pbx.wait_log("hangs of agent hanging has ended after")
        told.extend(str(event) for event in ami.events())
        mock.stop()
    sessions = {each["agent_id"]: each for each in mock.report["sessions"]}
    return {name: {"session": sessions[name], "leg": legs[name]} for name in SCENES}


told: list[str] = []
"""All that AMI has told, CDR and CEL among it."""


def answers(scenes: Told, name: str) -> list[tuple[str, bool]]:
    results = scenes[name]["session"]["tool_results"]
    ids = [each["tool_call_id"] for each in results]
    assert len(set(ids)) == len(ids), "answered twice"
    return [(each["result"], each["is_error"]) for each in results]


def test_a_look_up(scenes: Told) -> None:
    """Arguments, harmless; and the caller's variables, by the id of its channel."""
    (answer,) = answers(scenes, "looks")
    assert answer == ("look_up 17 a b c id looks shared words 5550123 Surrogate", False)


def test_results(scenes: Told) -> None:
    """A name is looked for as a step first; who returns nothing has its status told."""
    assert answers(scenes, "both") == [("the step", False)]
    assert answers(scenes, "command") == [("SYSTEMSTATUS=SUCCESS", False)]
    ended = "typo has ended without a result; the phone system's log tells more."
    assert answers(scenes, "typo") == [(ended, True)]
    ((text, is_error),) = answers(scenes, "missing")
    assert is_error
    assert text.startswith("The phone system has no tool named fly")


@pytest.mark.parametrize(
    ("name", "tool_name"), [("hanging", "hangs"), ("waiting", "waits"), ("counting", "counts")]
)
def test_a_tool_that_takes_too_long(scenes: Told, pbx: Instance, name: str, tool_name: str) -> None:
    """The agent is told. What looks at its channel ends then, and the others by themselves."""
    assert answers(scenes, name) == [(f"{tool_name} took too long and was given up.", True)]
    assert f"{tool_name} of agent {name} has ended after" in pbx.log() or name != "hanging"
    free = "0 of 16 threads busy"
    until(lambda: free in pbx.cli("elevenlabs show stats"), "a thread is still busy")


def test_others_hear_nothing_of_it(scenes: Told) -> None:
    """Bit by bit, while all that runs and hangs."""
    assert LONG in scenes["steady"]["leg"].heard


def test_several_at_once(scenes: Told, pbx: Instance) -> None:
    """None of them ends before all have begun."""
    assert sorted(answers(scenes, "several")) == [(f"together {i}", False) for i in range(TOGETHER)]
    assert pbx.log().count("agent several runs tool together") == TOGETHER


def test_a_flood(scenes: Told) -> None:
    """Each of 200 calls is answered, once: what was too much, by that."""
    found = answers(scenes, "flood")
    assert len(found) == FLOOD
    done = [text for text, is_error in found if not is_error]
    refused = {text.split(":")[0] for text, is_error in found if is_error}
    assert done
    assert all(text.startswith("look_up ") for text in done)
    assert refused <= {
        "Too many tools at once",
        "The phone system has too many tools under way. Try again later.",
    }


def test_a_caller_who_leaves(scenes: Told, pbx: Instance) -> None:
    """The tool runs to its end; nobody waits for it."""
    assert answers(scenes, "leaving") == [("The conversation is over.", True)]
    assert "noted to the end" in pbx.log()


def test_what_a_caller_hears_meanwhile(scenes: Told) -> None:
    """Music or a tone, and the reply whole behind it; silence otherwise."""
    heard = {name: scenes[name]["leg"].heard for name in ("music", "tone", "unfilled")}
    assert packets_of(MUSIC, heard["music"]) > 40
    assert packets_of(MUSIC, heard["tone"]) == packets_of(MUSIC, heard["unfilled"]) == 0
    for each in heard.values():
        assert GREETING in each
        assert REPLY in each
    between = heard["tone"][heard["tone"].index(GREETING) + len(GREETING) :].split(REPLY)[0]
    assert 0.05 < loud_seconds(between) < 0.1 + 0.1 * ULAW.seconds(between)
    between = heard["unfilled"].split(GREETING)[1].split(REPLY)[0]
    assert loud_seconds(between) == 0


def test_states(scenes: Told) -> None:
    extension, queue, empty, missing, device, refused = answers(scenes, "states")
    assert extension == ("INUSE", False)
    assert queue == ("members=1, free=1, callers=0", False)
    assert empty == ("members=0, free=0, callers=0", False)
    assert missing == ("The phone system has no queue nobody.", True)
    assert device == ("INUSE", False)
    assert refused[1]
    assert refused[0].startswith("x@hints is not among what agents may ask the state of.")


def test_nobody_is_told(scenes: Told) -> None:
    """Neither AMI, CDR nor CEL, but that the agent has called a tool; no arguments, no results."""
    assert scenes
    kinds = {found for event in told for found in re.findall(r"'Event': '(\w+)'", event)}
    assert {"Newchannel", "VarSet", "Cdr", "CEL", "Hangup"} <= kinds
    others = [event for event in told if "'TestEvent'" not in event]
    assert not [event for event in others if "Surrogate" in event]
    assert not [event for event in others if "ELEVENLABS_ARG" in event or "look_up 17" in event]
    named = {re.findall(r"'Event': '(\w+)'", event)[0] for event in others if "look_up" in event}
    assert named == {"ElevenLabsTool"}


def test_violations(scenes: Told, pbx: Instance) -> None:
    for name, each in scenes.items():
        assert each["session"]["violations"] == [], name
    assert "ERROR" not in re.sub(r"\b\w*SYSTEMSTATUS\S*", "", pbx.log())


def test_what_the_cli_shows(pbx: Instance, root: Root, scenes: Told) -> None:
    """A channel that is hung up as any other, and no call."""
    assert scenes
    with MockAgent(root, AGENTS) as mock, Telephones(pbx) as phones:
        configure(pbx, conf(mock.url, "watcher"))
        start = len(pbx.log())
        stage = Stage(pbx, phones, "watcher")
        pbx.wait_log("runs tool waits on Surrogate/", start=start)
        shown = pbx.cli("core show channels concise")
        (surrogate,) = re.findall(r"^(Surrogate/elevenlabs-[\w-]+)!", shown, re.MULTILINE)
        assert "1 active call" in pbx.cli("core show calls")
        assert "1 of 16 threads busy, 0 beyond" in pbx.cli("elevenlabs show stats")
        pbx.cli(f"channel request hangup {surrogate}")
        stage.hears(REPLY)
        stage.leg.hangup()
        pbx.wait_no_channels()
    (session,) = mock.report["sessions"]
    (answer,) = session["tool_results"]
    assert (answer["result"], answer["is_error"]) == ("waits was broken off.", True)


def test_what_show_tools_lists(pbx: Instance, scenes: Told) -> None:
    """Steps and tools beside the call, named ones of a pattern as well; and what nothing has."""
    assert scenes
    keys = {"tools": "in_both,by_name,get_state,fly", "get_state_allow": "sales"}
    configure(pbx, section("sales", "http://127.0.0.1:9", **keys))
    shown = pbx.cli("elevenlabs show tools sales").splitlines()
    hidden = "; not reached, for there is one of this name above"
    assert shown == [
        "get_state(name: string): built in",
        "in_both: a step, elevenlabs-steps",
        f"in_both: beside the call, elevenlabs-tools{hidden}",
        "by_name: beside the call, elevenlabs-tools",
        "MISSING fly: no extension of steps_context or tools_context",
    ]
    assert "notes: beside the call, elevenlabs-tools" in pbx.cli("elevenlabs show tools")
    assert "by_name is dialplan" in pbx.cli("elevenlabs test tool by_name")


@only_in_full("an engine is made for it")
def test_a_new_generation(pbx: Instance, root: Root, scenes: Told) -> None:
    """The result goes to the engine that has the call."""
    assert scenes
    with MockAgent(root, AGENTS) as mock, Telephones(pbx) as phones:
        configure(pbx, conf(mock.url, "renewed"))
        start = len(pbx.log())
        stage = Stage(pbx, phones, "renewed")
        pbx.wait_log("runs tool slower on Surrogate/", start=start)
        before = pbx.engine_build()
        install_variant(pbx, "two", append={"__init__.py": "\n"})
        pbx.cli("module reload app_elevenlabs_convai")
        assert pbx.engine_build() != before
        stage.hears(REPLY)
        stage.leg.hangup()
        pbx.wait_no_channels()
    (session,) = mock.report["sessions"]
    assert [each["result"] for each in session["tool_results"]] == ["slower"]


def unload(pbx: Instance, root: Root, name: str, then: Callable[[int], None]) -> None:
    """In a call with two tools under way; both are answered, and the call ends by it."""
    start = len(pbx.log())
    with MockAgent(root, AGENTS) as mock, Telephones(pbx) as phones:
        configure(pbx, conf(mock.url, name))
        stage = Stage(pbx, phones, name)
        pbx.wait_log("runs tool waits on Surrogate/", start=start)
        shown = pbx.cli("module unload -f app_elevenlabs_convai", limit=30 * SECOND)
        assert wait_result(pbx, start).status == "UNLOADED"
        stage.leg.wait()
        then(start)
        assert "Unloaded" in shown + pbx.cli("module unload app_elevenlabs_convai")
        assert "Loaded" in pbx.cli("module load app_elevenlabs_convai.so")
    (session,) = mock.report["sessions"]
    assert [each["result"] for each in session["tool_results"]] == ["The conversation is over."] * 2


def test_a_forced_unload(pbx: Instance, root: Root, scenes: Told) -> None:
    """What waits is hung up, and ends."""
    assert scenes

    def goes(start: int) -> None:
        assert "Not unloaded" not in pbx.log()[start:]

    unload(pbx, root, "unloaded", goes)


@only_in_full("takes 8 s")
def test_an_unload_that_is_refused(pbx: Instance, root: Root, scenes: Told) -> None:
    """What SHELL holds cannot be ended: the module stays until it has."""
    assert scenes

    def is_refused(start: int) -> None:
        pbx.wait_log("Not unloaded: a tool of 1 in the dialplan has not ended", start=start)
        until(lambda: "0 of 16" in pbx.cli("elevenlabs show stats"), "it hangs for ever")

    unload(pbx, root, "refused", is_refused)


def test_stop_now(pbx: Instance, root: Root, scenes: Told) -> None:
    """The last test: nothing runs behind it."""
    assert scenes
    with MockAgent(root, AGENTS) as mock, Telephones(pbx) as phones:
        configure(pbx, conf(mock.url, "stopped"))
        start = len(pbx.log())
        Stage(pbx, phones, "stopped")
        pbx.wait_log("runs tool waits on Surrogate/", start=start)
        pbx.cli("core stop now")
        until(lambda: not pbx.running, "Asterisk has not ended")
    assert pbx.exit_status == 0
    (session,) = mock.report["sessions"]
    assert (session["close_code"], session["closed_by"]) == (1000, "client")
    assert len(session["tool_results"]) == 1
