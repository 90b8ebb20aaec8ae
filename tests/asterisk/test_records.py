"""Records and the webhook, of real calls: a receiver that is down, a crash, a reload, an unload."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from testbed.callers import Callers, place_call
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.variants import install_package, make_variant
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section, talk, wait_talking
from tests.asterisk.stage import until
from tests.asterisk.test_metrics import get
from tests.receiver import Receiver
from tests.timing import EVENT, SECOND

CALLS = 3
SECRET = "wsec_0123456789abcdef"
MODULE = "app_elevenlabs_convai"


def conf(mock: MockAgent, receiver: Receiver, **keys: str) -> str:
    general = f"[general]\nrecords = yes\nwebhook_url = {receiver.url}\nwebhook_secret = {SECRET}\n"
    return general + section("default", mock.url, **keys)


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", verbose=3, debug=0)


def folder(pbx: Instance) -> Path:
    return pbx.folder / "spool" / "elevenlabs"


def lines(pbx: Instance) -> list[dict[str, Any]]:
    """All records in files."""
    files = sorted(folder(pbx).glob("records-*.jsonl"))
    return [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]


def wait_lines(pbx: Instance, count: int) -> list[dict[str, Any]]:
    until(lambda: len(lines(pbx)) >= count, f"not {count} records")
    return lines(pbx)


def spooled(pbx: Instance) -> list[Path]:
    return sorted((folder(pbx) / "webhook").glob("[0-9]*.json"))


def wait_spool(pbx: Instance, count: int) -> None:
    until(lambda: len(spooled(pbx)) == count, f"not {count} records are spooled")


def wait_waiting(pbx: Instance, count: int) -> None:
    """Wait until the metrics say that so many records wait: that follows their files."""
    line = f"elevenlabs_webhooks_waiting {count}\n"
    until(lambda: line in get(pbx, "elevenlabs/metrics"), f"not {count} records wait")


def crash(pbx: Instance) -> None:
    """As `kill -9` does it, and start again."""
    process = pbx._process
    assert process is not None
    os.kill(pbx.pid, signal.SIGKILL)
    process.wait(EVENT)
    pbx._process = None
    pbx._close_console()
    pbx.start()


def test_each_record_is_there_once_whatever_happens(pbx: Instance, agent: StartAgent) -> None:
    """Each id once, and the same bytes.

    Calls at once, a caller without a place; a receiver that is down, one that is slow, so that a
    crash comes between its taking a record and its answer, one that answers 500; an engine that
    follows another, an unload.
    """
    receiver = Receiver()
    receiver.up()
    receiver.down()  # its port is known, and nobody is there
    with agent("default") as mock:
        configure(pbx, conf(mock, receiver, max_sessions=str(CALLS)))
        with Callers(pbx, CALLS, "default") as calls:
            wait_talking(pbx, CALLS)
            place_call(pbx, "default")  # LIMIT
            calls.hangup_all()
        place_call(pbx, "nobody")  # NOAGENT
        found = wait_lines(pbx, CALLS + 2)
        assert sorted(each["status"] for each in found) == ["HANGUP"] * CALLS + ["LIMIT", "NOAGENT"]
        wait_spool(pbx, CALLS + 2)
        pbx.wait_log("does not take records: cannot connect to 127")
        wait_waiting(pbx, 5)
        shown = pbx.cli("elevenlabs show webhooks")
        assert re.search(rf"127.0.0.1:{receiver.port}: 5 waiting, 0 sent, \d+ tries failed", shown)
        assert SECRET not in shown

        receiver.delay = 300 * SECOND
        receiver.up()
        # To another address of it: what has been refused there does not count here.
        text = conf(mock, receiver, max_sessions=str(CALLS))
        configure(pbx, text.replace(receiver.url, f"{receiver.url}/again"))
        with Callers(pbx, 1, "default"):
            wait_talking(pbx, 1)
            receiver.wait(1, 100 * SECOND)
            receiver.status, receiver.delay = 500, 0.3
            crash(pbx)
        unanswered = {request.record["id"] for request in receiver.taken()}
        found = wait_lines(pbx, CALLS + 3)
        cut_off = found[-1]
        assert (cut_off["status"], cut_off["agent"], cut_off["ended_at"]) == (
            "CRASHED",
            "default",
            None,
        )
        until(lambda: not list((folder(pbx) / "calls").glob("*.*.json")), "the mark stays")

        receiver.wait(len(unanswered) + 1, 100 * SECOND, taken=False)
        one_more = make_variant(pbx, "r1", append={"__init__.py": '\n__version__ = "0.1.0+r1"\n'})
        install_package(pbx, one_more)
        talk(pbx, "default")
        assert "0.1.0+r1" not in pbx.cli("elevenlabs show version")
        pbx.cli(f"module reload {MODULE}")
        assert "0.1.0+r1" in pbx.cli("elevenlabs show version")
        receiver.status, receiver.delay = 200, 0.0
        with Callers(pbx, 1, "default"):
            wait_talking(pbx, 1)
            pbx.cli(f"module unload -f {MODULE}.so")
        found = wait_lines(pbx, CALLS + 5)
        assert found[-1]["status"] == "UNLOADED"
        pbx.cli(f"module load {MODULE}.so")
        receiver.wait(len(unanswered) + CALLS + 5, 100 * SECOND)
        wait_spool(pbx, 0)
        wait_waiting(pbx, 0)
    receiver.down()
    ids = [each["id"] for each in found]
    assert len(set(ids)) == len(ids)
    bodies: dict[str, set[bytes]] = {}
    for request in receiver.so_far():
        bodies.setdefault(request.record["id"], set()).add(request.body)
    assert bodies.keys() == set(ids)
    assert all(len(each) == 1 for each in bodies.values())
    taken = Counter(request.record["id"] for request in receiver.taken())
    twice = {each for each, count in taken.items() if count > 1}
    assert twice == unanswered, "what was answered has come once; what was not, again"
    by_id = {each["id"]: each for each in found}
    assert all(orjson.loads(body) == by_id[each] for each, (body,) in bodies.items())
    check_modes(pbx)


def check_modes(pbx: Instance) -> None:
    for path in (folder(pbx), *folder(pbx).rglob("*")):
        wanted = 0o750 if path.is_dir() else 0o640
        assert stat.S_IMODE(path.lstat().st_mode) == wanted, path
