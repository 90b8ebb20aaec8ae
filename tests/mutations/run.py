"""Puts deliberate faults into copies of the tree, and shows which tests catch each.

python -m tests.mutations.run [-k WORDS] [--also TESTS]...

A fault that no test catches is a test that is missing: status 1. So is one that cannot be put in,
for the place it names has changed: then faults.toml has to follow (tests/unit/test_mutations.py
tells that at once). Before all, the named tests must pass without any fault. Each file of tests is
run up to its first failure, so that several can be seen to catch a fault and none is waited for
long. An engine that fails its self-test gets no calls: that, too, catches a fault. Nothing is
changed in the tree itself.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.places import PlaceError, Span, definition, definitions, fragment

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("faults.toml")

RUN_SECONDS = 300.0
"""Limit on one fault's tests, building included; they take some ten."""

NEEDED_OF_BUILD = ("cpython-", "host")
"""Beginnings of what makes building in the copy quick; the rest of build/ is large."""

PARTS = {
    "engine": ("pyconvai", "pyconvai/mock"),
    "module": ("app_elevenlabs_convai", "app_elevenlabs_convai/tests"),
    "mock": ("pyconvai/mock", "pyconvai/mock/scenarios"),
    "tap": ("app_forkstream", "app_forkstream/tests"),
}
"""Of each part of the tree: its folder, and one inside that is no part of it."""

TAP_SUITES = "forkstream/"
"""Beginning of the names of suites that are in the tap's own program."""

COMPILED = {".pyx", ".pxi", ".pxd", ".h", ".c"}
_FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)
_SELFTEST = re.compile(r"^E +\S*SelfTestFailed: (.{,72})", re.MULTILINE)
_BUILT = re.compile(r"^\d+ passed, \d+ failed$", re.MULTILINE)


class BrokenError(Exception):
    """A run that says nothing about the fault: nothing was built, or the tests could not run."""


@dataclass(frozen=True)
class Fault:
    """One entry of faults.toml."""

    name: str
    where: str
    old: str
    new: str
    place: str = ""
    file: str = ""
    tests: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()

    def put(self, root: Path) -> tuple[Path, str]:
        """The file of a tree that it changes, and that file's text with the fault in it."""
        try:
            path, text, within = self._find(root)
            start, end = fragment(text, within, self.old)
        except PlaceError as error:
            place = ", ".join(filter(None, (self.where, self.file, self.place)))
            raise BrokenError(f"{place}: {error}: {TABLE.name} has to follow the code") from None
        return path, text[:start] + self.new + text[end:]

    def _find(self, root: Path) -> tuple[Path, str, Span]:
        folder, other = PARTS[self.where]
        found = []
        for path in sorted((root / folder).rglob(self.file or "*")):
            if path.suffix not in COMPILED | {".py"} or path.is_relative_to(root / other):
                continue
            text = path.read_text(encoding="utf-8")
            if not self.place or self.place in definitions(text, path.suffix):
                found.append((path, text))
        if len(found) != 1:
            names = " and ".join(path.name for path, _ in found) or "no file"
            raise PlaceError(f"{self.place or self.file} is in {names}")
        path, text = found[0]
        whole = Span(0, len(text))
        return path, text, definition(text, path.suffix, self.place) if self.place else whole


def faults(words: str) -> list[Fault]:
    """All faults whose place or name has these words."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))["fault"]
    found = [
        Fault(
            **{
                key: tuple(value) if isinstance(value, list) else value
                for key, value in each.items()
            }
        )
        for each in table
    ]
    return [fault for fault in found if words in f"{fault.where}: {fault.name}"]


def _left_out(folder: str, names: list[str]) -> list[str]:
    """What of a folder is not copied (see shutil.copytree)."""
    if Path(folder) == ROOT / "build":
        return [name for name in names if not name.startswith(NEEDED_OF_BUILD)]
    return [name for name in names if name in (".git", "__pycache__") or name.endswith("_cache")]


class Tree:
    """A copy of the tree, with at most one fault in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=_left_out, symlinks=True)
        if (ROOT / "build" / "conformance").is_dir():
            (folder / "build" / "conformance").symlink_to(ROOT / "build" / "conformance")

    def caught_by(self, fault: Fault, also: Sequence[str]) -> list[str]:
        """Return the tests that fail by a fault."""
        file, faulty = fault.put(self.folder)
        healthy = file.read_text(encoding="utf-8")
        in_core = file.is_relative_to(self.folder / "pyconvai") and file.suffix in COMPILED
        file.write_text(faulty, encoding="utf-8")
        try:
            return self.failed([*fault.tests, *also], fault.suites, core=in_core)
        finally:
            file.write_text(healthy, encoding="utf-8")
            if in_core:
                self._build_core()

    def failed(self, tests: Sequence[str], suites: Sequence[str], *, core: bool) -> list[str]:
        """Return the names of tests that fail, without their parameters."""
        if core:
            self._build_core()
        failed = {name for test in tests for name in self._pytest(test)}
        return sorted(failed.union(self._host(suites)))

    def _pytest(self, tests: str) -> Iterable[str]:
        options = ("-x", "-q", "--tb=line", "-p", "no:cacheprovider", "-rf")
        done = self._run([sys.executable, "-m", "pytest", *options, tests])
        found = [
            name.partition("[")[0].removeprefix("tests/") for name in _FAILED.findall(done.stdout)
        ]
        found += {f"the engine's {said}" for said in _SELFTEST.findall(done.stdout)}
        if done.returncode not in (0, 1) or (done.returncode == 1) != bool(found):
            raise BrokenError(f"pytest ended with {done.returncode}:\n{_tail(done)}")
        return found

    def _host(self, suites: Sequence[str]) -> Iterable[str]:
        tap = [each.removeprefix(TAP_SUITES) for each in suites if each.startswith(TAP_SUITES)]
        others = [each for each in suites if not each.startswith(TAP_SUITES)]
        yield from self._program("run", others, "host/")
        yield from self._program("run-forkstream", tap, f"host/{TAP_SUITES}")

    def _program(self, target: str, suites: Sequence[str], prefix: str) -> Iterable[str]:
        if not suites:
            return []
        make = ["make", "-C", "asterisk_context_files", "VARIANT=plain"]
        done = self._run([*make, f"TESTS={' '.join(suites)}", target])
        if not _BUILT.search(done.stdout):
            raise BrokenError(f"tests/host did not run:\n{_tail(done)}")
        return (f"{prefix}{name}" for name in _FAILED.findall(done.stdout))

    def _build_core(self) -> None:
        # Its dates are compared in whole seconds: a fault put in within the second in which the
        # core was built would not be built.
        setup = [sys.executable, "setup.py", "--quiet"]
        done = self._run([*setup, "build_ext", "--inplace", "--force"])
        if done.returncode:
            raise BrokenError(f"the core was not built:\n{_tail(done)}")

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        # Python would take a file for unchanged that has its old size, and was changed in the
        # second in which it was compiled.
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("CONVAI_FULL", None)  # the long tests find nothing that is sought here
        try:
            return subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                errors="backslashreplace",  # what a failed check shows may be no UTF-8
                timeout=RUN_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BrokenError(f"not over within {RUN_SECONDS:g} s: {' '.join(command)}") from None


def _tail(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((done.stdout + done.stderr).splitlines()[-20:])


def check_healthy(tree: Tree, chosen: Sequence[Fault], also: Sequence[str]) -> None:
    """Fail unless all the named tests pass without a fault."""
    tests = sorted({test for fault in chosen for test in fault.tests} | set(also))
    suites = sorted({suite for fault in chosen for suite in fault.suites})
    if failing := tree.failed(tests, suites, core=True):
        raise BrokenError(f"these fail without any fault: {', '.join(failing)}")


def main() -> int:
    """Exit status: 0 if each fault was caught."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-k", metavar="WORDS", default="", help="only faults with these words")
    parser.add_argument(
        "--also", metavar="TESTS", action="append", default=[], help="run these for every fault"
    )
    options = parser.parse_args()
    chosen = faults(options.k)
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        tree = Tree(Path(folder) / "tree")
        try:
            check_healthy(tree, chosen, options.also)
        except BrokenError as broken:
            print(f"BROKEN: {broken}", file=sys.stderr)
            return 1
        for fault in chosen:
            began = time.monotonic()
            try:
                caught = tree.caught_by(fault, options.also)
                verdict = "\n".join(f"    {name}" for name in caught) or "    SURVIVED"
            except BrokenError as broken:
                caught, verdict = [], f"    BROKEN: {broken}"
            survivors += not caught
            print(f"{fault.where}: {fault.name} ({time.monotonic() - began:.0f} s)", flush=True)
            print(verdict, flush=True)
    print(f"{len(chosen)} faults, {len(chosen) - survivors} caught")
    return 1 if survivors or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
