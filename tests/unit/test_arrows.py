"""Includes and imports run one way: `make lint` finds each arrow that does not, and each ring."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.timing import PROGRAM

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import check_arrows  # noqa: E402

pytestmark = pytest.mark.slow

TOPS = ("app_elevenlabs_convai", "pyconvai", "app_forkstream")
FOLDERS = ("call", "config", "control", "engine", "tests")
README_LINES = 12


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for top in TOPS:
        left_out = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / top, tmp_path / top, ignore=left_out)
    return tmp_path


def check(root: Path) -> list[str]:
    """What the check finds."""
    return list(check_arrows.faults(root))


def append(path: Path, line: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")


def test_all_run_one_way(sources: Path) -> None:
    assert check(sources) == []


def test_the_program_says_so(sources: Path) -> None:
    """As `make lint` runs it, with a line that names the page."""
    words = [sys.executable, str(ROOT / "scripts" / "check_arrows.py"), str(sources)]
    for status in (0, 1):
        done = subprocess.run(
            words, stderr=subprocess.PIPE, text=True, timeout=PROGRAM, check=False
        )
        assert done.returncode == status
        assert ("\ndocs/design.md, The house: " in done.stderr) == bool(status)
        append(sources / "app_elevenlabs_convai/call/caller.h", '#include "control/say.h"')


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("call/caller.h", '#include "control/say.h"', "call/caller -> control/say runs up"),
        ("config/keys.c", '#include "call/dtmf.h"', "config/keys -> call/dtmf runs up"),
        ("engine/embed.c", '# include "config/config.h"', "engine/embed -> config/config runs up"),
        ("convai_ops.h", '#include "call/media.h"', "convai_ops -> call/media runs up"),
        ("call/media.h", '#include "call/call.h"', "a ring: "),
        ("call/caller.h", '#include "../control/say.h"', "call/caller -> control/say runs up"),
        ("call/caller.h", '#include "./../control/say.h"', "call/caller -> control/say runs up"),
        ("call/caller.h", "#include <control/say.h>", "call/caller -> control/say runs up"),
        (
            "engine/embed.c",
            '#include "../../pyconvai/core/session.h"',
            "engine/embed -> ../pyconvai/core/session runs up",
        ),
    ],
)
def test_an_include_that_runs_up(sources: Path, file: str, line: str, found: str) -> None:
    append(sources / TOPS[0] / file, line)
    assert any(found in fault for fault in check(sources))


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("media.c", '#include "stream.h"', "media -> stream runs up"),
        ("config.c", '#include "stream.h"', "config -> stream runs up"),
        ("stream.c", '#include "tell.h"', "a ring: "),
        ("tell.c", '#include "call/media.h"', "tell -> ../app_elevenlabs_convai/call/media"),
    ],
)
def test_an_include_of_the_tap_that_runs_up(
    sources: Path, file: str, line: str, found: str
) -> None:
    append(sources / TOPS[2] / file, line)
    assert any(found in fault for fault in check(sources))


def test_a_header_with_other_characters_in_its_name(sources: Path) -> None:
    (sources / TOPS[0] / "control" / "a-b.2.h").write_text("", encoding="utf-8")
    append(sources / TOPS[0] / "call" / "caller.h", '#include "../control/a-b.2.h"')
    assert check(sources) == ["app_elevenlabs_convai: call/caller -> control/a-b.2 runs up"]


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("service/net.py", "from ..conversation import tools", "service/net -> conversation/tools"),
        ("service/net.py", "from pyconvai import runtime", "service/net -> runtime runs up"),
        ("log.py", "import pyconvai.service.net", "log -> service/net runs up"),
        ("core/_core.pyi", "from ..log import ERROR", "a ring: "),
        ("service/endings.py", "def f():\n    from . import net", "a ring: "),
        ("mock/audio.py", "from ..core import _core", "mock/audio -> core/_core runs up"),
        ("mock/audio.py", "from ..limits import READ_BYTES", "mock/audio -> limits runs up"),
        ("mock/audio.py", "from .. import log", "mock/audio -> log runs up"),
        ("core/_core.pyx", "from ..service import net", "core/_core -> service/net runs up"),
        ("core/_core.pxd", "from pyconvai.mock cimport audio", "core/_core -> mock/audio runs up"),
        ("core/codec.pxi", "from .. import (\n    limits,\n)", "core/codec -> limits runs up"),
        ("core/probe.pxi", "def f():\n    import pyconvai.log", "core/probe -> log runs up"),
        ("core/_core.pyx", 'include "../service/x.pxi"', "core/_core -> service/x runs up"),
        ("core/_core.pxd", 'cdef extern from "call/call.h":', "call/call runs up"),
        ("core/session.h", '#include "call/media.h"', "call/media runs up"),
        ("core/ring.h", '#include "session.h"', "a ring: "),
    ],
)
def test_an_import_that_runs_up(sources: Path, file: str, line: str, found: str) -> None:
    (sources / TOPS[1] / "service" / "x.pxi").write_text("", encoding="utf-8")
    append(sources / TOPS[1] / file, line)
    assert any(found in fault for fault in check(sources))


def test_each_folder_says_what_lives_there() -> None:
    rooms = [ROOT / TOPS[0] / name for name in FOLDERS]
    rooms += [
        ROOT / TOPS[1] / name
        for name in ("core", "service", "tools", "conversation", "checking", "mock")
    ]
    for room in rooms:
        lines = (room / "README.md").read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# "), room
        if room.name != "mock":  # a page for its users
            assert len(lines) <= README_LINES, room
