"""Where Asterisk comes from, and how to run a program there.

    root = Root.find()                       # the machine's Asterisk, or a root folder made for it
    print(root.versions()["asterisk"])
    root.run(["make", "-C", root.path(PROJECT), "all"], timeout=300)
    process = root.popen(["sleep", "5"])     # process.pid is the program's own pid

In a root folder the checkout appears as /project and /tmp is empty and private to each program;
the folder itself is read-only unless `writable=True`. On a machine with an Asterisk of its own
there is no folder and no mapping. Either way a program dies with the process that started it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from testbed import rootfolder
from testbed.errors import TestbedError
from testbed.paths import PROJECT

OLDEST_ASTERISK = (16, 28)
"""The oldest version the module supports; an older one on the machine is not used."""

ROOT_VARIABLE = "TESTBED_ROOT"
"""Environment variable naming a root folder to use as it is ("/" for the machine itself)."""

RUN_SECONDS = 120.0
"""Default limit on a program: generous for a compiler on a busy machine, short for a hang."""

SHOWN_LINES = 30
"""Lines of a failed program's output that go into the error."""

INSIDE = "/project"
"""Where the checkout appears in a root folder."""

ENTER = Path(__file__).with_name("enter.sh")

INSIDE_VARIABLE = "testbed_inside"
"""Names the variables that are for the program in the root, and begins each name on its way."""

# Gives the program those variables and no others; the last step before it, for a library to be
# preloaded (LD_PRELOAD) is for nothing else. PWD is the shell's own.
UNPACK = f"""\
for name in ${INSIDE_VARIABLE}; do
    eval "$name=\\${INSIDE_VARIABLE}_$name"
    export "$name"
    unset "{INSIDE_VARIABLE}_$name"
done
unset {INSIDE_VARIABLE} name
exec "$@"
"""

KEPT_VARIABLES = ("TERM", "http_proxy", "https_proxy", "no_proxy", "VERBOSE", "WERROR",
                  "SOURCE_DATE_EPOCH")  # fmt: skip
"""All that programs in the root see of the caller's environment."""

VERSION_COMMANDS = {
    "asterisk": ["asterisk", "-V"],
    "python": ["python3", "-c", "import sys; print(sys.version.split()[0])"],
    "websockets": ["python3", "-c", "import websockets; print(websockets.__version__)"],
    "orjson": ["python3", "-c", "import orjson; print(orjson.__version__)"],
    "cython": ["python3", "-c", "import Cython; print(Cython.__version__)"],
    "gcc": ["gcc", "-dumpfullversion"],
    "sipp": ["sh", "-c", "sipp -v | grep -o 'v[0-9][0-9.]*' | head -1"],
    "baresip": ["sh", "-c", "baresip -h 2>&1 | grep -o 'v[0-9][0-9.]*' | head -1"],
    "espeak-ng": ["sh", "-c", "espeak-ng --version | grep -o '[0-9][0-9.]*' | head -1"],
}


@dataclass(frozen=True)
class Root:
    """A file system that holds Asterisk, its headers and the testbed's tools."""

    folder: Path
    """The folder that becomes /; Path("/") means the machine itself."""

    @classmethod
    def find(cls, say: Callable[[str], None] = lambda line: None) -> Root:
        """Return the root to use, making one if needed; `say` is told the progress of that.

        In order: $TESTBED_ROOT, the machine's Asterisk if its headers are there and it is new
        enough, the root folder in the user's cache. Raises TestbedError with what is missing.
        """
        if chosen := os.environ.get(ROOT_VARIABLE):
            return cls.at(Path(chosen))
        if _machine_has_asterisk():
            return cls(Path("/"))
        return cls.at(rootfolder.ensure(say))

    @classmethod
    def at(cls, folder: Path) -> Root:
        """Return the root in a folder that exists, made by the testbed or not."""
        folder = folder.resolve()
        if not (folder / "usr/sbin/asterisk").exists():
            raise TestbedError(f"{folder}: no Asterisk in there (usr/sbin/asterisk is missing)")
        if folder != Path("/"):
            (folder / INSIDE.lstrip("/")).mkdir(exist_ok=True)
        return cls(folder)

    @property
    def is_machine(self) -> bool:
        """Whether this is the machine's own file system."""
        return self.folder == Path("/")

    def path(self, host_path: Path | str) -> str:
        """Return the name that a file of the machine has inside the root."""
        # Not resolve(): links in a root folder mean something else on the machine.
        path = Path(os.path.abspath(host_path))  # noqa: PTH100
        if self.is_machine:
            return str(path)
        if path.is_relative_to(PROJECT):
            return str(Path(INSIDE) / path.relative_to(PROJECT))
        if path.is_relative_to(self.folder):
            return str(Path("/") / path.relative_to(self.folder))
        raise TestbedError(f"{path} cannot be seen inside the root: it is outside {PROJECT}")

    def host(self, inside: str) -> Path:
        """Return the machine's name for a path inside the root."""
        path = Path(inside)
        if not self.is_machine and path.is_relative_to(INSIDE):
            return PROJECT / path.relative_to(INSIDE)
        return self.folder / path.relative_to("/")

    def run(
        self,
        command: Sequence[str],
        *,
        check: bool = True,
        timeout: float = RUN_SECONDS,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        writable: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return its output (standard error included in stdout).

        timeout in seconds; cwd is a path of the machine, the checkout by default. Raises
        TestbedError on the limit and, with `check`, on an exit status other than 0. Its children
        end with it.
        """
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            process = self.popen(
                command, env=env, cwd=cwd, writable=writable, contained=True, stdout=output
            )
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise TestbedError(
                    f"not finished after {timeout:g} s: {' '.join(command)}\n{_tail(output)}"
                ) from None
            finally:
                process.kill()
                process.wait()
            if check and status != 0:
                raise TestbedError(
                    f"failed with status {status}: {' '.join(command)}\n{_tail(output)}"
                )
            output.seek(0)
            return subprocess.CompletedProcess(list(command), status, output.read(), "")

    def popen(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        writable: bool = False,
        contained: bool = False,
        stdin: int | IO[str] | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[str] | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[str] | IO[bytes] = subprocess.STDOUT,
    ) -> subprocess.Popen[bytes]:
        """Start a program; it is killed when the thread that called this ends.

        Its variables travel in the environment: everybody can read a command line.
        `contained`: in a pid namespace, so that its children cannot outlive it; then the pid is
        not the program's own. A session of its own keeps the terminal's Ctrl-C from it: ending it
        is the caller's.
        """
        return subprocess.Popen(
            self.command(command, cwd=cwd, writable=writable, contained=contained),
            env=self.environment(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return what to start `command` with, for the program to have this environment."""
        variables = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/tmp",  # noqa: S108 - the program's own, in a root folder
            "LANG": "C.UTF-8",
            **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            **(env or {}),
        }
        inside = {f"{INSIDE_VARIABLE}_{name}": value for name, value in variables.items()}
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, INSIDE_VARIABLE: " ".join(variables), **inside}

    def command(
        self,
        command: Sequence[str],
        *,
        cwd: Path | str | None = None,
        writable: bool = False,
        contained: bool = False,
    ) -> list[str]:
        """Return the command line that runs a program in the root, from `environment`."""
        return [
            *["setpriv", "--pdeathsig", "KILL", "--"],
            *self._namespaces(contained),
            *["sh", str(ENTER), str(self.folder), str(PROJECT), "rw" if writable else "ro"],
            *["env", "-C", self.path(cwd or PROJECT), "sh", "-c", UNPACK, "sh"],
            *command,
        ]

    def _namespaces(self, contained: bool) -> list[str]:
        user = os.geteuid() != 0
        if self.is_machine and (user or not contained):
            return []
        pids = ["--pid", "--fork", "--kill-child=KILL", "--mount-proc"] if contained else []
        users = ["--user", "--map-root-user", "--map-auto"] if user else []
        return ["unshare", *users, "--mount", *pids, "--"]

    def has(self, tool: str) -> bool:
        """Return whether a program is installed in the root."""
        places = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin")
        return any((self.folder / place / tool).exists() for place in places)

    def require(self, tool: str, package: str) -> None:
        """Raise TestbedError naming the Debian package if a program is not there."""
        if not self.has(tool):
            raise TestbedError(f"'{tool}' is missing in {self.folder}: install package {package}")

    def versions(self) -> dict[str, str]:
        """Return what is installed, by name; '-' for what is not there."""
        found = {"root": str(self.folder)}
        for name, command in VERSION_COMMANDS.items():
            result = self.run(command, check=False)
            lines = result.stdout.split("\n") if result.returncode == 0 else []
            found[name] = (lines[0].removeprefix("Asterisk ").lstrip("v") if lines else "") or "-"
        return found


def _machine_has_asterisk() -> bool:
    if not shutil.which("asterisk") or not Path("/usr/include/asterisk.h").exists():
        return False
    try:
        shown = subprocess.run(
            ["asterisk", "-V"], capture_output=True, text=True, timeout=RUN_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    version = re.search(r"(\d+)\.(\d+)", shown)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST_ASTERISK


def _tail(output: IO[str]) -> str:
    output.seek(0)
    return "\n".join(output.read().splitlines()[-SHOWN_LINES:])
