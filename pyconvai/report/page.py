"""The report of a call: one HTML page that needs nothing else, made of the call's record. No I/O.

It has no script, and its policy allows none: whatever a caller, an agent or a tool has said is text
(``text.py``). A record of an older version has fewer fields; what is missing is not shown.
"""

from __future__ import annotations

import statistics
from typing import Any

from .. import __version__, limits
from . import levels, timeline
from .style import STYLE
from .talk import talk
from .text import NONE, apart, clock, length, plain, shown

Record = dict[str, Any]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_DEFAULTS: Record = {
    "tools": [],
    "away": [],
    "interrupted": [],
    "latency": [],
    "levels": None,
    **dict.fromkeys(("mos", "loss_percent", "jitter_ms")),
    **dict.fromkeys(("remote_loss_percent", "remote_jitter_ms", "round_trip_ms")),
    "counters": None,
    "transcript": None,
    "transcript_left_out": 0,
    "tools_left_out": 0,
    "detail": "",
}

_GOOD, _WARN = {"AGENT_ENDED", "HANGUP", "TRANSFER", "UP"}, {"TIMEOUT", "LIMIT", "UNLOADED"}


def made(found: Record, made_at: str, *, with_words: bool = True) -> str:
    """The page of a record; ``made_at``: the time of day, for people.

    ``with_words``: with what was said in it, as far as the record has that.
    """
    record = _DEFAULTS | found
    if not with_words:
        record |= _without_words(record)
    drawn = levels.of(record["levels"])
    total_ms = _total_ms(record, drawn)
    title = f"Call with {record['agent']}, {_when(record['started_at'])}"
    parts = [
        _header(record),
        _tiles(record, drawn),
        _section("Time line", _since(record), timeline.drawn(record, drawn, total_ms)),
        f'<div class="pair">{_latency(record)}{_line(record)}</div>\n',
        _section(
            "Transcript",
            _left_out(record, "transcript", "turns"),
            talk(record, hides=not with_words),
        ),
        _tools(record),
        _facts(record),
    ]
    return f"""<!doctype html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{plain(title)}</title>
<style>{STYLE}</style>
</head>
<body><main>
{"".join(parts)}
<footer>Made {shown(made_at)} by app_elevenlabs_convai {shown(__version__)}.
Times of day are in UTC; this file needs no other.</footer>
</main></body>
</html>
"""


def _without_words(record: Record) -> Record:
    """What of it stands in the place of what has words of the conversation."""
    tools = [tool | {"result": None} for tool in record["tools"]]
    # An agent's reason to end the call tells of the conversation.
    detail = "" if record["status"] == "AGENT_ENDED" else record["detail"]
    return {"transcript": None, "transcript_left_out": 0, "tools": tools, "detail": detail}


def _total_ms(record: Record, drawn: levels.Levels | None) -> int:
    """How long the time line is: of the conversation, and of what was played behind it."""
    covered = drawn.length_ms if drawn else 0
    return max(record["talking_ms"] or 0, covered if record["talking_at"] else 0)


def _section(title: str, aside: str, body: str) -> str:
    small = f" <small>{aside}</small>" if aside else ""
    return f"<section><h2>{title}{small}</h2>{body}</section>\n"


def _when(moment: str | None) -> str:
    return moment.replace("T", " ")[:19] if moment else NONE


def _since(record: Record) -> str:
    return f"since {shown(_when(record['talking_at']))}" if record["talking_at"] else ""


def _left_out(record: Record, field: str, what: str) -> str:
    count = record[f"{field}_left_out"]
    return f"{count} {what} are left out" if count else ""


# ---- What it was ----


def _header(record: Record) -> str:
    status = str(record["status"])
    kind = "good" if status in _GOOD else "warn" if status in _WARN else "bad"
    caller = record["caller_name"] or record["caller_number"] or "Caller"
    agent = record["agent"] or record["asked_agent"]
    from_, to = (agent, caller) if record["direction"] == "outbound" else (caller, agent)
    detail = f'<p class="note">{apart(record["detail"])}</p>' if record["detail"] else ""
    started = f"{record['direction']}, {_when(record['started_at'])} UTC"
    return f"""<header>
<p class="kind">Call report</p>
<h1>{apart(from_)} → {apart(to)}</h1>
<p class="when">{shown(started)}</p>
<div class="end"><span class="status {kind}">{shown(status)}</span>
<p>{apart(record["reason"])}</p></div>{detail}
</header>
"""


def _tiles(record: Record, drawn: levels.Levels | None) -> str:
    waits = [each["ms"] for each in record["latency"]]
    tiles = [("Length", length(record["duration_ms"]), "from start to end")]
    if record["talking_ms"] is not None:
        tiles.append(("Conversation", length(record["talking_ms"]), _shares(drawn)))
    turns = f"{record['caller_turns']} caller, {record['agent_turns']} agent"
    tiles.append(("Turns", str(record["caller_turns"] + record["agent_turns"]), turns))
    if waits:
        worst = f"median; {length(max(waits))} at worst"
        tiles.append(("Answer after", length(statistics.median(waits)), worst))
    tiles.append(("Interruptions", str(record["interruptions"]), "of the agent, by the caller"))
    if record["tools"]:
        failed = sum(tool["outcome"] == "failed" for tool in record["tools"])
        told = f"{failed} failed" if failed else "none failed"
        tiles.append(("Tools", str(len(record["tools"]) + record["tools_left_out"]), told))
    if record["mos"] is not None:
        tiles.append(("Line", f"{record['mos']:.1f}", f"MOS: {_verdict(record['mos'])}"))
    rows = "".join(
        f"<div><dt>{name}</dt><dd>{shown(value)} <small>{shown(more)}</small></dd></div>"
        for name, value, more in tiles
    )
    return f'<dl class="tiles">{rows}</dl>\n'


def _shares(drawn: levels.Levels | None) -> str:
    if not drawn:
        return "with the agent"
    caller, agent = drawn.caller.spoke_ms, drawn.agent.spoke_ms
    return f"caller {length(caller)}, agent {length(agent)}"


def _verdict(mos: float) -> str:
    return "good" if mos >= 4 else "fair" if mos >= 3.6 else "poor" if mos >= 3 else "bad"


# ---- Latency ----


def _latency(record: Record) -> str:
    turns = record["latency"]
    if not turns:
        return ""
    waits = [each["ms"] for each in turns]
    top, median = max(waits), statistics.median(waits)
    few = len(turns) <= 24
    bars = "".join(_bar(each, top, labelled=few) for each in turns)
    times = "".join(f"<span>{clock(each['at_ms'])}</span>" for each in turns) if few else ""
    plot = (
        f'<div class="plot{"" if few else " many"}" role="img"'
        f' aria-label="{len(turns)} answers, median {length(median)}, worst {length(top)}">{bars}'
        f'<hr style="bottom:{_height(median, top)}"></div>'
        f'<div class="under" aria-hidden="true">{times}</div>'
    )
    said = f"from the caller's last word to the agent's first; dashed: the median, {length(median)}"
    return _section("Latency of each turn", said, plot)


def _height(ms: float, top: float) -> str:
    """In percent, with room for a number above the highest bar."""
    return f"{82 * ms / max(1, top):.1f}%"


def _bar(turn: dict[str, Any], top: float, *, labelled: bool) -> str:
    ms = turn["ms"]
    kind = (
        "late" if ms >= limits.REPORT_LATE_MS else "slow" if ms >= limits.REPORT_SLOW_MS else "fast"
    )
    height = _height(ms, top)
    label = f'<b style="bottom:{height}">{length(ms)}</b>' if labelled else ""
    title = f"{clock(turn['at_ms'])}: {length(ms)}"
    return f'<div class="{kind}" title="{title}"><i style="height:{height}"></i>{label}</div>'


# ---- Tools ----


def _tools(record: Record) -> str:
    if not record["tools"]:
        return ""
    rows = "".join(_tool(number, tool) for number, tool in enumerate(record["tools"], 1))
    table = (
        '<div class="table" tabindex="0" role="group" aria-label="Tools"><table><thead><tr>'
        '<th scope="col">#</th><th scope="col">Tool</th><th scope="col">At</th>'
        '<th scope="col">Took</th><th scope="col">Outcome</th>'
        '<th scope="col">What the agent was told</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    steps = [each for each in record["away"] if each["why"] == "step"]
    if steps:
        told = ", ".join(
            f"{apart(each['step'] or '?')} at {clock(each['at_ms'])} for {length(each['ms'])}"
            for each in steps
        )
        table += f'<p class="note">Steps in the dialplan: {told}</p>'
    return _section("Tools and steps", _left_out(record, "tools", "calls"), table)


def _tool(number: int, tool: dict[str, Any]) -> str:
    outcome = str(tool["outcome"])
    kind = {"done": "good", "failed": "bad"}.get(outcome, "warn")
    result = NONE if tool["result"] is None else apart(tool["result"])
    return (
        f'<tr><td><span class="number">{number}</span></td><td>{apart(tool["name"])}</td>'
        f"<td>{clock(tool['at_ms'])}</td><td>{length(tool['ms'])}</td>"
        f'<td class="{kind}">{shown(outcome)}</td><td class="text">{result}</td></tr>'
    )


# ---- The line ----

_FIGURES = (
    ("mos", "Mean opinion score, 1.0 to 4.4", ""),
    ("loss_percent", "Packets lost from the caller", " %"),
    ("jitter_ms", "Jitter from the caller", " ms"),
    ("remote_loss_percent", "Packets lost to the caller", " %"),
    ("remote_jitter_ms", "Jitter to the caller", " ms"),
    ("round_trip_ms", "Round trip", " ms"),
)


def _line(record: Record) -> str:
    if all(record[key] is None for key, _, _ in _FIGURES):
        told = "Nothing is known of it: the channel has no RTP, or nobody has sent a report (RTCP)."
        return _section("Line quality", "", f'<p class="empty">{told}</p>')
    rows = [
        (name, f"{record[key]:g}{unit}" if record[key] is not None else "not known")
        for key, name, unit in _FIGURES
    ]
    return _section("Line quality", "between the caller and Asterisk", _list(rows))


def _list(rows: list[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{shown(name)}</dt><dd>{apart(value)}</dd>" for name, value in rows)
    return f'<dl class="facts">{items}</dl>'


# ---- All the rest ----


def _facts(record: Record) -> str:
    rows = [
        ("Agent", str(record["agent"])),
        ("Asked for", str(record["asked_agent"])),
        ("Caller", record["caller_number"] or "not known, or not told"),
        ("Called", record["called_number"] or NONE),
        ("Conversation", record["conversation_id"] or "none"),
        ("Channel", str(record["channel"])),
        ("Unique id", str(record["unique_id"])),
        ("Linked id", str(record["linked_id"])),
        ("System", record["system"] or NONE),
        ("Began", _when(record["started_at"])),
        ("Answered", _when(record["answered_at"])),
        ("Agent there", _when(record["talking_at"])),
        ("Ended", _when(record["ended_at"])),
        ("Record", str(record["id"])),
    ]
    counters = [(name, str(value)) for name, value in (record["counters"] or {}).items()]
    more = f"<details><summary>Counters</summary>{_list(counters)}</details>" if counters else ""
    return _section("Details", "", _list(rows) + more)
