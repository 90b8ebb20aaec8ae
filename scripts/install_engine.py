#!/usr/bin/env python3
"""Install, roll back and remove the engine, and the files that go with it.

    install_engine.py install --package pyconvai --file SOURCE DESTINATION ... TARGET
    install_engine.py rollback TARGET
    install_engine.py restore --current ID [--previous ID] --file SOURCE DESTINATION ...
        [--absent FILE ...] TARGET
    install_engine.py uninstall --file DESTINATION ... TARGET
    install_engine.py configure --source EXAMPLE [--group GROUP] <astetcdir>/elevenlabs.conf
    install_engine.py example [--source EXAMPLE] <astetcdir>/elevenlabs-extensions.conf.example

TARGET is ``<astmoddir>/app_elevenlabs_convai.d``; engine_store.py says what is in there.  `install`
copies the engine first, then the other files, each by rename, and moves the link ``current`` last.
All of it is one step to others that install: the module and the engine that go with each other
arrive together.
"""

from __future__ import annotations

import argparse
import grp
import hashlib
import io
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import engine_store as store
import trusted_files

MODULE = "app_elevenlabs_convai"
TAP = "app_forkstream.so"
"""It has no engine: whichever is installed goes with each build."""

PYTHON_LIMIT_S = 30  # to start Python and end it; longer means that something in it hangs
BRING_IN = f"'module reload {MODULE}' brings it in"
LOAD_ANEW = (
    "an Asterisk that runs refuses this engine, and goes on with its own, until "
    f"'module unload {MODULE}', 'xmldoc reload' and 'module load {MODULE}'"
)


def say(what: str, text: object) -> None:
    """Print one line in the form of make's own."""
    print(f"  {what:<8} {text}", flush=True)


def put_all(files: list[list[Path]]) -> None:
    """Replace files; each is a pair of source and destination."""
    for source, destination in files:
        trusted_files.put(source, destination)
        say("FILE", destination)


def say_in_use(names: list[str]) -> None:
    """Name the old engines that stay, in one line."""
    if names:
        say("IN USE", f"{', '.join(names)}: kept; a later install removes them")


def install(arguments: argparse.Namespace) -> None:
    """Install a package and its files."""
    if arguments.check_python:
        refuse_doubtful_python()
    target: Path = arguments.target
    with store.locked(target) as folder:
        module = target.with_suffix(".so")
        before = store.contract_of(module) if module.exists() else None
        store.remove_leftovers(folder)
        name = store.place(arguments.package, folder)
        put_all(arguments.file)
        store.switch(folder, name)
        say("ENGINE", target / name)
        say_in_use(store.clear_up(folder))
        if before not in (None, store.contract_of(module)):
            say("NOTE", f"the contract between module and engine is another one now: {LOAD_ANEW}")
    tell_of_doubts([target, *(destination.parent for _, destination in arguments.file)])


def rollback(arguments: argparse.Namespace) -> None:
    """Go back to the previous build."""
    target = existing(arguments.target)
    with store.locked(target) as folder:
        name = store.swap(folder, module := target.with_suffix(".so"))
        unknown = store.contract_of(module) != store.contract_of(
            folder / name / "pyconvai" / store.core_name()
        )
    say("ENGINE", f"{target / name} is current now; {BRING_IN}")
    if stay := [str(each) for each in (module, module.with_name(TAP)) if each.exists()]:
        say("STAYS", f"{' and '.join(stay)}: the engine alone goes back")
    if unknown and module.exists():
        say(
            "NOTE",
            f"{target / name} is of an earlier version, and {module} stays: where a reload refuses "
            "the one with the other, run 'make install' in the sources of the version that you "
            "want before Asterisk is started next, for it would not load them",
        )


def restore(arguments: argparse.Namespace) -> None:
    """Put files and links back as a backup has them."""
    target = existing(arguments.target)
    with store.locked(target) as folder:
        put_all(arguments.file)
        remove_files(arguments.absent)
        store.set_links(folder, arguments.current, arguments.previous)
        say("ENGINE", f"{target / arguments.current} is current again; {BRING_IN}")
        say_in_use(store.clear_up(folder))


def existing(folder: Path) -> Path:
    """Return the directory of the engines, or raise StoreError: nothing was ever installed."""
    if not folder.is_dir():
        raise store.StoreError(f"there is no {folder}: nothing is installed; run 'make install'")
    return folder


def uninstall(arguments: argparse.Namespace) -> None:
    """Remove everything but engines in use: the links first, so that no new one starts."""
    target: Path = arguments.target
    if not target.is_dir():
        remove_files(arguments.file)
        return
    with store.locked(target) as folder:
        for link in (store.CURRENT, store.PREVIOUS):
            (folder / link).unlink(missing_ok=True)
        remove_files(arguments.file)
        in_use = store.empty(folder)
        if not in_use:
            (folder / store.LOCK).unlink()
            remove_folder(target)
    if in_use:
        say(
            "IN USE",
            f"{', '.join(in_use)}: a running Asterisk uses them; "
            f"'module unload {MODULE}', then 'make uninstall' again removes them",
        )


def remove_folder(folder: Path) -> None:
    """Remove the directory, unless somebody has put something there or waits to do so."""
    with suppress(OSError):
        folder.rmdir()
        say("REMOVED", folder)


def remove_files(files: list[Path]) -> None:
    """Remove files, and what a killed install left of their successors."""
    for path in files:
        if trusted_files.remove(path):
            say("REMOVED", path)


def configure(arguments: argparse.Namespace) -> None:
    """Put the example where the configuration is to be; one that is there stays.

    Root and Asterisk's group can read it, for a key may be written into it.
    """
    destination: Path = arguments.target
    if destination.exists():
        say("KEEP", destination)
        return
    gid = -1
    if os.geteuid() == 0:
        with suppress(KeyError):
            gid = grp.getgrnam(arguments.group).gr_gid
    trusted_files.put(arguments.source, destination, 0o640, gid)
    say("CONF", destination)


def example(arguments: argparse.Namespace) -> None:
    """Put an example where people take from it, or take it away: what they have written stays.

    Its last line tells what we have written, so that an earlier version's is known.
    """
    destination: Path = arguments.target
    text = destination.read_bytes() if destination.is_file() else b""
    lines = text.splitlines(keepends=True)
    if text and lines[-1] != seal(b"".join(lines[:-1])):
        source = f"; this version's is {arguments.source}" if arguments.source else ""
        say("KEEP", f"{destination}: changed since it was installed{source}")
    elif arguments.source is None:
        remove_files([destination])
    else:
        fresh = arguments.source.read_bytes()
        trusted_files.write(io.BytesIO(fresh + seal(fresh)), destination)
        say("EXAMPLE", destination)


def seal(text: bytes) -> bytes:
    """Return the last line of an example that nobody else has changed."""
    return f"; as installed: sha256 {hashlib.sha256(text).hexdigest()}\n".encode()


# --- who else may change what is installed ---


def searched() -> list[Path]:
    """Return where Python looks for modules in Asterisk, with what .pth files add to it."""
    command = [sys.executable, "-I", "-c", "import sys; print('\\0'.join(sys.path))"]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=PYTHON_LIMIT_S, check=True)
    return [Path(name) for name in os.fsdecode(done.stdout).rstrip("\n").split("\0")]


def doubts_of_python() -> dict[str, None]:
    """Say who else may change what the Python that runs this loads."""
    places = {Path(name) for name in (sys.executable, sys.prefix, sys.base_prefix)}
    library = f"{sysconfig.get_config_var('LIBDIR')}/{sysconfig.get_config_var('INSTSONAME')}"
    places |= {Path(library), *map(Path, sysconfig.get_paths().values())}
    folders = {path for path in searched() if path.exists()}
    found: dict[str, None] = {}
    for place in places | folders:
        if place.exists():
            found |= dict.fromkeys(trusted_files.doubts(place))
    for each in (each for folder in folders for each in folder.rglob("*")):
        if each.is_symlink() and each.exists():
            found |= dict.fromkeys(trusted_files.doubts(each))
        elif text := trusted_files.doubt(str(each), each.lstat()):
            found[text] = None
    return found


def refuse_doubtful_python() -> None:
    """Raise StoreError if others may change the Python that Asterisk is to load: root's word."""
    found = doubts_of_python()
    if found:
        raise store.StoreError(
            f"others than root may change the Python that Asterisk is to load: {next(iter(found))}"
            f"{f' (and {len(found) - 1} more)' if len(found) > 1 else ''}. Their code would run in "
            "Asterisk. Use a Python of root's (make install-deps makes one where it is needed), or "
            "say that you trust them: make install TRUST_PYTHON=1"
        )


def tell_of_doubts(folders: list[Path]) -> None:
    """Say which others may replace what root has installed."""
    if os.geteuid() == 0:
        told = dict.fromkeys(text for each in folders for text in trusted_files.doubts(each))
        for text in told:
            say("NOTE", f"{text}: whoever that is can replace what Asterisk loads from there")


def parse(words: list[str] | None) -> argparse.Namespace:
    """Take the command line apart."""
    parser = argparse.ArgumentParser(description="Install the engine of app_elevenlabs_convai.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(
        run: Callable[[argparse.Namespace], None], target: str = "<astmoddir>/" + MODULE + ".d"
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        sub.add_argument("target", type=Path, help=target)
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
    sub.add_argument(
        "--check-python", action="store_true", help="refuse a Python that others may change"
    )
    files(sub)
    command(rollback)
    sub = command(restore)
    sub.add_argument("--current", required=True, metavar="ID")
    sub.add_argument("--previous", default="", metavar="ID")
    files(sub)
    sub.add_argument(
        "--absent", type=Path, action="append", default=[], metavar="FILE", help="was not there"
    )
    sub = command(uninstall)
    sub.add_argument("--file", type=Path, action="append", default=[], metavar="DESTINATION")
    sub = command(configure, "<astetcdir>/elevenlabs.conf")
    sub.add_argument("--source", type=Path, required=True, help="the example")
    sub.add_argument("--group", default="asterisk", help="who may read it besides root")
    sub = command(example, "<astetcdir>/elevenlabs-extensions.conf.example")
    sub.add_argument("--source", type=Path, help="the example; without it, it is taken away")
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
    except (
        OSError,
        subprocess.SubprocessError,
        store.StoreError,
        trusted_files.UntrustedError,
    ) as error:
        print(f"{Path(__file__).name} {arguments.command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
