"""The caller's side of a scenario as a sound file, for whatever plays a caller (a SIP client).

    python3 -m pyconvai.mock.caller --scenario demo --rate 8000 caller.wav

The agent's sentences are known, so each line of the caller is placed where the agent will have
finished, or in the middle of its sentence where the scenario says ``caller_after_ms``.
"""

from __future__ import annotations

import argparse
import array
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from .audio import FORMATS, AudioFormat, encode
from .scenario import Agent, ScenarioError, Utterance, load
from .voice import Voice, VoiceError, write_wav

# A voice that is easy to tell from the agent's when listening to a recording.
CALLER_VOICE = "en-gb"

# Allowance for everything between answering the call and the agent's first sample, and between
# the end of a turn and the reply: the caller may be late, but must not barge in by accident.
LEAD_MS = 2000
PAUSE_MS = 1200

# The line stays open after the last word, for the agent's farewell.
TAIL_MS = 12_000


@dataclass(frozen=True)
class Line:
    """One line of the caller and its place in the file."""

    text: str
    start_ms: int
    end_ms: int
    interrupts: bool


def caller_track(
    agent: Agent, voice: Voice, rate: int, lead_ms: int = LEAD_MS, pause_ms: int = PAUSE_MS
) -> tuple[array.array[int], list[Line]]:
    """(16-bit samples at ``rate``, lines) of a caller who follows the agent's script."""
    fmt = AudioFormat("caller", rate, 2)
    track: array.array[int] = array.array("h")
    lines: list[Line] = []
    agent_start = lead_ms
    agent_end = agent_start + _duration(agent, voice, agent.first_message)
    for turn in agent.turns:
        if turn.caller is None:
            agent_start = agent_end + (turn.wait_ms or 0)
        else:
            start = agent_end + pause_ms
            if turn.caller_after_ms is not None:
                start = agent_start + turn.caller_after_ms
            speech = voice.speech(turn.caller, CALLER_VOICE, rate)
            track.extend([0] * max(0, start * rate // 1000 - len(track)))
            track.extend(speech)
            end = len(track) * 1000 // rate
            lines.append(Line(turn.caller, start, end, turn.caller_after_ms is not None))
            agent_start = end + agent.turn_settings.end_of_turn_ms
        agent_end = agent_start + _duration(agent, voice, turn.say)
        agent_end += _duration(agent, voice, turn.say_after_tool)
    track.extend([0] * (fmt.size(TAIL_MS) // 2))
    return track, lines


def _duration(agent: Agent, voice: Voice, said: Utterance | None) -> int:
    if said is None:
        return 0
    audio = voice.render(said.text, said.sound, agent.voice, agent.output_format)
    return said.delay_ms + round(agent.output_format.ms(len(audio)))


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python3 -m pyconvai.mock.caller", description=__doc__)
    parser.add_argument("--scenario", default="demo")
    parser.add_argument("--agent", default="default", help="agent id")
    parser.add_argument("--rate", type=int, default=8000, choices=_rates())
    parser.add_argument("--lead-ms", type=int, default=LEAD_MS, help="silence before the greeting")
    parser.add_argument("--pause-ms", type=int, default=PAUSE_MS, help="before each line")
    parser.add_argument("--speech-cache", type=Path)
    parser.add_argument("--json", type=Path, help="write the lines and their times here")
    parser.add_argument("wav", type=Path)
    arguments = parser.parse_args(argv)
    try:
        agent = load(arguments.scenario).agent(arguments.agent)
        if agent is None:
            raise ScenarioError(f"{arguments.scenario}: no agent {arguments.agent!r}")
        voice = Voice(arguments.speech_cache)
        track, lines = caller_track(
            agent, voice, arguments.rate, arguments.lead_ms, arguments.pause_ms
        )
        fmt = AudioFormat("caller", arguments.rate, 2)
        write_wav(arguments.wav, encode(track, fmt), fmt)
    except (ScenarioError, VoiceError, OSError) as exc:
        print(f"mock caller: {exc}", file=sys.stderr)
        return 2
    data = [asdict(line) for line in lines]
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(data, indent=1) + "\n")
    for line in lines:
        print(f"{line.start_ms / 1000:7.2f} s  {line.text}")
    return 0


def _rates() -> list[int]:
    return sorted({fmt.rate for fmt in FORMATS.values()})


if __name__ == "__main__":
    sys.exit(main())
