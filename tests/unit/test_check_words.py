"""Words from outside leave by the door alone: `make lint` finds each way around it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.timing import PROGRAM

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import check_words  # noqa: E402

C = "app_elevenlabs_convai/call/call.c"
CLI = "app_elevenlabs_convai/control/cli_show.c"
DOOR = "app_elevenlabs_convai/door.c"
EVENTS = "app_elevenlabs_convai/call/events.c"
CORE = "pyconvai/core/session.c"
FORK = "app_forkstream/stream.c"
FORK_TELL = "app_forkstream/tell.c"
SESSION = "pyconvai/conversation/session.py"
TOOLS = "pyconvai/conversation/tools.py"
NET = "pyconvai/service/net.py"
LOG = "pyconvai/log.py"
ENDINGS = "pyconvai/service/endings.py"

WAYS = {
    "log": (C, '\tast_log(LOG_WARNING, "%s\\n", text);\n'),
    "log over two lines": (C, '\tast_log(LOG_WARNING,\n\t\t"%s\\n",\n\t\ttext);\n'),
    "verbose": (C, '\tast_verb(3, "%s\\n", text);\n'),
    "debug": (C, '\tast_debug(1, "%s\\n", text);\n'),
    "a constant, too": (C, '\tast_log(LOG_WARNING, "nothing\\n");\n'),
    "command": (CLI, '\tast_cli(fd, "%s\\n", text);\n'),
    "completion": (CLI, "\tast_cli_completion_add(ast_strdup(text));\n"),
    "variable": (C, '\tpbx_builtin_setvar_helper(channel, "X", text);\n'),
    "variable by another way": (C, '\tpbx_builtin_pushvar_helper(channel, "X", text);\n'),
    "event": (C, '\tmanager_event(EVENT_FLAG_CALL, "X", "Y: %s", text);\n'),
    "event by another way": (C, '\tast_manager_publish_event("X", EVENT_FLAG_CALL, json);\n'),
    "answer": (CLI, "\tastman_append(s, text);\n"),
    "file": (C, '\tfprintf(file, "%s", text);\n'),
    "shell": (C, "\tast_safe_system(text);\n"),
    "the tap": (FORK, '\tast_log(LOG_WARNING, "%s\\n", text);\n'),
    "the tap's door, open": (FORK_TELL, "\tast_json_string_create(value);\n"),
    "the core": (CORE, '\tprintf("%s", text);\n'),
    "a door that is open": (DOOR, '\tast_cli(fd, "%s", text);\n'),
    "a field that was not cleaned": (EVENTS, "\tast_json_string_create(value);\n"),
    "print": (SESSION, "print(text)\n"),
    "write": (SESSION, "Path('x').write_text(text)\n"),
    "open": (SESSION, "open('x', 'w')\n"),
    "standard error": (SESSION, "sys.stderr.write(text)\n"),
    "traceback": (SESSION, "traceback.print_exc()\n"),
    "logging": (SESSION, "logging.warning(text)\n"),
    "the host's log": (SESSION, '_core.log(2, "", text)\n'),
    "the host's log, from the log": (LOG, '_core.log(2, "", text)\n'),
    "the channel": (TOOLS, "self.handle.end(1, text)\n"),
    "reason": (NET, "Ending(Status.ERROR, text)\n"),
    "reason by name": (NET, "Ending(status=Status.ERROR, reason=text)\n"),
    "a value in a reason": (NET, 'Ending(Status.ERROR, f"it is {text}")\n'),
    "an exception in a reason": (NET, 'Ending(Status.ERROR, f"{error}")\n'),
    "a reason made before": (NET, 'reason = f"it is {text}"\nEnding(Status.ERROR, reason)\n'),
    "a reason made of two": (NET, 'a = "x"\na += text\nEnding(Status.ERROR, a)\n'),
    "a reason that another makes": (NET, '_unreachable(f"it is {text!r}")\n'),
    "a reason that is one of two": (NET, 'Ending(Status.ERROR, "x" if text else text)\n'),
    "a remedy": (ENDINGS, '_sentence("x", text)\n'),
}
"""Each: the file, and a line that goes around the door."""


def with_line(folder: Path, file: str, line: str) -> tuple[list[str], int]:
    """What is found in this file alone with a line at its end, and where that line is."""
    path = folder / file
    path.parent.mkdir(parents=True)
    before = (ROOT / file).read_text("utf-8")
    path.write_text(before + line)
    return check_words.faults(folder), before.count("\n") + 1


def test_nothing_goes_around_the_door() -> None:
    """K2, K10; and ``make lint`` looks."""
    script = ROOT / "scripts" / "check_words.py"
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=PROGRAM, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "scripts/check_words.py" in makefile.partition("\nlint-words:")[2].partition("\n\n")[0]
    assert " lint-words" in makefile.partition("\nlint:")[2].partition("\n")[0]


@pytest.mark.parametrize("way", WAYS)
def test_a_way_around_it(tmp_path: Path, way: str) -> None:
    """K2, K10: each is named, with its file and line."""
    file, line = WAYS[way]
    is_c = file.endswith(".c")
    found, number = with_line(tmp_path, file, f"void x(void)\n{{\n{line}}}\n" if is_c else line)
    (fault,) = found
    assert fault.startswith(f"{file}:")
    assert int(fault.split(":")[1]) >= number


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (C, '\t/* ast_log(LOG_WARNING, text); */\n\tdoor_log(LOG_WARNING, "printf(x)", text);\n'),
        (C, "\tops->send(session, text);\n"),
        (NET, 'Ending(Status.ERROR, f"{seconds:d} s, {token(text)}", detail=text)\n'),
        (NET, 'why = token(text) if text else "x"\nEnding(Status.ERROR, f"no {why}")\n'),
        (TOOLS, "'print(x)'\nself._log.warning(text)\n"),
    ],
)
def test_what_is_allowed(tmp_path: Path, file: str, line: str) -> None:
    assert with_line(tmp_path, file, line)[0] == []
