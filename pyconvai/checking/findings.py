"""What of an agent's settings will not work here, each with its remedy. No I/O.

A rule is a function: it compares what the service says (``There``) with this side (``Here``) and
yields findings. What the service leaves out, or says in another shape, is no finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import limits
from ..conversation.protocol import FORMATS
from ..conversation.worker import Known
from ..service.settings import OVERRIDES, Call
from ..words import token


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for the operator."""

    fault: bool
    """It will not work; else a hint: it works, and deserves a look."""
    where: str
    """As the dashboard calls it, or a line of elevenlabs.conf."""
    what: str
    remedy: str

    def __str__(self) -> str:
        kind = "fault" if self.fault else "hint"
        return f"{kind}: {self.where}: {self.what}; {self.remedy}"


def fault(where: str, what: str, remedy: str) -> Finding:
    """It will not work."""
    return Finding(True, where, what, remedy)


def hint(where: str, what: str, remedy: str) -> Finding:
    """It works, but deserves a look."""
    return Finding(False, where, what, remedy)


def at(document: Any, path: str) -> Any:
    """What is at a path of names, joined by dots; None where there is none."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def texts(value: Any) -> list[str]:
    """The texts in a list; none where it is no list."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


@dataclass(frozen=True)
class Here:
    """Our side: ``elevenlabs.conf``, and what the dialplan has."""

    agent: str
    """The section."""
    call: Call
    """What a call starts with, as far as ``elevenlabs.conf`` says."""
    allowed: frozenset[str] = frozenset()
    """Overrides that the dialplan may set, where ``overrides`` names them."""
    variables: frozenset[str] = frozenset()
    """Dynamic variables that the module, or some line of the dialplan, sets besides."""
    extensions: frozenset[str] = frozenset()
    """Tools of the agent that the dialplan has as steps."""
    beside: frozenset[str] = frozenset()
    """Tools of the agent that it has beside the call."""
    reads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By the name of such a tool: parameters that its lines read."""
    python: Mapping[str, Known] = field(default_factory=dict)
    """Tools of ``tools_directory``, by name."""
    broken: tuple[str, ...] = ()
    """What is not used of it: where, and why."""
    nowhere: tuple[str, ...] = ()
    """Entries of ``transfer_allow`` with a context that the dialplan does not have."""
    places: Mapping[str, str] = field(default_factory=dict)
    """By the name of a key: file and line where it is set."""

    def key(self, name: str) -> str:
        """Where a key is set, for people."""
        return f"{self.places.get(name, f'elevenlabs.conf [{self.agent}]')} {name}"


@dataclass(frozen=True)
class There:
    """The service's side: its answers as they came."""

    agent: dict[str, Any]
    tools: list[dict[str, Any]] = field(default_factory=list)
    """``tool_config`` of each."""

    def config(self, path: str) -> Any:
        """Something of the agent's ``conversation_config``."""
        return at(self.agent, f"conversation_config.{path}")

    def platform(self, path: str) -> Any:
        """Something of its ``platform_settings``."""
        return at(self.agent, f"platform_settings.{path}")

    def client_tools(self) -> Iterator[dict[str, Any]]:
        """Tools that are to be carried out here."""
        return (
            each
            for each in self.tools
            if each.get("type") == "client" and isinstance(each.get("name"), str)
        )


Rule = Callable[[Here, There], Iterator[Finding]]

_EVENTS = "Advanced > Client events"


def reachable(here: Here, there: There) -> Iterator[Finding]:
    """Whether the service will let a call in at all."""
    if there.platform("auth.enable_auth") is True and here.call.settings.auth == "none":
        yield fault(
            here.key("auth"),
            "the agent wants authentication, and every call will be refused",
            "set auth = signed_url, and an api_key",
        )
    if there.platform("auth.require_origin_header") is True and there.platform("auth.allowlist"):
        yield fault(
            "Security > Allowlist",
            "it wants the header Origin, which only browsers send",
            "do not require that header, or empty the list",
        )
    if there.config("conversation.text_only") is True:
        yield fault(
            "Advanced > Text only",
            "the agent only writes: it hears nobody, and says nothing",
            "switch it off",
        )


_FREE_FORMAT = "ulaw_8000"
_COSTS = {
    "pcm_8000": "it takes twice the network of mu-law, and every call a conversion",
    "pcm_16000": "calls that are not wideband cost a conversion and four times the network",
    "pcm_22050": "every call costs a conversion that no telephone gains by",
    "pcm_24000": "every call costs a conversion that few telephones gain by",
    "pcm_44100": "every call costs a conversion that no telephone gains by",
    "pcm_48000": "every call costs a conversion that few telephones gain by",
}
_SIDES = (
    ("asr.user_input_audio_format", "Advanced > User input audio format"),
    ("tts.agent_output_audio_format", "Voice > TTS output format"),
)


def formats(_here: Here, there: There) -> Iterator[Finding]:
    """What the agent hears and speaks."""
    for path, where in _SIDES:
        name = there.config(path)
        if not isinstance(name, str) or name == _FREE_FORMAT:
            continue
        if name not in FORMATS:
            yield fault(
                where,
                f"this module does not know the format {token(name)}",
                "set mu-law 8000 Hz, or a PCM format",
            )
        else:
            wide = " unless callers have wideband codecs" if name == "pcm_16000" else ""
            yield hint(where, f"{name}: {_COSTS[name]}", f"set mu-law 8000 Hz{wide}")


_NEEDED = {
    "audio": "callers will hear nothing of the agent",
    "interruption": "callers cannot interrupt the agent",
    "conversation_initiation_metadata": "calls will not begin",
}
_USEFUL = {
    "user_transcript": "nothing tells what the caller has said",
    "agent_response": "nothing tells what the agent has said",
}


def events(_here: Here, there: There) -> Iterator[Finding]:
    """What the service is to send."""
    if not isinstance(there.config("conversation.client_events"), list):
        return
    sent = texts(there.config("conversation.client_events"))
    for name, without in _NEEDED.items():
        if name not in sent:
            yield fault(_EVENTS, f"{name} is missing: {without}", "add it")
    if "client_tool_call" not in sent and any(there.client_tools()):
        yield fault(
            _EVENTS, "client_tool_call is missing: the agent's tools are never called", "add it"
        )
    for name, without in _USEFUL.items():
        if name not in sent:
            yield hint(_EVENTS, f"{name} is missing: {without}", "add it")


_ALLOWED = "overrides.conversation_config_override"
_SWITCHES = {
    "custom_llm_extra_body": "overrides.custom_llm_extra_body",
    "starting_workflow_node_id": "overrides.enable_starting_workflow_node_id_from_client",
    "procedure_ids": "overrides.enable_procedure_ids_from_client",
    "start_procedure_ids": "overrides.enable_procedure_ids_from_client",
}
"""Of overrides that are not below ``conversation_config_override``."""

_IGNORED = frozenset({"keywords"})
"""What the service leaves out without a word when it is not allowed."""

_WITHOUT_SWITCH = frozenset({"client_events"})


def _switches(name: str, value: Any) -> Iterator[str]:
    """Where the agent's settings allow an override, or not."""
    path, _ = OVERRIDES[name]
    if name in _SWITCHES:
        yield _SWITCHES[name]
    elif len(path) > 1 and name not in _WITHOUT_SWITCH:
        # tool_ids_strict is allowed wherever tool_ids is.
        place = ".".join(path[1:]).removesuffix("_strict")
        if isinstance(value, dict):
            yield from (f"{_ALLOWED}.{place}.{each}" for each in value)
        else:
            yield f"{_ALLOWED}.{place}"


def _overridden(overrides: dict[str, Any], name: str) -> Any:
    node: Any = overrides
    for step in OVERRIDES[name][0]:
        node = node.get(step) if isinstance(node, dict) else None
    return node


def overrides(here: Here, there: There) -> Iterator[Finding]:
    """What elevenlabs.conf overrides and the agent may forbid."""
    if not isinstance(there.platform("overrides"), dict):
        return
    for name in OVERRIDES:
        value = _overridden(here.call.overrides, name)
        if value is not None and (switch := _forbidden(there, name, value)):
            where = here.key(f"override_{name}")
            remedy = f"{_SWITCH_ON.format(switch)}, or remove the line"
            if name in _IGNORED:
                yield hint(where, "the agent does not allow it, and leaves it out", remedy)
            else:
                yield fault(where, "the agent does not allow it, and refuses every call", remedy)
        elif value is None and name in here.allowed and (switch := _forbidden(there, name, None)):
            yield hint(
                here.key("overrides"),
                f"the agent does not allow {name}, and refuses calls whose dialplan sets it",
                f"{_SWITCH_ON.format(switch)}, or take it out",
            )


_SWITCH_ON = "switch {} on in Security > Overrides"


def _forbidden(there: There, name: str, value: Any) -> str:
    """The first switch of the agent's that is off and should be on; empty where all are."""
    for switch in _switches(name, value):
        if there.platform(switch) is not True and not isinstance(there.platform(switch), dict):
            return token(switch.removeprefix(f"{_ALLOWED}.").removeprefix("overrides."))
    return ""


_REFERENCE = re.compile(r"\{\{\s*([A-Za-z0-9_.-]+)\s*\}\}", re.ASCII)
_SPOKEN = (
    ("agent.first_message", "Agent > First message"),
    ("agent.prompt.prompt", "Agent > System prompt"),
    ("agent.max_conversation_duration_message", "Advanced > Max duration message"),
    ("turn.soft_timeout_config.message", "Advanced > Soft timeout message"),
)


def _wanted(there: There) -> dict[str, str]:
    """By the name of a dynamic variable: where it is referred to first."""
    wanted: dict[str, str] = {}
    for path, where in _SPOKEN:
        text = there.config(path)
        for found in _REFERENCE.finditer(text) if isinstance(text, str) else ():
            wanted.setdefault(found[1], where)
            if len(wanted) >= limits.CHECK_FINDINGS:
                return wanted
    patience = _Patience()
    for tool in there.tools:
        given = {key: tool[key] for key in tool if key not in _SETTING}
        for name in sorted(_in_tool(given, patience)):
            wanted.setdefault(name, f"Tools > {token(str(tool.get('name')))}")
    return wanted


_SETTING = frozenset({"assignments", "dynamic_variables"})
"""Of a tool: what sets variables, and their placeholders."""

_REFERRING = frozenset({"dynamic_variable", "variable_name"})
"""Keys at any depth of a tool whose value is the name of a variable."""


class _Patience:
    """How much of the settings of all tools is still looked at: no call is served meanwhile."""

    left = limits.CHECK_PIECES

    def spend(self, node: Any) -> bool:
        """Look at one more. False: it is over."""
        self.left -= 1 + (len(node) // limits.CHECK_PIECE if isinstance(node, str) else 0)
        return self.left > 0


def _in_tool(node: Any, patience: _Patience, depth: int = 0) -> set[str]:
    """Variables that a tool's settings refer to."""
    if isinstance(node, str):
        return set(_REFERENCE.findall(node))
    if depth > limits.CHECK_DEPTH or not isinstance(node, list | dict):
        return set()
    found: set[str] = set()
    for each in node.values() if isinstance(node, dict) else node:
        if not patience.spend(each):
            break
        found |= _in_tool(each, patience, depth + 1)
    if isinstance(node, dict):
        found |= {name for key in _REFERRING if isinstance(name := node.get(key), str) and name}
    return found


def _assigned(tool: dict[str, Any]) -> set[str]:
    """Variables that the answer of a tool sets."""
    assignments = tool.get("assignments")
    if not isinstance(assignments, list):
        return set()
    return set(texts([at(each, "dynamic_variable") for each in assignments]))


def variables(here: Here, there: There) -> Iterator[Finding]:
    """Dynamic variables that the agent refers to and nobody sets."""
    placeholders = there.config("agent.dynamic_variables.dynamic_variable_placeholders")
    known = {*here.variables, *here.call.dynamic_variables}.union(*map(_assigned, there.tools))
    for name, where in _wanted(there).items():
        if name in known or name.startswith("system__"):
            continue
        shown = token(name)
        remedy = f"set ELEVENLABS_VAR_{shown} in the dialplan, or var_{shown} in elevenlabs.conf"
        if isinstance(placeholders, dict) and name in placeholders:
            yield hint(
                where, f"nobody sets {{{{{shown}}}}}, which has a placeholder for tests", remedy
            )
        else:
            yield fault(
                where, f"nobody sets {{{{{shown}}}}}, and the service refuses such calls", remedy
            )


_LONGEST = "conversation.max_duration_seconds"


def durations(here: Here, there: There) -> Iterator[Finding]:
    """Limits on a whole call."""
    ours = here.call.settings.max_duration
    theirs = _overridden(here.call.overrides, "max_duration_seconds") or there.config(_LONGEST)
    if isinstance(theirs, int) and 0 < theirs < ours:
        yield hint(
            "Advanced > Max conversation duration",
            f"the service ends calls after {theirs} s, before max_duration, {ours} s",
            "raise it there, or lower max_duration in elevenlabs.conf",
        )


def queueing(here: Here, there: There) -> Iterator[Finding]:
    """What becomes of callers while no agent is free."""
    enabled, settings = there.platform("queueing_config.enabled"), here.call.settings
    patience = there.platform("queueing_config.wait_timeout_seconds")
    if enabled is False and settings.queue_seconds:
        yield hint(
            here.key("queue"),
            "the agent does not queue: callers for whom none is free are refused at once",
            "switch the queue on in the agent's settings, or let the dialplan have them wait",
        )
    elif enabled and isinstance(patience, int) and 0 < patience < settings.queue_seconds:
        yield hint(
            here.key("queue"),
            f"the service lets callers wait for {patience} s at most",
            f"raise its limit to {settings.queue_seconds} s, or lower queue",
        )


RULES: tuple[Rule, ...] = (reachable, formats, events, overrides, variables, durations, queueing)
"""In the order of their findings. Those on tools follow (``tool_findings.py``)."""
