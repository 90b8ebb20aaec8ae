#!/usr/bin/env python3
"""Check that words from outside leave by the door alone, and that a reason is ours.

``check_words.py [ROOT]`` names every way around it; then its status is 1.  ``docs/design.md``,
Words from outside, says what the door is.  In C, only the files of ``DOORS`` may call what writes
to a log, a terminal, a variable or AMI, and there only with text that has been cleaned.  In Python,
only the functions of ``OUTLETS`` may call what leaves the engine, and what goes into a reason is
constant, a number, or a value that has passed ``token``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import tell_faults

C_TOP, PYTHON_TOP, FORK_TOP = "app_elevenlabs_convai", "pyconvai", "app_forkstream"

# ---- C ----

WRITES = re.compile(
    r"(?<![\w>.])(ast_log\w*|(?:__)?ast_verb\w*|ast_debug\w*|ast_trace\w*|ast_console\w*|ast_cli"
    r"|ast_cli_completion_\w+|ast_cli_print\w*|astman_(?:send|append|start)\w*"
    r"|(?:__)?(?:ast_)?manager_event\w*|ast_manager_publish\w*|ast_manager_event\w*"
    r"|ast_json_(?:string|pack|vpack)\w*|pbx_builtin_(?:set|push|import)\w*"
    r"|ast_set_variables|ast_func_write\w*|ast_system\w*|ast_safe_system|v?[fd]?printf|vfprintf"
    r"|vdprintf|puts|fputs|putc|fputc|putchar|fwrite|perror|v?syslog|p?writev?|send|sendto|sendmsg"
    r"|system|popen|exec[lv]\w*|PyErr_(?:Print|Display|Write)\w*|PySys_\w*Write\w*)\s*\("
)
"""Whatever writes where somebody reads, or where something acts upon it."""

DOORS = {f"{C_TOP}/door.c", f"{C_TOP}/call/events.c", f"{FORK_TOP}/tell.c"}

CLEAN = re.compile(
    r'"(?:[^"\\]|\\.)*"|[a-z]+(?:->)?\w*\.text|level|file|line|function|fd|channel|name|session'
    r"|message|end|event|count|EVENT_FLAG_CALL|clean\(.*\)|value \? copy_line\(.*\) : NULL"
    r"|ast_strdup\(copy_line\(.*\)\)"
)
"""An argument of such a call in a door: what has been cleaned, or is no text of others'."""

C_EXCEPT = {
    (f"{C_TOP}/door.c", 'astman_append(session, "ActionID: %s\\r\\n", id)'): (
        "of what the program has sent: one line, which goes back to it as it came"
    ),
    (
        f"{C_TOP}/door.c",
        'astman_append(session, succeeded ? "Response: Success\\r\\n" : "Response: Error\\r\\n")',
    ): "one constant or the other",
    (f"{C_TOP}/call/events.c", "ast_json_string_create(ast_str_buffer(variables))"): (
        "each of them has been cleaned; what joins them is the end of a line"
    ),
    (f"{C_TOP}/call/detail_records.c", "ast_json_string_create(name)"): "an event's: a constant",
    (f"{C_TOP}/call/detail_records.c", 'ast_func_write(channel, "CDR(elevenlabs)", text)'): (
        "JSON of an event's fields, each of which has been cleaned"
    ),
    (f"{C_TOP}/engine/embed.c", "send(loader_fd, request, length, MSG_DONTWAIT | MSG_NOSIGNAL)"): (
        "a request to the loader's thread"
    ),
    (
        f"{FORK_TOP}/websocket.c",
        "send(websocket->fd, out, websocket->length, MSG_DONTWAIT | MSG_NOSIGNAL)",
    ): "a call's audio",
    (
        f"{FORK_TOP}/udp.c",
        "sendmsg(batch.socket->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)",
    ): "calls' audio, and the texts that tell.c has made",
    (f"{PYTHON_TOP}/core/session.c", "write(fd, &one, sizeof(one))"): "wakes who waits",
}
"""By file and call: why it is none."""

_SKIPPED = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"', re.DOTALL)


def code_of(text: str) -> str:
    """Return a C text without comments, as long as it was; strings stay."""

    def blank(found: re.Match[str]) -> str:
        part = found[0]
        return part if part[0] == '"' else re.sub(r"[^\n]", " ", part)

    return _SKIPPED.sub(blank, text)


def without_strings(code: str) -> str:
    """Return the code with the text of its strings blanked: a name in one is no call."""
    return _SKIPPED.sub(lambda found: '"' + " " * (len(found[0]) - 2) + '"', code)


def call_at(code: str, start: int, opening: int) -> str:
    """Return the call whose name starts there and whose bracket opens there, on one line."""
    depth, bare = 0, without_strings(code)
    for end in range(opening, len(code)):
        depth += {"(": 1, ")": -1}.get(bare[end], 0)
        if not depth:
            break
    return " ".join(code[start : end + 1].split())


def arguments_of(call: str) -> list[str]:
    """Return the arguments of a call."""
    inner, bare = call[call.index("(") + 1 : -1], without_strings(call)
    bare = bare[bare.index("(") + 1 : -1]
    found, depth, begin = list[str](), 0, 0
    for place, character in enumerate(bare):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            found.append(inner[begin:place].strip())
            begin = place + 1
    return [*found, inner[begin:].strip()]


def c_faults(root: Path) -> Iterator[str]:
    """Yield each call in C that writes, and is no door's."""
    tops = (C_TOP, PYTHON_TOP, FORK_TOP)
    paths = [path for top in tops for path in (root / top).rglob("*.[ch]")]
    for path in sorted(paths):
        name = path.relative_to(root).as_posix()
        if name.startswith(f"{C_TOP}/tests/"):
            continue
        code = code_of(path.read_text("utf-8"))
        for found in WRITES.finditer(without_strings(code)):
            call = call_at(code, found.start(), found.end() - 1)
            if (name, call) in C_EXCEPT:
                continue
            number = code.count("\n", 0, found.start()) + 1
            if name not in DOORS:
                yield f"{name}:{number}: {found[1]}: door.h has a function for that"
            elif not all(CLEAN.fullmatch(argument) for argument in arguments_of(call)):
                yield f"{name}:{number}: {call}: an argument that is not known to be clean"


# ---- Python ----

ELSEWHERE = (f"{PYTHON_TOP}/mock/", f"{PYTHON_TOP}/tools/")
"""Programs of their own; what the second says to the engine is a tool's words there."""

OUTLETS = {
    "_core.log": ("pyconvai/log.py", "host"),
    "_core.clean": ("pyconvai/words.py", "_clean"),
    "self.handle.end": ("pyconvai/conversation/session.py", "_tell_end"),
    "self._handle.end": ("", ""),
    "subprocess.Popen": ("pyconvai/conversation/process.py", "spawn"),
}
"""What leaves the engine, and the function that may call it, with what has passed the door."""

FILES = {f"{PYTHON_TOP}/records/folder.py"}
"""What writes files of its own: records, in which every text is a JSON string (record.py)."""

FORBIDDEN = re.compile(
    r"print|open|input|(?:.*\.)?(?:write_text|write_bytes|print_exc|print_stack|print_exception"
    r"|stdout\.write|stderr\.write)|sys\.(?:stdout|stderr).*|os\.(?:write|system|popen|open)"
    r"|warnings\.warn|subprocess\.(?!Popen$).*|syslog\..*"
    r"|(?:logging|logger|_logger|LOGGER)\.(?:debug|info|warning|error|exception|critical|log)"
)
"""Calls that no part of the engine makes: nobody reads what it prints."""

REASONS = {
    "Ending": {"reason": 1},
    "no_agent": {"meaning": 0},
    "_rejected": {"reason": 0},
    "_unreachable": {"reason": 0},
    "_sentence": {"meaning": 0, "remedy": 1},
    "self._leave_queue": {"why": 1},
}
"""Functions that take a reason: its parameters' names and places."""

TOKENS = frozenset({"token", "words.token", "place_of", "words_of", "missing.remedy", "_sentence"})
"""Functions whose text may stand in a reason: they let names, numbers and addresses through."""

REASON_VALUES = {
    "endpoint": "Endpoint.__str__ has a token and a number",
    "pause.ending.reason": "a reason that has passed",
    "row.meaning": "a row of the table",
    "close.meaning": "a row of the table",
    "what": "names what was asked: a constant at each call",
    "key": "a constant at each call",
    "_why(failure)": "words_of, or a constant",
    "context.ending": "a constant in each tool",
    "host_reason": "told by the C module, through its own door",
}
"""What else may stand there, as it is written, and why."""


def functions(tree: ast.Module) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
    """Yield each function, and the module, with the nodes that are its own."""
    todo: list[ast.AST] = [tree]
    while todo:
        scope = todo.pop()
        own: list[ast.AST] = []
        inner = list(ast.iter_child_nodes(scope))
        while inner:
            node = inner.pop()
            own.append(node)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                todo.append(node)
            else:
                inner += ast.iter_child_nodes(node)
        yield scope, own


class Reasons:
    """Whether what goes into a reason is ours, within one function."""

    def __init__(self, scope: ast.AST, own: Iterable[ast.AST]) -> None:
        self._made: dict[str, list[ast.expr]] = {}
        for node in own:
            if isinstance(node, ast.Assign):
                self._note(node.targets[0], node.value)
            elif isinstance(node, ast.AnnAssign | ast.AugAssign) and node.value:
                self._note(node.target, node.value)
        name = getattr(scope, "name", "")
        self._parameters = {
            parameter
            for function, parameters in REASONS.items()
            if name == function.rpartition(".")[2]
            for parameter in parameters
        }

    def _note(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, each in zip(target.elts, value.elts, strict=True):
                self._note(one, each)
        elif isinstance(target, ast.Name):
            self._made.setdefault(target.id, []).append(value)

    def is_ours(self, value: ast.expr, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a value is constant, a number, or has passed ``token``."""
        match value:
            case ast.Constant():
                return True
            case ast.JoinedStr() | ast.BoolOp():
                return all(self.is_ours(part, seen) for part in value.values)
            case ast.FormattedValue():
                spec = ast.unparse(value.format_spec)[2:-1] if value.format_spec else ""
                return spec.endswith(("d", "f", "g")) or self.is_ours(value.value, seen)
            case ast.IfExp():
                return self.is_ours(value.body, seen) and self.is_ours(value.orelse, seen)
            case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="join"), args=[argument]):
                return self.is_ours(argument, seen)
            case ast.GeneratorExp():
                return self.is_ours(value.elt, seen)
            case ast.Call() if ast.unparse(value.func) in TOKENS:
                return True
        return self._is_known(value, seen)

    def _is_known(self, value: ast.expr, seen: frozenset[str]) -> bool:
        text = ast.unparse(value)
        if text in REASON_VALUES or text in self._parameters:
            return True
        if isinstance(value, ast.Name) and value.id in self._made:
            made = self._made[value.id]
            return value.id in seen or all(self.is_ours(m, seen | {value.id}) for m in made)
        # A constant of a module, or one member of a table of them.
        return re.fullmatch(r"\w*\.?_?[A-Z][A-Z_]+(\[[\w.]+\])?(\.get\(.*\))?", text) is not None


def reasons_of(call: ast.Call) -> Iterator[ast.expr]:
    """Yield what a call is given that is, or will be, a reason."""
    for name, place in REASONS.get(ast.unparse(call.func), {}).items():
        if len(call.args) > place:
            yield call.args[place]
        yield from (keyword.value for keyword in call.keywords if keyword.arg == name)


def python_faults(root: Path) -> Iterator[str]:
    """Yield each call in the engine that leaves it, or makes a reason, otherwise."""
    for path in sorted((root / PYTHON_TOP).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name.startswith(ELSEWHERE):
            continue
        for scope, own in functions(ast.parse(path.read_text("utf-8"))):
            reasons = Reasons(scope, own)
            for node in own:
                if isinstance(node, ast.Call):
                    place = f"{name}:{node.lineno}"
                    yield from call_faults(node, place, (name, getattr(scope, "name", "")), reasons)


def call_faults(
    call: ast.Call, place: str, where: tuple[str, str], reasons: Reasons
) -> Iterator[str]:
    """Yield what is wrong with one call."""
    function = ast.unparse(call.func)
    if FORBIDDEN.fullmatch(function) and where[0] not in FILES:
        yield f"{place}: {function}: the engine writes to its host's log alone (log.py)"
    if OUTLETS.get(function, where) != where:
        yield f"{place}: {function}: only {':'.join(OUTLETS[function])} may call it"
    for reason in reasons_of(call):
        if not reasons.is_ours(reason):
            text = ast.unparse(reason)
            yield f"{place}: {text}: words of others are the detail; words.token lets names through"


def faults(root: Path) -> list[str]:
    """Return a line for each way around the door."""
    return [*c_faults(root), *python_faults(root)]


if __name__ == "__main__":
    sys.exit(tell_faults.main(faults, "docs/design.md, Words from outside: what passes where"))
