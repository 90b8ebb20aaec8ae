"""Several hosts in base_url: what goes wrong on the way to one is that one's, and remembered."""

from __future__ import annotations

import itertools
import json

import pytest

from pyconvai import limits
from pyconvai.service import connecting
from pyconvai.service.net import Stream
from tests.deaf import Deaf
from tests.timing import NEVER, SECOND
from tests.unit.engine import Call, Engine
from tests.unit.peer import Connection, RawService, until
from tests.unit.service import Conversation, Service
from tests.unit.test_media_socket import descriptors

pytestmark = pytest.mark.slow

SECRET = "cvtkn_hush"


async def brief(agent: Conversation) -> None:
    """A conversation that comes up and ends."""
    await agent.next()
    await agent.metadata()
    await agent.connection.close(1000)


async def nobody(agent: Conversation) -> None:
    raise AssertionError("nobody should have come this far")


def ended(call: Call) -> tuple[str, str]:
    """How a call ended, the detail behind the reason; it is let go."""
    status, reason = call.ending()
    detail = call.detail()
    call.release()
    return status, f"{reason} [{detail}]" if detail else reason


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is only late is waited for, and no other one asked meanwhile."""
    monkeypatch.setattr(limits, "HOST_DELAY_SECONDS", NEVER)


def clean(text: str) -> bool:
    """Whether a reason, or a log, is made for people, and holds nothing that is a credential."""
    odd = ("fault in the engine", "Error(", "Traceback", "object at", "('", "<class", SECRET)
    return not any(words in text for words in odd)


# ---- Hosts in turn ----


def test_the_next_host_is_tried(engine: Engine) -> None:
    with Service(brief) as service:
        settings = service.settings(base_url=f"http://127.0.0.1:1,{service.url}")
        assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED"
        assert "trying the next host" in engine.text()


def test_a_host_that_hangs_leaves_time_for_the_next(engine: Engine) -> None:
    async def silent(agent: Conversation) -> None:
        await agent.next()
        await agent.closed()

    with Service(silent) as first, Service(brief) as second:
        settings = first.settings(base_url=f"{first.url},{second.url}", connect_timeout="4")
        assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED"
        first.outcome()


@pytest.mark.usefixtures("in_turn")
def test_each_attempt_has_its_own_reason(engine: Engine) -> None:
    """What the first host reported is not why the second one ends."""

    async def complain(agent: Conversation) -> None:
        await agent.next()
        await agent.send(type="client_error", message="the first is out of order", code=1011)
        await agent.connection.close(1011)

    async def close(agent: Conversation) -> None:
        await agent.next()
        await agent.connection.close(1011)

    with Service(complain) as first, Service(close) as second:
        settings = first.settings(base_url=f"{first.url},{second.url}", connect_attempts="1")
        status, reason = ended(engine.call(settings=settings))
        assert "out of order" in engine.text()
        assert "out of order" not in reason, (status, reason)


def test_no_host_can_be_had(engine: Engine) -> None:
    call = engine.call(settings={"base_url": "http://127.0.0.1:1,http://127.0.0.1:2"})
    status, reason = ended(call)
    assert (status, "127.0.0.1:2" in reason) == ("UNREACHABLE", True), reason


def test_connect_timeout_bounds_all_hosts(engine: Engine) -> None:
    async def silent(agent: Conversation) -> None:
        await agent.next()
        await agent.closed()

    with Service(silent) as first, Service(silent) as second:
        settings = first.settings(base_url=f"{first.url},{second.url}", connect_timeout="3")
        status, reason = ended(engine.call(settings=settings))
        assert (status, "connect_timeout (3 s)" in reason) == ("TIMEOUT", True), reason
        assert str(first.port) in reason
        assert str(second.port) in reason


@pytest.mark.usefixtures("in_turn")
def test_a_host_that_says_no_has_the_last_word(engine: Engine) -> None:
    with Service(nobody) as first, Service(nobody) as second:
        first.answers.append((401, b"", {}))
        settings = first.settings(base_url=f"{first.url},{second.url}")
        assert ended(engine.call(settings=settings))[0] == "AUTH"
        assert not second.requests


@pytest.mark.usefixtures("in_turn")
def test_a_host_without_room_is_passed_over(engine: Engine) -> None:
    """At first because it says so, then without asking."""
    with Service(nobody) as first, Service(brief) as second:
        first.answers.append((429, b"", {}))
        settings = first.settings(base_url=f"{first.url},{second.url}")
        for _ in range(2):
            assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED"
        assert len(first.requests) == 1


# ---- A dead host ----


@pytest.mark.parametrize("auth", ["signed_url", "none"])
def test_a_dead_host_is_learned_by_all(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, auth: str
) -> None:
    """S4: the first call goes on after a moment, no other limit being near; others ask it last."""
    monkeypatch.setattr(limits, "ADDRESS_SECONDS", 1000.0)

    with Deaf("127.0.0.2") as deaf, Service(brief) as service:
        hosts = f"http://127.0.0.2:{deaf.port},{service.url}"
        settings = service.settings(base_url=hosts, connect_timeout="60", auth=auth)
        assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED"
        deaf.hears()
        monkeypatch.setattr(limits, "HOST_DELAY_SECONDS", NEVER)
        for agent in ("agent_x", "another"):
            call = engine.call(settings=settings | {"agent_id": agent})
            assert ended(call)[0] == "AGENT_ENDED"
        assert deaf.hears() == 0, "it was asked again"


def test_a_dead_host_is_forgotten(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """S4: after a while it is the first one again."""
    monkeypatch.setattr(limits, "DEAD_SECONDS", 0.0)

    with Deaf("127.0.0.2") as deaf, Service(brief) as service:
        hosts = f"http://127.0.0.2:{deaf.port},{service.url}"
        settings = service.settings(base_url=hosts, auth="none")
        assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED"
        deaf.hears()
        ended(engine.call(settings=settings | {"connect_timeout": "1"}))
        assert deaf.hears()


@pytest.mark.usefixtures("in_turn")
@pytest.mark.parametrize("how", ["silent", "refused", "http 500"])
def test_whatever_makes_a_host_useless_is_learned(engine: Engine, how: str) -> None:
    """S4: also if it connects."""

    async def silent(agent: Conversation) -> None:
        await agent.next()
        await agent.closed()

    with Service(silent) as first, Service(brief) as second:
        if how == "http 500":
            first.answers.append((500, b"", {}))
        first_url = "http://127.0.0.1:1" if how == "refused" else first.url
        settings = first.settings(base_url=f"{first_url},{second.url}", connect_timeout="4")
        for _ in range(3):
            assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED"
        assert engine.text().count("trying the next host") <= 1
        assert first.signed() <= 1


@pytest.mark.usefixtures("in_turn")
def test_a_host_that_answers_stays_the_first_one(engine: Engine) -> None:
    """S4: the operator's order holds; nobody even connects to the other."""
    with Service(brief) as first, Service(brief) as second:
        settings = first.settings(base_url=f"{first.url},{second.url}", auth="none")
        for _ in range(3):
            assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED"
        assert (len(first.conversations), second.accepted) == (3, 0)


def test_hosts_that_are_all_dead_are_tried_all_the_same(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S4: nobody is left out for what another call has found out."""
    with Service(brief) as service:
        hosts = f"http://127.0.0.1:1,{service.url}"
        monkeypatch.setattr(connecting, "_way", lambda host: "all")
        for _ in range(2):
            settings = service.settings(base_url=hosts, auth="none")
            assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED"


# ---- Faults on the way ----

HOSTS = [
    "https://api..x",
    f"https://{'a' * 64}.example",
    "https://.example",
    "https://[fe80::1%25nowhere]:1",
    "http://[fe80::1%25]:1",
    "http://a b:1",
    "http://127.0.0.1:1",
    "https://no-such-host.invalid",
]
WRONG = ["https://[::1", "gopher://x", "http://", "https://h:65536", "https://[nonsense]"]
"""No addresses of a service at all: the operator is told to correct them."""


@pytest.mark.parametrize("auth", ["signed_url", "none"])
def test_a_host_that_cannot_be(engine: Engine, auth: str) -> None:
    """S12: alone it tells what is wrong with it; of several it is passed over."""
    hosts = HOSTS + WRONG
    alone = {h: engine.call(settings={"base_url": h, "auth": auth}) for h in hosts}
    for host, call in alone.items():
        status, reason = ended(call)
        assert status == ("ERROR" if host in WRONG else "UNREACHABLE"), (host, reason)
        assert "base_url" in reason or "cannot connect" in reason, (host, reason)
        assert clean(reason), reason
    with Service(brief) as service:
        for host in hosts:
            settings = service.settings(base_url=f"{host},{service.url}", auth=auth)
            assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED", host
    assert clean(engine.text()), engine.text()


URLS = [
    "{ws}[::1/v1?conversation_signature={secret}",
    "{ws}api..x/v1?conversation_signature={secret}",
    "{ws}{label}/v1?conversation_signature={secret}",
    "{ws}127.0.0.1:99999/v1?conversation_signature={secret}",
    "{ws}user@127.0.0.1:1/v1?conversation_signature={secret}",
    "{ws}{here}/v1?conversation_signature={secret}#fragment",
    "{ws}user@{here}/v1?conversation_signature={secret}",
    "{ws}/v1?conversation_signature={secret}",
    "{ws}{here}\\@x/v1?conversation_signature={secret}",
    "{ws}{here}/v1?conversation_signature={secret}\n",
    "{ws}{here}/v1?conversation_signature={secret} \u00e4",
    "{ws}{here}:0/v1?conversation_signature={secret}",
    "{ws}127.0.0.1:0/v1?conversation_signature={secret}",
    "{ws}%31/v1?conversation_signature={secret}",
    "{ws}[::1%25a b]:1/v1?conversation_signature={secret}",
    "{ws}{here}/v1?conversation_signature={secret}" + "x" * limits.URL_CHARACTERS,
]


def test_a_signed_url_that_cannot_be(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """S12, K6: the host that gave it is passed over, and nobody reads the URL in a reason or a log.

    Nor is anything of it left: the connection that was opened meanwhile is closed.
    """
    monkeypatch.setattr(limits, "DEAD_SECONDS", 0.0)
    with Service(brief) as first, Service(brief) as second:
        here = first.url.removeprefix("http://")
        for url in URLS:
            filled = url.format(ws="ws://", label="a" * 64, secret=SECRET, here=here)
            first.answers += [(200, json.dumps({"signed_url": filled}).encode(), {})] * 2
            status, reason = ended(engine.call(settings=first.settings()))
            assert (status, clean(reason)) == ("UNREACHABLE", True), (url, reason)
            settings = first.settings(base_url=f"{first.url},{second.url}")
            assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED", url
            first.answers.clear()
        until(lambda: first.lost == first.accepted)
        before = descriptors()
        for url in URLS * 3:
            filled = url.format(ws="ws://", label="a" * 64, secret=SECRET, here=here)
            first.answers += [(200, json.dumps({"signed_url": filled}).encode(), {})]
            assert ended(engine.call(settings=first.settings()))[0] == "UNREACHABLE"
        until(lambda: first.lost == first.accepted)
        until(lambda: descriptors() <= before)
    assert clean(engine.text()), engine.text()


DIGITS = b"9" * 5000
BODIES = [
    b"Content-Length: %s\r\n\r\n{" % DIGITS,
    b"Content-Length: %s\r\n\r\n{" % DIGITS[:20],
    b"Content-Length: -1\r\n\r\n{",
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n%s\r\n{" % DIGITS,
    b"Transfer-Encoding: gzip\r\n\r\n{",
    b"%s\r\n" % (b"A: b\r\n" * 200),
]


@pytest.mark.parametrize("auth", ["signed_url", "none"])
def test_an_answer_that_is_none(engine: Engine, monkeypatch: pytest.MonkeyPatch, auth: str) -> None:
    """S12: of the request or of the upgrade, on a connection that stays open."""
    monkeypatch.setattr(limits, "ANSWER_PART_SECONDS", 0.05 * SECOND)
    monkeypatch.setattr(limits, "CLOSE_SECONDS", 0.05 * SECOND)
    monkeypatch.setattr(limits, "DEAD_SECONDS", 0.0)
    answer = b""

    def script(service: Connection) -> None:
        service.sock.settimeout(0.1 * SECOND)  # one that is opened ahead says nothing yet
        if service.sock.recv(65_536):
            service.sock.sendall(answer)
            service.drained()

    with RawService(script) as first, Service(brief) as second:
        for code, body in itertools.product((101, 200, 401), BODIES):
            answer = b"HTTP/1.1 %d What\r\n" % code + body
            call = engine.call(settings={"base_url": first.url, "auth": auth})
            status, reason = ended(call)
            assert status in ("UNREACHABLE", "ERROR", "AUTH"), (answer, reason)
            assert clean(reason), (answer, reason)
            if status != "AUTH":
                settings = second.settings(base_url=f"{first.url},{second.url}", auth=auth)
                assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED", answer
    assert clean(engine.text()), engine.text()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 900 + b"]" * 900,
        b'{"detail":[{"loc":5}]}',
        b'{"detail":{"message":{"a":{}}}}',
        b"\x00",
    ],
)
@pytest.mark.parametrize("code", [200, 422, 500])
def test_an_answer_that_nobody_expects(engine: Engine, code: int, body: bytes) -> None:
    """S12: JSON of any shape."""
    with Service(brief) as service:
        service.answers.append((code, body, {}))
        status, reason = ended(engine.call(settings=service.settings()))
        assert status == {200: "ERROR", 422: "REJECTED", 500: "UNREACHABLE"}[code]
        assert clean(reason), reason
    assert clean(engine.text())


@pytest.mark.parametrize("key", [f"sk_{SECRET}\u2026", f"sk_{SECRET}\u00e4", f"sk\r\nX: {SECRET}"])
def test_a_key_that_cannot_be_sent(engine: Engine, key: str) -> None:
    """S12: nobody is asked, and nobody reads it."""
    with Service(brief) as service:
        status, reason = ended(engine.call(settings=service.settings(api_key=key)))
        assert (status, clean(reason), len(service.requests)) == ("AUTH", True, 0), reason
    assert clean(engine.text())


def test_a_fault_that_nobody_foresaw(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """S12: its text is told to nobody; where it was is in the log."""

    async def slip(stream: Stream, *_: object) -> None:
        stream.close()
        raise ZeroDivisionError(f"wss://x?conversation_signature={SECRET}")

    upgrade = connecting.upgrade
    monkeypatch.setattr(connecting, "upgrade", slip)
    with Service(brief) as service:
        for auth in ("signed_url", "none"):
            status, reason = ended(engine.call(settings=service.settings(auth=auth)))
            host = service.url.removeprefix("http://")
            assert (status, reason) == (
                "UNREACHABLE",
                f"{host} cannot be reached (ZeroDivisionError)",
            )
        assert "a fault on the way to 127.0.0.1" in engine.text()
        assert "slip" in engine.text()
        monkeypatch.setattr(connecting, "upgrade", upgrade)
        assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
    assert clean(engine.text())
