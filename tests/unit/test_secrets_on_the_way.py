"""What goes wrong on the way to a conversation shows neither key nor signed URL, to nobody.

Not in a reason, not in an exception's text or arguments, and not in a traceback that has all that
each function of the engine had.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from traceback import TracebackException

import pytest

from pyconvai import limits
from pyconvai.secret import Secret
from pyconvai.service import signed_urls, upgrading
from pyconvai.service.endings import SetupFailed, Status
from pyconvai.service.endpoint import Endpoint
from pyconvai.service.net import Network
from pyconvai.service.settings import Settings
from pyconvai.service.signed_urls import SignedUrls
from pyconvai.service.upgrading import upgrade
from tests.timing import SECOND
from tests.unit.peer import Connection, RawService

HUSH = "0123456789abcdef"
"""In the key and in the signature."""

KEY = Secret(f"sk_{HUSH}")
CLOSE = b"close"
PATH = f"/v1/convai/conversation?agent_id=x&conversation_signature=cvtkn_{HUSH}"


def chain(fault: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that it has come from, also where Python would not show them."""
    while fault is not None:
        yield fault
        fault = fault.__cause__ or fault.__context__


def shown(fault: BaseException) -> str:
    """All that a report of this fault may show; of the frames, those of the engine."""
    text = ""
    for each in chain(fault):
        trace = TracebackException.from_exception(each, capture_locals=True)
        trace.stack[:] = [frame for frame in trace.stack if "/pyconvai/" in frame.filename]
        text += "".join(trace.format(chain=False)) + repr(each.args)
    return text


async def fetch(network: Network, url: str) -> None:
    await SignedUrls().fetch(network, Settings("agent_x", base_url=url, api_key=KEY))


async def converse(network: Network, url: str) -> None:
    signed = Secret(url.replace("http", "ws") + PATH)
    stream = await network.open(Endpoint.of(url), None)
    await upgrade(stream, signed, network.ticker)


def fails(act: Callable[[Network, str], Awaitable[None]], answer: bytes) -> str:
    """What is shown where the service answers so and closes, or says no more."""

    async def run(url: str) -> str:
        network = Network()
        try:
            async with asyncio.timeout(0.3 * SECOND):
                await act(network, url)
        except Exception as fault:
            return shown(fault) + repr(asyncio.all_tasks())
        finally:
            network.close()
        raise AssertionError("nothing failed")

    def script(service: Connection) -> None:
        heard = service.sock.recv(65_536)
        assert HUSH.encode() in heard
        service.sock.sendall(answer)
        if answer != CLOSE:
            service.drained()

    with ExitStack() as stack:
        service = stack.enter_context(RawService(script))
        return asyncio.run(run(service.url))


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
URL = json.dumps({"signed_url": f"ws://user:{HUSH}@[/"}).encode()
FAULTS = {
    "nothing": (fetch, b""),
    "a part": (fetch, LENGTH % (999, URL)),
    "no JSON": (fetch, LENGTH % (len(URL), URL[:-1] + b"]")),
    "leads nowhere": (fetch, LENGTH % (len(URL), URL)),
    "refused": (fetch, b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}"),
    "no HTTP": (fetch, CLOSE),
    "no upgrade": (converse, b""),
    "upgrade refused": (converse, b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}"),
    "no WebSocket": (converse, CLOSE),
}


@pytest.mark.parametrize(("act", "answer"), FAULTS.values(), ids=FAULTS)
def test_no_fault_shows_any(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[Network, str], Awaitable[None]], answer: bytes
) -> None:
    """K6, K7: whatever fails."""
    monkeypatch.setattr(limits, "ANSWER_PART_SECONDS", 10.0)
    text = fails(act, answer)
    assert "pyconvai" in text
    assert HUSH not in text, text


def test_nobody_keeps_the_url_for_the_conversation() -> None:
    """K6: the library has had it, for the request alone."""
    protocol, request = upgrading._ask(Endpoint.of(f"wss://api.example.com{PATH}"))
    assert request.startswith(f"GET {PATH} HTTP/1.1\r\n".encode())
    assert HUSH not in repr(vars(protocol))


@pytest.mark.parametrize(
    "settings",
    [
        Settings("x", base_url="https://api.example.com"),
        Settings("x", base_url="https://a.example.com", signed_url_endpoint="http://h/sign"),
        Settings("x", base_url="http://a.example.com", signed_url_endpoint="https://h/sign"),
    ],
)
def test_a_call_in_the_clear_behind_https(settings: Settings) -> None:
    """K4: whichever of the addresses before it was encrypted."""
    clear, good = Secret(f"ws://h{PATH}"), Secret(f"wss://h{PATH}")
    assert signed_urls._checked(good, settings) is good
    with pytest.raises(SetupFailed, match="is not encrypted") as caught:
        signed_urls._checked(clear, settings)
    assert caught.value.ending.status is Status.ERROR
    assert HUSH not in shown(caught.value)


def test_a_call_in_the_clear_where_nothing_was_encrypted() -> None:
    """K4: a mock, a proxy of one's own."""
    clear = Secret(f"ws://h{PATH}")
    for endpoint in ("", "/sign?for=https://h", "http://h/sign"):
        settings = Settings("x", base_url="http://h", signed_url_endpoint=endpoint)
        assert signed_urls._checked(clear, settings) is clear
