"""The programs of app_elevenlabs_convai/tests that place calls, as somebody would run them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from testbed.mock import MockAgent
from testbed.paths import PROJECT
from testbed.root import Root
from testbed.tls import Certificate
from tests.timing import PROGRAM, only_in_full

pytestmark = pytest.mark.limit(300)

FOLDER = PROJECT / "app_elevenlabs_convai" / "tests"
GIVEN = ("ELEVENLABS_API_KEY", "ELEVENLABS_AGENT_ID", "ELEVENLABS_BASE_URL", "ELEVENLABS_CA_FILE")


def run(command: list[str], folder: Path, status: int, **given: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in GIVEN}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PROGRAM,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def test_integration_with_a_mock_that_runs(root: Root) -> None:
    """From its own directory."""
    with MockAgent(root, "default") as mock:
        said = run(["./test_integration", "--mock", "--url", mock.url], FOLDER, 0)
    assert f"using the mock agent at {mock.url}" in said
    assert "test_integration: passed" in said
    (session,) = mock.report["sessions"]
    assert session["heard_speech_ms"] > 0
    assert session["conversation_id"] in said


def test_integration_with_a_mock_that_refuses(root: Root) -> None:
    faults = 'faults = [{ name = "http_status", stage = "signed_url", status = 401 }]\n'
    with MockAgent(root, f'title = "broken"\n[agents.default]\n{faults}') as mock:
        said = run([str(FOLDER / "test_integration"), "--url", mock.url], Path("/"), 1)
    assert "FAILED: the call ended with AUTH" in said


@only_in_full("is make test-live with another service")
def test_live_over_tls(root: Root, tls: Certificate) -> None:
    """`make test-live`, in the module's directory; the service is the mock."""
    with MockAgent(root, "default", tls=tls) as mock:
        said = run(
            ["make", "-C", "app_elevenlabs_convai", "test-live"],
            PROJECT,
            0,
            ELEVENLABS_API_KEY="a-key-of-somebodys",
            ELEVENLABS_AGENT_ID="agent_somebodys",
            ELEVENLABS_BASE_URL=mock.url,
            ELEVENLABS_CA_FILE=str(tls.ca),
        )
    assert mock.url.startswith("https:")
    assert "a-key-of-somebodys" not in said
    assert mock.report["sessions"][0]["agent_id"] == "agent_somebodys"
    assert "test_integration: passed" in said


@pytest.mark.parametrize("given", GIVEN[:2])
def test_live_says_what_is_missing(given: str) -> None:
    (missing,) = set(GIVEN[:2]) - {given}
    said = run([str(FOLDER / "test_integration"), "--live"], FOLDER, 2, **{given: "x"})
    assert f"{missing} must be set" in said
    assert given not in said
