r"""`make bench-fork`: what a copy of a call's audio costs, as a multiple of what `Echo()` costs.

Calls in Echo(), the same with ForkStream() by UDP, by WebSocket and by WebSocket with TLS, and
Echo() again, in one run; the mean of the first and the last is the yardstick.  The listener is
app_forkstream/receive.py in a process of its own: what it costs is not Asterisk's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from testbed.bench_bed import FOLDER
from testbed.bench_load import Bed, hold
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.paths import PROJECT
from testbed.root import Root
from testbed.tls import Certificate, certificate

CALLS = 40
SECONDS = 15.0
WARM_UP_CALLS = 10
RECEIVER = PROJECT / "app_forkstream" / "receive.py"
RESULTS = FOLDER / "fork.json"
COPIES = {"udp": "udp", "ws": "websocket", "wss": "websocket_tls"}
"""How a copy goes, by the URL's scheme."""

DIALPLAN = """\
[callers]
exten => echo,1,Answer()
 same => n,Echo()
exten => _copy.,1,Answer()
 same => n,ForkStream(${FORK_${EXTEN:4}})
 same => n,Echo()
"""


@contextmanager
def receiver(url: str, tls: Certificate) -> Iterator[tuple[str, int]]:
    """Start the listener; its URL and its process."""
    command = [sys.executable, str(RECEIVER), url, str(FOLDER / "fork")]
    command += ["--tls-cert", str(tls.certificate), "--tls-key", str(tls.key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield str(json.loads(process.stdout.readline())["url"]), process.pid
        finally:
            process.kill()


def check_copied(asterisk: Instance) -> None:
    """Raise TestbedError unless each call has its copy: without, it would look cheap."""
    told = asterisk.cli("forkstream show streams")
    if told.count(" up ") != CALLS:
        raise TestbedError(f"not every call has its copy:\n{told}")


def measure(asterisk: Instance, tls: Certificate) -> list[float]:
    """Percent of a core that a call takes: in Echo(), with each copy, and in Echo() again."""
    urls = {scheme: f"{scheme}://127.0.0.1:0" for scheme in COPIES}
    # Asterisk looks for names alone in certificates, and takes a name's first address.
    address = asterisk.root.run(["getent", "ahosts", "localhost"]).stdout.split()[0]
    urls["wss"] = f"wss://[{address}]:0" if ":" in address else f"wss://{address}:0"
    asterisk.build_and_install("MODE=release")
    asterisk.start()
    with ExitStack() as stack:
        beside = {}
        for scheme, asked in urls.items():
            url, beside[f"{scheme} listener"] = stack.enter_context(receiver(asked, tls))
            if scheme == "wss":
                url = f"wss://localhost:{url.rpartition(':')[2]}"
            asterisk.cli(f'dialplan set global FORK_{scheme} "{url}"')
        bed = Bed(asterisk, SECONDS, beside)
        hold(bed, "echo", WARM_UP_CALLS)
        first = hold(bed, "echo", CALLS)
        check = partial(check_copied, asterisk)
        copies = [hold(bed, f"copy{scheme}", CALLS, afterwards=check) for scheme in COPIES]
        return [held.percent for held in (first, *copies, hold(bed, "echo", CALLS))]


def main() -> int:
    """Measure, show and write it down; the exit status is 1 if something did not work."""
    root = Root.find(print)
    FOLDER.mkdir(parents=True, exist_ok=True)
    tls = certificate(root, "tls-bench-fork")
    conf = f"[general]\nca_file = {root.path(tls.ca)}\n"
    asterisk = Instance(
        root,
        "bench-fork",
        dialplan=DIALPLAN,
        elevenlabs=None,
        files={"forkstream.conf": conf},
        verbose=0,
        debug=0,
    )
    try:
        asterisk.prepare()
        first, *copies, last = measure(asterisk, tls)
    except TestbedError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    finally:
        asterisk.stop()
    echo = (first + last) / 2
    found: dict[str, object] = {"calls": CALLS, "echo_percent": [first, last]}
    for name, percent in zip(COPIES.values(), copies, strict=True):
        found[f"{name}_times_echo"] = round((percent - echo) / echo, 3)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
