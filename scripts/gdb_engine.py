"""Commands for gdb, to look at the engine inside a running Asterisk; docs/debugging.md shows them.

    sudo gdb -batch -p "$(pidof asterisk)" -x scripts/gdb_engine.py -ex "engine stacks"

    engine threads    the threads that have to do with calls and the engine
    engine loop       go to the thread of the engine's loop, for `bt` and Python's `py-bt`
    engine stacks     the Python stacks of all threads
    engine tasks      what the tasks of every engine wait for: one task a call, and some helpers
    engine perf       from now on perf knows Python's functions by name (Python 3.12 and newer)

The first two only look, at a core dump as well. The others run Python in Asterisk, on the loader's
thread, and so need the GIL: where it is held for ever they hang until Ctrl-C. `py-bt`, which needs
Python's debugging information, and py-spy need no GIL.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import gdb  # type: ignore[import-untyped]

LOOP = "convai-loop"

LOADER = "convai-load"
"""The thread that runs Python only while an engine comes or goes."""

OURS = re.compile("convai-")
IN_A_CALL = "call_run"
"""The module's function that a channel thread is in for as long as a call lasts."""

INTERPRETER = "_PyEval_EvalFrameDefault"

OUTPUT = "/tmp/app_elevenlabs_convai.gdb"  # noqa: S108 - only made where nothing is
"""As Asterisk sees it. Removed before it is written and after it was read."""

FRAME = f"""
import os
if os.path.lexists({OUTPUT!r}):
    os.unlink({OUTPUT!r})
with open({OUTPUT!r}, "x") as out:
    try:
%s
    except BaseException as fault:
        print(repr(fault), file=out)
"""

STACKS = """
import faulthandler
faulthandler.dump_traceback(out)
"""

TASKS = """
import asyncio, gc, sys
names = [each for each in sys.modules if each.startswith("pyconvai_") and each.endswith(".runtime")]
for name in names:
    kind = sys.modules[name].Runtime
    for runtime in [each for each in gc.get_objects() if type(each) is kind]:
        tasks = asyncio.all_tasks(runtime._loop)
        print(f"{name.removesuffix('.runtime')}: {len(tasks)} tasks", file=out)
        for task in tasks:
            session = runtime._sessions.get(task)
            print(f"  {task.get_name()} {session.handle.channel if session else ''}", file=out)
            coroutine = task.get_coro()
            while getattr(coroutine, "cr_frame", None):
                frame = coroutine.cr_frame
                where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                print(f"    {frame.f_code.co_qualname} ({where})", file=out)
                if coroutine.cr_running:
                    print("    runs right now: engine stacks", file=out)
                coroutine = coroutine.cr_await
"""

PERF = """
import sys
sys.activate_stack_trampoline("perf")
print(f"Python's names: /tmp/perf-{os.getpid()}.map", file=out)
"""


def frames() -> Iterator[str]:
    """The names of the functions that the selected thread is in, where gdb can tell."""
    frame = gdb.newest_frame()
    while frame is not None:
        yield frame.name() or ""
        try:
            frame = frame.older()
        except gdb.error:
            return


def threads() -> list[gdb.InferiorThread]:
    """All threads, in gdb's order."""
    return sorted(gdb.selected_inferior().threads(), key=lambda each: int(each.num))


def activity(thread: gdb.InferiorThread) -> str:
    """What a thread has to do with the engine, by the functions that it is in. Selects it."""
    thread.switch()
    names = list(frames())
    if IN_A_CALL in names:
        return "talks with an agent"
    if INTERPRETER not in names:
        return ""
    return "runs Python, waits for events" if "epoll_wait" in names else "runs Python"


def show_threads() -> None:
    """One line a thread, ours only. A core dump does not have their names."""
    for thread in threads():
        what = activity(thread)
        if what or OURS.match(thread.name or ""):
            print(f"{thread.num:4} {thread.ptid[1]:8} {thread.name or '-':16} {what}".rstrip())


def find_thread(name: str) -> gdb.InferiorThread:
    """The newest thread whose name begins so."""
    found = [each for each in threads() if (each.name or "").startswith(name)]
    if not found:
        raise gdb.GdbError(f"there is no thread {name}: is the module loaded?")
    return max(found, key=lambda each: int(each.ptid[1]))


def select_loop() -> None:
    """Go to the loop's thread: by its name, and in a core dump by what it does."""
    if any(each.name for each in threads()):
        find_thread(LOOP).switch()
        return
    waiting = [each for each in threads() if "events" in activity(each)]
    if len(waiting) != 1:
        raise gdb.GdbError("no thread of this core dump can be told to be it; see engine threads")
    waiting[0].switch()


def run_python(code: str) -> str:
    """Run a few lines in Asterisk's Python, where `out` is a file; return what they wrote there."""
    inferior = gdb.selected_inferior()
    find_thread(LOADER).switch()
    gdb.execute("set unwindonsignal on", to_string=True)
    body = FRAME % "\n".join(f"        {line}" for line in code.strip().splitlines())
    packed = base64.b64encode(body.encode()).decode()
    line = f"exec(__import__('base64').b64decode('{packed}').decode(), {{}})"
    gil = gdb.parse_and_eval("(int) PyGILState_Ensure()")
    failed = gdb.parse_and_eval(f'(int) PyRun_SimpleString("{line}")')
    gdb.parse_and_eval(f"(void) PyGILState_Release({int(gil)})")
    if int(failed):
        raise gdb.GdbError("Python raised; its traceback is on Asterisk's standard error")
    path = Path(f"/proc/{inferior.pid}/root{OUTPUT}")
    text = path.read_text(encoding="utf-8", errors="replace")
    path.unlink()
    return text


class Engine(gdb.Command):  # type: ignore[misc]
    """Look at the engine: engine threads | loop | stacks | tasks | perf."""

    def __init__(self) -> None:
        super().__init__("engine", gdb.COMMAND_STATUS)

    def invoke(self, argument: str, _from_tty: bool) -> None:
        """Carry the command out, and leave the thread selected that was."""
        before = gdb.selected_thread()
        if before is None:
            raise gdb.GdbError("no Asterisk: attach to one (gdb -p), or open a core dump")
        if argument == "loop":
            select_loop()
            return
        codes = {"stacks": STACKS, "tasks": TASKS, "perf": PERF}
        try:
            if argument in codes:
                gdb.write(run_python(codes[argument]))
            elif argument == "threads":
                show_threads()
            else:
                raise gdb.GdbError("usage: engine threads | loop | stacks | tasks | perf")
        finally:
            before.switch()


Engine()
