"""The page of a call in Chromium: as wide as a telephone, a tablet, a screen; light and dark.

Driven by Selenium, from an environment of its own (``CONVAI_BROWSER``, or build/browser/venv);
Chromium and its driver are Debian's. Pictures for people are left in build/report-pictures.
"""

from __future__ import annotations

import base64
import importlib
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyconvai.records import record
from pyconvai.report import page
from testbed.paths import BUILD
from tests.timing import SECOND, only_in_full
from tests.unit.recorded import end, facts
from tests.unit.test_report import HOSTILE

INSTALLED = Path(os.environ.get("CONVAI_BROWSER", BUILD / "browser"))
PICTURES = BUILD / "report-pictures"
WIDTHS = (390, 820, 1280)
SECONDS_LONG = 420
"""Of the call that is shown."""

DARK_PAGE = "rgb(18, 20, 27)"


def missing() -> str:
    """What there is not, or nothing."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        return "no chromium with chromedriver (Debian: chromium, chromium-driver)"
    return "" if list(INSTALLED.glob("venv/lib/python*/site-packages/selenium")) else "no selenium"


pytestmark = [
    only_in_full("starts a browser"),
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.limit(300),
]


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    sys.path += [str(path) for path in INSTALLED.glob("venv/lib/python*/site-packages")]
    webdriver = importlib.import_module("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(str(shutil.which("chromedriver")))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(30 * SECOND)
    yield driver
    driver.quit()


def lively() -> record.Record:
    """A call of seven minutes with everything, and with what somebody hostile says."""
    chance = random.Random(7)
    levels = {"caller": bytearray(SECONDS_LONG * 10), "agent": bytearray(SECONDS_LONG * 10)}
    turns: list[dict[str, Any]] = []
    latency: list[dict[str, int]] = []
    at = 0
    words = "Of course, let me see what I can do for you about that order. "
    while at < SECONDS_LONG * 10 - 150:
        for speaker, longest in (("agent", 90), ("caller", 40)):
            length = chance.randint(10, longest)
            levels[speaker][at : at + length] = bytes(
                0x80 | chance.randint(70, 105) for _ in range(length)
            )
            is_agent, cut = speaker == "agent", speaker == "agent" and chance.random() < 0.2
            text = words * chance.randint(1, 3) if is_agent else chance.choice(HOSTILE)
            text = text.encode(errors="replace").decode()
            turns.append(
                {
                    **{"speaker": speaker, "text": text, "at_ms": at * 100, "cut_short": cut},
                    "said": text if cut else None,
                    "heard_characters": len(text) // 2 if cut else None,
                }
            )
            at += length + chance.randint(4, 12)
        latency.append({"at_ms": at * 100, "ms": chance.choice((650, 800, 1700, 3200))})
    told = facts(caller_name=HOSTILE[5], agent=HOSTILE[0]) | end(
        status="TIMEOUT", detail=HOSTILE[1]
    )
    found = record.ended(told | {"Mos": "3.4", "LossPercent": "5.00"}, None)
    return found | {
        "talking_at": found["started_at"],
        "talking_ms": SECONDS_LONG * 1000,
        "transcript": turns,
        "latency": latency,
        "interrupted": [{"at_ms": 60_000, "heard_ms": 900, "length_ms": 4000}],
        "away": [{"why": "step", "step": "ask_desk", "at_ms": 200_000, "ms": 40_000}],
        "tools": [
            {
                "name": "x" * 64,
                "at_ms": 90_000,
                "outcome": "failed",
                "ms": 20_000,
                "result": "y" * 900,
            },
            {"name": "find", "at_ms": 30_000, "outcome": "done", "ms": 420, "result": HOSTILE[0]},
        ],
        "levels": {"every_ms": 100}
        | {side: base64.b64encode(each).decode() for side, each in levels.items()},
    }


@pytest.fixture(scope="module")
def address() -> str:
    PICTURES.mkdir(parents=True, exist_ok=True)
    target = PICTURES / "report.html"
    target.write_text(page.made(lively(), "2026-11-30 07:00:00"), encoding="utf-8")
    return target.resolve().as_uri()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_report_is_shown(driver: Any, address: str, width: int, *, dark: bool) -> None:
    """Nothing is wider than the page but what scrolls; nothing is run, nothing is asked for."""
    metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(address)
    run = driver.execute_script
    assert run("return document.documentElement.scrollWidth") <= width
    too_wide = run(
        "return [...document.querySelectorAll('section, header, .said, .tiles div, h1, .event')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right"
        " > innerWidth).map(e => e.className + ' ' + e.textContent.slice(0, 40))"
    )
    assert too_wide == []
    background = run("return getComputedStyle(document.body).backgroundColor")
    assert (background == DARK_PAGE) is dark
    # Each lane is as wide as its line, and some of its bars have a height.
    lanes = run(
        "return [...document.querySelectorAll('.lane svg')].map(e => e.getBoundingClientRect())"
        ".map(r => [r.width, r.height])"
    )
    assert len(lanes) == 2
    assert all(wide > min(width - 80, 300) and high > 50 for wide, high in lanes), lanes
    text = run("return document.body.innerText")
    assert "<script>alert(1)</script>" in text
    assert "U+202E" in text
    assert run("return document.scripts.length + document.images.length") == 0
    assert run("return performance.getEntriesByType('resource').length") == 0
    assert [each["message"] for each in driver.get_log("browser")] == []
    height = run("return document.documentElement.scrollHeight")
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", metrics | {"height": min(height, 4000)}
    )
    name = f"{width}-{'dark' if dark else 'light'}"
    assert driver.save_screenshot(str(PICTURES / f"{name}.png"))
