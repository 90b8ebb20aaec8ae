r"""Agents out of a database, by drivers of Debian's Asterisk: SQLite, and curl with a server here.

One Asterisk goes through all of it, in this order: rows in SQLite, a server that falls silent, and
the whole file in SQLite.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.config import USELESS_MODULES
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from testbed.rtp import CODECS
from tests.asterisk.ami import Ami
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import Outcome, crowd
from tests.asterisk.database import Sqlite, Web
from tests.asterisk.phone import RESULT, wait_talking
from tests.asterisk.stage import until

ULAW = CODECS["ulaw"]
GREETING = ULAW.noise(0.4, seed=1)
LONG_SECONDS = 7
FRESH_SECONDS = 5.2
"""A row is not asked for again for so long: ROWS_FRESH_MS of config/rows.h, and a little."""

LONG = ULAW.noise(LONG_SECONDS, seed=4)
"""What the agent of another call says while the database hangs."""

SERVICE = f"""\
title = "database"
[agents.default]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "Noise.", sound = "noise:1:400", interruptible = false }}
when_done = "end"
[agents.talks]
like = "default"
first_message = {{ text = "Noise.", sound = "noise:4:{LONG_SECONDS * 1000}" }}
"""

HOSTILE = {
    "percent": "sho%",
    "quote": "web' OR '1'='1",
    "sign": "web&name=shop",
    "line": "${SHELL(printf 'web\\nEvent: Forged')}",
    "long": "web" + "x" * 1000,
}
"""Names of agents, by what is hostile in them; none may reach the database."""

DIALPLAN = "\n".join(
    [
        "[callers]",
        "exten => _[a-z].,1,Set(AGENT=${EXTEN})",
        " same => n,Set(NAME=${EXTEN})",
        " same => n,GotoIf($[${DIALPLAN_EXISTS(hostile,${EXTEN},1)} = 0]?talk)",
        " same => n,Gosub(hostile,${EXTEN},1)",
        " same => n(talk),ElevenLabsConvAI(${NAME})",
        f" same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})",
        " same => n,Hangup()",
        f"exten => h,1,Log(NOTICE,{RESULT}hung up|${{AGENT}})",
        "[hostile]",
        *(
            line
            for key, name in HOSTILE.items()
            for line in (f"exten => {key},1,Set(NAME={name})", " same => n,Return()")
        ),
        "",
    ]
)


@dataclass
class Told:
    """What calls and commands have come to."""

    outcomes: dict[str, Outcome]
    """By the extension that was called, and when."""
    said: dict[str, str]
    """By command, and when."""
    asked: list[str]
    """The names that the server was asked for."""


@dataclass
class Bed:
    """The Asterisk, and its databases."""

    pbx: Instance
    sqlite: Sqlite
    told: Told

    def map(self, *lines: str) -> None:
        """Have extconfig.conf say this, and nothing else."""
        text = "".join(f"{line}\n" for line in ("[settings]", *lines))
        (Path(self.pbx.etc) / "extconfig.conf").write_text(text, encoding="utf-8")
        self.pbx.cli("module reload extconfig")

    def call(self, when: str, *names: str) -> None:
        """Call them, all at once."""
        with crowd(self.pbx, names) as calls:
            outcomes = calls.outcomes()
        self.told.outcomes |= {f"{name} {when}": outcomes[name] for name in names}

    def say(self, when: str, command: str) -> None:
        """Run a command."""
        self.told.said[f"{command} {when}"] = self.pbx.cli(f"elevenlabs {command}")


def rows_of_sqlite(bed: Bed) -> None:
    """Agents are added, changed and removed while Asterisk runs."""
    bed.sqlite.add("shop", agent_id="default")
    bed.sqlite.add("faulty", agent_id="default", chunk_ms="5")
    bed.call("in sqlite", "shop", "faulty", "newcomer", "counter")
    bed.sqlite.add("newcomer", agent_id="default")

    def takes_calls() -> bool:
        bed.call("later", "newcomer")
        return bed.told.outcomes["newcomer later"].result.status == "AGENT_ENDED"

    until(takes_calls, "an agent that was added is not called")
    bed.say("in sqlite", "show agents")
    bed.say("in sqlite", "test agent shop")
    with Ami(bed.pbx) as ami:
        for name in ("shop", "stranger"):
            state = ami.ask("Getvar", Variable=f"DEVICE_STATE(ElevenLabs:{name})")
            bed.told.said[f"state {name}"] = state["Value"]


def rows_of_a_server(bed: Bed) -> None:
    """What res_config_curl asks falls silent, and another call goes on meanwhile."""
    rows = {"web": {"name": "web", "agent_id": "default"}}
    with Web(rows) as web:
        bed.map(f"elevenlabs => curl,{web.url}")
        bed.pbx.cli("elevenlabs reload")
        bed.call("by curl", "web", *HOSTILE)
        began = time.monotonic()
        with crowd(bed.pbx, ["talks"]) as other:
            wait_talking(bed.pbx, 1)
            web.hush(silent=True)
            bed.call("while it hangs", "stranger", "counter")
            bed.say("while it hangs", "show stats")
            # Until its row is not fresh any more.
            time.sleep(max(0.0, began + FRESH_SECONDS - time.monotonic()))
            bed.call("while it hangs", "web")
            bed.told.outcomes |= other.outcomes()
        bed.told.asked = list(web.asked)
    bed.pbx.wait_log("Agent stranger: the database has answered, after")


def the_whole_file(bed: Bed, url: str) -> None:
    """elevenlabs.conf itself is in SQLite."""
    sections = {"general": {"base_url": url, "auth": "none"}, "filed": {"agent_id": "default"}}
    bed.map("elevenlabs.conf => sqlite3,agents,config")
    bed.sqlite.write_file("elevenlabs.conf", sections)
    bed.say("out of the table", "reload")
    bed.sqlite.write_file(
        "elevenlabs.conf", sections | {"faulty": {"agent_id": "a", "silence": "5"}}
    )
    bed.say("with a fault", "reload")
    bed.sqlite.write_file("elevenlabs.conf", {})
    bed.say("out of nothing", "reload")
    bed.call("whole file", "filed", "shop")


@pytest.fixture(scope="module")
def told(asterisk: StartAsterisk, root: Root) -> Told:
    """All of it, in one Asterisk."""
    sqlite = Sqlite(BUILD / "testbed" / "database" / "agents.sqlite3")
    unwanted = [name for name in USELESS_MODULES if name != "res_config_sqlite3"]
    noload = "".join(f"noload = {name}.so\n" for name in unwanted)
    with MockAgent(root, SERVICE) as mock:
        general = f"[general]\nbase_url = {mock.url}\nauth = none\n"
        pbx = asterisk(
            dialplan=DIALPLAN,
            elevenlabs=general + "[counter]\nagent_id = default\n[talks]\nagent_id = talks\n",
            files={
                "modules.conf": f"[modules]\nautoload = yes\n{noload}",
                "extconfig.conf": "[settings]\nelevenlabs => sqlite3,agents,agents\n",
                # Without batch = 0 nobody else can write once Asterisk has read.
                "res_config_sqlite3.conf": (
                    f"[agents]\ndbfile => {root.path(sqlite.file)}\nbatch => 0\n"
                ),
            },
        )
        bed = Bed(pbx, sqlite, Told({}, {}, []))
        rows_of_sqlite(bed)
        rows_of_a_server(bed)
        the_whole_file(bed, mock.url)
    return bed.told


def status(told: Told, name: str) -> str:
    return told.outcomes[name].result.status


def heard(told: Told, name: str) -> bool:
    """Whether its agent was heard whole."""
    return status(told, name) == "AGENT_ENDED" and GREETING in told.outcomes[name].call.heard


def test_rows_take_calls(told: Told) -> None:
    """By a driver of Debian's; and one that is added while Asterisk runs."""
    assert heard(told, "shop in sqlite")
    assert heard(told, "counter in sqlite")
    assert status(told, "newcomer in sqlite") == "NOAGENT"
    assert heard(told, "newcomer later")
    assert heard(told, "web by curl")


def test_a_row_with_a_fault(told: Told) -> None:
    """The caller's dialplan is told, and the log says which key."""
    result = told.outcomes["faulty in sqlite"].result
    assert result.status == "NOAGENT"
    assert "its row in the database is not valid" in result.reason
    assert "chunk_ms" in result.detail


def test_what_is_shown_of_them(told: Told) -> None:
    shown = told.said["show agents in sqlite"]
    assert re.search(r"(?m)^shop .* database$", shown)
    assert re.search(r"(?m)^counter .*\d$", shown)
    assert "Others are looked up in the database" in shown
    assert "Agent shop: OK" in told.said["test agent shop in sqlite"]
    assert told.said["state shop"] == "NOT_INUSE"
    assert told.said["state stranger"] == "UNKNOWN"


@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_names(told: Told, key: str) -> None:
    """They are no agents, and no database is asked for them."""
    result = told.outcomes[f"{key} by curl"].result
    assert result.status == "NOAGENT"
    assert "the database is asked only for names of" in result.reason
    assert set(told.asked) == {"web", "stranger"}


def test_a_database_that_hangs(told: Told) -> None:
    """It delays a start by its limit: the row from before counts, or none. No other waits."""
    result = told.outcomes["stranger while it hangs"].result
    assert result.status == "NOAGENT"
    assert "the database has not answered within 2000 ms" in result.reason
    assert heard(told, "web while it hangs")
    assert heard(told, "counter while it hangs")
    assert LONG in told.outcomes["talks"].call.heard
    assert "1 beyond 2000 ms" in told.said["show stats while it hangs"]


def test_the_whole_file(told: Told) -> None:
    """A fault names table and key, and neither it nor an empty table takes an agent away."""
    assert "reloaded successfully: 1 agent" in told.said["reload out of the table"]
    fault = "elevenlabs.conf (database) [faulty]: silence = 5: allowed is"
    assert fault in told.said["reload with a fault"]
    assert "has given nothing" in told.said["reload out of nothing"]
    assert heard(told, "filed whole file")
    assert status(told, "shop whole file") == "NOAGENT"
