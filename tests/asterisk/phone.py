"""What the tests of calls share: a dialplan that tells how each call ended, and agents for it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.call import Call
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.measure import Counters
from tests.planted import KEY
from tests.timing import EVENT, MS, SECOND

RESULT = (
    "ended|${ELEVENLABSSTATUS}|${ELEVENLABSCONVERSATIONID}|${ELEVENLABSREASON}|${ELEVENLABSDETAIL}|"
)
"""For Log(NOTICE,...), with `went on` or `hung up` behind it, or that, `|` and the agent's name."""
DIALPLAN = f"""\
[callers]
; the extension is the name of the agent
exten => _[a-z].,1,Set(AGENT=${{EXTEN}})
 same => n,ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})
 same => n,Answer()
 same => n,Hangup()
exten => h,1,Log(NOTICE,{RESULT}hung up|${{AGENT}})
exten => 200,1,Answer()
 same => n,Echo()
"""
_ENDED = re.compile(
    r"(?m)NOTICE.* ended\|(?P<status>\w*)\|(?P<conversation_id>\w*)\|(?P<reason>.*)"
    r"\|(?P<detail>[^|]*)\|(?P<how>went on|hung up)(?:\|(?P<agent>[\w.-]*))?$"
)


@dataclass(frozen=True)
class Result:
    """How the application ended, as the dialplan saw it."""

    status: str
    conversation_id: str
    reason: str
    detail: str
    """What others have said of it, as data."""
    went_on: bool
    """Whether the dialplan went on behind the application (else it was in the h extension)."""
    agent: str
    """Whom the dialplan asked for, where it says so."""

    @property
    def told(self) -> str:
        """The reason, and what others have said behind it."""
        return f"{self.reason} [{self.detail}]"


def results(pbx: Instance, start: int = 0) -> list[Result]:
    """All results in the log from character `start` on."""
    return [
        Result(
            found["status"],
            found["conversation_id"],
            found["reason"],
            found["detail"],
            found["how"] == "went on",
            found["agent"] or "",
        )
        for found in _ENDED.finditer(pbx.log()[start:])
    ]


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
    lines = {"agent_id": name, "base_url": url, "api_key": KEY} | keys
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value)


def talk(pbx: Instance, extension: str, agent: str = "", **how: Any) -> Call:
    """Call an agent, and hang up once it is there and has been told all of the call.

    extension: what is dialled; agent: whose name that is not. how: arguments of Callers.
    """
    row = re.compile(rf"(?m)^\S+ +{re.escape(agent or extension)} +conv_\w+ +talking ")
    until = time.monotonic() + EVENT
    with Callers(pbx, 1, extension, **how) as calls:
        calls.wait_up()
        while not row.search(shown := pbx.cli("elevenlabs show sessions")):
            assert calls[0].ended_at is None, calls[0]
            assert time.monotonic() < until, shown
            time.sleep(50 * MS)
        calls.hangup_all()
        calls.wait()
    return calls[0]


def wait_talking(pbx: Instance, count: int) -> None:
    """Wait until so many conversations are up: a call is answered before its agent is there."""
    wait_state(pbx, "talking", count)


def wait_state(pbx: Instance, state: str, count: int) -> None:
    """Wait until so many sessions are in this state."""
    until = time.monotonic() + EVENT
    while (shown := pbx.cli("elevenlabs show sessions")).count(f" {state} ") < count:
        assert time.monotonic() < until, shown
        time.sleep(50 * MS)


def settled(pbx: Instance, before: Counters) -> dict[str, int]:
    """What has grown since `before`, once nothing of the calls is left, or after a minute.

    SIP keeps what it had for a call for 32 s where the last answer to its end was lost.
    """
    until = time.monotonic() + 60 * SECOND
    while True:
        grown = pbx.counters().grown_since(before)
        if not grown or time.monotonic() > until:
            break
        time.sleep(50 * MS)
    if grown:
        links = sorted(str(each.readlink()) for each in Path(f"/proc/{pbx.pid}/fd").iterdir())
        print(f"{grown}; open: {links}; sockets: {_sockets(pbx.pid, links)}")
    return grown


def _sockets(pid: int, links: list[str]) -> list[str]:
    """What the kernel tells of a process's sockets: kind, addresses and state, in its own words."""
    numbers = set(re.findall(r"socket:\[(\d+)\]", "\n".join(links)))
    return [
        f"{kind} {line.strip()}"
        for kind in ("tcp", "tcp6", "udp", "udp6", "unix", "netlink")
        for line in Path(f"/proc/{pid}/net/{kind}").read_text(encoding="utf-8").splitlines()
        if numbers & set(line.split())
    ]
