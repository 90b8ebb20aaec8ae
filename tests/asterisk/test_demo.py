"""`make demo`: the conversation is real, and what it leaves is true."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from pyconvai.core._core import slin_to_ulaw
from testbed.demo import FOLDER
from testbed.rtp import CODECS
from testbed.speech import read_wav
from tests.timing import SECOND

ULAW = CODECS["ulaw"]


@pytest.mark.limit(300)
@pytest.mark.usefixtures("root")
def test_demo() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "testbed.demo"],
        capture_output=True,
        text=True,
        timeout=240 * SECOND,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Goodbye" in run.stdout
    assert "(the caller interrupts)" in run.stdout

    summary = json.loads((FOLDER / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "AGENT_ENDED"
    assert summary["asterisk_version"]
    assert re.fullmatch(r"[0-9a-f]{12}", summary["engine_build"])
    assert summary["conversation_id"].startswith("conv_")
    assert summary["caller_heard_ms"] > 8000
    assert summary["agent_heard_ms"] > 3000
    speakers = [line["speaker"] for line in summary["transcript"]]
    assert speakers == ["agent", "caller"] * 3 + ["agent"]
    assert all(line["text"] and line["at_ms"] >= 0 for line in summary["transcript"])

    report = (FOLDER / "report.html").read_text(encoding="utf-8")
    for text in (summary["conversation_id"], "<del>", "book_visit", "booked: Saturday at 11:00"):
        assert text in report, text
    assert run.stdout.rstrip().endswith("build/demo/report.html")

    # baresip's table of mu-law differs from ours in rounding; compressed again, both are the same.
    heard = slin_to_ulaw(read_wav(FOLDER / "caller_heard.wav"))
    (raw,) = (FOLDER / "agent").glob("*-agent.raw")
    said = raw.read_bytes()
    for part in (said[: ULAW.bytes_in(3.0)], said[-ULAW.bytes_in(3.0) :]):
        assert heard.count(part) == 1, "a part is missing, cut, or repeated"
