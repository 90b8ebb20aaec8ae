r"""A private, real Asterisk on any machine, and the callers that ring it.

The pieces, from the bottom up:

- `testbed.root`      where Asterisk comes from: the machine, or a root folder made of Debian
- `testbed.instance`  one running Asterisk with its own configuration, directories and ports
- `testbed.callers`   many SIP calls at once, every sample of them sent, received and kept
- `testbed.baresip`   one call by a real SIP client that plays a WAV file and records another
- `testbed.mock`      the mock agent as a child process
- `testbed.speech`    speech to say, as WAV or as RTP payload
- `testbed.tls`       a certificate authority and a certificate for loopback
- `testbed.measure`   CPU, memory, threads and descriptors of a running instance
- `testbed.echo`      what a call costs in Echo(), the yardstick for all other costs
- `testbed.service`   instances in the background, for the shell

The package needs Python 3.11 and its standard library only, and everything it starts listens on
loopback. A call against the dialplan application Echo(), from first to last line:

    from testbed.callers import place_call
    from testbed.instance import Instance
    from testbed.root import Root

    dialplan = "[callers]\nexten => 100,1,Answer()\n same => n,Echo()\n"
    with Instance(Root.find(), "example", dialplan=dialplan) as asterisk:
        call = place_call(asterisk, "100", send=bytes(range(160)) * 50, hangup_after=2.0)
        assert call.heard.startswith(call.said)

`python3 -m testbed --help` does the same things from the shell.
"""
