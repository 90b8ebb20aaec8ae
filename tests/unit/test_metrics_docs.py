"""The dashboard, the alerts and the page about metrics name what there is, and all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
METRICS = ROOT / "app_elevenlabs_convai" / "control" / "metrics.c"
NAME = re.compile(r"\belevenlabs_\w+")
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def names(text: str) -> set[str]:
    """Metrics, without what their samples add to a name."""
    return {SUFFIX.sub("", name) for name in NAME.findall(text)}


def written() -> set[str]:
    """Those that the module writes."""
    code = METRICS.read_text().replace("'\"'", "")
    return names(" ".join(re.findall(r'"(?:[^"\\]|\\.)*"', code)))


def documented() -> set[str]:
    rows = re.findall(r"^\| `(elevenlabs_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.M)
    return set(rows)


def expressions(path: Path) -> list[str]:
    if path.suffix == ".yml":
        groups = yaml.safe_load(path.read_text())["groups"]
        return [rule["expr"] for group in groups for rule in group["rules"]]
    panels = json.loads(path.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_the_page_has_every_metric() -> None:
    assert documented() == written()


@pytest.mark.parametrize("name", ["grafana-elevenlabs.json", "prometheus-elevenlabs.yml"])
def test_what_is_asked_for_is_there(name: str) -> None:
    asked = expressions(ROOT / "contrib" / name)
    assert asked
    assert all(names(each) <= written() for each in asked)


def test_the_dashboard_shows_every_metric() -> None:
    shown = names(" ".join(expressions(ROOT / "contrib" / "grafana-elevenlabs.json")))
    assert shown == written()
