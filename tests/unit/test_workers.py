"""Tools in Python, with real worker processes: each call is answered once, whatever they do."""

from __future__ import annotations

import asyncio
import operator
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from pyconvai import limits, log
from pyconvai.conversation import asked, process
from pyconvai.conversation.worker import Answer
from pyconvai.conversation.workshop import Workshop, Workshops
from pyconvai.service.settings import PairKind
from pyconvai.tools import frames
from tests.timing import EVENT, NEVER, SECOND

pytestmark = pytest.mark.slow

TOOLS = '''
import asyncio, ctypes, decimal, os, re, resource, signal, sys, threading, time
from typing import Literal
from pyconvai.tools import Call, ToolFailed
import _beside

def add(a: int, b: float = 0.5) -> float:
    """Adds
    two numbers."""
    return a + b

async def who(call: Call, city: Literal["Bern", "Basel"] = "Bern") -> dict:
    return {"channel": call.channel, "agent": call.agent, "city": city, "beside": _beside.NAME}

def text(): return "as it is: \\u00e9\\ud800"
def nothing(): pass
def sleep(n: float): time.sleep(n)
def waits_for(path: str):
    while not os.path.exists(path): time.sleep(0.01)
async def patient(n: float):
    try:
        await asyncio.sleep(n)
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise
def leave(): os._exit(3)
def segfault(): os.kill(os.getpid(), signal.SIGSEGV)
def throws(): raise ValueError("no\\nsuch")
def fails(): raise ToolFailed("No such customer.")
def exits(): sys.exit(1)
async def exits_too(): raise KeyboardInterrupt
def stops(): raise StopIteration
def forks():
    return "child" if not os.fork() else "parent"
async def forks_too():
    pid = os.fork()
    await asyncio.sleep(0.05)
    return "parent" if pid else "child"
def leaves_child():
    if not os.fork():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(1000)
    return "done"
def big(): return "x" * 1_000_000
def odd(kind: int): return (decimal.Decimal("1.5"), {1}, (n for n in range(3)), b"a")[kind]
def memory(): return len(b"x" * (2 << 30))
def native(): ctypes.PyDLL(None).sleep(1000)
def prints(n: int): print("\\n".join(f"line {i}" for i in range(n)), flush=True)
def environment() -> dict:
    return dict(os.environ)
def facts() -> dict:
    return {
        "mask": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "policy": os.sched_getscheduler(0),
        "nice": os.nice(0),
        "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
        "session": os.getsid(0) == os.getpid(),
        "stdin": os.read(0, 1) == b"",
        "descriptors": sorted(int(each) for each in os.listdir("/proc/self/fd")),
        "oom": int(open("/proc/self/oom_score_adj").read()),
        "cwd": os.getcwd(),
        "main": threading.current_thread() is threading.main_thread(),
    }
'''
BESIDE = 'NAME = "beside"\n'
CALL = {"channel": "PJSIP/1", "unique_id": "1.1", "agent": "sales", "conversation_id": "conv_1"}


class Bench:
    """A workshop, and what came of it."""

    def __init__(self, directory: Path, lines: list[str]) -> None:
        self.workshop = Workshop(str(directory))
        self.directory, self.lines = directory, lines

    def ask(self, name: str, seconds: float = EVENT, **arguments: Any) -> asyncio.Future[Answer]:
        return self.workshop.call(name, arguments, CALL, seconds)

    async def begun(self, name: str) -> None:
        """Wait until a call of this tool has begun."""
        await self.until(
            lambda: any(
                job.name == name and job.has_begun
                for _, worker in self.workshop.workers
                for job in worker.jobs.values()
            ),
            f"{name} has not begun",
        )

    async def call(self, name: str, seconds: float = EVENT, **arguments: Any) -> tuple[str, bool]:
        answer = await self.ask(name, seconds, **arguments)
        return answer.text, answer.is_error

    @property
    def pid(self) -> int:
        (worker,) = [worker for what, worker in self.workshop.workers if what == "serving"]
        return worker.pid

    def logged(self, part: str) -> int:
        return sum(part in line for line in self.lines)

    async def until(self, reached: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + EVENT
        while not reached():
            assert time.monotonic() < deadline, f"{what}: {self.lines}"
            await asyncio.sleep(0.01)


Play = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "tools.py").write_text(TOOLS, encoding="utf-8")
    (tmp_path / "_beside.py").write_text(BESIDE, encoding="utf-8")
    return tmp_path


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(log, "host", lambda _level, text, _channel="": told.append(text))
    return told


@pytest.fixture
def play(directory: Path, lines: list[str]) -> Play:
    """Run a scene; afterwards no process is left."""

    def run(scene: Callable[[Bench], Awaitable[None]]) -> None:
        async def whole() -> None:
            bench = Bench(directory, lines)
            await bench.workshop.known(EVENT)
            pids = [worker.pid for _, worker in bench.workshop.workers]
            try:
                await scene(bench)
            finally:
                pids += [worker.pid for _, worker in bench.workshop.workers]
                bench.workshop.close()
            await bench.until(
                lambda: not any(map(is_there, filter(None, pids))), "processes are left"
            )

        asyncio.run(whole())

    return run


def is_there(group: int) -> bool:
    """Whether anybody of a process group lives."""
    return members(group) > 0


def members(group: int) -> int:
    """How many of a process group live."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.waitpid(group, os.WNOHANG)  # Asterisk does that in our place
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            found += int(fields[2]) == group and fields[0] != "Z"
    return found


def test_values_and_results(play: Play) -> None:
    async def scene(bench: Bench) -> None:
        assert await bench.call("add", a=1, b=2) == ("3.0", False)
        assert await bench.call("add", a="x") == ("The parameter a must be a whole number.", True)
        told, is_error = await bench.call("who", city="Basel")
        assert not is_error
        assert orjson.loads(told) == {
            "channel": "PJSIP/1",
            "agent": "sales",
            "city": "Basel",
            "beside": "beside",
        }
        assert await bench.call("text") == ("as it is: \u00e9?", False)
        assert await bench.call("nothing") == ("Done.", False)
        tools = bench.workshop.tools
        assert tools is not None
        assert tools["add"].about == "Adds two numbers."
        assert "_beside.py" not in {each.file for each in tools.values()}

    play(scene)


def test_a_process_of_its_own(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of Asterisk's comes with it: keys of the environment, descriptors, signals."""
    monkeypatch.setenv("ELEVENLABS_API_KEY", "sk_planted")

    async def scene(bench: Bench) -> None:
        told = orjson.loads((await bench.call("environment"))[0])
        assert set(told) <= {*process.environment(), "LC_CTYPE"}
        facts = orjson.loads((await bench.call("facts"))[0])
        assert len(facts.pop("descriptors")) <= 10
        assert facts == {
            "mask": 0,
            "policy": os.SCHED_OTHER,
            "nice": min(19, os.nice(0) + limits.WORKER_NICE),
            "memory": limits.WORKER_MEMORY_BYTES,
            "session": True,
            "stdin": True,
            "oom": 1000,
            "cwd": "/",
            "main": False,
        }

    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        play(scene)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_exceptions(play: Play) -> None:
    """The agent gets a sentence, the log the traceback; the worker is the same afterwards."""

    async def scene(bench: Bench) -> None:
        pid = bench.pid
        for name in ("throws", "exits", "exits_too", "stops", "memory"):
            answer = await bench.ask(name)
            text = f"{name} failed; the phone system's log tells why."
            assert (answer.text, answer.is_error) == (text, True)
            assert f"in {name}\n" in answer.fault
        assert "ValueError: no\nsuch" in (await bench.ask("throws")).fault
        assert await bench.ask("fails") == Answer("No such customer.", is_error=True)
        told = "The result of big is too long: 1000000 bytes; 16384 are the most."
        assert await bench.call("big") == (told, True)
        assert await bench.call("odd", kind=0) == ('"1.5"', False)
        assert await bench.call("odd", kind=1) == ("[1]", False)
        for kind in (2, 3):
            answer = await bench.ask("odd", kind=kind)
            assert answer.is_error
            assert "which JSON does not have; return text, numbers" in answer.fault
        assert await bench.call("forks") == ("parent", False)
        assert await bench.call("forks_too") == ("parent", False)
        assert await bench.call("add", a=1) == ("1.5", False)
        assert bench.pid == pid
        await bench.until(lambda: members(pid) == 1, "what was forked goes on as a worker")

    play(scene)


@pytest.mark.parametrize("how", ["leave", "segfault"])
def test_a_worker_that_dies(play: Play, how: str) -> None:
    """What ran in it is answered, what it had not begun is done by the next one."""

    async def scene(bench: Bench) -> None:
        pid = bench.pid
        sleeps = bench.ask("sleep", n=100)
        await bench.call("add", a=1)
        assert await bench.call("leaves_child") == ("done", False)
        broken = f"{how} was broken off; the phone system's log tells why."
        assert await bench.call(how) == (broken, True)
        assert (await sleeps).text.startswith("sleep was broken off")
        assert await bench.call("add", a=1) == ("1.5", False)
        assert bench.pid != pid
        assert not is_there(pid)
        assert bench.logged(f"it has ended while it ran {how}, sleep") or bench.logged(
            f"it has ended while it ran sleep, {how}"
        ), bench.lines

    play(scene)


def test_a_pause_before_one_that_dies_again_and_again(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WORKER_PAUSES", (0.0, 0.3))

    async def scene(bench: Bench) -> None:
        await bench.call("leave")
        began = time.monotonic()
        await bench.call("leave")
        assert await bench.call("add", a=1) == ("1.5", False)
        assert time.monotonic() - began >= 0.3

    play(scene)


def test_a_call_that_takes_too_long(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others of its worker end there; new ones get another, for a thread cannot be ended."""
    monkeypatch.setattr(limits, "WORKER_GRACE_SECONDS", 0.2 * SECOND)
    limit = 2 * SECOND  # in which both begin

    async def scene(bench: Bench) -> None:
        pid = bench.pid
        go = bench.directory / "go"
        other = bench.ask("waits_for", path=str(go))
        names = ("sleep", "patient")
        answers = [bench.call(name, limit, n=100) for name in names]
        told = [(f"{name} took too long and was given up.", True) for name in names]
        assert await asyncio.gather(*answers) == told
        await bench.until(lambda: len(bench.workshop.workers) == 2, "no other worker")
        assert await bench.call("add", a=1) == ("1.5", False)
        assert is_there(pid)
        go.touch()
        assert await other == Answer("Done.", is_error=False)
        await bench.until(lambda: not is_there(pid), "the worker stays")
        assert bench.logged("has a call that does not end: another one takes its place") == 1
        await bench.until(lambda: bench.logged("a tool prints: cancelled") == 1, "not cancelled")

    play(scene)


def test_what_has_waited_before_has_less_time(play: Play) -> None:
    async def scene(bench: Bench) -> None:
        answer = await bench.workshop.call("sleep", {"n": 100}, CALL, NEVER, NEVER - 0.1)
        assert answer.text == "sleep took too long and was given up."

    play(scene)


def test_a_worker_that_does_not_listen(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code that holds the GIL: its worker is ended, and what it had not read is done."""
    monkeypatch.setattr(limits, "WORKER_GRACE_SECONDS", 0.2 * SECOND)
    monkeypatch.setattr(limits, "WORKER_PING_SECONDS", 0.1 * SECOND)
    limit = 4 * SECOND  # in which it begins and is noticed

    async def scene(bench: Bench) -> None:
        pid = bench.pid
        native = bench.ask("native", limit)
        await bench.begun("native")
        # Within which a worker that listens answers.
        monkeypatch.setattr(limits, "WORKER_DEAF_SECONDS", 1.5 * SECOND)
        waits = bench.ask("add", a=1)  # it is not read any more
        await bench.until(lambda: bench.logged("does not listen") == 1, "not noticed")
        assert await bench.call("add", a=2) == ("2.5", False), "the other worker"
        assert await native == Answer(
            "native took too long and was given up.",
            is_error=True,
            fault=f"native takes longer than {limit:g} s",
        )
        assert (await waits).text == "1.5"
        await bench.until(lambda: not is_there(pid), "the worker stays")

    play(scene)


def test_not_more_than_so_many_at_once(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WORKER_CALLS", 3)

    async def scene(bench: Bench) -> None:
        running = [bench.ask("patient", n=100) for _ in range(3)]
        told = "Too many tools at once: 3 have not ended yet. Try again later."
        assert await bench.call("add", a=1) == (told, True)
        bench.workshop.close()
        for each in running:
            assert (await each).text.startswith("patient was broken off")

    play(scene)


def test_so_many_in_a_second(play: Play) -> None:
    async def scene(bench: Bench) -> None:
        for _ in range(10):
            answers = await asyncio.gather(*(bench.ask("add", a=i) for i in range(30)))
            assert [each.text for each in answers] == [f"{i}.5" for i in range(30)]

    play(scene)


def test_parameters_that_are_too_long(play: Play) -> None:
    async def scene(bench: Bench) -> None:
        told, is_error = await bench.call("who", city="x" * limits.TOOL_FRAME_BYTES)
        assert is_error
        assert told.startswith("who could not be begun: its parameters are too long")

    play(scene)


def test_broken_files_leave_the_others_working(
    play: Play, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that end the worker, or hang, when they are loaded."""
    limit = 3 * SECOND  # which all files keep but one
    monkeypatch.setattr(limits, "WORKER_LOAD_SECONDS", limit)
    files = {
        "a_syntax.py": "def x(:\n",
        "b_raises.py": "\n\nimport nothing_of_the_kind\n",
        "c_exits.py": "import sys\nsys.exit(1)\n",
        "d_dies.py": "import os\nos._exit(1)\ndef never() -> None: ...\n",
        "e_hangs.py": "import time\ntime.sleep(1000)\n",
        "f_others.py": "def add(a: int): ...\ndef untyped(a): ...\n",
        "g_strangers.py": "def stranger(): ...\n",
        "notes.txt": "no file of tools",
    }
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    (directory / "g_strangers.py").chmod(0o666)

    async def scene(bench: Bench) -> None:
        assert await bench.call("who") != ("", True)
        broken = {(each.file, each.line): each.why for each in bench.workshop.broken}
        assert broken.pop(("g_strangers.py", 0)).endswith("g_strangers.py; chmod o-w it")
        assert broken.pop(("tools.py", 7)) == "add is in f_others.py already"
        assert broken == {
            ("a_syntax.py", 1): "SyntaxError: invalid syntax",
            ("b_raises.py", 3): "ModuleNotFoundError: No module named 'nothing_of_the_kind'",
            ("c_exits.py", 2): "SystemExit: 1",
            ("d_dies.py", 0): "a worker that loaded it: it has ended",
            (
                "e_hangs.py",
                0,
            ): f"a worker that loaded it: it takes longer than {limit:g} s to load",
            ("f_others.py", 2): "untyped is no tool: the parameter a has no type hint; add one, or"
            " begin the function's name with _ if it is no tool",
        }
        assert bench.logged(f"{directory}/b_raises.py:3: ModuleNotFoundError") == 1
        assert await bench.call("never") == (
            "The phone system has no tool named never any more.",
            True,
        )

    play(scene)


def test_nothing_is_imported_that_others_may_write(play: Play, directory: Path) -> None:
    (directory / "_beside.py").chmod(0o666)

    async def scene(bench: Bench) -> None:
        assert bench.workshop.tools == {}
        (broken,) = bench.workshop.broken
        assert (broken.file, broken.line) == ("tools.py", 5)
        assert "every user may write" in broken.why

    play(scene)


def test_a_directory_that_others_may_write(play: Play, directory: Path) -> None:
    directory.chmod(0o777)

    async def scene(bench: Bench) -> None:
        assert bench.workshop.tools == {}
        (broken,) = bench.workshop.broken
        assert broken.why == f"PermissionError: every user may write {directory}; chmod o-w it"

    play(scene)


def test_a_reload(play: Play, directory: Path) -> None:
    """New calls get what is there now, those under way end where they are."""

    async def scene(bench: Bench) -> None:
        pid = bench.pid
        go = directory / "go"
        old = bench.ask("waits_for", path=str(go))
        await bench.call("nothing")
        (directory / "tools.py").write_text("def add(a: int) -> str: return f'new {a}'\n")
        bench.workshop.renew()
        bench.workshop.renew()
        assert await bench.call("add", a=1) == ("1.5", False), "until the files are loaded"
        await bench.until(lambda: bench.pid != pid, "not renewed")
        assert await bench.call("add", a=1) == ("new 1", False)
        told = "The phone system has no tool named sleep any more."
        assert await bench.call("sleep", n=1) == (told, True)
        go.touch()
        assert await old == Answer("Done.", is_error=False)
        await bench.until(lambda: not is_there(pid), "the old worker stays")

    play(scene)


def test_what_tools_print_is_logged_and_not_without_end(play: Play) -> None:
    async def scene(bench: Bench) -> None:
        await bench.call("prints", n=5000)
        await bench.until(lambda: bench.logged("a tool prints: line 19") == 1, "not logged")
        assert await bench.call("add", a=1) == ("1.5", False)
        bench.workshop.close()
        assert bench.logged("a tool prints: ") == limits.WORKER_LINES
        assert bench.logged("more lines that tools have printed") == 1

    play(scene)


def test_whoever_starts_it_dies(play: Play) -> None:
    """The kernel ends it, though native code holds its GIL, and those that it has forked."""

    async def scene(bench: Bench) -> None:
        pid = bench.pid
        await bench.call("leaves_child")
        bench.ask("native", 100)
        await bench.begun("native")
        ((_, worker),) = bench.workshop.workers
        ends = worker._process._ends
        assert ends is not None
        ends.lifeline.close()  # as when Asterisk is killed
        await bench.until(lambda: not is_there(pid), "it lives on")

    play(scene)


def test_no_python_to_be_had(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "interpreter", lambda: "/nonexistent/python")

    async def scene(bench: Bench) -> None:
        assert await bench.workshop.known(EVENT) == {}
        assert bench.logged("/nonexistent/python cannot be started: FileNotFoundError")
        told = "add took too long and was given up."
        assert await bench.call("add", 0.2 * SECOND, a=1) == (told, True)

    play(scene)


@pytest.mark.parametrize(
    "said",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x02[]",
        b"\x00\x00\x00\x02{x",
        frames.packed({"is": "nonsense"}),
        frames.packed({"is": "tool"}),
        (100_000).to_bytes(4, "big") + b"[" * 100_000,
    ],
)
def test_a_worker_that_does_not_speak_as_one(directory: Path, said: bytes, play: Play) -> None:
    (directory / "bad.py").write_text(
        f"import os, sys\ndef bad() -> None:\n    os.write(int(sys.argv[1]), {said!r})\n"
        "    import time; time.sleep(100)\n"
    )

    async def scene(bench: Bench) -> None:
        assert (await bench.call("bad"))[0].startswith("bad was broken off")
        assert bench.logged("it does not speak as a worker does") == 1
        assert await bench.call("add", a=1) == ("1.5", False)

    play(scene)


# ---- What commands ask ----


def pairs(**arguments: Any) -> list[tuple[int, str, str]]:
    return [(PairKind.ARGUMENT, name, str(value)) for name, value in arguments.items()]


def test_what_commands_are_told(directory: Path, lines: list[str]) -> None:
    (directory / "bad.py").write_text("x = \n")

    async def scene() -> None:
        workshops = Workshops()
        about = asked.AboutTools(workshops)
        step = "pay@shop"
        ok, told = await about.show("", pairs(directory=directory, step=step))
        assert ok
        assert told[0] == "end_call(reason: string, optional): built in"
        assert (
            f"add(a: integer, b: number, optional): {directory}/tools.py:7: Adds two numbers."
            in told
        )
        assert f"who(city: Bern|Basel, optional): {directory}/tools.py:12" in told
        assert "pay: a step, shop" in told
        assert f"BROKEN {directory}/bad.py:1: SyntaxError: invalid syntax" in told
        (directory / "more.py").write_text("def end_call(): pass\n")
        await about.renew("", pairs(directory=directory))
        _, told = await about.show("", pairs(directory=directory, step="add@shop", beside="add@b"))
        hidden = "; not reached, for there is one of this name above"
        assert f"end_call(): {directory}/more.py:1{hidden}" in told  # the files as they are now
        assert {f"add: a step, shop{hidden}", f"add: beside the call, b{hidden}"} <= set(told)
        own = [
            (PairKind.SETTING, "agent_id", "x"),
            (PairKind.SETTING, "tools", "add,pay*,find,get_state,transfer_call,fly"),
            (PairKind.SETTING, "get_state_allow", "sales"),
        ]
        own += pairs(directory=directory, step=step, beside="find@look")
        _, told = await about.show("a", own)
        assert [line.partition(f": {directory}")[0] for line in told[:6]] == [
            "get_state(name: string): built in",
            "transfer_call(destination: string, reason: string, optional, summary: string,"
            " optional): built in, and off: transfer_allow is none",
            "add(a: integer, b: number, optional)",
            "pay: a step, shop",
            "find: beside the call, look",
            "MISSING fly: no extension of steps_context or tools_context",
        ]
        test = {"tool": "add", "json": '{"a": 1}', "seconds": EVENT, "directory": directory}
        ok, told = await about.test("", pairs(**test))
        assert ok
        assert told[0].startswith("Tool add: OK after ")
        assert told[1:] == ["1.5"]
        ok, told = await about.test("", pairs(**(test | {"tool": "throws", "json": ""})))
        assert not ok
        assert told[0].startswith("Tool throws: FAILED after ")
        assert "ValueError: no" in told
        ok, told = await about.test("", pairs(**(test | {"json": "["})))
        assert (ok, told[0][:38]) == (False, "The parameters are no JSON object; an ")
        ok, told = await about.test("", pairs(**(test | {"tool": "fly"})))
        assert told == ["There is no tool fly in Python; elevenlabs show tools lists them"]
        ok, told = await about.test("", pairs(**(test | {"tool": "fly"}), beside="fly@look"))
        assert told == ["fly is dialplan, which runs in calls alone; call the agent to try it"]
        pid = workshops.of(str(directory)).workers[0][1].pid  # type: ignore[union-attr]
        await about.renew("", [])
        deadline = time.monotonic() + EVENT
        while is_there(pid):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        workshops.close()

    asyncio.run(scene())


SCHEMA = {"properties": {"a": {"type": "string"}, "n": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", {}),
        ('{"a": "x, y", "n": 1}', {"a": "x, y", "n": 1}),
        ("{a: x y, n: 1}", {"a": "x y", "n": 1}),
        ("'{a: 7}'", {"a": "7"}),
        ("{a: 007, n: -2, b: true, c: null, d: [x, 1.5]}", 0),
        ("{}", {}),
        ("[1]", None),
        ("a", None),
        ("{a: b: c}", None),
    ],
)
def test_parameters_whose_quotes_asterisk_took(typed: str, meant: Any) -> None:
    if meant == 0:
        meant = {"a": "007", "n": -2, "b": True, "c": None, "d": ["x", 1.5]}
    assert asked.read(typed, SCHEMA) == meant


def test_not_more_than_so_many_directories(lines: list[str]) -> None:
    async def scene() -> None:
        workshops = Workshops()
        for number in range(limits.WORKSHOPS):
            assert workshops.of(f"/d{number}") is not None
        assert workshops.of("/one more") is None
        assert workshops.of("/d0") is not None
        assert workshops.of("") is None

    asyncio.run(scene())
    assert "/one more is not used: 8 tools_directory are the most" in lines


# ---- What only happens rarely ----


def test_a_worker_that_never_says_anything(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs before its first file, as on a disk that does not answer: it is not waited for."""
    silent = tmp_path / "_silent.py"
    silent.write_text("import time\ntime.sleep(1000)\n")

    async def scene(bench: Bench) -> None:
        pid = bench.pid
        with monkeypatch.context() as patch:
            patch.setattr(process, "PROGRAM", silent)
            with monkeypatch.context() as hurried:  # it alone, in which it is started
                hurried.setattr(limits, "WORKER_START_SECONDS", 2 * SECOND)
                hurried.setattr(limits, "WORKER_LOAD_SECONDS", 0.3 * SECOND)
                bench.workshop.renew()
            ((_, _), (_, coming)) = bench.workshop.workers
            await bench.until(lambda: coming.pid != 0, "not started")
        silent_pid = coming.pid
        await bench.until(
            lambda: bench.logged("it has not begun to load in time") == 1, "waited for"
        )
        await bench.until(lambda: not is_there(silent_pid), "it lives on")
        await bench.until(lambda: bench.pid != pid, "no other")
        assert await bench.call("add", a=1) == ("1.5", False)

    play(scene)


def test_a_directory_that_is_no_agents_any_more(directory: Path, lines: list[str]) -> None:
    """Calls under way end where they are; later ones are told at once."""

    async def scene() -> None:
        workshops = Workshops()
        workshop = workshops.of(str(directory))
        assert workshop is not None
        assert "add" in await workshop.known(EVENT)
        ((_, worker),) = workshop.workers
        pid = worker.pid
        go = directory / "go"
        old = workshop.call("waits_for", {"path": str(go)}, CALL, EVENT)
        await workshop.call("nothing", {}, CALL, EVENT)
        workshops.renew([])
        told = await workshop.call("add", {"a": 1}, CALL, EVENT)
        assert told == Answer("The phone system has no tool named add any more.", is_error=True)
        go.touch()
        assert await old == Answer("Done.", is_error=False)
        deadline = time.monotonic() + EVENT
        while is_there(pid):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        workshops.close()

    asyncio.run(scene())


def test_functions_whose_hints_nobody_can_read(play: Play, directory: Path) -> None:
    """They are no tools, and take no others of their file with them."""
    (directory / "odd.py").write_text(
        "import enum, typing\n"
        "class Lists(enum.Enum):\n    A = [1]\n"
        "class Shy:\n    def __repr__(self): raise ValueError('shy')\n"
        "class Long:\n    def __repr__(self): return 'x' * 200_000\n"
        "def a(a: typing.List): ...\n"
        "def b(a: Lists): ...\n"
        "def c(*a: int, b=Shy()): ...\n"
        "def d(a=Long()): ...\n"
        "def e(a: int, /, b: int = Long()): ...\n"
        "def f(a: typing.Literal[[1]]): ...\n"
        "def g(a: typing.Dict): ...\n"
        "def sound() -> str: return 'sound'\n"
    )

    async def scene(bench: Bench) -> None:
        assert await bench.call("sound") == ("sound", False)
        broken = {each.why.partition(" ")[0]: each for each in bench.workshop.broken}
        assert sorted(broken) == ["b", "c", "d", "e", "f"]
        assert {each.file for each in broken.values()} == {"odd.py"}
        assert not bench.logged("has ended")
        assert bench.workshop.tools is not None
        assert bench.workshop.tools["a"].schema["properties"]["a"]["type"] == "array"
        assert bench.workshop.tools["g"].schema["properties"]["a"]["type"] == "object"

    play(scene)


def test_a_file_that_ends_the_worker_and_whose_name_is_no_unicode(
    play: Play, directory: Path
) -> None:
    """It is left out, as others are, and not tried again and again."""
    path = directory / os.fsdecode(b"bad\xff.py")
    path.write_text("import os\nos._exit(1)\n")

    async def scene(bench: Bench) -> None:
        assert await bench.call("add", a=1) == ("1.5", False)
        assert bench.logged("it has ended") <= 2

    play(scene)


def test_exceptions_that_cannot_be_told(play: Play, directory: Path) -> None:
    """The call is answered all the same, and the worker is the same afterwards."""
    (directory / "odd.py").write_text(
        "import asyncio\n"
        "from pyconvai.tools import ToolFailed\n"
        "class Shy(ToolFailed):\n    def __str__(self): raise ValueError('shy')\n"
        "def shy(): raise Shy\n"
        "async def shy_too(): raise Shy\n"
        "async def group():\n"
        "    async def leave_(): raise ValueError(3)\n"
        "    async with asyncio.TaskGroup() as tasks:\n        tasks.create_task(leave_())\n"
        "async def stop(): raise BaseExceptionGroup('all', [KeyboardInterrupt(), SystemExit()])\n"
        "async def closes(): raise GeneratorExit\n"
        "def endless():\n    a = []\n    a.append(a)\n    return a\n"
        "def huge(): return 10 ** 10_000\n"
        "def bytes_(): return {b'a': 1}\n"
    )

    async def scene(bench: Bench) -> None:
        pid = bench.pid
        names = ("shy", "shy_too", "group", "stop", "closes", "endless", "huge", "bytes_")
        for name in names:
            told = await bench.call(name)
            assert told == (f"{name} failed; the phone system's log tells why.", True), name
        assert await bench.call("add", a=1) == ("1.5", False)
        assert bench.pid == pid

    play(scene)


def test_parameters_at_the_limits_of_json(play: Play, directory: Path) -> None:
    """Whatever comes from a service, each call is answered at once."""
    (directory / "odd.py").write_text(
        "from typing import Any\ndef depth(a: Any) -> int:\n"
        "    n = 0\n    while a:\n        a = a[0]\n        n += 1\n    return n\n"
    )

    async def scene(bench: Bench) -> None:
        for depth in (100, *range(900, 1024)):
            value = orjson.loads("[" * depth + "]" * depth)
            text, is_error = await bench.call("depth", a=value)
            assert (text, is_error) == (str(depth - 1), False) or "could not be begun" in text
            await asyncio.sleep(0)  # what is answered at once is counted until then
        assert await bench.call("add", a=1e300, b=1)
        assert (await bench.call("add", a=2**63, b=1))[1] is False
        assert (await bench.call("depth", a=float("nan")))[1]

    play(scene)


def test_nothing_is_left_of_many_workers(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither descriptors nor threads nor processes, of reloads and of deaths."""
    monkeypatch.setattr(limits, "WORKER_PAUSES", (0.0,))

    async def scene(bench: Bench) -> None:
        def left() -> tuple[int, int]:
            descriptors, threads = (
                list(Path("/proc/self", each).iterdir()) for each in ("fd", "task")
            )
            return len(descriptors), len(threads)

        before = left()
        groups = set()
        for number in range(10):
            groups.add(bench.pid)
            if number % 2:
                bench.workshop.renew()
                bench.workshop.renew()
                old = bench.pid
                await bench.until(lambda: bench.pid != old, "not renewed")  # noqa: B023
            else:
                assert (await bench.call("leave"))[1]
                assert await bench.call("add", a=1) == ("1.5", False)
        await bench.until(
            lambda: all(map(operator.le, left(), before)), f"left: {before}, {left()}"
        )
        await bench.until(lambda: not any(map(is_there, groups - {bench.pid})), "processes")

    play(scene)


def test_a_directory_where_others_may_add_names(play: Play, directory: Path) -> None:
    """With the sticky bit they change none of ours, and yet add links to what is root's."""
    directory.chmod(0o1777)

    async def scene(bench: Bench) -> None:
        assert bench.workshop.tools == {}
        (broken,) = bench.workshop.broken
        assert broken.why == f"PermissionError: every user may write {directory}; chmod o-w it"

    play(scene)


def test_who_does_not_ask_gets_no_answer(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stood still for a while: its workers did as well, and are not deaf."""
    monkeypatch.setattr(limits, "WORKER_PING_SECONDS", 0.1 * SECOND)
    deaf = 1.5 * SECOND  # within which a worker that runs answers
    monkeypatch.setattr(limits, "WORKER_DEAF_SECONDS", deaf)

    async def scene(bench: Bench) -> None:
        pid = bench.pid
        runs = bench.ask("patient", n=2 * deaf)
        await bench.call("add", a=1)
        time.sleep(1.2 * deaf)  # noqa: ASYNC251  # the loop stands still
        assert await runs == Answer("Done.", is_error=False)
        assert not bench.logged("does not listen")
        assert bench.pid == pid

    play(scene)
