"""Asking the service for an agent's settings and its tools, read only. Loop thread only.

The key goes to the hosts of ``base_url`` alone, also where signed URLs come from somewhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import quote

import orjson

from .. import limits
from ..conversation.workshop import Workshops, place_of
from ..secret import Secret
from ..service.endings import Ending, SetupFailed, Status, from_http
from ..service.net import Network
from ..service.settings import Call, Settings, arguments
from ..service.signed_urls import context_for
from ..words import token
from . import findings, tool_findings
from .findings import Finding, Here, There, at, fault, hint, texts

Pair = tuple[int, str, str]

TOOLS = "/v1/convai/tools/"


class AgentCheck:
    """The inquiries of ``elevenlabs check agent``."""

    def __init__(self, network: Network, workshops: Workshops) -> None:
        self._network, self._workshops = network, workshops

    async def tools(self, _agent: str, pairs: list[Pair]) -> tuple[bool, list[str]]:
        """Names of the agent's client tools: what the dialplan may have extensions for."""
        there, _ = await self._ask(Call.from_pairs(pairs).settings)
        names = (str(tool["name"]) for tool in there.client_tools())
        return True, [name for name in names if token(name) == name]

    async def check(self, agent: str, pairs: list[Pair]) -> tuple[bool, list[str]]:
        """What will not work, a line each, and a verdict."""
        here = await self._with_python(here_of(agent, pairs))
        there, unread = await self._ask(here.call.settings)
        found = [*unread, *find(here, there)]
        faults = sum(each.fault for each in found)
        return not faults, [*map(str, found), verdict(faults, len(found) - faults)]

    async def _with_python(self, here: Here) -> Here:
        """Our side, with what its ``tools_directory`` has."""
        workshop = self._workshops.of(here.call.settings.tools_directory)
        if workshop is None:
            return here
        tools = await workshop.latest(limits.WORKER_LOAD_SECONDS)
        broken = (f"{place_of(workshop.directory, it)}: {it.why}" for it in workshop.broken)
        return replace(here, python=tools, broken=tuple(broken))

    async def _ask(self, settings: Settings) -> tuple[There, list[Finding]]:
        """The agent and its tools, and what of them there was to say when they were asked for."""
        if not settings.api_key:
            reason = "no api_key in elevenlabs.conf, and the service wants one for this"
            raise SetupFailed(Ending(Status.AUTH, reason))
        for last, host in _hosts(settings):
            try:
                return await self._ask_host(host)
            except SetupFailed as failed:
                if last or failed.ending.status is not Status.UNREACHABLE:
                    raise
        raise AssertionError("there is a host")

    async def _ask_host(self, settings: Settings) -> tuple[There, list[Finding]]:
        agent = await self._get(settings, settings.agent_url, "agent")
        prompt = "conversation_config.agent.prompt"
        ids = list(dict.fromkeys(texts(at(agent, f"{prompt}.tool_ids"))))
        said: list[Finding] = []
        if more := ids[limits.CHECK_TOOLS :]:
            looked = f"only {limits.CHECK_TOOLS} tools are looked at: {len(more)} more are not"
            said.append(hint("Tools", looked, "look at them yourself"))
        some = asyncio.Semaphore(limits.CHECK_TOOLS_AT_ONCE)

        async def tool(tool_id: str) -> dict[str, Any] | Finding:
            url = f"{settings.base_url.rstrip('/')}{TOOLS}{quote(tool_id, safe='')}"
            async with some:
                try:
                    answer = await self._get(settings, url, "tool")
                except _Refused as refused:
                    return _unread(tool_id, refused)
            return answer

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(tool(each)) for each in ids[: limits.CHECK_TOOLS]]
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        answers = [task.result() for task in tasks]
        configs = [at(each, "tool_config") for each in answers if isinstance(each, dict)]
        inline = at(agent, f"{prompt}.tools")
        return (
            There(agent, _by_name([*configs, *(inline if isinstance(inline, list) else [])])),
            [*said, *(each for each in answers if isinstance(each, Finding))],
        )

    async def _get(self, settings: Settings, url: str, what: str) -> dict[str, Any]:
        context = await context_for(self._network, settings)
        headers: dict[str, str | Secret] = {
            "xi-api-key": settings.api_key,
            "Accept": "application/json",
        }
        most = limits.CHECK_RESPONSE_BYTES
        answer = await self._network.get(url, headers, context, settings.agent_id, most)
        if answer.status != 200:
            raise _Refused(answer.status, answer.body, what, settings)
        try:
            document = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            document = None
        if not isinstance(document, dict):
            reason = f"the service's answer on the {what} is no JSON object; check base_url"
            raise SetupFailed(Ending(Status.ERROR, reason))
        return document


class _Refused(SetupFailed):
    """An answer other than success."""

    def __init__(self, status: int, body: bytes, what: str, settings: Settings) -> None:
        self.status = status
        super().__init__(_ending(status, body, what, settings))


def _ending(status: int, body: bytes, what: str, settings: Settings) -> Ending:
    """What an answer means, with what to do about it where the table of endings does not know."""
    ending = from_http(status, body, f"the request for the {what}")
    remedy = ""
    if status == 403 or (status == 401 and "permission" in ending.detail):
        remedy = "give the key the permission convai_read (ElevenLabs: API keys), or use another"
    elif status == 401:
        remedy = "the service does not know the key: check api_key and base_url (region)"
    elif status == 404 and what == "agent":
        agent = token(settings.agent_id)
        remedy = f"there is no agent {agent}: check agent_id and base_url (region)"
    elif status == 422:
        remedy = f"the service does not take it for the id of one: check {what}_id"
    if not remedy:
        return ending
    reason = f"the request for the {what} was refused with HTTP {status:d}; {remedy}"
    return Ending(ending.status, reason, detail=ending.detail)


def _unread(tool_id: str, refused: _Refused) -> Finding:
    """A tool that the agent has and that was not to be had."""
    where = f"Tools > {token(tool_id)}"
    if refused.status == 404:
        remedy = "take it off the agent, or create it anew"
        return fault(where, "the agent has it, and there is no such tool", remedy)
    return hint(where, f"not looked at: {refused.ending}", "look at it yourself")


def _hosts(settings: Settings) -> Iterable[tuple[bool, Settings]]:
    """Settings for each host in order; whether it is the last."""
    hosts = settings.hosts
    return ((host is hosts[-1], host) for host in hosts)


def _by_name(tools: list[Any]) -> list[dict[str, Any]]:
    """Each tool once: the service may give one inline and by its id."""
    named: dict[Any, dict[str, Any]] = {}
    for tool in tools:
        if isinstance(tool, dict) and isinstance(tool.get("name"), str):
            named.setdefault(tool["name"], tool)
    return list(named.values())


def here_of(agent: str, pairs: list[Pair]) -> Here:
    """Our side, as the C module tells it (``control/cli_check.c``)."""
    places = (each.rpartition(" ") for each in arguments(pairs, "place"))
    reads: dict[str, set[str]] = {}
    for each in arguments(pairs, "reads"):
        tool, _, parameter = each.partition(" ")
        reads.setdefault(tool, set()).add(parameter)
    return Here(
        agent=agent,
        call=Call.from_pairs(pairs),
        allowed=frozenset(arguments(pairs, "override")),
        variables=frozenset(arguments(pairs, "variable")),
        extensions=frozenset(arguments(pairs, "step")),
        beside=frozenset(arguments(pairs, "beside")),
        nowhere=tuple(arguments(pairs, "nowhere")),
        reads={tool: frozenset(names) for tool, names in reads.items()},
        places={key: place for place, _, key in places},
    )


def find(here: Here, there: There) -> list[Finding]:
    """All findings, in the order of the rules; not more than anybody reads."""
    rules = (*findings.RULES, *tool_findings.RULES)
    return list(islice((f for rule in rules for f in rule(here, there)), limits.CHECK_FINDINGS))


def verdict(faults: int, hints: int) -> str:
    """The last line."""
    if not faults and not hints:
        return "nothing found"
    return f"{faults} fault{'s' * (faults != 1)}, {hints} hint{'s' * (hints != 1)}"
