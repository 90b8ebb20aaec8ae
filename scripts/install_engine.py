#!/usr/bin/env python3
"""Install, roll back and remove the engine, and the files that go with it.

    install_engine.py install --package pyconvai --file SOURCE DESTINATION ... TARGET
    install_engine.py rollback TARGET
    install_engine.py restore --current ID [--previous ID] --file SOURCE DESTINATION ... TARGET
    install_engine.py uninstall --file DESTINATION ... TARGET

TARGET is ``<astmoddir>/app_elevenlabs_convai.d``; engine_store.py says what is in there.  `install`
copies the engine first, then the other files, each by rename, and moves the link ``current`` last.
All of it is one step to others that install: the module and the engine that go with each other
arrive together.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import engine_store as store

MODULE = "app_elevenlabs_convai"
BRING_IN = f"'module reload {MODULE}' brings it in"


def say(what: str, text: object) -> None:
    """Print one line in the form of make's own."""
    print(f"  {what:<8} {text}", flush=True)


def put(source: Path, destination: Path) -> None:
    """Replace a file by rename: Asterisk may have the old one mapped."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    staging = destination.with_name(destination.name + ".new")
    shutil.copyfile(source, staging)
    staging.chmod(0o644)
    staging.replace(destination)


def put_all(files: list[list[Path]]) -> None:
    """Replace files; each is a pair of source and destination."""
    for source, destination in files:
        put(source, destination)
        say("FILE", destination)


def say_in_use(names: list[str]) -> None:
    """Name the old engines that stay, in one line."""
    if names:
        say("IN USE", f"{', '.join(names)}: kept; a later install removes them")


def install(arguments: argparse.Namespace) -> None:
    """Install a package and its files."""
    folder: Path = arguments.target
    with store.locked(folder):
        store.remove_leftovers(folder)
        name = store.place(arguments.package, folder)
        put_all(arguments.file)
        store.switch(folder, name)
        say("ENGINE", folder / name)
        say_in_use(store.clear_up(folder))


def rollback(arguments: argparse.Namespace) -> None:
    """Go back to the previous build."""
    target = existing(arguments.target)
    with store.locked(target) as folder:
        name = store.swap(folder, module := target.with_suffix(".so"))
        unknown = store.contract_of(module) != store.contract_of(
            folder / name / "pyconvai" / store.core_name()
        )
    say("ENGINE", f"{target / name} is current now; {BRING_IN}")
    if unknown and module.exists():
        say(
            "NOTE",
            f"{target / name} is of an earlier version, and {module} stays: where a reload refuses "
            "the one with the other, run 'make install' in the sources of the version that you "
            "want before Asterisk is started next, for it would not load them",
        )


def restore(arguments: argparse.Namespace) -> None:
    """Put files and links back as a backup has them."""
    folder = existing(arguments.target)
    with store.locked(folder):
        put_all(arguments.file)
        store.set_links(folder, arguments.current, arguments.previous)
        say("ENGINE", f"{folder / arguments.current} is current again; {BRING_IN}")
        say_in_use(store.clear_up(folder))


def existing(folder: Path) -> Path:
    """Return the directory of the engines, or raise StoreError: nothing was ever installed."""
    if not folder.is_dir():
        raise store.StoreError(f"there is no {folder}: nothing is installed; run 'make install'")
    return folder


def uninstall(arguments: argparse.Namespace) -> None:
    """Remove everything but engines in use: the links first, so that no new one starts."""
    folder: Path = arguments.target
    if not folder.is_dir():
        remove_files(arguments.file)
        return
    with store.locked(folder):
        for link in (store.CURRENT, store.PREVIOUS):
            (folder / link).unlink(missing_ok=True)
        remove_files(arguments.file)
        in_use = store.empty(folder)
        if not in_use:
            remove_folder(folder)
    if in_use:
        say(
            "IN USE",
            f"{', '.join(in_use)}: a running Asterisk uses them; "
            f"'module unload {MODULE}', then 'make uninstall' again removes them",
        )


def remove_folder(folder: Path) -> None:
    """Remove the directory, unless somebody has put something there or waits to do so."""
    (folder / store.LOCK).unlink()
    with suppress(OSError):
        folder.rmdir()
        say("REMOVED", folder)


def remove_files(files: list[Path]) -> None:
    """Remove files, and what a killed install left of their successors."""
    for path in files:
        path.with_name(path.name + ".new").unlink(missing_ok=True)
        if path.exists():
            path.unlink()
            say("REMOVED", path)


def parse(words: list[str] | None) -> argparse.Namespace:
    """Take the command line apart."""
    parser = argparse.ArgumentParser(description="Install the engine of app_elevenlabs_convai.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        sub = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        sub.add_argument("target", type=Path, help="<astmoddir>/app_elevenlabs_convai.d")
        sub.set_defaults(run=run)
        return sub

    def files(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--file",
            type=Path,
            nargs=2,
            action="append",
            default=[],
            metavar=("SOURCE", "DESTINATION"),
        )

    sub = command(install)
    sub.add_argument("--package", type=Path, required=True, help="the directory pyconvai")
    files(sub)
    command(rollback)
    sub = command(restore)
    sub.add_argument("--current", required=True, metavar="ID")
    sub.add_argument("--previous", default="", metavar="ID")
    files(sub)
    sub = command(uninstall)
    sub.add_argument("--file", type=Path, action="append", default=[], metavar="DESTINATION")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    arguments = parse(words)
    os.umask(0o022)
    for stream in (sys.stdout, sys.stderr):
        # Names of files are bytes, which a locale may not know for text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")
    try:
        arguments.run(arguments)
    except (OSError, store.StoreError) as error:
        print(f"{Path(__file__).name} {arguments.command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
