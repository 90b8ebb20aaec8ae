"""The module with its real engine, in the scripted host: loading, a call, unloading, three times.

The Python that runs the tests may be one that cannot be embedded; the machine's own of the same
version then stands in, with the packages of the tests' environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.programs import ROOT, build, program
from tests.timing import SCALE, SECOND

FACTS = """
import os, sys, sysconfig
v = sysconfig.get_config_var
library = os.path.join(v("LIBDIR"), "libpython" + v("LDVERSION") + ".so")
header = os.path.join(sysconfig.get_path("include"), "Python.h")
print(sys.version_info[:2] == {version} and v("Py_ENABLE_SHARED") == 1
    and os.path.exists(library) and os.path.exists(header))
"""


FOLDER = os.fsdecode(b"Gr\xc3\xb6\xc3\x9fe \xf6")
"""Of the engine: two letters that are not ASCII, a blank, and a byte that is not UTF-8."""


def embeddable_python() -> str | None:
    """A Python of this version that has headers and a shared library."""
    question = FACTS.replace("{version}", repr(tuple(sys.version_info[:2])))
    for candidate in (sys._base_executable, "/usr/bin/python3"):  # type: ignore[attr-defined]
        done = subprocess.run(
            [candidate, "-c", question],
            capture_output=True, text=True, check=False, timeout=20 * SECOND,
        )  # fmt: skip
        if done.stdout.strip() == "True":
            return str(candidate)
    return None


def packages_for(python: str) -> Path:
    """An environment of that Python with the packages of this one; returns its program name."""
    folder = ROOT / "build" / "host" / "python"
    site = folder / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    for link, target in (
        (folder / "bin" / "python", python),
        (site, sysconfig.get_path("purelib")),
    ):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(python).parent}\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def engine_program(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The program, and the folder in which the engine is installed for it."""
    python = embeddable_python()
    if python is None:
        pytest.skip("no Python of this version with a shared library and headers is installed")
    build("gcc", "plain", "engine", f"PYTHON={python}", f"PYTHON_NAME={packages_for(python)}")
    modules = tmp_path_factory.mktemp("modules") / FOLDER
    subprocess.run(
        [sys.executable, "scripts/install_engine.py", "install", "--package", "pyconvai",
         str(modules / "app_elevenlabs_convai.d")],
        cwd=ROOT, check=True, capture_output=True, timeout=30 * SECOND,
    )  # fmt: skip
    return program("gcc", "plain", "engine-tests"), modules


@pytest.fixture
def agent_url() -> Iterator[str]:
    """A mock agent of its own."""
    command = [sys.executable, "-m", "pyconvai.mock", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().removeprefix("ready ").strip()
        process.terminate()
        process.communicate(timeout=10 * SECOND)


def run(engine_program: tuple[Path, Path], name: str, **environment: str) -> None:
    binary, modules = engine_program
    done = subprocess.run(
        [str(binary), f"engine/{name}"],
        env=os.environ
        | {"LC_ALL": "C", "HOST_MODULE_DIR": str(modules), "HOST_TEST_LIMIT": str(int(40 * SCALE))}
        | environment,
        capture_output=True, text=True, errors="replace", timeout=60 * SECOND, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_three_cycles(engine_program: tuple[Path, Path]) -> None:
    """Load, a call that finds nobody, unload: nothing is left, and the next load works.

    H5: in the C locale, from a folder of any name. Asterisk itself may choose another locale.
    """
    run(engine_program, "three_cycles_with_a_port_that_refuses")


def test_a_conversation(engine_program: tuple[Path, Path], agent_url: str) -> None:
    """Both sides are heard, through the module, the engine and a socket."""
    run(engine_program, "a_conversation", HOST_AGENT_URL=agent_url)
