"""The channel's end of a session, for the engine's self-test: what the C module does, from Python."""

cdef extern from "engine.h" nogil:
    struct convai_request:
        const char *channel
        const char *agent
        const convai_pair *pairs
        uint32_t pair_count
    struct convai_progress:
        uint32_t state
        uint32_t status
        uint32_t play_out
        const char *conversation_id
        const char *reason
    convai_session *convai_op_open(const convai_request *request)
    void convai_op_poll(convai_session *session, convai_progress *progress)
    uint32_t convai_op_push(convai_session *session, const uint8_t *audio, uint32_t bytes)
    uint32_t convai_op_pop(convai_session *session, uint8_t *audio, uint32_t bytes)
    void convai_op_release(convai_session *session)


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
            pairs[i].kind = 0       # CONVAI_PAIR_SETTING
            pairs[i].name = <bytes>texts[2 * i]
            pairs[i].value = <bytes>texts[2 * i + 1]
        request.channel = request.agent = name
        request.pairs = pairs
        request.pair_count = count
        self.session = convai_op_open(&request)
        if self.session is NULL:
            raise OSError(errno, "the engine takes no session")

    def __dealloc__(self):
        self.release()

    cpdef release(self):
        """As the channel's last word."""
        if self.session is not NULL:
            convai_op_release(self.session)
        self.session = NULL

    cdef convai_session *held(self) except NULL:
        if self.session is NULL:
            raise ValueError("this probe has been released")
        return self.session

    def poll(self):
        """(state, status, play_out, conversation id, reason)."""
        cdef convai_progress progress
        convai_op_poll(self.held(), &progress)
        return (
            progress.state,
            progress.status,
            progress.play_out != 0,
            progress.conversation_id.decode(),
            progress.reason.decode("utf-8", "replace"),
        )

    def push(self, bytes audio not None):
        """Bytes taken: all or 0."""
        return convai_op_push(self.held(), audio, len(audio))

    def pop(self, uint32_t size):
        """The agent audio that is due, at most size bytes, without the silence behind it."""
        cdef bytes audio = PyBytes_FromStringAndSize(NULL, size)
        taken = convai_op_pop(self.held(), <uint8_t *>PyBytes_AS_STRING(audio), size)
        return audio[:taken]
