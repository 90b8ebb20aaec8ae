# cython: language_level=3
"""The compiled core: sessions as the loop thread sees them, and every byte that is touched per frame.

The other side of a session, the channel thread, never comes through here: it calls the C functions
of ``session.h`` and ``engine.h``, which this module hands out in a capsule (``ops_capsule``). What
Python sees here belongs to the loop thread, unless a docstring says otherwise.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buffer, size_t length, unsigned int flags)

cdef extern from "engine.h" nogil:
    const char *CONVAI_OPS_CAPSULE
    const char *CONVAI_HOST_CAPSULE
    enum:
        CONVAI_ABI_VERSION
        CONVAI_REASON_BYTES
        CONVAI_PLAYOUT_MS
    struct convai_host:
        uint32_t abi_version
        uint32_t size
    struct convai_ops:
        pass
    struct convai_format:
        uint32_t encoding
        uint32_t rate
    struct convai_pair:
        uint32_t kind
        const char *name
        const char *value
    struct convai_ring:
        pass
    struct convai_segment:
        uint8_t *data
        uint32_t length
    struct convai_playout:
        pass
    ctypedef struct atomic_uint_fast64_t:
        pass
    struct convai_tallies:
        atomic_uint_fast64_t chunks_sent, send_dropped_bytes, messages_received
        atomic_uint_fast64_t unknown_messages, pings_answered, received_bytes
        atomic_uint_fast64_t stale_dropped_bytes, overflow_dropped_bytes, flushed_bytes
        atomic_uint_fast64_t interruptions
    struct convai_session:
        convai_session *next
        char *channel
        char *agent
        convai_pair *pairs
        uint32_t pair_count
        convai_format caller_format
        convai_format agent_format
        convai_ring uplink
        convai_playout playout
        convai_tallies tally

    uint64_t convai_ring_waiting(convai_ring *ring)
    void convai_ring_take(convai_ring *ring, uint8_t *out, uint64_t length)
    void convai_ring_skip(convai_ring *ring, uint64_t length)
    convai_segment *convai_segment_new(uint32_t length)
    void convai_playout_append(convai_playout *playout, convai_segment *segment)
    uint64_t convai_playout_queued(const convai_playout *playout)
    uint64_t convai_playout_flush(convai_playout *playout)
    void convai_tally(atomic_uint_fast64_t *counter, uint64_t n)
    uint64_t convai_ms_to_bytes(const convai_format *format, uint64_t ms)
    int convai_session_misaligned(const convai_session *session)
    int convai_session_hung_up(convai_session *session)
    int convai_session_talk(convai_session *session, convai_format caller, convai_format agent,
                            const char *conversation_id)
    void convai_session_end(convai_session *session, uint32_t status, const char *reason,
                            uint32_t play_out)
    void convai_session_unref(convai_session *session)
    uint64_t convai_session_played(const convai_session *session)

    int convai_engine_open(const convai_host *host)
    int convai_engine_wake_fd()
    int convai_engine_debug()
    int convai_engine_woken()
    convai_session *convai_engine_take_inbox()
    int convai_engine_requests(uint32_t *end_status, char *end_reason)
    void convai_engine_closed()
    void convai_engine_log(uint32_t level, const char *channel, const char *text)
    convai_ops *convai_engine_ops(const char *build_id, const char *version)


# ---- base64 (RFC 4648, standard alphabet, padded) ----

cdef const uint8_t *ENCODE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
cdef uint8_t DECODE[256]    # 0..63, or NOT_BASE64
cdef enum:
    NOT_BASE64 = 0x80


cdef void fill_decode_table() noexcept:
    cdef int i
    for i in range(256):
        DECODE[i] = NOT_BASE64
    for i in range(64):
        DECODE[ENCODE[i]] = i


fill_decode_table()


cdef inline uint64_t base64_length(uint64_t n) noexcept nogil:
    return (n + 2) // 3 * 4


cdef void base64_encode_into(uint8_t *out, const uint8_t *data, uint64_t n) noexcept nogil:
    """Write base64_length(n) characters to out."""
    cdef uint64_t whole = n // 3, rest = n % 3, i
    cdef uint32_t group
    for i in range(whole):
        group = (<uint32_t>data[0] << 16) | (<uint32_t>data[1] << 8) | data[2]
        out[0] = ENCODE[group >> 18]
        out[1] = ENCODE[(group >> 12) & 63]
        out[2] = ENCODE[(group >> 6) & 63]
        out[3] = ENCODE[group & 63]
        data += 3
        out += 4
    if rest:
        group = <uint32_t>data[0] << 16
        if rest == 2:
            group |= <uint32_t>data[1] << 8
        out[0] = ENCODE[group >> 18]
        out[1] = ENCODE[(group >> 12) & 63]
        out[2] = ENCODE[(group >> 6) & 63] if rest == 2 else c"="
        out[3] = c"="


cdef uint32_t base64_padding(const uint8_t *text, uint64_t n) noexcept nogil:
    if n < 4 or text[n - 1] != c"=":
        return 0
    return 2 if text[n - 2] == c"=" else 1


cdef int base64_decode_into(uint8_t *out, const uint8_t *text, uint64_t n,
                            uint32_t padding) noexcept nogil:
    """Decode n characters (a multiple of 4) into n // 4 * 3 - padding bytes.

    Returns 0, or -1 when a character does not belong there; out is garbage then.
    """
    cdef uint64_t groups = n // 4 - (1 if padding else 0), i
    cdef uint32_t a, b, c, d, bad = 0
    for i in range(groups):
        a = DECODE[text[0]]
        b = DECODE[text[1]]
        c = DECODE[text[2]]
        d = DECODE[text[3]]
        bad |= a | b | c | d
        out[0] = <uint8_t>((a << 2) | (b >> 4))
        out[1] = <uint8_t>((b << 4) | (c >> 2))
        out[2] = <uint8_t>((c << 6) | d)
        text += 4
        out += 3
    if padding:
        a = DECODE[text[0]]
        b = DECODE[text[1]]
        bad |= a | b
        out[0] = <uint8_t>((a << 2) | (b >> 4))
        if padding == 1:
            c = DECODE[text[2]]
            bad |= c
            out[1] = <uint8_t>((b << 4) | (c >> 2))
    return -1 if bad & NOT_BASE64 else 0


def base64_encode(const uint8_t[::1] data not None):
    """The base64 text of data, as bytes."""
    cdef uint64_t n = data.shape[0]
    cdef bytes out = PyBytes_FromStringAndSize(NULL, base64_length(n))
    if n:
        base64_encode_into(<uint8_t *>PyBytes_AS_STRING(out), &data[0], n)
    return out


def base64_decode(str text not None):
    """The bytes that text stands for. ValueError when it is not padded standard base64."""
    cdef Py_ssize_t n
    cdef const uint8_t *characters = <const uint8_t *>PyUnicode_AsUTF8AndSize(text, &n)
    cdef uint32_t padding = base64_padding(characters, n)
    cdef bytes out
    if n % 4:
        raise ValueError(f"base64 text of {n} characters: not a multiple of 4")
    out = PyBytes_FromStringAndSize(NULL, n // 4 * 3 - padding)
    if base64_decode_into(<uint8_t *>PyBytes_AS_STRING(out), characters, n, padding):
        raise ValueError("base64 text has a character that does not belong there")
    return out


# ---- G.711 mu-law and PCM ----

cdef int16_t ULAW_TO_SLIN[256]
cdef uint8_t SLIN_TO_ULAW[65536]    # indexed by the sample as an unsigned number
cdef enum:
    ULAW_BIAS = 132         # G.711: makes the segment edges powers of two
    ULAW_CLIP = 32635       # the largest magnitude that the bias leaves in 15 bits


cdef int16_t ulaw_expand(uint8_t code) noexcept:
    cdef int inverted = ~code & 0xff
    cdef int magnitude = ((((inverted & 0x0f) << 3) + ULAW_BIAS) << ((inverted >> 4) & 7)) - ULAW_BIAS
    return -magnitude if inverted & 0x80 else magnitude


cdef uint8_t ulaw_compress(int sample) noexcept:
    cdef int sign = 0x80 if sample < 0 else 0
    cdef int magnitude = min(-sample if sample < 0 else sample, <int>ULAW_CLIP) + ULAW_BIAS
    cdef int segment = 7
    while segment and not magnitude & (0x80 << segment):
        segment -= 1
    return ~(sign | (segment << 4) | ((magnitude >> (segment + 3)) & 0x0f)) & 0xff


cdef void fill_ulaw_tables() noexcept:
    cdef int i
    for i in range(256):
        ULAW_TO_SLIN[i] = ulaw_expand(i)
    for i in range(65536):
        SLIN_TO_ULAW[i] = ulaw_compress(<int16_t>i)


fill_ulaw_tables()


def ulaw_to_slin(const uint8_t[::1] ulaw not None):
    """Expand G.711 mu-law to 16-bit PCM in the machine's byte order: n bytes to 2 * n."""
    cdef Py_ssize_t n = ulaw.shape[0], i
    cdef bytes out = PyBytes_FromStringAndSize(NULL, 2 * n)
    cdef char *to = PyBytes_AS_STRING(out)
    for i in range(n):
        memcpy(to + 2 * i, &ULAW_TO_SLIN[ulaw[i]], 2)
    return out


def slin_to_ulaw(const uint8_t[::1] slin not None):
    """Compress 16-bit PCM in the machine's byte order to G.711 mu-law: 2 * n bytes to n."""
    cdef Py_ssize_t n = slin.shape[0] // 2, i
    cdef bytes out = PyBytes_FromStringAndSize(NULL, n)
    cdef uint8_t *to = <uint8_t *>PyBytes_AS_STRING(out)
    cdef uint16_t sample
    if slin.shape[0] % 2:
        raise ValueError(f"{slin.shape[0]} bytes are not whole 16-bit samples")
    for i in range(n):
        memcpy(&sample, &slin[2 * i], 2)
        to[i] = SLIN_TO_ULAW[sample]
    return out


# ---- WebSocket: one masked text frame (RFC 6455, section 5.2) ----

cdef enum:
    FINAL_TEXT = 0x81
    MASKED = 0x80
    LENGTH_16 = 126         # a 16-bit length follows
    LENGTH_64 = 127         # a 64-bit length follows
    MASK_BYTES = 4
    MASK_POOL = 256         # bytes; getrandom never stops half-way up to this size

cdef uint8_t mask_pool[MASK_POOL]
cdef uint32_t mask_used = MASK_POOL


cdef int next_mask(uint8_t *mask) noexcept nogil:
    """RFC 6455 wants masks that a listener can't predict, so they come from the kernel."""
    global mask_used
    if mask_used == MASK_POOL:
        if getrandom(mask_pool, MASK_POOL, 0) != MASK_POOL:
            return -1
        mask_used = 0
    memcpy(mask, &mask_pool[mask_used], MASK_BYTES)
    mask_used += MASK_BYTES
    return 0


cdef uint64_t frame_header_length(uint64_t n) noexcept nogil:
    return (2 if n < LENGTH_16 else 4 if n < 65536 else 10) + MASK_BYTES


cdef void write_frame_header(uint8_t *out, uint64_t n, const uint8_t *mask) noexcept nogil:
    cdef uint64_t length_bytes = frame_header_length(n) - 2 - MASK_BYTES, i
    out[0] = FINAL_TEXT
    out[1] = MASKED | <uint8_t>(n if length_bytes == 0 else LENGTH_16 if length_bytes == 2 else LENGTH_64)
    for i in range(length_bytes):
        out[2 + i] = <uint8_t>(n >> (8 * (length_bytes - 1 - i)))
    memcpy(out + 2 + length_bytes, mask, MASK_BYTES)


cdef void apply_mask(uint8_t *data, uint64_t n, const uint8_t *mask) noexcept nogil:
    cdef uint64_t eight, word, i
    memcpy(&eight, mask, MASK_BYTES)
    memcpy(<uint8_t *>&eight + MASK_BYTES, mask, MASK_BYTES)
    for i in range(n // 8):
        memcpy(&word, data + 8 * i, 8)
        word ^= eight
        memcpy(data + 8 * i, &word, 8)
    for i in range(n - n % 8, n):
        data[i] ^= mask[i % MASK_BYTES]


cdef const char *CHUNK_HEAD = b'{"user_audio_chunk":"'
cdef const char *CHUNK_TAIL = b'"}'
cdef enum:
    CHUNK_HEAD_LENGTH = 21
    CHUNK_TAIL_LENGTH = 2


cdef uint64_t chunk_text_length(uint64_t n) noexcept nogil:
    return CHUNK_HEAD_LENGTH + base64_length(n) + CHUNK_TAIL_LENGTH


cdef int write_chunk_frame(uint8_t *out, const uint8_t *audio, uint64_t n) noexcept nogil:
    """Write the whole frame of one user_audio_chunk. Returns 0, or -1 without randomness."""
    cdef uint64_t length = chunk_text_length(n)
    cdef uint8_t mask[MASK_BYTES]
    cdef uint8_t *text = out + frame_header_length(length)
    if next_mask(mask):
        return -1
    write_frame_header(out, length, mask)
    memcpy(text, CHUNK_HEAD, CHUNK_HEAD_LENGTH)
    base64_encode_into(text + CHUNK_HEAD_LENGTH, audio, n)
    memcpy(text + length - CHUNK_TAIL_LENGTH, CHUNK_TAIL, CHUNK_TAIL_LENGTH)
    apply_mask(text, length, mask)
    return 0


cdef bytes chunk_frame(const uint8_t *audio, uint64_t n):
    cdef uint64_t length = chunk_text_length(n)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, frame_header_length(length) + length)
    if write_chunk_frame(<uint8_t *>PyBytes_AS_STRING(out), audio, n):
        raise OSError("the kernel gave no random bytes for a WebSocket mask")
    return out


def encode_chunk_frame(const uint8_t[::1] audio not None):
    """The masked WebSocket text frame that carries audio as one user_audio_chunk."""
    return chunk_frame(&audio[0] if audio.shape[0] else NULL, audio.shape[0])


# ---- Sessions ----

# Above this many bytes in the transport's buffer, caller audio is dropped rather than sent late:
# at 20 ms of mu-law a chunk this is some 5 s that the network has not taken.
cdef enum:
    SEND_BUFFER_LIMIT = 65536

cdef uint8_t[::1] scratch = bytearray(65536)    # one chunk, made contiguous. Loop thread only.


cdef class Link:
    """The loop thread's end of one session. Holds one of the session's two references."""

    cdef convai_session *session
    cdef object transport, protocol, open_state
    cdef uint64_t chunk_bytes, limit_bytes
    cdef readonly str channel
    cdef readonly str agent

    def __dealloc__(self):
        if self.session is not NULL:
            convai_session_unref(self.session)

    @property
    def pairs(self):
        """What the call started with: a list of (kind, name, value)."""
        cdef uint32_t i
        return [
            (
                self.session.pairs[i].kind,
                self.session.pairs[i].name.decode("utf-8", "replace"),
                self.session.pairs[i].value.decode("utf-8", "replace"),
            )
            for i in range(self.session.pair_count)
        ]

    @property
    def hung_up(self):
        """True once the channel is through with this session."""
        return convai_session_hung_up(self.session) != 0

    def talk(self, caller, agent, str conversation_id not None, int chunk_ms):
        """Let audio flow. caller and agent are (encoding, rate). MemoryError leaves it connecting."""
        cdef convai_format caller_format, agent_format
        caller_format.encoding, caller_format.rate = caller
        agent_format.encoding, agent_format.rate = agent
        self.chunk_bytes = convai_ms_to_bytes(&caller_format, chunk_ms)
        self.limit_bytes = convai_ms_to_bytes(&agent_format, CONVAI_PLAYOUT_MS)
        if convai_session_talk(self.session, caller_format, agent_format, conversation_id.encode()):
            raise MemoryError("no memory for the audio of a call")

    def end(self, int status, str reason not None, bint play_out=False):
        """Tell the channel that it is over. Only the first call has an effect."""
        convai_session_end(self.session, status, reason.encode(), play_out)

    def attach(self, transport, protocol, open_state):
        """Send caller audio to transport for as long as protocol.state is open_state."""
        self.transport, self.protocol, self.open_state = transport, protocol, open_state

    def detach(self):
        """Send no more caller audio."""
        self.transport = self.protocol = None

    cdef int send_waiting(self) except -1:
        """Send every whole chunk that waits; drop them if the network is not keeping up."""
        cdef convai_ring *ring = &self.session.uplink
        cdef uint64_t waiting = convai_ring_waiting(ring)
        waiting -= waiting % self.chunk_bytes
        if self.transport is None or self.protocol.state is not self.open_state:
            return 0
        if self.transport.get_write_buffer_size() > SEND_BUFFER_LIMIT:
            convai_ring_skip(ring, waiting)
            convai_tally(&self.session.tally.send_dropped_bytes, waiting)
            return 0
        while waiting:
            self.transport.write(self.next_frame())
            waiting -= self.chunk_bytes
        return 0

    cdef bytes next_frame(self):
        global scratch
        if <uint64_t>scratch.shape[0] < self.chunk_bytes:
            scratch = bytearray(self.chunk_bytes)
        convai_ring_take(&self.session.uplink, &scratch[0], self.chunk_bytes)
        convai_tally(&self.session.tally.chunks_sent, 1)
        return chunk_frame(&scratch[0], self.chunk_bytes)

    def play(self, str audio_base64 not None):
        """Queue one piece of agent audio. Returns its bytes; ValueError when it is not base64.

        More than CONVAI_PLAYOUT_MS of audio is not queued: it is dropped and counted.
        """
        cdef Py_ssize_t n
        cdef const uint8_t *text = <const uint8_t *>PyUnicode_AsUTF8AndSize(audio_base64, &n)
        cdef uint32_t padding = base64_padding(text, n)
        cdef uint64_t length = n // 4 * 3 - padding
        cdef convai_segment *segment
        if n % 4:
            raise ValueError(f"base64 text of {n} characters: not a multiple of 4")
        if length == 0:
            return 0
        if convai_playout_queued(&self.session.playout) + length > self.limit_bytes:
            convai_tally(&self.session.tally.overflow_dropped_bytes, length)
            return 0
        segment = convai_segment_new(length)
        if segment is NULL:
            raise MemoryError("no memory for agent audio")
        if base64_decode_into(segment.data, text, n, padding):
            free(segment)
            raise ValueError("base64 text has a character that does not belong there")
        convai_playout_append(&self.session.playout, segment)
        convai_tally(&self.session.tally.received_bytes, length)
        return length

    def align(self):
        """Complete a half sample, so that what is queued next starts on a whole one.

        A response may end in the middle of a sample; without this every later one would be noise.
        """
        cdef convai_segment *segment
        if convai_session_misaligned(self.session):
            segment = convai_segment_new(1)
            if segment is NULL:
                raise MemoryError("no memory for agent audio")
            segment.data[0] = 0
            convai_playout_append(&self.session.playout, segment)

    def flush(self):
        """Let nothing that is queued be heard any more. Returns the ms of audio thrown away."""
        cdef uint64_t stale
        self.align()
        stale = convai_playout_flush(&self.session.playout)
        convai_tally(&self.session.tally.flushed_bytes, stale)
        convai_tally(&self.session.tally.interruptions, 1)
        return self.to_ms(stale)

    cdef uint64_t to_ms(self, uint64_t n):
        cdef uint64_t second = convai_ms_to_bytes(&self.session.agent_format, 1000)
        return n * 1000 // second if second else 0

    @property
    def queued_ms(self):
        """Agent audio that waits to be heard, in ms."""
        return self.to_ms(convai_playout_queued(&self.session.playout))

    @property
    def played_ms(self):
        """Agent audio that has been handed to the channel, in ms."""
        return self.to_ms(convai_session_played(self.session))

    def count_message(self):
        """Count one message from the agent."""
        convai_tally(&self.session.tally.messages_received, 1)

    def count_unknown(self):
        """Count one message of a type that is not known."""
        convai_tally(&self.session.tally.unknown_messages, 1)

    def count_pong(self):
        """Count one ping that was answered."""
        convai_tally(&self.session.tally.pings_answered, 1)

    def count_stale(self, Py_ssize_t characters):
        """Count one piece of agent audio that was older than the interruption, by its base64."""
        convai_tally(&self.session.tally.stale_dropped_bytes, characters // 4 * 3)


def send_waiting_audio(list links not None):
    """Send what callers have said since the last tick. The hot path: a look at every session."""
    cdef Link link
    for link in links:
        if link.chunk_bytes and convai_ring_waiting(&link.session.uplink) >= link.chunk_bytes:
            link.send_waiting()


# ---- The engine's front door, from inside ----


def open_engine(host_capsule):
    """Begin to accept sessions, logging to this host. OSError when the kernel has no descriptor."""
    cdef const convai_host *host
    host = <const convai_host *>PyCapsule_GetPointer(host_capsule, CONVAI_HOST_CAPSULE)
    if host.abi_version != CONVAI_ABI_VERSION or host.size != sizeof(convai_host):
        raise RuntimeError(
            f"the module speaks contract version {host.abi_version}, this engine {CONVAI_ABI_VERSION};"
            " install both from the same build"
        )
    if convai_engine_open(host):
        raise OSError("no file descriptor for the engine's wake-up")


def close_engine():
    """Say that the loop has ended. The loop thread's last act."""
    convai_engine_closed()


cdef bytes kept_build_id, kept_version      # the table points into these for ever


def ops_capsule(str build_id not None, str version not None):
    """The table of functions for the C module. Loader thread."""
    global kept_build_id, kept_version
    kept_build_id, kept_version = build_id.encode(), version.encode()
    return PyCapsule_New(
        convai_engine_ops(kept_build_id, kept_version), CONVAI_OPS_CAPSULE, NULL
    )


def wake_fd():
    """The descriptor that becomes readable when other threads want something."""
    return convai_engine_wake_fd()


def woken():
    """Clear the wake-up. Returns whether a channel has hung up since the last call."""
    return convai_engine_woken() != 0


def debugging():
    """Whether every session is to log its messages."""
    return convai_engine_debug() != 0


def new_sessions():
    """The sessions that have come in since the last call, as a list of Link, oldest first."""
    cdef convai_session *session = convai_engine_take_inbox()
    cdef Link link
    cdef list links = []
    while session is not NULL:
        link = Link.__new__(Link)
        link.session = session
        link.channel = session.channel.decode("utf-8", "replace")
        link.agent = session.agent.decode("utf-8", "replace")
        links.append(link)
        session = session.next
    return links


def requests():
    """What was asked of the loop since the last call: (stop, status to end all with or 0, reason)."""
    cdef uint32_t status
    cdef char reason[CONVAI_REASON_BYTES]
    cdef int stop = convai_engine_requests(&status, reason)
    return stop != 0, status, (<bytes>reason).decode("utf-8", "replace")


def log(int level, str channel not None, str text not None):
    """Write one line to the host's log. May block: Asterisk's logger has a lock."""
    cdef bytes channel_bytes = channel.encode("utf-8", "replace")
    cdef bytes text_bytes = text.encode("utf-8", "replace")
    cdef const char *channel_text = channel_bytes
    cdef const char *line = text_bytes
    with nogil:
        convai_engine_log(level, channel_text, line)
