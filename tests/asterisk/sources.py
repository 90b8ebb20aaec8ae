"""A copy of the sources with what is built of them, for tests that deploy another build."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from testbed.building import one_build_at_a_time
from testbed.paths import BUILD, PROJECT
from testbed.root import Root

COPIED = (
    "Makefile",
    "README.md",
    "setup.py",
    "requirements.txt",
    "app_elevenlabs_convai",
    "app_forkstream",
    "pyconvai",
    "scripts",
)
BUILT = "import sysconfig; print(sysconfig.get_config_var('SOABI'))"


class Sources:
    """A copy inside the checkout, so that it can be seen in the root."""

    def __init__(self, root: Root, name: str, more: Sequence[str] = ()) -> None:
        """Copy; dates are kept, so that make has little to do. more: what tests need as well."""
        self.folder = BUILD / "sources" / name
        shutil.rmtree(self.folder, ignore_errors=True)
        built = [f"build/{root.run(['python3', '-c', BUILT]).stdout.strip()}"]
        built += ["build/module-flags", "build/mode", "build/forkstream"]
        with one_build_at_a_time():
            for each in (*COPIED, *more, *built):
                self._copy(each)
        self._originals: dict[str, str] = {}

    def _copy(self, name: str) -> None:
        source, target = PROJECT / name, self.folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)

    def append(self, name: str, text: str) -> None:
        """Write something behind the end of a file, until `restore`."""
        self._keep(name).write_text(self._originals[name] + text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a text of a file, until `restore`."""
        path = self._keep(name)
        assert old in self._originals[name], f"{name} does not say {old!r} any more"
        path.write_text(self._originals[name].replace(old, new), encoding="utf-8")

    def _keep(self, name: str) -> Path:
        path = self.folder / name
        self._originals.setdefault(name, path.read_text(encoding="utf-8"))
        return path

    def restore(self) -> None:
        """Take all changes back."""
        for name, text in self._originals.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        self._originals.clear()

    def remove(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self.folder, ignore_errors=True)
