"""Plants keys, signatures, tokens, a PIN wherever they can stand, and looks where they must not.

One Asterisk, with debug on everywhere: calls that go well, and calls that fail in every way that
has words of somebody's; reloads that are refused; every command; AMI with all rights. Then all that
is left is searched: the log, what the commands have said, all that AMI has told, the command lines
and environments of all processes meanwhile, the variables of the channels, files. In each of these
places something is left on purpose, and must be found.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from tests.asterisk.conftest import Install
from tests.asterisk.crowd import Outcome, hold, wait_results
from tests.asterisk.phone import RESULT, configure, section, wait_talking
from tests.asterisk.reporting import report, unpacked
from tests.asterisk.watching import Eavesdropper, Processes
from tests.planted import (
    AUDIO,
    CONTROL,
    LEFT,
    PIN,
    Allowed,
    Found,
    Search,
    digits,
    key,
    secret,
    signature,
)
from tests.timing import EVENT, SECOND

KEY, ENVIRONMENT, INLINE = "key in the file", "key of the environment", "key in elevenlabs.conf"
WRONG, TOKEN, SAID = "key in a wrong place", "token", "token of the dialplan"
VARIABLE, SIGNED = "variable", "signature"
PLANTED = (KEY, ENVIRONMENT, INLINE, WRONG, TOKEN, SAID, VARIABLE, SIGNED, PIN)

# ---- The service: agents that are well, and agents that tell what they must not ----

WELL = """\
format = "ulaw_8000"
first_message = { text = "Hello.", sound = "noise:1:300" }
turns = [{ wait_ms = 0, say = { text = "Goodbye.", sound = "noise:2:200" }, end = true }]
"""
TOKENS = f"{secret(TOKEN)} {secret(VARIABLE)}"
ECHO = f"the key {key(KEY)} and {signature(SIGNED)} are not good, nor {TOKENS}"
ID = json.dumps(
    {
        "type": "conversation_initiation_metadata",
        "conversation_initiation_metadata_event": {"conversation_id": secret(TOKEN)},
    }
)
URLS = {
    "bracket": "ws://[::1/x?conversation_signature=",
    "label": f"ws://{'a' * 64}/x?conversation_signature=",
    "dots": "ws://api..x/x?conversation_signature=",
    "user": "ws://user@h/x?conversation_signature=",
    "port": "ws://127.0.0.1:99999/x?conversation_signature=",
    "scheme": "gopher://127.0.0.1/x?conversation_signature=",
    "blank": "ws://127.0.0.1/x y?conversation_signature=",
    "dead": "ws://127.0.0.1:9/x?conversation_signature=",
}
"""Signed URLs that cannot be used."""


def _answer(stage: str, status: int, body: str, more: str = "") -> str:
    fault = f'name = "http_status", stage = "{stage}", status = {status}, body = {json.dumps(body)}'
    return f"faults = [{{ {fault}{more} }}]\n"


def _echo(stage: str, status: int) -> str:
    return _answer(stage, status, json.dumps({"detail": {"message": ECHO, "code": key(KEY)}}))


def _socket(fault: str) -> str:
    return f"faults = [{{ {fault} }}]\n"


FAULTS = {
    "echo-400": ("REJECTED", _echo("signed_url", 400)),
    "echo-401": ("AUTH", _echo("signed_url", 401)),
    "echo-403": ("AUTH", _echo("handshake", 403)),
    "echo-422": (
        "REJECTED",
        _answer("signed_url", 422, json.dumps({"detail": [{"loc": [ECHO], "msg": ECHO}]})),
    ),
    "echo-text": ("REJECTED", _answer("signed_url", 400, ECHO)),
    "echo-503": ("UNREACHABLE", _echo("signed_url", 503)),
    "redirects": (
        "ERROR",
        _answer(
            "signed_url", 302, ECHO, f', location = "http://127.0.0.1:9/?xi-api-key={key(KEY)}"'
        ),
    ),
    "closes": (
        "AUTH",
        _socket(f'name = "close", stage = "open", code = 3000, reason = "no {key(KEY)}"'),
    ),
    "complains": (
        "REJECTED",
        'faults = [{ name = "error", stage = "metadata", text = '
        f'{json.dumps(ECHO)} }}, {{ name = "close", stage = "greeting", code = 1008 }}]\n',
    ),
    "repeats": ("REJECTED", _answer("signed_url", 400, f"{TOKENS} " * 20)),
    "late": ("REJECTED", _answer("signed_url", 400, "." * 230 + TOKENS)),
    "id": ("HANGUP", _socket(f'name = "send", stage = "init", text = {json.dumps(ID)}')),
    "not-json": (
        "HANGUP",
        _socket(f'name = "send", stage = "metadata", text = {json.dumps(ECHO)}'),
    ),
    "unknown": (
        "HANGUP",
        _socket(
            'name = "send", stage = "metadata", text = '
            + json.dumps(json.dumps({"type": ECHO, "text": ECHO}))
        ),
    ),
} | {
    name: (
        "ERROR" if name == "scheme" else "UNREACHABLE",
        _answer("signed_url", 200, json.dumps({"signed_url": f"{url}{signature(SIGNED)}"})),
    )
    for name, url in URLS.items()
}
"""By agent: how its calls end, and what is wrong with it."""

ELSEWHERE = {
    "no-tls": ("UNREACHABLE", "https://127.0.0.1:{port}"),
    "refused": ("UNREACHABLE", "http://127.0.0.1:9"),
}
"""By agent: the end of its calls, and a base_url that leads nowhere."""

DIALPLAN_FAULTS = {
    "not-an-object": "REJECTED",
    "not-a-variable": "REJECTED",
}
KEYS = ("keys-message", "keys-context", "keys-dialplan")
"""Agents whose callers press keys."""

GOOD = ("good", "inline", "environment", "said")
STATUSES = (
    dict.fromkeys(GOOD, "AGENT_ENDED")
    | {name: status for name, (status, _) in (FAULTS | ELSEWHERE).items()}
    | DIALPLAN_FAULTS
    | {"crashes": "ERROR"}
    | dict.fromkeys(KEYS, "HANGUP")
)


def scenario() -> str:
    text = f'title = "{secret(CONTROL)}"\n[agents.default]\n{WELL}api_keys = ["{key(KEY)}"]\n'
    for name, planted in (("inline", INLINE), ("environment", ENVIRONMENT)):
        text += f'[agents.{name}]\nlike = "default"\napi_keys = ["{key(planted)}"]\n'
    for name, (_, fault) in FAULTS.items():
        text += f'[agents.{name}]\nlike = "default"\n{fault}'
        text += "turns = []\n" if name in ("not-json", "unknown") else ""
    for name in KEYS:
        text += f'[agents.{name}]\nlike = "default"\nturns = []\n'
    return text


# ---- Asterisk ----

DIALPLAN = f"""\
[callers]
exten => _[a-z].,1,Set(AGENT=${{EXTEN}})
 same => n(call),ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})
 same => n,DumpChan()
 same => n,Hangup()
exten => said,1,Set(AGENT=${{EXTEN}})
 same => n,Set(ELEVENLABS_OVERRIDE_custom_llm_extra_body={{"token":"{secret(SAID)}"}})
 same => n,Set(ELEVENLABS_VAR_secret__code={secret(SAID)})
 same => n,ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})
 same => n,Hangup()
exten => not-an-object,1,Set(AGENT=${{EXTEN}})
 same => n,Set(ELEVENLABS_OVERRIDE_custom_llm_extra_body={{"api_key":"{secret(SAID)}")
 same => n,ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})
exten => not-a-variable,1,Set(AGENT=${{EXTEN}})
 same => n,Set(ELEVENLABS_JSON_secret__code={secret(SAID)})
 same => n,ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})
exten => h,1,Log(NOTICE,{RESULT}hung up|${{AGENT}})
; what is left on purpose
exten => 900,1,Answer()
 same => n,Set(ENV(LEFT)={secret(CONTROL)})
 same => n,System(env -u CONVAI_TEST_KEY >/tmp/convai-environment)
 same => n,Log(NOTICE,{secret(CONTROL)})
 same => n,Set(LEFT={secret(CONTROL)})
 same => n,DumpChan()
 same => n,UserEvent(Left,Value: {secret(CONTROL)})
 same => n,Hangup()
"""

WRONG_LINES = (
    "api_key_file = {}",
    "api_key_file = /nowhere/{}",
    "api_key_env = {}",
    'api_key = "{}"',
    "api_key = {} and more",
    "api_key = {};{}",
    "apikey = {}",
    "elevenlabs_api_key = {} {}",
    "base_url = https://{}@api.elevenlabs.io",
    "base_url = https://api.elevenlabs.io/?xi-api-key={}",
    "signed_url_endpoint = {}",
    "signed_url_endpoint = https://api.elevenlabs.io/\\\\{}",
    'override_custom_llm_extra_body = {{"api_key":"{}"',
    "override_max_duration_seconds = {}",
    "override_api_key = {}",
    "json_secret__token = {}",
    'json_secret__token = {{"a":"{}"}}',
)
"""What an operator may write who is in a hurry: the reload names line and key."""


def agents(url: str) -> str:
    port = urlsplit(url).port
    plain = {"api_key": "", "connect_attempts": "1", "connect_timeout": "5"}
    text = "".join(
        section(name, url, **plain)
        for name in ("good", "said", *FAULTS, *DIALPLAN_FAULTS, "crashes")
    )
    text += section("inline", url, **plain | {"api_key": key(INLINE)})
    text += section("environment", url, **plain, api_key_env="CONVAI_TEST_KEY")
    for name, (_, base) in ELSEWHERE.items():
        text += section(name, base.format(port=port), **plain)
    for name in KEYS:
        use = {"message": "user_message", "context": "contextual_update"}
        how = name.removeprefix("keys-")
        text += section(name, url, **plain, dtmf=use.get(how, how), dtmf_timeout_ms="500")
    return text


def general(pbx: Instance, more: str = "") -> str:
    key_file = pbx.root.path(pbx.etc / "elevenlabs.key")
    return f"""\
[general]
debug = yes
api_key_file = {key_file}
override_custom_llm_extra_body = {json.dumps({"token": secret(TOKEN), "a": [secret(TOKEN)]})}
var_secret__code = {secret(VARIABLE)}
json_secret__codes = ["{secret(VARIABLE)}"]
{more}
"""


CRASH = f'''

def _fault(self: Session, metadata: Metadata) -> None:
    """Put here by a test: a fault whose text has all that a session knows."""
    assert self._settings is not None
    if self._settings.agent_id == "crashes":
        url = "wss://h/x?conversation_signature={signature(SIGNED)}"
        raise ValueError(f"{{self._settings.api_key}} {{self._settings!r}} {{url}}")
    _really(self, metadata)


_really = Session._agree
Session._agree = _fault  # type: ignore[method-assign]
'''


# ---- What happens ----


@dataclass
class Seen:
    """All that is left of it, by place; each is searched."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    files: list[Found] = field(default_factory=list)
    outside: list[Found] = field(default_factory=list)
    """In files that are not the instance's: the environment of a program is one."""
    bundle: str = ""
    """What `elevenlabs bundle` has written, unpacked."""
    told: str = ""
    """What the service got, by the mock's record of it."""

    def search(self, place: str, names: tuple[str, ...]) -> list[Found]:
        if place in ("files", "outside"):
            everything = self.files if place == "files" else self.outside
            return [found for found in everything if found.what in names]
        return Search(names, (*LEFT, *OTHERS)).text(self.places[place], place)


OTHERS = (
    Allowed(
        "ami",
        r"Event: VarSet .*Variable: ELEVENLABS_(VAR|JSON|OVERRIDE)_",
        "Asterisk tells AMI of every variable that the dialplan sets: see docs/security.md",
    ),
    Allowed(
        "ami",
        r"Event: Newexten .*Application: Set ",
        "and of every application, with its arguments",
    ),
    Allowed(
        "ami",
        r"Event: VarSet .*Variable: ELEVENLABSDTMF ",
        "the digits are for the dialplan: see docs/security.md",
    ),
    Allowed(
        "environments",
        r"^(asterisk|setpriv|unshare|sh|env|mount|chroot)\b",
        "Asterisk's own, of what begins as another program; others read it with its rights alone",
    ),
    Allowed("log", r"Executing \[[^]]*\] Set\(", "as in LEFT"),
)


def commands(pbx: Instance) -> list[str]:
    """Every command that there is, for one call that is up; what they have said."""
    shown = pbx.cli("elevenlabs show sessions")
    channel = re.search(r"^(PJSIP/\S+)", shown, re.M)
    assert channel, shown
    usage = re.findall(r"(?m)^ *(elevenlabs [a-z ]+?) {2,}", pbx.cli("core show help elevenlabs"))
    assert len(usage) > 8, usage
    own = {"elevenlabs hangup", "elevenlabs reload", "elevenlabs drain", "elevenlabs send"}
    said = [pbx.cli(command) for command in usage if command not in own]
    said += [
        pbx.cli(command)
        for command in (
            *(f"elevenlabs test agent {name}" for name in ("good", "environment", *FAULTS)),
            f"elevenlabs show session {channel[1]}",
            f"elevenlabs send context {channel[1]} something to know",
            "elevenlabs show stats buckets",
            f"core show channel {channel[1]}",
            "core show channels verbose",
            "core show settings",
            "core show application ElevenLabsConvAI",
            "module show like elevenlabs",
        )
    ]
    return said


@contextmanager
def crashing(pbx: Instance) -> Iterator[None]:
    """Have the engine of this instance raise in a call, with secrets in the exception's text."""
    store = pbx.module_folder / "app_elevenlabs_convai.d"
    engine = store / (store / "current").readlink() / "pyconvai"
    source = engine / "conversation" / "session.py"
    text = source.read_text(encoding="utf-8")
    source.write_text(text + CRASH, encoding="utf-8")
    yield
    source.write_text(text, encoding="utf-8")


def refused_reloads(pbx: Instance, url: str) -> list[str]:
    said = []
    for line in WRONG_LINES:
        wrong = f"[wrong]\nagent_id = wrong\n{line.format(key(WRONG), secret(WRONG))}\n"
        said.append(configure(pbx, general(pbx) + agents(url) + wrong))
    assert sum("reloaded successfully" not in each for each in said) > 10
    return said


def has_digits(event: dict[str, Any], agent: str) -> bool:
    """Whether an agent is told what its caller has pressed."""
    return event["agent_id"] == agent and digits(PIN) in str(event.get("text"))


def calls(pbx: Instance, mock: MockAgent, seen: Seen) -> list[str]:
    """Call everybody; the commands' words."""
    start = len(pbx.log())
    with Callers(pbx, len(KEYS), KEYS.__getitem__) as pressing:
        pressing.wait_up()
        wait_talking(pbx, len(KEYS))
        for call in pressing:
            call.press(digits(PIN))
        said = commands(pbx)
        stay = {"not-json": 1.0, "unknown": 1.0}
        others = [name for name in STATUSES if name not in KEYS]
        seen.outcomes = hold(pbx, others, hangup_after=lambda name: stay.get(name, 60 * SECOND))
        for name in KEYS[:2]:
            told = f"what {name} has pressed"
            mock.wait_event(lambda e: has_digits(e, name), EVENT, told)  # noqa: B023
        pressing.hangup_all()
        pressing.wait()
    found = wait_results(pbx, KEYS, start)
    seen.outcomes |= {
        name: Outcome(call, found[name]) for name, call in zip(KEYS, pressing, strict=True)
    }
    return said


def leave_on_purpose(pbx: Instance, processes: Processes) -> None:
    """One of a kind in each place; the dialplan does the rest."""
    (pbx.folder / "spool" / "left").write_bytes(secret(CONTROL).encode("utf-16"))
    command = [sys.executable, "-c", "input(1)", secret(CONTROL)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env={"LEFT": secret(CONTROL)}, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.read(1) == b"1"  # it runs, and has its arguments
            processes.look()
        finally:
            process.kill()
    with Callers(pbx, 1, "900") as calls:
        calls.wait()


def left_outside(pbx: Instance, since: float) -> list[Found]:
    """What Asterisk has left since then where all programs may write, as it sees that itself.

    There is also what a program of the dialplan's has in its environment. Other tests' folders are
    theirs to search, and the root may be the machine's own.
    """
    search, found = Search((*PLANTED, CONTROL), LEFT), []
    for folder in ("tmp", "var/tmp", "dev/shm"):
        for each in Path(f"/proc/{pbx.pid}/root/{folder}").glob("*"):
            with suppress(FileNotFoundError):  # of another test
                if each.stat().st_mtime < since or each.name.startswith(("pytest-of-", "testbed-")):
                    continue
                place = f"{folder}/{each.name}"
                if each.is_file():
                    found += search.data(each.read_bytes(), place)
                elif each.is_dir():
                    found += search.files(each, base=each.parent)
    return found


@pytest.fixture(scope="module")
def seen(root: Root, install: Install) -> Seen:
    """Everything, once."""
    seen = Seen()
    since = time.time()  # dates of files are by this clock
    pbx = Instance(
        root,
        "secrets",
        dialplan=DIALPLAN,
        elevenlabs="[general]\n",
        env={"CONVAI_TEST_KEY": key(ENVIRONMENT)},
    )
    processes = Processes()
    with ExitStack() as stack:
        stack.callback(pbx.stop)
        pbx.prepare()
        install(pbx)
        stack.enter_context(crashing(pbx))
        (pbx.etc / "elevenlabs.key").write_text(f"{key(KEY)}\n", encoding="ascii")
        (pbx.etc / "elevenlabs.key").chmod(0o600)
        stack.enter_context(processes.watched())
        pbx.start()
        mock = stack.enter_context(MockAgent(root, scenario()))
        with Eavesdropper(pbx) as ami:
            said = [configure(pbx, general(pbx) + agents(mock.url))]
            pbx.cli("elevenlabs debug on")
            said += calls(pbx, mock, seen)
            said += refused_reloads(pbx, mock.url)
            said.append(pbx.cli("dialplan show 900@callers"))
            leave_on_purpose(pbx, processes)
            ami.wait("UserEvent: Left")
            pbx.wait_no_channels()
            files = unpacked(report(pbx, "bundle"))
            seen.bundle = "".join(f"{name}:\n{text}" for name, text in files.items())
            said.append(pbx.cli("module unload app_elevenlabs_convai"))
            outside = left_outside(pbx, since)
        assert pbx.stop() == 0
        mock.stop()
    seen.places = {
        "log": pbx.log(),
        "commands": "\n".join(said),
        "ami": ami.blocks(),
        "processes": _lines(processes.command_lines),
        "environments": _lines(processes.environments),
    }
    everything = Search((*PLANTED, CONTROL), LEFT)
    seen.files = [
        *everything.files(pbx.folder, ("lib", "calls", "log", *AUDIO)),
        *everything.files(pbx.module_folder / "app_elevenlabs_convai.d", base=pbx.folder),
        *everything.files(mock.folder, AUDIO, base=BUILD),
    ]
    seen.outside = outside
    got = ("path", "init", "texts", "tool_results")
    sessions = [{name: each[name] for name in got} for each in mock.report["sessions"]]
    seen.told = json.dumps([mock.report["requests"], sessions])
    return seen


def _lines(told: dict[bytes, str]) -> str:
    """A line for each process: whose it is, then what it says."""
    texts = [(whose, what.decode(errors="replace")) for what, whose in told.items()]
    return "\n".join(f"{whose}: {what}".translate(BLANKS) for whose, what in texts)


BLANKS = {0: " ", 10: " "}
PLACES = ("log", "commands", "ami", "processes", "environments", "files", "outside")


def test_the_calls_went_as_they_were_to(seen: Seen) -> None:
    """Else nothing would be shown: each way to end was gone, and each key was used."""
    ended = {name: outcome.result.status for name, outcome in seen.outcomes.items()}
    assert ended == STATUSES


def test_the_agent_was_told(seen: Seen) -> None:
    """What is meant for it has come there, and neither key nor signature is in its record."""
    for name in (TOKEN, SAID, VARIABLE):
        assert secret(name) in seen.told, name
    assert digits(PIN) in seen.told
    assert not Search((KEY, ENVIRONMENT, INLINE, SIGNED)).text(seen.told, "report")


@pytest.mark.parametrize("place", PLACES)
def test_nothing_that_was_planted_stands_in(seen: Seen, place: str) -> None:
    """K6, K7, K10, K11: neither keys, signatures, tokens nor digits."""
    found = seen.search(place, PLANTED)
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("place", PLACES)
def test_what_is_left_on_purpose_is_found_in(seen: Seen, place: str) -> None:
    assert seen.search(place, (CONTROL,))


def test_nothing_that_was_planted_is_in_a_bundle(seen: Seen) -> None:
    """Nor what is left on purpose: in the dialplan, in the log."""
    assert "log.txt:" in seen.bundle
    found = Search((*PLANTED, CONTROL)).text(seen.bundle, "bundle")
    assert not found, "\n".join(map(str, found))


def test_a_variable_that_is_left_is_found(seen: Seen) -> None:
    """In what DumpChan shows of the channel."""
    found = seen.search("log", (CONTROL,))
    assert [each for each in found if each.line.startswith("LEFT=")]
