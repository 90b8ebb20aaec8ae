"""The loader brings engines in, side by side, and refuses what is broken within its limit."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pyconvai.core import _core
from tests.timing import EVENT, PROGRAM, SECOND
from tests.unit.engine import ffi, string
from tests.unit.nobody import holds, only_root

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import engine_store  # noqa: E402

# A thread that is ended by force may be anywhere, in a finalizer as well, and closes nothing.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ABI, SIZE = _core.contract()
LIMIT_MS = int(1000 * PROGRAM)
"""To import an engine, which a busy machine takes long for."""
SHORT_MS = int(800 * SECOND)

Install = Callable[..., Path]


def _import_loader() -> ModuleType:
    path = ROOT / "app_elevenlabs_convai" / "engine" / "loader.py"
    spec = importlib.util.spec_from_file_location("convai_loader_for_tests", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


loader = _import_loader()


def copy_with_byte_code(source: Path, copy: Path) -> None:
    """Copy a file, and what Python has made of it: only what is changed is compiled again."""
    copy.parent.mkdir(exist_ok=True)
    shutil.copy2(source, copy)
    code = Path(importlib.util.cache_from_source(str(source)))
    if source.suffix == ".py" and code.exists():
        copied = Path(importlib.util.cache_from_source(str(copy)))
        copied.parent.mkdir(exist_ok=True)
        shutil.copy2(code, copied)


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Put an engine into a directory of its own; `append` adds lines to its files."""

    def put(name: str, **append: str) -> Path:
        folder = tmp_path / f"{tmp_path.name}-{name}"
        package = folder / "pyconvai"
        package.mkdir(parents=True)
        for path in engine_store.engine_files(ROOT / "pyconvai"):
            copy_with_byte_code(ROOT / "pyconvai" / path, package / path)
        (folder / "in-use").touch()
        append = {"limits": f"\nSELFTEST_SECONDS = {EVENT}\n"} | append  # as in conftest.py
        for module, text in append.items():
            path = next(package.glob(f"{module}.py"), None) or next(package.glob(f"*/{module}.py"))
            path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
        return folder

    return put


class Module:
    """The C module's end: asks, and hears the answer."""

    def __init__(self) -> None:
        self._own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._own.settimeout(PROGRAM)
        loader.start(theirs.detach())
        self._number = 0
        self.tables: list[Any] = []

    def bring_in(
        self, folder: Path, limit_ms: int = LIMIT_MS, abi: int = ABI, size: int = SIZE
    ) -> Any:
        """The table of an engine that is taken; RuntimeError says why one is not."""
        self.ask(folder, limit_ms, abi, size)
        return self.answer()

    def ask(self, folder: Path, limit_ms: int = LIMIT_MS, abi: int = ABI, size: int = SIZE) -> None:
        """Ask for an engine, and wait for nothing."""
        self._number += 1
        deadline = time.monotonic_ns() // 1000 + 1000 * limit_ms
        self.send(f"import {self._number} {deadline} {abi} {size} {folder}")

    def answer(self) -> Any:
        """What the last request has brought, as `bring_in` returns it."""
        number, verdict, text = os.fsdecode(self._own.recv(65536)).split(" ", 2)
        assert int(number) == self._number
        if verdict == "error":
            raise RuntimeError(text)
        assert verdict == "ok"
        assert int(text), "an engine without a table"
        table = ffi.cast("struct convai_ops *", int(text))
        self.tables.append(table)
        return table

    def drop(self) -> None:
        """Give the last request up."""
        self.send(f"drop {self._number}")

    def send(self, request: str) -> None:
        self._own.send(os.fsencode(request))

    def vanish(self) -> None:
        """Close without a look at what is still said."""
        self._own.close()

    def close(self) -> None:
        """Unload: stop all engines, then the loader."""
        for table in self.tables:
            assert table.stop(LIMIT_MS) == 0
        self._own.shutdown(socket.SHUT_WR)
        assert self._own.recv(100) == b""
        self._own.close()


@pytest.fixture
def module() -> Iterator[Module]:
    module = Module()
    yield module
    module.close()


def is_locked(folder: Path) -> bool:
    with engine_store.unused(folder) as free:
        return not free


def wait_until(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + PROGRAM
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.005)


def modules_of(folder: Path) -> set[str]:
    name = loader.package_name(str(folder))
    return {
        module for module in list(sys.modules) if module == name or module.startswith(name + ".")
    }


# ---- What is taken ----


def test_an_engine_is_imported_and_runs(module: Module, install: Install) -> None:
    folder = install("a", __init__='\n__version__ = "7.7"\n')
    (folder / "pyconvai" / "_build_id.txt").write_text("abc\n", encoding="ascii")
    table = module.bring_in(folder)
    assert (table.abi_version, table.size, table.running()) == (ABI, SIZE, 1)
    assert (string(table.version), string(table.build_id)) == ("7.7", "abc")
    assert is_locked(folder)


def test_two_engines_are_two(module: Module, install: Install) -> None:
    """Each has a core and a loop of its own."""
    one = module.bring_in(install("a"))
    two = module.bring_in(install("b"))
    assert one != two
    assert one.open != two.open
    one.finish()
    wait_until(lambda: not one.running())
    assert two.running()


def test_an_engine_that_has_ended_starts_again(module: Module, install: Install) -> None:
    folder = install("a")
    table = module.bring_in(folder)
    assert table.stop(LIMIT_MS) == 0
    assert module.bring_in(folder) == table
    assert table.running()


def test_what_can_be_freed_is_freed(module: Module, install: Install) -> None:
    folder = install("a")
    table = module.bring_in(folder)
    name = loader.package_name(str(folder))
    session = sys.modules[f"{name}.conversation.session"]
    table.finish()
    wait_until(lambda: not table.running())
    module.send(f"forget {folder}")
    wait_until(lambda: not is_locked(folder))
    assert modules_of(folder) == {f"{name}.core._core"}
    kept = session.Session
    del session
    gc.collect()
    assert kept.__init__.__globals__.keys()  # what is still held stays whole


def test_a_forgotten_engine_comes_back(module: Module, install: Install) -> None:
    """As after `make rollback`: its core cannot be loaded twice, and need not be."""
    folder = install("a")
    table = module.bring_in(folder)
    table.finish()
    wait_until(lambda: not table.running())
    module.send(f"forget {folder}")
    assert module.bring_in(folder) == table
    assert table.running()
    assert is_locked(folder)


class _ImportsMeanwhile(str):
    """The name of a module; whoever looks at it finds that another thread has just imported one."""

    __slots__ = ()

    def __format__(self, _how: str) -> str:
        sys.modules.setdefault("convai_meanwhile", ModuleType("convai_meanwhile"))
        return str(self)


def test_others_import_while_an_engine_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end the loader's thread: no reload had an answer any more."""
    monkeypatch.setitem(sys.modules, _ImportsMeanwhile("convai_looked_at"), ModuleType("x"))
    loader.Engines().forget("/nowhere")
    assert sys.modules.pop("convai_meanwhile")


def test_unloading_lets_all_directories_go(install: Install) -> None:
    module = Module()
    folders = [install("a"), install("b")]
    for folder in folders:
        module.bring_in(folder)
    assert all(is_locked(folder) for folder in folders)
    module.close()
    wait_until(lambda: not any(is_locked(folder) for folder in folders))


def test_a_checkout_needs_no_lock(module: Module, install: Install) -> None:
    folder = install("a")
    (folder / "in-use").unlink()
    assert module.bring_in(folder).running()


# ---- What is refused ----


@pytest.mark.parametrize(
    ("append", "words"),
    [
        ({"session": "\nthis is no Python\n"}, r"SyntaxError: .*session\.py"),
        ({"protocol": "\nimport no_such_module\n"}, "ModuleNotFoundError.*no_such_module"),
        ({"runtime": "\nraise SystemExit(3)\n"}, "SystemExit: 3"),
        ({"runtime": "\ndel _core\n"}, "no compiled core"),
        ({"runtime": "\ndef start(seconds):\n    return 1 // 0\n"}, "ZeroDivisionError"),
        ({"protocol": "\ndef pong(event_id):\n    return '{}'\n"}, "SelfTestFailed"),
    ],
)
def test_what_is_broken_is_refused(
    module: Module, install: Install, append: dict[str, str], words: str
) -> None:
    folder = install("broken", **append)
    with pytest.raises(RuntimeError, match=words):
        module.bring_in(folder)
    assert not is_locked(folder)
    assert module.bring_in(install("good")).running()


class _EventThatIsSeenAtOnce(threading.Event):
    """Whoever waits for it goes on before the one who has set it."""

    def set(self) -> None:
        super().set()
        time.sleep(0.05)


@pytest.mark.parametrize("append", [{}, {"session": "\nthis is no Python\n"}])
def test_no_answer_before_its_outcome(
    module: Module, install: Install, append: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine without a table, taken for a good one, would end the process."""
    monkeypatch.setattr(loader.threading, "Event", _EventThatIsSeenAtOnce)
    folder = install("a", **append)
    if append:
        with pytest.raises(RuntimeError, match="SyntaxError"):
            module.bring_in(folder)
    else:
        assert module.bring_in(folder) != ffi.NULL


SLEEP = "\nimport time\ntime.sleep(3600)\n"
SPIN = "\nwhile True:\n    pass\n"
SPIN_IN_LOOP = """

async def _spin(self):
    while True:
        pass

Session._converse = _spin
"""
BLOCK_IN_LOOP = """

async def _block(self):
    import time
    time.sleep(1.5)

Session._converse = _block
"""
HOLD_THE_GIL = "\nimport ctypes\nctypes.PyDLL(None).usleep(2000000)\n"
LATE = """

_start = start

def start(seconds):
    import time
    address = _start(seconds)
    until = time.monotonic() + seconds + 0.3
    while time.monotonic() < until:
        try:
            time.sleep(0.05)
        except SystemExit:
            pass
    return address
"""


def run_child(*folders: Path) -> dict[str, Any]:
    """Bring engines in, one after the other, in a process that may be left in disorder."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.loader_child", str(SHORT_MS), *map(str, folders)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PROGRAM,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(
    "append",
    [{"session": SLEEP}, {"session": BLOCK_IN_LOOP}],
    ids=["sleeps in import", "blocks in the loop"],
)
def test_what_hangs_is_given_up(install: Install, append: dict[str, str]) -> None:
    """In time, but for what a busy machine takes, and another engine can come in afterwards."""
    child = run_child(install("hangs", **append), install("good"))
    refused, taken = child["answers"]
    assert re.search("too long|not passed its self-test", refused["error"])
    assert refused["seconds"] < SHORT_MS / 1000 + EVENT
    assert taken["error"] == ""


def test_what_spins_is_given_up_and_ended(install: Install) -> None:
    """It would take the GIL from live calls for ever."""
    broken = install("spins", session=SPIN), install("in_loop", session=SPIN_IN_LOOP)
    child = run_child(*broken, install("good"))
    assert [bool(answer["error"]) for answer in child["answers"]] == [True, True, False]
    assert child["idle_cpu_share"] < 0.5, child


def test_who_holds_the_gil_delays_the_answer_and_nothing_else(install: Install) -> None:
    """The loader cannot run; the module's own limit ends the wait (see embed.c)."""
    child = run_child(install("holds", session=HOLD_THE_GIL), install("good"))
    assert [bool(answer["error"]) for answer in child["answers"]] == [True, False]


def test_an_engine_that_comes_too_late_ends(install: Install) -> None:
    """It was given up while it started; its loop is not left running."""
    child = run_child(install("late", runtime=LATE))
    assert "too long" in child["answers"][0]["error"]
    assert child["running"] == []


# ---- What nobody waits for any more ----

HELD_WHEN_IT_IS_UP = """

_start = start

def start(seconds):
    import ctypes
    address = _start(seconds)
    ctypes.PyDLL(None).usleep(int(1e6 * seconds) + 100000)
    return address
"""


def core_of(folder: Path) -> ModuleType:
    return sys.modules[f"{loader.package_name(str(folder))}.core._core"]


def wait_ended(folder: Path) -> None:
    """Its loop has ended, and its directory may be removed.

    It may have been given up before it had so much as a core.
    """
    name = f"{loader.package_name(str(folder))}.core._core"
    wait_until(lambda: not is_locked(folder))
    wait_until(lambda: not getattr(sys.modules.get(name), "engine_running", bool)())


def test_what_is_up_too_late_is_refused_and_ended(module: Module, install: Install) -> None:
    """H1: who holds the GIL makes an engine late that has passed its self-test."""
    folder = install("held", runtime=HELD_WHEN_IT_IS_UP)
    with pytest.raises(RuntimeError, match=r"too long|held up"):
        module.bring_in(folder, SHORT_MS)
    wait_ended(folder)
    (folder / "pyconvai" / "runtime.py").write_text((ROOT / "pyconvai" / "runtime.py").read_text())
    assert module.bring_in(folder).running()


def test_what_is_up_in_time_and_told_too_late_is_ended(
    module: Module, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H1: the GIL is held when all is done but the answer."""
    work = loader.Attempt._try

    def work_and_hold(self: Any) -> None:
        work(self)
        ctypes.PyDLL(None).usleep(SHORT_MS * 1000)

    monkeypatch.setattr(loader.Attempt, "_try", work_and_hold)
    folder = install("a")
    with pytest.raises(RuntimeError, match=r"too long|held up"):
        module.bring_in(folder, SHORT_MS)
    wait_ended(folder)


def test_a_request_that_is_read_too_late_is_not_carried_out(
    module: Module, install: Install
) -> None:
    """H1: the next one is waiting behind it."""
    folder = install("a")
    with pytest.raises(RuntimeError, match="held up until nobody waited"):
        module.bring_in(folder, -1)
    assert not modules_of(folder)
    assert module.bring_in(folder).running()


def test_an_engine_that_is_dropped_ends(module: Module, install: Install) -> None:
    """H1: the answer came when the module had just given it up."""
    folder = install("a")
    table = module.bring_in(folder)
    module.drop()
    wait_ended(folder)
    assert module.bring_in(folder) == table
    assert table.running()


def test_the_next_reload_is_right_behind_it(module: Module, install: Install) -> None:
    """H1: all in the socket at once, as when Python comes to itself."""
    folder = install("a")
    table = module.bring_in(folder)
    module.drop()
    module.ask(folder)
    assert module.answer() == table
    module.drop()
    other = module.bring_in(install("b"))
    assert other.running()
    wait_ended(folder)


def test_only_the_last_engine_can_be_dropped(module: Module, install: Install) -> None:
    """H1: not one that has come into service, by the number of one that was refused."""
    table = module.bring_in(install("good"))
    module.send("drop 7")
    with pytest.raises(RuntimeError, match="SyntaxError"):
        module.bring_in(install("broken", session="\nthis is no Python\n"))
    module.drop()
    module.send("forget /nowhere")
    assert module.bring_in(install("another")).running()
    assert table.running()


def test_an_engine_that_was_left_running_is_started_anew(install: Install) -> None:
    """H1: whoever has left it; it was errno 16 for ever."""
    folder = install("a")
    first = Module()
    table = first.bring_in(folder)
    first.vanish()
    second = Module()
    starts = core_of(folder).starts()
    assert second.bring_in(folder) == table
    assert table.running()
    assert core_of(folder).starts() == starts + 1
    second.close()


def test_a_module_that_goes_without_a_look_leaves_no_engine(install: Install) -> None:
    """H1: its load was declined, and Python comes to itself later."""
    folder, earlier = install("a"), install("earlier")
    module = Module()
    module.bring_in(earlier)
    module.ask(folder)
    module.drop()
    module.vanish()
    wait_until(lambda: f"{loader.package_name(str(folder))}.core._core" in sys.modules)
    wait_ended(folder)
    core_of(earlier).stop_engine(LIMIT_MS)


def test_an_answer_that_says_anything(module: Module, install: Install) -> None:
    """H1: nothing that an engine raises ends the loader."""
    text = "\nraise RuntimeError('half a character: \\ud800, and a byte: \\udcff')\n"
    with pytest.raises(RuntimeError, match="half a character"):
        module.bring_in(install("broken", session=text))
    assert module.bring_in(install("good")).running()


NAMES = {
    "umlaut": "Köln",
    "blank": "two words",
    "no UTF-8": os.fsdecode(b"K\xf6ln"),
    "percent": "100%",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_path(module: Module, install: Install, tmp_path: Path, name: str) -> None:
    """H5: what a file system takes, the loader takes."""
    folder = install("a")
    (tmp_path / name).mkdir()
    folder = folder.rename(tmp_path / name / folder.name)
    assert module.bring_in(folder).running()
    assert is_locked(folder)


@pytest.mark.parametrize(("abi", "size"), [(ABI + 1, SIZE), (ABI - 1, SIZE - 8), (ABI, SIZE + 8)])
def test_another_contract_is_refused_before_anything_runs(
    module: Module, install: Install, abi: int, size: int
) -> None:
    folder = install("a")
    with pytest.raises(RuntimeError, match=rf"speaks version {ABI} of the contract \({SIZE} bytes"):
        module.bring_in(folder, abi=abi, size=size)
    core = sys.modules[f"{loader.package_name(str(folder))}.core._core"]
    assert core.wake_fd() == -1


def test_an_engine_that_is_being_removed_is_refused(module: Module, install: Install) -> None:
    folder = install("a")
    with engine_store.unused(folder):
        with pytest.raises(RuntimeError, match="being removed"):
            module.bring_in(folder)
    assert module.bring_in(folder).running()


@only_root
def test_who_can_only_read_keeps_no_engine_from_starting(module: Module, install: Install) -> None:
    """K5: the locks of user nobody."""
    folder = install("a")
    with holds(folder / "in-use") as (_, count):
        assert count > 0
        assert module.bring_in(folder).running()
        assert is_locked(folder)


def test_a_directory_that_is_not_there(module: Module, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="FileNotFoundError"):
        module.bring_in(tmp_path / "nothing")


def test_no_child_inherits_a_descriptor(install: Install) -> None:
    """Asterisk forks to run programs."""
    before = inheritable()
    module = Module()
    module.bring_in(install("a"))
    assert inheritable() <= before
    module.close()


def inheritable() -> set[int]:
    found = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    return {fd for fd in found if Path(f"/proc/self/fd/{fd}").exists() and os.get_inheritable(fd)}
