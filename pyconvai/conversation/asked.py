"""What commands ask about tools: the inquiries that runtime.py names. Loop thread only.

Their arguments: ``directory``, each that an agent has; ``step`` and ``beside``, what the dialplan
has, as ``name@context``; ``tool``, ``json``, ``seconds``. Of one agent its settings come as well.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from .. import limits
from ..service.settings import Call, Settings, arguments
from .channel_tools import CHANNEL_TOOLS
from .process import interpreter
from .steps import TOOL_NAME
from .tools import TOOLS, admits, switched_off
from .worker import Known
from .workshop import Workshop, Workshops, place_of

Pairs = list[tuple[int, str, str]]
Told = tuple[bool, list[str]]

_BUILT_IN: Mapping[str, str] = {
    "end_call": "reason: string, optional",
    "get_state": "name: string",
    **{
        name: ", ".join(
            f"{each}: string{', optional' * (each in tool.optional)}"
            for each in (tool.exact, *tool.texts)
        )
        for name, tool in CHANNEL_TOOLS.items()
    },
}
"""Parameters, by name."""

_HIDDEN = "; not reached, for there is one of this name above"


class AboutTools:
    """The functions that answer."""

    def __init__(self, workshops: Workshops) -> None:
        self._workshops = workshops

    async def renew(self, _agent: str, pairs: Pairs) -> Told:
        """``renew tools``: after a reload."""
        self._workshops.renew(arguments(pairs, "directory"))
        return True, []

    async def show(self, agent: str, pairs: Pairs) -> Told:
        """``show tools``: of one agent, or all that there are."""
        settings = Call.from_pairs(pairs).settings if agent else None
        shown = _Shown(settings.tools if settings else "*")
        _show_built_in(shown, switched_off(settings) if settings else {})
        broken = list[str]()
        for directory in arguments(pairs, "directory"):
            workshop = self._workshops.of(directory)
            if workshop is not None:
                for tool in (await workshop.latest(limits.WORKER_LOAD_SECONDS)).values():
                    shown.add(tool.name, _line(workshop, tool))
                broken += _state_of(workshop)
        for kind, words in (("step", "a step"), ("beside", "beside the call")):
            for place in dict.fromkeys(arguments(pairs, kind)):
                name, _, context = place.partition("@")
                if TOOL_NAME.fullmatch(name):
                    shown.add(name, f"{name}: {words}, {context}")
        missing = _missing(settings, shown.reached) if settings else ()
        return True, [*(shown.lines or ["no tools"]), *missing, *broken]

    async def test(self, agent: str, pairs: Pairs) -> Told:
        """``test tool``: run one in Python, without a call."""
        (name,), (text,) = arguments(pairs, "tool"), arguments(pairs, "json")
        seconds = float(arguments(pairs, "seconds")[0])
        for directory in arguments(pairs, "directory"):
            workshop = self._workshops.of(directory)
            tools = await workshop.latest(limits.WORKER_LOAD_SECONDS) if workshop else {}
            if workshop is not None and name in tools:
                return await _run(workshop, tools[name], text, agent, seconds)
        is_elsewhere = name in _BUILT_IN or arguments(pairs, "step") or arguments(pairs, "beside")
        if is_elsewhere:
            kind = "built in" if name in _BUILT_IN else "dialplan"
            return False, [f"{name} is {kind}, which runs in calls alone; call the agent to try it"]
        if not arguments(pairs, "directory"):
            told = f"There is no tool {name} in Python: elevenlabs.conf has no tools_directory"
            return False, [told]
        return False, [f"There is no tool {name} in Python; elevenlabs show tools lists them"]


async def _run(workshop: Workshop, tool: Known, text: str, agent: str, seconds: float) -> Told:
    given = read(text, tool.schema)
    if given is None:
        return False, ['The parameters are no JSON object; an example: {"name": "value"}']
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await workshop.call(tool.name, given, {"agent": agent}, seconds)
    ms = (loop.time() - began) * 1000
    verdict = "FAILED" if answer.is_error else "OK"
    lines = [f"Tool {tool.name}: {verdict} after {ms:.0f} ms", *answer.text.splitlines()]
    return not answer.is_error, [*lines, *(answer.fault.splitlines())]


# ---- What is shown ----


class _Shown:
    """A list of tools in the order in which a name is looked for."""

    def __init__(self, names: str) -> None:
        self.names = names
        """As ``tools`` has them: others are left out."""
        self.lines: list[str] = []
        self.reached: set[str] = set()
        """Names that something of the list has, and is not off."""

    def add(self, name: str, line: str) -> None:
        if admits(self.names, name):
            self.lines.append(line + _HIDDEN * (name in self.reached))
            self.reached.add(name)


def _show_built_in(shown: _Shown, off: Mapping[str, str]) -> None:
    for name in (*TOOLS, *CHANNEL_TOOLS):
        line = f"{name}({_BUILT_IN[name]}): built in"
        if name not in off:
            shown.add(name, line)
        elif admits(shown.names, name):
            shown.lines.append(f"{line}, and off: {off[name]}")


def _missing(settings: Settings, reached: set[str]) -> Iterator[str]:
    """Names in ``tools`` that nothing has; patterns aside, and what is built in and off."""
    named = settings.tools.split(",") if settings.tools != "none" else []
    for name in dict.fromkeys(named):
        if "*" not in name and name not in reached and name not in _BUILT_IN:
            python = "no tool in Python, and " * bool(settings.tools_directory)
            yield f"MISSING {name}: {python}no extension of steps_context or tools_context"


def _line(workshop: Workshop, tool: Known) -> str:
    required = tool.schema.get("required", [])
    parameters = ", ".join(
        f"{name}: {shown(schema)}{'' if name in required else ', optional'}"
        for name, schema in tool.schema.get("properties", {}).items()
    )
    about = f": {tool.about}" if tool.about else ""
    return f"{tool.name}({parameters}): {workshop.directory}/{tool.file}:{tool.line}{about}"


def shown(schema: Mapping[str, Any]) -> str:
    """A type in a few words."""
    if "enum" in schema:
        return "|".join(str(each) for each in schema["enum"])
    if "anyOf" in schema:
        return "|".join(shown(each) for each in schema["anyOf"])
    if "items" in schema:
        return f"list of {shown(schema['items'])}"
    return str(schema.get("type", "any"))


def _state_of(workshop: Workshop) -> Iterator[str]:
    for each in workshop.broken:
        yield f"BROKEN {place_of(workshop.directory, each)}: {each.why}"
    if not workshop.workers:
        yield f"{workshop.directory}: no worker; it is started when a tool is needed"
    for what, worker in workshop.workers:
        calls = len(worker.jobs)
        yield f"{workshop.directory}: process {worker.pid}, {what}, {calls} calls under way"
    if workshop.workers:
        yield f"Python: {interpreter()}, {sys.version.split()[0]}"


# ---- Parameters that somebody has typed ----

_PIECE = re.compile(r"([{}\[\],:])|([^{}\[\],:]+)")


def read(text: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """An object. Asterisk takes quotes from what is typed: words without them are texts."""
    text = text.strip().removeprefix("'").removesuffix("'") or "{}"
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            value = orjson.loads("".join(_quoted(text)))
        except orjson.JSONDecodeError:
            return None
        if isinstance(value, dict):
            value = {name: _as_text(each, schema, name) for name, each in value.items()}
    return value if isinstance(value, dict) else None


def _quoted(text: str) -> Iterator[str]:
    for sign, words in _PIECE.findall(text):
        if sign or not words.strip():
            yield sign
            continue
        try:
            yield orjson.dumps(orjson.loads(words)).decode()
        except orjson.JSONDecodeError:
            yield orjson.dumps(words.strip()).decode()


def _as_text(value: Any, schema: Mapping[str, Any], name: str) -> Any:
    """A number that was a text before its quotes went."""
    wanted = schema.get("properties", {}).get(name, {}).get("type")
    if wanted == "string" and type(value) in (int, float, bool):
        return orjson.dumps(value).decode()
    return value
