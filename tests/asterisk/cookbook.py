"""docs/cookbook.md as files: every recipe of the page in one Asterisk, as somebody would paste it.

A block's first line names its file. What has to be another one here, telephones, sounds, keys and
the name of the agent, is replaced; each text that is replaced must be on the page.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from testbed.paths import PROJECT
from testbed.root import Root
from tests.asterisk.phone import RESULT, section
from tests.asterisk.stepping import SOUNDS, ULAW
from tests.planted import KEY

PAGE = PROJECT / "docs" / "cookbook.md"

AGENTS = {
    "Listen, and whisper to the person who took over": "listen",
    "The agent in a conference": "meeting",
    "Record both sides, with consent and pause": "record",
    "Outbound: person or answering machine": "outbound",
    "A campaign, as fast as there are places": "campaign",
    "SIP headers, diversion, and whether the number is genuine": "headers",
    "Your own words when there is no agent": "words",
    "Several tenants, each with a key": "tenants",
    "The agent at night": "night",
}
"""Each recipe that is played, and what `sales_agent` is called in it."""

ELSEWHERE = {
    "A queue that overflows to the agent, and the agent as its member": "test_behind_a_queue",
    "Your dialplan in CI, with recorded callers": "test_ci",
}
"""The other recipes, and which test plays them: of test_examples.py, and of test_cookbook.py."""

OWN = ("campaign", "acme_agent", "globex_agent")
"""Agents whose sections are on the page."""

PROMPTS = {
    name: ULAW.noise(0.6, seed=zlib.crc32(name.encode()))
    for name in (
        *("may-we-record", "enter-card-number", "please-call-us", "sorry-busy", "sorry-away"),
        "acme-opening-hours",
    )
}
"""What the recipes play that is not Asterisk's own."""

MOMENTS = {
    "last_minute": "2026/11/30 17:59:30",
    "evening": "2026/11/30 18:00:00",
    "holiday": "2026/12/24 11:00:00",
}
"""When callers call the recipe of day and night: a Monday, and Christmas Eve."""

CALLERS = f"""\
[callers]
include => supervisors
include => night-key
exten => _[a-z].,1,Set(CHANNEL(hangup_handler_push)=told,s,1(${{EXTEN}}))
 same => n,Goto(${{EXTEN}},100,1)
exten => _at_.,1,Set(TESTTIME()=${{${{EXTEN:3}}}} Europe/Berlin)
 same => n,Goto(day-and-night,100,1)
exten => limit,1,Goto(after-agent,LIMIT,1)
exten => attested,1,Set(CALLERID(num)=15550100)
 same => n,Dial(PJSIP/caller/${{SELF}},30,b(attested-account^s^1))
[attested-account]
exten => s,1,Set(PJSIP_HEADER(add,X-Account)=2)
 same => n,Return()
[told]
exten => s,1,Log(NOTICE,{RESULT}hung up|${{ARG1}})
 same => n,Return()
"""


@dataclass(frozen=True)
class Block:
    """One text to paste."""

    recipe: str
    file: str
    text: str


def blocks() -> list[Block]:
    """All that the page tells to paste, in its order."""
    found = []
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title = part.partition("\n")[0]
        for text in re.findall(r"^```\w*\n(.*?)^```", part, re.M | re.S):
            named = re.match(r"[;#] (\S+\.\w+)\n", text)
            found.append(Block(title, named[1] if named else "", text))
    return found


def titles() -> list[str]:
    """The recipes."""
    return re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), re.M)


def config(file: str, replace: Sequence[tuple[str, str]] = ()) -> str:
    """What the page has for a file: of all recipes that are played, one behind the other.

    replace: texts of the page, each of which must be there.
    """
    text = "".join(
        block.text.replace("sales_agent", name).replace("PJSIP/sales", f"${{person_{name}}}")
        for block in blocks()
        if block.file == file and (name := AGENTS.get(block.recipe))
    )
    for old, new in replace:
        assert old in text, f"{old} is not in {PAGE}, {file}"
        text = text.replace(old, new)
    return text


def dialplan(root: Root) -> str:
    """All recipes, and the ways into them: a caller dials a context's name."""
    telephones = [("PJSIP/${number}@trunk", "${phone_${number}}")]
    sounds = [(name, root.path(SOUNDS / name)) for name in PROMPTS]
    moments = "".join(f"{name} = {moment}\n" for name, moment in MOMENTS.items())
    text = config("extensions.conf", [*telephones, *sounds])
    return f"[globals]\n{moments}{CALLERS}{text}"


def sections(url: str, keys: Mapping[str, str], tools: Mapping[str, str]) -> str:
    """elevenlabs.conf: the page's own sections, and one for each other agent.

    keys: the file of each tenant's key, by its name on the page. tools: of the other agents.
    """
    own = config("elevenlabs.conf", [*keys.items()])
    for name in OWN:
        own, found = re.subn(rf"(?s)(\[{name}\].*?\nagent_id = )\w+", rf"\g<1>{name}", own, count=1)
        assert found, f"no [{name}] on the page"
    # On the page it has the key of [general].
    own = own.replace("[campaign]\n", f"[campaign]\napi_key = {KEY}\n")
    others = "".join(
        section(name, url, tools=tools.get(name, ""))
        for name in AGENTS.values()
        if name not in {*OWN, "tenants"}
    )
    return f"[general]\nbase_url = {url}\n{own}\n{others}"
