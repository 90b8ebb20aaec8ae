"""What of an agent's tools will not work here, each with its remedy. No I/O."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from .. import limits
from ..conversation.channel_tools import ChannelTool
from ..conversation.steps import ARGUMENT_NAME, TOOL_NAME
from ..conversation.tools import KINDS, Function, admits, allowed, on_channel, switched_off
from ..conversation.worker import Known
from ..words import token
from .findings import Finding, Here, There, at, fault, hint, texts

_PRESET = "end_call"
"""``tools``, unless elevenlabs.conf says otherwise: nobody has asked for that one."""

_STEPS = "docs/tools.md"

_ELSEWHERE = {
    "transfer_to_number": "transfers",
    "play_keypad_touch_tone": "keypad tones",
}
"""The service's own tools that work on its own telephone lines only."""

_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}
_WORDS = {of_json: KINDS[kind][1] for kind, of_json in _JSON_TYPES.items()}


def _place(name: str, setting: str = "") -> str:
    return f"Tools > {token(name)}{f' > {setting}' if setting else ''}"


def system_tools(_here: Here, there: There) -> Iterator[Finding]:
    """Tools of the service's that cannot reach a caller of ours."""
    for name, what in _ELSEWHERE.items():
        if at(there.agent, f"conversation_config.agent.prompt.built_in_tools.{name}"):
            yield fault(
                f"Tools > System tools > {name}",
                "it works on the service's own lines only, and fails here",
                f"switch it off, and give the agent a client tool for {what} ({_STEPS})",
            )


def missing_there(here: Here, there: There) -> Iterator[Finding]:
    """Tools that elevenlabs.conf names and the agent does not have."""
    names = here.call.settings.tools
    has = {tool["name"] for tool in there.client_tools()}
    for name in names.split(",") if names not in (_PRESET, "none") else ():
        if "*" not in name and name != _PRESET and name not in has:
            yield hint(
                here.key("tools"),
                f"the agent has no client tool {token(name)}",
                "add it to the agent's tools, or take it out here",
            )


def client_tools(here: Here, there: There) -> Iterator[Finding]:
    """Tools that the agent has and this side is to carry out, by the order of the look-up."""
    settings = here.call.settings
    built_in, channels, off = allowed(settings), on_channel(settings), switched_off(settings)
    for tool in there.client_tools():
        name = tool["name"]
        if not admits(settings.tools, name):
            yield fault(
                here.key("tools"),
                f"{token(name)} is not among them, and the agent is told that there is none",
                f"add it, or take {_place(name)} off the agent",
            )
        elif name in built_in:
            yield from _given(tool, _of_function(built_in[name]))
            yield from _timeout(tool, limits.TOOL_SECONDS)
        elif name in channels:
            yield from _given(tool, _of_channel(channels[name]))
            yield from _patience(tool, "tool")
        elif name in here.python:
            yield from _given(tool, _of_python(here.python[name]))
            yield from _result(here, tool)
        elif not TOOL_NAME.fullmatch(name):
            yield fault(
                _place(name),
                "the dialplan can have no tool of this name",
                "begin it with a letter; it may have letters, digits, _ and -, two at least",
            )
        elif name in here.extensions:
            yield from _step(here, tool)
        elif name in here.beside:
            yield from _beside(here, tool)
        elif name in off:
            yield fault(
                here.key("tools"),
                f"{name} is off, for {off[name]}, and the agent is told that there is no such tool",
                f"switch it on ({_STEPS}), or take {_place(name)} off the agent",
            )
        else:
            yield fault(
                here.key("steps_context"),
                f"there is no extension {name}, and the agent is told that there is no such tool",
                f"add it to that context ({_STEPS}), or take {_place(name)} off the agent",
            )


def _parameters(tool: dict[str, Any]) -> dict[str, Any]:
    """What the agent's model gives to a tool, by name."""
    found = at(tool, "parameters.properties")
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class _Parameter:
    """One that a tool here has. ``type``: of JSON; empty where it takes several."""

    type: str
    is_required: bool


def _of_function(function: Function) -> dict[str, _Parameter]:
    kinds = get_type_hints(function)
    known = list(inspect.signature(function).parameters.values())[1:]
    return {
        each.name: _Parameter(_JSON_TYPES[kinds[each.name]], each.default is each.empty)
        for each in known
    }


def _of_channel(tool: ChannelTool) -> dict[str, _Parameter]:
    names = (tool.exact, *tool.texts)
    return {name: _Parameter("string", name not in tool.optional) for name in names}


def _of_python(tool: Known) -> dict[str, _Parameter]:
    required = tool.schema.get("required", [])
    return {
        name: _Parameter(str(schema.get("type", "")), name in required)
        for name, schema in tool.schema.get("properties", {}).items()
    }


def _given(tool: dict[str, Any], known: Mapping[str, _Parameter]) -> Iterator[Finding]:
    """Whether what the agent's model gives is what a tool takes that looks at its parameters."""
    name, given = tool["name"], _parameters(tool)
    where = _place(name, "Parameters")
    for other in sorted(given.keys() - known.keys()):
        there_are = ", ".join(known) or "none"
        what = f"{name} here has no parameter {token(other)}, and fails with it"
        yield fault(where, what, f"take it out; there are: {there_are}")
    required = texts(at(tool, "parameters.required"))
    for each, parameter in known.items():
        words = _WORDS.get(parameter.type, parameter.type or "one of several types")
        if parameter.is_required and each not in required:
            what = f"the parameter {each} may be missing, and {name} fails without it"
            yield fault(where, what, f"add it as required: {words}")
        type_there, wanted = at(given, f"{each}.type"), parameter.type
        if wanted and isinstance(type_there, str) and type_there not in (wanted, *_also(wanted)):
            what = f"{each} is of type {token(type_there)}, and {name} wants {words}"
            yield fault(where, what, f"set its type to {wanted}")


def _timeout(tool: dict[str, Any], most: float, key: str = "") -> Iterator[Finding]:
    """Whether the service waits for as long as the tool may take."""
    seconds = tool.get("response_timeout_secs")
    patience = seconds if tool.get("expects_response") and isinstance(seconds, int) else 0
    if 0 < patience < most:
        yield hint(
            _place(tool["name"], "Response timeout"),
            f"the service waits for {patience} s, and {tool['name']} may take {most:g} s{key}",
            f"set {most:g} s at least",
        )


def _also(wanted: str) -> tuple[str, ...]:
    """JSON types whose values a parameter takes as well."""
    return ("integer",) if wanted == "number" else ()


def _step(here: Here, tool: dict[str, Any]) -> Iterator[Finding]:
    yield from _extension(here, tool)
    yield from _patience(tool)


def _beside(here: Here, tool: dict[str, Any]) -> Iterator[Finding]:
    """A tool beside the call has an end of its own, which the service is to wait for."""
    yield from _extension(here, tool)
    yield from _result(here, tool)


def _result(here: Here, tool: dict[str, Any]) -> Iterator[Finding]:
    """Whether the agent gets what a tool that runs beside the call tells it."""
    if not tool.get("expects_response"):
        yield _unheard(tool, "tool")
    yield from _timeout(tool, here.call.settings.tool_timeout, " (tool_timeout)")


def _extension(here: Here, tool: dict[str, Any]) -> Iterator[Finding]:
    """What the dialplan makes of a tool's parameters."""
    name, given = tool["name"], _parameters(tool)
    for parameter in given:
        if not ARGUMENT_NAME.fullmatch(parameter):
            yield fault(
                _place(name, "Parameters"),
                f"the parameter {token(parameter)} cannot become a channel variable",
                f"name it with letters, digits and _, {limits.TOOL_NAME_CHARACTERS} at most",
            )
    if len(given) > limits.STEP_ARGUMENTS:
        yield fault(
            _place(name, "Parameters"),
            f"there are {len(given)}, and a tool takes {limits.STEP_ARGUMENTS}",
            "take some out",
        )
    for parameter in sorted(here.reads.get(name, frozenset()) - given.keys()):
        yield hint(
            _place(name, "Parameters"),
            f"the dialplan reads ELEVENLABS_ARG_{parameter}, which stays empty",
            f"add the parameter {parameter}",
        )


def _unheard(tool: dict[str, Any], what: str) -> Finding:
    return hint(
        _place(tool["name"], "Wait for response"),
        f"the agent goes on without the result of the {what}",
        "switch it on, with a response timeout of -1",
    )


def _patience(tool: dict[str, Any], what: str = "step") -> Iterator[Finding]:
    """How long the service waits for what takes as long as the call has it take."""
    seconds = tool.get("response_timeout_secs")
    if not tool.get("expects_response"):
        yield _unheard(tool, what)
    elif isinstance(seconds, int) and seconds > 0:
        yield hint(
            _place(tool["name"], "Response timeout"),
            f"the service waits for {seconds} s, and a {what} may take longer",
            "set -1: no limit",
        )


def broken_here(here: Here, _there: There) -> Iterator[Finding]:
    """What is not used of ``tools_directory``."""
    for each in here.broken:
        yield fault(here.key("tools_directory"), each, "mend it, and type elevenlabs reload")


def transfers(here: Here, _there: There) -> Iterator[Finding]:
    """Where ``transfer_call`` may send a caller, and cannot."""
    for entry in here.nowhere:
        name, _, place = entry.partition("@")
        context = place.partition(":")[0]
        yield fault(
            here.key("transfer_allow"),
            f"the dialplan has no context {context}, so no transfer to {name} gets there",
            "add that context, or take the entry out",
        )


RULES = (system_tools, missing_there, broken_here, client_tools, transfers)
"""In the order of their findings, behind ``findings.RULES``."""
