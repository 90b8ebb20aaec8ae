"""The receiver of ForkStream's packets: WAV files, and what was lost."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.timing import EVENT
from tests.unit.peer import Certificates, until

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "app_forkstream"))

import receive  # noqa: E402

STREAM = 0x0123456789ABCDEF
NAME = "0123456789abcdef"
LIMIT = EVENT


def packet(kind: int, payload: bytes, direction: int = 0, sequence: int = 0, time: int = 0,
           codec: int = 3, flags: int = 0) -> bytes:  # fmt: skip
    head = receive.HEADER.pack(
        b"FkSt", 1, kind, direction, codec, STREAM, time, sequence, flags, 8, len(payload)
    )
    return head + payload


def said(n: int) -> bytes:
    """20 ms whose samples are all n."""
    return n.to_bytes(2, "little") * 160


def audio(n: int, direction: int = 1) -> bytes:
    return packet(receive.AUDIO, said(n + 1), direction, n, n * 160)


def start(**more: Any) -> bytes:
    return json.dumps({"event": "start", "stream_id": NAME, "tag": "t", **more}).encode()


def end(**more: Any) -> bytes:
    return json.dumps({"event": "end", "stream_id": NAME, "reason": "hangup", **more}).encode()


def stream() -> tuple[receive.Stream, dict[str, bytearray]]:
    written: dict[str, bytearray] = {}

    def open_(_stream: str, direction: str, _rate: int, _channels: int) -> Callable[[bytes], None]:
        return written.setdefault(direction, bytearray()).extend

    return receive.Stream(NAME, open_), written


def feed(made: receive.Stream, *packets: bytes) -> None:
    for each in packets:
        made.feed(receive.Packet.parse(each))


def test_all_that_has_come_is_in_order() -> None:
    made, written = stream()
    feed(made, *(audio(n, side) for n in range(5) for side in (1, 2)))
    feed(made, packet(receive.END, end(rx={"packets": 5}, tx={"packets": 5})))
    assert written["rx"] == written["tx"] == b"".join(said(n + 1) for n in range(5))
    assert [made.report()[side]["lost"] for side in ("rx", "tx")] == [0, 0]


def test_what_is_lost_is_silence_and_counted() -> None:
    made, written = stream()
    feed(made, audio(0), audio(3))
    assert written["rx"] == said(1) + bytes(2 * 320) + said(4)
    feed(made, packet(receive.END, end(rx={"packets": 6, "dropped": 7})))
    report = made.report()["rx"]
    assert (report["sent"], report["received"], report["lost"]) == (6, 2, 4)
    assert (report["missing_seconds"], report["dropped_samples"]) == (0.04, 7)


def test_what_comes_twice_or_late_is_left_out() -> None:
    made, written = stream()
    feed(made, audio(0), audio(2), audio(1), audio(2))
    assert written["rx"] == said(1) + bytes(320) + said(3)
    assert made.lines["rx"].late == 2


def test_silence_that_was_skipped_is_put_back_and_is_not_lost() -> None:
    made, written = stream()
    feed(made, audio(0), packet(receive.AUDIO, said(9), 1, 1, 160 * 10))
    assert written["rx"] == said(1) + bytes(2 * 160 * 9) + said(9)
    assert made.lines["rx"].lost == 0


def test_a_time_stamp_from_nowhere_makes_up_no_hours() -> None:
    made, written = stream()
    feed(made, audio(0), packet(receive.AUDIO, said(9), 1, 1, 1 << 60))
    assert len(written["rx"]) == 2 * 320


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 31,
        b"XXXX" + audio(0)[4:],
        audio(0)[:-1],
        audio(0) + b"x",
        audio(0)[:4] + b"\x02" + audio(0)[5:],
        packet(9, b""),
        packet(receive.AUDIO, said(1), 4),
        packet(receive.AUDIO, said(1), 1, codec=0),
    ],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises(receive.PacketError):
        receive.Packet.parse(data)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"stream_id": "../../elsewhere"}',
        '{"stream_id": 1}',
        json.dumps({"stream_id": NAME, "direction": "rx; touch elsewhere"}),
        json.dumps({"stream_id": NAME, "codec": []}),
        json.dumps({"stream_id": NAME, "rate": -1}),
    ],
)
def test_what_no_stream_says_is_refused(text: str) -> None:
    """It would become a file's name, and a word of a command."""
    with pytest.raises(receive.PacketError):
        receive.read_said(text)
    made, _ = stream()
    with pytest.raises(receive.PacketError):
        feed(made, packet(receive.START, text.encode()))


@pytest.mark.parametrize(
    ("codec", "byte", "sample"),
    [
        ("ulaw", 0xFF, 0), ("ulaw", 0x80, 32124), ("ulaw", 0x00, -32124), ("ulaw", 0xF0, 120),
        ("alaw", 0xD5, 8), ("alaw", 0xAA, 32256), ("alaw", 0x2A, -32256),
    ],
)  # fmt: skip
def test_g711_is_decoded(codec: str, byte: int, sample: int) -> None:
    assert int.from_bytes(receive.decoded(bytes([byte]), codec), "little", signed=True) == sample


class Program:
    """receive.py, and what it prints."""

    def __init__(self, scheme: str, folder: Path, *more: str) -> None:
        command = [sys.executable, str(ROOT / "app_forkstream" / "receive.py")]
        self._process = subprocess.Popen(
            [*command, f"{scheme}://127.0.0.1:0", str(folder), *more],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.url = str(self.told()["url"])
        self.port = int(self.url.rpartition(":")[2])

    def told(self) -> dict[str, Any]:
        """The next line."""
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def end(self) -> dict[str, Any]:
        """End it; its last line."""
        assert self._process.stdout is not None
        self._process.send_signal(signal.SIGTERM)
        output, _ = self._process.communicate(timeout=LIMIT)
        assert self._process.returncode == 0
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
        return found


def heard(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (8000, 2)
        return file.readframes(file.getnframes())


def test_the_program_takes_udp(tmp_path: Path) -> None:
    """Files, a command for each direction, what it says, and junk between the packets."""
    copy = tmp_path / "copy-{direction}"
    program = Program("udp", tmp_path / "wav", "--pipe", f"dd of={copy} status=none")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", program.port))
        sender.send(b"junk")
        for data in (packet(receive.START, start()), audio(0), audio(1), audio(0, 2)):
            sender.send(data)
        for _ in range(3):
            sender.send(packet(receive.END, end(rx={"packets": 2}, tx={"packets": 2})))
        assert program.told()["start"]["tag"] == "t"
        told = program.told()
    assert (told["reason"], told["rx"]["lost"], told["tx"]["lost"]) == ("hangup", 0, 1)
    assert program.end() == {"event": "done", "streams": 1, "unknown": 1}
    assert heard(tmp_path / "wav" / f"{NAME}-rx.wav") == said(1) + said(2)
    assert heard(tmp_path / "wav" / f"{NAME}-tx.wav") == said(1)
    # The command ends by itself behind the program.
    copied = tmp_path / "copy-rx"
    until(lambda: copied.exists() and copied.read_bytes() == said(1) + said(2))


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_the_program_takes_websockets(
    scheme: str, tmp_path: Path, certificates: Certificates
) -> None:
    """Audio alone where there is one direction, packets where there are two."""
    tls = certificates.client() if scheme == "wss" else None
    cert, key = map(str, certificates.files())
    program = Program(scheme, tmp_path, *(("--tls-cert", cert, "--tls-key", key) if tls else ()))

    async def talk(first: bytes, *binary: bytes) -> None:
        async with connect(program.url, ssl=tls) as connection:
            await connection.send(first.decode())
            for data in binary:
                await connection.send(data)
            await connection.send(end(rx={"packets": len(binary)}).decode())

    alone = start(direction="rx", layout="apart", codec="slin", rate=8000)
    asyncio.run(talk(alone, said(5), said(6)))
    assert program.told()["event"] == "start"
    assert program.told()["rx"]["lost"] == 0
    assert heard(tmp_path / f"{NAME}-rx.wav") == said(5) + said(6)
    asyncio.run(talk(start(direction="both", layout="apart"), audio(0)))
    assert program.told()["event"] == "start"
    assert program.told()["rx"]["received"] == 1
    assert program.end()["event"] == "done"
    assert heard(tmp_path / f"{NAME}-rx.wav") == said(1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tcp://x:1"], "a URL begins with udp://, ws:// or wss://"),
        (["wss://127.0.0.1:0"], "this needs --tls-cert and --tls-key"),
        (["wss://127.0.0.1:0", "--tls-cert", "none", "--tls-key", "none"], "wss://127.0.0.1:0: "),
        (["udp://192.0.2.1:1"], "udp://192.0.2.1:1: "),
        (["udp://127.0.0.1:0", "--pipe", "no-such-command {rate}"], "no command no-such-command"),
        (["udp://127.0.0.1:0", "--pipe", "awk {print}"], "'print': {stream}, {direction}"),
        (["udp://127.0.0.1:0", "--pipe", "sh -c 'x"], "No closing quotation: {stream}"),
    ],
)
def test_what_cannot_be_is_told_before_a_call_comes(
    words: list[str], told: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "app_forkstream" / "receive.py", words[0], tmp_path, *words[1:]],
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
