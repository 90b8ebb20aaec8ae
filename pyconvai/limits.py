"""Every limit of the engine on time, size and number. Imports nothing.

Limits that must stay in an order stand together, and the comment above them says which. What an
operator may set is a key of ``elevenlabs.conf`` (``service/settings.py``). The core has limits of
its own: ``CONVAI_UPLINK_MS`` in ``core/session.c``, ``CONVAI_PLAYOUT_MS`` in ``core/session.h``,
``LAG_MS`` in ``core/_core.pyx``, the sizes of frames in ``core/frame_reader.h`` and those of
excerpts in ``core/excerpt.h``.
"""

# ---- The loop ----

TICK_SECONDS = ((4, 0.005), (16, 0.010))
"""How often the loop writes and reads all sockets while calls are up: (calls at most, seconds). Few
calls are served soon; a frame waits for a tick at most."""

TICK_MANY_SECONDS = 0.020
"""The same for more calls: what a round costs by itself is shared by all of them."""

LAST_ROUNDS = 3
"""A loop that ends runs so many more rounds, to close the sockets that were closed in its last one
and, one round later, what is below TLS."""

# Stopping: one closing handshake must fit into the time for all of them, and that into the 2 s that
# Asterisk's end gives the engine (EXIT_LIMIT_MS in app_elevenlabs_convai.c).

CLOSE_SECONDS = 1.0
"""For the closing handshake of one connection, from the first close frame on, whoever sent it. The
caller has gone by then; only the socket waits."""

CLOSE_ALL_SECONDS = 1.5
"""For all closing handshakes together, when the engine is stopped."""

# Starting: the self-test looks many times within its own limit, and that is shorter than the 5 s
# within which an engine must be imported, start and pass it (START_LIMIT_MS in generation.c).

SELFTEST_POLL_SECONDS = 0.001
"""How often the self-test's caller looks for what has come."""

SELFTEST_SECONDS = 2.0
"""For the whole self-test: two hundred times what it takes."""

# ---- Reaching the service ----

POOL_THREADS = 8
"""Look-ups under way at once: one for each host, and few hosts are ever in use. One thread is left
to certificates; of an agent whose names hang see ``service/lookups.py``."""

POOL_START_SECONDS = 5.0
"""For the threads of the pool to start. The pool works without all of them as well."""

CERTIFICATES_SECONDS = 300.0
"""So long certificate files are not read again: a renewed one counts within that time."""

URL_CHARACTERS = 8192
"""Of an address; a signed one has some 300."""

MAX_RESPONSE_BYTES = 65_536
"""Of an answer to an HTTP request: a signed URL or an error body has a few hundred bytes."""

ANSWER_PART_SECONDS = 2.0
"""For each part of such an answer behind its head: TCP has repeated a lost packet twice by then."""

ANSWER_LOOKS = 64
"""At such an answer while it is not whole; a server may send it byte by byte, and each look costs
what a look at all of it does."""

ANSWER_STEP_BYTES = 1024
"""After that it is looked at when so much more has come, or nothing more does."""

ANSWER_LINES = 2000
"""Of one that comes in chunks, each of which has two: 1000 chunks take 4 ms."""

ERROR_DEPTH_MAX = 4
"""Of lists in each other, in an error's body: its words are in the first or second."""

# Connecting: one address, when a host has several, gets less than connect_timeout (10 s unless
# set), so that the others have their chance; the next one is tried long before that. The
# handshake's own limit is the most that connect_timeout can be set to; so connect_timeout is the
# one that counts.

ADDRESS_DELAY_SECONDS = 0.25
"""After one address has not answered for so long the next is tried as well (RFC 8305)."""

HOST_DELAY_SECONDS = 0.4
"""The same for the hosts of ``base_url``: their order is the operator's wish, so that a host that
is only far away, up to half the globe, is not passed over."""

ADDRESS_SECONDS = 3.0
"""For one address of several. A healthy TCP handshake takes a fraction of a second."""

ADDRESSES_TRIED = 8
"""Of one host, for one connection: DNS may name hundreds."""

DEAD_SECONDS = 60.0
"""So long an address or a host that did not answer is tried behind the others, by all calls."""

ROUTES_REMEMBERED = 256
"""Addresses and hosts, good and dead ones each: few are ever in use."""

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

RETRY_AFTER_CHARACTERS = 64
"""Of that header; a date has 29."""

BACKOFF_FORGET_SECONDS = 300.0
"""So long after the last pause is over, the next refusal counts as a first one."""

BACKOFF_JITTER_SHARE = 0.25
"""A pause varies by this share, so that several machines do not come back as one."""

# ---- The queue of the service ----

QUEUE_DECISION_SECONDS = 0.05
"""After the metadata. The service says at once that it lets a caller wait; who hears nothing for so
long has an agent. The first message decides sooner, so that no greeting waits for this."""

# ---- A connection ----

READ_BYTES = 16_384
"""Of one read before a WebSocket has the connection; no TLS record is longer."""

MAX_MESSAGE_BYTES = 1_048_576
"""Of one message of the service: 1 MiB, 98 s of mu-law or 8 s of ``pcm_48000`` as base64, where
the service sends a second or so. A longer one is left out as it comes: no other call is served
while it is put together and read."""

MESSAGE_WHOLE_BYTES = 16_384
"""Of a message that is read whole. Of a longer one an excerpt is read (``core/excerpt.h``), because
Python's reader holds all other calls up meanwhile, and so does its garbage collector, which looks
at what has been read: 4 ms for as much as this at worst. What the service sends has a few hundred
bytes, but for agent audio, which stays whole."""

SLOW_JSON_BYTES = 8192
"""Of a message that Python's own reader gets if orjson cannot read it: that takes ten times as
long, so a longer one counts as unknown."""

EARLY_AUDIO_BYTES = 2_000_000
"""Of agent audio, as base64, that is kept until the metadata comes: 3 minutes of mu-law, 15 s of
``pcm_48000``. It is played from its beginning; what comes behind it is left out."""

EARLY_PIECE_BYTES = 100
"""So much each piece of it counts besides: what Python needs to keep it."""

# Caller audio on a network that takes nothing waits in the uplink ring, LAG_MS of it at most
# (core/_core.pyx): the core drops what is older and counts it. Before that the kernel holds
# UNSENT_MS. Messages wait in the socket's backlog, where pongs and results are few; a service that
# takes none of them is given up.

UNSENT_MS = 200
"""Audio that the kernel may hold without having sent it; left to itself it holds some 4 MB, minutes
of a caller's audio."""

UNSENT_BYTES = 16_384
"""The same before the format is known: an upgrade and the first message."""

BACKLOG_BYTES = 1_048_576
"""Of messages that the network does not take."""

# A connection is looked at every KEEPALIVE_SECONDS. Whatever comes is a sign of life.

KEEPALIVE_SECONDS = 5.0
"""Between two looks at what has come and what was taken."""

PING_AFTER_LOOKS = 2
"""Without a byte: then a WebSocket ping is sent."""

SILENT_LOOKS = 4
"""Without a byte, not even the answer to a ping: then, after 20 s, the connection is given up. TCP
alone would take many minutes."""

STUCK_LOOKS = 3
"""Something waits and no byte of it is taken: then, after 15 to 20 s, it is given up as well."""

# ---- What the caller does beside speaking ----

ACTIVITY_SECONDS = 1.0
"""Between two ``user_activity``: the service's own clients send no more, and each keeps the agent
quiet for 2 s. Also how often, and how soon, the agent is told while it is held."""

EARLY_SECONDS = 0.001
"""A timer may run so much before its time, which is no reason to leave one out."""

# ---- Tools ----

TOOL_SECONDS = 10.0
"""A call of a tool is answered without the tool's result after this. It is less than the 20 s for
which the service waits, unless the agent's settings say otherwise."""

TOOLS_AT_ONCE = 8
"""In one conversation. More are refused, not queued: the agent waits for each."""

TOOL_CALLS_REMEMBERED = 64
"""Ids of calls, to know one that the service repeats: it does so at once, or not at all."""

TOOL_NAME_CHARACTERS = 64
"""Of the name of a tool that the dialplan carries out, and of each of its parameters: the service
allows no more."""

# Tools in Python run in a process of their own, a worker. Results are shorter than frames also
# where each byte of them is escaped; what is told of a fault fits beside them. A worker is found
# deaf, and a call stuck, within few seconds: so long others wait for it.

TOOL_RESULT_BYTES = 16_384
"""Of what a tool in Python tells the agent: a model reads no more in a turn. Longer ones are
refused, because half of a JSON value is none."""

TOOL_TRACE_CHARACTERS = 4000
"""Of the traceback of one that has failed; the rest is left out in the middle."""

TOOL_FRAME_BYTES = 131_072
"""Of one frame between the engine and a worker: what is longer ends the worker."""

TOOL_ABOUT_CHARACTERS = 1000
"""Of what a tool says of itself, and of a fault in a few words."""

TOOL_READ_BYTES = 4096
"""Of what a worker sends, read at once: whatever it is, it holds the loop up for a millisecond."""

WORKER_CALLS = 32
"""At once in one worker, and threads in it. More are refused, not queued: agents wait for each."""

WORKER_TOOLS = 256
"""Tools of one directory."""

WORKER_MEMORY_BYTES = 1_073_741_824
"""Of address space, 1 GiB: Python and its libraries have some 200 MiB of it."""

WORKER_STACK_BYTES = 1_048_576
"""Of each thread of a worker: all together are to leave memory for data."""

WORKER_FILES = 256
"""Descriptors of a worker's."""

WORKER_NICE = 10
"""So much a worker stands behind whatever carries calls."""

WORKER_START_SECONDS = 5.0
"""For a worker's process to be there; some 50 ms."""

WORKER_LOAD_SECONDS = 10.0
"""For one file to be loaded: what takes longer is left out. Imports of big libraries take a few."""

WORKER_PING_SECONDS = 1.0
"""How often a worker that has calls is asked whether it listens."""

WORKER_DEAF_SECONDS = 3.0
"""One that has not answered for so long gets no new calls: they go to another."""

WORKER_GRACE_SECONDS = 2.0
"""After its time a call may take so long to be cancelled; then its worker gets no new ones."""

WORKERS_RETIRED = 3
"""Workers of one directory that still have calls, beside the one that gets new ones. Of more, the
oldest is ended, and its calls are answered."""

WORKER_BACKLOG_BYTES = 1_048_576
"""Of frames that a worker does not take."""

WORKER_PAUSES = (0.0, 1.0, 2.0, 5.0, 15.0, 30.0)
"""Before a worker is started in the place of one that died; the last one counts for all beyond."""

WORKER_LIVED_SECONDS = 60.0
"""One that has lived so long was sound: the next one is started at once."""

WORKSHOPS = 8
"""Directories of tools in one engine, with a worker each."""

WORKER_LINE_CHARACTERS = 1000
"""Of a line that a tool prints."""

WORKER_LINES_SECONDS = 60.0
"""In which WORKER_LINES of what tools print are logged."""

WORKER_LINES = 20
"""More of them are counted, and told of when the time is over."""

WORKER_OUTPUT_SECONDS = 0.05
"""Between two looks at what tools print: who prints without end is held up, and not the loop."""

STEP_ARGUMENTS = 32
"""Parameters of one step: each becomes a channel variable, and an event of AMI."""

STEP_ARGUMENT_BYTES = 1000
"""Of the value of one. It has to fit, with others, into what Asterisk takes for the arguments of an
application."""

EXACT_CHARACTERS = 120
"""Of a destination, of digits or of a variable's name, which go to the channel as they are: an
extension has 79, and so has a context."""

# A step begins when the agent's words before it have been heard, for which the channel waits for
# STEP_WORDS_US at most (call/step.c); then it is the channel that hangs. A service that has waited
# longer for the result than it says has gone on without.

STEP_BEGIN_SECONDS = 15.0
"""For the channel to begin a step that it was offered, while no other runs."""

RESULT_SECONDS = 20.0
"""So long the service waits for the result of a tool, unless the agent's settings say more. Later
ones are told as context as well."""

STATE_NAME_CHARACTERS = 80
"""Of what get_state is asked for: extensions, contexts and queues have no longer names."""

MESSAGES_KEPT = 16
"""Messages to the agent, from others, that wait for the end of a step."""

ID_CHARACTERS = 1024
"""Of an id that goes back as it came; the service's have some 40. What is longer is none."""

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

SECRET_SCRUBBED_CHARACTERS = 8
"""Of a secret that is taken out of lines, at least; in bytes of UTF-8. The service's keys have some
50. A shorter one may be any word, and a line without it would tell which."""

TOKEN_CHARACTERS = 16
"""Of a text without blanks, at least, that may be a token for somebody else's model."""

MAX_REASON_BYTES = 240
"""Of a reason, and of its detail: a line in a log and a channel variable, and a server may send
pages."""

MAX_LINE_BYTES = 7500
"""Of a line in the log, a traceback for instance; the C module's own limit leaves room for the
channel's name (``DOOR_LINE_MAX`` in ``door.h``)."""

SECRET_CHARACTERS = 300
"""So much more than is shown of a text is searched for what looks like a credential: none that is
cut off is shown in part, and a key has some 50. Those that are known may be longer."""

CONVERSATION_ID_CHARACTERS = 100
"""Of the service's id of a conversation, which has some 30."""

VARIABLE_NAME_CHARACTERS = 64
"""Of the name of a dynamic variable that is missing, in the reason; one has some 20."""

VARIABLES_CHARACTERS = 100
"""Of all of them together, with what goes before each: the reason has to say why as well."""

# What the dialplan may read of a conversation: a transcript is made of turns, and fits into
# CONVAI_WORDS_BYTES (app_elevenlabs_convai/convai_ops.h).

TRANSCRIPT_BYTES = 16_000
"""Of a transcript that the dialplan may read: some 20 minutes of talk. The oldest turns go."""

TURN_BYTES = 4000
"""Of one turn in it: more than four minutes without a breath."""

SUMMARY_BYTES = 4000
"""Of the parameter ``summary`` of a tool: Asterisk puts no more into an application's argument."""

MAX_LOGGED_CHARACTERS = 2000
"""Of a message in the debug log."""

MAX_TEXT_CHARACTERS = 2000
"""Of a text of the service's that a person may come to see: cut before it is made one line, which
takes a microsecond for each 40 characters."""

LINES_OF_A_KIND = 20
"""In the log, notices and warnings of one kind that one call may cause: more of them are counted,
and told of when the call ends."""

EVENTS_PER_SECOND = 20
"""That programs are told of, in one call: a lively conversation has three a second. A service that
sends more floods AMI, which keeps an event until its slowest client has read it."""

EVENT_TEXT_BYTES = 4096
"""Of one value that programs are told: what an agent says in a turn has some hundred."""

CALLS_TIMED = 64
"""Of tools, which programs are told the time of: more than there may be at once."""

RESPONSES_REMEMBERED = 16
"""Of the agent's, to know one that is sent again: that happens within a turn or two."""

JSON_DEPTH_MAX = 100
"""Of lists and objects in each other, in a value of the dialplan's. orjson reads more than it
writes, which is some 250."""

WHOLE_MAX = 9_007_199_254_740_991
"""Of a whole number in a value of the dialplan's: 2^53 - 1, which every reader of JSON keeps exact.
``config/pairs.c`` has the same."""

# ---- Inquiries: what commands and programs ask ----

# How many there may be at once is in the contract (CONVAI_INQUIRIES in convai_ops.h). Who asks says
# how long it waits.

INQUIRY_LINES = 500
"""Of an answer; the rest is counted. A terminal shows some fifty."""

INQUIRY_LINE_BYTES = 1000
"""Of one of them: a sentence or two, and a name of somebody else's in it."""

# ---- What is asked of the service about an agent (elevenlabs check agent) ----

CHECK_RESPONSE_BYTES = 524_288
"""Of an agent's settings, its prompt included, or of a tool's: some 30 kB. No other call is served
while Python reads it: 5 ms at worst."""

CHECK_TOOLS = 64
"""Of one agent: more are not looked at, and a line says so."""

CHECK_TOOLS_AT_ONCE = 4
"""Requests for them that are under way together; each has a connection of its own."""

CHECK_FINDINGS = 400
"""Of one check; INQUIRY_LINES has room for them. Nobody reads more, and each takes its time."""

CHECK_PIECES = 50_000
"""Values of all tools' settings, and for each CHECK_PIECE characters of a text one more: where
variables are looked for. 64 tools have some 30,000; no other call is served for 40 ms at worst."""

CHECK_PIECE = 100
"""Characters."""

CHECK_DEPTH = 20
"""Of lists and objects in each other in a tool's settings, where variables are looked for."""

# ---- Records and the webhook ----

# A record is made of texts that are cut one by one, so it is never longer than all of them: some
# 2 MB if each character is one that is written as two escapes, which is less than SPOOLED_BYTES. A
# call has some 2 kB, and 10 kB with a transcript. It goes to the disk, and to a receiver, whole.

RECORD_TEXT_CHARACTERS = 600
"""Of a name, a number, a reason or a detail; what the module tells is shorter already."""

RECORD_TURN_CHARACTERS = 4000
"""Of one turn: some four minutes without a breath."""

RECORD_TURNS = 1000
"""Of a transcript; the oldest go first."""

RECORD_WORDS_CHARACTERS = 64_000
"""Of all its turns together: an hour of talk."""

RECORD_TOOLS = 100
"""Calls of tools; more are counted."""

RECORD_INTERRUPTIONS = 200
"""That have a time; all are counted."""

RECORD_AWAY = 100
"""Times of hold, and steps."""

CALLS_KEPT = 50
"""Calls that are over and whose record is kept in memory, for ``elevenlabs report``."""

CALLS_KEPT_BYTES = 8_388_608
"""Of all of them together; the oldest go. One has some 10 kB, with levels and a transcript."""

RECORD_RESULT_CHARACTERS = 1000
"""Of a tool's result."""

RECORDS_WAITING = 2000
"""Records, and marks of calls that have begun, that wait for the disk; those that come then are
lost, and counted: minutes of a busy machine whose disk is full."""

RECORDS_WAITING_BYTES = 16_777_216
"""Of all of them together."""

RECORDS_AT_ONCE = 50
"""Written by one job: they share the wait for the disk."""

DISK_PAUSE_SECONDS = 1.0
"""After a disk has taken nothing; doubled up to the next one."""

DISK_PAUSE_LONGEST_SECONDS = 30.0
"""A disk that has room again is noticed within that time."""

# An engine that stops closes its conversations first (CLOSE_ALL_SECONDS). Asterisk's end waits for
# all of it no longer than EXIT_LIMIT_MS (app_elevenlabs_convai.c), an unload for some seconds.

RECORDS_CONCLUDE_SECONDS = 0.2
"""For channels to say how their calls have ended."""

RECORDS_LAST_SECONDS = 1.0
"""For the disk to take the last records. Marks of calls stay for those that it does not take."""

SENDER_LOOK_SECONDS = 1.0
"""Between two looks whether another engine has let go of the spool."""

SPOOL_LOOK_SECONDS = 5.0
"""Between two looks for what other engines have put into the spool: those whose last calls end."""

SENDER_PATIENCE_LOOKS = 30
"""After so many looks an engine of this very process, which hangs, is passed over."""

TIDY_SECONDS = 3600.0
"""Between two looks for records that are too old, and for calls that a crash cut off."""

WEBHOOK_SECONDS = 15.0
"""For one request, its answer included. Nobody waits for it."""

WEBHOOKS_AT_ONCE = 4
"""Requests to one place under way."""

WEBHOOK_PAUSE_SECONDS = 1.0
"""After a record was not taken; doubled with each further time up to the next two."""

WEBHOOK_PLACE_PAUSE_SECONDS = 60.0
"""Before a place that takes nothing is asked again."""

WEBHOOK_RECORD_PAUSE_SECONDS = 600.0
"""Before a record that is not taken is offered again: the place may take all others."""

WEBHOOK_TOLD = 3
"""Failures of a place, one after the other, that are worth a line in the log; and one when it takes
records again."""

WEBHOOK_IDS_TOLD = 5
"""Of records that are given up together, in the line of the log."""

WEBHOOK_JITTER_SHARE = 0.25
"""A pause varies by this share, so that several machines do not come back as one."""

WEBHOOK_LIFE_SECONDS = 86_400.0
"""A record that was not taken for a day is given up."""

WEBHOOK_TRIES = 3
"""But not before it was offered so often since the start: a clock may have been set."""

SPOOL_RECORDS = 10_000
"""Records that wait to be sent; of more the oldest are given up."""

SPOOLED_BYTES = 4_194_304
"""Of a file in the spool; a longer one is none of ours."""

# ---- Reports and bundles ----

REPORT_COLUMNS = 1200
"""Of a time line: more than a screen has room for. A longer call has more than a tenth of a second
in each."""

REPORT_PAUSE_MS = 300
"""A pause within what somebody says: words have gaps."""

REPORT_SLOW_MS = 1500
"""An answer that a caller finds slow."""

REPORT_LATE_MS = 3000
"""One at which many ask whether anybody is there."""

REPORT_SEARCH_SECONDS = 5.0
"""For the record of a call among those on the disk: some gigabytes."""

REPORT_NAME_CHARACTERS = 60
"""Of the channel, in the name of the file."""

REPORT_BYTES = 8_388_608
"""Of a page: the longest record takes some 4 MB."""

BUNDLE_PART_CHARACTERS = 400_000
"""Of each file in a bundle; the rest is left out, and a line says so."""

BUNDLE_PARTS = 64
"""Files in a bundle."""

BUNDLE_HIDDEN = 500
"""Values of elevenlabs.conf that are looked for in a bundle: each costs time in every line."""
