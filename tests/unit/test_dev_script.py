"""What `make dev` does when it is used wrongly, and when it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.timing import EVENT, MS, PROGRAM

SCRIPTS = Path(__file__).parents[2] / "scripts"
STEP = """\
#!/bin/sh
echo $$ >{folder}/began.tmp
mv {folder}/began.tmp {folder}/began
{body}
echo over >{folder}/over
"""
RUN = """\
import signal, sys
from pathlib import Path
sys.path.insert(0, {scripts!r})
import dev
dev.STEP = Path({step!r})
signal.signal(signal.SIGINT, dev.interrupt)
dev.Steps([]).run({name!r})
"""


def wait_for(file: Path) -> str:
    until = time.monotonic() + EVENT
    while not file.exists():
        assert time.monotonic() < until, f"no {file.name}"
        time.sleep(5 * MS)
    return file.read_text(encoding="utf-8").strip()


@contextmanager
def step(folder: Path, name: str, body: str, before: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A step of these lines that has begun. ``before``: what its Python runs at first."""
    script = folder / "step"
    script.write_text(STEP.format(folder=folder, body=body), encoding="utf-8")
    script.chmod(0o755)
    code = before + RUN.format(scripts=str(SCRIPTS), step=str(script), name=name)
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(folder / "began")
            yield process
        finally:
            process.kill()


def is_alive(pid: str) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_ended(pid: str) -> None:
    """What was killed is gone a moment later."""
    until = time.monotonic() + EVENT
    while is_alive(pid):
        assert time.monotonic() < until, "the step runs on"
        time.sleep(5 * MS)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPTS / "dev.py", "--once", "--source", tmp_path / "none"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PROGRAM,
        check=False,
    )
    assert done.returncode == 1
    assert f"dev: {tmp_path}/none" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.slow
def test_once_that_is_interrupted_has_failed(tmp_path: Path) -> None:
    """Whoever types `make dev ONCE=1 && ...` has nothing in service."""
    asterisk = tmp_path / "asterisk"
    asterisk.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nsleep 60\n", encoding="utf-8")
    asterisk.chmod(0o755)
    conf = tmp_path / "asterisk.conf"
    lines = [f"{name} = {tmp_path}\n" for name in ("astmoddir", "astdatadir", "astetcdir")]
    conf.write_text(f"[directories]\n{''.join(lines)}")
    with subprocess.Popen(
        [sys.executable, SCRIPTS / "dev.py", "--once", "--conf", conf],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    ) as process:
        wait_for(tmp_path / "asked")
        process.send_signal(signal.SIGINT)
        assert process.wait(EVENT) == 130


def test_a_build_is_cut_off(tmp_path: Path) -> None:
    with step(tmp_path, "run_make", "sleep 60") as process:
        process.send_signal(signal.SIGINT)
        process.wait(EVENT)
    assert not (tmp_path / "over").exists()
    wait_ended(wait_for(tmp_path / "began"))


def test_a_build_that_is_just_being_started_is_cut_off(tmp_path: Path) -> None:
    """Ctrl-C comes when it runs, and before anybody knows its number."""
    slow = "import subprocess, os, time\nstart = subprocess.Popen.__init__\n"
    slow += "def slowly(self, *words, **more):\n    start(self, *words, **more)\n"
    slow += f"    while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)\n"
    slow += "subprocess.Popen.__init__ = slowly\n"
    with step(tmp_path, "run_make", "sleep 60", before=slow) as process:
        process.send_signal(signal.SIGINT)
        (tmp_path / "go").touch()
        process.wait(EVENT)
    wait_ended(wait_for(tmp_path / "began"))


def test_impatience_leaves_nothing_behind(tmp_path: Path) -> None:
    """The second Ctrl-C ends also what does not heed the first."""
    body = f"trap 'touch {tmp_path}/told' TERM\n: >{tmp_path}/deaf\nwhile :; do sleep 0.1; done"
    with step(tmp_path, "run_make", body) as process:
        wait_for(tmp_path / "deaf")
        process.send_signal(signal.SIGINT)
        wait_for(tmp_path / "told")
        process.send_signal(signal.SIGINT)
        process.wait(EVENT)
    wait_ended(wait_for(tmp_path / "began"))


@pytest.mark.parametrize("name", ["replace_module", "load_module"])
def test_asterisk_is_not_left_without_the_module(tmp_path: Path, name: str) -> None:
    """What has unloaded it loads it again before Ctrl-C ends it all."""
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    with step(tmp_path, name, f"read line <{fifo}") as process:
        process.send_signal(signal.SIGINT)
        fifo.write_text("go\n")
        process.wait(EVENT)
        wait_for(tmp_path / "over")
