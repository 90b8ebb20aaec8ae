"""``python3 -m pyconvai.mock``: the mock as a program of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from .. import __version__
from .faults import BODIES, CATALOGUE, HTTP_STAGES, SOCKET_STAGES
from .record import LogSink
from .report import summary
from .scenario import ScenarioError, shipped
from .server import MockAgent
from .voice import VoiceError

_USAGE_ERROR = 2
_VIOLATION = 1


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 -m pyconvai.mock",
        description="A mock voice agent: prints 'ready URL' when it is up, ends on SIGTERM.",
    )
    parser.add_argument("--version", action="version", version=f"mock agent {__version__}")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--tls-cert", type=Path, help="certificate chain (PEM)")
    parser.add_argument("--tls-key", type=Path, help="its private key (PEM)")
    parser.add_argument(
        "--scenario", default="default", help=f"a TOML file, or one of: {', '.join(shipped())}"
    )
    parser.add_argument("--report", type=Path, help="write the JSON report here at the end")
    parser.add_argument("--record", type=Path, help="keep both sides of every session here")
    parser.add_argument("--strict", action="store_true", help="exit 1 on any violation")
    parser.add_argument("--log-json", help="live events, one JSON object a line; - is stdout")
    parser.add_argument("--speech-cache", type=Path, help="where speech is kept between runs")
    parser.add_argument("--faults", action="store_true", help="list faults and stages, and end")
    arguments = parser.parse_args(argv)
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    return arguments


def _print_faults() -> None:
    for name, (places, keys, text) in CATALOGUE.items():
        options = f" ({', '.join(keys)})" if keys else ""
        print(f"{name}{options} [{'/'.join(places)}]: {text}")
    print(f"stages, HTTP: {' '.join(HTTP_STAGES)}")
    print(f"stages, socket: {' '.join(SOCKET_STAGES)}")
    print(f"bodies of http_status: {' '.join(BODIES)}")


def _tls(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    if arguments.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.tls_cert, arguments.tls_key)
    return context


@contextlib.contextmanager
def _live_log(target: str | None) -> Iterator[LogSink | None]:
    """A sink for live events, or None."""
    if target is None:
        yield None
    elif target == "-":
        yield _writer(sys.stdout)
    else:
        with Path(target).open("w", encoding="utf-8") as stream:
            yield _writer(stream)


def _writer(stream: TextIO) -> LogSink:
    def write(entry: dict[str, Any]) -> None:
        print(json.dumps(entry, ensure_ascii=False), file=stream, flush=True)

    return write


async def _serve(arguments: argparse.Namespace) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with _live_log(arguments.log_json) as log:
        mock = MockAgent(
            arguments.scenario,
            arguments.host,
            arguments.port,
            tls=_tls(arguments),
            record_dir=arguments.record,
            speech_cache=arguments.speech_cache,
            log=log,
        )
        async with mock:
            print(f"ready {mock.url}", flush=True)
            await stop.wait()
        data = mock.report()
    if arguments.report is not None:
        arguments.report.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    print(summary(data), flush=True)
    return _VIOLATION if arguments.strict and data["violations"] else 0


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0; 1 with --strict on a violation; 2 for bad arguments or scenario."""
    arguments = _arguments(argv)
    if arguments.faults:
        _print_faults()
        return 0
    try:
        return asyncio.run(_serve(arguments))
    except (ScenarioError, VoiceError, OSError) as exc:
        print(f"mock agent: {exc}", file=sys.stderr)
        return _USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main())
