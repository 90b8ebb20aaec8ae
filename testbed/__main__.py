"""`python3 -m testbed`: a private Asterisk and its callers, from the shell."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testbed import debuggers, rootfolder, service
from testbed.baresip import BaresipCall
from testbed.call import Call
from testbed.callers import Callers
from testbed.config import CONTEXT, DEFAULT_CODECS
from testbed.errors import TestbedError
from testbed.instance import remove_folder
from testbed.mock import line_of, read_events
from testbed.paths import BUILD, PROJECT
from testbed.root import Root
from testbed.rtp import CODECS
from testbed.speech import decode_ulaw, encode, speech, write_wav
from testbed.turns import take_turns

EPILOG = """\
example:
  python3 -m testbed up --install --agent demo --elevenlabs my.conf --dialplan my-extensions.conf
  python3 -m testbed cli "elevenlabs show agents"
  python3 -m testbed call 100 --say "What does it cost?" --say "Goodbye." --hangup-after 30
  python3 -m testbed down

Calls enter the dialplan at context [callers], or where --context says; without --dialplan,
extension 100 is Echo(). docs/testing.md tells more.
"""

NAME_VARIABLE = "TESTBED_NAME"
"""Environment variable: the name of the instance, where --name does not say it."""

CALL_SECONDS = 300.0
"""Limit on `call` when Asterisk is to hang up."""


def main() -> int:
    """Run one command; return the exit status."""
    # So that `finally` and `with` run on kill, as they do on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    options = _parser().parse_args()
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "root": _root,
        "up": _up,
        "serve": _serve,
        "down": _down,
        "status": _status,
        "cli": _cli,
        "make": _make,
        "run": _run,
        "log": _log,
        "call": _call,
        "clean": _clean,
    }
    try:
        status = commands[options.command](options)
        sys.stdout.flush()
        return status
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read has seen enough: `log | head`. Nor may Python's own flush at the end say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m testbed",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument(
            "--name",
            default=os.environ.get(NAME_VARIABLE) or "default",
            help=f"of the instance (default: ${NAME_VARIABLE}, or 'default')",
        )
        return sub

    root = command("root", "find or make the root that Asterisk runs in, and show what is in it")
    root.add_argument(
        "--debuggers", action="store_true", help="add what docs/debugging.md uses (600 MB)"
    )
    for name, text in (("up", "start an instance"), ("serve", "the same in the foreground")):
        sub = command(name, text)
        sub.add_argument("--dialplan", metavar="FILE", help="text of extensions.conf")
        sub.add_argument("--elevenlabs", metavar="FILE", help="text of elevenlabs.conf")
        sub.add_argument("--context", default=CONTEXT, help="of the dialplan, where calls come in")
        sub.add_argument(
            "--agent",
            metavar="SCENARIO",
            help="run a mock agent with it (a TOML file, or a shipped one's name), and lead all "
            "agents of elevenlabs.conf there",
        )
        sub.add_argument(
            "--codecs", default=",".join(DEFAULT_CODECS), help="in order of preference"
        )
        sub.add_argument(
            "--install", action="store_true", help="build and install the module first"
        )
        sub.add_argument(
            "--under", metavar="COMMAND", default="", help="put this in front of Asterisk: valgrind"
        )
    command("down", "stop an instance")
    command("status", "show the instances that run, and their versions")
    command("cli", "run one command in Asterisk's CLI").add_argument("text", nargs="+")
    sub = command("make", "run make where the instance's Asterisk is, for that instance")
    sub.add_argument(
        "--directory",
        metavar="DIR",
        type=Path,
        default=PROJECT,
        help="the sources (default: this checkout; others must be inside it)",
    )
    sub.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="of make: install, ..."
    )
    sub = command("run", "run a program where the instance runs: gdb")
    sub.add_argument("words", nargs=argparse.REMAINDER, metavar="PROGRAM")
    command("log", "print the log so far")
    _add_call(command("call", "place one call or many, and tell what came of it"))
    sub = command("clean", "remove what stopped instances left in build/testbed")
    sub.add_argument("--root", action="store_true", help="and the root folders in the cache")
    return parser


def _add_call(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("extension")
    sub.add_argument("-n", type=int, default=1, help="how many at once")
    sub.add_argument(
        "--say",
        metavar="TEXT",
        action="append",
        default=[],
        help="speak this once the other side is silent; again for the next turn",
    )
    sub.add_argument(
        "--play",
        metavar="WAV",
        type=_existing,
        action="append",
        dest="say",
        help="the same with a recording",
    )
    sub.add_argument("--noise", metavar="SECONDS", type=float, default=0.0, help="send noise")
    sub.add_argument("--hangup-after", metavar="SECONDS", type=float, help="else Asterisk does")
    sub.add_argument("--codec", choices=sorted(CODECS), default="ulaw")
    sub.add_argument("--baresip", action="store_true", help="call with a real client, record a WAV")


def _existing(name: str) -> Path:
    """Return a file that is there: the caller should not find out in mid-call."""
    if not Path(name).is_file():
        raise argparse.ArgumentTypeError(f"{name}: no such file")
    return Path(name)


def _root(options: argparse.Namespace) -> int:
    root = Root.find(_say)
    if options.debuggers:
        debuggers.install(root, _say)
    for name, version in root.versions().items():
        print(f"{name:12} {version}")
    return 0


def _up(options: argparse.Namespace) -> int:
    Root.find(_say)
    arguments = [f"--codecs={options.codecs}", *(["--install"] if options.install else [])]
    arguments += [f"--context={options.context}", f"--under={options.under}"]
    for key in ("dialplan", "elevenlabs", "agent"):
        if given := getattr(options, key):
            file = Path(given)
            # A scenario may be a name instead.
            known = file.resolve() if file.exists() or key != "agent" else given
            arguments.append(f"--{key}={known}")
    state = service.up(options.name, arguments)
    print(f"{options.name}: Asterisk runs, pid {state.pid}, SIP on 127.0.0.1:{state.first_port}")
    if state.agent_url:
        print(f"{options.name}: the mock agent is at {state.agent_url}")
    return 0


def _run(options: argparse.Namespace) -> int:
    return service.run(options.name, options.words[options.words[:1] == ["--"] :])


def _serve(options: argparse.Namespace) -> int:
    service.serve(options)
    return 0


def _down(options: argparse.Namespace) -> int:
    state = service.down(options.name)
    return _tell_of_agent(Path(state.agent_folder)) if state.agent_folder else 0


def _tell_of_agent(folder: Path) -> int:
    """Print what the mock agent has seen; 1 if its client has violated a rule."""
    report = folder / "report.json"
    if not report.exists():
        raise TestbedError(f"the mock agent left no report in {folder}")
    output = (folder / "output").read_text(encoding="utf-8")
    print(output.partition("\n")[2], end="")  # the first line was where it listens
    print(f"mock agent: report.json, and what both sides said, in {folder}")
    return 1 if json.loads(report.read_text(encoding="utf-8"))["violations"] else 0


def _status(options: argparse.Namespace) -> int:
    running = service.names()
    if not running:
        print("no instance runs")
    for name in running:
        instance = service.attach(name)
        ports = instance.ports
        print(f"{name}: pid {instance.pid}, supervisor {instance.state.supervisor}")
        print(f"  SIP 127.0.0.1:{ports.sip}, AMI :{ports.manager}, HTTP :{ports.http}")
        print(f"  RTP {ports.rtp.start}-{ports.rtp.stop - 1}, files {instance.folder}")
        if instance.state.agent_url:
            print(f"  mock agent {instance.state.agent_url}")
        print(f"  {instance.counters()}")
        for what, version in instance.root.versions().items():
            print(f"  {what:12} {version}")
    return 0


def _cli(options: argparse.Namespace) -> int:
    print(service.attach(options.name).cli(" ".join(options.text)))
    return 0


def _make(options: argparse.Namespace) -> int:
    words = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    return service.make(options.name, words, options.directory)


def _log(options: argparse.Namespace) -> int:
    print((BUILD / "testbed" / options.name / "log" / "full.log").read_text(errors="replace"))
    return 0


def _call(options: argparse.Namespace) -> int:
    instance = service.attach(options.name)
    before = len(_agent_events(instance))
    limit = options.hangup_after or CALL_SECONDS
    place = _call_with_baresip if options.baresip else _call_with_sipp
    status = place(instance, options, limit)
    if options.n == 1:
        _tell_what_was_said(_agent_events(instance)[before:])
    return status


def _agent_events(instance: service.Attached) -> list[dict[str, Any]]:
    folder = instance.state.agent_folder
    return read_events(Path(folder)) if folder else []


def _tell_what_was_said(events: list[dict[str, Any]]) -> None:
    """Print the conversations of the call that these events begin with, one after the other.

    One that begins while another is on belongs to somebody else's call.
    """
    current = None
    for event in events:
        if event["event"] == "open" and current is None:
            current = event["session"]
        if current is None or event.get("session") != current:
            continue
        if event["event"] in {"transcript", "interruption"}:
            print(line_of(event))
        elif event["event"] == "closed":
            current = None


def _call_with_sipp(instance: service.Attached, options: argparse.Namespace, limit: float) -> int:
    codec = CODECS[options.codec]
    recordings = [
        each if isinstance(each, Path) else speech(instance.root, each) for each in options.say
    ]
    spoken = [encode(instance.root, recording, codec) for recording in recordings]
    with Callers(
        instance,
        options.n,
        options.extension,
        codec=options.codec,
        send=lambda i: codec.noise(options.noise, i),
        hangup_after=options.hangup_after,
    ) as calls:
        take_turns(list(calls), spoken, limit)
        calls.wait(limit + service.DOWN_SECONDS)
    for call in calls:
        print(_describe(call))
    return 0 if all(call.answered_at for call in calls) else 1


def _describe(call: Call) -> str:
    media = call.recording
    sent, heard = call.codec.seconds(media.sent), call.codec.seconds(media.heard)
    over = f"{call.ended_by} hung up" if call.answered_at else call.ended_by
    return (
        f"call {call.number}: {over} (SIP {call.status}) after {call.seconds:.2f} s, "
        f"sent {sent:.2f} s, heard {heard:.2f} s, lost {media.lost}, gaps {len(media.gaps)}; "
        f"{_to_listen_to(call)}"
    )


def _to_listen_to(call: Call) -> Path:
    """What the caller heard as a WAV file; of other codecs than µ-law the packets, as recorded."""
    if call.codec is not CODECS["ulaw"]:
        return call.record
    file = call.record.with_suffix(".wav")
    write_wav(file, decode_ulaw(call.heard))
    return file


def _call_with_baresip(instance: service.Attached, options: argparse.Namespace, end: float) -> int:
    if any(isinstance(each, Path) for each in options.say):
        raise TestbedError("--play is not for --baresip: it says all at once, by --say")
    wav = speech(instance.root, " ".join(options.say) or "Hello?")
    with BaresipCall(instance, options.extension, play=wav, limit=end + 5) as call:
        call.wait_up()
        if options.hangup_after:
            time.sleep(options.hangup_after)
            call.hangup()
        call.wait()
    assert call.up_at is not None
    assert call.closed_at is not None
    print(f"up for {call.closed_at - call.up_at:.2f} s, ended: {call.why or 'by Asterisk'}")
    print(f"heard: {call.heard}")
    return 0


def _clean(options: argparse.Namespace) -> int:
    for folder in sorted((BUILD / "testbed").glob("*")):
        if remove_folder(folder):
            _say(f"removed {folder}")
    if options.root:
        rootfolder.remove_all(_say)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
