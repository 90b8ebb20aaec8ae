"""Part of _core.pyx: the socket of one call, and the tick that serves all of them.

``MediaSocket`` moves bytes between a non-blocking socket, plain or TLS, and two readers: audio
events go straight into the playout queue (``frame_reader.h``), everything else goes to its owner,
which keeps a ``websockets`` protocol. ``Ticker`` reads and writes all sockets at once. Loop thread
only; nothing here waits but ``Ticker.wait``.
"""

from socket import IPPROTO_TCP, SHUT_RDWR, TCP_NOTSENT_LOWAT
from ssl import SSLWantReadError, SSLWantWriteError

cdef enum:
    RECORD_BYTES = 16384        # longest TLS record: no more is read or written in one go
    READS_AT_ONCE = 64          # of one socket, so that a flood does not hold up the others: 1 MiB
    SPELL_US = 1000             # likewise: what one socket may take of a tick
    READING_US = 2000           # what all together may; then a socket that is new gets the next
    LEAST_US = 100              # all the same: several times what an ordinary message takes
    EVENTS_AT_ONCE = 256        # of one look at epoll; what is more comes at the next tick
    QUIET_TICKS = 32            # without audio: back to the quiet ones, for which the loop wakes at once

# What was kept of the last read, and a read behind it.
cdef bytearray inbox = bytearray(CONVAI_FRAME_BYTES_MAX + RECORD_BYTES)
cdef object inbox_view = memoryview(inbox)

cdef enum Watched:
    NOT_WATCHED, QUIET, HOT

cdef enum Awaited:
    LOOPS_OWN, QUIET_SOCKETS, TICK_DUE


cdef int watch(int epoll, int operation, int fd, uint64_t name) except -1:
    cdef epoll_event event
    event.events = EPOLLIN
    event.data.u64 = name
    if epoll_ctl(epoll, operation, fd, &event):
        raise OSError(errno, "epoll does not take a descriptor")
    return 0


cdef enum:
    TICK_PARTS = 100            # a tick is the tick from one part before it on: a double is not exact


cpdef double tick_after(double seconds, double length):
    """The first tick behind this moment, of ticks that are so many seconds long."""
    return (floor(seconds / length + 1.0 / TICK_PARTS) + 1) * length


cdef class MediaSocket:
    """One connection. Its owner has ``received``, ``skipped``, ``lost`` and ``failed``.

    ``sock`` is connected, non-blocking, and through its TLS handshake; it is this object's from now
    on. ``received(bytes)`` gets what is not taken as audio. ``skipped(bytes)`` gets an empty frame
    in place of one that makes its message longer than ``message_max`` bytes: nothing of that message
    is to be kept. ``lost(OSError or None)`` comes once, at the end of the stream or after an error,
    and never after ``close``; ``failed(fault)`` is told of an exception of the first two.
    """

    cdef object owner, sock, send_some, receive_into
    cdef bint has_tls
    cdef SessionHandle handle
    cdef convai_frame_reader reader
    cdef uint8_t *kept          # the beginning of a frame, between two reads
    cdef size_t kept_bytes, kept_room
    cdef readonly bint has_unread   # that is more: whole frames, for which there was no time
    cdef bytearray backlog      # what the socket has not taken yet
    cdef object broken          # why it takes nothing any more: the end, once what has come is read
    cdef Py_ssize_t offered     # of it, what was refused: TLS wants to be offered the same again
    cdef uint64_t response      # event id of what is queued: more audio of it is taken
    cdef bint has_response, wished, is_closed
    cdef bint has_more          # the last read has left something for the next tick
    cdef bint floods            # more comes than there was time for: the tick reads, whatever epoll says
    cdef int64_t spent_us       # on reading, since the tick of this number
    cdef uint64_t spent_tick
    cdef int last_reads         # once it was broken
    cdef Ticker ticker
    cdef readonly int fd
    cdef readonly uint64_t received_bytes, sent_bytes
    cdef readonly uint64_t taken_events
    cdef uint64_t pieces        # of agent audio that have come: taken, or told of by ``expect``
    cdef int slot
    cdef Watched watched
    cdef uint64_t last_tick

    def __init__(self, owner, sock, uint64_t message_max=UINT64_MAX):
        self.owner, self.sock, self.fd = owner, sock, sock.fileno()
        self.reader.message_max = message_max
        self.send_some, self.receive_into = sock.send, sock.recv_into
        self.has_tls = hasattr(sock, "unwrap")
        self.backlog = bytearray()

    def __dealloc__(self):
        free(self.kept)

    def limit_unsent(self, int most):
        """Let the kernel hold no more that it has not sent yet, in bytes; where it knows how."""
        try:
            self.sock.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, most)
        except OSError:
            pass                # a pair of sockets, in the self-test

    @property
    def backlog_bytes(self):
        """What waits for the network, the kernel's own buffer not counted."""
        return len(self.backlog)

    # ---- Out ----

    def send(self, const uint8_t[::1] data not None):
        """Send, behind what waits. After ``close`` and after the end it goes nowhere."""
        if data.shape[0]:
            self.put(&data[0], data.shape[0])

    cdef int put(self, const uint8_t *data, Py_ssize_t length) except -1:
        cdef Py_ssize_t taken = 0, piece, some
        if self.is_closed or self.broken is not None:
            return 0
        while taken < length and not self.backlog:
            piece = min(length - taken, <Py_ssize_t>RECORD_BYTES)
            # Bytes, though they are copied: a view is two objects, which the collector has to know.
            some = self.offer(PyBytes_FromStringAndSize(<const char *>data + taken, piece))
            taken += some
            if some < piece:
                break
        if taken < length and self.broken is None:
            self.backlog += PyMemoryView_FromMemory(
                <char *>data + taken, length - taken, PyBUF_READ)
        return 0

    cdef Py_ssize_t offer(self, data) except -1:
        """Bytes that the socket has taken. A failure is left for the tick to end the connection."""
        cdef Py_ssize_t taken
        try:
            taken = self.send_some(data)
            self.sent_bytes += taken
            return taken
        except (SSLWantWriteError, SSLWantReadError, BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.broken = error
            return 0

    cdef int flush(self) except -1:
        """Offer the backlog once more, a record at a time."""
        cdef Py_ssize_t taken
        while self.backlog and self.broken is None and not self.is_closed:
            if not self.offered:
                self.offered = min(len(self.backlog), <Py_ssize_t>RECORD_BYTES)
            taken = self.offer(PyMemoryView_FromMemory(
                PyByteArray_AS_STRING(self.backlog), self.offered, PyBUF_READ))
            if not taken:
                return 0
            self.offered -= taken
            del self.backlog[:taken]
        return 0

    # ---- In ----

    cdef int read(self) except -1:
        """Read what has come: of a flood as much as there is time for.

        It is the thread's own time: one that has lost its processor floods nothing.
        """
        cdef int64_t began = thread_us(), spent
        cdef Ticker ticker = self.ticker
        if self.spent_tick != ticker.ticks:
            self.spent_us, self.spent_tick = 0, ticker.ticks
        try:
            self.read_until(began + min(
                SPELL_US - self.spent_us, max(READING_US - ticker.spent_us, <int64_t>LEAST_US)))
        finally:
            spent = thread_us() - began
            self.spent_us += spent
            ticker.spent_us += spent
        return 0

    cdef int read_until(self, int64_t until) except -1:
        cdef size_t there = self.kept_bytes
        cdef Py_ssize_t n
        cdef int i
        if self.has_unread:
            memcpy(<uint8_t *>inbox, self.kept, there)
            self.look_through(<uint8_t *>inbox, there, until)
        self.has_more = self.has_unread
        for i in range(READS_AT_ONCE):
            if self.is_closed or self.has_more:
                return 0
            if self.kept_bytes:
                memcpy(<uint8_t *>inbox, self.kept, self.kept_bytes)
            try:
                n = self.receive_into(
                    inbox_view[self.kept_bytes:self.kept_bytes + RECORD_BYTES], RECORD_BYTES)
            except (SSLWantReadError, SSLWantWriteError, BlockingIOError, InterruptedError):
                return 0
            except OSError as error:
                self.end(error)
                return 0
            if n <= 0:
                if self.kept_bytes:
                    # Half a frame, which the library knows what to say about.
                    self.owner.received(PyBytes_FromStringAndSize(
                        <const char *>self.kept, self.kept_bytes))
                self.end(None)
                return 0
            self.received_bytes += n
            self.look_through(<uint8_t *>inbox, self.kept_bytes + n, until)
            # What TLS has decrypted is not seen by epoll, but that is one record, and read whole. What
            # is left in the kernel is seen.
            if not self.has_unread and n < RECORD_BYTES:
                return 0
            self.has_more = self.has_unread or thread_us() >= until
        self.has_more = True
        return 0

    def feed(self, const uint8_t[::1] data not None):
        """Take bytes that somebody else has read from the socket, before ``Ticker.add``."""
        cdef size_t length = self.kept_bytes + data.shape[0]
        cdef uint8_t *all_bytes = <uint8_t *>malloc(length)
        if all_bytes is NULL:
            raise MemoryError("no memory for what has come")
        try:
            memcpy(all_bytes, self.kept, self.kept_bytes)
            if data.shape[0]:
                memcpy(all_bytes + self.kept_bytes, &data[0], data.shape[0])
            self.look_through(all_bytes, length, thread_us() + SPELL_US)
            self.has_more = self.has_unread
        finally:
            free(all_bytes)

    cdef int look_through(self, const uint8_t *data, size_t length, int64_t until) except -1:
        """Give each reader its own, in order; keep a part of a frame, and what it is too late for."""
        cdef convai_audio_event event
        cdef convai_frame_verdict verdict
        cdef size_t at = 0, used = 0
        self.kept_bytes, self.has_unread = 0, False
        while at < length and not self.is_closed:
            if at and thread_us() >= until:
                self.has_unread = True
                self.keep(data + at, length - at)
                return 0
            # With the GIL: to let go of it for a microsecond may cost 5 ms, until it comes back.
            verdict = convai_frame_read(&self.reader, data + at, length - at, &used, &event)
            if verdict == CONVAI_FRAME_MORE:
                self.keep(data + at, length - at)
                return 0
            if verdict == CONVAI_FRAME_SKIP:
                self.owner.skipped(bytes((data[at], 0)))
            elif verdict == CONVAI_FRAME_PASS or (
                    verdict == CONVAI_FRAME_AUDIO and not self.take(&event)):
                self.owner.received(PyBytes_FromStringAndSize(<const char *>data + at, used))
            at += used
        return 0

    cdef int keep(self, const uint8_t *data, size_t length) except -1:
        cdef uint8_t *room
        if self.kept_room < length:
            room = <uint8_t *>malloc(length)
            if room is NULL:
                raise MemoryError("no memory for a part of a frame")
            free(self.kept)
            self.kept, self.kept_room = room, length
        memcpy(self.kept, data, length)
        self.kept_bytes = length
        return 0

    cdef bint take(self, convai_audio_event *event) except -1:
        """Queue a piece of the response that is queued. False: its owner is to have it."""
        if not self.has_response or event.event_id != self.response:
            return False
        if self.handle.debugging(self.wished):
            return False        # whoever debugs wants to see each message
        if not self.handle.has_room(event.base64_length // 4 * 3):
            return False        # it says so where that is to be said
        if not self.handle.queue_base64(event.base64, event.base64_length, event.characters):
            return False
        self.taken_events += 1
        self.pieces += 1
        self.handle.count_message()
        return True

    def take_audio(self, SessionHandle handle not None, bint wished):
        """Queue agent audio for this session. ``wished``: its agent's key ``debug``."""
        self.handle, self.wished = handle, wished

    def expect(self, event_id):
        """Audio with this event id belongs to what is queued and may be taken; None: none may."""
        self.has_response = event_id is not None and self.handle is not None and event_id >= 0
        self.response = event_id if self.has_response else 0
        self.pieces += self.has_response

    # ---- The end ----

    @property
    def has_head(self):
        """Whether the whole head of the answer to the upgrade has come."""
        return self.reader.head == CONVAI_FRAME_HEAD

    cdef int end(self, error) except -1:
        """The stream has ended, or is broken: let go of the socket, then tell the owner."""
        if not self.is_closed:
            self.close()
            self.owner.lost(self.broken if error is None else error)
        return 0

    def bypass(self):
        """Give everything from now on to the owner: its protocol has come to an end."""
        self.reader.bypass = 1

    def close(self):
        """Close the socket, once, without waiting; TLS says goodbye if there is room for it."""
        if self.is_closed:
            return
        self.is_closed = True
        if self.ticker is not None:
            self.ticker.remove(self)
        if self.has_tls and not self.backlog:
            try:
                self.sock.unwrap()
            except (OSError, ValueError):
                pass            # it wants to wait for the other end's goodbye, or there is no connection
        try:
            self.sock.shutdown(SHUT_RDWR)   # also where somebody else still has the descriptor
        except OSError:
            pass
        self.sock.close()
        self.handle = None
        self.backlog.clear()
        free(self.kept)
        self.kept, self.kept_bytes, self.kept_room = NULL, 0, 0


cdef class Ticker:
    """Reads and writes all sockets of a loop, on its tick.

    A socket from which audio is taken waits for the tick. The others are in an epoll of their own:
    neither a message nor the first word waits (``first_word``). A timer says when the tick is due.
    ``wait`` waits for both, and for what the loop has beside them. Ticks are at multiples of their
    length, so that all that is due on a tick, whosever it is, is due at the same moment.
    """

    cdef int hot, quiet, timer
    cdef int awaited            # an epoll of the last two, and of the loop's own
    cdef bint wait_ends         # whoever waits has something else to do first
    cdef bint loops_turn        # a tick was due, and was left for behind what the loop has to do
    cdef object owner, looks
    cdef list handles
    cdef double due             # when the next tick is, by the loop's clock; 0: none
    cdef public double seconds  # how long a tick is
    cdef list sockets           # by slot; None where one has gone
    cdef list free_slots
    cdef Py_ssize_t first_flood # whose turn it is, by slot
    cdef uint64_t ticks
    cdef int64_t spent_us       # on reading, since the last one

    def __cinit__(self):
        self.hot = self.quiet = self.timer = self.awaited = -1

    def __init__(self):
        self.hot = epoll_create1(EPOLL_CLOEXEC)
        self.quiet = epoll_create1(EPOLL_CLOEXEC)
        self.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
        self.awaited = epoll_create1(EPOLL_CLOEXEC)
        if self.hot < 0 or self.quiet < 0 or self.timer < 0 or self.awaited < 0:
            raise OSError(errno, "no descriptor for the sockets of calls")
        watch(self.awaited, EPOLL_CTL_ADD, self.quiet, QUIET_SOCKETS)
        watch(self.awaited, EPOLL_CTL_ADD, self.timer, TICK_DUE)
        self.sockets, self.free_slots = [], []

    def __dealloc__(self):
        self.let_go()

    def close(self):
        """Let go of the epolls and the timer. No socket is left."""
        self.let_go()

    cdef void let_go(self) noexcept:
        cdef int fd
        for fd in (self.awaited, self.hot, self.quiet, self.timer):
            if fd >= 0:
                close_fd(fd)
        self.hot = self.quiet = self.timer = self.awaited = -1

    # ---- The loop's wait ----

    def wait_for(self, int fd):
        """``wait`` ends when this descriptor, which is the loop's own, has something."""
        watch(self.awaited, EPOLL_CTL_ADD, fd, LOOPS_OWN)

    def wait(self, double seconds):
        """Wait for the loop's own descriptor, so many seconds at most; without limit: less than 0.

        True: it has something. Ticks and first words are served meanwhile; ``end_wait`` there ends it.
        OSError: it cannot wait any more.
        """
        cdef epoll_event events[3]
        cdef int64_t until = monotonic_us() + <int64_t>(seconds * 1e6) if seconds > 0 else 0
        cdef int milliseconds, count, i
        cdef bint has_own = False, is_due
        self.wait_ends = seconds == 0
        while True:
            is_due = False
            milliseconds = -1 if seconds < 0 else 0
            if until:
                milliseconds = <int>min(max(0, until - monotonic_us() + 999) // 1000, <int64_t>INT_MAX)
            with nogil:
                count = epoll_wait(self.awaited, events, 3, milliseconds)
            if count < 0 and errno != EINTR:
                raise OSError(errno, "the loop cannot wait")
            for i in range(count):
                if events[i].data.u64 == LOOPS_OWN:
                    has_own = True
                elif events[i].data.u64 == QUIET_SOCKETS:
                    self.read_quiet()
                else:
                    is_due = True
            # Where ticks take all of the time they take turns with the loop, which has to set calls up.
            self.loops_turn = is_due and (has_own or self.wait_ends) and not self.loops_turn
            if is_due and not self.loops_turn:
                self.serve()
            if has_own or self.wait_ends or count <= 0 or (until and monotonic_us() >= until):
                return has_own

    def end_wait(self):
        """Let whoever is in ``wait`` return when what is done inside of it is done."""
        self.wait_ends = True

    def serve_calls(self, list handles not None, owner, looks):
        """Have a tick from now on while there are handles: send what their callers have said.

        owner: ``woken`` comes before the tick where a caller has held, or a step has begun or ended;
        ``ticked`` behind it, where something is ``unsent`` or one of the ``looks`` is due;
        ``tick_failed`` where something has raised: the next tick is everybody's.
        """
        self.handles, self.owner, self.looks = handles, owner, looks

    def begin(self):
        """There is a handle: let ticks begin, unless they have."""
        if not self.due:
            self.wake_at(monotonic_us() / 1e6)

    cdef int serve(self) except -1:
        cdef double began
        if not self.handles:
            self.wake_at(0)
            return 0
        began = convai_tick_began(<int64_t>(self.due * 1e6)) / 1e6
        try:
            try:
                if convai_engine_quiet_changed():
                    self.owner.woken()      # before audio that has come since is read
                send_waiting_audio(self.handles)
                self.tick()
            except Exception:
                self.owner.tick_failed()
            try:
                if self.owner.unsent or self.looks.first_at <= began:
                    self.owner.ticked(began)
            except Exception:
                self.owner.tick_failed()
        finally:
            # One that is due by now comes at once, and counts as late.
            self.wake_at(tick_after(began, self.seconds))
        return 0

    cdef int read_quiet(self) except -1:
        try:
            self.first_word()
        except Exception:
            if self.owner is None:
                raise
            self.owner.tick_failed()        # what else there is to be served goes on
        return 0

    cdef int wake_at(self, double seconds) except -1:
        """Let the next tick be due then; 0: none is.

        One call of the kernel's. A timer of asyncio's is an object in a heap of all that wait.
        """
        cdef itimerspec at
        self.due = seconds
        memset(&at, 0, sizeof(at))
        at.it_value.tv_sec = <long>seconds
        at.it_value.tv_nsec = <long>((seconds - at.it_value.tv_sec) * 1e9)
        if timerfd_settime(self.timer, TFD_TIMER_ABSTIME, &at, NULL):
            raise OSError(errno, "the timer of the loop's tick is not taken")
        return 0

    def add(self, MediaSocket socket not None):
        """Read from a socket, and write what waits, until it is closed."""
        if self.free_slots:
            socket.slot = self.free_slots.pop()
            self.sockets[socket.slot] = socket
        else:
            socket.slot = len(self.sockets)
            self.sockets.append(socket)
        socket.ticker, socket.watched, socket.last_tick = self, QUIET, self.ticks
        self.control(self.quiet, EPOLL_CTL_ADD, socket)
        self.postpone(socket)

    cdef int remove(self, MediaSocket socket) except -1:
        if socket.watched != NOT_WATCHED:
            self.control(self.hot if socket.watched == HOT else self.quiet, EPOLL_CTL_DEL, socket)
            self.sockets[socket.slot] = None
            self.free_slots.append(socket.slot)
        socket.watched, socket.ticker = NOT_WATCHED, None
        return 0

    cdef int control(self, int epoll, int operation, MediaSocket socket) except -1:
        return watch(epoll, operation, socket.fd, socket.slot)

    cdef int move(self, MediaSocket socket, Watched to) except -1:
        """Watch a socket in the other epoll."""
        self.control(self.hot if socket.watched == HOT else self.quiet, EPOLL_CTL_DEL, socket)
        self.control(self.hot if to == HOT else self.quiet, EPOLL_CTL_ADD, socket)
        socket.watched = to
        return 0

    cdef int postpone(self, MediaSocket socket) except -1:
        """Leave what a flood has more of than there is time for to the ticks."""
        if socket.has_more and socket.watched != NOT_WATCHED:
            socket.floods, socket.last_tick = True, self.ticks
            if socket.watched == QUIET:
                self.move(socket, HOT)      # the loop would be woken for it again and again
        return 0

    cdef int serve_floods(self) except -1:
        """Read of what floods, in turn, as far as there is time; no flood any more: nothing came."""
        cdef Py_ssize_t i, slot, slots = len(self.sockets)
        cdef bint has_served = False
        cdef uint64_t received
        cdef MediaSocket socket
        for i in range(slots):
            slot = (self.first_flood + i) % slots
            socket = self.sockets[slot]
            if socket is None or not socket.floods:
                continue
            if has_served and self.spent_us >= READING_US:
                self.first_flood = slot
                return 0
            has_served = True
            received, socket.last_tick = socket.received_bytes, self.ticks
            self.guard(socket)
            socket.floods = socket.has_more or socket.received_bytes != received
        return 0

    cdef int64_t look(self, int epoll) except -1:
        """Read every socket of an epoll that has something. Returns how many bytes have come."""
        cdef epoll_event events[EVENTS_AT_ONCE]
        cdef int count, i
        cdef uint64_t pieces, received
        cdef int64_t came = 0
        cdef MediaSocket socket
        count = epoll_wait(epoll, events, EVENTS_AT_ONCE, 0)
        for i in range(count):
            socket = self.sockets[<Py_ssize_t>events[i].data.u64]
            if socket is None or socket.floods:
                continue        # it has gone by what another one's message did, or has its own time
            pieces, received = socket.pieces, socket.received_bytes
            self.guard(socket)
            came += socket.received_bytes - received
            # What TLS does not read before it has written is for the tick to ask again: the loop
            # would ask at once, and for ever.
            if socket.pieces != pieces or socket.received_bytes == received:
                socket.last_tick = self.ticks
                if socket.watched == QUIET:
                    self.move(socket, HOT)
            self.postpone(socket)
        return came

    cdef int guard(self, MediaSocket socket) except -1:
        """A fault of one call's ends that call, and nothing else."""
        try:
            socket.read()
        except Exception as fault:
            socket.owner.failed(fault)
        return 0

    cdef int finish(self, MediaSocket socket) except -1:
        """It takes nothing any more: read what has come before, which may tell why, then end it."""
        cdef uint64_t received
        while socket.last_reads < READS_AT_ONCE:
            socket.last_reads += 1
            received = socket.received_bytes
            self.guard(socket)
            if socket.has_more:
                return 0        # there is time for more at the next tick
            if socket.is_closed or socket.received_bytes == received:
                break
        return socket.end(socket.broken)

    def first_word(self):
        """Sockets that were quiet have something: read it, and what has come meanwhile."""
        self.look_until_empty(self.quiet)
        self.look_until_empty(self.hot)     # where a socket is from the first piece of a response on

    cdef int look_until_empty(self, int epoll) except -1:
        """TLS gives one record at a time: look again while there are more, a bounded part of a flood."""
        cdef int64_t came, left = READS_AT_ONCE * RECORD_BYTES
        while left > 0 and (came := self.look(epoll)) > 0:
            left -= max(came, <int64_t>RECORD_BYTES)
        return 0

    def tick(self):
        """Write what waits, and read what has come."""
        cdef MediaSocket socket
        cdef bint is_flooded = False
        self.ticks += 1
        self.spent_us = 0
        for socket in self.sockets:
            if socket is None:
                continue
            if socket.backlog:
                socket.flush()
            if socket.broken is not None:
                self.finish(socket)
            is_flooded |= socket.floods
            if (socket.watched == HOT and not socket.floods
                    and self.ticks - socket.last_tick > QUIET_TICKS):
                self.move(socket, QUIET)
        self.look_until_empty(self.hot)
        if is_flooded:
            self.serve_floods()
