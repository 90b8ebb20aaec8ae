"""Calls over lines that misbehave, all at once in one Asterisk, and what their agents heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pyconvai.mock.audio import FORMATS, decode
from testbed.call import Call
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.line import COMFORT_NOISE_TYPE, Phone
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import PACKET_MS
from tests.asterisk.phone import configure, section
from tests.asterisk.sweep import Heard, listen
from tests.timing import SECOND

DIALPLAN = """\
[callers]
; by the first letter of a Case's `way`: x, z and n mean digits in a pattern
exten => _p_.,1,ElevenLabsConvAI(${EXTEN})
exten => _f_.,1,Set(JITTERBUFFER(fixed)=default)
 same => n,ElevenLabsConvAI(${EXTEN})
exten => _a_.,1,Set(JITTERBUFFER(adaptive)=default)
 same => n,ElevenLabsConvAI(${EXTEN})
exten => _c_.,1,ElevenLabsConvAI(${EXTEN},c)
exten => _g_.,1,ElevenLabsConvAI(${EXTEN},g)
"""

GREETING_MS = 1000
AGENT = """
[agents.{name}]
output_format = "ulaw_8000"
input_format = "{agent}"
"""
GREETING = f'first_message = {{ sound = "noise:1:{GREETING_MS}", interruptible = false }}\n'

AFTER_SECONDS = 0.5
"""Between the last packet and the end of the call: more than a jitter buffer holds."""


@dataclass(frozen=True)
class Case:
    """One call: its way into the dialplan, what the agent hears, what is offered, the line."""

    way: str
    """`plain`, `fixed`, `adaptive`: the buffer; `connected`, `greeting`: the options c and g."""
    agent: str
    """The agent's input format."""
    offer: tuple[str, ...]
    line: Callable[[Phone], Phone]
    what: str
    """A name of its own, of letters, digits and underscores."""
    sequence: int = 1000
    packet_ms: int = PACKET_MS
    buffer_ms: int = 0
    """By how much the jitter buffer's own delay grows: with Echo() as well."""

    @property
    def name(self) -> str:
        return f"{self.way[0]}_{self.what}_{'_'.join(self.offer)}_{self.agent}"

    @property
    def scenario(self) -> str:
        greeting = GREETING if self.way == "greeting" else ""
        return AGENT.format(name=self.name, agent=self.agent) + greeting


@dataclass(frozen=True)
class Trial:
    """What came of it."""

    case: Case
    phone: Phone
    call: Call
    heard: Heard

    @property
    def said_ms(self) -> int:
        """How much speech was sent."""
        speech = [p for p in self.phone.packets if p.payload_type != COMFORT_NOISE_TYPE]
        return self.case.packet_ms * len(speech)

    @property
    def call_ms(self) -> float:
        """How long the caller's side of the call took."""
        assert self.call.answered_at is not None
        assert self.call.ended_at is not None
        return 1000 * (self.call.ended_at - self.call.answered_at)

    @property
    def too_long_ms(self) -> float:
        """How much more was heard than the call was long."""
        return self.heard.ms - self.call_ms

    def __str__(self) -> str:
        said = f"said {self.said_ms / 1000:5.2f} of {self.call_ms / 1000:5.2f} s"
        return f"{self.case.name:44} {said}: {self.heard}"


def hold(root: Root, pbx: Instance, wav: Path, cases: Sequence[Case]) -> dict[str, Trial]:
    """Place all the calls at once, and listen to what their agents heard; by the case's `what`."""
    cases = sorted(cases, key=lambda case: case.offer)
    phones = {case: case.line(_phone(root, wav, case)) for case in cases}
    text = 'title = "lines"\n[agents.default]\n'
    calls: list[Call] = []
    agents = text + "".join(case.scenario for case in cases)
    with MockAgent(root, agents, record=True) as mock, ExitStack() as stack:
        configure(pbx, "".join(section(case.name, mock.url) for case in cases))
        for offer, group in groupby(cases, key=lambda case: case.offer):
            some = list(group)
            callers = Callers(
                pbx,
                len(some),
                [case.name for case in some].__getitem__,
                codec=offer[0],
                also=offer[1:],
                play=[phones[case] for case in some],
                hangup_after=[phones[case].seconds + AFTER_SECONDS for case in some],
            )
            calls += stack.enter_context(callers)
        longest = max(phone.seconds for phone in phones.values())
        for call in calls:
            call.wait((longest + 30) * SECOND)
    return {
        case.what: Trial(case, phones[case], call, _heard(mock, case))
        for case, call in zip(cases, calls, strict=True)
    }


def _phone(root: Root, wav: Path, case: Case) -> Phone:
    return Phone(root, wav, case.offer[0], packet_ms=case.packet_ms, sequence=case.sequence)


def _heard(mock: MockAgent, case: Case) -> Heard:
    ids = [s["conversation_id"] for s in mock.report["sessions"] if s["agent_id"] == case.name]
    (file,) = (mock.folder / "record").glob(f"*-{ids[0]}-caller.raw")
    form = FORMATS[case.agent]
    return listen(decode(file.read_bytes(), form), form.rate)
