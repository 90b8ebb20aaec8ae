"""The mock as a program: its arguments, its output, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.timing import EVENT
from tests.unit.mock_client import LENIENT, Client, get

ROOT = Path(__file__).parents[2]
LIMIT = EVENT  # an interpreter starts, and espeak-ng speaks a sentence or two

SILENT = """
title = "silent"
[agents.default]
format = "ulaw_8000"
"""
SILENT += "[limits]\n" + "".join(f"{name} = {ms}\n" for name, ms in LENIENT.items())


@contextlib.asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The program and its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pyconvai.mock", *arguments, cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), LIMIT)).decode()
        assert line.startswith("ready http"), line
        yield process, line.split()[1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ended(process: asyncio.subprocess.Process, number: signal.Signals) -> tuple[int, str]:
    """(exit status, rest of stdout) after a signal."""
    process.send_signal(number)
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.fixture
def silent(tmp_path: Path) -> str:
    path = tmp_path / "silent.toml"
    path.write_text(SILENT)
    return str(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_reports_at_the_end(silent: str, tmp_path: Path, number: signal.Signals) -> None:
    report, log, recordings = tmp_path / "r.json", tmp_path / "log", tmp_path / "recordings"

    async def run() -> None:
        arguments = ["--scenario", silent, "--report", str(report), "--log-json", str(log)]
        async with running(*arguments, "--record", str(recordings)) as (process, url):
            async with Client.open(url, "agent_7", init={"dynamic_variables": {"x": 1}}) as client:
                await asyncio.sleep(0.1)
                assert client.metadata
            assert (await get(f"{url}/mock/report"))[0] == 200
            status, output = await ended(process, number)
        assert status == 0
        assert "1 sessions, 1 requests, 0 violations" in output
        assert "agent 'agent_7'" in output

    asyncio.run(run())
    session = json.loads(report.read_text())["sessions"][0]
    assert (session["agent_id"], session["close_code"], session["closed_by"]) == (
        "agent_7", 1000, "client"
    )  # fmt: skip
    assert session["dynamic_variables"] == {"x": 1}
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events[:4] == ["request", "open", "init", "metadata_sent"]
    assert len(list(recordings.iterdir())) == 5


def test_strict_fails_on_a_violation(silent: str) -> None:
    async def run() -> None:
        async with running("--scenario", silent, "--strict") as (process, url):
            async with Client.open(url) as client:
                await client.send({"type": "made_up"})
            status, output = await ended(process, signal.SIGTERM)
        assert status == 1
        assert "VIOLATION unknown_type" in output

    asyncio.run(run())


def test_it_ends_while_a_conversation_is_up(silent: str) -> None:
    async def run() -> None:
        async with running("--scenario", silent) as (process, url), Client.open(url) as client:
            status, output = await ended(process, signal.SIGTERM)
            assert (status, "closed by agent (1001)" in output) == (0, True)
            assert (await client.closed())[0] == 1001

    asyncio.run(run())


def test_tls(silent: str, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=LIMIT)
    trust = ssl.create_default_context(cafile=certificate)

    async def run() -> None:
        arguments = ["--tls-cert", str(certificate), "--tls-key", str(key)]
        async with running("--scenario", silent, *arguments) as (_, url):
            assert url.startswith("https://127.0.0.1:")
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", int(url.rpartition(":")[2]), ssl=trust
            )
            path = "/v1/convai/conversation/get-signed-url?agent_id=a"
            writer.write(f"GET {path} HTTP/1.1\r\nHost: h:1\r\nxi-api-key: k\r\n\r\n".encode())
            answer = (await asyncio.wait_for(reader.read(), LIMIT)).decode()
            writer.close()
            assert '{"signed_url": "wss://h:1/v1/convai/conversation?agent_id=a&' in answer

    asyncio.run(run())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenario", "nowhere"], "nowhere: no such scenario file; shipped ones:"),
        (["--tls-cert", "x"], "--tls-cert and --tls-key go together"),
        (["--tls-cert", "/no", "--tls-key", "/no"], "No such file"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], message: str) -> None:
    command = [sys.executable, "-m", "pyconvai.mock", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_it_needs_nothing_but_websockets() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules);"
        "import pyconvai.mock, pyconvai.mock.caller, pyconvai.mock.__main__;"
        "names = {n.partition('.')[0] for n in set(sys.modules) - before};"
        "print(*names - set(sys.stdlib_module_names));"
        "print(*(n for n in sys.modules if n.startswith('pyconvai.')))"
    )
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
    packages, modules = done.stdout.splitlines()
    assert set(packages.split()) == {"pyconvai", "websockets"}
    assert all(module.startswith("pyconvai.mock") for module in modules.split())
