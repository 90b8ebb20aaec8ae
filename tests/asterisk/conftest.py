r"""A real Asterisk with the module in it, and an agent to talk to, as fixtures.

    def test_something(asterisk, agent):
        with agent("default") as mock:
            pbx = asterisk(dialplan=..., elevenlabs=f"[general]\nbase_url = {mock.url}\n...")
            call = place_call(pbx, "100", send=..., hangup_after=3)
        print(mock.report)

`asterisk` lives as long as the test module and cleans up after itself; an Asterisk that did not end
by itself, with status 0, fails its module, and so does one that leaves a key or a signature in its
files (tests/planted.py). A test that fails leaves the report of the last call in build/reports.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.tls import Certificate, certificate
from tests.asterisk.reporting import leave
from tests.planted import left_of

StartAsterisk = Callable[..., Instance]
StartAgent = Callable[..., MockAgent]

_numbers = itertools.count(1)

_started: list[Instance] = []
"""Those of the tests that run now."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Leave the report of the last call of each Asterisk, where a test of calls has failed."""
    report = yield
    if report.when == "call" and report.failed:
        for instance in [each for each in _started if each.running]:
            if left := leave(instance, f"{item.nodeid}-{instance.name}"):
                report.sections.append(("Report of the last call", str(left)))
    return report


@pytest.fixture(scope="session")
def root() -> Root:
    """Where Asterisk and its tools are; `make root` makes it beforehand, which takes a minute."""
    return Root.find(lambda line: print(line, flush=True))


@pytest.fixture(scope="session")
def tls(root: Root) -> Certificate:
    """A server certificate for 127.0.0.1, and the authority that signed it."""
    return certificate(root, f"tls-{os.environ.get('PYTEST_XDIST_WORKER', 'tests')}")


Install = Callable[[Instance], None]

INSTALLED = (
    *("lib/app_elevenlabs_convai.*", "lib/app_forkstream.so", "data/documentation/thirdparty/*"),
    *("etc/elevenlabs*", "etc/forkstream*"),
)
"""All that `make install` leaves in the folder of an instance."""


@pytest.fixture(scope="session")
def install(root: Root) -> Iterator[Install]:
    """Put the product into an instance: a copy of what `make install` puts into the first one.

    That costs seconds of a processor each time. What it does where something is installed already,
    and beside a running Asterisk, is for other tests to try.
    """
    first = Instance(root, f"installed-{os.getpid()}")
    installed: list[Path] = []

    def install(instance: Instance) -> None:
        if not installed:
            first.prepare()
            first.build_and_install()
            first.release_ports()  # for others: there are few, and it never runs
            installed.extend(path for each in INSTALLED for path in first.folder.glob(each))
        for path in installed:
            target = instance.folder / path.relative_to(first.folder)
            if path.is_dir():
                shutil.copytree(path, target, symlinks=True)
            elif not target.exists():  # a configuration that is there stays
                shutil.copy2(path, target)

    yield install
    first.stop()
    shutil.rmtree(first.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def asterisk(
    root: Root, install: Install, request: pytest.FixtureRequest
) -> Iterator[StartAsterisk]:
    """Start an Instance: takes its arguments, and `module=False` to leave the product out.

    Otherwise the product is built and installed into it before it starts.
    """
    started: list[Instance] = []

    def start(*, module: bool = True, **arguments: Any) -> Instance:
        name = f"{Path(request.node.name).stem}-{next(_numbers)}"
        instance = Instance(root, name, **arguments)
        started.append(instance)
        _started.append(instance)
        instance.prepare()
        if module:
            install(instance)
        instance.start()
        return instance

    yield start
    ends = {instance.name: instance.stop() for instance in started}
    _started.clear()
    failed = {name: status for name, status in ends.items() if status != 0}
    assert not failed, f"Asterisk ended with other than 0 (see build/testbed): {failed}"
    leaks = [f"{each.folder}/{leak}" for each in started for leak in left_of(each.folder)]
    assert not leaks, "\n".join(["a test's Asterisk has left credentials:", *leaks])


@pytest.fixture
def agent(root: Root) -> StartAgent:
    """A mock agent: `with agent(scenario, **arguments of MockAgent) as mock`."""
    return partial(MockAgent, root)
