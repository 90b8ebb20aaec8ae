"""Reaching the service: dead addresses and hosts, and faults on the way. Many calls at once.

Asterisk knows two addresses of ``localhost``, the one of IPv6 first: that one is dead here, and the
mock agent is at the other.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from pyconvai import __version__, limits
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import Crowd, Outcome, crowd
from tests.asterisk.phone import DIALPLAN, configure, section, settled
from tests.asterisk.stage import until
from tests.deaf import Deaf
from tests.planted import signature
from tests.timing import SECOND

SECRET = signature("signature")

SERVICE = """\
title = "reaching"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Hello.", sound = "noise:1:300" }
"""

BODIES = {
    "bracket": (200, f'{{"signed_url": "ws://[::1/x?conversation_signature={SECRET}"}}'),
    "label": (200, f'{{"signed_url": "ws://{"a" * 64}/x?conversation_signature={SECRET}"}}'),
    "dots": (200, f'{{"signed_url": "ws://api..x/x?conversation_signature={SECRET}"}}'),
    "user": (200, f'{{"signed_url": "ws://user@h/x?conversation_signature={SECRET}"}}'),
    "nested": (422, "[" * 900 + "]" * 900),
    "number": (422, '{"detail":[{"loc":5}]}'),
}
"""Answers to the request for a signed URL: status and body."""

LEARNED = {"address": ("address-b", "address-c"), "host": ("host-b", "host-c")}
"""The agent that finds out about a dead one, and those that are called afterwards."""

FAULTS = {
    "nowhere": ("UNREACHABLE", "no host name"),
    "nowhere-open": ("UNREACHABLE", "no host name"),
    "bracket": ("UNREACHABLE", "signed URL"),
    "label": ("UNREACHABLE", "signed URL"),
    "dots": ("UNREACHABLE", "signed URL"),
    "user": ("UNREACHABLE", ""),
    "nested": ("REJECTED", "HTTP 422"),
    "number": ("REJECTED", "HTTP 422"),
}
"""By agent: status and words of the reason."""

PASSED_OVER = [f"{name}-then" for name in ("nowhere", "bracket", "dots", "user")]
"""Agents with such a host, and behind it one that serves."""


@dataclass
class Seen:
    """What came of all calls."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    began_ms: dict[str, float] = field(default_factory=dict)
    asked_again: dict[str, int] = field(default_factory=dict)
    requests: list[dict[str, object]] = field(default_factory=list)
    log: str = ""


def sections(url: str, host: Deaf, good: str) -> str:
    """All agents. ``url``: the mock with faults; ``good``: another one."""
    port = urlsplit(good).port
    where = {
        "address": f"http://localhost:{port}",
        "host": f"http://127.0.0.2:{host.port},{good}",
    }
    text = "".join(
        section(name, where[kind], agent_id="default")
        for kind, others in LEARNED.items()
        for name in (kind, *others)
    )
    text += section("nowhere", "https://api..x")
    text += section("nowhere-open", "https://api..x", auth="none")
    text += "".join(section(name, url) for name in BODIES)
    for name in PASSED_OVER:
        first = name.removesuffix("-then")
        bad = url if first in BODIES else "https://api..x"
        text += section(name, f"{bad},{good}", agent_id=first)
    return text


def service() -> str:
    """The scenario: an agent for each answer that is none."""
    text = SERVICE + '[agents.nowhere]\nlike = "default"\n'
    for name, (status, body) in BODIES.items():
        fault = f'{{ name = "http_status", stage = "signed_url", status = {status}, '
        text += f'[agents.{name}]\nlike = "default"\n'
        text += f"faults = [{fault} body = {json.dumps(body)} }}]\n"
    return text


def had(calls: Crowd) -> dict[str, Outcome]:
    """Have each caller hang up once an agent is there, where one can be had."""
    calls.leave(lambda name, _: name not in FAULTS and calls.talks(name))
    return calls.outcomes()


def began_ms(calls: Crowd, name: str) -> float:
    """How long after its start a call's conversation was up, by the module's own clock."""
    until(lambda: calls.talks(name), f"no conversation with {name}")
    shown = re.search(r"conversation after ([\d.]+) ms", calls.shown(name))
    assert shown, name
    return float(shown[1])


@pytest.fixture(scope="module")
def seen(asterisk: StartAsterisk, root: Root) -> Seen:
    """Every agent once; then those of LEARNED that come second."""
    pbx: Instance = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")
    seen, good_agents = (
        Seen(),
        SERVICE + "".join(f'[agents.{name}]\nlike = "default"\n' for name in ("nowhere", *BODIES)),
    )
    with MockAgent(root, service()) as bad, MockAgent(root, good_agents) as good:
        port = urlsplit(good.url).port
        assert port is not None
        with Deaf("::1", port) as address, Deaf("127.0.0.2") as host:
            configure(pbx, sections(bad.url, host, good.url))
            first = [*LEARNED, *FAULTS, *PASSED_OVER]
            with crowd(pbx, first) as calls:
                seen.began_ms = {name: began_ms(calls, name) for name in LEARNED}
                seen.outcomes = had(calls)
            before = pbx.counters()
            for deaf in (address, host):
                deaf.hears()
            others = [name for names in LEARNED.values() for name in names]
            with crowd(pbx, others) as calls:
                seen.outcomes |= had(calls)
            seen.asked_again = {"address": address.hears(), "host": host.hears()}
            assert not settled(pbx, before)
    seen.requests = bad.report["requests"] + good.report["requests"]
    seen.log = pbx.log()
    return seen


@pytest.mark.parametrize("kind", LEARNED)
def test_what_is_dead_costs_one_call_a_moment(seen: Seen, kind: str) -> None:
    """S4: not the limit on one address, nor the host's share of connect_timeout."""
    assert seen.outcomes[kind].result.status == "HANGUP"
    assert 0 < seen.began_ms[kind] < limits.ADDRESS_SECONDS * 1000 * SECOND


@pytest.mark.parametrize("kind", LEARNED)
def test_what_is_dead_costs_the_others_nothing(seen: Seen, kind: str) -> None:
    """S4: nobody asks it again, whatever agent is called."""
    for name in LEARNED[kind]:
        assert seen.outcomes[name].result.status == "HANGUP"
        assert seen.outcomes[name].result.conversation_id
    assert seen.asked_again[kind] == 0


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_on_the_way(seen: Seen, name: str) -> None:
    """S12: it has a status and a sentence, and the sentence tells no secret."""
    status, words = FAULTS[name]
    result = seen.outcomes[name].result
    assert (result.status, words in result.told, result.went_on) == (status, True, True), result
    for odd in ("fault in the engine", "Error(", SECRET, "://"):
        assert odd not in result.told


@pytest.mark.parametrize("name", PASSED_OVER)
def test_a_fault_is_that_hosts(seen: Seen, name: str) -> None:
    """S12: the next one takes the call."""
    assert seen.outcomes[name].result.status == "HANGUP"
    assert seen.outcomes[name].result.conversation_id


def test_the_log_tells_no_secret(seen: Seen) -> None:
    """S12."""
    assert SECRET not in seen.log
    assert "fault in the engine" not in seen.log
    assert "Traceback" not in seen.log


def test_who_asks(seen: Seen) -> None:
    """S24: every request, the one for a signed URL as well as the WebSocket's."""
    assert {request["status"] for request in seen.requests} >= {101, 200}
    assert {request["user_agent"] for request in seen.requests} == {
        f"app_elevenlabs_convai/{__version__}"
    }
