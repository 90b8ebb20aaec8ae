"""What make does with the flags it is given, in a copy of the sources, against mock headers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.timing import SECOND, only_in_full

ROOT = Path(__file__).parents[2]
COPIED = (
    "Makefile",
    "README.md",
    "setup.py",
    "app_elevenlabs_convai",
    "app_forkstream",
    "asterisk_context_files/include",
    "pyconvai",
    "scripts",
)
BUILD_SECONDS = 110 * SECOND
SANITIZE = "-fsanitize=address -g"
LINKER = "-Wl,--build-id=sha1"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name in COPIED:
        source, target = ROOT / name, tmp_path / name
        if source.is_dir():
            left_out = shutil.ignore_patterns("__pycache__", "*.so", "*.new")
            shutil.copytree(source, target, ignore=left_out)
        else:
            shutil.copy2(source, target)
    return tmp_path


def make(sources: Path, *words: str, **environment: str) -> str:
    """Run make in the copy, for the Python that runs this; what it prints."""
    include = sources / "asterisk_context_files" / "include"
    # What the make that runs the tests was told, `make -s` for one, is not for this one.
    ours = ("MAKE", "WERROR")
    inherited = {name: os.environ[name] for name in os.environ if not name.startswith(ours)}
    done = subprocess.run(
        ["nice", "make", f"PYTHON={sys.executable}", *words],
        cwd=sources,
        env={**inherited, "ASTERISK_INCLUDE": str(include), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def symbols(library: Path) -> str:
    words = ["nm", "--dynamic", "--undefined-only", str(library)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def built(sources: Path) -> tuple[Path, Path]:
    """The core and the module."""
    (core,) = (sources / "pyconvai" / "core").glob("_core.*.so")
    return core, sources / "app_elevenlabs_convai" / "app_elevenlabs_convai.so"


def compilations(said: str) -> list[str]:
    """The command lines that compile or link something for C."""
    return [line for line in said.splitlines() if re.search(r"\s-o\s", line)]


@only_in_full("compiles all of it")
def test_flags_of_the_environment_reach_the_core_and_the_module(sources: Path) -> None:
    said = make(sources, "debug", "VERBOSE=1", CFLAGS=SANITIZE, LDFLAGS=LINKER)
    lines = compilations(said)
    compiled = [line for line in lines if " -c " in line]
    linked = [line for line in lines if " -shared " in line]
    folders = ("app_elevenlabs_convai", "app_forkstream", "pyconvai")
    ours = [file for folder in folders for file in (sources / folder).rglob("*.c")]
    # And what Cython makes, and what the second module has from the first.
    assert (len(compiled), len(linked)) == (len(ours) + 2, 3)
    for line in lines:
        assert SANITIZE in line, line
    for line in compiled:
        assert "-O0 -g3" in line, line  # debug
        assert "-Wall -Wextra" in line, line
    for line in linked:
        assert LINKER in line, line
    (core,) = (line for line in compiled if "/_core.c" in line)
    assert "-fwrapv" in core or "-fno-strict-overflow" in core, "Python's own flags are lost"
    for library in built(sources):
        assert "__asan_" in symbols(library), library
    (preload,) = (line for line in said.splitlines() if "PRELOAD " in line)
    found = re.search(r"LD_PRELOAD=(\S+)", preload)
    assert found
    assert Path(found[1]).exists()


@only_in_full("compiles the core twice")
def test_two_at_once_do_not_disturb_each_other(sources: Path) -> None:
    """As of two terminals, or of `make dev` beside `make test`."""
    with ThreadPoolExecutor() as pool:
        for each in [pool.submit(make, sources, "core", CFLAGS="-O0") for _ in range(2)]:
            each.result()


@only_in_full("compiles the core")
def test_a_change_is_compiled_whatever_its_date(sources: Path) -> None:
    """As of a file that is saved while it is compiled, or that comes from an archive."""
    make(sources, "core", CFLAGS="-O0")
    header = sources / "pyconvai" / "core" / "session.h"
    header.write_text(header.read_text(encoding="utf-8") + "\n#error changed\n", encoding="utf-8")
    os.utime(header, (0, 0))
    with pytest.raises(AssertionError, match="#error changed"):
        make(sources, "core", CFLAGS="-O0")


def test_flags_of_the_environment_reach_both_compilers(sources: Path) -> None:
    """Commands are only printed here, and below."""
    flags = {"CFLAGS": SANITIZE, "LDFLAGS": LINKER}
    said = make(sources, "-n", "debug", **flags)
    said += make(sources, "-n", "-C", "app_elevenlabs_convai", "debug", **flags)
    lines = compilations(said)
    assert lines
    assert all(SANITIZE in line and "-O0 -g3" in line for line in lines)
    assert all(LINKER in line for line in lines if " -shared " in line)
    (core,) = (line for line in said.splitlines() if " build_ext " in line)
    assert f"CONVAI_CFLAGS='-O0 -g3 -UNDEBUG {SANITIZE}" in core
    assert LINKER in core


def test_flags_of_the_command_line_win(sources: Path) -> None:
    words = [f"CFLAGS={SANITIZE}", f"LDFLAGS={LINKER}"]
    said = make(sources, "-n", "release", *words, CFLAGS="-Dno")
    said += make(sources, "-n", "-C", "app_elevenlabs_convai", "release", *words, CFLAGS="-Dno")
    assert "-Dno" not in said
    (core,) = (line for line in said.splitlines() if " build_ext " in line)
    assert f"CONVAI_CFLAGS='-O2 -DNDEBUG {SANITIZE}" in core
    assert f"CONVAI_LDFLAGS='{SANITIZE} {LINKER}" in core
    lines = compilations(said)
    assert lines
    for line in lines:
        assert SANITIZE in line
        assert "-O2 -DNDEBUG" in line
    assert any(LINKER in line for line in lines)


def test_nothing_is_said_of_preloading_without_a_sanitizer() -> None:
    words = [str(ROOT / "scripts" / "tell-preload.sh"), "cc", "-O1", "-g"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.parametrize(
    ("target", "strict"),
    [("all", False), ("install", False), ("debug", False), ("core", False), ("demo", False),
     ("bench", False), ("test-unit", True), ("test", True), ("test-sanitize", True)],
)  # fmt: skip
@pytest.mark.parametrize("where", ["", "app_elevenlabs_convai"])
def test_warnings_are_errors_for_developers(target: str, strict: bool, where: str) -> None:
    """H9: a compiler newer than ours warns of more, and is not to stop who builds."""
    said = make(ROOT / where, "-n", target)
    compiled = re.findall(r"CONVAI_WERROR='(\d)'", said)
    if where and target in ("all", "debug"):
        assert compiled == []  # the module alone
    else:
        assert set(compiled) == {str(int(strict))}
    for line in compilations(said):
        assert ("-Werror " in line) == strict


def test_warnings_are_errors_for_whoever_says_so() -> None:
    """H9: and for nobody who says no."""
    assert "CONVAI_WERROR='1'" in make(ROOT, "-n", "core", "WERROR=1")
    assert "CONVAI_WERROR='1'" in make(ROOT, "-n", "core", WERROR="1")
    assert "CONVAI_WERROR='0'" in make(ROOT, "-n", "test-unit", "WERROR=0")


def test_the_module_is_not_built_twice_for_it(sources: Path) -> None:
    """H9: what was built with warnings as errors serves those who build without."""
    flags = sources / "build" / "module" / "flags"

    def said(*words: str) -> str:
        make(sources / "app_elevenlabs_convai", "../build//module/flags", *words)
        return flags.read_text()

    plain = said()
    assert "-Werror" not in plain
    strict = said("WERROR=1")
    assert strict != plain
    assert "-Werror " in strict
    assert said() == strict
    assert said("CFLAGS=-DX") not in (plain, strict)
    assert said() == plain


@only_in_full("compiles the core")
def test_the_core_is_not_built_twice_for_it(sources: Path) -> None:
    """H9: as the module."""
    make(sources, "core", "WERROR=1", CFLAGS="-O0")
    core, _ = built(sources)
    before = core.stat().st_mtime_ns
    make(sources, "core", CFLAGS="-O0")
    assert core.stat().st_mtime_ns == before
    (record,) = (sources / "build").glob("*/records/*+core+_core.*")
    assert record.read_text().endswith("-Werror\n")
