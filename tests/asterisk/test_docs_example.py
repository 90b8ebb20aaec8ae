"""The examples of docs/testing.md and docs/development.md, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from testbed import service
from testbed.paths import PROJECT
from testbed.root import Root
from testbed.speech import loud_parts, read_wav
from tests.timing import SECOND

PAGE = PROJECT / "docs" / "testing.md"
FIRST_PAGE = PROJECT / "docs" / "development.md"
NAME = f"docs-{os.getpid()}"
RUN_SECONDS = 240
"""Of one script: it builds, which other tests may do just then, and starts an Asterisk."""

FAULT = 'faults = [{ name = "reset", stage = "greeting" }]'


def example() -> str:
    """The page's only block of shell."""
    (block,) = shell_blocks(PAGE)
    return block


def shell_blocks(page: Path) -> list[str]:
    """Everything of a page that is to be typed."""
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(script: str) -> list[str]:
    """Its lines that are neither text of a file nor the rest of a longer line."""
    without_files = re.sub(r"<<'END'\n.*?^END\n", "\n", script, flags=re.M | re.S)
    return without_files.replace("\\\n", "").strip().splitlines()


@pytest.mark.limit(2 * RUN_SECONDS)
def test_the_example_works_as_it_stands(root: Root, tmp_path: Path) -> None:
    """As on the page; and then with an agent that breaks off, which must not pass for success."""
    script = example()
    assert len(commands(script)) <= 10, "it is said to be short"
    broken = script.replace("[agents.default]\n", f"[agents.default]\n{FAULT}\n")
    assert broken != script
    environment = os.environ | {"TESTBED_NAME": NAME, "TMPDIR": str(tmp_path)}
    for text, succeeds in ((script, True), (broken, False)):
        try:
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", text],
                cwd=PROJECT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=RUN_SECONDS * SECOND,
                check=False,
            )
        finally:
            if service.read_state(NAME):
                service.down(NAME)
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        if succeeds:
            assert "agent: Ten euros an hour." in done.stdout
            # The third, if it was in time, is for the signed URL of the next call.
            assert re.search("1 sessions, [23] requests, 0 violations", done.stdout)
            assert "closed by agent (1000)" in done.stdout


@pytest.mark.limit(RUN_SECONDS)
def test_from_a_clone_to_another_greeting(root: Root) -> None:
    """What a developer does first."""
    name = f"first-{os.getpid()}"
    script = "".join(shell_blocks(FIRST_PAGE)) + "python3 -m testbed down\n"
    done = subprocess.run(
        ["bash", "-e", "-c", script.replace("build/testbed/default", f"build/testbed/{name}")],
        cwd=PROJECT,
        env=os.environ | {"TESTBED_NAME": name},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS * SECOND,
        check=False,
    )
    if service.read_state(name):
        service.down(name)
    assert done.returncode == 0, done.stdout + done.stderr
    greetings = re.findall("agent: (Hello, this is the bicycle shop|Good evening)", done.stdout)
    in_order = ["Hello, this is the bicycle shop", "Good evening"]
    assert greetings == 2 * in_order, "each after its call, and both at the end"
    recordings = [Path(file) for file in re.findall(r"gaps \d+; (\S+\.wav)$", done.stdout, re.M)]
    assert [len(loud_parts(read_wav(file))) for file in recordings] == [2, 2], "greeting, goodbye"


def test_the_change_in_python_finds_its_place() -> None:
    """That a change is in service with the next call is for test_dev.py."""
    command = r"^sed -i 's/(\S+ \S+)\$/.*' (pyconvai/\S+)$"
    (found,) = re.findall(command, FIRST_PAGE.read_text(encoding="utf-8"), re.M)
    lines = (PROJECT / found[1]).read_text(encoding="utf-8").splitlines()
    assert sum(line.endswith(found[0]) for line in lines) == 1
