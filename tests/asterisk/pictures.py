"""The pictures of README.md and docs/: ``make pictures``. Two minutes.

docs/images/report.png is the report of the call of ``make demo``, docs/images/page.png the live
page while eight callers talk. Chromium and Selenium are what tests/browser/install.sh brings.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from testbed import demo
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.root import Root
from tests.asterisk import browser, page_scene
from tests.asterisk.page import add_users
from tests.asterisk.phone import configure, wait_state

IMAGES = browser.ROOT / "docs" / "images"

LARGEST_BYTES = 200_000
"""Of a picture in the repository."""

SIZE = 1400, 900
"""Of the live page, in pixels."""

CALLER, ANSWERS = 7, 3
"""The call that is looked at is the one that came first; it has had so many answers."""

LIMIT = 60.0
"""For these, in seconds: a turn takes ten."""


def report() -> Path:
    """Place the call of the demo, and take its report's picture."""
    if demo.demo() != 0:
        raise TestbedError("the demo has failed")
    taken = demo.FOLDER / "report.png"
    if not taken.exists():
        raise TestbedError("the demo has left no picture")
    return Path(shutil.copy(taken, IMAGES))


def page() -> Path:
    """Take a picture of the live page, with a call that is looked at."""
    root = Root.find(print)
    pbx = Instance(root, "pictures", dialplan=page_scene.DIALPLAN_OF_ALL, elevenlabs="[general]\n")
    pbx.prepare()
    pbx.build_and_install()
    pbx.start()
    try:
        add_users(pbx)
        with page_scene.service(root) as mock:
            configure(pbx, page_scene.conf(mock))
            with page_scene.callers(pbx, root, page_scene.AT_DESK) as calls:
                calls.wait_up()
                wait_state(pbx, "queued", 1)
                with browser.browse(pbx, *SIZE) as shown:
                    shown.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
                    shown.open().log_in("acts").wait_live()
                    shown.wait_calls(len(page_scene.AT_DESK))
                    shown.click("#call-list .row", CALLER)
                    answers = "document.querySelectorAll('.bars rect').length"
                    shown.wait(f"{answers} >= {ANSWERS}", "answers", LIMIT)
                    return Path(shutil.copy(shown.picture("documentation"), IMAGES / "page.png"))
    finally:
        pbx.stop()


def main() -> int:
    """Exit status: 0 if both have been made, and are small enough for the repository."""
    if why := browser.missing():
        print(f"FAILED: {why}", file=sys.stderr)
        return 1
    try:
        made = [report(), page()]
    except TestbedError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    for picture in made:
        print(f"{picture.relative_to(browser.ROOT)}: {picture.stat().st_size} bytes")
    return 0 if all(picture.stat().st_size < LARGEST_BYTES for picture in made) else 1


if __name__ == "__main__":
    sys.exit(main())
