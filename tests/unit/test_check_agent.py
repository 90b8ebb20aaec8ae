"""Asking the service for an agent's settings: the mock tells them, or does not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pyconvai import limits
from pyconvai.checking.agent import AgentCheck
from pyconvai.conversation.workshop import Workshops
from pyconvai.mock import MockAgent
from pyconvai.service.endings import SetupFailed, Status
from pyconvai.service.net import Network
from pyconvai.service.settings import PairKind
from tests.timing import EVENT

Pair = tuple[int, str, str]

TOOL = {"type": "client", "name": "pay", "description": "Pay.", "expects_response": True}
PAY = {**TOOL, "response_timeout_secs": -1}
SLOW = {**TOOL, "name": "x2", "response_timeout_secs": 20}


def scenario(faults: list[dict[str, Any]] | None = None, **settings: Any) -> dict[str, Any]:
    """One agent, with the key test-key."""
    agent: dict[str, Any] = {"format": "ulaw_8000", "api_keys": ["test-key"], "settings": settings}
    if faults:
        agent["faults"] = faults
    return {
        "agents": {"agent_x": agent},
        "tools": {"tool_1": PAY, "tool_2": SLOW},
    }


def with_tools(*ids: str) -> dict[str, Any]:
    return scenario(conversation_config={"agent": {"prompt": {"tool_ids": list(ids)}}})


def pairs(url: str, **settings: str) -> list[Pair]:
    given = {
        "agent_id": "agent_x",
        "api_key": "test-key",
        "base_url": url,
        "tools": "*",
        **settings,
    }
    arguments = [("step", "pay"), ("step", "x2")]
    return [
        *((PairKind.SETTING, name, value) for name, value in given.items()),
        *((PairKind.ARGUMENT, name, value) for name, value in arguments),
    ]


def ask(
    source: str | dict[str, Any], kind: str = "check", hosts: str = "{}", **settings: str
) -> tuple[tuple[bool, list[str]], list[dict[str, Any]]]:
    """(the answer, the requests that the mock has seen)."""

    async def run() -> tuple[tuple[bool, list[str]], list[dict[str, Any]]]:
        network, workshops = Network(), Workshops()
        try:
            async with MockAgent(source) as mock, asyncio.timeout(EVENT):
                given = pairs(hosts.format(mock.url), **settings)
                answer = await getattr(AgentCheck(network, workshops), kind)("sales", given)
                return answer, mock.requests
        finally:
            workshops.close()
            network.close()

    return asyncio.run(run())


def refusal(source: dict[str, Any], **settings: str) -> tuple[Status, str, str]:
    """(status, reason, detail) of a check that comes to nothing."""
    with pytest.raises(SetupFailed) as failed:
        ask(source, **settings)
    ending = failed.value.ending
    return ending.status, ending.reason, ending.detail


def http(status: int, body: str = "") -> dict[str, Any]:
    fault = {"name": "http_status", "stage": "settings", "status": status}
    return scenario([{**fault, "body": body} if body else fault])


def test_a_clean_agent() -> None:
    """The key is in each request, and the branch in the one for the agent."""
    answer, requests = ask(with_tools("tool_1"), branch_id="agtbrch_1", version_id="v_1")
    assert answer == (True, ["nothing found"])
    assert [each["path"] for each in requests] == [
        "/v1/convai/agents/agent_x",
        "/v1/convai/tools/tool_1",
    ]
    assert all(each["api_key"] and each["status"] == 200 for each in requests)
    assert requests[0]["branch_id"] == "agtbrch_1"
    assert requests[0]["version_id"] == "v_1"


def test_the_names_of_its_tools() -> None:
    """Whatever else it has; a name that is none is not told."""
    source = with_tools("tool_1", "tool_2", "tool_3", "tool_4")
    source["tools"] |= {
        "tool_3": {"type": "webhook", "name": "crm"},
        "tool_4": {"type": "client", "name": "no name"},
    }
    answer, _ = ask(source, "tools")
    assert answer == (True, ["pay", "x2"])


def test_an_inline_tool_and_its_id_are_one() -> None:
    prompt = {"tool_ids": ["tool_1"], "tools": [{**PAY, "description": "As before."}]}
    answer, _ = ask(scenario(conversation_config={"agent": {"prompt": prompt}}), "tools")
    assert answer == (True, ["pay"])


def test_findings_and_their_verdict() -> None:
    source = with_tools("tool_1", "tool_2")
    source["agents"]["agent_x"]["client_events"] = ["interruption", "agent_response"]
    ok, lines = ask(source)[0]
    assert not ok
    assert [line.partition(":")[0] for line in lines[:-1]] == ["fault"] * 3 + ["hint"] * 2
    assert lines[-1] == "3 faults, 2 hints"


def test_a_hint_is_no_failure() -> None:
    ok, lines = ask(with_tools("tool_1", "tool_2"))[0]
    assert ok
    assert lines[-1] == "0 faults, 1 hint"


def test_a_tool_that_is_not_there() -> None:
    ok, lines = ask(with_tools("tool_1", "tool_gone"))[0]
    assert not ok
    assert lines[0].startswith("fault: Tools > tool_gone: the agent has it, and there is no such")


def test_more_tools_than_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CHECK_TOOLS", 1)
    ok, lines = ask(with_tools("tool_1", "tool_2"), tools="pay")[0]
    assert ok
    assert lines == [
        "hint: Tools: only 1 tools are looked at: 1 more are not; look at them yourself",
        "0 faults, 1 hint",
    ]


def test_no_key() -> None:
    status, reason, _ = refusal(scenario(), api_key="", auth="none")
    assert (status, reason) == (
        Status.AUTH,
        "no api_key in elevenlabs.conf, and the service wants one for this",
    )


@pytest.mark.parametrize(
    ("source", "settings", "status", "reason", "detail"),
    [
        (
            scenario(),
            {"api_key": "wrong"},
            Status.AUTH,
            "the request for the agent was refused with HTTP 401; the service does not know the"
            " key: check api_key and base_url (region)",
            "Invalid API key (invalid_api_key)",
        ),
        (
            http(401, "missing_permissions"),
            {},
            Status.AUTH,
            "the request for the agent was refused with HTTP 401; give the key the permission"
            " convai_read (ElevenLabs: API keys), or use another",
            "The API key you used is missing the permission convai_read",
        ),
        (
            http(403, "empty"),
            {},
            Status.AUTH,
            "the request for the agent was refused with HTTP 403; give the key the permission"
            " convai_read",
            "",
        ),
        (
            scenario(),
            {"agent_id": "agent_y"},
            Status.REJECTED,
            "the request for the agent was refused with HTTP 404; there is no agent agent_y: check"
            " agent_id and base_url (region)",
            "Agent with ID 'agent_y' not found. (agent_not_found)",
        ),
        (
            http(422),
            {},
            Status.REJECTED,
            "the request for the agent was refused with HTTP 422; the service does not take it for"
            " the id of one: check agent_id",
            "query.agent_id Field required (missing)",
        ),
        (
            http(429),
            {},
            Status.LIMIT,
            "the request for the agent was refused with HTTP 429",
            "Too many requests",
        ),
        (
            http(302),
            {},
            Status.ERROR,
            "the request for the agent was refused with HTTP 302: redirects are not followed",
            "",
        ),
        (
            http(200, "html"),
            {},
            Status.ERROR,
            "the service's answer on the agent is no JSON object; check base_url",
            "",
        ),
        (
            http(200, "[]"),
            {},
            Status.ERROR,
            "the service's answer on the agent is no JSON object; check base_url",
            "",
        ),
    ],
)
def test_a_refusal(
    source: dict[str, Any], settings: dict[str, str], status: Status, reason: str, detail: str
) -> None:
    """Each has a sentence that says what to do, and the service's words behind it."""
    said = refusal(source, **settings)
    assert said[0] is status
    assert said[1].startswith(reason)
    assert said[2].startswith(detail)


def test_an_answer_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are longer than other answers, within limits."""
    long: Any = {"conversation_config": {"agent": {"prompt": {"prompt": "x" * 200_000}}}}
    assert ask(scenario(**long))[0][0]
    monkeypatch.setattr(limits, "CHECK_RESPONSE_BYTES", 100_000)
    status, reason, _ = refusal(scenario(**long))
    assert status is Status.UNREACHABLE
    assert "answers with more than 100000 bytes" in reason


def test_the_next_host_is_asked() -> None:
    """And of those that answer, the first decides."""
    answer, requests = ask(with_tools("tool_1"), hosts="http://127.0.0.1:9,{}")
    assert answer == (True, ["nothing found"])
    assert len(requests) == 2
    status, _, _ = refusal(scenario(), base_url="http://127.0.0.1:9")
    assert status is Status.UNREACHABLE


def test_the_key_goes_to_the_hosts_of_base_url_alone() -> None:
    """C10: also where signed URLs come from somewhere else."""
    elsewhere = "http://127.0.0.1:9/signed-url"
    answer, requests = ask(with_tools("tool_1"), signed_url_endpoint=elsewhere)
    assert answer[0]
    assert len(requests) == 2


def test_what_the_mock_tells_is_checked_with_the_rest(tmp_path: Path) -> None:
    """A scenario of the mock's in a file, as ``--scenario`` reads it."""
    file = tmp_path / "x.toml"
    file.write_text(
        '[agents.agent_x]\nformat = "ulaw_8000"\n'
        "settings.conversation_config.agent.prompt.tool_ids = ['tool_1']\n"
        '[tools.tool_1]\ntype = "client"\nname = "pay"\ndescription = "Pay."\n'
        "expects_response = true\nresponse_timeout_secs = 20\n"
    )
    answer, _ = ask(str(file))
    assert answer[1][-1] == "0 faults, 1 hint"


def test_tools_in_python(tmp_path: Path) -> None:
    """They are known by then, and so is what of the directory is broken."""
    (tmp_path / "shop.py").write_text("def price_of(article: str) -> float: return 1.0\n")
    (tmp_path / "bad.py").write_text("x = \n")
    keys = {"tools": "price_of", "tools_directory": str(tmp_path)}
    prompt = {"tools": [{**PAY, "name": "price_of"}]}
    (ok, lines), _ = ask(scenario(conversation_config={"agent": {"prompt": prompt}}), **keys)
    assert not ok
    broken, missing, verdict = lines
    assert broken.startswith(f"fault: elevenlabs.conf [sales] tools_directory: {tmp_path}/bad.py:1")
    assert missing == (
        "fault: Tools > price_of > Parameters: the parameter article may be missing, and price_of"
        " fails without it; add it as required: text"
    )
    assert verdict == "2 faults, 0 hints"
