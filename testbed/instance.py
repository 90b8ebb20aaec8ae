r"""One running Asterisk with directories, configuration and ports of its own.

    dialplan = "[callers]\nexten => 100,1,Answer()\n same => n,Echo()\n"
    with Instance(Root.find(), "mine", dialplan=dialplan, elevenlabs="[general]\n...") as asterisk:
        asterisk.build_and_install()              # the module, into this instance alone
        asterisk.cli("module load app_elevenlabs_convai.so")
        print(asterisk.cli("core show channels count"))
        before = asterisk.counters()

Everything is below build/testbed/<name>/: etc/, lib/ (modules), data/, log/full.log, console.log.
Asterisk dies with the process, and with the thread, that started it, however that ends. `install`
may also come before `start`: leave out `with`, and call prepare(), build_and_install(), start(),
stop(). Instances with different names run side by side.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from testbed import config
from testbed.building import AT_ONCE, LESS_URGENT, one_build_at_a_time
from testbed.claims import claim
from testbed.errors import TestbedError
from testbed.measure import Counters, process_counters
from testbed.paths import BUILD
from testbed.ports import PortBlock
from testbed.root import Root

BOOT_SECONDS = 60.0
"""Limit on "fully booted": 2 s on an idle machine, more under a sanitizer."""

CLI_SECONDS = 30.0
"""Limit on one CLI command."""

STOP_SECONDS = 45.0
"""Limit on `core stop now`; the module may use 2 s of it to end its conversations."""

TERM_SECONDS = 15.0
"""Limit on the orderly end after SIGTERM, before SIGKILL."""

POLL_SECONDS = 0.02
"""How often to look for what Asterisk does not announce (its socket, its last channel)."""

BUILD_SECONDS = 300.0
"""Limit on `make install`."""

CONFIG_MODE = 0o640

UNDER_FACTOR = 10.0
"""How much longer all this takes under a wrapper: valgrind boots in a minute."""

SOCKET_LIMIT = 100
"""Longest path of a UNIX socket is 107 bytes; Asterisk appends nothing, we keep some distance."""

SHOWN_LINES = 25
"""Lines of the log that go into the error when Asterisk does not start."""

MODULE_DIRECTORIES = (
    "usr/lib/*/asterisk/modules",
    "usr/lib/asterisk/modules",
    "usr/lib64/asterisk/modules",
)
DATA_DIRECTORIES = ("usr/share/asterisk", "var/lib/asterisk")
CORE_DOCUMENTATION = "documentation/core-en_US.xml"


class Instance:
    """A private Asterisk. Not thread-safe, but cli() may be called from any thread."""

    def __init__(
        self,
        root: Root,
        name: str,
        *,
        dialplan: str = config.DEFAULT_DIALPLAN,
        elevenlabs: str | None = None,
        codecs: Sequence[str] = config.DEFAULT_CODECS,
        endpoint: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        verbose: int = 3,
        debug: int = 1,
    ) -> None:
        """Describe an instance; nothing is written or started yet.

        dialplan, elevenlabs: texts of extensions.conf (calls enter at context `callers`) and
        elevenlabs.conf (None: no such file). codecs, endpoint: what the endpoint of all callers
        allows, and more options for it in pjsip.conf. files: more configuration files by name, or
        other texts for generated ones. env: environment of Asterisk, for example LD_PRELOAD.
        wrapper: command put in front of Asterisk, for example valgrind.
        """
        if not re.fullmatch(r"(?!\.)[A-Za-z0-9_.-]{1,40}", name):
            raise TestbedError(
                f"instance name {name!r}: use 1 to 40 letters, digits, '_', '-', '.' (not first)"
            )
        self.root = root
        self.name = name
        self.folder = BUILD / "testbed" / name
        self.dialplan = dialplan
        self.elevenlabs = elevenlabs
        self.codecs = tuple(codecs)
        self.endpoint = dict(endpoint or {})
        self.files = dict(files or {})
        self.env = dict(env or {})
        self.wrapper = tuple(wrapper)
        self.verbose, self.debug = verbose, debug
        self._slower = UNDER_FACTOR if wrapper else 1.0
        self._claim: socket.socket | None = None
        self._ports: PortBlock | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._console: BinaryIO | None = None

    # --- life ---

    def __enter__(self) -> Instance:
        self.prepare()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def prepare(self) -> None:
        """Write directories and configuration, in place of the last instance of this name."""
        if self._claim is None:
            self._claim = claim(folder_key(self.folder))
        if self._claim is None:
            raise TestbedError(f"instance '{self.name}' is in use by another process of {BUILD}")
        if self._ports is None:
            self._ports = PortBlock()
        if self.folder.exists():
            shutil.rmtree(self.folder)
        for directory in self._directories().values():
            self.root.host(directory).mkdir(parents=True, exist_ok=True)
        (self.folder / "var" / "keys").mkdir()
        self._link_distribution()
        self.write_config()

    def write_config(self) -> None:
        """Write the configuration files again, after `dialplan`, `elevenlabs` or `files` changed.

        A running Asterisk sees it at its next reload.
        """
        settings = config.Settings(
            directories=self._directories(),
            ports=self.ports,
            dialplan=self.dialplan,
            elevenlabs=self.elevenlabs,
            codecs=self.codecs,
            endpoint=self.endpoint,
            verbose=self.verbose,
            debug=self.debug,
            files=self.files,
        )
        for name, text in config.render(settings).items():
            path = self.etc / name
            path.touch(CONFIG_MODE)  # elevenlabs.conf may hold a key, and the module says so
            path.write_text(text, encoding="utf-8")

    def start(self) -> None:
        """Start Asterisk and wait until it is fully booted; TestbedError has the log's end."""
        if self.running:
            raise TestbedError(f"instance {self.name} is running already (pid {self.pid})")
        self._make_short_rundir()
        self._console = (self.folder / "console.log").open("ab")
        command = [*self.wrapper, "asterisk", "-f", "-C", self.root.path(self.conf)]
        self._process = self.root.popen(
            command, env=self.env, stdout=self._console, cwd=self.folder
        )
        atexit.register(self.stop)
        try:
            self._wait_booted()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> int | None:
        """End Asterisk: `core stop now`, then SIGTERM, then SIGKILL; each with a limit.

        Returns its exit status (negative: the signal that killed it), None if it did not run.
        """
        atexit.unregister(self.stop)
        status = None
        if self._process is not None:
            self._end(self._process)
            status = self._process.wait()
            self._process = None
        self._close_console()
        self.release_ports()
        if self._claim is not None:
            self._claim.close()
            self._claim = None
        self._remove_short_rundir()
        return status

    def release_ports(self) -> None:
        """Let another instance have the ports. The folder stays this one's until ``stop``."""
        if self._ports is not None:
            self._ports.release()
            self._ports = None

    def restart(self) -> None:
        """Stop and start with the same directories, ports and installed module."""
        if self._process is not None:
            self._end(self._process)
            self._process = None
        self._close_console()
        self.start()

    def _close_console(self) -> None:
        if self._console is not None:
            self._console.close()
            self._console = None

    @property
    def running(self) -> bool:
        """Whether Asterisk runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Asterisk's process id, as the machine sees it."""
        if self._process is None:
            raise TestbedError(f"instance {self.name} is not running")
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """What Asterisk ended with, None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def ports(self) -> PortBlock:
        """The ports of this instance, from prepare() to stop()."""
        if self._ports is None:
            raise TestbedError(f"instance {self.name} has no ports yet: call prepare() first")
        return self._ports

    # --- files ---

    @property
    def etc(self) -> Path:
        """The folder of the configuration files."""
        return self.folder / "etc"

    @property
    def conf(self) -> Path:
        """asterisk.conf of this instance."""
        return self.etc / "asterisk.conf"

    @property
    def module_folder(self) -> Path:
        """astmoddir: links to the distribution's modules; ours is installed beside them."""
        return self.folder / "lib"

    @property
    def data_folder(self) -> Path:
        """astdatadir; documentation/thirdparty in it is a real folder of this instance."""
        return self.folder / "data"

    @property
    def log_path(self) -> Path:
        """Asterisk's log with all levels."""
        return self.folder / "log" / "full.log"

    def log(self) -> str:
        """Return the whole log so far."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def wait_log(self, pattern: str, limit: float = CLI_SECONDS, start: int = 0) -> re.Match[str]:
        """Wait until the log matches a regular expression, from character `start` on."""
        deadline = time.monotonic() + limit
        while True:
            if found := re.compile(pattern).search(self.log(), start):
                return found
            if time.monotonic() > deadline:
                raise TestbedError(f"{self.log_path}: no match for {pattern!r} within {limit:g} s")
            time.sleep(POLL_SECONDS)

    # --- doing things ---

    def cli(self, command: str, limit: float = CLI_SECONDS) -> str:
        """Return what the Asterisk CLI answers to a command."""
        result = self.root.run(
            ["asterisk", "-C", self.root.path(self.conf), "-rx", command],
            timeout=limit,
            check=False,
        )
        if "Unable to connect to remote asterisk" in result.stdout or result.returncode != 0:
            raise TestbedError(f"instance {self.name}: CLI command {command!r}: {result.stdout}")
        return re.sub(r"\s*Asterisk ending \(0\)\.\s*$", "", result.stdout)

    def reload_dialplan(self, dialplan: str) -> None:
        """Replace extensions.conf and have Asterisk read it."""
        self.dialplan = dialplan
        self.write_config()
        self.cli("dialplan reload")

    def build_and_install(self, *arguments: str, timeout: float = BUILD_SECONDS) -> str:
        """Build the module in the root and install it into this instance; returns make's output.

        arguments: more for make, for example "DEBUG=1". Asterisk may run or not; it loads the
        module at its next start or by `module load`.
        """
        where = f"ASTERISK_CONF={self.root.path(self.conf)}"
        with one_build_at_a_time():
            command = [*LESS_URGENT, "make", AT_ONCE, "install", where, *arguments]
            return self.root.run(command, timeout=timeout).stdout

    def engine_build(self) -> str:
        """Return the id of the engine that is running, as it says itself; "" if none is."""
        found = re.search(r"build (\w+)", self.cli("elevenlabs show version"))
        return found[1] if found else ""

    def channels(self) -> int:
        """Return how many channels there are now."""
        found = re.search(r"(\d+) active channel", self.cli("core show channels count"))
        if not found:
            raise TestbedError(f"instance {self.name}: no channel count in the CLI's answer")
        return int(found[1])

    def wait_no_channels(self, limit: float = CLI_SECONDS) -> None:
        """Wait until the last channel has gone."""
        deadline = time.monotonic() + limit
        while (count := self.channels()) > 0:
            if time.monotonic() > deadline:
                raise TestbedError(
                    f"{count} channels up after {limit:g} s:\n{self.cli('core show channels')}"
                )
            time.sleep(POLL_SECONDS)

    def counters(self) -> Counters:
        """Return what to compare before and after: channels, descriptors, threads, memory."""
        return process_counters(self.pid, self.channels())

    # --- inside ---

    def _directories(self) -> dict[str, str]:
        names = {
            "astetcdir": "etc",
            "astmoddir": "lib",
            "astdatadir": "data",
            "astagidir": "data/agi-bin",
            "astlogdir": "log",
            "astspooldir": "spool",
            "astvarlibdir": "var",
            "astdbdir": "var",
            "astkeydir": "var",
            "astcachedir": "cache",
            "astsbindir": "sbin",
        }
        found = {key: self.root.path(self.folder / name) for key, name in names.items()}
        return {**found, "astrundir": self.rundir}

    @property
    def rundir(self) -> str:
        """Where asterisk.ctl goes, inside the root: a short folder in /tmp for a deep checkout."""
        inside = self.root.path(self.folder / "run")
        if len(f"{inside}/asterisk.ctl") <= SOCKET_LIMIT:
            return inside
        return str(self._short_rundir())

    def _short_rundir(self) -> Path:
        return Path(tempfile.gettempdir()) / f"testbed-{os.getuid()}-{folder_key(self.folder)}"

    def _make_short_rundir(self) -> None:
        """Make it ourselves where others could be quicker, and would have Asterisk's socket."""
        folder = self._short_rundir()
        if self.root.is_machine and self.rundir == str(folder):
            self._remove_short_rundir()
            try:
                folder.mkdir(0o700)
            except FileExistsError:
                raise TestbedError(f"{folder}: somebody else has made it; remove it") from None

    def _remove_short_rundir(self) -> None:
        if self.rundir == str(self._short_rundir()):
            shutil.rmtree(self._short_rundir(), ignore_errors=True)

    def _link_distribution(self) -> None:
        """Fill astmoddir and astdatadir with links to the distribution's files."""
        for module in self._distribution(MODULE_DIRECTORIES, "*.so").glob("*.so"):
            (self.module_folder / module.name).symlink_to(self.root.path(module))
        data = self._distribution(DATA_DIRECTORIES, CORE_DOCUMENTATION)
        documentation = self.data_folder / "documentation"
        (documentation / "thirdparty").mkdir(parents=True)
        for folder, target in ((data, self.data_folder), (data / "documentation", documentation)):
            for entry in folder.iterdir():
                if not os.path.lexists(target / entry.name):
                    (target / entry.name).symlink_to(self.root.path(entry))

    def _distribution(self, patterns: Sequence[str], content: str) -> Path:
        for pattern in patterns:
            for folder in sorted(self.root.folder.glob(pattern)):
                if any(folder.glob(content)):
                    return folder
        raise TestbedError(f"{self.root.folder}: no {content} in any of {', '.join(patterns)}")

    def _wait_booted(self) -> None:
        limit = BOOT_SECONDS * self._slower
        deadline = time.monotonic() + limit
        control = self.root.host(f"{self.rundir}/asterisk.ctl")
        while not control.exists():
            self._check_booting(deadline, limit)
            time.sleep(POLL_SECONDS)
        while "fully booted" not in self._try_cli("core waitfullybooted", deadline):
            self._check_booting(deadline, limit)
            time.sleep(POLL_SECONDS)

    def _try_cli(self, command: str, deadline: float) -> str:
        try:
            return self.cli(command, max(1.0, deadline - time.monotonic()))
        except TestbedError:
            return ""  # the socket is there before someone listens on it

    def _check_booting(self, deadline: float, limit: float) -> None:
        status = self.exit_status
        if status is None and time.monotonic() < deadline:
            return
        what = f"not booted after {limit:g} s" if status is None else f"ended with {status}"
        console = (self.folder / "console.log").read_text(encoding="utf-8", errors="replace")
        tail = "\n".join((self.log() or console).splitlines()[-SHOWN_LINES:])
        raise TestbedError(f"Asterisk {self.name} {what}; see {self.folder}:\n{tail}")

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            self._try_cli("core stop now", time.monotonic() + CLI_SECONDS * self._slower)
        for end, limit in ((None, STOP_SECONDS), (signal.SIGTERM, TERM_SECONDS)):
            if end is not None:
                process.send_signal(end)
            try:
                process.wait(limit * self._slower)
                return
            except subprocess.TimeoutExpired:
                continue
        process.kill()
        process.wait()


def folder_key(folder: Path) -> str:
    """Return a short name for an instance's folder, the same in every process."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:12]


def remove_folder(folder: Path) -> bool:
    """Remove what an instance left; False if it is in use, or no instance's folder."""
    held = claim(folder_key(folder)) if (folder / "etc" / "asterisk.conf").exists() else None
    if held is None:
        return False
    with held:
        shutil.rmtree(folder)
    return True
