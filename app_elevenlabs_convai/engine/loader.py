"""The loader: brings engines into the interpreter, for embed.c, in which this file is compiled in.

It is Python on a thread of its own because importing takes the GIL, and the C module never waits
for that: it puts requests into one end of a pair of sockets and waits, with a limit, for answers.
Whatever hangs in here, a module reload, a command or a call does not.

    import NUMBER DEADLINE ABI SIZE DIRECTORY
        is answered with: NUMBER ok ADDRESS, or NUMBER error TEXT, a NUL, and a traceback or nothing
        DEADLINE: when the module stops waiting, in microseconds of CLOCK_MONOTONIC
    drop NUMBER
        the module has not taken what that import has brought, or will bring: it is ended
    forget DIRECTORY
        free what can be freed of an engine that has ended

Only an import is answered. One request is one packet, and so is one answer. The other end's close
ends the thread. Whatever holds the GIL delays all of this, but changes no order: the module sends
`drop` as soon as it gives an import up, so that an engine that comes too late for it ends here,
in `Engines.drop`, and nowhere else.

An engine is imported from a directory of its own under a parent name of its own: Python loads no
file twice, and a Cython module is new code only when it comes from another directory.
"""

from __future__ import annotations

import _thread
import contextlib
import fcntl
import gc
import importlib
import importlib.util
import os
import struct
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import ModuleType

PACKET_BYTES = 65_536
"""Longest request or answer."""

MARGIN_SECONDS = 0.3
"""How much sooner than its asker the loader gives an engine up: so its answer is in time."""

END_SECONDS = 0.3
"""How long a refused engine's loop may take to end by itself; it has nothing to do."""

POLL_SECONDS = 0.01
"""How often we check whether a loop has ended."""

IN_USE = "in-use"
"""File in an engine's directory: a read lock on it keeps `make install` from removing that."""

READ_LOCK = struct.pack("@hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
"""A struct flock of the kernel's over a whole file: type, whence, start, length, no process."""


class Refused(Exception):
    """Why an engine is not taken; needs no traceback."""


def turn(name: str) -> threading.Lock:
    """A lock that all loaders of this process share, also those that were left behind.

    Who was given up because Python was held up may still be on its way out. One thread at a time
    has the turn of each engine (by its directory), and one loader that of the loaders ("").
    """
    shared = sys.modules.setdefault("convai_loader", ModuleType("convai_loader"))
    lock: threading.Lock = vars(shared).setdefault(name, threading.Lock())
    return lock


class Engines:
    """The engines that this loader has brought in, and the locks on their directories."""

    def __init__(self) -> None:
        self._locks: dict[str, int] = {}
        self._last: tuple[str, Attempt] | None = None

    def bring_in(self, number: str, attempt: Attempt) -> None:
        """Run an attempt; one that fails leaves nothing but what still hangs in it."""
        self._last = number, attempt
        try:
            attempt.run()
        except Exception as fault:  # no thread can be started
            attempt.refuse(fault)
        if attempt.error:
            self.forget(attempt.directory)

    def drop(self, number: str) -> None:
        """End the engine of an import that the module has given up, unless that has failed anyway.

        The one place where late answers end. Only the last import can be meant: the module waits
        for one before it asks for another.
        """
        if self._last is None or self._last[0] != number or self._last[1].error:
            return
        attempt = self._last[1]
        attempt.error = "the module has given it up"
        with contextlib.suppress(RuntimeError):  # no thread: the next import ends it
            _thread.start_new_thread(attempt.end_loop, ())
        self.forget(attempt.directory)

    def hold(self, directory: str) -> None:
        """Keep the directory from being removed. A checkout has no such file, and needs none."""
        if directory in self._locks:
            return
        try:
            lock = os.open(Path(directory, IN_USE), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        try:
            # Only who may write the file can keep us from this: not whoever can read it.
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK, READ_LOCK)
            with contextlib.suppress(BlockingIOError):  # for installers of earlier versions
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise Refused("it is being removed by an installation") from None
        except OSError:
            os.close(lock)
            raise
        self._locks[directory] = lock

    def let_go(self, directory: str) -> None:
        """Let the directory be removed."""
        if (lock := self._locks.pop(directory, -1)) >= 0:
            os.close(lock)

    def forget(self, directory: str) -> None:
        """Free what can be freed of an engine whose loop has ended.

        The compiled core stays, mapped for ever: it cannot be loaded a second time from this place,
        and if this build comes back (make rollback), it is needed.
        """
        name = package_name(directory)
        # A copy: other threads may be importing.
        for module in [each for each in list(sys.modules) if f"{each}.".startswith(f"{name}.")]:
            if (found := sys.modules.get(module)) and not is_compiled(found):
                sys.modules.pop(module, None)
        self.let_go(directory)
        gc.collect()

    def let_all_go(self) -> None:
        """The module is unloaded: no engine runs any more."""
        for directory in list(self._locks):
            self.forget(directory)


def is_compiled(module: ModuleType) -> bool:
    """Whether a module is machine code, which Python can load only once from one file."""
    return isinstance(module.__loader__, ExtensionFileLoader)


def package_name(directory: str) -> str:
    """The name that an engine's package has in this interpreter."""
    return "pyconvai_" + Path(directory).name


def import_runtime(directory: str) -> ModuleType:
    """Import an engine, unless it is there already, and return its module `runtime`."""
    name = package_name(directory)
    if name not in sys.modules:
        importlib.invalidate_caches()
        package = Path(directory, "pyconvai")
        spec = importlib.util.spec_from_file_location(
            name, package / "__init__.py", submodule_search_locations=[str(package)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
    return importlib.import_module(name + ".runtime")


def check_contract(core: ModuleType, wanted: tuple[int, int]) -> None:
    """Refuse an engine whose table the module would misread. Nothing of it runs yet."""
    spoken = core.contract() if hasattr(core, "contract") else (1, 0)
    if spoken != wanted:
        raise Refused(
            f"it speaks version {spoken[0]} of the contract ({spoken[1]} bytes), the module"
            f" version {wanted[0]} ({wanted[1]} bytes); install both from one source, then module"
            " unload and module load"
        )


class Attempt:
    """One engine on its way in, on a thread that is left behind if it hangs."""

    def __init__(
        self, engines: Engines, directory: str, contract: tuple[int, int], until: float
    ) -> None:
        self._engines = engines
        self.directory = directory
        self._contract = contract
        self._until = until
        self._runtime: ModuleType | None = None
        self._start = 0
        self._thread = 0
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._given_up = False
        self.address = 0
        self.error = ""
        self.traceback = ""

    def run(self) -> None:
        """Import and start the engine; afterwards either address or error is set."""
        if self._is_late():
            self.error = "Python was held up until nobody waited for it any more"
            return
        self._thread = _thread.start_new_thread(self._work, ())
        over = self._over.wait(max(0.0, self._until - time.monotonic()))
        if not over or self._is_late():  # it may be up, and late because the GIL was held
            self._give_up()
        if self.error:
            _thread.start_new_thread(self.end_loop, ())

    def refuse(self, fault: BaseException) -> None:
        """Note what went wrong."""
        self.error = f"{type(fault).__name__}: {fault}"

    def _is_late(self) -> bool:
        return time.monotonic() >= self._until

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True
            self.error = self.error or "it takes too long"
            if not self._over.is_set():
                interrupt(self._thread)

    def end_loop(self) -> None:
        """Ask a refused engine's loop to end, and interrupt it if it does not.

        It might run in circles beside live calls. This runs on a thread of its own, because the
        engine's functions that are called here may hang as well.
        """
        runtime = self._runtime
        if runtime is None:
            return
        with contextlib.suppress(Exception):
            runtime.abandon(self._start)
            until = time.monotonic() + END_SECONDS
            while runtime.interruptible(self._start) and time.monotonic() < until:
                time.sleep(POLL_SECONDS)
            for thread in runtime.interruptible(self._start):
                interrupt(thread)

    def _work(self) -> None:
        """The attempt's own thread."""
        lock = turn(self.directory)
        if not lock.acquire(timeout=max(0.0, self._until - time.monotonic())):
            return  # an earlier attempt still hangs; `run` gives this one up now
        try:
            self._try()
        finally:
            lock.release()

    def _try(self) -> None:
        """Bring the engine in; what has been given up meanwhile leaves nothing behind."""
        address, error, trace = 0, "", ""
        try:
            address = self._bring_in()
        except Refused as refused:
            error = str(refused)
        except BaseException as fault:
            error = f"{type(fault).__name__}: {fault}"
            trace = traceback.format_exc()
        with self._lock:
            if not self._given_up:
                # The outcome first: who waits for `_over` reads it without the lock.
                self.address, self.error, self.traceback = address, error, trace
            self._over.set()
            if not self._given_up:
                return
        # `run` has given up. Since then the loop may have come up, and more may have been imported.
        self.end_loop()
        self._engines.forget(self.directory)

    def _bring_in(self) -> int:
        self._engines.hold(self.directory)
        runtime = self._runtime = import_runtime(self.directory)
        core = getattr(runtime, "_core", None)
        if core is None:
            raise Refused("it has no compiled core")
        check_contract(core, self._contract)
        self._end_leftover(runtime)
        left = self._until - time.monotonic()
        if left <= 0:
            raise Refused("it takes too long to import")
        self._start = runtime.starts() + 1
        return int(runtime.start(left))

    def _end_leftover(self, runtime: ModuleType) -> None:
        """End what an earlier attempt has left of this very engine.

        The module asks for no engine that serves it: what runs here was given up.
        """
        runtime.abandon(runtime.starts())
        while runtime._core.engine_running():
            if self._is_late():
                raise Refused("it still runs, since it was given up, and does not end")
            time.sleep(POLL_SECONDS)


def interrupt(thread: int) -> None:
    """End what a thread does in Python. Code that does not come back to Python cannot be ended."""
    try:
        import ctypes
    except ImportError:
        return
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(SystemExit))


def answer_import(engines: Engines, words: list[str]) -> str:
    """Carry out a request to import; return the answer."""
    number, deadline, abi, size, directory = words
    until = int(deadline) / 1e6 - MARGIN_SECONDS
    attempt = Attempt(engines, directory, (int(abi), int(size)), until)
    engines.bring_in(number, attempt)
    if attempt.error:
        return f"{number} error {' '.join(attempt.error.split())}\0{attempt.traceback}"
    return f"{number} ok {attempt.address}"


def carry_out(engines: Engines, request: str) -> str:
    """Carry out a request; return the answer, or nothing."""
    verb, _, rest = request.partition(" ")
    if verb == "import":
        return answer_import(engines, rest.split(" ", 4))
    if verb == "drop":
        engines.drop(rest)
    elif verb == "forget":
        engines.forget(rest)
    return ""


def requests(descriptor: int) -> Iterator[str]:
    """All that the module asks for, until it closes its end."""
    while True:
        try:
            request = os.read(descriptor, PACKET_BYTES)
        except ConnectionResetError:
            continue  # told once, of an answer that was not read; what the module asks comes behind
        if not request:
            return
        yield os.fsdecode(request)


def serve(descriptor: int) -> None:
    """The loader's thread: answer requests until the module closes its end."""
    with turn(""):
        engines = Engines()
        try:
            for request in requests(descriptor):
                if answer := carry_out(engines, request):
                    send(engines, descriptor, answer)
        finally:
            engines.let_all_go()
            os.close(descriptor)


def send(engines: Engines, descriptor: int, answer: str) -> None:
    """Answer the module; an engine that nobody hears of is dropped."""
    try:
        packet = answer.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # in what a broken engine has raised
        packet = answer.encode("utf-8", "backslashreplace")
    try:
        os.write(descriptor, packet[:PACKET_BYTES])
    except OSError:
        engines.drop(answer.split(" ", 1)[0])


def start(descriptor: int) -> None:
    """Start the loader's thread. The caller has blocked all signals: the thread inherits that."""
    _thread.start_new_thread(serve, (descriptor,))
