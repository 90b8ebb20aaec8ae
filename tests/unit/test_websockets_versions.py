"""What the engine takes of websockets and asyncio: public names, of promised versions."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.timing import SECOND, only_in_full

ROOT = Path(__file__).parents[2]
ENGINE = sorted(
    path for path in (ROOT / "pyconvai").rglob("*.py") if "mock" not in path.parts
)  # the mock plays a service that misbehaves
OLDEST = "15.0"
INNER = ("sslproto", "selector_events", "transports", "legacy", "streams")
"""Modules of asyncio and websockets that are nobody else's."""


def private_uses(tree: ast.Module) -> list[str]:
    """Where a file takes what belongs to a library."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    own |= {"self", "cls"}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            parts = (node.module or "").split(".") + [name.name for name in node.names]
            if parts[0] in ("asyncio", "websockets") and any(
                part in INNER or part.startswith("_") for part in parts
            ):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Attribute):
            mine = isinstance(node.value, ast.Name) and node.value.id in own
            private = node.attr.startswith("_") and not node.attr.startswith("__") and not mine
            changed = isinstance(node.ctx, ast.Store) and node.attr == "max_size"
            if private or changed:
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_name_of_a_library(path: Path) -> None:
    assert private_uses(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "line",
    [
        "from asyncio import sslproto",
        "from asyncio.selector_events import _SelectorSocketTransport",
        "transport.max_size = 1",
        "reader = connection._transport",
        "websocket.protocol.parser_state._x",
    ],
)
def test_a_private_name_would_be_found(line: str) -> None:
    assert private_uses(ast.parse(line))


def test_every_place_names_the_same_version() -> None:
    """H8."""
    oldest = OLDEST.removesuffix(".0")
    for name, pattern in (
        ("requirements.txt", r"^websockets>=(\S+)$"),
        ("setup.py", r'"websockets>=([\d.]+)"'),
        ("scripts/check_deps.py", r"^WEBSOCKETS_NEEDED = \((\d+),\)$"),
        ("scripts/install-deps.sh", r"WEBSOCKETS_NEEDED=(\S+)"),
        ("dependencies.md", r"^\| \[websockets\]\S+ \| (\S+) \|"),
    ):
        found = re.findall(pattern, (ROOT / name).read_text(), re.MULTILINE)
        assert found == [oldest], name


@only_in_full("downloads a package, and runs other files of tests with it")
def test_the_oldest_version_works(tmp_path: Path) -> None:
    """H8: the newest is the one that all other tests run with."""
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path),
         f"websockets=={OLDEST}"],
        capture_output=True, text=True, check=False, timeout=60 * SECOND,
    )  # fmt: skip
    if fetched.returncode:
        pytest.skip(f"no index that has websockets {OLDEST}: {fetched.stderr}")
    files = [f"tests/unit/test_{name}.py" for name in ("session", "websocket", "stalls", "tls")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n2", "-p", "no:cacheprovider", *files],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path), "CONVAI_FULL": "0"},
        capture_output=True, text=True, check=False, timeout=110 * SECOND,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
