"""The floor of the loop thread and of a call: what they cost where only that is done which must be.

    with client(root, service, ca, 40, 20) as told:
        told()
        time.sleep(8)
        print(told()["us"])        # of a processor, for a second of a call

bench_loop.c holds conversations with the mock agent, and does of each only what any client has to.
`held` has as many calls in bench_floor.c's application beside it, which waits as a call with an
agent does. So the channel's thread and the client share caches, turns and the agents' process as
the module's two do, and their sum is the floor of a call.
"""

from __future__ import annotations

import json
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from testbed import bench_floor
from testbed.bench_bed import FOLDER, Started
from testbed.bench_figures import US_PER_PERCENT
from testbed.bench_load import ULAW, hold
from testbed.errors import TestbedError
from testbed.root import Root

WINDOW_SECONDS = 8.0
"""Twice the time in which an agent speaks once and is silent once."""

SOURCE = Path(__file__).with_suffix(".c")
COMPILE = (
    *("gcc", "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow", "-Wconversion"),
    *("-Wstrict-prototypes", "-Wmissing-declarations", "-Werror"),
)
LIBRARIES = ("-l:libssl.so.3", "-l:libcrypto.so.3")
BUILD_SECONDS = 60.0
ANSWER_SECONDS = 30.0
"""Limit on an answer, and on all calls being up, one after the other."""

OPENING = {
    "type": "conversation_initiation_client_data",
    "source_info": {"source": "unknown", "version": "app_elevenlabs_convai"},
}
"""What the engine says first, of a call without variables."""

Told = Callable[[], dict[str, Any]]
"""What the client says of the time since the last call of this: see bench_loop.c."""


@contextmanager
def client(root: Root, service: str, ca: str, calls: int, chunk_ms: int) -> Iterator[Told]:
    """Have conversations with the mock agent, in a process of their own, in the root.

    service: the mock's URL. ca: whom to trust, a path inside the root. Raises TestbedError.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    program, output = FOLDER / "bench_loop", FOLDER / "bench_loop.output"
    build = [*COMPILE, "-o", root.path(program), root.path(SOURCE), *LIBRARIES]
    root.run(build, timeout=BUILD_SECONDS)
    what = (str(urlsplit(service).port), ca, "loop", str(calls), str(chunk_ms), json.dumps(OPENING))
    with output.open("wb") as file:
        process = root.popen(
            [root.path(program), *what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    lines, questions = process.stdout, process.stdin

    def line() -> bytes:
        ready, _, _ = select.select([lines], [], [], ANSWER_SECONDS)
        text = lines.readline() if ready else b""
        if not text:
            raise TestbedError(f"bench_loop.c has not answered: {output.read_text()}")
        return text

    def told() -> dict[str, Any]:
        questions.write(b"\n")
        questions.flush()
        found: dict[str, Any] = json.loads(line())
        return found

    try:
        line()  # ready
        yield told
    finally:
        questions.close()
        try:
            process.wait(ANSWER_SECONDS)
        finally:
            process.kill()
            process.wait()
            lines.close()


def held(bed: Started, calls: int, chunk_ms: int) -> dict[str, Any]:
    """As many calls that only wait as the client has conversations: what a call of both costs.

    As bench_load.Held has it: `loop` is the client's thread, `audible` what agents have said.
    """
    bench_floor.load(bed.asterisk)
    found: list[dict[str, Any]] = []
    with client(bed.asterisk.root, bed.service, bed.ca, calls, chunk_ms) as told:

        def window(seconds: float) -> None:
            told()
            time.sleep(seconds)
            found.append(told())

        seconds = min(bed.seconds, WINDOW_SECONDS)
        waiting = hold(bed, "floor", calls, seconds=(seconds,), meanwhile=window)
    (talk,) = found
    loop = round(talk["us"] / US_PER_PERCENT, 4)
    percent = round(waiting.percent + loop, 4)
    spoken = talk["audio_bytes"] / ULAW.bytes_in(talk["seconds"]) / calls
    return {
        **waiting.as_dict(),
        "percent": percent,
        "windows": [percent],
        "loop": loop,
        "rest": round(waiting.rest + waiting.loop, 4),
        "audible": round(spoken, 2),
        "client": talk,
    }
