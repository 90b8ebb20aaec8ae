"""`elevenlabs check agent` on a real Asterisk: what it finds, and where it cannot look."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure, section
from tests.deaf import Deaf
from tests.timing import EVENT, MS, PROMPT

MODULE = "app_elevenlabs_convai"

SERVICE = """\
title = "check"
[agents.clean]
format = "ulaw_8000"
first_message = "You have called {{called_number}}, {{customer}}."
[agents.clean.settings.conversation_config.agent.prompt]
prompt = "Greet {{greeting}}."
tool_ids = ["tool_pay", "tool_by_pattern", "tool_included", "tool_end"]
[agents.faulty]
format = "pcm_16000"
output_format = "ulaw_8000"
auth = "signed_url"
client_events = ["audio", "agent_response", "user_transcript", "conversation_initiation_metadata"]
overrides = ["agent.language"]
first_message = "Hello {{nobody}}."
[agents.faulty.settings.conversation_config.agent.prompt]
tool_ids = ["tool_pay", "tool_missing", "tool_slow", "tool_gone", "tool_help"]
[agents.kinds]
format = "ulaw_8000"
[agents.kinds.settings.conversation_config.agent.prompt]
tool_ids = ["tool_by_pattern", "tool_python", "tool_beside", "tool_state", "tool_transfer"]
[agents.locked]
api_keys = ["another-key"]

[tools.tool_pay]
type = "client"
name = "pay"
description = "Take a payment."
expects_response = true
response_timeout_secs = -1
parameters = { type = "object", properties = { amount = { type = "number" } } }
[tools.tool_by_pattern]
type = "client"
name = "look_up"
description = "Look for who calls."
expects_response = true
response_timeout_secs = -1
[tools.tool_included]
type = "client"
name = "hours"
description = "Play the opening hours."
expects_response = true
response_timeout_secs = -1
[tools.tool_end]
type = "client"
name = "end_call"
description = "End the call."
[tools.tool_missing]
type = "client"
name = "pay_cash"
description = "Not a tool of this telephone system."
expects_response = true
response_timeout_secs = -1
[tools.tool_slow]
type = "client"
name = "hours"
description = "Play the opening hours."
expects_response = false
[tools.tool_python]
type = "client"
name = "price_of"
expects_response = true
response_timeout_secs = -1
parameters.required = ["article"]
parameters.properties.article.type = "string"
[tools.tool_beside]
type = "client"
name = "order"
expects_response = true
response_timeout_secs = -1
[tools.tool_state]
type = "client"
name = "get_state"
expects_response = true
response_timeout_secs = -1
parameters.required = ["name"]
parameters.properties.name.type = "string"
[tools.tool_transfer]
type = "client"
name = "transfer_call"
expects_response = true
response_timeout_secs = -1
parameters.required = ["destination"]
parameters.properties.destination.type = "string"
[tools.tool_help]
type = "client"
name = "help"
description = "Help."
expects_response = true
response_timeout_secs = 20
"""

DIALPLAN = """\
[callers]
exten => 100,1,Set(__ELEVENLABS_VAR_customer=${CALLERID(name)})
 same => n,ElevenLabsConvAI(clean)
[elevenlabs-steps]
include => shared
exten => help,1,Return(${ELEVENLABS_ARG_topic})
exten => pay,1,NoOp(${ELEVENLABS_ARG_amount})
 same => n,Return(paid)
exten => _look_[a-z].,1,Return(found)
[elevenlabs-tools]
exten => order,1,Return(sent)
[shared]
exten => hours,1,Return(open)
"""


@dataclass
class Checked:
    """What the command has said, by agent, and how long it took."""

    said: dict[str, str]
    seconds: dict[str, float]


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    early = section("early", "http://127.0.0.1:9", transfer_allow="100@callers,2001@nowhere")
    return asterisk(dialplan=DIALPLAN, elevenlabs=f"[general]\nmax_duration = 60\n{early}")


KINDS = {
    "tools": "look_*,price_of,order,get_state,transfer_call",
    "get_state_allow": "100@hints",
    "transfer_allow": "100",
}


def configuration(url: str, deaf: Deaf, directory: str) -> str:
    port = urlsplit(url).port
    return "".join(
        [
            "[general]\nconnect_timeout = 20\ntools = end_call,look_*,hours,pay,h*\n",
            section("clean", url, var_greeting="politely"),
            section("faulty", url, auth="none", override_prompt="Be brief."),
            section("kinds", url, **KINDS, tools_directory=directory),
            section("locked", url),
            section("unknown", url, agent_id="nobody"),
            section("away", f"http://127.0.0.1:{deaf.port}", connect_timeout="2"),
            section("refused", f"http://127.0.0.1:{port}", signed_url_endpoint="/elsewhere"),
        ]
    )


@pytest.fixture(scope="module")
def checked(pbx: Instance, root: Root) -> Checked:
    """All agents, one after the other."""
    said, seconds = {}, {}
    directory = pbx.folder / "tools"
    directory.mkdir(mode=0o755)
    (directory / "shop.py").write_text("def price_of(article: str) -> float: return 1.0\n")
    with MockAgent(root, SERVICE) as mock, Deaf() as deaf:
        text = configuration(mock.url, deaf, root.path(directory))
        assert "reloaded successfully" in configure(pbx, text)
        for name in ("clean", "kinds", "faulty", "locked", "unknown", "away", "nowhere"):
            began = time.monotonic()
            said[name] = pbx.cli(f"elevenlabs check agent {name}")
            seconds[name] = time.monotonic() - began
    return Checked(said, seconds)


NOWHERE = "transfer_allow has 2001@nowhere, and the dialplan has no such context: transfers there"


def test_transfers_to_nowhere_are_warned_about_at_the_start(pbx: Instance) -> None:
    """The dialplan is there by then: of a context that it has nothing is said."""
    log = pbx.log()
    assert f"elevenlabs.conf:4 [early]: {NOWHERE} fail until it has" in log
    assert "transfer_allow has 100@callers" not in log


def test_transfers_to_nowhere(pbx: Instance, root: Root) -> None:
    """Warned about by a reload, a fault of the agent's; neither once there is such a context."""
    with MockAgent(root, SERVICE) as mock:
        text = "[general]\ntools = end_call,look_*,hours,pay\n" + section(
            "clean", mock.url, var_greeting="politely", transfer_allow="100@callers,2001@nowhere"
        )
        said = configure(pbx, text)
        assert NOWHERE in said
        assert "reloaded successfully" in said
        assert "100@callers" not in said
        found, verdict, _ = pbx.cli("elevenlabs check agent clean").splitlines()
        assert found.endswith(
            "[clean] transfer_allow: the dialplan has no context nowhere, so no transfer to 2001"
            " gets there; add that context, or take the entry out"
        )
        assert verdict == "1 fault, 0 hints"
        pbx.cli("dialplan add extension 2001,1,NoOp into nowhere")
        assert "nowhere" not in configure(pbx, text)
        assert pbx.cli("elevenlabs check agent clean") == "nothing found"


def test_a_clean_agent(checked: Checked) -> None:
    """Its tools are extensions, one by a pattern and one of an included context.

    Its variables are set in the dialplan, in elevenlabs.conf and by the module.
    """
    assert checked.said["clean"] == "nothing found"


def test_tools_of_each_kind(checked: Checked) -> None:
    """A step, one in Python, one beside the call, and two that are built in and on."""
    assert checked.said["kinds"] == "nothing found"


def test_an_agent_with_many_faults(checked: Checked) -> None:
    """Each in its place, the lines of elevenlabs.conf by their number; then the command fails."""
    *found, verdict, failed = checked.said["faulty"].splitlines()
    assert [line.partition("; ")[0].partition(", ")[0] for line in found] == [
        "fault: Tools > tool_gone: the agent has it",
        "fault: elevenlabs.conf:13 [faulty] auth: the agent wants authentication",
        "hint: Advanced > User input audio format: pcm_16000: calls that are not wideband cost a"
        " conversion and four times the network",
        "fault: Advanced > Client events: interruption is missing: callers cannot interrupt the"
        " agent",
        "fault: Advanced > Client events: client_tool_call is missing: the agent's tools are never"
        " called",
        "fault: elevenlabs.conf:14 [faulty] override_prompt: the agent does not allow it",
        "fault: Agent > First message: nobody sets {{nobody}}",
        "fault: elevenlabs.conf:3 [general] tools: pay_cash is not among them",
        "hint: Tools > hours > Wait for response: the agent goes on without the result of the step",
        "hint: Tools > help > Parameters: the dialplan reads ELEVENLABS_ARG_topic",
        "hint: Tools > help > Response timeout: the service waits for 20 s",
    ]
    assert verdict == "7 faults, 4 hints"
    assert failed == "Command 'elevenlabs check agent faulty' failed."


def test_an_agent_that_cannot_be_asked_for(checked: Checked) -> None:
    said = checked.said
    assert said["locked"].startswith(
        "Agent locked could not be checked: the request for the agent was refused with HTTP 401;"
        " the service does not know the key: check api_key and base_url (region) [Invalid API key"
    )
    assert "there is no agent nobody: check agent_id and base_url (region)" in said["unknown"]
    assert said["nowhere"].startswith("There is no agent nowhere in elevenlabs.conf")
    assert all("failed." in said[name] for name in ("locked", "unknown", "away", "nowhere"))


def test_a_service_that_does_not_answer(checked: Checked) -> None:
    """Within connect_timeout, by the engine itself."""
    assert "could not be checked: no answer within 2 s" in checked.said["away"]
    assert 1.5 < checked.seconds["away"] < 2 + PROMPT


def test_an_unload_ends_a_check(pbx: Instance) -> None:
    """At once, and nothing is left that a load could find."""
    with Deaf() as deaf, ThreadPoolExecutor() as thread:
        url = f"http://127.0.0.1:{deaf.port}"
        configure(pbx, "[general]\nconnect_timeout = 60\n" + section("away", url))
        check = thread.submit(pbx.cli, "elevenlabs check agent away")
        wait_connecting(pbx, deaf)
        pbx.cli(f"module unload {MODULE}.so")
        assert not check.done()  # Asterisk has refused: the command uses the module
        began = time.monotonic()
        pbx.cli(f"module unload -f {MODULE}.so")
        assert "could not be checked: the module is being unloaded" in check.result()
        assert time.monotonic() - began < PROMPT
    assert f"{MODULE}.so" not in pbx.cli("module show like elevenlabs")
    pbx.cli(f"module load {MODULE}.so")
    assert "There is no agent x" in pbx.cli("elevenlabs check agent x")


def wait_connecting(pbx: Instance, deaf: Deaf) -> None:
    """Wait until the engine has begun to connect there."""
    until = time.monotonic() + EVENT
    wanted = f"127.0.0.1:{deaf.port}"
    while wanted not in pbx.root.run(["ss", "-tn", "state", "syn-sent"], check=False).stdout:
        assert time.monotonic() < until
        time.sleep(20 * MS)
