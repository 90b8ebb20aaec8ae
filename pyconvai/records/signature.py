"""How a request is signed: as ElevenLabs signs its own webhooks, whose libraries verify it."""

from __future__ import annotations

import hashlib
import hmac

from ..secret import Secret

HEADER = "ElevenLabs-Signature"


def signature(secret: Secret, body: bytes, now: int) -> str:
    """The header's value. ``now``: the time of day of this try, since 1970 in seconds."""
    signed = b"%d.%b" % (now, body)
    digest = hmac.new(secret.reveal().encode(), signed, hashlib.sha256).hexdigest()
    return f"t={now},v0={digest}"
