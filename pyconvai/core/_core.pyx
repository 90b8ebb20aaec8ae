# cython: language_level=3
"""The compiled core: sessions, as the loop thread sees them.

The channel thread, which has the other end of a session, never comes through here: it calls the C
functions of ``session.c`` and ``engine.c`` by the table whose address ``ops_address`` gives. What
Python calls here is the loop thread's, unless a docstring says otherwise. ``codec.pxi`` works on the
bytes of a frame, and ``probe.pxi`` plays the channel for the self-test; both are compiled into this
module, as is ``inquiry.pxi``. ``_core.pxd`` declares what is called in C.
"""

include "codec.pxi"
include "probe.pxi"
include "media_socket.pxi"
include "inquiry.pxi"
include "information.pxi"

convai_session_fill_tables()


# ---- Sessions ----

# Caller audio that may wait while the network does not take it, in ms; what is older is dropped.
cdef enum:
    LAG_MS = 500

# What is fetched of objects before they are needed: a handle has 112 bytes, a socket 288, and an
# ssl.SSLSocket its attributes behind it.
cdef enum:
    HANDLE_BYTES = 2 * CACHE_LINE
    SOCKET_BYTES = 5 * CACHE_LINE

# One chunk, copied out of the ring in one piece, and the frames made of chunks. Loop thread only.
cdef uint8_t *chunk = NULL
cdef uint8_t *frames = NULL
cdef uint64_t chunk_room = 0, frames_room = 0


cdef int make_room(uint8_t **buffer, uint64_t *room, uint64_t wanted) except -1:
    """Make a buffer at least this large. Loses its content; the memory is never given back."""
    if room[0] < wanted:
        free(buffer[0])
        room[0] = 0
        buffer[0] = <uint8_t *>malloc(wanted)
        if buffer[0] is NULL:
            raise MemoryError("no memory for caller audio")
        room[0] = wanted
    return 0


cdef object pairs_of(const convai_pair *pairs, uint32_t count):
    """(kind, name, value) of each. An iterator, which a traceback does not show."""
    cdef uint32_t i
    return iter([
        (
            pairs[i].kind,
            pairs[i].name.decode("utf-8", "replace"),
            pairs[i].value.decode(
                "utf-8",
                "surrogateescape" if pairs[i].kind == CONVAI_PAIR_SETTING else "replace",
            ),
        )
        for i in range(count)
    ])


cdef list texts_of(list pairs):
    """The bytes of names and values, in turn."""
    return [each.encode("utf-8", "replace") for pair in pairs for each in pair]


cdef const char **pointers_to(list texts) except NULL:
    """Pointers into these bytes, which must outlive them. The caller frees the array."""
    cdef const char **pointers = <const char **>malloc((len(texts) + 1) * sizeof(char *))
    cdef bytes text
    cdef uint32_t i
    if pointers is NULL:
        raise MemoryError("no memory for texts of a call")
    for i, text in enumerate(texts):
        pointers[i] = text
    return pointers


cdef class SessionHandle:
    """The loop thread's end of one session. Holds one of the session's two references."""

    cdef convai_session *session
    cdef MediaSocket socket
    cdef uint64_t chunk_bytes, limit_bytes, lag_bytes
    cdef int64_t chunk_us
    cdef int64_t silent_us      # until when silence has been sent for the step; 0: not begun, -1: all
    cdef int64_t owed_us                # what the last step was short of a chunk
    cdef bint is_queued         # the service plays its hold audio, which is not the agent's
    cdef bint has_spoken        # since the conversation began
    cdef readonly str channel
    cdef readonly str agent

    def __dealloc__(self):
        self.release()

    cpdef release(self):
        """Let go of the session; its descriptor closes as soon as the channel has let go as well.

        Not left to the garbage collector: an exception's traceback may keep this object for long.
        """
        if self.session is not NULL:
            convai_session_unref(self.session)
        self.session = NULL
        self.chunk_bytes = 0

    cdef convai_session *held(self) except NULL:
        if self.session is NULL:
            raise ValueError("this session has been released")
        return self.session

    @property
    def pairs(self):
        """What the call started with: (kind, name, value) of each. One of them is the key.

        An iterator, which a traceback does not show. A setting may be the path of a file, any bytes: `os.fsencode` gives them back.
        """
        return pairs_of(self.held().pairs, self.held().pair_count)

    @property
    def facts(self):
        """What the record of the call says of it, by name; empty: there is to be none."""
        cdef uint32_t i
        return {
            self.held().pairs[i].name.decode(): self.held().pairs[i].value.decode("utf-8", "replace")
            for i in range(self.held().pair_count)
            if self.held().pairs[i].kind == CONVAI_PAIR_FACT
        }

    @property
    def hung_up(self):
        """True once the channel is through with this session."""
        return convai_session_hung_up(self.held()) != 0

    @property
    def on_hold(self):
        """True while the caller has put the agent on hold."""
        return convai_session_held(self.held()) != 0

    def debugging(self, bint wished):
        """Whether messages are logged: for this call, for all, or as its agent's section wishes."""
        return self.session is not NULL and convai_engine_debugging(self.session, wished) != 0

    def outbox(self):
        """What others want to be said to the agent: a list of (kind, text), oldest first."""
        cdef convai_message *first = convai_session_take_outbox(self.held())
        cdef convai_message *message = first
        cdef list texts = []
        try:
            while message is not NULL:
                texts.append((message.kind, (<char *>message.text).decode("utf-8", "replace")))
                message = message.next
        finally:
            convai_outbox_free(first)
        return texts

    def offer_step(self, uint32_t kind, str tool not None, list arguments not None):
        """Offer the channel a step (``enum convai_step_kind``): a tool and its arguments, (name, value) each.

        False: not now.
        """
        cdef list texts = texts_of(arguments)
        cdef const char **pointers = pointers_to(texts)
        cdef int refused
        try:
            refused = convai_step_offer(&self.held().step, kind, tool.encode(), pointers, len(texts) // 2)
        finally:
            free(pointers)
        if not refused:
            convai_signal(self.held().event_fd)
        return not refused

    def tell(self, uint32_t kind, int64_t at_ms, list fields not None):
        """Tell programs of something: ``enum convai_event_kind``, and (name, value) each. False: too much waits."""
        cdef list texts = texts_of(fields)
        cdef const char **pointers = pointers_to(texts)
        cdef int refused
        try:
            refused = convai_news_add(&self.held().news, kind, at_ms, pointers, len(texts) // 2)
        finally:
            free(pointers)
        if not refused:
            convai_signal(self.held().event_fd)
        return not refused
    def begin_job(self, uint32_t kind, str tool not None, list arguments not None, uint32_t limit_ms):
        """Hand a job over to the host, with arguments as above: (enum convai_job_verdict, its ticket)."""
        cdef list texts = texts_of(arguments)
        cdef const char **pointers = pointers_to(texts)
        cdef convai_session *session = self.held()
        cdef convai_own_job *job
        cdef uint64_t ticket
        cdef uint32_t verdict
        try:
            job = convai_job_new(kind, limit_ms, tool.encode(), pointers, len(texts) // 2)
        finally:
            free(pointers)
        if job is NULL:
            raise MemoryError("no memory for a job")
        ticket = job.ticket
        with nogil:
            verdict = convai_engine_begin_job(session, job)
        if verdict != CONVAI_JOB_TAKEN:
            convai_job_free(job)
        return verdict, ticket

    def work(self, uint32_t working):
        """Tell the channel whether tools are under way beside the call (``enum convai_working``)."""
        convai_session_work(self.held(), working)

    @property
    def step_free(self):
        """Whether a step may be offered: no other is on its way."""
        return convai_step_state(&self.held().step) == CONVAI_STEP_FREE

    @property
    def step_begun(self):
        """Whether the step is being done, or is over and has not been collected."""
        return self.has_begun()

    cdef bint has_begun(self) except -1:
        cdef convai_step_slot *slot = &self.held().step
        cdef uint32_t state = convai_step_state(slot)
        if state != CONVAI_STEP_RUNNING and state != CONVAI_STEP_OVER:
            return False
        return slot.began_us != 0

    def withdraw_step(self):
        """Take the step back. False: it has begun, or was not begun and is over."""
        return convai_step_withdraw(&self.held().step) != 0

    def collect_step(self):
        """What has become of the step: (outcome, result), or None while it is not over."""
        cdef convai_step_slot *slot = &self.held().step
        cdef tuple outcome
        if convai_step_state(slot) != CONVAI_STEP_OVER:
            return None
        self.send_silence()
        outcome = slot.outcome, (b"" if slot.result is NULL else <bytes>slot.result).decode(
            "utf-8", "replace"
        )
        convai_step_collect(slot)
        self.silent_us = 0
        return outcome

    def agree(self, caller, agent, str conversation_id not None, int chunk_ms):
        """Take on the metadata, once: caller and agent are (encoding, rate). The channel knows nothing yet."""
        cdef convai_format caller_format, agent_format
        caller_format.encoding, caller_format.rate = caller
        agent_format.encoding, agent_format.rate = agent
        self.chunk_bytes = convai_ms_to_bytes(&caller_format, chunk_ms)
        self.chunk_us = chunk_ms * 1000
        self.limit_bytes = convai_ms_to_bytes(&agent_format, CONVAI_PLAYOUT_MS)
        self.lag_bytes = max(convai_ms_to_bytes(&caller_format, LAG_MS), self.chunk_bytes)
        if convai_session_agree(self.held(), caller_format, agent_format, conversation_id.encode()):
            raise MemoryError("no memory for the audio of a call")

    def talk(self):
        """An agent is there: let audio flow. What is left of the hold audio is not heard any more."""
        if self.is_queued:
            self.align()
            convai_playout_flush(&self.held().playout, 0)
        self.is_queued = self.has_spoken = False
        convai_session_talk(self.held())

    def queue(self):
        """The service lets the caller wait: what it plays now is hold audio, which is not counted."""
        self.is_queued = True
        convai_session_queue(self.held())

    def leave_queue(self, uint32_t how):
        """Say why the queue is over for the caller (``enum convai_queue``); ``end`` follows."""
        convai_session_leave_queue(self.held(), how)

    def end(self, int status, str reason not None, str detail not None="", int play_out=0):
        """Tell the channel that it is over. Only the first call has an effect."""
        convai_session_end(self.held(), status, reason.encode(), detail.encode(), play_out)

    def attach(self, MediaSocket socket not None):
        """Send caller audio to this socket."""
        self.socket = socket

    def detach(self):
        """Send no more caller audio."""
        self.socket = None

    cdef bint in_step(self) except -1:
        """Whether silence is to be sent for a step: also for one that is over, until all is sent.

        For one of the dialplan's: beside others the channel gives the caller's audio.
        """
        cdef convai_step_slot *slot = &self.held().step
        if (self.silent_us == 0 and self.chunk_us and self.has_begun()
                and slot.step.kind == CONVAI_STEP_DIALPLAN):
            self.silent_us = slot.began_us - self.owed_us
        return self.silent_us > 0

    cdef int send_silence(self) except -1:
        """In a step the channel thread gives nothing: send silence in its place, at real time.

        What the network does not take is left out. The channel's audio follows without a gap.
        """
        cdef convai_step_slot *slot = &self.held().step
        cdef bint is_over = convai_step_state(slot) == CONVAI_STEP_OVER
        cdef int64_t chunks
        cdef uint64_t most, used = 0
        if not self.in_step():
            return 0
        chunks = ((slot.ended_us if is_over else monotonic_us()) - self.silent_us) // self.chunk_us
        self.silent_us += chunks * self.chunk_us
        if is_over:
            self.owed_us = slot.ended_us - self.silent_us
            self.silent_us = -1
        if self.socket is None:
            return 0
        most = chunk_frame_length(self.chunk_bytes)
        make_room(&chunk, &chunk_room, self.chunk_bytes)
        make_room(&frames, &frames_room, max(most, <uint64_t>RECORD_BYTES))
        memset(chunk, 0xff if self.held().caller_format.encoding == CONVAI_ENCODING_ULAW else 0,
               self.chunk_bytes)
        while chunks > 0 and not self.socket.backlog:
            used = 0
            while chunks > 0 and used + most <= frames_room:
                if write_chunk_frame(frames + used, chunk, self.chunk_bytes):
                    raise OSError("the kernel gave no random bytes for a WebSocket mask")
                used += most
                chunks -= 1
                convai_tally(&self.held().tally.chunks_sent, 1)
            self.socket.put(frames, used)
        return 0

    cdef int send_waiting(self) except -1:
        """Send every whole chunk that waits. While the network falls behind, drop what is old."""
        cdef convai_ring *ring = &self.held().uplink
        cdef uint64_t waiting = convai_ring_waiting(ring), most, used
        waiting -= waiting % self.chunk_bytes
        if self.socket is None:
            return 0
        if self.socket.backlog:
            if waiting > self.lag_bytes:
                waiting -= self.lag_bytes - self.lag_bytes % self.chunk_bytes
                convai_ring_skip(ring, waiting)
                convai_tally(&self.held().tally.send_dropped_bytes, waiting)
            return 0
        most = chunk_frame_length(self.chunk_bytes)
        make_room(&chunk, &chunk_room, self.chunk_bytes)
        make_room(&frames, &frames_room, max(most, <uint64_t>RECORD_BYTES))
        while waiting and not self.socket.backlog:
            used = 0
            while waiting and used + most <= frames_room:
                convai_ring_take(ring, chunk, self.chunk_bytes)
                if write_chunk_frame(frames + used, chunk, self.chunk_bytes):
                    raise OSError("the kernel gave no random bytes for a WebSocket mask")
                used += most
                waiting -= self.chunk_bytes
                convai_tally(&self.held().tally.chunks_sent, 1)
            self.socket.put(frames, used)
            convai_session_sent(self.held(), self.chunk_bytes, used // most)
        return 0

    def play(self, str audio_base64 not None, uint32_t characters=0):
        """Queue one piece of agent audio. Returns its bytes; ValueError when it is not base64.

        ``characters``: how many of its text it speaks; 0: that is not known. More than CONVAI_PLAYOUT_MS of audio, or CONVAI_PLAYOUT_SEGMENTS pieces, is not queued: it is
        dropped and counted.
        """
        cdef Py_ssize_t n
        cdef const uint8_t *text = <const uint8_t *>PyUnicode_AsUTF8AndSize(audio_base64, &n)
        cdef uint64_t length = n // 4 * 3 - base64_padding(text, n)
        if n % 4:
            raise ValueError(f"base64 text of {n} characters: not a multiple of 4")
        if length == 0:
            return 0
        if not self.has_room(length):
            self.count(&self.held().tally.overflow_dropped_bytes, length)
            return 0
        if not self.queue_base64(text, n, characters):
            raise ValueError("base64 text has a character that does not belong there")
        return length

    cdef bint has_room(self, uint64_t length) except -1:
        cdef convai_playout *playout = &self.held().playout
        return (
            convai_playout_queued(playout) + length <= self.limit_bytes
            and playout.segments < CONVAI_PLAYOUT_SEGMENTS
        )

    cdef bint queue_base64(self, const uint8_t *text, uint64_t n, uint32_t characters) except -1:
        """Decode into the playout queue: n characters, a multiple of 4. False: it is not base64."""
        cdef uint32_t padding = base64_padding(text, n)
        cdef uint64_t length = n // 4 * 3 - padding
        cdef convai_segment *segment = convai_segment_new(length)
        cdef int bad
        if segment is NULL:
            raise MemoryError("no memory for agent audio")
        bad = base64_decode_into(segment.data, text, n, padding)
        if bad:
            free(segment)
            return False
        if convai_playout_queued(&self.held().playout) == 0:
            segment.idle_us = monotonic_us()
        convai_playout_append(&self.held().playout, segment)
        self.count(&self.held().tally.received_bytes, length)
        convai_said_audio(
            &self.held().said, convai_playout_appended(&self.held().playout), characters)
        if not self.has_spoken:
            # The channel looks for audio every 20 ms; the first word is not to wait for that.
            self.has_spoken = True
            convai_signal(self.held().event_fd)
        return True

    cdef void count(self, atomic_uint_fast64_t *counter, uint64_t length) noexcept:
        if not self.is_queued:
            convai_tally(counter, length)

    def align(self):
        """Complete a half sample, so that what is queued next starts on a whole one.

        A response may end in the middle of a sample; without this every later one would be noise.
        """
        cdef convai_segment *segment
        if convai_session_misaligned(self.held()):
            segment = convai_segment_new(1)
            if segment is NULL:
                raise MemoryError("no memory for agent audio")
            segment.data[0] = 0
            convai_playout_append(&self.held().playout, segment)

    def flush(self, bint interruption=True):
        """Let nothing that is queued be heard any more. Returns the ms of audio thrown away.

        ``interruption``: the caller has barged in, which is counted; else the caller holds.
        """
        cdef convai_playout *playout = &self.held().playout
        cdef uint64_t stale
        self.align()
        convai_said_cut(
            &self.held().said, convai_playout_position(playout), convai_playout_appended(playout))
        stale = convai_playout_flush(&self.held().playout, monotonic_us())
        convai_tally(&self.held().tally.flushed_bytes, stale)
        convai_tally(&self.held().tally.interruptions, interruption)
        return self.to_ms(stale)

    def playout(self):
        """(ms of agent audio queued since the call began, ms of it that still wait)."""
        cdef convai_playout *playout = &self.held().playout
        cdef uint64_t waiting = convai_playout_queued(playout)
        return self.to_ms(convai_playout_appended(playout)), self.to_ms(waiting)

    def answered_ms(self, uint64_t begin_ms, uint64_t end_ms):
        """How soon the agent has answered the caller with what was queued there, as `playout` counts; -1: it has not."""
        cdef int64_t us = convai_turns_find(&self.held().turns, begin_ms, end_ms)
        return (us + 500) // 1000 if us >= 0 else -1

    cdef uint64_t to_ms(self, uint64_t n):
        cdef uint64_t second = convai_ms_to_bytes(&self.held().agent_format, 1000)
        return n * 1000 // second if second else 0

    def begin_response(self, int64_t event_id):
        """What is queued next is this turn of the agent's."""
        convai_said_begin(
            &self.held().said, <uint64_t>event_id, convai_playout_appended(&self.held().playout))

    def tell_response(self, str text not None, uint32_t characters):
        """What the turn that was begun last says: data, and how many characters it has as it was said."""
        if convai_said_response(&self.held().said, text.encode(), characters):
            raise MemoryError("no memory for what the agent says")

    def heard(self, int64_t event_id):
        """How many characters of the last turn of this id have been heard; -1: that is not known."""
        cdef convai_playout *playout = &self.held().playout
        return convai_said_heard(
            &self.held().said, <uint64_t>event_id, convai_playout_position(playout),
            convai_playout_appended(playout))

    def correct_response(self, uint32_t characters):
        """Of the turn that was cut short no more were spoken, says the service."""
        convai_said_correct(&self.held().said, characters)

    def tell_words(self, int which, str text not None):
        """Let others read this, which is data: TRANSCRIPT or SUMMARY."""
        if convai_said_put(&self.held().said, <convai_words>which, text.encode()):
            raise MemoryError("no memory for what was said")
    def counters(self):
        """What ``struct convai_counters`` counts, by name."""
        cdef convai_counters counters
        convai_engine_ops().counters(self.held(), &counters)
        return counters

    def levels(self):
        """How loud both sides have been, from the beginning: a pair of bytes, the caller's and the agent's, for each tenth of a second.

        ``struct convai_level`` says what they are.
        """
        cdef bytes both = PyBytes_FromStringAndSize(NULL, CONVAI_LEVELS_KEPT * sizeof(convai_level))
        cdef uint32_t count = convai_engine_ops().levels(
            self.held(), <convai_level *>PyBytes_AS_STRING(both), CONVAI_LEVELS_KEPT)
        return both[:count * sizeof(convai_level)]

    def turn_list(self):
        """The agent's last turns that were timed: (ms since the conversation began, us that the caller waited) each."""
        cdef convai_turn turns[CONVAI_TURNS_KEPT]
        cdef uint32_t count = convai_engine_ops().turn_list(self.held(), turns, CONVAI_TURNS_KEPT)
        return [(turns[i].at_ms, turns[i].us) for i in range(min(count, <uint32_t>CONVAI_TURNS_KEPT))]

    def answers(self):
        """Of the caller's last turns that were answered: (where in the agent's audio, how soon), in ms.

        The place is that of ``playout``, so it tells which response was the answer. In no order.
        """
        cdef uint32_t us, at_ms, place = 0
        found = []
        while not convai_turns_kept(&self.held().turns, place, &us, &at_ms):
            found.append((at_ms, (us + 500) // 1000))
            place += 1
        return found

    def count_message(self):
        """Count one message from the agent."""
        convai_tally(&self.held().tally.messages_received, 1)

    def count_unknown(self):
        """Count one message of a type that is not known."""
        convai_tally(&self.held().tally.unknown_messages, 1)

    def count_pong(self):
        """Count one ping that was answered."""
        convai_tally(&self.held().tally.pings_answered, 1)

    def count_tool(self, bint failed):
        """Count a call of a tool that has been answered."""
        if failed:
            convai_tally(&self.held().tally.tools_failed, 1)
        else:
            convai_tally(&self.held().tally.tools_done, 1)

    def count_turn(self):
        """Count one response of which audio was queued."""
        convai_tally(&self.held().tally.turns, 1)

    def count_event_dropped(self):
        """Count one thing that programs were not told of."""
        convai_tally(&self.held().tally.events_dropped, 1)

    def count_stale(self, Py_ssize_t characters):
        """Count one piece of agent audio that nobody is to hear any more, by its base64."""
        convai_tally(&self.held().tally.stale_dropped_bytes, characters // 4 * 3)


cdef int fetch_ahead(list handles, Py_ssize_t i) except -1:
    """Fetch what is touched when the next calls' audio is sent: each step follows a pointer of the last."""
    cdef SessionHandle handle
    if i + 3 < len(handles):
        cache_fetch(<const void *>handles[i + 3], HANDLE_BYTES)
    if i + 2 < len(handles):
        handle = handles[i + 2]
        cache_fetch(<const void *>handle.socket, SOCKET_BYTES)
        if handle.session is not NULL:
            convai_session_fetch_uplink(handle.session)
    if i + 1 < len(handles):
        handle = handles[i + 1]
        if handle.socket is not None:
            cache_fetch(<const void *>handle.socket.sock, SOCKET_BYTES)
            cache_fetch(<const void *>handle.socket.send_some, CACHE_LINE)
    return 0


def send_waiting_audio(list handles not None):
    """Send what callers have said since the last tick. The hot path: a look at every session."""
    cdef SessionHandle handle
    cdef MediaSocket socket
    cdef Py_ssize_t i = 0
    while i < len(handles):
        # To send pushes much out of the caches; what the next calls need comes meanwhile.
        fetch_ahead(handles, i)
        handle = handles[i]
        i += 1
        if handle.chunk_bytes and (
            convai_ring_waiting(&handle.session.uplink) >= handle.chunk_bytes or handle.in_step()
        ):
            try:
                handle.send_silence()
                handle.send_waiting()
            except Exception as fault:
                # One call's fault ends that call, and does not silence the others.
                socket = handle.socket
                handle.detach()
                if socket is not None:
                    socket.owner.failed(fault)


# ---- The engine: its start, its end, and what other threads want of it ----


def contract():
    """The contract that this engine is built for: (version, size of its table in bytes)."""
    return CONVAI_ABI_VERSION, sizeof(convai_ops)


def open_engine():
    """Begin to accept sessions. OSError: no descriptor, or the loop of an earlier start still runs."""
    if convai_engine_open():
        raise OSError(errno, "the loop of an earlier start still runs, or there is no descriptor")


def starts():
    """How often the engine has been opened."""
    return convai_engine_starts()


def tell_webhooks(uint64_t waiting):
    """Say how many records wait to be sent to a webhook: the metrics show it, and do not ask the loop."""
    convai_engine_tell_webhooks(waiting)


def stop_start(unsigned int start):
    """Ask the loop to end, if it is still that of this start. Does not wait."""
    convai_engine_stop_start(start)


def refuse():
    """Take no new sessions: the loop is about to end."""
    convai_engine_refuse()


def engine_running():
    """Whether the loop runs."""
    return convai_engine_ops().running() != 0


def stop_engine(uint32_t limit_ms):
    """What the module asks of a running engine: stop. Not on the loop thread; True if it ended."""
    cdef int left
    with nogil:
        left = convai_engine_ops().stop(limit_ms)
    return left == 0


def close_engine():
    """Say that the loop has ended. The loop thread's last act."""
    convai_engine_closed()


def ops_address(str build_id not None, str version not None):
    """Where the table of functions for the C module is. It stays there for as long as the process."""
    convai_engine_name(build_id.encode(), version.encode())
    return <uintptr_t>convai_engine_ops()


def wake_fd():
    """The descriptor that becomes readable when other threads want something."""
    return convai_engine_wake_fd()


def woken():
    """Clear the wake-up. Returns whether a channel has hung up since the last call."""
    return convai_engine_woken() != 0


def outbox_filled():
    """Whether a session has had something to say since the last call."""
    return convai_engine_outbox_filled() != 0


def holds_changed():
    """Whether a caller has held, or come back, since the last call."""
    return convai_engine_holds() != 0


def steps_changed():
    """Whether a step has begun or ended since the last call."""
    return convai_engine_steps() != 0


def jobs_over():
    """The jobs that are over since the last call: (ticket, outcome, result) of each."""
    cdef convai_own_job *first = convai_engine_take_jobs()
    cdef convai_own_job *job = first
    cdef list over = []
    try:
        while job is not NULL:
            over.append((
                job.ticket,
                job.outcome,
                (b"" if job.result is NULL else <bytes>job.result).decode("utf-8", "replace"),
            ))
            job = job.next
    finally:
        convai_job_free(first)
    return over


def name_thread(str name not None):
    """Give the calling thread a name for top, gdb and perf: 15 bytes of it, the kernel has no more."""
    cdef bytes text = name.encode()[:15]
    pthread_setname_np(pthread_self(), text)


def new_sessions():
    """The sessions that have come in since the last call, as a list of SessionHandle, oldest first."""
    cdef convai_session *session = convai_engine_take_inbox()
    cdef SessionHandle handle
    cdef list handles = []
    while session is not NULL:
        handle = SessionHandle.__new__(SessionHandle)
        handle.session = session
        handle.channel = session.channel.decode("utf-8", "replace")
        handle.agent = session.agent.decode("utf-8", "replace")
        handles.append(handle)
        session = session.next
    return handles


def requests():
    """What was asked of the loop: (whether and how to end, status to end all with or 0, reason).

    The first is a WISH_...; once it is not WISH_NONE it stays.
    """
    cdef uint32_t status
    cdef char reason[CONVAI_REASON_BYTES]
    cdef int wish = convai_engine_requests(&status, reason)
    return wish, status, (<bytes>reason).decode("utf-8", "replace")


WISH_NONE, WISH_FINISH, WISH_STOP = CONVAI_WISH_NONE, CONVAI_WISH_FINISH, CONVAI_WISH_STOP


LINE, SENTENCE, DATA = WORDS_LINE, WORDS_SENTENCE, WORDS_DATA


LEVEL_MS, LEVEL_SPEAKS = CONVAI_LEVEL_US // 1000, CONVAI_LEVEL_SPEAKS


TRANSCRIPT, SUMMARY = CONVAI_WORDS_TRANSCRIPT, CONVAI_WORDS_SUMMARY


def clean(str text not None, size_t most, int use):
    """Text from outside, made fit for its use: LINE, SENTENCE or DATA (``words.h``). ``most``: bytes of UTF-8."""
    cdef bytearray copy = bytearray(text.encode("utf-8", "replace"))
    cdef size_t length = words_clean(PyByteArray_AS_STRING(copy), len(copy), most, <words_use>use)
    return copy[:length].decode()


def away(str agent not None, uint32_t ms):
    """Tell the host for how long calls to an agent have no prospect; 0: they have again."""
    cdef bytes name = agent.encode("utf-8", "replace")
    cdef const char *text = name
    with nogil:
        convai_engine_away(text, ms)


def log(int level, str channel not None, str text not None):
    """Write one line to the host's log. May block: Asterisk's logger has a lock."""
    cdef bytes channel_bytes = channel.encode("utf-8", "replace")
    cdef bytes text_bytes = text.encode("utf-8", "replace")
    cdef const char *channel_text = channel_bytes
    cdef const char *line = text_bytes
    with nogil:
        convai_engine_log(level, channel_text, line)
