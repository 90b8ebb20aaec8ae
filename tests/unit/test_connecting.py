"""From a call to a conversation: URLs fetched ahead, and services that want rest."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from websockets.http11 import Request

from pyconvai import limits
from pyconvai.limits import (
    BACKOFF_FIRST_SECONDS,
    BACKOFF_JITTER_SHARE,
    BACKOFF_LONGEST_SECONDS,
)
from pyconvai.secret import Secret
from pyconvai.service import connecting, signed_urls
from pyconvai.service.backoff import BackOff, retry_after
from pyconvai.service.endings import Ending, Status
from pyconvai.service.settings import Settings
from pyconvai.service.signed_urls import SignedUrls
from tests.timing import EVENT, SECOND
from tests.unit.engine import ENDED, Call, Engine
from tests.unit.service import Conversation, Service


async def brief(agent: Conversation) -> None:
    """A conversation that comes up and ends."""
    await agent.next()
    await agent.metadata()
    await agent.connection.close(1000)


def ended(call: Call) -> tuple[str, str]:
    """How a call ended, the detail behind the reason; it is let go."""
    status, reason = call.ending()
    detail = call.detail()
    call.release()
    return status, f"{reason} [{detail}]" if detail else reason


def handshakes(service: Service) -> int:
    return len(service.requests) - service.signed()


# ---- Signed URLs ----


class Ahead:
    """How many URLs are being fetched ahead, in whatever engine."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.under_way = 0

    def count(self, step: int) -> None:
        with self.changed:
            self.under_way += step
            self.changed.notify_all()


AHEAD = Ahead()


@pytest.fixture(autouse=True)
def fetched_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine tell when it has what it has asked for: nobody else waits for that."""
    fetch_ahead = SignedUrls._fetch_ahead

    async def counted(*arguments: Any) -> None:
        AHEAD.count(1)
        try:
            await fetch_ahead(*arguments)
        finally:
            AHEAD.count(-1)

    monkeypatch.setattr(SignedUrls, "_fetch_ahead", counted)


def kept(service: Service, count: int) -> None:
    """Wait until the engine has what it has asked for: its answer is one step behind."""
    service.wait_signed(count)
    with AHEAD.changed:
        assert AHEAD.changed.wait_for(lambda: AHEAD.under_way == 0, EVENT)


def test_the_second_call_asks_for_nothing(engine: Engine) -> None:
    """Its URL is there already, and the next one is fetched when it is through."""
    with Service(brief) as service:
        assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
        kept(service, 2)
        before = len(service.requests)
        assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
        assert "signed" not in service.requests[before].path.partition("?")[0]
        kept(service, 3)
        assert (service.signed(), handshakes(service)) == (3, 2)


def test_each_agent_and_each_key_has_urls_of_its_own(engine: Engine) -> None:
    with Service(brief) as service:
        assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
        kept(service, 2)
        for other in ({"agent_id": "other"}, {"api_key": "other"}):
            before = len(service.requests)
            assert ended(engine.call(settings=service.settings(**other)))[0] == "AGENT_ENDED"
            assert "signed" in service.requests[before].path.partition("?")[0]


def test_a_url_that_is_refused_is_fetched_afresh(engine: Engine) -> None:
    """Within the same attempt: the caller does not notice."""

    async def script(agent: Conversation) -> None:
        if len(service.conversations) == 2:
            await agent.connection.close(3000, "Could not authorize the conversation.")
            return
        await brief(agent)

    with Service(script) as service:
        assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
        kept(service, 2)
        assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
        kept(service, 4)
        assert (service.signed(), handshakes(service)) == (4, 3)


def test_a_fresh_url_that_is_refused_is_the_end(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.connection.close(3000, "Could not authorize the conversation.")

    with Service(script) as service:
        assert ended(engine.call(settings=service.settings()))[0] == "AUTH"
        assert (service.signed(), handshakes(service)) == (1, 1)


def test_an_old_url_is_not_used(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SIGNED_URL_LIFE_SECONDS", 0.0)
    with Service(brief) as service:
        for _ in range(2):
            before = len(service.requests)
            assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
            assert "signed" in service.requests[before].path.partition("?")[0]
            kept(service, 2)


def test_a_failure_in_the_background_is_nobodys(engine: Engine) -> None:
    """The call that comes next asks for itself and is told why."""
    refusal = (401, b'{"detail":{"status":"invalid_api_key","message":"Invalid"}}', {})
    good = b'{"signed_url": "%s/v1/convai/conversation?agent_id=x"}'
    with Service(brief) as service:
        url = good % service.url.replace("http", "ws").encode()
        service.answers += [(200, url, {}), refusal, refusal]
        assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
        kept(service, 2)
        assert ended(engine.call(settings=service.settings()))[0] == "AUTH"


def test_the_command_that_tests_an_agent_asks(engine: Engine) -> None:
    """It is to say whether the key is good now."""
    with Service(brief) as service:
        assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
        kept(service, 2)
        before = len(service.requests)
        call = engine.call(settings=service.settings(), channel=connecting.TEST_CHANNEL)
        assert ended(call)[0] == "AGENT_ENDED"
        assert "signed" in service.requests[before].path.partition("?")[0]


def test_what_is_kept_is_used_once_and_dropped_when_the_key_is_refused() -> None:
    urls, agent = SignedUrls(lambda: 100.0), Settings("agent_x", api_key=Secret("key"))
    key = signed_urls._key(agent)
    url = Secret("wss://x")
    urls._kept[key] = (50.0, url)
    assert urls.take(agent) is url
    assert urls.take(agent) is None
    urls._kept[key] = (50.0, url)
    urls.forget(agent)
    assert urls.take(agent) is None


# ---- What is opened meanwhile ----


def wait_lost(service: Service, count: int) -> None:
    """Wait until so many connections have come and gone, and none is left."""
    until = time.monotonic() + EVENT
    while service.accepted < count or service.lost < service.accepted:
        assert time.monotonic() < until, (service.accepted, service.lost)
        time.sleep(0.005)


def test_the_connection_is_opened_while_the_url_is_on_its_way(engine: Engine) -> None:
    """The first answer comes only once there is a second connection, which is the one used."""

    async def hold(_: Request) -> None:
        await service.connections_are(2)

    with Service(brief) as service:
        service.hold = hold
        assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
        kept(service, 2)
        wait_lost(service, 3)
        assert service.accepted == 3


def test_a_url_that_leads_elsewhere(engine: Engine) -> None:
    with Service(brief) as service, Service(brief) as asked:
        url = f"{service.url.replace('http', 'ws')}/v1/convai/conversation?agent_id=x"
        asked.answers.append((200, json.dumps({"signed_url": url}).encode(), {}))
        assert ended(engine.call(settings=asked.settings()))[0] == "AGENT_ENDED"
        assert (handshakes(service), handshakes(asked)) == (1, 0)
        kept(asked, 2)
        wait_lost(asked, 3)


def test_a_url_that_is_refused_leaves_no_connection(engine: Engine) -> None:
    async def hold(_: Request) -> None:
        await service.connections_are(2)

    with Service(brief) as service:
        service.hold = hold
        service.answers.append((401, b"{}", {}))
        assert ended(engine.call(settings=service.settings()))[0] == "AUTH"
        wait_lost(service, 2)


def test_a_connection_that_did_not_last_is_opened_again(engine: Engine) -> None:
    """Some servers close what says nothing."""

    async def hold(_: Request) -> None:
        if service.signed() == 1:
            await service.connections_are(2)
            service.connections[1].transport.abort()
            await service.connections_are(2, lost=1)

    with Service(brief) as service:
        service.hold = hold
        assert ended(engine.call(settings=service.settings()))[0] == "AGENT_ENDED"
        kept(service, 2)
        wait_lost(service, 4)


def test_urls_are_not_logged(engine: Engine) -> None:
    with Service(brief) as service:
        for count in (2, 3):
            call = engine.call(settings=service.settings(debug="yes"))
            assert ended(call)[0] == "AGENT_ENDED"
            kept(service, count)
    assert "signature" not in engine.text()


# ---- Back-off ----


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


BUSY = Ending(Status.LIMIT, "the service is full")
AGENT = Settings("agent_x", api_key=Secret("key"))


def test_it_grows_and_is_capped_and_jittered() -> None:
    for chance, factor in (
        (0.0, 1 - BACKOFF_JITTER_SHARE),
        (1.0, 1 + BACKOFF_JITTER_SHARE),
    ):
        clock = Clock()
        back_off = BackOff(clock, lambda chance=chance: chance)  # type: ignore[misc]
        for count in range(8):
            back_off.refused(AGENT, clock.now, BUSY, None)
            wait = min(BACKOFF_FIRST_SECONDS * 2**count, BACKOFF_LONGEST_SECONDS) * factor
            clock.now += wait - 0.01
            refusal = back_off.refusal(AGENT)
            assert refusal is not None
            assert refusal.status is Status.LIMIT
            assert "another 1 s" in refusal.reason
            assert "the service is full" in refusal.reason
            clock.now += 0.02
            assert back_off.refusal(AGENT) is None


def test_attempts_that_were_under_way_together_are_one_refusal() -> None:
    clock = Clock()
    back_off = BackOff(clock, lambda: 0.5)
    began, clock.now = clock.now, clock.now + 1
    for _ in range(10):
        back_off.refused(AGENT, began, BUSY, None)
    clock.now += BACKOFF_FIRST_SECONDS + 0.1
    assert back_off.refusal(AGENT) is None


def test_retry_after_is_honoured_and_bounded() -> None:
    clock = Clock()
    back_off = BackOff(clock, lambda: 0.0)
    back_off.refused(AGENT, clock.now, BUSY, 120.0)
    clock.now += 119.0
    assert back_off.refusal(AGENT) is not None
    clock.now += 2.0
    assert back_off.refusal(AGENT) is None
    back_off.refused(AGENT, clock.now, BUSY, 1e9)
    clock.now += 301.0
    assert back_off.refusal(AGENT) is None


def test_a_success_ends_it_and_others_never_knew() -> None:
    clock = Clock()
    back_off = BackOff(clock, lambda: 0.5)
    back_off.refused(AGENT, clock.now, BUSY, None)
    for other in (
        Settings("agent_y", api_key=Secret("key")),
        Settings("agent_x", api_key=Secret("key2")),
        Settings("agent_x", api_key=Secret("key"), base_url="https://elsewhere"),
    ):
        assert back_off.refusal(other) is None
    back_off.succeeded(AGENT)
    assert back_off.refusal(AGENT) is None


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [("7", 7, 7), ("0", None, None), ("soon", None, None), (None, None, None), ("-3", None, None),
     ("nan", None, None), ("Wed, 01 Jan 2025 00:00:00 GMT", None, None),
     ("Fri, 01 Jan 2100 00:00:00 GMT", 1e8, 1e10)],
)  # fmt: skip
def test_retry_after_header(value: str | None, low: float | None, high: float | None) -> None:
    seconds = retry_after(value)
    if low is None or high is None:
        assert seconds is None
    else:
        assert seconds is not None
        assert low <= seconds <= high


def test_a_service_that_is_full_is_left_alone(engine: Engine) -> None:
    """The second call is refused without a request, and told for how long; others may go on."""
    with Service(brief) as service:
        body = b'{"detail":{"code":"rate_limit_exceeded","message":"Too many requests"}}'
        service.answers.append((429, body, {"Retry-After": "50"}))
        assert ended(engine.call(settings=service.settings()))[0] == "LIMIT"
        status, reason = ended(engine.call(settings=service.settings()))
        assert status == "LIMIT"
        assert any(f"another {seconds} s" in reason for seconds in range(45, 64)), reason
        assert "Too many requests" in reason
        assert len(service.requests) == 1
        other = engine.call(settings=service.settings(agent_id="other"))
        assert ended(other)[0] == "AGENT_ENDED"


@pytest.mark.parametrize(
    ("code", "words", "again"),
    [
        (3008, "too many concurrent connections", 1),
        (4300, "", 1),
        (1002, "(too_many_concurrent_requests)", 1),
        (1002, "quota", 2),
    ],
)
def test_a_close_for_want_of_room(engine: Engine, code: int, words: str, again: int) -> None:
    """S3: of a quota nothing is known to pass soon: each call is told by the service itself."""

    async def script(agent: Conversation) -> None:
        await agent.connection.close(code, words)

    with Service(script) as service:
        settings = service.settings(auth="none")
        for _ in range(2):
            assert ended(engine.call(settings=settings))[0] == "LIMIT"
        assert len(service.requests) == again


def test_a_crash_is_tried_again_and_closes_nobody(engine: Engine) -> None:
    """S3: whatever its words; the next call is not refused unasked."""

    async def script(agent: Conversation) -> None:
        if len(service.conversations) < 4:
            await agent.connection.close(1011, "concurrent.futures: too many concurrent requests")
            return
        await brief(agent)

    with Service(script) as service:
        settings = service.settings(auth="none", connect_attempts="2")
        assert ended(engine.call(settings=settings))[0] == "ERROR"
        assert ended(engine.call(settings=settings))[0] == "AGENT_ENDED"
        assert len(service.conversations) == 4


# ---- A service that says nothing ----


def test_a_service_that_only_answers_pings_is_there(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S6: whatever comes is a sign of life, control frames included."""
    monkeypatch.setattr(limits, "KEEPALIVE_SECONDS", 0.1 * SECOND)
    monkeypatch.setattr(limits, "SILENT_LOOKS", 20)  # for all but two of them it may be late

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await asyncio.sleep(1.5 * limits.SILENT_LOOKS * limits.KEEPALIVE_SECONDS)
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert Status(call.wait(ENDED).status) is Status.AGENT_ENDED


def test_a_service_that_falls_silent(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing comes any more, not even the answer to a ping."""
    monkeypatch.setattr(limits, "KEEPALIVE_SECONDS", 0.3 * SECOND)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        agent.connection.transport.pause_reading()
        await told.wait()
        agent.connection.transport.abort()

    told = asyncio.Event()
    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert Status(call.wait(ENDED).status) is Status.ERROR
        service.tell(told)
        assert "keepalive ping timeout: nothing came for" in ended(call)[1]
