"""One call by a real SIP client: baresip plays a WAV file and records what it hears.

    with BaresipCall(asterisk, "100", play=speech(root, "Hello?"), limit=30) as call:
        call.wait_up()
        call.wait()                       # until Asterisk hangs up, or call.hangup()
    print(call.closed_at - call.up_at, call.why, call.heard)     # heard: a WAV file, 8 kHz

baresip hangs up when its file ends, so it is given a copy with silence up to the limit. `heard`
holds every sample that baresip decoded (its module sndfile, in front of any playout): what has no
packet has no samples there. `played` is what came out of its loudspeaker, at the pace of a clock
and through its playout buffer: there a pause is a pause, and a busy machine can be heard.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.speech import RATE, read_wav, write_wav

START_SECONDS = 30.0
"""Limit on baresip being ready."""

UP_SECONDS = 30.0
"""Limit on the call being answered."""

QUIT_SECONDS = 5.0
"""Limit on baresip's orderly end; it closes its files then."""

WAV_HEADER = 44
"""Bytes before the samples of a recording; what it says of their number comes at the end."""

RTP_PORTS = 20
"""Ports that baresip chooses its own from."""

CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{sip}
net_interface 127.0.0.1
rtp_ports {rtp}-{rtp_end}
call_local_timeout 120
call_max_calls 1
audio_path /usr/share/baresip
audio_source aufile,{source}
audio_player aufile,{played}
audio_alert aufile,{alert}
ausrc_format s16
auplay_format s16
audio_buffer 20-160
jitter_buffer_type off
module_path {modules}
module g711.so
module aufile.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {dumps}
"""

ACCOUNT = "<sip:{caller}@127.0.0.1:{sip}>;regint=0;audio_codecs={codec};answermode=manual\n"

CODECS = {"ulaw": "pcmu/8000/1", "alaw": "pcma/8000/1"}


class BaresipCall:
    """One call; a context manager for one thread. Times are time.monotonic()'s."""

    def __init__(
        self,
        instance: Instance,
        extension: str,
        *,
        play: Path,
        limit: float,
        codec: str = "ulaw",
        caller: str = "2000",
        folder: Path | None = None,
    ) -> None:
        """Describe the call; entering the context places it.

        play: WAV file of 8 kHz, mono, 16 bits. limit: the longest the call may take, in seconds.
        folder: for baresip's files (by default in the instance's).
        """
        self.instance = instance
        self.extension = extension
        self.limit = limit
        self.folder = folder or instance.folder / "baresip"
        self.heard = self.folder / "heard.wav"
        self.played = self.folder / "played.wav"
        self.up_at: float | None = None
        self.closed_at: float | None = None
        self.why = ""
        """What ended the call, in baresip's words; "" when Asterisk just hung up."""
        self.events: list[tuple[float, dict[str, Any]]] = []
        """All that baresip told: time and event."""
        self._source, self._codec, self._caller = play, CODECS[codec], caller
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._reader: threading.Thread | None = None

    # --- life ---

    def __enter__(self) -> BaresipCall:
        try:
            self._start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def wait_up(self, limit: float = UP_SECONDS) -> None:
        """Wait until the call is answered."""
        self._await(limit, lambda: self.up_at is not None or self.closed_at is not None, "answered")
        if self.up_at is None:
            raise TestbedError(f"call to {self.extension} not answered: {self.why}")

    def wait(self, limit: float | None = None) -> None:
        """Wait until the call has ended, and until its recordings are complete."""
        self._await(limit or self.limit, lambda: self.closed_at is not None, "ended")
        self._close()

    def hangup(self) -> None:
        """Hang up."""
        self._send("hangup")

    def so_far(self) -> bytes:
        """Return the samples that were heard up to now, but for those that wait to be written."""
        for dump in (self.folder / "dumps").glob("*-dec.wav"):
            return dump.read_bytes()[WAV_HEADER:]
        return b""

    # --- inside ---

    def _start(self) -> None:
        root = self.instance.root
        root.require("baresip", "baresip-core")
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "dumps").mkdir(parents=True)
        control = self._write_config()
        self._process = root.popen(
            ["baresip", "-f", root.path(self.folder)],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        self._control = self._connect(control)
        self._reader = threading.Thread(target=self._read, name="baresip", daemon=True)
        self._reader.start()
        self._send("dial", f"sip:{self.extension}@127.0.0.1:{self.instance.ports.sip}")

    def _write_config(self) -> int:
        """Write all of baresip's files and return its control port."""
        root, ports = self.instance.root, self.instance.ports
        sip, rtp = ports.take(), ports.take_rtp(RTP_PORTS // 2)
        control = ports.take()
        if control == sip + 1:  # baresip takes that for SIP over TLS
            control = ports.take()
        samples = read_wav(self._source)
        silence = max(0, int(self.limit * RATE) * 2 - len(samples))
        write_wav(self.folder / "source.wav", samples + bytes(silence))
        text = CONFIG.format(
            sip=sip,
            control=control,
            rtp=rtp[0],
            rtp_end=rtp[-1] + 1,
            source=root.path(self.folder / "source.wav"),
            played=root.path(self.played),
            alert=root.path(self.folder / "alert.wav"),
            dumps=root.path(self.folder / "dumps"),
            modules=self._modules(),
        )
        (self.folder / "config").write_text(text, encoding="utf-8")
        account = ACCOUNT.format(caller=self._caller, sip=sip, codec=self._codec)
        (self.folder / "accounts").write_text(account, encoding="utf-8")
        (self.folder / "contacts").touch()
        return control

    def _modules(self) -> str:
        for pattern in ("usr/lib/baresip/modules", "usr/lib/*/baresip/modules"):
            for folder in self.instance.root.folder.glob(pattern):
                return self.instance.root.path(folder)
        raise TestbedError("baresip's modules are missing: install package baresip-core")

    def _connect(self, port: int) -> socket.socket:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS)
            except OSError:
                if self._ended() or time.monotonic() > deadline:
                    raise TestbedError(f"baresip does not start; see {self.folder}") from None
                time.sleep(0.02)

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _send(self, command: str, parameters: str = "") -> None:
        """Send one command as a netstring of JSON."""
        if self._control is None:
            return
        text = json.dumps({"command": command, "params": parameters}).encode()
        self._control.sendall(b"%d:%b," % (len(text), text))

    def _read(self) -> None:
        """Take in events until baresip closes the connection (on the reader's thread)."""
        assert self._control is not None
        self._control.settimeout(None)
        buffer = b""
        while True:
            try:
                piece = self._control.recv(65536)
            except OSError:
                piece = b""
            if not piece:
                self._take_event({"type": "CALL_CLOSED", "param": "baresip has ended"})
                return
            buffer += piece
            while found := re.match(rb"(\d+):", buffer):
                end = found.end() + int(found[1])
                if len(buffer) <= end:
                    break
                self._take_event(json.loads(buffer[found.end() : end]))
                buffer = buffer[end + 1 :]

    def _take_event(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        with self._changed:
            self.events.append((now, event))
            if event.get("type") == "CALL_ESTABLISHED":
                self.up_at = now
            elif event.get("type") == "CALL_CLOSED" and self.closed_at is None:
                self.closed_at = now
                self.why = event.get("param", "")
            self._changed.notify_all()

    def _await(self, limit: float, done: Any, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(done, limit):
                raise TestbedError(f"call to {self.extension} not {what} within {limit:g} s")

    def _close(self) -> None:
        """End baresip, in order if it still can, and gather its recordings."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()  # it hangs up and closes its files
        try:
            process.wait(QUIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join(QUIT_SECONDS)
        if self._control is not None:
            self._control.close()
            self._control = None
        for dump in sorted((self.folder / "dumps").glob("*-dec.wav")):
            dump.replace(self.heard)
