"""Inquiries about calls, and the files that a report and a bundle leave: through the contract."""

from __future__ import annotations

import os
import select
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pyconvai import limits
from pyconvai.inquiries import Inquiries
from pyconvai.records import record
from pyconvai.report import page
from pyconvai.service.settings import PairKind
from tests.timing import EVENT
from tests.unit.engine import TALKING, Call, Engine, ffi, string
from tests.unit.peer import Connection, RawService, text
from tests.unit.recorded import CALL_OVER, call, configure, end, facts, inform, wait_lines

OK = 1


def begin(engine: Engine, kind: str, *pairs: tuple[str, str]) -> Any:
    """Begin an inquiry."""
    keep = [ffi.new("char[]", each.encode()) for pair in pairs for each in pair]
    given: Any = ffi.new("struct convai_pair[]", max(1, len(pairs)))
    for i in range(len(pairs)):
        given[i].kind, given[i].name, given[i].value = PairKind.ARGUMENT, *keep[2 * i : 2 * i + 2]
    question: Any = ffi.new("struct convai_question *")
    names = [ffi.new("char[]", each.encode()) for each in (kind, "")]
    question.kind, question.agent = names
    question.pairs, question.pair_count = given, len(pairs)
    question.limit_ms = int(1000 * EVENT)
    inquiry = engine.ops.inquire(question)
    assert inquiry != ffi.NULL
    return inquiry


def answer_to(engine: Engine, inquiry: Any) -> tuple[bool, str]:
    """Whether all is well, and the answer."""
    assert select.select([engine.ops.inquiry_fd(inquiry)], [], [], EVENT)[0], "no answer"
    answer: Any = ffi.new("const char **")
    outcome = engine.ops.inquiry_poll(inquiry, answer)
    said = string(answer[0])
    engine.ops.inquiry_release(inquiry)
    return outcome == OK, said


def ask(engine: Engine, kind: str, *pairs: tuple[str, str]) -> tuple[bool, str]:
    """Ask, and wait for the answer."""
    return answer_to(engine, begin(engine, kind, *pairs))


def over(engine: Engine, **more: str) -> dict[str, str]:
    """A call that is over and was for memory alone."""
    told = facts(in_file="no", for_webhook="no") | end() | more
    assert inform(engine, CALL_OVER, list(told.items())) == 0
    return told


def test_a_report_of_a_call_in_memory(engine: Engine, tmp_path: Path) -> None:
    """By each of its names; the file is the engine's alone, and is written anew."""
    configure(engine, tmp_path / "r")
    told = over(engine, caller_number="<b>0301234")
    for name in ("last", told["channel"], told["unique_id"], told["id"]):
        ok, answer = ask(engine, "report", ("call", name))
        assert ok, answer
        path = Path(answer)
        assert path.parent == tmp_path / "r" / "reports"
        assert path.name.endswith(f"-PJSIP-caller-00000001-{told['id'][:8]}.html")
    assert list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    made = path.read_text(encoding="utf-8")
    assert made.startswith("<!doctype html>")
    assert "&lt;b&gt;0301234" in made
    assert not list((tmp_path / "r").glob("records-*"))


def test_who_asks_right_behind_its_end(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both come while the loop looks at what has come: the call is known then, too."""
    configure(engine, tmp_path / "r")
    look, asked = Inquiries.look, list[Any]()

    def between(self: Inquiries) -> None:
        if not asked:
            told = over(engine)
            asked.append(begin(engine, "report page", ("call", told["id"])))
        look(self)

    monkeypatch.setattr(Inquiries, "look", between)
    assert ask(engine, "call names")[0]
    assert answer_to(engine, asked[0])[0]


def test_a_report_of_a_record(engine: Engine, tmp_path: Path) -> None:
    """What memory has lost the disk may have; the newest of one name."""
    configure(engine, tmp_path / "r")
    first = call(engine, for_webhook="no", channel="Local/ä<x>@y-1;2")
    second = call(engine, for_webhook="no", channel="Local/ä<x>@y-1;2")
    wait_lines(tmp_path / "r", 2)
    assert engine.stop() == 0
    again = Engine()
    configure(again, tmp_path / "r")
    for name, wanted in ((first, first), ("Local/ä<x>@y-1;2", second), (second[:8], "")):
        ok, answer = ask(again, "report", ("call", name))
        assert ok is bool(wanted), answer
        if wanted:
            assert answer.endswith(f"-Local-x-y-1-2-{wanted[:8]}.html")
    assert "no call" in answer
    assert again.stop() == 0


def test_a_call_that_is_up(engine: Engine, tmp_path: Path) -> None:
    """With what there is until now, by each of its names; and then it is the last that is over."""

    def script(service: Connection) -> None:
        service.begin()
        said = {"agent_response": "Hello there.", "event_id": 1}
        service.sock.sendall(text(type="agent_response", agent_response_event=said))
        service.drained()

    configure(engine, tmp_path / "r")
    told = facts(in_file="no", for_webhook="no")
    until = time.monotonic() + EVENT
    with RawService(script) as service:
        settings = {"base_url": service.url, "auth": "none", "transcripts": "records"}
        up = Call(engine, settings=settings, facts=told)
        up.wait(TALKING)
        wanted = (("call", "conv_raw"), ("words", "yes"))
        while "Hello there." not in (made := ask(engine, "report page", *wanted)[1]):
            assert time.monotonic() < until, made
        assert made.startswith("<!doctype html>\n")
        assert "the call is up" in made
        for others in ((), (("words", "no"),)):
            ok, hiding = ask(engine, "report page", ("call", "conv_raw"), *others)
            assert ok
            assert "Hello there." not in hiding
            assert "What was said is not shown" in hiding
        assert ask(engine, "call names") == (True, f"conv_raw\n{told['channel']}")
        ok, path = ask(engine, "report", ("call", told["channel"]))
        assert ok
        assert "Hello there." in Path(path).read_text(encoding="utf-8")
        assert ask(engine, "report page", ("call", "last"))[0] is False
        up.release()
        ended = told | end()
        assert inform(engine, CALL_OVER, list(ended.items())) == 0
        last_one = (("call", "last"), ("words", "yes"))
        while not (last := ask(engine, "report page", *last_one))[0]:
            assert time.monotonic() < until, last
    assert "Hello there." in last[1]
    assert "the caller hung up" in last[1]
    assert ask(engine, "call names") == (True, f"conv_raw\n{told['channel']}")


def test_nothing_is_known(engine: Engine, tmp_path: Path) -> None:
    assert ask(engine, "report page", ("call", "last"))[0] is False
    assert ask(engine, "report", ("call", "last")) == (
        False,
        "the engine has not been told where reports go",
    )
    configure(engine, tmp_path / "r")
    ok, answer = ask(engine, "report", ("call", "PJSIP/\x1b[31m"))
    assert not ok
    assert answer.isprintable()
    assert ask(engine, "call names") == (True, "last")


def test_no_link_is_followed(engine: Engine, tmp_path: Path) -> None:
    configure(engine, tmp_path / "r")
    told = over(engine)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "r").mkdir(exist_ok=True)
    (tmp_path / "r" / "reports").symlink_to(elsewhere)
    ok, answer = ask(engine, "report", ("call", told["id"]))
    assert not ok
    assert "nothing could be written" in answer
    (tmp_path / "r" / "reports").unlink()
    ok, answer = ask(engine, "report", ("call", told["id"]))
    assert ok
    (elsewhere / "mine").write_text("mine", encoding="ascii")
    Path(answer).unlink()
    Path(answer).symlink_to(elsewhere / "mine")
    assert ask(engine, "report", ("call", told["id"])) == (True, answer)
    assert (elsewhere / "mine").read_text(encoding="ascii") == "mine"
    assert not Path(answer).is_symlink()


def test_what_is_too_old_goes(engine: Engine, tmp_path: Path) -> None:
    configure(engine, tmp_path / "r", days=2)
    told = over(engine)
    folder = Path(ask(engine, "report", ("call", told["id"]))[1]).parent
    old, new = folder / "call-old.html", folder / "call-new.html"
    for path, days in ((old, 3), (new, 1)):
        path.write_text("x", encoding="ascii")
        os.utime(path, (time.time() - days * 86_400,) * 2)
    assert ask(engine, "report", ("call", told["id"]))[0]
    assert not old.exists()
    assert new.exists()


def test_a_page_that_takes_its_time_holds_up_no_call(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop answers meanwhile; a second one comes behind the first."""
    going = threading.Event()
    made: list[str] = []

    def slow(found: record.Record, _made_at: str, **_: bool) -> str:
        assert going.wait(EVENT)
        made.append(found["id"])
        return "x"

    monkeypatch.setattr(page, "made", slow)
    configure(engine, tmp_path / "r")
    first, second = over(engine), over(engine)
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(ask, engine, "report", ("call", first["id"]))
        assert first["channel"] in ask(engine, "call names")[1]
        other = threads.submit(ask, engine, "report", ("call", second["id"]))
        assert ask(engine, "call names")[0]
        going.set()
        assert one.result()[0]
        assert other.result()[0]
    assert sorted(made) == sorted((first["id"], second["id"]))


def test_a_bundle_is_written(engine: Engine, tmp_path: Path) -> None:
    configure(engine, tmp_path / "r")
    over(engine)
    ok, answer = ask(engine, "bundle", ("log.txt", "api_key = sk_0123456789\n"))
    path, told = answer.split("\n")
    assert ok
    assert "look into it before you send it" in told
    assert Path(path).name.startswith("bundle-2")
    assert Path(path).read_bytes()[:2] == b"\x1f\x8b"
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o640


def test_a_search_among_the_records_has_an_end(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(engine, tmp_path / "r")
    call(engine, for_webhook="no")
    wait_lines(tmp_path / "r", 1)
    monkeypatch.setattr(limits, "REPORT_SEARCH_SECONDS", -1.0)
    ok, answer = ask(engine, "report", ("call", "nobody"))
    assert not ok
    assert "not found among the records" in answer
