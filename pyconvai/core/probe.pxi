"""Part of _core.pyx: the channel's end of a session, for the engine's self-test.

As the C module does it, through the table of functions, but from Python.
"""


cdef class Probe:
    """One session, opened as a channel opens it. OSError when the engine does not take it."""

    cdef convai_session *session

    def __init__(self, str agent not None, dict settings not None):
        cdef list texts = [text.encode() for pair in settings.items() for text in pair]
        cdef bytes name = agent.encode()
        cdef convai_pair pairs[8]
        cdef convai_request request
        cdef Py_ssize_t i, count = len(settings)
        if count > 8:
            raise ValueError(f"{count} settings: a probe takes 8")
        for i in range(count):
            pairs[i].kind = CONVAI_PAIR_SETTING
            pairs[i].name = <bytes>texts[2 * i]
            pairs[i].value = <bytes>texts[2 * i + 1]
        request.channel = request.agent = name
        request.pairs = pairs
        request.pair_count = count
        self.session = convai_engine_ops().open(&request)
        if self.session is NULL:
            raise OSError(errno, "the engine takes no session")

    def __dealloc__(self):
        self.release()

    cpdef release(self):
        """Let go of the session, as the channel does last."""
        if self.session is not NULL:
            convai_engine_ops().release(self.session)
        self.session = NULL

    cdef convai_session *held(self) except NULL:
        if self.session is NULL:
            raise ValueError("this probe has been released")
        return self.session

    def poll(self):
        """(state, status, play_out, conversation id, reason)."""
        cdef convai_progress progress
        convai_engine_ops().poll(self.held(), &progress)
        return (
            progress.state,
            progress.status,
            progress.play_out != 0,
            progress.conversation_id.decode(),
            progress.reason.decode("utf-8", "replace"),
        )

    def push(self, bytes audio not None):
        """Bytes taken: all or 0. The timings leave it out, as they do what ``pop`` takes."""
        return convai_engine_ops().push(self.held(), audio, len(audio), 0)

    def pop(self, uint32_t size):
        """The agent audio that is due, at most size bytes, without the silence behind it."""
        cdef bytes audio = PyBytes_FromStringAndSize(NULL, size)
        taken = convai_engine_ops().pop(self.held(), <uint8_t *>PyBytes_AS_STRING(audio), size, 0)
        return audio[:taken]
