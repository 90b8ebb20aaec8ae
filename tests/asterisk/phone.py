"""What the tests of calls share: a dialplan that tells how each call ended, and agents for it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from testbed.instance import Instance
from testbed.measure import Counters
from tests.timing import MS, SECOND

_RESULT = "ended|${ELEVENLABSSTATUS}|${ELEVENLABSCONVERSATIONID}|${ELEVENLABSREASON}|"
DIALPLAN = f"""\
[callers]
; the extension is the name of the agent
exten => _[a-z].,1,ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{_RESULT}went on)
 same => n,Answer()
 same => n,Hangup()
exten => h,1,Log(NOTICE,{_RESULT}hung up)
exten => 200,1,Answer()
 same => n,Echo()
"""
_ENDED = re.compile(r"NOTICE.* ended\|(\w*)\|(\w*)\|(.*)\|(went on|hung up)")


@dataclass(frozen=True)
class Result:
    """How the application ended, as the dialplan saw it."""

    status: str
    conversation_id: str
    reason: str
    went_on: bool
    """Whether the dialplan went on behind the application (else it was in the h extension)."""


def results(pbx: Instance, start: int = 0) -> list[Result]:
    """All results in the log from character `start` on."""
    found = _ENDED.findall(pbx.log()[start:])
    return [Result(status, cid, reason, how == "went on") for status, cid, reason, how in found]


def wait_result(pbx: Instance, start: int = 0) -> Result:
    """The first result from character `start` of the log on."""
    pbx.wait_log(_ENDED.pattern, start=start)
    return results(pbx, start)[0]


def configure(pbx: Instance, text: str) -> str:
    """Replace elevenlabs.conf and reload it; what the CLI says."""
    conf = Path(pbx.etc) / "elevenlabs.conf"
    conf.write_text(text, encoding="utf-8")
    conf.chmod(0o640)
    return pbx.cli("elevenlabs reload")


def section(name: str, url: str, **keys: str) -> str:
    """One agent, whose id at the service is its name; an empty value leaves the key out."""
    lines = {"agent_id": name, "base_url": url, "api_key": "test-key"} | keys
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value)


def wait_talking(pbx: Instance, count: int) -> None:
    """Wait until so many conversations are up: a call is answered before its agent is there."""
    until = time.monotonic() + 20 * SECOND
    while (shown := pbx.cli("elevenlabs show sessions")).count(" talking ") < count:
        assert time.monotonic() < until, shown
        time.sleep(50 * MS)


def settled(pbx: Instance, before: Counters) -> dict[str, int]:
    """What has grown since `before`, once nothing of the calls is left, or after 5 s."""
    until = time.monotonic() + 5 * SECOND
    while True:
        grown = pbx.counters().grown_since(before)
        if not grown or time.monotonic() > until:
            return grown
        time.sleep(50 * MS)
