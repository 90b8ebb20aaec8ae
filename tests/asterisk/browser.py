"""Chromium, driven by Selenium, for tests of the live page.

tests/browser/install.sh installs both.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed.config import MANAGER_SECRET
from testbed.instance import Instance
from tests.timing import MS, SECOND

ROOT = Path(__file__).parents[2]
INSTALLED = Path(os.environ.get("CONVAI_BROWSER", ROOT / "build" / "browser"))
PICTURES = ROOT / "build" / "page"
LIMIT = 20 * SECOND


def missing() -> str:
    """What there is not, or nothing."""
    hint = "run tests/browser/install.sh"
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        return f"no chromium with chromedriver: {hint}"
    if not list(INSTALLED.glob("venv/lib/python*/site-packages/selenium")):
        return f"no selenium: {hint}"
    return ""


def _selenium() -> Any:
    """It is in an environment of its own, so that nothing else there is needed."""
    for path in INSTALLED.glob("venv/lib/python*/site-packages"):
        if str(path) not in sys.path:
            sys.path.append(str(path))
    from selenium import webdriver

    return webdriver


class Page:
    """The live page in a browser."""

    def __init__(self, driver: Any, address: str) -> None:
        self.driver, self.address = driver, address

    def open(self) -> Page:
        self.driver.get(self.address)
        self.wait("document.body.dataset.view != 'start'", "the log-in form, or the calls")
        return self

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script gives back; its last expression, without a `return`."""
        return self.driver.execute_script(f"return {script}", *arguments)

    def wait(self, condition: str, what: str, limit: float = LIMIT) -> Any:
        """Wait until a script gives something true back."""
        until = time.monotonic() + limit
        while not (value := self.run(condition)):
            assert time.monotonic() < until, f"{what}: {self.text('body')[:2000]}"
            time.sleep(50 * MS)
        return value

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return str(self.run("document.querySelector(arguments[0]).innerText", selector))

    def click(self, selector: str, place: int = 0) -> None:
        """Click one of those, with the mouse."""
        self.driver.find_elements("css selector", selector)[place].click()

    def type(self, keys: str) -> None:
        """Type on the keyboard, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(keys)

    def log_in(self, user: str) -> Page:
        """With the keyboard alone: the form has the focus."""
        self.type(user + "\ue004")  # Tab
        self.type(MANAGER_SECRET + "\ue007")  # Enter
        return self

    def wait_live(self) -> Page:
        self.wait("document.body.dataset.view == 'live'", "the calls")
        return self

    def wait_calls(self, count: int) -> None:
        rows = "document.querySelectorAll('#call-list .row').length"
        self.wait(f"{rows} == {count}", f"{count} calls")

    def picture(self, name: str) -> Path:
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        assert self.driver.save_screenshot(str(path))
        return path

    def complaints(self) -> list[str]:
        """What the browser has complained of, refused log-ins apart."""
        logged = [str(entry["message"]) for entry in self.driver.get_log("browser")]
        return [
            each for each in logged if "status of 401" not in each and "status of 403" not in each
        ]


@contextmanager
def browse(
    pbx: Instance, width: int = 1400, height: int = 900, *, dark: bool = False
) -> Iterator[Page]:
    """A browser of this size, which has opened nothing yet."""
    webdriver = _selenium()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage",
                     "no-proxy-server", "disable-background-networking"):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    try:
        driver.set_page_load_timeout(LIMIT)
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        yield Page(driver, f"http://127.0.0.1:{pbx.ports.http}/elevenlabs")
    finally:
        driver.quit()
