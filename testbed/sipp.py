"""The signalling of many calls: SIPp with a scenario of our own.

Each call is one line of an injection file: number, RTP port, extension, caller, codec. SIPp reports
what happens as log lines into a FIFO:

    <number> placed                        Asterisk has it (100); only now may it be cancelled
    <number> ringing 180
    <number> answered <Asterisk's RTP port>
    <number> refused <SIP status>          the call was not answered
    <number> ended caller|asterisk         BYE, or CANCEL, from this side or the other
    <number> failed                        no answer to a request of ours in time

SIPp cannot be told to hang up one call, but it looks up incoming messages by Call-ID. So `hangup()`
sends it an INFO in the name of the call, and the scenario answers that by sending BYE (or CANCEL
when the call is not answered yet).
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.root import Root
from testbed.rtp import EVENT_TYPE, Codec

ANSWER_MS = 5_000
"""Limit on Asterisk's answer to BYE, CANCEL and the like."""

LIFETIME_SECONDS = 3600
"""SIPp ends itself after that, whatever becomes of us."""

END_SECONDS = 5.0
"""Limit on SIPp's own end after SIGTERM."""

REFUSALS = (
    *(401, 403, 404, 405, 406, 408, 410, 415, 420, 422, 480, 481, 482, 483, 484, 485, 486, 487),
    *(488, 491, 500, 501, 502, 503, 504, 600, 603, 604, 606),
)
"""SIP statuses that end a call; SIPp wants each of them named."""


@dataclass(frozen=True)
class Line:
    """One call to place."""

    number: int
    rtp_port: int
    extension: str
    caller: str


class Sipp:
    """One SIPp process placing calls; its log lines are read from `fileno()` by the owner."""

    def __init__(
        self,
        root: Root,
        folder: Path,
        lines: Sequence[Line],
        codecs: Sequence[Codec],
        *,
        local_port: int,
        remote_port: int,
        rate: float,
    ) -> None:
        """Start calling. folder: for SIPp's files; codecs: offered; rate: new calls a second."""
        self._token = secrets.token_hex(4)
        self._local_port = local_port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        fifo = folder / "sipp.events"
        os.mkfifo(fifo)
        # Open for writing too: without a writer the reading end would report its end at once.
        self._events = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        (folder / "scenario.xml").write_text(scenario(codecs), encoding="utf-8")
        (folder / "calls.csv").write_text(_injection(lines), encoding="ascii")
        self.error_path = folder / "sipp.errors"
        self._output = (folder / "sipp.output").open("wb")
        options = {
            "-sf": root.path(folder / "scenario.xml"),
            "-inf": root.path(folder / "calls.csv"),
            "-log_file": root.path(fifo),
            "-error_file": root.path(self.error_path),
            "-cid_str": f"%u-{self._token}",
            "-i": "127.0.0.1",
            "-p": str(local_port),
            "-t": "u1",
            "-m": str(len(lines)),
            "-l": str(len(lines)),
            "-r": str(round(rate * 10)),
            "-rp": "10000",
            "-timeout": str(LIFETIME_SECONDS),
            "-timer_resol": "5",
        }
        words = [word for option in options.items() for word in option]
        switches = ["-nostdin", "-skip_rlimit", "-trace_logs", "-trace_err"]
        self._process = root.popen(
            ["sipp", *words, *switches, f"127.0.0.1:{remote_port}"],
            cwd=folder,
            stdout=self._output,
            env={"TERM": "dumb"},
        )

    def fileno(self) -> int:
        """Return the descriptor that the log lines come from."""
        return self._events

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether SIPp still runs; it ends by itself after its last call."""
        return self._process.poll() is None

    def errors(self) -> str:
        """Return what SIPp complained about."""
        if not self.error_path.exists():
            return ""
        return self.error_path.read_text(encoding="utf-8", errors="replace")

    def hangup(self, number: int) -> None:
        """Have one call hung up. Call numbers begin at 1, as SIPp's do."""
        message = (
            "INFO sip:hangup@testbed SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK-{secrets.token_hex(4)}\r\n"
            "From: <sip:control@testbed>;tag=control\r\n"
            "To: <sip:caller@testbed>\r\n"
            f"Call-ID: {number}-{self._token}\r\n"
            "CSeq: 1 INFO\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        self._socket.sendto(message.encode(), ("127.0.0.1", self._local_port))

    def close(self) -> None:
        """End SIPp, at once if calls are still up."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._events)
        self._socket.close()
        self._output.close()


def _injection(lines: Sequence[Line]) -> str:
    rows = [f"{c.number};{c.rtp_port};{c.extension};{c.caller}" for c in lines]
    return "\n".join(["SEQUENTIAL", *rows, ""])


def scenario(codecs: Sequence[Codec]) -> str:
    """Return the scenario: ring, talk until one side ends it, report."""
    refusals = "\n".join(
        f'<recv response="{status}" optional="true" next="refused">'
        f'<action><log message="[field0] refused {status}"/></action></recv>'
        for status in REFUSALS
    )
    return SCENARIO.format(
        invite=INVITE.format(
            types=" ".join(str(codec.payload_type) for codec in codecs),
            maps="\n".join(f"a=rtpmap:{c.payload_type} {c.rtpmap}" for c in codecs),
            events=EVENT_TYPE,
        ).strip(),
        ack=_request("ACK", "1 ACK"),
        refused_ack=_request("ACK", "1 ACK", branch=INVITE_BRANCH),
        bye=_request("BYE", "2 BYE"),
        cancel=_request("CANCEL", "1 CANCEL", branch=INVITE_BRANCH, tag=""),
        ok=OK.strip(),
        refusals=refusals,
        limit=ANSWER_MS,
    )


INVITE_BRANCH = "z9hG4bK-[call_id]-invite"

INVITE = """
INVITE sip:[field2]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=z9hG4bK-[call_id]-invite
From: <sip:[field3]@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:[field2]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:[field3]@[local_ip]:[local_port]>
Max-Forwards: 70
Allow: INVITE, ACK, CANCEL, BYE
Content-Type: application/sdp
Content-Length: [len]

v=0
o=testbed 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [field1] RTP/AVP {types} {events}
{maps}
a=rtpmap:{events} telephone-event/8000
a=ptime:20
a=sendrecv
"""

OK = """
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0
"""


def _request(
    method: str, cseq: str, branch: str = "[branch]", tag: str = "[peer_tag_param]"
) -> str:
    return f"""\
{method} sip:[field2]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}
From: <sip:[field3]@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:[field2]@[remote_ip]:[remote_port]>{tag}
Call-ID: [call_id]
CSeq: {cseq}
Max-Forwards: 70
Content-Length: 0"""


SCENARIO = """\
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="testbed">
<send retrans="500"><![CDATA[
{invite}
]]></send>
<recv response="100" optional="true"><action><log message="[field0] placed"/></action></recv>
<recv response="180" optional="true"><action><log message="[field0] ringing 180"/></action></recv>
<recv response="183" optional="true"><action><log message="[field0] ringing 183"/></action></recv>
<recv request="INFO" optional="true" next="cancel"/>
{refusals}
<recv response="200">
  <action>
    <ereg regexp="m=audio ([0-9]+)" search_in="body" assign_to="whole,port"/>
    <log message="[field0] answered [$port]"/>
  </action>
</recv>
<send><![CDATA[
{ack}
]]></send>
<recv request="INFO" optional="true" next="hangup"/>
<recv request="BYE"><action><log message="[field0] ended asterisk"/></action></recv>
<send next="end"><![CDATA[
{ok}
]]></send>

<label id="hangup"/>
<send retrans="500"><![CDATA[
{bye}
]]></send>
<recv request="BYE" optional="true" next="crossed"/>
<recv response="200" timeout="{limit}" ontimeout="failed" next="end">
  <action><log message="[field0] ended caller"/></action>
</recv>

<label id="crossed"/>
<send><![CDATA[
{ok}
]]></send>
<recv response="481" optional="true" next="end">
  <action><log message="[field0] ended caller"/></action>
</recv>
<recv response="200" timeout="{limit}" ontimeout="failed" next="end">
  <action><log message="[field0] ended caller"/></action>
</recv>

<label id="cancel"/>
<send retrans="500"><![CDATA[
{cancel}
]]></send>
<recv response="200" timeout="{limit}" ontimeout="failed"/>
<recv response="487" timeout="{limit}" ontimeout="failed">
  <action><log message="[field0] ended caller"/></action>
</recv>

<label id="refused"/>
<send next="end"><![CDATA[
{refused_ack}
]]></send>

<label id="failed"/>
<nop><action><log message="[field0] failed"/></action></nop>

<label id="end"/>
<nop/>
<Reference variables="whole"/>
</scenario>
"""
