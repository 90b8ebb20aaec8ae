"""A busy morning for the live page: agents, dialogues and callers, for pictures of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from testbed.speech import encode, speech, track
from tests.asterisk.phone import DIALPLAN, section

AGENTS = {
    "reception": {"transcripts": "all", "max_sessions": "12"},
    "bookings": {"transcripts": "all", "max_sessions": "4", "tools": "*"},
    "service-desk": {"transcripts": "all"},
}
AT_DESK = [
    *("reception", "bookings", "reception", "service-desk"),
    *("reception", "bookings", "reception", "reception"),
]
"""Whom each caller rings, in the order in which they come."""

STEPS = """
[elevenlabs-tools]
exten => find_order,1,Wait(0.4)
 same => n,Return(ready for collection)
"""
DIALPLAN_OF_ALL = DIALPLAN + STEPS

_SPOKEN = "I would like to bring in my bicycle, it makes a strange noise."
_SERVICE = '''\
title = "a busy morning"
[agents.default]
format = "ulaw_8000"
when_done = "repeat"
first_message = "Good morning, you have reached the bicycle shop. How can I help you?"
[[agents.default.turns]]
caller = "Hi. Are you open on Saturday, and do you repair electric bicycles too?"
say = { text = """We are open on Saturday from ten to four. Electric bicycles are welcome: bring \\
the key of the battery along.""", delay_ms = 260 }
[[agents.default.turns]]
caller = "How long does that take, and what does it cost?"
say = { text = """A small repair takes a day and costs about forty euros. We call you before we \\
do more, and you can wait in our coffee corner, where there are newspapers, a table football and \\
a very old dog, who is called Bernard and likes to be talked to.""", delay_ms = 620 }
[[agents.default.turns]]
caller = "All right, then I come by on Saturday at eleven."
say = { text = "Lovely. I have noted Saturday at eleven for you.", delay_ms = 180 }

[agents.bookings]
like = "default"
when_done = "repeat"
first_message = "Hello, this is the workshop. May I have your order number?"
[[agents.bookings.turns]]
caller = "It is four seven one two."
tool = { name = "find_order", parameters = { order = "4712" }, timeout_ms = 20000 }
say_after_tool = "Thank you. Your bicycle is ready, you can collect it today until six."
[[agents.bookings.turns]]
caller = "Great. Can my wife collect it, too?"
say = { text = """Of course. She only needs the order number and some form of \\
identification.""", delay_ms = 900 }

[agents.service-desk]
like = "default"
admit_after_ms = 45000
first_message = "Service desk, good morning. What has happened?"
'''


@contextmanager
def service(root: Root) -> Iterator[MockAgent]:
    """The agents."""
    with MockAgent(root, _SERVICE) as mock:
        yield mock


def conf(mock: MockAgent) -> str:
    """elevenlabs.conf: the page, and all agents."""
    sections = (section(name, mock.url, **keys) for name, keys in AGENTS.items())
    return "[general]\nhttp_page = yes\n" + "".join(sections)


def callers(pbx: Instance, root: Root, names: list[str]) -> Callers:
    """Callers who ring these agents, each a little later than the one before, and talk."""
    lines = [
        "Hi. Are you open on Saturday, and do you repair electric bicycles too?",
        "How long does that take, and what does it cost?",
        _SPOKEN,
    ]

    def send(i: int) -> bytes:
        parts: list[float | object] = [4.5 + 0.7 * (i % 4)]
        for turn in range(8):
            parts += [speech(root, lines[(i + turn) % len(lines)]), 6.5 + 0.5 * (i % 3)]
        return encode(root, track(root, parts), CODECS["ulaw"])  # type: ignore[arg-type]

    return Callers(
        pbx,
        len(names),
        lambda i: names[i],
        send=send,
        rate=1.5,
        caller=lambda i: f"+4930555{1042 + 37 * i}",
    )
