"""The live page, as its script asks for it during real calls."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.page import FORM, OURS, Viewer, add_users
from tests.asterisk.phone import DIALPLAN, configure, section, wait_talking

HOSTILE = "<script>alert(1)</script> \\u202egnihtyna \\u001b[2J & so on"
SERVICE = f"""\
title = "page"
[agents.default]
format = "ulaw_8000"
first_message = {{ text = "{HOSTILE}", sound = "noise:1:1000" }}
turns = [{{ say = {{ text = "Good bye.", sound = "noise:2:500" }}, end = true }}]
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs=page_on("http://127.0.0.1:9"))
    add_users(pbx)
    return pbx


def page_on(url: str) -> str:
    return "[general]\nhttp_page = yes\n" + section("sales", url, transcripts="events")


def test_who_may_see(pbx: Instance) -> None:
    stranger = Viewer(pbx)
    code, page, headers = stranger.ask("GET", "/elevenlabs")
    assert code == 200
    assert stranger.ask("GET", "/elevenlabs/")[0] == 200
    assert "sales" not in page
    assert "{{" not in page
    policy = headers["Content-Security-Policy"]
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert f'<script nonce="{nonce}">' in page
    assert nonce not in stranger.ask("GET", "/elevenlabs")[1]
    assert headers["X-Frame-Options"] == "DENY"
    for path in ("status.json", "events"):
        assert stranger.ask("GET", f"/elevenlabs/{path}")[0] == 401
        assert Viewer(pbx, "calls").ask("GET", f"/elevenlabs/{path}")[0] == 403
    looks = Viewer(pbx, "looks")
    assert looks.status()["may_call"] == 0
    assert looks.press("hangup", 1)[0] == 403
    foreign = {"Origin": "http://evil.example"}
    assert looks.ask("GET", "/elevenlabs/status.json", headers=foreign)[0] == 403
    acts = Viewer(pbx, "acts")
    assert acts.status()["may_call"] == 1
    assert acts.ask("POST", "/elevenlabs/hangup", {"call": "1"}, FORM)[0] == 403
    assert acts.ask("POST", "/elevenlabs/hangup", {"call": "1"}, {**OURS, **foreign})[0] == 403
    acts.ask("POST", "/rawman", {"action": "logoff"})
    assert acts.ask("GET", "/elevenlabs/status.json")[0] == 401


def words(status: Any) -> list[str]:
    """What has been said in the call that is looked at."""
    events = status.get("call", {}).get("events", [])
    return [event["fields"]["Text"] for event in events if "Text" in event["fields"]]


def test_a_call(pbx: Instance, root: Root) -> None:
    """Seen from its beginning to behind its end; hostile words are words."""
    viewer = Viewer(pbx, "acts")
    with MockAgent(root, SERVICE) as mock:
        configure(pbx, page_on(mock.url))
        call, seen, last = watch_call(pbx, viewer)
        pbx.wait_no_channels()
    [over] = last["endings"]
    assert over["id"] == call["id"]
    assert over["ending"]["Status"] == "HANGUP"
    assert "a command or a program" in over["ending"]["Reason"]
    assert words(viewer.status(call=call["id"]))[0] == words(seen)[0]
    assert viewer.status(ended=over["number"])["endings"] == []
    assert viewer.press("hangup", call["id"]) == (409, "The call is over")
    _, text, _ = viewer.ask("GET", "/elevenlabs/status.json")
    assert "<" not in text
    assert "A VIP: Jörg, 100 %" in json.dumps(mock.report, ensure_ascii=False)


def watch_call(pbx: Instance, viewer: Viewer) -> tuple[Any, Any, Any]:
    """A call that is watched, told something and hung up.

    Itself, and the status with its first words, and with its ending.
    """
    with Callers(pbx, 1, "sales") as calls:
        calls.wait_up()
        wait_talking(pbx, 1)
        [call] = viewer.status()["calls"]
        assert (call["agent"], call["state"], call["called"]) == ("sales", "talking", "sales")
        assert call["conversation_id"].startswith("conv_")
        with viewer.watch(call=call["id"], **{"from": 0}) as shown:
            seen = next(status for status in shown if words(status))
            assert [each["id"] for each in seen["calls"]] == [call["id"]]
            assert words(seen)[0] == "<script>alert(1)</script> gnihtyna [2J & so on"
            known = seen["call"]["next"]
            assert viewer.press("say", call["id"], type="context", text="A VIP: Jörg, 100 %") == (
                200,
                "Sent to the agent: context",
            )
            next(shown)
            assert viewer.press("hangup", call["id"]) == (200, "Hung up")
            last = next(status for status in shown if status["endings"])
            assert last["calls"] == []
            assert last["call"]["next"] > known
        calls.wait()
    return call, seen, last


def test_unloaded_while_somebody_looks(pbx: Instance) -> None:
    viewer = Viewer(pbx, "looks")
    with viewer.watch() as shown:
        since = next(shown)["since"]
        assert [status["since"] for status in islice(shown, 1)] == [since]
        pbx.cli("module unload app_elevenlabs_convai")
        assert list(shown) == []
    assert viewer.ask("GET", "/elevenlabs")[0] == 404
    pbx.cli("module load app_elevenlabs_convai")
    assert viewer.status()["since"] > since
    configure(pbx, "[general]\n")
    for path in ("", "/status.json", "/events"):
        assert viewer.ask("GET", f"/elevenlabs{path}")[0] == 404
