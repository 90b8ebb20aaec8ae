"""A picture of a page, by Chromium: for who looks at it, and for README.md (`make pictures`).

Chromium is looked for on the PATH (Debian's package ``chromium``); nothing is fetched.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from testbed.errors import TestbedError

NAMES = ("chromium", "chromium-browser", "google-chrome")

SECONDS = 120.0
"""For one picture; a browser takes some seconds to start."""

SIZE = 1120, 1330
"""Width and height, in pixels, of what is shown of a report: to the first interruption."""


def browser() -> str | None:
    """The path of Chromium, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def take(page: Path, target: Path) -> None:
    """Take a picture of the upper left corner of a page. TestbedError: there is none."""
    program = browser()
    if program is None:
        raise TestbedError("there is no Chromium on the PATH: apt-get install chromium")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="convai-browser-") as profile:
        command = [
            *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--user-data-dir={profile}",
            "--blink-settings=preferredColorScheme=1",  # light
            f"--window-size={SIZE[0]},{SIZE[1]}",
            f"--screenshot={target.resolve()}",
            page.resolve().as_uri(),
        ]
        subprocess.run(command, timeout=SECONDS, check=False, capture_output=True)
    if not target.exists():
        raise TestbedError(f"{program} has taken no picture of {page}")
