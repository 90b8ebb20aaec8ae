"""A shell in which commands of the documentation work as they are typed, on the testbed's Asterisk.

What a reader has and the testbed has not is put in front of PATH: `asterisk` asks the instance,
`make` and `gdb` run where the instance runs, `sudo` does nothing, `pidof` knows one process. Paths
that a machine's asterisk.conf names are those of the instance's (`as_here`).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from testbed.instance import Instance
from testbed.paths import PROJECT
from tests.timing import SECOND

COMMAND_SECONDS = 240 * SECOND
"""For one command: a build of everything, on a busy machine."""

_TESTBED = 'cd "$PROJECT" && exec "$PYTHON" -m testbed'
_SHIMS = {
    "asterisk": f'[ "$1" = -rx ] && shift; {_TESTBED} cli --name "$NAME" -- "$@"',
    "make": f'here=$PWD; {_TESTBED} make --name "$NAME" --directory "$here" --'
    ' ${CFLAGS:+"CFLAGS=$CFLAGS"} "$@"',
    "gdb": f'{_TESTBED} run --name "$NAME" -- gdb -iex "set sysroot /" -iex'
    ' "file /usr/sbin/asterisk" "$@"',
    "sudo": 'exec "$@"',
    # Python writes its names where Asterisk sees /tmp; perf looks in ours.
    "perf": 'for map in "/proc/$ASTERISK_PID/root/tmp/perf-$ASTERISK_PID.map"; do'
    ' [ ! -e "$map" ] || [ "$map" -ef "/tmp/${map##*/}" ] || cp "$map" /tmp/; done;'
    ' exec "$PERF" "$@"',
    "pidof": 'echo "$ASTERISK_PID"',
}


class Shell:
    """Runs commands as a reader would."""

    def __init__(self, pbx: Instance, folder: Path, cwd: Path) -> None:
        """folder: for the shims. cwd: where the reader is."""
        self.cwd = cwd
        self._paths = {
            "/usr/lib/asterisk/modules": pbx.module_folder,
            "/etc/asterisk": pbx.etc,
            "/var/log/asterisk": pbx.log_path.parent,
        }
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in _SHIMS.items():
            (folder / name).write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
            (folder / name).chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "PROJECT": str(PROJECT),
            "PYTHON": sys.executable,
            "NAME": pbx.name,
            "TESTBED_NAME": pbx.name,
            "ASTERISK_PID": str(pbx.pid),
            "PERF": shutil.which("perf") or "perf",
        }

    def as_here(self, command: str) -> str:
        """The command with the directories of the instance."""
        for path, ours in self._paths.items():
            command = command.replace(path, shlex.quote(str(ours)))
        return command

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a command, in a session of its own; its output can be read."""
        return subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", self.as_here(command)],
            cwd=self.cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def run(self, command: str, status: int = 0, seconds: float = COMMAND_SECONDS) -> str:
        """Run a command to its end; what it prints. It must end with this status."""
        with self.start(command) as process:
            try:
                output, _ = process.communicate(timeout=seconds)
            except BaseException:
                process.kill()
                raise
        assert process.returncode == status, f"{command}\n{output}"
        return output
