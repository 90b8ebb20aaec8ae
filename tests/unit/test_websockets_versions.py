"""What the engine takes of websockets and asyncio: public names alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = sorted(
    path for path in (ROOT / "pyconvai").rglob("*.py") if "mock" not in path.parts
)  # the mock plays a service that misbehaves
INNER = ("sslproto", "selector_events", "transports", "legacy", "streams")
"""Modules of asyncio and websockets that are nobody else's."""


PUBLIC = ("os._exit",)
"""Documented, in spite of their names."""


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
            if (private or changed) and ast.unparse(node) not in PUBLIC:
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
