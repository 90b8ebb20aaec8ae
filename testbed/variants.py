r"""Other engines than the one in the checkout: copies of it with something changed.

    build = install_variant(asterisk, "two", append={"__init__.py": '\\n__version__ = "2"\\n'})
    asterisk.cli("module reload app_elevenlabs_convai")
    assert asterisk.engine_build() == build

A variant is made from the engine that serves in the instance, and installed there as
`make install` does it: into a directory of its own, by the link. Python files are changed; the
compiled core stays.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.paths import PROJECT

ENGINES = "app_elevenlabs_convai.d"
MODULE = "app_elevenlabs_convai"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "_build_id.txt")


def installed(instance: Instance) -> str:
    """The build id that the link names."""
    return (instance.module_folder / ENGINES / "current").readlink().name


def make_variant(
    instance: Instance,
    name: str,
    *,
    append: Mapping[str, str] | None = None,
    replace: Mapping[str, tuple[str, str]] | None = None,
) -> Path:
    """Return a package like the one that is in service, with changes.

    append: text behind a file's own, by file name. replace: (old, new) in a file; an old that is
    not there is an error.
    """
    package = instance.folder / "variants" / name / "pyconvai"
    shutil.rmtree(package, ignore_errors=True)
    source = instance.module_folder / ENGINES / instance.engine_build() / "pyconvai"
    shutil.copytree(source, package, ignore=LEFT_OUT)
    for file, text in (append or {}).items():
        path = package / file
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    for file, (old, new) in (replace or {}).items():
        path = package / file
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise TestbedError(f"{path} does not contain {old!r}")
        path.write_text(text.replace(old, new), encoding="utf-8")
    return package


def install_package(instance: Instance, package: Path) -> str:
    """Install a package into the instance, and return its build id."""
    command = ["python3", instance.root.path(PROJECT / "scripts" / "install_engine.py"), "install"]
    target = instance.root.path(instance.module_folder / ENGINES)
    output = instance.root.run([*command, "--package", instance.root.path(package), target]).stdout
    if not re.search(rf"{ENGINES}/\w+", output):
        raise TestbedError(f"install_engine.py says nothing of an engine: {output}")
    return installed(instance)


def install_variant(
    instance: Instance,
    name: str,
    *,
    append: Mapping[str, str] | None = None,
    replace: Mapping[str, tuple[str, str]] | None = None,
) -> str:
    """make_variant and install_package."""
    return install_package(instance, make_variant(instance, name, append=append, replace=replace))
