"""Place a real call through the testbed's Asterisk to an agent, and see that both sides speak.

--mock   to the mock agent: the one that `make mock-server` runs (or --url), else one of its own
--live   to the real service, with ELEVENLABS_API_KEY and ELEVENLABS_AGENT_ID of the environment;
         ELEVENLABS_BASE_URL (us, eu, ..., or a URL) and ELEVENLABS_CA_FILE if need be
"""

from __future__ import annotations

import argparse
import array
import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from testbed.call import Call
from testbed.callers import Callers
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from testbed.speech import decode_ulaw, encode, speech
from testbed.turns import take_turns

SERVER = "http://127.0.0.1:8765"
"""Where `make mock-server` serves."""

PROBE_SECONDS = 1.0
TALK_SECONDS = 20.0
"""How long a live call lasts, unless the agent ends it."""

TURN_SECONDS = 60.0
"""Limit on the agent's first words, and on each of its answers."""

LOUD = 500
"""A frame with a sample above this is speech."""

FRAME = 160
HEARD_MS_MIN = 200
CODEC = CODECS["ulaw"]
SAYS = ("Hello, what does it cost?", "Thank you, goodbye.")

ENDED = "${ELEVENLABSSTATUS} ${ELEVENLABSCONVERSATIONID} ${ELEVENLABSREASON}"
DIALPLAN = f"""\
[callers]
exten => 100,1,ElevenLabsConvAI(agent)
 same => n,Hangup()
exten => h,1,Log(NOTICE,integration: {ENDED})
"""
RESULT = re.compile(r"NOTICE.* integration: (\S*) (\S*) (.*)")
ENDS_WELL = ("AGENT_ENDED", "HANGUP")


@dataclass
class Service:
    """Where the agent is, for elevenlabs.conf."""

    keys: dict[str, str]
    env: Mapping[str, str] = field(default_factory=dict)

    def conf(self) -> str:
        """Return the text of elevenlabs.conf."""
        return "[agent]\n" + "".join(f"{key} = {value}\n" for key, value in self.keys.items())


class MissingError(Exception):
    """Something that only the user can give is not there."""


def step(text: str) -> None:
    """Say what is being done."""
    print(f"==> {text}", flush=True)


# --- where the agent is ---------------------------------------------------------------------------


def listens(url: str) -> bool:
    """Tell whether somebody serves at a URL."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


@contextmanager
def mock_service(root: Root, url: str | None) -> Iterator[Service]:
    """The mock agent that was named, the one that runs, or one of our own."""
    if url and not listens(url):
        raise MissingError(f"nobody serves at {url}; start it: make mock-server")
    keys = {"agent_id": "default", "api_key": "any-key-will-do"}
    found = url or (SERVER if listens(SERVER) else None)
    if found:
        step(f"using the mock agent at {found}")
        yield Service({**keys, "base_url": found})
        return
    step("starting a mock agent")
    with MockAgent(root, "default") as mock:
        yield Service({**keys, "base_url": mock.url})
    if violations := mock.report["sessions"][0]["violations"]:
        raise TestbedError(f"the agent complains about its client: {violations}")


@contextmanager
def live_service(root: Root) -> Iterator[Service]:
    """The real service, with what the environment says."""
    given = {
        name: os.environ.get(name, "") for name in ("ELEVENLABS_API_KEY", "ELEVENLABS_AGENT_ID")
    }
    if missing := [name for name, value in given.items() if not value]:
        raise MissingError(
            f"{' and '.join(missing)} must be set: a key of your account and the id of an agent "
            "of yours. The call costs what a conversation of half a minute costs"
        )
    keys = {"agent_id": given["ELEVENLABS_AGENT_ID"], "api_key_env": "ELEVENLABS_API_KEY"}
    if base := os.environ.get("ELEVENLABS_BASE_URL"):
        keys["base_url"] = base
    if file := os.environ.get("ELEVENLABS_CA_FILE"):
        keys["ca_file"] = root.path(file)
    step(f"using agent {keys['agent_id']} at {keys.get('base_url', 'ElevenLabs')}")
    # By the environment, so that the key is in no file.
    yield Service(keys, {"ELEVENLABS_API_KEY": given["ELEVENLABS_API_KEY"]})


# --- the call -------------------------------------------------------------------------------------


def loud_ms(payload: bytes) -> int:
    """How much of what was heard is speech, in ms."""
    samples = array.array("h", decode_ulaw(payload))
    frames = (samples[at : at + FRAME] for at in range(0, len(samples), FRAME))
    return 20 * sum(max(map(abs, frame)) > LOUD for frame in frames)


def place_call(asterisk: Instance) -> Call:
    """Call the agent, speak when it is silent, hang up if it does not."""
    spoken = [encode(asterisk.root, speech(asterisk.root, text), CODEC) for text in SAYS]
    with Callers(asterisk, 1, "100", hangup_after=TALK_SECONDS) as calls:
        take_turns(list(calls), spoken, TURN_SECONDS)
        calls.wait(TALK_SECONDS + TURN_SECONDS)
    return calls[0]


def judge(asterisk: Instance, call: Call) -> int:
    """Print what the call came to; the exit status."""
    found = asterisk.wait_log(RESULT.pattern)
    status, conversation, reason = found.groups()
    heard = loud_ms(call.heard)
    print(f"    status          {status}: {reason}")
    print(f"    conversation    {conversation or '-'}")
    print(f"    call            {call.seconds:.1f} s, caller heard {heard / 1000:.1f} s of speech")
    faults = []
    if status not in ENDS_WELL:
        faults.append(f"the call ended with {status or 'no status'}")
    if heard < HEARD_MS_MIN:
        faults.append("the caller heard no speech")
    for fault in faults:
        print(f"test_integration: FAILED: {fault}", file=sys.stderr)
    if not faults:
        print("test_integration: passed")
    return 1 if faults else 0


def converse(root: Root, service: Service) -> int:
    """Do all of it; the exit status."""
    name = f"integration-{os.getpid()}"
    asterisk = Instance(
        root, name, dialplan=DIALPLAN, elevenlabs=service.conf(), env=dict(service.env)
    )
    asterisk.prepare()
    step("building the module and installing it into a private Asterisk")
    asterisk.build_and_install()
    step("calling")
    asterisk.start()
    try:
        return judge(asterisk, place_call(asterisk))
    finally:
        asterisk.stop()


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="test_integration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit status: 0 passed, 1 failed, 2 something is missing that only you can give",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--mock", action="store_true", help="the default")
    which.add_argument("--live", action="store_true", help="costs what a short call costs")
    parser.add_argument("--url", help=f"of a mock agent (default: {SERVER}, if it runs)")
    arguments = parser.parse_args()
    try:
        root = Root.find(lambda line: print(f"    {line}", flush=True))
        service = live_service(root) if arguments.live else mock_service(root, arguments.url)
        with service as agent:
            return converse(root, agent)
    except MissingError as error:
        print(f"test_integration: {error}.", file=sys.stderr)
        return 2
    except TestbedError as error:
        print(f"test_integration: FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
