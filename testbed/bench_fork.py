r"""`make bench-fork`: what a copy of a call's audio costs, as a multiple of what `Echo()` costs.

Calls in Echo(), the same with ForkStream() by UDP and by WebSocket, and Echo() again, in one run;
the mean of the first and the last is the yardstick.  The listener is app_forkstream/receive.py in
a process of its own: what it costs is not Asterisk's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.bench_bed import FOLDER
from testbed.bench_load import Bed, hold
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.paths import PROJECT
from testbed.root import Root

CALLS = 40
SECONDS = 15.0
WARM_UP_CALLS = 10
READY_SECONDS = 20.0
RECEIVER = PROJECT / "app_forkstream" / "receive.py"
RESULTS = FOLDER / "fork.json"

DIALPLAN = """\
[callers]
exten => echo,1,Answer()
 same => n,Echo()
exten => _copy[uw].,1,Answer()
 same => n,ForkStream(${FORK_${EXTEN:4}})
 same => n,Echo()
"""


@contextmanager
def receiver(scheme: str) -> Iterator[tuple[str, int]]:
    """Start the listener; its URL and its process."""
    command = [sys.executable, str(RECEIVER), f"{scheme}://127.0.0.1:0", str(FOLDER / "fork")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield str(json.loads(process.stdout.readline())["url"]), process.pid
        finally:
            process.kill()


def main() -> int:
    """Measure, show and write it down; the exit status is 1 if something did not work."""
    root = Root.find(print)
    FOLDER.mkdir(parents=True, exist_ok=True)
    asterisk = Instance(root, "bench-fork", dialplan=DIALPLAN, elevenlabs=None, verbose=0, debug=0)
    with receiver("udp") as (udp, udp_pid), receiver("ws") as (websocket, ws_pid):
        asterisk.prepare()
        try:
            asterisk.build_and_install("MODE=release")
            asterisk.start()
            asterisk.cli(f'dialplan set global FORK_udp "{udp}"')
            asterisk.cli(f'dialplan set global FORK_websocket "{websocket}"')
            bed = Bed(asterisk, SECONDS, {"udp listener": udp_pid, "ws listener": ws_pid})
            hold(bed, "echo", WARM_UP_CALLS)
            names = ("echo", "copyudp", "copywebsocket", "echo")
            percents = [hold(bed, name, CALLS).percent for name in names]
        except TestbedError as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
        finally:
            asterisk.stop()
    echo = (percents[0] + percents[3]) / 2
    found = {
        "calls": CALLS,
        "echo_percent": [percents[0], percents[3]],
        "udp_times_echo": round((percents[1] - echo) / echo, 3),
        "websocket_times_echo": round((percents[2] - echo) / echo, 3),
    }
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
