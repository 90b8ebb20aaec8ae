#!/usr/bin/env python3
"""Bring every change of the sources into a running Asterisk, as soon as it is saved.

Watches the sources, builds what a change asks for, installs, reloads, and shows what is in service.
Calls that are up go on as they are.  After a fault in the sources it goes on watching, and what is
in service stays.  Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
STEP = HERE / "deploy-step.sh"
MODULE = "app_elevenlabs_convai"
TAP_FOLDER = "app_forkstream"

POLL_SECONDS = 0.2
"""How often to look at the dates of some ninety files: cheap, and no editor's habits matter."""

END_SECONDS = 10.0
"""Limit on the orderly end of what runs when Ctrl-C comes."""

WHOLE_SECONDS = 90.0
"""Limit on the rest of a step that is not cut off. The module needs half a minute at most to go."""

CORE_FLAGS = "-O1 -g1"
"""Of the core, added last: -O2 -g takes twice as long, most of it for the debugger's sake."""

WHOLE = {"replace_module", "load_module", "bring_in_tap"}
"""Steps that Ctrl-C does not cut off at once: Asterisk would be left without the module."""

# So that calls that are up get their turn first.
LESS_URGENT = ("nice", "-n", "10")
PASSED_ON = ("CFLAGS", "LDFLAGS", "CONVAI_CFLAGS", "CONVAI_LDFLAGS", "WERROR")

SHOW_VERSION = "elevenlabs show version"
CORE, C_MODULE, ENGINE, TAP = "core", "module", "engine", "tap"
Snapshot = dict[Path, tuple[int, int, int]]


class StepError(Exception):
    """A step that failed; the text is what it said."""


# --- what has changed -----------------------------------------------------------------------------


def concerns(path: Path) -> set[str]:
    """Return what has to be built anew for a file, named from the checkout; nothing for others."""
    folder, suffix = path.parts[0], path.suffix
    if path == Path("setup.py"):
        return {CORE}
    if path.parts[:2] == ("pyconvai", "mock"):
        return set()  # not installed
    if folder == "pyconvai":
        known = dict.fromkeys((".py", ".html", ".css", ".js"), ENGINE)
        known |= {".pyx": CORE, ".pxi": CORE, ".pxd": CORE}
        known |= {".c": CORE, ".h": CORE}
        return {known[suffix]} if suffix in known else set()
    if path.name == "convai_ops.h":
        return {CORE, C_MODULE}
    if suffix in {".c", ".h"} or path.name in {"loader.py", "Makefile"}:
        # Some of the module's files are the tap's as well; its Makefile knows which.
        return {TAP} if folder == TAP_FOLDER else {C_MODULE, TAP}
    return set()


def watched(source: Path) -> Iterable[Path]:
    """Yield the files that matter.  What editors write beside them has other names."""
    yield source / "setup.py"
    for top in (source / "pyconvai", source / MODULE, source / TAP_FOLDER):
        rooms = [top, *(path for path in top.iterdir() if path.is_dir())]
        for path in (path for room in rooms for path in room.iterdir()):
            if path.name[0] not in ".#" and concerns(path.relative_to(source)):
                yield path


def look(source: Path) -> Snapshot:
    """Return what tells one state of the files from another; a rename changes the inode."""
    found: Snapshot = {}
    for path in watched(source):
        with suppress(FileNotFoundError):  # between the listing and the look
            seen = path.stat()
            found[path.relative_to(source)] = (seen.st_mtime_ns, seen.st_size, seen.st_ino)
    return found


def differences(old: Snapshot, new: Snapshot) -> list[Path]:
    """Return the files that were written, made or removed."""
    return sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))


def wait_change(source: Path, seen: Snapshot) -> Snapshot:
    """Wait for a change, and then until nothing changes any more from one look to the next."""
    while True:
        time.sleep(POLL_SECONDS)
        last, now = seen, look(source)
        if now == last:
            continue
        while now != last:
            time.sleep(POLL_SECONDS)
            last, now = now, look(source)
        if now != seen:  # a file may be gone for a moment and be there again
            return now


# --- the steps ------------------------------------------------------------------------------------


class Interrupts:
    """Ctrl-C, and what else ends this: at once, but where it is held."""

    def __init__(self) -> None:
        self._is_held = self._has_come = False

    def hold(self) -> None:
        """Let one that comes wait for ``admit``."""
        self._is_held = True

    def admit(self) -> None:
        """KeyboardInterrupt: one has come."""
        self._is_held = False
        if self._has_come:
            self._has_come = False
            raise KeyboardInterrupt

    def come(self) -> None:
        """One comes."""
        if not self._is_held:
            raise KeyboardInterrupt
        self._has_come = True


INTERRUPTS = Interrupts()


class Steps:
    """The steps of a deployment, each a child process that ends with us."""

    def __init__(self, options: list[str]) -> None:
        self._options = options

    def run(self, *words: str, before: Iterable[str] = ()) -> str:
        """Run one step; return what it says.  StepError if it fails."""
        INTERRUPTS.hold()  # a step that is being started has no name yet by which to end it
        try:
            process = subprocess.Popen(
                [*before, str(STEP), *self._options, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is ours to pass on
            )
        except BaseException:
            INTERRUPTS.admit()
            raise
        with process:
            try:
                INTERRUPTS.admit()
                said, _ = process.communicate()
            except BaseException:
                end(process, 0 if WHOLE.isdisjoint(words) else WHOLE_SECONDS)
                raise
        if process.returncode != 0:
            raise StepError(said.strip())
        return said.strip()

    def make(self, *words: str, before: Iterable[str] = ()) -> str:
        """Run make where that Asterisk is, with the flags of our environment."""
        given = [f"{name}={os.environ[name]}" for name in PASSED_ON if os.environ.get(name)]
        return self.run("run_make", *given, *words, before=before)


def end(process: subprocess.Popen[str], patience: float) -> None:
    """End a step and all that it has started; at once when Ctrl-C comes once more."""
    with suppress(ProcessLookupError):
        try:
            if ends(process, patience):
                return
            os.killpg(process.pid, signal.SIGTERM)
            if ends(process, END_SECONDS):
                return
        except KeyboardInterrupt:
            pass
        os.killpg(process.pid, signal.SIGKILL)


def ends(process: subprocess.Popen[str], seconds: float) -> bool:
    """Tell whether a step ends by itself within so long."""
    if seconds:
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=seconds)
    return process.poll() is not None


def say(text: str) -> None:
    """Print, at once."""
    print(text, flush=True)


def timed(name: str, do: Callable[[], str], result: Callable[[str], str] = lambda said: "") -> str:
    """Do one step and print a line about it; its name at once, for some take half a minute."""
    began = time.monotonic()
    print(f"  {name:<10} ", end="", flush=True)
    try:
        said = do()
    except StepError:
        say(f"{time.monotonic() - began:5.1f} s  FAILED")
        raise
    say(f"{time.monotonic() - began:5.1f} s  {result(said)}".rstrip())
    return said


def without_noise(said: str) -> str:
    """Return what a failed step said, without make's words about itself."""
    lines = (line for line in said.splitlines() if not re.match(r"make(\[\d+\])?: \*\*\*", line))
    return "\n".join(f"      {line}" for line in lines)


# --- one round ------------------------------------------------------------------------------------


@dataclass
class Deployment:
    """What is still to be brought into the Asterisk."""

    steps: Steps
    module_file: Path
    tap_file: Path
    engines: Path
    log: Path | None
    pending: set[str] = field(default_factory=lambda: {CORE, C_MODULE, ENGINE, TAP})
    """What was changed and has not been built since."""
    module_is_old: bool = False
    """Whether another module is installed than the one that is loaded."""
    tap_is_old: bool = False
    """The same of the tap."""

    @classmethod
    def to(cls, steps: Steps) -> Deployment:
        """Return the deployment to the Asterisk that the steps are for."""
        module, tap, engines, *log = steps.run("directories").splitlines()
        return cls(steps, Path(module), Path(tap), Path(engines), Path(log[0]) if log else None)

    def bring_in(self, changed: set[str]) -> bool:
        """Build, install, reload; tell whether the sources as they are now are in service."""
        self.pending |= changed
        try:
            self._build()
            self._install()
            self._reload()
            self._bring_in_tap()
        except StepError as error:
            say(without_noise(str(error)))
            if self._serves():
                say("      What was in service before still is.")
            return False
        return True

    def _build(self) -> None:
        steps = self.steps
        if CORE in self.pending:
            flags = f"CONVAI_CFLAGS={CORE_FLAGS} {os.environ.get('CONVAI_CFLAGS', '')}".strip()
            timed("core", lambda: steps.make("core", flags, before=LESS_URGENT), lambda _: flags)
            self.pending.discard(CORE)
        if C_MODULE in self.pending:
            words = ("-C", MODULE, "built", "CORE_IS_BUILT=1")
            timed("module", lambda: steps.make(*words, before=LESS_URGENT))
            self.pending.discard(C_MODULE)
        if TAP in self.pending:
            timed("tap", lambda: steps.make("-C", TAP_FOLDER, "all", before=LESS_URGENT))

    def _install(self) -> None:
        before = digest(self.module_file)
        words = ("-C", MODULE, "install-built")
        timed("install", lambda: self.steps.make(*words), lambda _: f"build {self.build}")
        self.pending.discard(ENGINE)
        # With none before there may be none loaded; the reload tells.
        self.module_is_old |= before not in ("", digest(self.module_file))
        if TAP in self.pending:
            before = digest(self.tap_file)
            self.steps.make("-C", TAP_FOLDER, "install")
            self.pending.discard(TAP)
            self.tap_is_old |= before != digest(self.tap_file)

    @property
    def build(self) -> str:
        """The build that is installed."""
        return (self.engines / "current").readlink().name

    def _reload(self) -> None:
        start = self.log.stat().st_size if self.log and self.log.exists() else 0
        if self._may_replace():
            timed("module", lambda: self.steps.run("replace_module"), lambda _: "unloaded, loaded")
            self.module_is_old = False
        else:
            said = timed("reload", lambda: self.steps.run("cli", f"module reload {MODULE}"))
            if "No such module" in said:
                timed("load", lambda: self.steps.run("load_module"))
                self.module_is_old = False
        try:
            shown = timed("live", self._show)
        except StepError as error:
            raise StepError(self._refusal(start) or str(error)) from None
        say(indented(shown))

    def _bring_in_tap(self) -> None:
        if self.tap_is_old:
            said = timed("tap", lambda: self.steps.run("--replace-module", "bring_in_tap"))
            say(indented(said))
            self.tap_is_old = "while streams are up" in said

    def _show(self) -> str:
        """Return what is in service; StepError if it is not what was installed."""
        shown = self.steps.run("cli", SHOW_VERSION)
        if not re.search(rf"^Engine: .* build {self.build},", shown, re.MULTILINE):
            # That reload may have had to queue up behind another.
            self.steps.run("wait_in_service", self.build)
            shown = self.steps.run("cli", SHOW_VERSION)
        return shown

    def _may_replace(self) -> bool:
        """Tell whether to unload the module; where it would have to be and can't, say so."""
        if not self.module_is_old:
            return False
        count = self.steps.run("sessions")
        if count == "0":
            return True
        say(f"  The C module has changed, and takes effect when it is unloaded. Calls up: {count}.")
        say(f"  When they have ended: 'module unload {MODULE}', 'module load {MODULE}'.")
        return False

    def _refusal(self, start: int) -> str:
        """Return why Asterisk's log says that an engine was refused; "" if it does not."""
        if self.log is None:
            return ""
        with self.log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
        found = re.findall(r"is refused: .*", text)
        return f"Build {self.build} {found[-1]}" if found else ""

    def _serves(self) -> bool:
        with suppress(StepError):
            return "Engine:" in self.steps.run("cli", SHOW_VERSION)
        return False


def digest(file: Path) -> str:
    """Return what tells one file from another; "" where there is none."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


def indented(text: str) -> str:
    """Return a text whose lines stand out less."""
    return "\n".join(f"      {line}" for line in text.splitlines())


# --- the command ----------------------------------------------------------------------------------


def deployment_options(arguments: argparse.Namespace) -> list[str]:
    """Return the options of the steps: the Asterisk that was named, else the one that runs."""
    source = ["--source", str(arguments.source), "--drain-seconds", "0"]
    named = ["--name", arguments.name] if arguments.name else []
    host = ["--host-asterisk", *(["--conf", arguments.conf] if arguments.conf else [])]
    if arguments.name or not (arguments.host_asterisk or arguments.conf):
        try:
            Steps(named).run("cli", "core show version")
            return [*named, *source]
        except StepError as error:
            if arguments.name:
                raise
            testbed = str(error)
    try:
        Steps(host).run("cli", "core show version")
    except StepError as error:
        if arguments.host_asterisk or arguments.conf:
            raise
        raise StepError(
            "there is no Asterisk to bring it into\n"
            f"the testbed's: {testbed}\nthe machine's own: {error}"
        ) from None
    return [*host, *source]


def parse() -> argparse.Namespace:
    """Take the command line apart."""
    parser = argparse.ArgumentParser(
        description=str(__doc__).split("\n")[0],
        epilog="Without --name, --host-asterisk and --conf: the testbed's instance that runs "
        "($TESTBED_NAME, or 'default'), else the machine's own Asterisk.",
    )
    parser.add_argument("--name", help="an instance of the testbed")
    parser.add_argument("--host-asterisk", action="store_true", help="the machine's own Asterisk")
    parser.add_argument("--conf", help="its asterisk.conf; means --host-asterisk")
    parser.add_argument("--source", type=Path, default=PROJECT, help="the sources to watch")
    parser.add_argument("--once", action="store_true", help="bring in what is there, and end")
    return parser.parse_args()


def watch(deployment: Deployment, source: Path, seen: Snapshot) -> NoReturn:
    """Bring in one change after the other."""
    while True:
        now = wait_change(source, seen)
        files = differences(seen, now)
        seen = now
        say(f"{time.strftime('%H:%M:%S')}  {', '.join(str(path) for path in files)}")
        if deployment.bring_in({kind for path in files for kind in concerns(path)}):
            times = [now[path][0] / 1e9 for path in files if path in now]
            if times:
                say(f"  {time.time() - max(times):.1f} s from the save to here")


def interrupt(number: int, frame: FrameType | None) -> None:
    """End as by Ctrl-C."""
    INTERRUPTS.come()


def main() -> int:
    """Run the command line; return the exit status."""
    arguments = parse()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    source: Path = arguments.source.resolve()
    try:
        seen = look(source)
        deployment = Deployment.to(Steps(deployment_options(arguments)))
        done = deployment.bring_in(set())
        if arguments.once:
            return 0 if done else 1
        say(f"Watching {source}; Ctrl-C ends it.")
        watch(deployment, source, seen)
    except StepError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"dev: {error.filename or ''}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("")
        # Watching ends in no other way; what is brought in once has not been.
        return 130 if arguments.once else 0


if __name__ == "__main__":
    sys.exit(main())
