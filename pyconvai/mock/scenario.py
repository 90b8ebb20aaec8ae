"""What the mock's agents are and do: read from a TOML file, checked, immutable afterwards."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .audio import FORMATS, TONES_MAX, AudioFormat
from .faults import Fault, parse_fault
from .table import ScenarioError, Table
from .turns import TurnSettings

__all__ = [
    "Agent",
    "Limits",
    "Scenario",
    "ScenarioError",
    "Server",
    "ToolCall",
    "Turn",
    "Utterance",
    "load",
]

_SHIPPED = Path(__file__).parent / "scenarios"

# The agent for every id that has no section of its own.
ANY_AGENT = "default"

# Events the service sends unless told otherwise, and those that a client of tools needs.
DEFAULT_EVENTS = (
    "audio",
    "interruption",
    "agent_response",
    "agent_response_correction",
    "user_transcript",
    "client_tool_call",
    "conversation_initiation_metadata",
    "ping",
)
_ALL_EVENTS = (
    *DEFAULT_EVENTS,
    "tentative_user_transcript",
    "agent_response_complete",
    "agent_tool_request",
    "agent_tool_response",
    "vad_score",
)

# How long the service lets callers wait, unless its agent's settings say otherwise.
_QUEUE_MS = 180_000

# Keys that one agent takes from another through `like`: everything but who may use it.
_NOT_INHERITED = {"like"}


@dataclass(frozen=True)
class Utterance:
    """Something the agent says."""

    text: str
    sound: str | None = None  # noise:SEED:MS, tone:HZ:MS, a WAV file, or a raw file
    interruptible: bool = True
    delay_ms: int = 0


@dataclass(frozen=True)
class ToolCall:
    """A ``client_tool_call``. ``expects_response`` None leaves the key out, as old agents do."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    expects_response: bool | None = True
    timeout_ms: int = 20_000


@dataclass(frozen=True)
class Turn:
    """One turn of the script: what the caller is expected to say, and what the agent then does.

    ``wait_ms`` None waits for the caller without limit; a number goes on after that time anyway
    (0: at once). ``caller_after_ms`` is a hint for whoever plays the caller: when to speak,
    counted from the start of the agent's previous sentence; None means after its end.
    """

    caller: str | None = None
    caller_after_ms: int | None = None
    wait_ms: int | None = None
    say: Utterance | None = None
    tool: ToolCall | None = None
    say_after_tool: Utterance | None = None
    end: bool = False


@dataclass(frozen=True)
class Agent:
    """One agent: its configuration on the service's side, its script, its faults."""

    name: str
    output_format: AudioFormat = FORMATS["pcm_16000"]
    input_format: AudioFormat = FORMATS["pcm_16000"]
    api_keys: tuple[str, ...] = ()  # none: any non-empty key
    auth: str = "any"  # any | signed_url
    voice: str = "en-us"
    first_message: Utterance | None = None
    turns: tuple[Turn, ...] = ()
    when_done: str = "listen"  # listen | repeat | end
    turn_settings: TurnSettings = field(default_factory=TurnSettings)
    client_events: tuple[str, ...] = DEFAULT_EVENTS
    overrides: tuple[str, ...] | None = None  # None: all allowed
    required_variables: tuple[str, ...] = ()
    chunk_ms: int = 250
    chunk_bytes: int = 0  # overrides chunk_ms
    pace: float = 5.0  # times real time; 0: all at once
    ahead_ms: int = 0  # from so much on that is not played yet: in real time; 0: no limit
    fragment_bytes: int = 0  # split every message into frames of this size; 0: never
    is_final: bool = False
    event_ids: str = "number"  # number | text | zero
    first_event_id: int = 1
    interruption_id: str = "next"  # next | same
    reply_id: str = "newer"  # newer | equal
    ping_interval_ms: int = 2000
    first_ping_id: int = 1001
    close_after: str = "sent"  # sent | played
    concurrency: int = 0
    queue_ms: int = -1  # >= 0: wait this long for a free place instead of refusing
    admit_after_ms: int = -1  # >= 0: queue every caller; a place is free after this time
    hold_audio: Utterance | None = Utterance("", "tone:440:1000")  # of queued callers
    hold_chunk_ms: int = 1000
    max_duration_s: float = 600.0
    input_timeout_s: float = 60.0
    signed_url_ttl_s: float = 900.0
    signed_url_once: bool = False
    settings: dict[str, Any] = field(default_factory=dict)  # over what the service tells of it
    faults: tuple[Fault, ...] = ()

    @property
    def queues(self) -> bool:
        """Whether callers wait for a place, instead of being refused."""
        return self.queue_ms >= 0 or self.admit_after_ms >= 0

    @property
    def patience_ms(self) -> int:
        """How long a caller is queued at most."""
        return self.queue_ms if self.queue_ms >= 0 else _QUEUE_MS

    def utterances(self) -> Iterator[Utterance]:
        """Everything the script says, so that it can be rendered before the first call."""
        candidates = [self.first_message, self.hold_audio if self.queues else None]
        for turn in self.turns:
            candidates += [turn.say, turn.say_after_tool]
        return (said for said in candidates if said is not None)


@dataclass(frozen=True)
class Limits:
    """What the checks tolerate from a client; times in milliseconds of the mock's clock."""

    preroll_ms: int = 3000  # caller audio kept from before the metadata may come as one burst
    pacing_ms: int = 250  # ahead of real time beyond that: a scheduler's hiccup on a busy machine
    gap_ms: int = 500  # longest pause between two chunks
    lag_ms: int = 1500  # how far the stream may fall behind the clock
    first_audio_ms: int = 3000  # from metadata to the first chunk
    init_ms: int = 3000  # from the 101 to the first message
    pong_ms: int = 1000  # slowest pong


@dataclass(frozen=True)
class Server:
    """Limits of the whole service."""

    concurrency: int = 0
    deflate: bool = False


@dataclass(frozen=True)
class Scenario:
    """A whole scenario file."""

    title: str
    agents: dict[str, Agent]
    limits: Limits = field(default_factory=Limits)
    server: Server = field(default_factory=Server)
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)  # tool_config, by id

    def agent(self, agent_id: str) -> Agent | None:
        """The agent for an id: its own section, else ``[agents.default]``, else None."""
        return self.agents.get(agent_id) or self.agents.get(ANY_AGENT)


def shipped() -> list[str]:
    """Names of the scenarios that come with the mock."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def load(source: str | Path | dict[str, Any] | Scenario | None) -> Scenario:
    """A scenario from a file, a shipped name, a parsed table, or itself; None: the default.

    Raises ScenarioError naming file, key, allowed values and remedy.
    """
    if isinstance(source, Scenario):
        return source
    if isinstance(source, dict):
        return _parse(source, "(scenario)", Path.cwd())
    path = _find(str(source or "default"))
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ScenarioError(f"{path}: cannot be read: {exc}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ScenarioError(f"{path}: not valid TOML: {exc}; text values need quotes") from exc
    return _parse(raw, path.name, path.parent)


def _find(name: str) -> Path:
    for path in (Path(name), _SHIPPED / f"{name}.toml"):
        if path.is_file():
            return path
    raise ScenarioError(f"{name}: no such scenario file; shipped ones: {', '.join(shipped())}")


def _parse(raw: dict[str, Any], file: str, base: Path) -> Scenario:
    top = Table(raw, f"{file}:")
    limits = top.table("limits")
    server = top.table("server")
    sections = top.table("agents")
    names = sections.names()
    if not names:
        raise top.error("agents", "missing; add a section [agents.default], it serves any id")
    agents = {}
    for name in names:
        merged = _merged(raw["agents"], name, sections, ())
        agents[name] = _agent(name, Table(merged, sections.path(name)), base)
    tools = top.table("tools")
    scenario = Scenario(
        top.text("title", file),
        agents,
        _limits(limits),
        _server(server),
        {name: _free(tools.table(name)) for name in tools.names()},
    )
    top.finish()
    return scenario


def _merged(
    raw: dict[str, Any], name: str, sections: Table, seen: tuple[str, ...]
) -> dict[str, Any]:
    """The section with what it takes from the one named by ``like``."""
    own = Table(raw[name], sections.path(name))
    like = own.text("like")
    values = {key: value for key, value in raw[name].items() if key not in _NOT_INHERITED}
    if not like:
        return values
    if like in seen or like == name:
        raise own.error("like", f"goes round in a circle: {' -> '.join((*seen, name, like))}")
    if like not in raw:
        raise own.error("like", f"no section [agents.{like}]; there are: {', '.join(raw)}")
    return _merged(raw, like, sections, (*seen, name)) | values


def _limits(table: Table) -> Limits:
    defaults = Limits()
    values = {key: table.integer(key, value) for key, value in vars(defaults).items()}
    table.finish()
    return Limits(**values)


def _server(table: Table) -> Server:
    server = Server(table.integer("concurrency", 0), table.flag("deflate", False))
    table.finish()
    return server


def _agent(name: str, table: Table, base: Path) -> Agent:
    default = Agent(name)
    formats = tuple(FORMATS)
    both = table.text("format", default.output_format.name, formats)
    turns = table.table("turn_taking")
    agent = Agent(
        name=name,
        output_format=FORMATS[table.text("output_format", both, formats)],
        input_format=FORMATS[table.text("input_format", both, formats)],
        api_keys=table.texts("api_keys"),
        auth=table.text("auth", default.auth, ("any", "signed_url")),
        voice=table.text("voice", default.voice),
        first_message=_utterance(table, "first_message", base),
        turns=tuple(_turn(item, base) for item in table.tables("turns")),
        when_done=table.text("when_done", default.when_done, ("listen", "repeat", "end")),
        turn_settings=_turn_settings(turns),
        client_events=table.texts("client_events", DEFAULT_EVENTS, _ALL_EVENTS),
        overrides=table.texts("overrides") if table.has("overrides") else None,
        required_variables=table.texts("required_variables"),
        chunk_ms=table.integer("chunk_ms", default.chunk_ms, 1, 60_000),
        chunk_bytes=table.integer("chunk_bytes", 0, 0, 16 << 20),
        pace=table.number("pace", default.pace),
        ahead_ms=table.integer("ahead_ms", default.ahead_ms),
        fragment_bytes=table.integer("fragment_bytes", 0),
        is_final=table.flag("is_final", False),
        event_ids=table.text("event_ids", default.event_ids, ("number", "text", "zero")),
        first_event_id=table.integer("first_event_id", 1),
        interruption_id=table.text("interruption_id", default.interruption_id, ("next", "same")),
        reply_id=table.text("reply_id", default.reply_id, ("newer", "equal")),
        ping_interval_ms=table.integer("ping_interval_ms", default.ping_interval_ms),
        first_ping_id=table.integer("first_ping_id", default.first_ping_id),
        close_after=table.text("close_after", default.close_after, ("sent", "played")),
        concurrency=table.integer("concurrency", 0),
        queue_ms=table.integer("queue_ms", -1, -1),
        admit_after_ms=table.integer("admit_after_ms", -1, -1),
        hold_audio=_utterance(table, "hold_audio", base)
        if table.has("hold_audio")
        else default.hold_audio,
        hold_chunk_ms=table.integer("hold_chunk_ms", default.hold_chunk_ms, 20, 60_000),
        max_duration_s=table.number("max_duration_s", default.max_duration_s),
        input_timeout_s=table.number("input_timeout_s", default.input_timeout_s),
        signed_url_ttl_s=table.number("signed_url_ttl_s", default.signed_url_ttl_s),
        signed_url_once=table.flag("signed_url_once", False),
        settings=_free(table.table("settings")),
        faults=tuple(parse_fault(item) for item in table.tables("faults")),
    )
    table.finish()
    return agent


def _free(table: Table) -> dict[str, Any]:
    """A table in the service's own form, as it stands."""
    return {name: table.raw(name) for name in table.names()}


def _turn_settings(table: Table) -> TurnSettings:
    default = TurnSettings()
    settings = TurnSettings(
        end_of_turn_ms=table.integer("end_of_turn_ms", default.end_of_turn_ms, 100, 10_000),
        barge_in_ms=table.integer("barge_in_ms", default.barge_in_ms, 0, 10_000),
    )
    table.finish()
    return settings


def _turn(table: Table, base: Path) -> Turn:
    turn = Turn(
        caller=table.text("caller") or None,
        caller_after_ms=table.integer("caller_after_ms", 0)
        if table.has("caller_after_ms")
        else None,
        wait_ms=table.integer("wait_ms", 0) if table.has("wait_ms") else None,
        say=_utterance(table, "say", base),
        tool=_tool(table),
        say_after_tool=_utterance(table, "say_after_tool", base),
        end=table.flag("end", False),
    )
    table.finish()
    return turn


def _utterance(parent: Table, key: str, base: Path) -> Utterance | None:
    """Either ``say = "text"`` or ``say = {text = …, sound = …, interruptible = …}``."""
    if not parent.has(key):
        return None
    if isinstance(parent.raw(key), str):
        text = parent.text(key)
        return Utterance(text) if text else None
    table = parent.table(key)
    sound = table.text("sound") or None
    if sound is not None:
        sound = _sound(table, sound, base)
    said = Utterance(
        text=table.text("text", f"({sound})" if sound else ""),
        sound=sound,
        interruptible=table.flag("interruptible", True),
        delay_ms=table.integer("delay_ms", 0),
    )
    table.finish()
    return said


def _sound(table: Table, sound: str, base: Path) -> str:
    if sound.startswith("noise:"):
        if not re.fullmatch(r"noise:\d+:\d+", sound):
            raise table.error("sound", f"{sound!r}: write noise:SEED:MILLISECONDS, as noise:7:3000")
        return sound
    if sound.startswith("tone:"):
        if not re.fullmatch(rf"tone:\d+(\+\d+){{0,{TONES_MAX - 1}}}:\d+", sound):
            raise table.error(
                "sound",
                f"{sound!r}: write tone:HZ:MILLISECONDS, or up to {TONES_MAX} tones at once, as"
                " tone:1004+3004:2000",
            )
        return sound
    path = base / sound
    if not path.is_file():
        raise table.error("sound", f"no file {path}; give a path relative to the scenario file")
    return str(path)


def _tool(parent: Table) -> ToolCall | None:
    """``tool = {name = …, parameters = {…}}`` or the short form ``transfer = "200"``."""
    destination = parent.text("transfer")
    if destination:
        return ToolCall("transfer_call", {"destination": destination})
    if not parent.has("tool"):
        return None
    table = parent.table("tool")
    if not table.has("name"):
        raise table.error("name", 'missing; write tool = {name = "transfer_call", …}')
    parameters = table.table("parameters")
    parameters.names()
    default = ToolCall("")
    tool = ToolCall(
        name=table.text("name"),
        parameters=dict(table.raw("parameters") or {}),
        expects_response=_expects(table),
        timeout_ms=table.integer("timeout_ms", default.timeout_ms),
    )
    table.finish()
    return tool


def _expects(table: Table) -> bool | None:
    if table.raw("expects_response") == "absent":
        return None
    return table.flag("expects_response", True)
