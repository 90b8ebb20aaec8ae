"""Who may import whom: runtime -> conversation -> service -> core, and no rings in a folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pyconvai

PACKAGE = Path(pyconvai.__file__).parent
ROOT = "pyconvai"
LAYERS = {"core": 0, "service": 1, "conversation": 2, ROOT: 3}
EVERYBODYS = {f"{ROOT}.limits", f"{ROOT}.log", ROOT}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if "mock" not in path.parts]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(path): path for path in FILES} | {
    f"{ROOT}.core._core": PACKAGE / "core" / "_core.pyi"
}


def imports(module: str) -> Iterator[str]:
    """The engine's modules that a module imports, wherever in it."""
    path = MODULES[module]
    package = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) + 1 - node.level] + (node.module or "").split(".")
            origin = ".".join(part for part in base if part)
            for name in node.names:
                inner = f"{origin}.{name.name}"
                yield inner if inner in MODULES else origin


def layer(module: str) -> int:
    return LAYERS[module.split(".")[1] if module.count(".") == 2 else ROOT]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_run_one_way(module: str) -> None:
    for other in imports(module):
        if other not in EVERYBODYS and module not in EVERYBODYS:
            assert layer(other) <= layer(module), other


def test_there_is_no_ring() -> None:
    assert list(imports(f"{ROOT}.conversation.session"))
    TopologicalSorter({module: set(imports(module)) for module in MODULES}).prepare()


def test_what_is_everybodys_imports_only_the_core() -> None:
    assert list(imports(f"{ROOT}.limits")) == []
    assert list(imports(f"{ROOT}.log")) == [f"{ROOT}.core._core"]
