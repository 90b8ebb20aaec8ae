"""The webhook: a real receiver that is down, slow, refuses, lies; and the engine that sends."""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import re
import select
import time
import uuid
from pathlib import Path

import pytest

from pyconvai import limits
from pyconvai.records import folder as files
from tests.receiver import Receiver
from tests.timing import EVENT, SECOND
from tests.unit.engine import Engine, ffi, string, thread_names
from tests.unit.peer import Certificates, until
from tests.unit.recorded import (
    SECRET,
    call,
    configure,
    inform,
    lines,
    wait_lines,
    wait_spool,
)

CLEARTEXT = re.compile(r"t=(\d+),v0=([0-9a-f]{64})")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a test's length."""
    for name, seconds in (
        ("WEBHOOK_PAUSE_SECONDS", 0.02),
        ("WEBHOOK_PLACE_PAUSE_SECONDS", 0.05),
        ("WEBHOOK_RECORD_PAUSE_SECONDS", 0.1),
        ("SENDER_LOOK_SECONDS", 0.02),
        ("SPOOL_LOOK_SECONDS", 0.05),
        ("DISK_PAUSE_SECONDS", 0.02),
    ):
        monkeypatch.setattr(limits, name, seconds * SECOND)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "elevenlabs"


def shown(engine: Engine) -> str:
    """What `elevenlabs show webhooks` says."""
    question = ffi.new("struct convai_question *")
    keep = [ffi.new("char[]", text) for text in (b"webhooks", b"")]
    question.kind, question.agent = keep
    question.pairs, question.pair_count, question.limit_ms = ffi.NULL, 0, int(1000 * EVENT)
    inquiry = engine.ops.inquire(question)
    ready, _, _ = select.select([engine.ops.inquiry_fd(inquiry)], [], [], EVENT)
    assert ready
    answer = ffi.new("const char **")
    engine.ops.inquiry_poll(inquiry, answer)
    text = string(answer[0])
    engine.ops.inquiry_release(inquiry)
    return text


def wait_shown(engine: Engine, words: str) -> str:
    until(lambda: words in shown(engine))
    return shown(engine)


def test_a_record_is_sent_and_signed(
    engine: Engine, place: Path, certificates: Certificates
) -> None:
    """Over TLS, with what the file has, signed as the service signs its own."""
    with Receiver(certificates.server()) as receiver:
        configure(engine, place, {"general": receiver.url}, ca_file=str(certificates.ca))
        wanted = call(engine)
        (request,) = receiver.wait(1, EVENT)
        wait_spool(place, 0)
    assert request.path == "/calls"
    assert request.headers["content-type"] == "application/json"
    match = CLEARTEXT.fullmatch(request.headers["elevenlabs-signature"])
    assert match
    assert abs(int(match[1]) - time.time()) < 60
    digest = hmac.new(SECRET.encode(), match[1].encode() + b"." + request.body, hashlib.sha256)
    assert match[2] == digest.hexdigest()
    assert request.record["id"] == wanted
    assert lines(place) == [request.record]
    wait_shown(engine, "1 sent, 0 tries failed")


def test_a_receiver_that_is_down_fails_and_comes_back(engine: Engine, place: Path) -> None:
    """Each id once it takes them, in the end; the same bytes, another signature if the time is."""
    receiver = Receiver()
    receiver.up()
    receiver.down()
    configure(engine, place, {"general": receiver.url})
    ids = [call(engine) for _ in range(10)]
    wait_shown(engine, "Connection refused")
    answers = iter([500, 503, 302, 404] * 5)
    receiver.headers = {"Location": "/elsewhere", "Retry-After": "0.01"}
    receiver.status = lambda _: next(answers, 200)
    receiver.up()
    receiver.wait(10, EVENT)
    wait_spool(place, 0)
    receiver.down()
    assert sorted(each.record["id"] for each in receiver.taken()) == sorted(ids)
    until(lambda: engine.ops.webhooks_waiting() == 0)
    assert {each.path for each in receiver.so_far()} == {"/calls"}, "no redirect is followed"
    bodies = {(each.record["id"], each.body) for each in receiver.so_far()}
    assert len(bodies) == 10
    assert "takes records again" in engine.text()
    assert engine.text().count("does not take records") == 1
    assert SECRET not in engine.text()


def test_a_record_that_is_not_taken_holds_up_no_other(engine: Engine, place: Path) -> None:
    receiver = Receiver()
    configure(engine, place, {"general": "", "a": ""})
    with receiver, Receiver() as other:
        configure(engine, place, {"general": receiver.url, "a": other.url})
        bad = str(uuid.uuid4())
        receiver.status = lambda body: 500 if bad.encode() in body else 200
        call(engine, id=bad)
        good = [call(engine) for _ in range(5)]
        mine = call(engine, "a")
        taken = receiver.wait(5, EVENT)
        assert {each.record["id"] for each in taken} == set(good)
        assert [each.record["id"] for each in other.wait(1, EVENT)] == [mine]
        wait_shown(engine, ": 1 waiting, 5 sent")


def test_a_webhook_that_moves(engine: Engine, place: Path) -> None:
    """Also while a request is under way, and by way of none at all."""
    with Receiver() as wrong, Receiver() as right:
        wrong.status, wrong.delay = 500, 0.1 * SECOND
        configure(engine, place, {"general": wrong.url})
        ids = {call(engine) for _ in range(6)}
        wrong.wait(1, EVENT, taken=False)
        configure(engine, place)
        wait_shown(engine, "no webhook_url in elevenlabs.conf: 6 waiting")
        assert engine.ops.webhooks_waiting() == 6
        configure(engine, place, {"general": right.url})
        assert {each.record["id"] for each in right.wait(6, EVENT)} == ids
        wait_spool(place, 0)
        wait_shown(engine, "6 sent")
        until(lambda: engine.ops.webhooks_waiting() == 0)


@pytest.mark.parametrize("how", ["certificate", "name", "plain", "slow", "huge", "nonsense"])
def test_receivers_that_lie(
    engine: Engine,
    place: Path,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """None of them has the record taken off the spool, but the one whose answer is too long."""
    monkeypatch.setattr(limits, "WEBHOOK_SECONDS", 0.3 * SECOND if how == "slow" else EVENT)
    context = certificates.server("other" if how == "name" else "server")
    receiver = Receiver(None if how in ("plain", "nonsense") else context)
    receiver.delay = 1.0 * SECOND if how == "slow" else 0.0
    receiver.answer = b"x" * 10_000_000 if how == "huge" else b""
    ca_file = "" if how == "certificate" else str(certificates.ca)
    with receiver:
        url = receiver.url.replace("http:", "https:")
        configure(engine, place, {"general": url}, ca_file=ca_file)
        call(engine)
        if how == "huge":
            wait_spool(place, 0)
            return
        told = wait_shown(engine, "last error")
        words = {
            "certificate": "is not trusted; check webhook_url, or set ca_file",
            "name": "is not trusted; check webhook_url, or set ca_file",
            "slow": "no answer within",
        }
        assert words.get(how, "no TLS with") in told
        assert len(list((place / "webhook").glob("[0-9]*.json"))) == 1


def test_what_is_given_up(engine: Engine, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time, or when too many wait; a line tells which. The file has them all."""
    monkeypatch.setattr(limits, "WEBHOOK_LIFE_SECONDS", 0.2 * SECOND)
    receiver = Receiver()
    receiver.status = 500
    with receiver:
        configure(engine, place, {"general": receiver.url})
        lost = call(engine)
        until(lambda: "1 record given up, not taken" in engine.text())
        wait_spool(place, 0)
        assert "1 given up" in shown(engine)
        assert lost in engine.text()
        assert "last error: HTTP 500" in engine.text()
        monkeypatch.setattr(limits, "WEBHOOK_LIFE_SECONDS", 3600.0)
        monkeypatch.setattr(limits, "SPOOL_RECORDS", 2)
        for _ in range(5):
            call(engine)
        assert len(wait_lines(place, 6)) == 6
        until(lambda: "more than 2 wait" in engine.text())
        wait_spool(place, 2)


def test_over_the_end_of_an_engine(place: Path) -> None:
    """What was spooled is sent by the next one; a call that is up then ends as UNLOADED."""
    receiver = Receiver()
    receiver.up()
    receiver.down()
    first = Engine()
    configure(first, place, {"general": receiver.url})
    ids = [call(first), call(first)]
    wait_spool(place, 2)
    assert first.stop() == 0
    second = Engine()
    with receiver:
        configure(second, place, {"general": receiver.url})
        assert {each.record["id"] for each in receiver.wait(2, EVENT)} == set(ids)
        wait_spool(place, 0)
    assert second.stop() == 0


def test_an_engine_that_is_not_in_service_does_not_send(engine: Engine, place: Path) -> None:
    """It lets go when it is told, and sends again when it is back in service."""
    with Receiver() as receiver:
        configure(engine, place, {"general": receiver.url}, in_service=False)
        call(engine)
        wait_spool(place, 1)
        other = files.Folder(str(place), "other")
        assert other.claim(False)
        configure(engine, place, {"general": receiver.url})
        wait_shown(engine, "another engine, or another Asterisk")
        assert not receiver.so_far()
        other.close()
        receiver.wait(1, EVENT)


def test_a_disk_that_is_full(engine: Engine, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line in the log, then nothing is lost that has room in memory; the rest is counted."""
    monkeypatch.setattr(limits, "RECORDS_WAITING", 5)
    configure(engine, place)

    def full(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files, "_write", full)
        ids = [call(engine, for_webhook="no") for _ in range(8)]
        told = wait_shown(engine, "5 records and marks wait for the disk: No space left on device")
        assert "3 records are lost" in told
        assert engine.text().count("No space left on device") == 1
    assert [each["id"] for each in wait_lines(place, 5)] == ids[:5]
    until(lambda: "records are written again; 3 were lost meanwhile" in engine.text())
    call(engine, for_webhook="no")
    assert len(wait_lines(place, 6)) == 6


HOSTILE = (
    'line\r\nEvent: Hangup\r\n\r\n","status":"FORGED","x":"\\',
    "<script>alert(1)</script>&amp;\u2028\u202e\x00\x1b[31m\x7f\x9b",
    '{"id": "forged"}\n[1,2]',
    "Gr\u00fc\u00dfe aus K\u00f6ln \U0001f600 \U000e0041",
    "x" * 1_000_000,
)


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_text_is_text(engine: Engine, place: Path, words: str) -> None:
    """A name and a reason come as they are, cut where they are too long, and no line is forged."""
    with Receiver() as receiver:
        configure(engine, place, {"general": receiver.url})
        told = words.replace("\0", "")
        call(engine, caller_name=told, detail=told, asked_agent=told)
        (request,) = receiver.wait(1, EVENT)
    wanted = told[: limits.RECORD_TEXT_CHARACTERS]
    for field in ("caller_name", "detail", "asked_agent"):
        assert request.record[field] == wanted
    assert request.record["status"] == "HANGUP"
    (file,) = place.glob("records-*.jsonl")
    assert file.read_bytes() == request.body + b"\n"
    assert file.read_bytes().count(b"\n") == 1
    raw = file.read_text()
    assert not set(raw) & set("<>&\x00\x1b\x7f\x9b\u2028\u202e\U000e0041")


def test_what_is_no_utf8(engine: Engine, place: Path) -> None:
    configure(engine, place)
    call(engine, caller_name=b"J\xf6rg \xff\xed\xa0\x80", for_webhook="no")
    (found,) = wait_lines(place, 1)
    assert found["caller_name"].startswith("J\ufffdrg \ufffd")


def test_no_secret_is_recorded(engine: Engine, place: Path) -> None:
    """Neither the secret of the webhook, nor what its address bears."""
    url = "https://127.0.0.1:1/hook?token=t0p-s3cret-t0ken"
    configure(engine, place, {"general": url})
    call(engine, detail=f"{SECRET} t0p-s3cret-t0ken {url}")
    (found,) = wait_lines(place, 1)
    assert SECRET not in found["detail"]
    assert "t0p-s3cret" not in found["detail"]
    assert "t0p-s3cret" not in shown(engine)


def test_nobody_who_wants_no_records_has_a_thread_or_a_folder(engine: Engine, place: Path) -> None:
    pairs: list[tuple[str, str | bytes]] = [
        ("in_service", "yes"), ("folder", str(place)), ("section", "general"), ("records", "no"),
        ("webhook_url", ""), ("webhook_secret", ""), ("ca_file", ""),
    ]  # fmt: skip
    assert inform(engine, 1, pairs) == 0
    assert shown(engine) == "There is no webhook_url in elevenlabs.conf"
    until(lambda: "convai-disk" not in thread_names())  # that of an engine before may end just now
    assert not place.exists()
