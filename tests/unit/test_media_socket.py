"""The media socket against a peer that does what peers do, plain and TLS: every byte is compared.

Both ends take turns (``peer.Line``): each test decides when the peer reads, writes and breaks off.
"""

from __future__ import annotations

import gc
import operator
import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyconvai.core._core import MediaSocket, Ticker
from tests.timing import MS, only_in_full
from tests.unit.peer import Certificates, Line, OpenSSL

KINDS = ["plain", "TLSv1_2", "TLSv1_3"]
TLS = KINDS[1:]
SIZES = [1, 2, 5, 250, 1600, 16_383, 16_384, 16_385, 50_000]
SMALL_BUFFER = 8192
"""Of the kernel's, in bytes: a connection that is soon full."""

Joined = Callable[..., Line]


@pytest.fixture
def joined(certificates: Certificates) -> Iterator[Joined]:
    """Makes lines of a kind."""
    lines: list[Line] = []

    def join(
        kind: str, family: socket.AddressFamily = socket.AF_INET, buffer_bytes: int = 0
    ) -> Line:
        plain = kind == "plain"
        lines.append(
            Line(
                None if plain else certificates,
                version="" if plain else kind,
                family=family,
                buffer_bytes=buffer_bytes,
            )
        )
        return lines[-1]

    yield join
    for line in lines:
        line.__exit__()
        assert not line.faults


# ---- Bytes ----


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("kind", KINDS)
def test_records_of_every_size(joined: Joined, kind: str, family: socket.AddressFamily) -> None:
    line = joined(kind, family)
    up, down = bytearray(), bytearray()
    for size in SIZES:
        up += (said := os.urandom(size))
        line.socket.send(said)
        down += (heard := os.urandom(size))
        line.peer.send(heard)
        line.turn()
    line.until(lambda: len(line.peer.got) >= len(up) and len(line.came) >= len(down))
    assert (line.peer.got, line.came) == (up, down)
    assert (line.socket.sent_bytes, line.socket.received_bytes) == (len(up), len(down))


@pytest.mark.parametrize("kind", KINDS)
def test_a_peer_that_reads_now_and_then(joined: Joined, kind: str) -> None:
    """It stops in mid-record, and goes on: nothing is lost, doubled or out of order."""
    line = joined(kind, buffer_bytes=SMALL_BUFFER)
    dice = random.Random(1)
    said = bytearray()
    stuck = 0
    while len(said) < 300_000:
        piece = dice.randbytes(dice.choice(SIZES))
        said += piece
        line.socket.send(piece)
        for _ in range(dice.choice([1, 2])):
            line.turn(dice.choice([0, 1, 700, 3000]))
        stuck = max(stuck, line.socket.backlog_bytes)
    assert stuck > 100_000, "the network was never full"
    line.until(lambda: len(line.peer.got) >= len(said), 20_000)
    assert line.peer.got == said
    assert line.socket.backlog_bytes == 0
    assert line.ends == []


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_while_the_network_is_full(joined: Joined, kind: str) -> None:
    """What comes is read while nothing can be written."""
    line = joined(kind, buffer_bytes=SMALL_BUFFER)
    said = os.urandom(200_000)
    line.socket.send(said)
    for _ in range(20):
        line.peer.send(b"y" * 1000)
        line.turn(0)
    line.until(lambda: len(line.came) == 20_000, 0)
    assert line.socket.backlog_bytes
    line.until(lambda: len(line.peer.got) >= len(said))
    assert line.peer.got == said


# ---- What TLS does by itself ----


def test_session_tickets_at_any_moment(joined: Joined) -> None:
    """TLS 1.3 sends two after the handshake; a server may send others whenever it likes."""
    line, openssl = joined("TLSv1_3"), OpenSSL()
    assert line.peer.tls is not None
    for number in range(20):
        openssl.new_ticket(line.peer.tls)
        if number % 2:
            openssl.new_ticket(line.peer.tls)
        line.peer.send(bytes([number]))
        line.socket.send(bytes([number]))
        line.turn()
    line.until(lambda: len(line.came) == 20 and len(line.peer.got) == 20)
    assert line.came == line.peer.got == bytes(range(20))


@pytest.mark.parametrize("full", [False, True])
def test_keys_change_in_mid_stream(joined: Joined, full: bool) -> None:
    """TLS 1.3: the peer changes its key, and asks for ours to be changed; also behind a backlog.

    There once: OpenSSL 3.0 itself gives up when a second one comes while a record is half written.
    """
    line, openssl = joined("TLSv1_3", buffer_bytes=SMALL_BUFFER), OpenSSL()
    assert line.peer.tls is not None
    said, heard = bytearray(), bytearray()
    for number in range(12):
        if not full or number == 7:
            openssl.update_keys(line.peer.tls, both=number % 3 != 0)
        heard += (piece := os.urandom(SIZES[number % len(SIZES)] % 20_000))
        line.peer.send(piece)
        said += (piece := os.urandom(5000))
        line.socket.send(piece)
        line.turn(0 if full and number < 8 else 10_000)
    line.until(lambda: len(line.came) >= len(heard) and len(line.peer.got) >= len(said))
    assert (line.came, line.peer.got) == (heard, said)
    assert line.ends == []


@pytest.mark.parametrize("full", [False, True])
def test_renegotiation_in_mid_stream(joined: Joined, full: bool) -> None:
    """TLS 1.2: writing has to wait for something to be read, until the new handshake is through."""
    line, openssl = joined("TLSv1_2", buffer_bytes=SMALL_BUFFER), OpenSSL()
    assert line.peer.tls is not None
    said = bytearray(os.urandom(50_000 if full else 500))
    line.socket.send(bytes(said))
    line.turn(0 if full else 10_000)
    openssl.renegotiate(line.peer.tls)
    for _ in range(10):
        said += (piece := os.urandom(700))
        line.socket.send(piece)
        line.turn(100)
    line.until(lambda: len(line.peer.got) >= len(said))
    line.peer.send(b"still here")
    line.until(lambda: len(line.came) == 10)
    assert line.peer.got == said
    assert line.ends == []


def test_a_read_that_gets_nowhere_does_not_keep_the_loop_busy() -> None:
    """Something is there, but TLS wants to write first: the tick asks again, not the loop."""
    reads = []

    class WantsToWrite(socket.socket):
        def recv_into(self, *_: object) -> int:
            reads.append(True)
            raise BlockingIOError

    near, far = socket.socketpair()
    stubborn = WantsToWrite(fileno=near.detach())
    ticker = Ticker()
    media = MediaSocket(Owner(), stubborn)
    ticker.add(media)
    far.send(b"x")
    assert not ticker.wait(50 * MS)
    assert 1 <= len(reads) <= 2, "once where it was quiet, once where it is from then on"
    media.close()
    far.close()
    ticker.close()


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_come_takes_one_round(joined: Joined, kind: str) -> None:
    """TLS gives one record a read: the loop is not woken for each."""
    line = joined(kind)
    for _ in range(10):
        line.peer.send(b"x" * 100)
    line.ticker.first_word()
    assert len(line.came) == 1000


# ---- The end ----


class Owner:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.came = bytearray()
        self.ends: list[OSError | None] = []

    def received(self, data: bytes) -> None:
        self.came += data

    def skipped(self, frame: bytes) -> None:
        raise AssertionError(frame)

    def lost(self, error: OSError | None) -> None:
        self.ends.append(error)

    def failed(self, fault: Exception) -> None:
        raise fault


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("polite", [True, False])
def test_a_peer_that_closes_its_sending_side(joined: Joined, kind: str, polite: bool) -> None:
    """With and without TLS's goodbye: what came before is handed on, and the end is told once."""
    line = joined(kind)
    line.peer.send(b"last words")
    if polite:
        line.peer.goodbye()
    else:
        line.peer.raw.shutdown(socket.SHUT_WR)
    line.until(lambda: bool(line.ends))
    line.turn()
    assert line.came == b"last words"
    assert line.ends == [None]
    line.socket.send(b"to nobody")
    assert line.sock.fileno() == -1


@pytest.mark.parametrize("kind", TLS)
@pytest.mark.parametrize("cut", [1, 5, 20, -1])
def test_a_stream_that_ends_within_a_record(joined: Joined, kind: str, cut: int) -> None:
    line = joined(kind)
    whole = line.peer.seal(b"heard") + line.peer.seal(b"never heard")[:cut]
    line.peer.inject(whole)
    line.peer.raw.close()
    line.until(lambda: bool(line.ends))
    assert line.came == b"heard"
    assert len(line.ends) == 1


@pytest.mark.parametrize("kind", TLS)
def test_an_alert_in_mid_stream(joined: Joined, kind: str) -> None:
    """What our bytes became on their way is not what we sent: the peer says so and gives up."""
    line = joined(kind)
    line.socket.send(b"x" * 100)
    raw = bytearray(line.peer.raw.recv(10_000))
    raw[-1] ^= 1
    line.peer._in_bio.write(raw)
    line.peer.decrypt()
    assert line.peer.alerts
    line.until(lambda: bool(line.ends))
    error = line.ends[0]
    assert error is not None
    assert "BAD_RECORD_MAC" in str(error).upper().replace(" ", "_")


@pytest.mark.parametrize("kind", TLS)
def test_bytes_that_are_no_record(joined: Joined, kind: str) -> None:
    """The end is told, and TLS tells the peer."""
    line = joined(kind)
    line.peer.inject(b"HTTP/1.1 500 Oops\r\n\r\n")
    line.until(lambda: bool(line.ends))
    assert line.ends[0] is not None
    line.until(lambda: bool(line.peer.alerts or line.peer.ended))
    assert line.peer.alerts


@pytest.mark.parametrize("kind", KINDS)
def test_last_words_are_heard_though_nothing_can_be_sent_any_more(
    joined: Joined, kind: str
) -> None:
    """The peer has said why, and has gone with our audio unread: writing fails before reading."""
    line = joined(kind)
    line.socket.send(b"audio")
    line.peer.send(b"the reason")
    line.peer.raw.close()  # with something unread: a reset
    for _ in range(3):
        line.socket.send(b"more audio")
    line.ticker.tick()
    line.ticker.first_word()
    line.ticker.tick()
    assert line.came == b"the reason"
    assert len(line.ends) == 1
    assert line.sock.fileno() == -1


@pytest.mark.parametrize("kind", TLS)
def test_we_say_goodbye(joined: Joined, kind: str) -> None:
    line = joined(kind)
    line.socket.send(b"bye")
    line.socket.close()
    peer = line.peer
    while not peer.ended:
        peer.pump()
    assert peer.got == b"bye"
    assert peer.alerts == []
    assert line.ends == []


@pytest.mark.parametrize("kind", KINDS)
def test_closing_waits_for_nothing(joined: Joined, kind: str) -> None:
    """Not for a network that takes nothing."""
    line = joined(kind, buffer_bytes=SMALL_BUFFER)
    line.socket.send(bytes(300_000))
    line.turn(0)
    line.socket.close()
    assert line.sock.fileno() == -1
    line.socket.send(b"to nobody")
    line.turn()
    assert line.ends == []


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_is_told_may_close(joined: Joined, kind: str) -> None:
    """In the middle of what has come: the rest goes nowhere."""
    line = joined(kind)
    line.on_data = lambda _data: line.socket.close()
    line.peer.send(b"x" * 16_384)
    line.peer.send(b"y" * 16_384)
    line.until(lambda: line.sock.fileno() == -1)
    line.turn()
    assert b"y" not in line.came
    assert line.ends == []


def test_a_fault_of_one_is_not_the_others(joined: Joined) -> None:
    """S9: the owner that raises is told, and the others read on."""
    line, bystander = joined("plain"), Owner()
    near, far = socket.socketpair()
    other = MediaSocket(bystander, near)
    other.bypass()
    line.ticker.add(other)

    def slip(_data: bytes) -> None:
        raise ZeroDivisionError

    line.on_data = slip
    for _ in range(3):
        line.peer.send(b"x")
        far.send(b"x")
        line.turn()
    line.until(lambda: len(line.faults) == 3 and bystander.came == b"xxx")
    line.faults.clear()
    other.close()
    far.close()


# ---- Nothing is left ----


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "count", [20, pytest.param(200, marks=only_in_full("200 TLS handshakes, twice"))]
)
def test_nothing_grows(certificates: Certificates, count: int) -> None:
    """Connections that were opened and closed leave no descriptor and no object."""
    with Line(certificates, version="TLSv1_3"):
        pass
    gc.collect()
    before = media_sockets(), descriptors()
    for _ in range(count):
        with Line(certificates, version="TLSv1_3") as line:
            line.peer.send(b"x" * 100)
            came = line.came
            line.until(lambda came=came: bool(came))  # type: ignore[misc]
    del line, came
    assert all(map(operator.le, (media_sockets(), descriptors()), before))


def media_sockets() -> int:
    gc.collect()
    return sum(type(each) is MediaSocket for each in gc.get_objects())
