"""Metrics, as Prometheus reads them during and after real calls."""

from __future__ import annotations

import base64
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from testbed.call import Call
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section, wait_talking
from tests.asterisk.stage import loud_seconds
from tests.timing import EVENT, MS

CALLS = 3
USER, PASSWORD = "prometheus", "a_password_of_prometheus"
AGENTS = """\
title = "metrics"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Noise.", sound = "noise:1:1000" }
"""
PROMETHEUS = "[general]\nenabled = yes\ncore_metrics_enabled = no\nuri = scraped\n"

Samples = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(
        dialplan=DIALPLAN, elevenlabs="[general]\n", files={"prometheus.conf": PROMETHEUS}
    )


def get(pbx: Instance, path: str, login: str = "") -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{pbx.ports.http}/{path}")
    if login:
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=EVENT) as answer:
        text: str = answer.read().decode()
    return text


def samples(text: str) -> Samples:
    """By name, and the values of labels in the order of their names."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = (value for _, value in sorted(sample.labels.items()))
            key = (sample.name, *labels)
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def heard(call: Call) -> None:
    """Wait until its agent has been heard for a second."""
    deadline = time.monotonic() + EVENT
    while loud_seconds(call.so_far().heard) < 0.9:
        assert time.monotonic() < deadline, call
        time.sleep(50 * MS)


def refused(pbx: Instance, login: str = "") -> urllib.error.HTTPError:
    with pytest.raises(urllib.error.HTTPError) as error:
        get(pbx, "elevenlabs/metrics", login)
    error.value.close()
    return error.value


def test_metrics_of_calls(pbx: Instance, root: Root) -> None:
    with MockAgent(root, AGENTS) as mock:
        conf = section("talker", mock.url) + section("other", mock.url, max_sessions="7")
        configure(pbx, conf)
        with Callers(pbx, CALLS, "talker") as calls:
            calls.wait_up()
            wait_talking(pbx, CALLS)
            for call in calls:
                heard(call)
            up = samples(get(pbx, "elevenlabs/metrics"))
            calls.hangup_all()
            calls.wait()
        with Callers(pbx, 1, "nobody") as lost:
            lost.wait()
        pbx.wait_no_channels()
    over = samples(get(pbx, "elevenlabs/metrics"))
    assert up["elevenlabs_sessions", "talker", "talking"] == CALLS
    assert over["elevenlabs_sessions", "talker", "talking"] == 0
    assert (
        up["elevenlabs_calls_total", "talker"] == CALLS == over["elevenlabs_calls_total", "talker"]
    )
    assert up["elevenlabs_ends_total", "talker", "HANGUP"] == 0
    assert over["elevenlabs_ends_total", "talker", "HANGUP"] == CALLS
    assert over["elevenlabs_ends_total", "", "NOAGENT"] == 1
    assert over["elevenlabs_sessions_max", "other"] == 7
    assert over["elevenlabs_engine_up",] == 1 == over["elevenlabs_generations",]
    for way in ("agent", "caller"):
        assert over["elevenlabs_audio_bytes_total", "talker", way] > 8000
    only_grows = [key for key in up if key[0].endswith(("_total", "_count", "_bucket"))]
    assert all(over[key] >= up[key] for key in only_grows)
    buckets = [key for key in over if key[:2] == ("elevenlabs_delay_seconds_bucket", "+Inf")]
    assert {key[2] for key in buckets} >= {"tick", "uplink", "downlink", "gap"}
    assert over["elevenlabs_delay_seconds_count", "uplink"] > 50
    assert ("elevenlabs_turn_seconds_count", "talker") in over
    assert ("elevenlabs_turn_seconds_count", "other") not in over
    scraped = samples(get(pbx, "scraped"))
    assert scraped.keys() >= over.keys()
    pbx.cli("module reload app_elevenlabs_convai")
    assert samples(get(pbx, "scraped")).keys() >= over.keys()


def test_who_may_read_them(pbx: Instance) -> None:
    # Prometheus refuses a line without its end.
    assert get(pbx, "elevenlabs/metrics").endswith("\n")
    configure(pbx, f"[general]\nmetrics_user = {USER}\nmetrics_password = {PASSWORD}\n")
    assert refused(pbx).code == 401
    assert "Basic" in refused(pbx).headers["WWW-Authenticate"]
    assert refused(pbx, f"{USER}:other").code == 401
    assert "elevenlabs_engine_up 1" in get(pbx, "elevenlabs/metrics", f"{USER}:{PASSWORD}")
    configure(pbx, "[general]\n")


def test_unloaded_metrics_are_gone(pbx: Instance) -> None:
    """And come again; res_prometheus has no pointer to what is no more."""
    pbx.cli("module unload app_elevenlabs_convai")
    assert refused(pbx).code == 404
    assert "elevenlabs_" not in get(pbx, "scraped")
    pbx.cli("module load app_elevenlabs_convai")
    assert "elevenlabs_engine_up 1" in get(pbx, "scraped")
    assert "elevenlabs_engine_up 1" in get(pbx, "elevenlabs/metrics")
