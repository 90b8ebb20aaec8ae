"""What the mock headers declare, and where the real ones say something else.

Everything is read from the mock headers themselves, so nothing has to be listed anywhere: a
function, type, constant or macro that is added there is compared from then on.

Declared twice, compared once: a probe file takes each function, variable and record into a
variable of its type, and prints each constant. It is compiled against either set of headers; types
are compared by their debugging information, constants by their values. A macro with arguments has
no value; for those the module itself is compiled against both, and each of its functions must refer
to the same functions and variables of Asterisk.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.host.dwarf import Types
from tests.host.programs import ROOT
from tests.timing import SECOND

MOCK = ROOT / "asterisk_context_files" / "include"
MODULES = [ROOT / "app_elevenlabs_convai", ROOT / "app_forkstream"]

_DEFINES = [
    "-D_GNU_SOURCE",
    '-DAST_MODULE="app_elevenlabs_convai"',
    "-DAST_MODULE_SELF_SYM=__internal_app_elevenlabs_convai_self",
    '-DCONVAI_VERSION="0"',
]
FLAGS = [
    *(f"-I{each}" for each in MODULES),
    *("-std=gnu11", "-O0", "-g", "-fPIC", "-w", "-ffunction-sections"),
    *_DEFINES,
]

OWN = re.compile(r"^(mock_|MOCK_|CONTEXT_)")
"""Names of the mock headers' own, which the real ones need not have."""

DIFFERENT = {"AST_BUILDOPT_SUM"}
"""Macros whose values must differ."""

ASTERISK_SYMBOL = re.compile(r"^_*(ast|ao2|pbx)_|^option_debug$")

Declared = dict[str, str]


def _run(command: list[str], **arguments: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60 * SECOND, **arguments
    )
    assert done.returncode == 0, " ".join(command) + "\n" + done.stderr
    return done.stdout


def module_sources() -> list[Path]:
    """The modules' files; not those with Python, nor tests for inside Asterisk."""
    return [
        path
        for path in sorted(path for each in MODULES for path in each.rglob("*.[ch]"))
        if path.name != "embed.c" and not path.name.startswith("test_")
    ]


def includes() -> str:
    """The lines that include every header of Asterisk's that the module includes."""
    text = "".join(path.read_text() for path in module_sources())
    names = sorted(set(re.findall(r'^#include "(asterisk/[^"]+)"', text, re.MULTILINE)))
    return "".join(f'#include "{name}"\n' for name in ["asterisk.h", *names])


class Names:
    """What the mock headers declare, by kind."""

    def __init__(self, mock: Path, work: Path) -> None:
        source = work / "names.c"
        source.write_text(includes())
        text = "".join(path.read_text() for path in mock.rglob("*.h"))
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        self.records = self._own(re.findall(r"^(struct \w+|enum \w+) \{", text, re.MULTILINE))
        self.variables = self._own(re.findall(r"^extern [^;]*?(\w+);", text, re.MULTILINE))
        self.typedefs = self._own(
            re.findall(r"^typedef .*?(\w+)(?:\)\([^;]*)?;", text, re.MULTILINE)
        )
        self.constants = self._own(
            name
            for body in re.findall(r"^enum(?: \w+)? \{(.*?)^\}", text, re.MULTILINE | re.DOTALL)
            for name in re.findall(r"^\t(\w+)", body, re.MULTILINE)
        )
        self.macros = self._own(re.findall(r"^#define (\w+)(?=\s)", text, re.MULTILINE))
        self.function_macros = self._own(re.findall(r"^#define (\w+)\(", text, re.MULTILINE))
        self.functions = self._own(self._functions(mock, source, work))

    @staticmethod
    def _own(names: object) -> list[str]:
        assert not isinstance(names, str)
        return sorted({n for n in names if not OWN.match(n)})  # type: ignore[attr-defined]

    @staticmethod
    def _functions(mock: Path, source: Path, work: Path) -> list[str]:
        listing = work / "names.aux"
        _run(["gcc", *FLAGS, "-isystem", str(mock), "-c", str(source), "-o", str(work / "names.o"),
              "-aux-info", str(listing)])  # fmt: skip
        # AST_MODULE_SELF_SYM is the module's own.
        return [
            found[1]
            for line in listing.read_text().splitlines()
            if f"/* {mock}/" in line
            and (found := re.search(r"\*?\b(\w+) \(", line.split("*/", 1)[1]))
            and not found[1].startswith("__internal_")
        ]


def _probe(names: Names) -> str:
    """A program that holds every type and prints every constant."""
    objects = [(f"function_{n}", f"__typeof__({n}) *") for n in names.functions]
    objects += [(f"variable_{n}", f"__typeof__({n}) *") for n in names.variables]
    objects += [(n.replace(" ", "_"), n) for n in names.records]
    objects += [(f"typedef_{n}", n) for n in names.typedefs]
    lines = [includes()]
    lines += [f"{kind} probe_{name};" for name, kind in objects]
    return "\n".join(lines) + "\n"


def _values(names: Names) -> str:
    """A program that prints constants; those macros that are no expressions are left as text."""
    show = (
        "#define SHOW(name) _Generic((name), char *: show_text, const char *: show_text, "
        "default: show_number)(#name, (intptr_t) (name));\n"
    )
    functions = (
        "static void show_number(const char *name, intptr_t value)\n"
        '{ printf("%s %jd%c", name, (intmax_t) value, 0); }\n'
        # Some pointers to characters are small numbers: CLI_FAILURE.
        "static void show_text(const char *name, intptr_t value)\n"
        "{ if (value < 4096) show_number(name, value);"
        ' else printf("%s %s%c", name, (const char *) value, 0); }\n'
    )
    functions += (
        # Functions that may be missing look for their module before main.
        "void ast_optional_api_use(const char *s, ast_optional_fn *r, ast_optional_fn f,"
        " const char *m) {}\n"
        "void ast_optional_api_unuse(const char *s, ast_optional_fn *r, const char *m) {}\n"
    )
    body = "".join(f"SHOW({n})\n" for n in [*names.constants, *_expressions(names)])
    return f"{includes()}{functions}{show}int main(void) {{\n{body}return 0; }}\n"


def _expressions(names: Names) -> list[str]:
    return [n for n in names.macros if n not in _TEXTS]


# Macros that are not expressions of constants: compared as the compiler expands them.
_TEXTS = {
    "LOG_NOTICE", "LOG_WARNING", "LOG_ERROR", "AST_LOG_DEBUG", "_A_", "AST_MODULE_SELF",
    "attribute_warn_unused_result", "ast_opt_dbg_module",
}  # fmt: skip


def _compile(headers: Path, source: Path, output: Path) -> None:
    _run(["gcc", *FLAGS, "-isystem", str(headers), "-c", str(source), "-o", str(output)])


def _program(headers: Path, source: Path, output: Path) -> str:
    _run(["gcc", *FLAGS, "-isystem", str(headers), str(source), "-o", str(output)])
    return _run([str(output)])


def _arguments(headers: Path, source: Path) -> dict[str, int]:
    """Macros with arguments, and how many they take (negative: at least so many)."""
    text = _run(["gcc", *FLAGS, "-isystem", str(headers), "-dM", "-E", str(source)])
    found: dict[str, int] = {}
    for name, arguments in re.findall(r"^#define (\w+)\(([^)]*)\)", text, re.MULTILINE):
        count = len([a for a in arguments.split(",") if a.strip()])
        found[name] = -count if "..." in arguments else count
    return found


def declared(names: Names, headers: Path, work: Path) -> Declared:
    """Everything that the mock headers name, as this set of headers declares it."""
    work.mkdir(parents=True, exist_ok=True)
    probe, values, source = work / "probe.c", work / "values.c", work / "all.c"
    probe.write_text(_probe(names))
    values.write_text(_values(names))
    source.write_text(includes())
    _compile(headers, probe, work / "probe.o")
    types = Types(work / "probe.o").variables()
    found = {k.removeprefix("probe_"): v for k, v in types.items() if k.startswith("probe_")}
    for line in _program(headers, values, work / "values").split("\0")[:-1]:
        name, value = line.split(" ", 1)
        found[f"value_{name}"] = value
    arguments = _arguments(headers, source)
    found |= {f"macro_{n}": str(arguments.get(n, "none")) for n in names.function_macros}
    return found


# --- what the module refers to ------------------------------------------------------------------


def _references(path: Path) -> dict[str, set[str]]:
    """Each function of an object file, and the names that it refers to."""
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in _run(["objdump", "-dr", "--no-show-raw-insn", str(path)]).splitlines():
        if begin := re.match(r"^[0-9a-f]+ <(.+)>:$", line):
            current = found.setdefault(begin[1], set())
        elif reference := re.search(r": R_\w+\s+(\S+?)(?:[+-]0x[0-9a-f]+)?$", line):
            current.add(reference[1].removeprefix(".text."))
    return found


def _closure(name: str, graph: dict[str, set[str]], seen: set[str]) -> set[str]:
    if name in seen:
        return set()
    seen.add(name)
    found: set[str] = set()
    for reference in graph.get(name, set()):
        if reference in graph:
            found |= _closure(reference, graph, seen)
        elif ASTERISK_SYMBOL.match(reference):
            found.add(reference)
    return found


def references(headers: Path, work: Path) -> dict[str, set[str]]:
    """Each function of the module, and what of Asterisk's it comes to."""
    work.mkdir(parents=True, exist_ok=True)
    found: dict[str, set[str]] = {}
    for source in (path for path in module_sources() if path.suffix == ".c"):
        _compile(headers, source, work / f"{source.parent.name}-{source.stem}.o")
        graph = _references(work / f"{source.parent.name}-{source.stem}.o")
        own = set(re.findall(r"^(?:static )?[\w \*]*?\b(\w+)\(", source.read_text(), re.MULTILINE))
        for name in set(graph) & own:
            place = source.name if MODULES[0] in source.parents else source.relative_to(ROOT)
            found[f"{place}:{name}"] = _closure(name, graph, set())
    return found


def without_test_framework(real: Path, work: Path) -> Path:
    """The real headers, but for what adds tests to the module, which is not what it uses."""
    folder = work / "include"
    (folder / "asterisk").mkdir(parents=True, exist_ok=True)
    (folder / "asterisk.h").symlink_to(real / "asterisk.h")
    for header in (real / "asterisk").glob("*"):
        if header.name != "buildopts.h":
            (folder / "asterisk" / header.name).symlink_to(header)
    text = (real / "asterisk" / "buildopts.h").read_text()
    (folder / "asterisk" / "buildopts.h").write_text(text.replace("#define TEST_FRAMEWORK", "//"))
    return folder


def compare(mock: Path, real: Path, work: Path) -> list[str]:
    """Where the two differ, one line each."""
    (work / "mock").mkdir(parents=True, exist_ok=True)
    names = Names(mock, work / "mock")
    ours = declared(names, mock, work / "mock")
    theirs = declared(names, real, work / "real")
    return [
        f"{name}:\n  mock     {ours.get(name)}\n  Asterisk {theirs.get(name)}"
        for name in sorted(ours.keys() | theirs.keys())
        if (ours.get(name) == theirs.get(name)) is (name.removeprefix("value_") in DIFFERENT)
    ]
