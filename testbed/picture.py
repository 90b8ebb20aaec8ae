"""Pictures of a page, by Chromium: for who looks at them, and for the documentation.

    python3 -m testbed.picture build/demo/report.html docs/images/report.png

Chromium is looked for on the PATH (Debian's package ``chromium``); nothing is fetched.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testbed.errors import TestbedError

NAMES = ("chromium", "chromium-browser", "google-chrome")

SECONDS = 120.0
"""For one picture; a browser takes some seconds to start."""

SIZE = 1120, 1330
"""Width and height, in pixels, of what is shown of a report: to the first interruption."""

LARGEST_BYTES = 200_000
"""Of a picture in the repository."""


def browser() -> str | None:
    """The path of Chromium, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def take(page: Path, target: Path, width: int, height: int, *, dark: bool = False) -> None:
    """Take a picture of the upper left corner of a page, in pixels. TestbedError: there is none."""
    program = browser()
    if program is None:
        raise TestbedError("there is no Chromium on the PATH: apt-get install chromium")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="convai-browser-") as profile:
        command = [
            *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--user-data-dir={profile}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--window-size={width},{height}",
            f"--screenshot={target.resolve()}",
            page.resolve().as_uri(),
        ]
        subprocess.run(command, timeout=SECONDS, check=False, capture_output=True)
    if not target.exists():
        raise TestbedError(f"{program} has taken no picture of {page}")


def main() -> int:
    """Exit status: 0 if there is a picture, and it is small enough for the repository."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--width", type=int, default=SIZE[0])
    parser.add_argument("--height", type=int, default=SIZE[1])
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    try:
        take(given.page, given.target, given.width, given.height, dark=given.dark)
    except TestbedError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    size = given.target.stat().st_size
    print(f"{given.target}: {size} bytes")
    return 0 if size < LARGEST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
