"""Every limit of the engine on time, size and number. Imports nothing.

Limits that must stay in an order stand together, and the comment above them says which. What an
operator may set is a key of ``elevenlabs.conf`` (``service/settings.py``). The core has limits of
its own, in C: ``CONVAI_UPLINK_MS`` and ``CONVAI_PLAYOUT_MS`` in ``core/session.h``, and
``SEND_BUFFER_LIMIT`` in ``core/_core.pyx``.
"""

# ---- The loop ----

TICK_SECONDS = 0.005
"""How often the loop looks for caller audio while any call is up: a quarter of a frame, so that it
adds at most 5 ms to a frame's way."""

LAST_ROUNDS = 3
"""A loop that ends runs so many more rounds, to close the sockets that were closed in its last one
and, one round later, what is below TLS."""

# Stopping: one closing handshake must fit into the time for all of them, and that into the 2 s that
# Asterisk's end gives the engine (EXIT_LIMIT_MS in app_elevenlabs_convai.c).
# The order is wrong today: a handshake may take 2.0 s, longer than the 1.5 s for all.

CLOSE_SECONDS = 2.0
"""For the closing handshake of one connection. The caller has gone by then; only the socket
waits."""

CLOSE_ALL_SECONDS = 1.5
"""For all closing handshakes together, when the engine is stopped."""

# Starting: the self-test looks many times within its own limit, and that is shorter than the 5 s
# within which an engine must be imported, start and pass it (START_LIMIT_MS in generation.c).

SELFTEST_POLL_SECONDS = 0.001
"""How often the self-test's caller looks for what has come."""

SELFTEST_SECONDS = 2.0
"""For the whole self-test: two hundred times what it takes."""

# ---- Reaching the service ----

POOL_THREADS = 4
"""Look-ups under way at once: one for each host, and few hosts are ever in use."""

POOL_START_SECONDS = 5.0
"""For the threads of the pool to start. The pool works without all of them as well."""

CERTIFICATES_SECONDS = 300.0
"""So long certificate files are not read again: a renewed one counts within that time."""

MAX_RESPONSE_BYTES = 65_536
"""Of an answer to an HTTP request: a signed URL or an error body has a few hundred bytes."""

# Connecting: one address, when a host has several, gets less than connect_timeout (10 s unless
# set), so that the next one has its chance. The handshake's own limit is the most that
# connect_timeout can be set to; so connect_timeout is the one that counts.

ADDRESS_SECONDS = 3.0
"""For one address of several. A healthy TCP handshake takes a fraction of a second."""

HANDSHAKE_SECONDS = 60.0
"""For the WebSocket handshake alone."""

CONNECT_RETRY_SECONDS = 0.25
"""Pause before the second round of attempts; doubled before each further one."""

# Signed URLs: the service lets a conversation begin for 15 minutes (900 s). What is kept for less
# leaves time for the way, for clocks that differ and for connect_timeout.

SIGNED_URL_LIFE_SECONDS = 600.0
"""So long a signed URL is kept for the next call."""

SIGNED_URL_AHEAD_SECONDS = 10.0
"""For fetching one in the background. Nobody waits for it, but the request holds a socket."""

# Back-off: the first pause is the shortest, and what the service asks for itself may be longer than
# any pause that the engine makes of its own.

BACKOFF_FIRST_SECONDS = 2.0
"""Pause after the first refusal. Conversations last minutes, so a place becomes free every few
seconds at the soonest."""

BACKOFF_LONGEST_SECONDS = 60.0
"""The pause is doubled from refusal to refusal up to this: an operator who has raised the plan's
limit must not wait for longer."""

BACKOFF_RETRY_AFTER_SECONDS = 300.0
"""A Retry-After header is followed up to this: a fault there must not close the engine down."""

BACKOFF_FORGET_SECONDS = 300.0
"""So long after the last pause is over, the next refusal counts as a first one."""

BACKOFF_JITTER_SHARE = 0.25
"""A pause varies by this share, so that several machines do not come back as one."""

# ---- A connection ----

READ_BYTES = 16_384
"""What asyncio sets aside to read from a connection. Its own choice of 256 KiB costs that much
memory for each TLS connection, and time for each read of a plain one; no TLS record is longer."""

MAX_MESSAGE_BYTES = 33_554_432
"""Of one message of the service: 32 MiB. Official clients take 16 MiB; more than this is a fault
of the service."""

# Caller audio on a network that takes nothing: the kernel holds the least. The core drops audio
# when SEND_BUFFER_LIMIT (65,536 bytes) wait in the transport. The library's own sending waits only
# above that, so that neither a pong nor the keep-alive waits behind audio: the agent is heard, and
# the end is noticed in time.

UNSENT_BYTES = 16_384
"""What the kernel may hold that it has not sent yet; left to itself some 4 MB, minutes of a
caller's audio. The rest waits in the transport, where it is noticed, dropped and counted."""

WRITE_LIMIT_BYTES = 262_144
"""When so much waits in the transport, the library's own sending waits."""

# Silence: a dead network is found by two intervals of the keep-alive, long before a service that
# says nothing is given up.

KEEPALIVE_SECONDS = 10.0
"""Between our WebSocket pings, and the time for each answer: a dead network is noticed within 20 s,
where TCP alone would take many minutes."""

SERVICE_QUIET_SECONDS = 60.0
"""A conversation without any message of the service, not even a ping, is given up after this. The
service pings every few seconds, so one that is quiet for so long hangs; it bears a quiet caller for
as long."""

# ---- Tools ----

TOOL_SECONDS = 10.0
"""A call of a tool is answered without the tool's result after this. It is less than the 20 s for
which the service waits, unless the agent's settings say otherwise."""

TOOLS_AT_ONCE = 8
"""In one conversation. More are refused, not queued: the agent waits for each."""

TOOL_CALLS_REMEMBERED = 64
"""Ids of calls, to know one that the service repeats: it does so at once, or not at all."""

# The end of a call by a tool: the wait for silence is the shortest, then the wait for a reply to
# the tool's result, then the limit on both.

SETTLE_SECONDS = 0.5
"""After the last word that has come was played: more would have come by now, because the service
sends faster than speech."""

REPLY_SECONDS = 2.0
"""After the result, for words that it makes the agent say: its model needs a second or so. What has
come before is heard meanwhile."""

FAREWELL_SECONDS = 30.0
"""A conversation that is to end waits no longer for an agent that does not stop speaking."""

# ---- Texts and values ----

# A value is shown within a reason, and a message of the protocol only in the log: each has room for
# what is before it.

MAX_SHOWN_CHARACTERS = 80
"""Of a wrong value of the dialplan's, in the reason."""

MAX_REASON_CHARACTERS = 240
"""Of a reason: it is one line in a log and a channel variable, and a server may send pages."""

MAX_LOGGED_CHARACTERS = 2000
"""Of a message in the debug log."""

JSON_DEPTH_MAX = 100
"""Of lists and objects in each other, in a value of the dialplan's. orjson reads more than it
writes, which is some 250."""

WHOLE_MAX = 9_007_199_254_740_991
"""Of a whole number in a value of the dialplan's: 2^53 - 1, which every reader of JSON keeps exact.
``config/pairs.c`` has the same."""
