"""What _core.pyx and its parts call in C. What each name does is told in the headers."""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport EINTR, errno
from libc.limits cimport INT_MAX
from libc.math cimport floor
from libc.stdint cimport (
    UINT64_MAX, int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t)
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    object PyMemoryView_FromMemory(char *memory, Py_ssize_t size, int flags)
    enum:
        PyBUF_READ

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    pthread_t pthread_self()
    int pthread_setname_np(pthread_t thread, const char *name)

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void *buffer, size_t length, unsigned int flags)

cdef extern from "convai_ops.h" nogil:
    enum:
        CONVAI_ABI_VERSION
        CONVAI_ENCODING_ULAW
        CONVAI_PAIR_SETTING
        CONVAI_PAIR_FACT
        CONVAI_OUTCOME_OK
        CONVAI_OUTCOME_FAILED
        CONVAI_JOB_TAKEN
    struct convai_session       # its fields: session.h
    struct convai_format:
        uint32_t encoding
        uint32_t rate
    struct convai_pair:
        uint32_t kind
        const char *name
        const char *value
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
        const char *detail
    struct convai_level:
        uint8_t caller, agent
    struct convai_turn:
        uint32_t at_ms, us
    enum:
        CONVAI_LEVELS_KEPT
        CONVAI_LEVEL_US
        CONVAI_LEVEL_SPEAKS
        CONVAI_TURNS_KEPT
    struct convai_counters:
        uint64_t pushed_bytes, push_dropped_bytes, silence_ms, chunks_sent, send_dropped_bytes
        uint64_t messages_received, unknown_messages, pings_answered, received_bytes
        uint64_t stale_dropped_bytes, overflow_dropped_bytes, flushed_bytes, played_bytes
        uint64_t interruptions
    struct convai_ops:
        uint32_t (*levels)(const convai_session *session, convai_level *levels,
                           uint32_t most) noexcept nogil
        uint32_t (*turn_list)(const convai_session *session, convai_turn *turns,
                              uint32_t most) noexcept nogil
        void (*counters)(const convai_session *session, convai_counters *counters) noexcept nogil
        convai_session *(*open)(const convai_request *request) noexcept nogil
        void (*poll)(convai_session *session, convai_progress *progress) noexcept nogil
        uint32_t (*push)(convai_session *session, const uint8_t *audio, uint32_t size,
                         int64_t now_us) noexcept nogil
        uint32_t (*pop)(convai_session *session, uint8_t *audio, uint32_t size,
                        int64_t now_us) noexcept nogil
        void (*release)(convai_session *session) noexcept nogil
        int (*running)() noexcept nogil
        int (*stop)(uint32_t limit_ms) noexcept nogil

cdef extern from "cache.h" nogil:
    enum:
        CACHE_LINE
    void cache_fetch(const void *start, size_t bytes)

cdef extern from "monotonic.h" nogil:
    int64_t monotonic_us()
    int64_t thread_us()

cdef extern from "words.h" nogil:
    enum words_use:
        WORDS_LINE
        WORDS_SENTENCE
        WORDS_DATA
    size_t words_clean(char *text, size_t length, size_t most, words_use use)

cdef extern from "ring.h" nogil:
    struct convai_ring:
        pass
    uint64_t convai_ring_waiting(convai_ring *ring)
    void convai_ring_take(convai_ring *ring, uint8_t *out, uint64_t length)
    void convai_ring_skip(convai_ring *ring, uint64_t length)

cdef extern from "playout.h" nogil:
    struct convai_segment:
        int64_t idle_us
        uint8_t *data
    struct convai_playout:
        uint32_t segments
    convai_segment *convai_segment_new(uint32_t length)
    void convai_playout_append(convai_playout *playout, convai_segment *segment)
    uint64_t convai_playout_queued(const convai_playout *playout)
    uint64_t convai_playout_appended(const convai_playout *playout)
    uint64_t convai_playout_flush(convai_playout *playout, int64_t now_us)
    uint64_t convai_playout_position(const convai_playout *playout)

cdef extern from "step.h" nogil:
    enum:
        CONVAI_STEP_FREE
        CONVAI_STEP_RUNNING
        CONVAI_STEP_OVER
    enum:
        CONVAI_STEP_DIALPLAN
    struct convai_step:
        uint32_t kind
    struct convai_step_slot:
        convai_step *step
        int64_t began_us
        int64_t ended_us
        uint32_t outcome
        char *result
    uint32_t convai_step_state(const convai_step_slot *slot)
    int convai_step_offer(convai_step_slot *slot, uint32_t kind, const char *tool,
                          const char *const *arguments, uint32_t argument_count)
    int convai_step_withdraw(convai_step_slot *slot)
    void convai_step_collect(convai_step_slot *slot)

cdef extern from "news.h" nogil:
    struct convai_news_list:
        pass
    int convai_news_add(convai_news_list *list, uint32_t kind, int64_t at_ms,
                        const char *const *fields, uint32_t field_count)
cdef extern from "job.h" nogil:
    struct convai_own_job:
        uint64_t ticket
        uint32_t outcome
        char *result
        convai_own_job *next
    convai_own_job *convai_job_new(uint32_t kind, uint32_t limit_ms, const char *tool,
                                   const char *const *arguments, uint32_t argument_count)
    void convai_job_free(convai_own_job *job)

cdef extern from "said.h" nogil:
    enum:
        CONVAI_WORDS_TRANSCRIPT
        CONVAI_WORDS_SUMMARY
    enum convai_words:
        pass
    struct convai_said:
        pass
    int convai_said_put(convai_said *said, convai_words which, const char *text)
    void convai_said_begin(convai_said *said, uint64_t id, uint64_t place)
    int convai_said_response(convai_said *said, const char *text, uint32_t characters)
    void convai_said_audio(convai_said *said, uint64_t end, uint32_t characters)
    void convai_said_cut(convai_said *said, uint64_t played, uint64_t appended)
    void convai_said_correct(convai_said *said, uint32_t characters)
    int64_t convai_said_heard(convai_said *said, uint64_t id, uint64_t played, uint64_t appended)

cdef extern from "turns.h" nogil:
    struct convai_turns:
        pass
    int convai_turns_kept(const convai_turns *turns, uint32_t place, uint32_t *us, uint32_t *at_ms)
    int64_t convai_turns_find(const convai_turns *turns, uint64_t begin_ms, uint64_t end_ms)

cdef extern from "session.h" nogil:
    enum:
        CONVAI_PLAYOUT_MS
        CONVAI_PLAYOUT_SEGMENTS
    ctypedef struct atomic_uint_fast64_t:
        pass
    struct convai_tallies:
        atomic_uint_fast64_t chunks_sent, send_dropped_bytes, messages_received
        atomic_uint_fast64_t unknown_messages, pings_answered, received_bytes
        atomic_uint_fast64_t stale_dropped_bytes, overflow_dropped_bytes, flushed_bytes
        atomic_uint_fast64_t interruptions, turns, events_dropped, tools_done, tools_failed
    struct convai_message:
        convai_message *next
        uint32_t kind
        char *text
    struct convai_session:
        int event_fd
        convai_session *next
        char *channel
        char *agent
        convai_pair *pairs
        uint32_t pair_count
        convai_format caller_format
        convai_format agent_format
        convai_ring uplink
        convai_playout playout
        convai_step_slot step
        convai_news_list news
        convai_said said
        convai_turns turns
        convai_tallies tally
    void convai_signal(int fd)
    void convai_tally(atomic_uint_fast64_t *counter, uint64_t n)
    uint64_t convai_ms_to_bytes(const convai_format *format, uint64_t ms)
    void convai_session_fill_tables()
    int convai_session_hung_up(convai_session *session)
    int convai_session_held(convai_session *session)
    int convai_session_agree(convai_session *session, convai_format caller, convai_format agent,
                             const char *conversation_id)
    void convai_session_talk(convai_session *session)
    void convai_session_queue(convai_session *session)
    void convai_session_leave_queue(convai_session *session, uint32_t how)
    void convai_session_work(convai_session *session, uint32_t working)
    void convai_session_end(convai_session *session, uint32_t status, const char *reason,
                            const char *detail, uint32_t play_out)
    void convai_session_sent(convai_session *session, uint64_t chunk_bytes, uint32_t chunks)
    int64_t convai_tick_began(int64_t due_us)
    void convai_session_fetch_uplink(const convai_session *session)
    int convai_session_misaligned(const convai_session *session)
    void convai_session_unref(convai_session *session)
    convai_message *convai_session_take_outbox(convai_session *session)
    void convai_outbox_free(convai_message *message)

cdef extern from "engine.h" nogil:
    enum:
        CONVAI_REASON_BYTES
        CONVAI_WISH_NONE
        CONVAI_WISH_FINISH
        CONVAI_WISH_STOP
    int convai_engine_open()
    unsigned int convai_engine_starts()
    void convai_engine_tell_webhooks(uint64_t waiting)
    void convai_engine_stop_start(unsigned int start)
    void convai_engine_name(const char *build_id, const char *version)
    const convai_ops *convai_engine_ops()
    int convai_engine_wake_fd()
    int convai_engine_woken()
    int convai_engine_outbox_filled()
    int convai_engine_holds()
    int convai_engine_steps()
    int convai_engine_quiet_changed()
    uint32_t convai_engine_begin_job(convai_session *session, convai_own_job *job)
    convai_own_job *convai_engine_take_jobs()
    convai_session *convai_engine_take_inbox()
    int convai_engine_requests(uint32_t *end_status, char *end_reason)
    int convai_engine_debugging(const convai_session *session, int wished)
    void convai_engine_log(uint32_t level, const char *channel, const char *text)
    void convai_engine_away(const char *agent, uint32_t ms)
    void convai_engine_refuse()
    void convai_engine_closed()

cdef extern from "inquiry.h" nogil:
    struct convai_inquiry:
        convai_inquiry *next
        char *kind
        char *agent
        convai_pair *pairs
        uint32_t pair_count
        uint32_t limit_ms
    convai_inquiry *convai_inquiries_take()
    int convai_inquiry_given_up(convai_inquiry *inquiry)
    void convai_inquiry_answer(convai_inquiry *inquiry, uint32_t outcome, const char *answer)
    void convai_inquiry_unref(convai_inquiry *inquiry)

cdef extern from "information.h" nogil:
    enum:
        CONVAI_INFORM_SETTINGS
        CONVAI_INFORM_CALL_OVER
    struct convai_information:
        convai_information *next
        uint32_t what
        convai_pair *pairs
        uint32_t pair_count
    convai_information *convai_information_take()
    void convai_information_free(convai_information *information)

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    enum:
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLLIN
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)
    int epoll_wait(int epoll, epoll_event *events, int most, int milliseconds)

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    struct itimerspec:
        timespec it_interval
        timespec it_value
    enum:
        CLOCK_MONOTONIC

cdef extern from "<sys/timerfd.h>" nogil:
    enum:
        TFD_CLOEXEC
        TFD_NONBLOCK
        TFD_TIMER_ABSTIME
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int fd, int flags, const itimerspec *at, itimerspec *before)

cdef extern from "<unistd.h>" nogil:
    int close_fd "close"(int fd)

cdef extern from "frame_reader.h" nogil:
    enum:
        CONVAI_FRAME_BYTES_MAX
        CONVAI_FRAME_HEAD
    enum convai_frame_verdict:
        CONVAI_FRAME_MORE
        CONVAI_FRAME_PASS
        CONVAI_FRAME_AUDIO
        CONVAI_FRAME_SKIP
        CONVAI_FRAME_DROP
    struct convai_audio_event:
        const uint8_t *base64
        size_t base64_length
        uint64_t event_id
        uint32_t characters
    struct convai_frame_reader:
        uint64_t message_max
        unsigned int head
        unsigned int bypass
    convai_frame_verdict convai_frame_read(convai_frame_reader *reader, const uint8_t *bytes,
                                           size_t length, size_t *used, convai_audio_event *event)

cdef extern from "excerpt.h" nogil:
    size_t convai_excerpt(const uint8_t *message, size_t length, uint8_t *out, int *is_cut)
    size_t convai_json_find(const uint8_t *message, size_t length, const char *outer,
                            const char *inner, const uint8_t **value)
