"""The files of ``tools_directory``: which may be run, and the tools in them.

What is run here is run as Asterisk's user: so only files that root or that user have written, in
folders where nobody else can put another in their place. That holds for what they import from
there as well.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import limits
from .hints import Signature, Unfit

_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{limits.TOOL_NAME_CHARACTERS - 1}}}", re.ASCII)


def doubt(name: str, status: os.stat_result, *, above: bool = False) -> str:
    """Say who besides root and us may change a file or folder; "" if nobody may.

    ``above``: of a folder we want only one other in it, and no names that others add: a link that
    they make leads to what is root's, and was never meant as a tool.
    """
    if status.st_uid not in (0, os.geteuid()):
        return f"{name} belongs to the user {status.st_uid}; chown it to root"
    if above and status.st_mode & stat.S_ISVTX:
        return ""  # as /tmp: others can add names, and change none of ours
    if status.st_mode & stat.S_IWOTH:
        return f"every user may write {name}; chmod o-w it"
    ours = {0, os.getegid()} | (set(os.getgroups()) if os.geteuid() else set())
    if status.st_mode & stat.S_IWGRP and status.st_gid not in ours:
        return f"the group {status.st_gid} may write {name}; chmod g-w it"
    return ""


def doubts(directory: Path) -> str:
    """The first doubt about a folder and those above it, of what a link leads to as well."""
    real = directory.resolve()
    for folder in (directory, *directory.parents, real, *real.parents):
        above = folder not in (directory, real)
        if text := doubt(str(folder), folder.stat(), above=above):
            return text
    return ""


def source_of(path: str) -> bytes:
    """What a file says. OSError: it may not be run, or cannot be read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(f"{path} is no file")
        if text := doubt(path, status):
            raise PermissionError(text)
        return file.read()


class Loader(SourceFileLoader):
    """Reads only what may be run."""

    def get_data(self, path: Any) -> bytes:  # noqa: D102
        return source_of(os.fspath(path))


def admit_imports(directory: Path) -> None:
    """Let tools import what lies beside them, behind all that is Python's own."""

    def hook(path: str) -> FileFinder:
        place = Path(path)
        if place != directory and directory not in place.parents:
            raise ImportError
        if text := doubts(place):
            raise ImportError(text)
        return FileFinder(path, (Loader, [".py"]))

    sys.path_hooks.insert(0, hook)
    sys.path.append(str(directory))


@dataclass(frozen=True, slots=True)
class Tool:
    """One function that the agent may call."""

    name: str
    file: str
    line: int
    about: str
    signature: Signature
    function: Callable[..., Any]
    is_async: bool


class Broken(Exception):
    """A file, or a function in it, that is not used."""

    def __init__(self, file: str, line: int, why: str) -> None:
        super().__init__(why)
        self.file, self.line = file, line


def names_in(directory: Path) -> list[str]:
    """Files with tools; one whose name begins with _ is only imported by others."""
    names = sorted(each.name for each in directory.iterdir() if each.suffix == ".py")
    return [name for name in names if not name.startswith(("_", "."))]


def unnamed(name: str) -> str:
    """Why a file cannot be told by its name, and so not left out where it ends a worker; or ""."""
    whole = name.encode(errors="replace").decode() == name
    return "" if whole else "its name is no UTF-8; rename it"


def load(path: Path) -> ModuleType:
    """Run a file. Broken: where it has failed, and how."""
    name = f"elevenlabs_tools.{path.stem}"
    loader = Loader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException as fault:  # SystemExit as well: it is no reason to end
        raise Broken(path.name, line_of(fault, path), reason(fault)) from None
    return module


def line_of(fault: BaseException, path: Path) -> int:
    """Where in this file a fault comes from, or 0."""
    if isinstance(fault, SyntaxError) and fault.filename == str(path):
        return fault.lineno or 0
    frames = traceback.extract_tb(fault.__traceback__)
    return next((each.lineno or 0 for each in reversed(frames) if each.filename == str(path)), 0)


def reason(fault: BaseException) -> str:
    """A fault in a few words."""
    try:
        text = fault.msg if isinstance(fault, SyntaxError) else str(fault)
    except Exception:  # of a class of the operator's
        return type(fault).__name__
    return f"{type(fault).__name__}: {text}"[: limits.TOOL_ABOUT_CHARACTERS]


def tools_of(module: ModuleType, file: str) -> Iterator[Tool | Broken]:
    """The functions of a file's own whose names do not begin with _."""
    for name, function in vars(module).items():
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        if function.__module__ != module.__name__:
            continue  # it is imported
        line = function.__code__.co_firstlineno
        try:
            line = getattr(inspect.unwrap(function), "__code__", function.__code__).co_firstlineno
            if not _NAME.fullmatch(name):
                raise Unfit("its name has other characters than A to Z, a to z, 0 to 9 and _")
            signature = Signature(function)
        except Exception as fault:  # whatever a hint of the operator's does when it is read
            why = str(fault) if isinstance(fault, Unfit) else reason(fault)
            told = f"{name} is no tool: {why}"[: limits.TOOL_ABOUT_CHARACTERS]
            yield Broken(file, line, told)
            continue
        about = " ".join((inspect.getdoc(function) or "").split())[: limits.TOOL_ABOUT_CHARACTERS]
        is_async = inspect.iscoroutinefunction(function)
        yield Tool(name, file, line, about, signature, function, is_async)
