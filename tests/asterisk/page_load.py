"""What the live page costs: ``python3 -m tests.asterisk.page_load [CALLS [SECONDS]]``.

Some minutes. The CPU of Asterisk for each call, all in one run: without the page (``http_page =
no``), before and after the others; with it, while nobody looks; while two look, one of them at a
call, with Chromium where that is there (tests/browser/install.sh), else with what reads the stream
as a browser does. Each as a multiple of the first. Other load of the machine shows there; so the
CPU of the threads that serve the two is told as well, as a share of what all else takes. And how
long the page in a browser takes for what comes in a second.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from testbed.bench_bed import Started, started
from testbed.bench_load import hold
from testbed.measure import CpuWindow, thread_seconds
from tests.asterisk import browser
from tests.asterisk.page import Viewer, add_users

CALLS, SECONDS = 200, 20.0
AGENT = "chunk20"
USER = "acts"

# How long a page is busy with one status, in ms: from its coming until all is drawn and laid out.
BUSY = """
const done = arguments[0], seen = [];
const real = arrived;
arrived = (status, how) => {
  const began = performance.now();
  real(status, how);
  requestAnimationFrame(() => setTimeout(() => {
    seen.push(performance.now() - began);
    if (seen.length === 8) { arrived = real; done(seen.sort((a, b) => a - b)[6]); }
  }));
};
"""


def switch_page(bed: Started, *, on: bool) -> None:
    conf = Path(bed.asterisk.etc) / "elevenlabs.conf"
    text = conf.read_text(encoding="utf-8").partition("; agents\n")[2] or conf.read_text("utf-8")
    general = f"[general]\nhttp_page = {'yes' if on else 'no'}\ntranscripts = events\n; agents\n"
    conf.write_text(general + text, encoding="utf-8")
    bed.asterisk.cli("elevenlabs reload")


@contextmanager
def two_look(bed: Started) -> Iterator[list[browser.Page]]:
    """Two browsers, the second of which has opened a call."""
    with ExitStack() as stack:
        if browser.missing():
            print(f"  ({browser.missing()}; streams are read without one)")
            for number in range(2):
                stack.enter_context(reading(bed, looks_at_a_call=number == 1))
            yield []
            return
        pages = [stack.enter_context(browser.browse(bed.asterisk)) for _ in range(2)]
        for page in pages:
            page.open().log_in(USER).wait_live()
        pages[1].click("#call-list .row")
        yield pages


@contextmanager
def reading(bed: Started, *, looks_at_a_call: bool) -> Iterator[None]:
    """Read a stream as a browser does."""
    viewer = Viewer(bed.asterisk, USER)
    call = viewer.status()["calls"][0]["id"] if looks_at_a_call else 0
    with viewer.watch(call=call) as shown:
        ended = threading.Event()
        thread = threading.Thread(
            target=lambda: [None for _ in shown if not ended.is_set()], daemon=True
        )
        thread.start()
        yield
        ended.set()


def window(bed: Started, calls: int) -> float:
    """Percent of a core for each call."""
    measured = CpuWindow(bed.asterisk.pid)
    time.sleep(bed.seconds)
    return measured.percent() / calls


def share_of_viewers(bed: Started, known: set[int]) -> float:
    """What threads that are not among these take, as a share of what all others do."""
    before = thread_seconds(bed.asterisk.pid)
    time.sleep(bed.seconds)
    grown = {
        tid: seconds - before.get(tid, ("", 0.0))[1]
        for tid, (_, seconds) in thread_seconds(bed.asterisk.pid).items()
    }
    viewers = sum(seconds for tid, seconds in grown.items() if tid not in known)
    return viewers / (sum(grown.values()) - viewers)


def measure(bed: Started, calls: int, *, page: bool) -> dict[str, Any]:
    """Hold calls, and measure while they are up."""
    found = dict[str, Any]()

    def meanwhile(_: float) -> None:
        found["nobody"] = window(bed, calls)
        if page:
            known = set(thread_seconds(bed.asterisk.pid))
            with two_look(bed) as pages:
                time.sleep(3)
                found["two"] = window(bed, calls)
                found["share"] = share_of_viewers(bed, known)
                for each in pages:
                    found.setdefault("busy_ms", []).append(each.driver.execute_async_script(BUSY))
                    assert each.run("document.querySelectorAll('#call-list .row').length") == calls
            found["nobody again"] = window(bed, calls)

    switch_page(bed, on=page)
    hold(bed, AGENT, calls, meanwhile=meanwhile)
    return found


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    with started(seconds, 0, lambda text: print(text, flush=True)) as bed:
        add_users(bed.asterisk)
        before = measure(bed, calls, page=False)
        shown = measure(bed, calls, page=True)
        after = measure(bed, calls, page=False)
    off = (before["nobody"] + after["nobody"]) / 2
    print(f"{calls} calls, percent of a core for each; times what it is without the page")
    for name, percent in (
        ("without the page, before", before["nobody"]),
        ("without the page, after", after["nobody"]),
        ("nobody looks", shown["nobody"]),
        ("two look", shown["two"]),
        ("nobody looks any more", shown["nobody again"]),
    ):
        print(f"  {name:26} {percent:.3f}  {percent / off:.3f}")
    print(f"  the threads that serve the two take {shown['share']:.4f} of what all others take")
    for busy in shown.get("busy_ms", ()):
        print(f"  a browser is busy for {busy:.0f} ms of each second (the second slowest of 8)")


if __name__ == "__main__":
    main()
