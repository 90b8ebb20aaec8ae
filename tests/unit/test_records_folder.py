"""The files of records: whole whenever they can be seen, whatever is killed or full meanwhile."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from pyconvai import limits
from pyconvai.records import folder as files
from pyconvai.records import record
from pyconvai.records.folder import Entry, Folder
from tests.unit.recorded import end, facts, lines

KILLED = 9
STEPS = ("open", "mkdir", "write", "fsync", "rename", "unlink", "close", "ftruncate")


def entries(**more: str) -> tuple[Entry, Entry]:
    """The mark of a call, and its record."""
    told = facts(**more)
    over = record.ended(told | end(), None)

    def entry(found: record.Record, day: str) -> Entry:
        in_file, for_webhook = told["in_file"] == "yes", told["for_webhook"] == "yes"
        line = record.written(found)
        return Entry(told["id"], line, told["asked_agent"], in_file, for_webhook, day)

    return entry(record.begun(told), ""), entry(over, record.day(over))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "elevenlabs"


@pytest.fixture
def made(place: Path) -> Iterator[Callable[[str], Folder]]:
    """Folders of engines; closed at the end."""
    all_of_them: list[Folder] = []

    def make(engine: str) -> Folder:
        all_of_them.append(Folder(str(place), engine))
        return all_of_them[-1]

    yield make
    for each in all_of_them:
        each.close()


def spooled(place: Path) -> list[dict[str, Any]]:
    return [
        orjson.loads(path.read_bytes()) for path in sorted((place / "webhook").glob("[0-9]*.json"))
    ]


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do it in a process that dies at its nth step on a file. Returns whether it died."""
    pid = os.fork()
    if pid == 0:
        left = [step]

        def counted(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **more: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    os._exit(KILLED)
                return function(*arguments, **more)

            return call

        for name in STEPS:
            setattr(files.os, name, counted(getattr(os, name)))
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, KILLED)
    return os.waitstatus_to_exitcode(status) == KILLED


@pytest.mark.parametrize(("in_file", "for_webhook"), [("yes", "yes"), ("yes", "no"), ("no", "yes")])
def test_killed_before_each_step(tmp_path: Path, in_file: str, for_webhook: str) -> None:
    """The next engine finds the call once: as it ended, or as cut off, or not begun."""
    seen = set()
    for step in range(100):
        place = tmp_path / str(step)
        mark, over = entries(in_file=in_file, for_webhook=for_webhook)

        def work(place: Path = place, mark: Entry = mark, over: Entry = over) -> None:
            own = Folder(str(place), "one")
            assert own.write([mark]) == (1, None)
            assert own.write([over]) == (1, None)

        died = killed_at(step, work)
        after = Folder(str(place), "two")
        cut_off = after.recover()
        assert after.recover() == 0
        after.tidy(30)
        after.close()
        there = [found["status"] for found in (*lines(place), *spooled(place))]
        copies = (in_file == "yes") + (for_webhook == "yes")
        assert there in ([], ["CRASHED"] * copies, ["HANGUP"] * copies), (step, there)
        assert cut_off == ("CRASHED" in there)
        assert all(found["id"] == over.id for found in (*lines(place), *spooled(place)))
        assert not list((place / "calls").glob("[!.]*"))
        seen.add(there[0] if there else "")
        if not died:
            break
    assert not died
    assert seen == {"", "CRASHED", "HANGUP"}


def test_calls_of_an_engine_that_lives_are_not_cut_off(made: Callable[[str], Folder]) -> None:
    """Also of one in this very process; when it has gone, and left marks, they are."""
    one, two = made("one"), made("two")
    mark, _ = entries()
    one.write([mark])
    assert two.recover() == 0
    one.close()
    assert two.recover() == 1


def test_one_sends(made: Callable[[str], Folder], place: Path) -> None:
    """One that hangs is passed over, if it is of this process, and sends no more."""
    one, two = made("one"), made("two")
    assert one.claim(False)
    assert not two.claim(False)
    _, over = entries()
    one.write([over])
    (waiting,) = one.spooled()
    assert one.load(waiting.name) == over.line
    assert two.claim(True)
    assert one.load(waiting.name) is None
    assert two.load(waiting.name) == over.line
    two.release()
    assert two.load(waiting.name) is None
    assert made("three").claim(False)
    (place / "sender.lock").write_text("1\n")  # as if it were another process's
    assert not made("four").claim(True)


def test_a_full_disk_leaves_no_half_of_a_line(
    made: Callable[[str], Folder], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not written is written later, once, in its order."""
    own = made("one")
    (_, first), (_, second) = entries(), entries(for_webhook="no")
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if b"HANGUP" in bytes(data):
            real(fd, bytes(data)[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    own.write([entries()[1]])
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "write", full)
        for some in ([first], [second]):
            done, fault = own.write(some)
            assert done == 0
            assert fault is not None
            assert fault.errno == errno.ENOSPC
    assert len(lines(place)) == 1
    assert not list(place.rglob(".new-*"))
    assert own.write([first, second]) == (2, None)
    assert own.write([second]) == (1, None)  # the same again is the caller's fault, and whole
    assert [each["id"] for each in lines(place)][1:3] == [first.id, second.id]
    assert len(spooled(place)) == 2


def test_the_rest_of_a_line_that_was_torn_is_a_line(
    made: Callable[[str], Folder], place: Path
) -> None:
    """A machine that lost power; readers skip that one."""
    own = made("one")
    _, over = entries()
    own.write([over])
    file = place / f"records-{over.day}.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    own.write([entries()[1]])
    first, second = file.read_bytes().splitlines()
    assert len(first) < len(over.line)
    assert orjson.loads(second)["status"] == "HANGUP"


@pytest.mark.parametrize("what", ["folder", "file", "mark", "lock"])
def test_no_link_is_followed(
    made: Callable[[str], Folder], place: Path, tmp_path: Path, what: str
) -> None:
    target = tmp_path / "target"
    mark, over = entries()
    own = made("one")
    if what == "folder":
        target.mkdir()
        place.symlink_to(target)
    else:
        own.recover()
        target.write_text("precious")
        names = {
            "file": f"records-{over.day}.jsonl",
            "mark": f"calls/dead.{mark.id}.json",
            "lock": "sender.lock",
        }
        (place / names[what]).symlink_to(target)
    if what == "mark":
        assert own.recover() == 0
        assert not (place / names[what]).is_symlink()
    elif what == "lock":
        with pytest.raises(OSError, match="symbolic links"):
            own.claim(False)
    else:
        done, fault = own.write([over])
        assert (done, fault is None) == (0, False)
    assert target.is_dir() or target.read_text() == "precious"
    assert not list(target.iterdir()) if target.is_dir() else True


def test_what_is_too_old_goes(made: Callable[[str], Folder], place: Path) -> None:
    """Days by their names, the spool by its age; and what somebody has left there stays."""
    own = made("one")
    own.write([entries()[1]])
    day = 86_400
    names = [f"records-{record.moment(round((time.time() - n * day) * 1000))[:10]}.jsonl"
             for n in (5, 6, 7, 8, 400)]  # fmt: skip
    for name in names:
        (place / name).write_text("{}\n")
    mine = place / "records-2020-01-01.csv"
    mine.write_text("mine")
    old = place / "webhook" / f"1600000000000-{entries()[0].id}.json"
    old.write_text("{}")
    unfinished = place / "calls" / ".new-x"
    unfinished.write_text("{")
    for path, age in ((old, 8 * day), (unfinished, 2 * limits.TIDY_SECONDS)):
        os.utime(path, (time.time() - age,) * 2)
    own.tidy(7)
    left = {path.name for path in place.glob("records-*.jsonl")}
    assert left == {f"records-{entries()[1].day}.jsonl", *names[:3]}
    assert mine.exists()
    assert not old.exists()
    assert not unfinished.exists()
    assert len(spooled(place)) == 1


def test_what_is_no_record_is_left_alone(made: Callable[[str], Folder], place: Path) -> None:
    """A file of somebody else's in the spool is not sent."""
    own = made("one")
    own.spooled()
    some_id = entries()[0].id
    for name, text in (
        (f"1600000000000-{some_id}.json", "no JSON"),
        (f"1600000000001-{some_id}.json", "[]"),
        (f"1600000000002-{some_id}.json", '"x"' + " " * limits.SPOOLED_BYTES),
        ("mine.json", "{}"),
    ):
        (place / "webhook" / name).write_text(text)
    assert own.spooled() == []


def test_lines_of_two_engines_do_not_mix(made: Callable[[str], Folder], place: Path) -> None:
    """The file is locked while one writes."""
    one = made("one")
    _, over = entries(for_webhook="no")
    one.write([over])
    fd = os.open(place / f"records-{over.day}.jsonl", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    pid = os.fork()
    if pid == 0:
        os.close(fd)  # the lock is its as well
        Folder(str(place), "two").write([entries(for_webhook="no")[1]])
        os._exit(0)
    time.sleep(0.05)
    assert len(lines(place)) == 1
    os.close(fd)
    os.waitpid(pid, 0)
    assert len(lines(place)) == 2
