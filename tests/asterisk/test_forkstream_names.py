"""ForkStream() to hosts whose name server never answers: neither a call nor an unload waits."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.ami import Ami
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.root import Root
from tests.asterisk.conftest import Install
from tests.asterisk.forking import ULAW, UdpListener, check_call, until
from tests.timing import SECOND

SAY_SECONDS = 6.0
DIALPLAN = """\
[callers]
exten => names,1,Answer()
 same => n,ForkStream(udp://a.silent.example:9)
 same => n,ForkStream(ws://b.silent.example/)
 same => n,ForkStream(${LISTENER},t(other))
 same => n,Log(NOTICE,fork|${FORKSTREAMSTATUS}|)
 same => n,Echo()
"""
CONF = "[general]\nallow = udp://*\nallow = ws://*\nconnect_timeout = 2\n"


@pytest.fixture(scope="module")
def pbx(root: Root, install: Install) -> Iterator[Instance]:
    instance = Instance(
        root,
        "forkstream-names",
        dialplan=DIALPLAN,
        elevenlabs="[general]\n",
        files={"forkstream.conf": CONF},
    )
    library, until_then = instance.folder / "silent_names.so", instance.folder / "until"
    instance.env |= {"LD_PRELOAD": root.path(library), "SILENT_UNTIL": root.path(until_then)}
    instance.prepare()
    install(instance)
    source = Path(__file__).with_name("silent_names.c")
    root.run(["gcc", "-shared", "-fPIC", "-o", root.path(library), root.path(source)])
    instance.start()
    yield instance
    until_then.touch()
    assert instance.stop() == 0


def test_no_call_waits_for_a_name_server(pbx: Instance) -> None:
    """It has its audio, its other stream, and its end."""
    with UdpListener() as listener:
        pbx.cli(f"dialplan set global LISTENER {listener.url}")
        with Callers(
            pbx, 1, "names", send=ULAW.noise(SAY_SECONDS, 31), hangup_after=SAY_SECONDS + 1
        ) as calls:
            calls.wait_up()
            pbx.wait_log(r"fork\|STARTED\|")
            shown = pbx.cli("forkstream show streams")
            assert len(re.findall("connecting", shown)) == 2, shown
            with Ami(pbx) as ami:
                channel = until(
                    lambda: re.search(r"PJSIP/[^! ]+", pbx.cli("core show channels concise")),
                    "the channel",
                )[0]
                began = time.monotonic()
                answer = ami.ask(
                    "ForkStream", Channel=channel, Destination="udp://c.silent.example:9"
                )
                assert answer["Response"] == "Success", answer
                assert time.monotonic() - began < 1 * SECOND
            for host in ("udp://a.silent", "ws://b.silent", "udp://c.silent"):
                pbx.wait_log(rf"to {host}\S+ is over: (no name server|its listener has not)")
            calls.wait(60 * SECOND)
        check_call(listener.ended("other"), calls[0])
    call = calls[0]
    assert call.said in call.heard
    assert (call.recording.gaps, call.recording.lost) == ([], 0)


def test_it_is_not_unloaded_under_a_look_up(pbx: Instance) -> None:
    until(lambda: "3 over, and held" in pbx.cli("forkstream show streams"), "the calls' end")
    pbx.cli("module unload app_forkstream")
    assert "Running" in pbx.cli("module show like app_forkstream")
    pbx.cli("module unload -f app_forkstream")
    pbx.wait_log("Not unloaded: a stream or its thread has not ended within 5 s; a name server")
    assert "Running" in pbx.cli("module show like app_forkstream")
    assert "0 streams" in pbx.cli("forkstream show streams"), "it is offered again"
    (pbx.folder / "until").touch()
    until(lambda: "held" not in pbx.cli("forkstream show streams"), "the look-ups' end")
    pbx.cli("module unload app_forkstream")
    assert "app_forkstream" not in pbx.cli("module show like app_forkstream")
    pbx.cli("module load app_forkstream")
    assert "Running" in pbx.cli("module show like app_forkstream")
