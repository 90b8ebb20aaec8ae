"""Finds places in sources by their names, so that changes near them do not hide them.

A name is that of a definition. In Python: a function, class, method (``Class.method``) or variable
of the module. In C: a function, a variable with an initialiser in braces, an enum, struct or union;
what a macro defines has the name of its first argument, as in ``TEST(name)``. In Markdown: a
heading.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

PYTHON, C = (".py",), (".c", ".h")
_STRING = r'"(?:\\.|[^"\\\n])*"' + r"|'(?:\\.|[^'\\\n])*'"
_PYTHON_TEXT = re.compile(rf'"""(?:\\.|[^\\])*?"""|{_STRING}|#[^\n]*', re.DOTALL)
_C_TEXT = re.compile(
    rf"/\*.*?\*/|//[^\n]*|{_STRING}|^[ \t]*#(?:\\\n|[^\n])*", re.DOTALL | re.MULTILINE
)
_C_ATTRIBUTE = re.compile(r"__attribute__\(\((?:[^()]|\([^()]*\))*\)\)")
_C_NAMES = (
    re.compile(r"\b(?:enum|struct|union)\s+(\w+)\s*$"),
    re.compile(r"(\w+)\s*(?:\[\w*\]\s*)*=\s*$"),
    re.compile(r"(?:\b[A-Z][A-Z_]+\(\s*)?(\w+)\s*[(,)]"),
)


class PlaceError(Exception):
    """A place that is not there, or is there more than once."""


class Span(NamedTuple):
    """A part of a text, as offsets. That of a definition or an entry has whole lines."""

    start: int
    end: int


def definition(text: str, suffix: str, name: str) -> Span:
    """Find the one definition of this name in a file's text; suffix is the file's, as ``.c``."""
    found = definitions(text, suffix).get(name, [])
    return _only(found, f"a definition of {name}")


@cache
def definitions(text: str, suffix: str) -> dict[str, list[Span]]:
    """All definitions of a file's text, by name. There are none in files of other kinds."""
    kinds = dict.fromkeys(PYTHON, _of_python) | dict.fromkeys(C, _of_c) | {".md": _of_markdown}
    found: dict[str, list[Span]] = {}
    for name, span in kinds[suffix](text) if suffix in kinds else ():
        found.setdefault(name, []).append(span)
    return found


def entry(text: str, suffix: str, within: Span, words: str) -> Span:
    """Find the line that begins with these words, but for marks (quotes, bars, brackets).

    Brackets that it opens belong to it, up to the line that closes them.
    """
    begins = re.compile(rf"^[^\w\n]*?{re.escape(words)}(?!\B\w)", re.MULTILINE)
    found = [Span(*each.span()) for each in begins.finditer(text, *within)]
    start = end = _only(found, f"a line that begins with {words!r}").start
    code, depth = _without_text(text, suffix), 0
    while end < within.end:
        line = code[end : _end_of_line(text, end)]
        end += len(line)
        depth += sum(line.count(each) for each in "([{") - sum(line.count(each) for each in ")]}")
        if depth <= 0:
            break
    return Span(start, end)


def fragment(text: str, within: Span, words: str) -> Span:
    """Find a piece of text."""
    found = re.compile(re.escape(words)).finditer(text, *within)
    return _only([Span(*each.span()) for each in found], f"the text {words!r}")


def _only(found: list[Span], what: str) -> Span:
    if len(found) != 1:
        raise PlaceError(f"{what} is there {len(found)} times" if found else f"{what} is not there")
    return found[0]


def _end_of_line(text: str, offset: int) -> int:
    """Offset of the next line."""
    return text.find("\n", offset) + 1 or len(text)


def _without_text(text: str, suffix: str) -> str:
    """The code alone: strings, comments and the preprocessor's lines are blanks."""
    kinds = dict.fromkeys((*PYTHON, ".pyx", ".pxi"), _PYTHON_TEXT) | dict.fromkeys(C, _C_TEXT)
    if suffix not in kinds:
        return re.sub(r"[^\n]", " ", text)
    return kinds[suffix].sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def _of_python(text: str) -> Iterator[tuple[str, Span]]:
    starts = [0, *(each.end() for each in re.finditer(r"\n", text)), len(text)]

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Span]]:
        for node in body:
            first, names = node.lineno, list[str]()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                names = [node.name]
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [each.id for each in targets if isinstance(each, ast.Name)]
            for name in names:
                yield prefix + name, Span(starts[first - 1], starts[node.end_lineno or first])
            if isinstance(node, ast.ClassDef):
                yield from walk(node.body, f"{prefix}{node.name}.")

    return walk(ast.parse(text).body, "")


def _of_c(text: str) -> Iterator[tuple[str, Span]]:
    code = _without_text(text, ".c")
    depth = header = opening = 0
    for mark in re.finditer(r"[{};]", code):
        if mark[0] == "{":
            opening = opening if depth else mark.start()
            depth += 1
        elif mark[0] == "}":
            depth -= 1
        if depth or mark[0] == "{":
            continue
        if mark[0] == "}":
            # What comes before may be a macro's call without a semicolon: it has lines of its own.
            last = re.split(r"\n(?=\S)", code[header:opening])[-1]
            for pattern in _C_NAMES:
                if name := pattern.search(_C_ATTRIBUTE.sub("", last)):
                    start = text.rfind("\n", 0, opening - len(last.lstrip()) + 1) + 1
                    yield name[1], Span(start, _end_of_line(text, mark.end()))
                    break
        header = mark.end()


def _of_markdown(text: str) -> Iterator[tuple[str, Span]]:
    prose = re.sub(r"^```.*?^```$", lambda found: " " * len(found[0]), text, flags=re.M | re.S)
    headings = list(re.finditer(r"^(#+) (.+)$", prose, re.MULTILINE))
    for i, heading in enumerate(headings):
        behind = (each.start() for each in headings[i + 1 :] if len(each[1]) <= len(heading[1]))
        yield heading[2], Span(heading.start(), next(behind, len(text)))
