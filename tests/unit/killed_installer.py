"""Kill an installer before each of its steps in turn, and look at what it leaves.

    killed_installer.py PACKAGE BEFORE TARGET COMMAND...

Run by test_install_engine.py as a program of its own, for it forks. TARGET becomes a copy of the
directory BEFORE for each time; COMMAND is that of install_engine.py, and is killed when it is about
to do something to a file for the first, second, ... time, until it lives to its end. After each,
`current` must name a whole engine and an install of PACKAGE must leave nothing behind. Prints how
many steps there were.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import engine_store as store
import install_engine

LOOKING = {"os.listdir", "os.scandir", "os.walk", "os.getxattr", "os.listxattr"}
"""What changes nothing, of all that `os` announces before it does it."""


def run(words: list[str]) -> int:
    """Run a command of the installer, without its output."""
    sys.stdout.flush()
    sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
    return install_engine.main(words)


def is_step(event: str, arguments: tuple[Any, ...]) -> bool:
    """Tell whether this is about to change something that a process leaves behind."""
    if event == "open":
        return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
    return event.startswith("fcntl.") or (event.startswith("os.") and event not in LOOKING)


def killed_at(step: int, words: list[str]) -> bool:
    """Run a command that is killed before this step; False if it had fewer."""
    child = os.fork()
    if child == 0:
        steps = itertools.count(1)

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            if is_step(event, arguments) and next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        os._exit(run(words))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, f"status {status}"
    return False


def installed(words: list[str]) -> bool:
    """Run a command to its end; whether it succeeded."""
    child = os.fork()
    if child == 0:
        os._exit(run(words))
    return os.waitpid(child, 0)[1] == 0


def check(step: int, package: Path, target: Path) -> None:
    """Look at what a killed installer has left, and install again."""
    current = (target / store.CURRENT).resolve()
    assert store.is_whole(current), f"killed before step {step}: {current} is not whole"
    assert (current / store.IN_USE).exists(), f"killed before step {step}"
    assert installed(["install", "--package", str(package), str(target)]), f"step {step}"
    left = {path.name for path in target.iterdir()} - {store.LOCK}
    links = {store.CURRENT, store.PREVIOUS} & left
    named = {str((target / link).readlink()) for link in links}
    assert left == links | named, f"killed before step {step}, an install leaves {left}"


def main() -> None:
    """Kill the installer before every step."""
    package, before, target = (Path(word) for word in sys.argv[1:4])
    for step in itertools.count(1):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(before, target, symlinks=True)
        if not killed_at(step, sys.argv[4:]):
            break
        check(step, package, target)
    print(step - 1)


if __name__ == "__main__":
    main()
