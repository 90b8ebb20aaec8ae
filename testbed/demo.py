r"""`make demo`: one real call, from end to end, told as it happens.

A SIP client (baresip) plays a caller's speech into a private Asterisk; the dialplan runs
`ElevenLabsConvAI(sales_agent)`; the module talks the service's protocol with the mock agent; and
the client records what the caller hears. Ends with 0 only if each side has heard the other, the
agent was interrupted, and the agent ended the call.

Leaves in build/demo: summary.json, caller_heard.wav, report.html and a picture of it, asterisk.log,
and in agent/ what the agent said and heard.
"""

from __future__ import annotations

import array
import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed import picture
from testbed.baresip import BaresipCall
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.mock import SPEECH_CACHE, MockAgent, line_of
from testbed.paths import BUILD
from testbed.root import Root
from testbed.speech import RATE, read_wav
from testbed.tls import certificate

FOLDER = BUILD / "demo"
SCENARIO = "demo"

CALL_SECONDS = 90.0
"""Limit on the whole call, which takes about 40 s."""

TRACK_SECONDS = 120.0
"""Limit on the making of the caller's speech."""

POLL_SECONDS = 0.1
"""How often to look for something new to tell."""

DIALPLAN = """\
[callers]
exten => 100,1,Set(CALLERID(name)=Maria Keller)
 same => n,ElevenLabsConvAI(sales_agent)
 same => n,Log(NOTICE,demo: ${ELEVENLABSSTATUS} ${ELEVENLABSCONVERSATIONID} ${ELEVENLABSREASON})
 same => n,Hangup()

[elevenlabs-tools]
exten => book_visit,1,Wait(0.3)
 same => n,Return(booked: ${ELEVENLABS_ARG_day} at ${ELEVENLABS_ARG_time})
"""

CONFIG = """\
[general]
api_key_file = {key}
base_url = {url}
ca_file = {ca}
max_sessions = 10
max_duration = 600

transcripts = records

[sales_agent]
agent_id = agent_demo
tools = end_call,book_visit
"""

KEY_FILE = "elevenlabs.key"

RESULT = re.compile(r"NOTICE.* demo: (\S+) (\S*) (.*)")

LOUD = 500
"""A frame with a sample above this is speech; the testbed's lines have no noise."""

FRAME = RATE // 50


@dataclass
class Outcome:
    """What the call came to."""

    status: str = ""
    conversation_id: str = ""
    reason: str = ""
    session: dict[str, Any] = field(default_factory=dict)
    caller_heard_ms: int = 0
    agent_heard_ms: int = 0

    def faults(self) -> Iterator[str]:
        """Say what keeps the demo from being a success."""
        if self.status != "AGENT_ENDED":
            yield f"the call ended with {self.status or 'no status'}, not with AGENT_ENDED"
        if not self.caller_heard_ms:
            yield "the caller heard no speech"
        if not self.agent_heard_ms:
            yield "the agent heard no speech"
        if not self.session.get("interruptions"):
            yield "the caller did not interrupt the agent"
        for violation in self.session.get("violations", ()):
            yield f"the agent complains about its client: {violation}"


def step(text: str) -> None:
    """Say what is being done."""
    print(f"==> {text}", flush=True)


def caller_track(root: Root) -> Path:
    """Make the caller's speech, every line at the place that the scenario gives it."""
    target = FOLDER / "caller_says.wav"
    SPEECH_CACHE.mkdir(parents=True, exist_ok=True)
    command = ["python3", "-m", "pyconvai.mock.caller", "--scenario", SCENARIO]
    command += ["--rate", str(RATE), "--speech-cache", root.path(SPEECH_CACHE), root.path(target)]
    root.run(command, timeout=TRACK_SECONDS)
    return target


@contextmanager
def told_live(mock: MockAgent) -> Iterator[None]:
    """Print the conversation while the block runs, as the agent's end sees it."""
    over = threading.Event()

    def tell() -> None:
        told = 0
        last = False
        while not last:
            last = over.wait(POLL_SECONDS)
            events = mock.events()
            for event in events[told:]:
                if line := line_of(event):
                    print(line, flush=True)
            told = len(events)

    teller = threading.Thread(target=tell, name="demo-teller")
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _indented(*texts: str) -> str:
    """Output of others, as part of ours."""
    return "\n".join(f"    {line}" for text in texts for line in text.strip().splitlines())


def place_the_call(asterisk: Instance, mock: MockAgent, track: Path) -> Outcome:
    """Hold the conversation and gather what came of it."""
    step("calling extension 100: ElevenLabsConvAI(sales_agent)")
    folder = FOLDER / "baresip"
    with BaresipCall(asterisk, "100", play=track, limit=CALL_SECONDS, folder=folder) as call:
        with told_live(mock):
            call.wait_up()
            time.sleep(1.0)  # for people: a second of conversation, so that there is one to show
            print(_indented("*CLI> elevenlabs show agents", asterisk.cli("elevenlabs show agents")))
            call.wait()
        asterisk.wait_no_channels()
        found = asterisk.wait_log(RESULT.pattern)
        shutil.copy(call.heard, FOLDER / "caller_heard.wav")
    mock.stop()
    sessions = mock.report.get("sessions") or [{}]
    return Outcome(
        status=found[1],
        conversation_id=found[2],
        reason=found[3],
        session=sessions[0],
        caller_heard_ms=loud_ms(FOLDER / "caller_heard.wav"),
        agent_heard_ms=int(sessions[0].get("heard_speech_ms", 0)),
    )


def loud_ms(file: Path) -> int:
    """How much of a recording is speech, in ms."""
    samples = array.array("h", read_wav(file))
    frames = (samples[at : at + FRAME] for at in range(0, len(samples), FRAME))
    return 20 * sum(max(map(abs, frame)) > LOUD for frame in frames)


def write_summary(outcome: Outcome, asterisk: Instance, build: str) -> Path:
    """Write what programs read."""
    summary = {
        "asterisk_version": asterisk.root.versions()["asterisk"],
        "engine_build": build,
        "conversation_id": outcome.conversation_id,
        "status": outcome.status,
        "reason": outcome.reason,
        "caller_heard_ms": outcome.caller_heard_ms,
        "agent_heard_ms": outcome.agent_heard_ms,
        "interruptions": outcome.session.get("interruptions", 0),
        "transcript": [
            {key: line[key] for key in ("speaker", "text", "at_ms")}
            for line in outcome.session.get("transcript", ())
        ],
    }
    file = FOLDER / "summary.json"
    file.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def demo() -> int:
    """Do all of it. Returns the exit status."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    step("looking for an Asterisk; without one, a root folder is made (about a minute, once)")
    root = Root.find(lambda line: print(f"    {line}", flush=True))
    step("preparing speech and starting the mock agent")
    track = caller_track(root)
    tls = certificate(root, "tls-demo")
    with MockAgent(root, SCENARIO, tls=tls, record=True) as mock:
        asterisk = Instance(root, "demo", dialplan=DIALPLAN, files={KEY_FILE: "any-key-will-do\n"})
        key = root.path(asterisk.etc / KEY_FILE)
        asterisk.elevenlabs = CONFIG.format(url=mock.url, ca=root.path(tls.ca), key=key)
        asterisk.prepare()
        step("building the module and installing it there (up to a minute, the first time)")
        print(_indented(asterisk.build_and_install()))
        step("starting Asterisk")
        asterisk.start()
        try:
            build = asterisk.engine_build()
            outcome = place_the_call(asterisk, mock, track)
            summary = write_summary(outcome, asterisk, build)
            write_report(asterisk, outcome.conversation_id)
        finally:
            shutil.copy(asterisk.log_path, FOLDER / "asterisk.log")
            asterisk.stop()
        shutil.copytree(mock.folder / "record", FOLDER / "agent")
    _picture()
    return _conclude(outcome, summary)


def write_report(asterisk: Instance, conversation_id: str) -> Path:
    """Have the module write the report of the call, and fetch it."""
    said = asterisk.cli(f"elevenlabs report {conversation_id}")
    found = re.search(r"/(elevenlabs/reports/call-\S+\.html)", said)
    if not found:
        raise TestbedError(f"there is no report of the call: {said.strip()}")
    return Path(shutil.copy(asterisk.folder / "spool" / found[1], FOLDER / "report.html"))


def _picture() -> None:
    """Leave a picture of the report as well, where there is a browser: README.md has one."""
    if picture.browser():
        try:
            picture.take(FOLDER / "report.html", FOLDER / "report.png")
        except TestbedError as error:
            print(f"    {error}")


def _conclude(outcome: Outcome, summary: Path) -> int:
    print(f"    ELEVENLABSSTATUS={outcome.status} ({outcome.reason})")
    print(f"    the caller heard {outcome.caller_heard_ms / 1000:.1f} s of speech,")
    print(f"    the agent heard {outcome.agent_heard_ms / 1000:.1f} s of speech")
    print(f"    {summary.relative_to(BUILD.parent)}")
    print(f"    {(FOLDER / 'caller_heard.wav').relative_to(BUILD.parent)}")
    faults = list(outcome.faults())
    for fault in faults:
        print(f"FAILED: {fault}", file=sys.stderr)
    if not faults:
        step("done: a real call, both sides heard. Look at it in a browser:")
        print(f"    {(FOLDER / 'report.html').relative_to(BUILD.parent)}")
    return 1 if faults else 0


def main() -> int:
    """Exit status: 0 if it worked, 1 if not, 130 after Ctrl-C."""
    try:
        return demo()
    except TestbedError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
