"""What install-deps asks a package manager for; the managers here only write that down."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.timing import PROGRAM

ROOT = Path(__file__).parents[2]
TOOLS = (
    "bash",
    "env",
    "dirname",
    "sed",
    "mktemp",
    "cat",
    "rm",
    "awk",
    "sort",
    "head",
    "grep",
    "mkdir",
    "chmod",
    "touch",
    "cp",
)
# Not complete before the installation, complete after it; and new enough or not.
PYTHON = """\
#!/bin/sh
case "$*" in
    *"core module run"*) exit 1 ;;
    *version_info*) exit {old} ;;
esac
"""


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


class Machine:
    """A machine with one package manager and little else."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.venv = folder / "lib" / "app_elevenlabs_convai" / "venv"
        self.umask = -1
        self.bin.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found
            (self.bin / tool).symlink_to(found)
        script(self.bin / "id", "#!/bin/sh\necho 0\n")
        self.python = folder / "python"
        script(self.python, PYTHON.format(old=0))

    def manager(self, name: str, refuses: str = "nothing") -> None:
        log = self.folder / "asked"
        text = f'echo "$*" >> {log}\ncase "$*" in *{refuses}*) exit 1 ;; esac\n'
        script(self.bin / name, f'#!/bin/sh\n{text}[ "$1" != --prefix ] || echo /opt/brew\n')

    @property
    def asked(self) -> list[str]:
        """The names of packages."""
        words = (self.folder / "asked").read_text().replace("\n", " ").split()
        return [word for word in words if word not in ("install", "-y", "--prefix")]

    def run(self, status: int) -> str:
        done = subprocess.run(
            [str(ROOT / "scripts" / "install-deps.sh"), "module"],
            env={
                "PATH": str(self.bin),
                "CONVAI_SYSTEM_PYTHON": str(self.python),
                "CONVAI_SYSTEM_VENV": str(self.venv),
            },
            umask=self.umask,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PROGRAM,
            check=False,
        )
        assert done.returncode == status, done.stdout
        return done.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def assert_all_are_said_to_be_unchecked(machine: Machine, said: str, manager: str) -> None:
    lines = [line for line in said.splitlines() if line.startswith(f"Asking {manager} for ")]
    assert lines == [f"Asking {manager} for {name} (name not checked)" for name in machine.asked]


def test_dnf(machine: Machine) -> None:
    machine.manager("dnf")
    said = machine.run(0)
    assert {"gcc", "python3-devel", "python3-Cython", "asterisk-devel"} <= set(machine.asked)
    assert_all_are_said_to_be_unchecked(machine, said, "dnf")


def test_dnf_without_asterisk(machine: Machine) -> None:
    machine.manager("dnf", refuses="asterisk-devel")
    assert "install Asterisk from its sources" in machine.run(1)
    assert "python3-orjson" in machine.asked


def test_dnf_with_an_old_python(machine: Machine) -> None:
    script(machine.python, PYTHON.format(old=1))
    machine.manager("dnf")
    assert "make PYTHON=" in machine.run(1)
    assert "python3.12-devel" in machine.asked


def test_brew(machine: Machine) -> None:
    machine.manager("brew")
    said = machine.run(0)
    assert machine.asked == ["asterisk", "python", "pkgconf"]
    assert_all_are_said_to_be_unchecked(machine, said, "brew")
    assert "ASTERISK_INCLUDE=/opt/brew/include" in said


def test_no_manager_that_is_known(machine: Machine) -> None:
    assert "No package manager that this script knows" in machine.run(1)


# A Python whose venv and pip leave files with the modes that the umask says.
VENV_PYTHON = """\
#!/bin/sh
case "$*" in
    *"core module run"*) exit {complete} ;;
    *"core run"*) exit 1 ;;
    "-m venv"*) mkdir -p "$3/bin" && cp {python} "$3/bin/python" ;;
    "-m pip"*) mkdir -p {venv}/lib && touch {venv}/lib/websockets.py ;;
esac
"""


def unreadable(folder: Path) -> list[Path]:
    """What another user cannot read, or enter."""
    found = [folder, *folder.rglob("*")]
    needed = {path: 0o005 if path.is_dir() else 0o004 for path in found}
    return [path for path, bits in needed.items() if path.stat().st_mode & bits != bits]


def test_asterisk_can_read_what_root_installs(machine: Machine) -> None:
    """H6: under umask 077 as well, and what was made so earlier."""
    machine.manager("dnf")
    machine.umask = 0o077
    for complete in (1, 0):
        facts = {"python": machine.python, "venv": machine.venv, "complete": complete}
        script(machine.python, VENV_PYTHON.format(**facts))
        machine.run(0)
        assert (machine.venv / "lib" / "websockets.py").exists()
        assert unreadable(machine.venv.parent) == []
        # As of an earlier version: the next run opens it.
        (machine.venv / "lib" / "websockets.py").chmod(0o600)
        (machine.venv / "lib").chmod(0o700)
