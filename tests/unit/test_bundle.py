"""What is cut out of a bundle, and that no credential is left in it wherever it stood."""

from __future__ import annotations

import io
import tarfile

import pytest

from pyconvai import limits
from pyconvai.records import record
from pyconvai.report import bundle, cutting
from pyconvai.secret import Secret
from tests.planted import PIN, SECRETS, Search, digits, key, mark, secret, signature
from tests.unit.recorded import end, facts

NOW = 1_796_022_000_000

KEPT = (
    "ElevenLabsConvAI(sales_agent,c) [extensions.conf:12]",
    "max_sessions = 200",
    "chunk_ms = 20",
    "auth = signed_url",
    "Asterisk 22.10.1, Python 3.13.5",
    "base_url = https://api.elevenlabs.io",
    "127.0.0.1:8088 takes records again",
    "exten => 100,1,Answer()",
    "ended: TIMEOUT: max_duration (600 s) reached",
    "pings answered: 12, turns: 7",
    "HTTP 503, connect_timeout (10 s)",
    "2026-11-30 07:00:00 NOTICE PJSIP/desk: conv_01jexample0123456789abcdefgh",
)
"""What somebody who helps has to see."""

CUT = {
    "api_key = sk_0123456789abcdef0123456789abcdef": "0123456789abcdef",
    'Set(ELEVENLABS_VAR_token="two words")': "two words",
    "Set(PASSWORD=hunter2)": "hunter2",
    "Authorization: Bearer abcdefghijklm": "abcdefghijklm",
    "System(curl -u user:pass https://h/x)": "user:pass",
    "System(curl https://h/x)": "/x",
    "CURL(https://user:word@crm.example.com/hook/abc?x=1)": "user:word",
    "https://crm.example.com/hook/abc?x=1": "hook",
    "wss://h/x?conversation_signature=cvtkn_abcdef": "cvtkn_abcdef",
    "agent_id = agent_01jexample0123456789": "01jexample",
    "X-Account: 0f8fad5b-d9cb-469f-a165-70867728950e": "0f8fad5b",
    "Dial(PJSIP/+4930123456@trunk)": "30123",
    "Dial(PJSIP/trunk/sip:030-123 45 67@h)": "123 45",
    "exten => _0301234.,1,NoOp()": "0301234",
    "caller (030) 1234567 hung up": "12345",
    "PJSIP/15550100-0000001a: ended": "15550100",
    "Authenticate(4711)": "4711",
    "mailto:someone.else@example.com": "someone.else",
    "webhook_secret => 'a b c'": "a b c",
    '{"api_key": "value", "x": 1}': '"value"',
    "pin=1234": "1234",
    "Set(CONFPIN=4711)": "4711",
    "Set(PASS=hunter2)": "hunter2",
    "Set(CURLOPT(userpwd)=bob:hunter2)": "hunter2",
    "Set(PJSIP_HEADER(add,X-Api-Key)=abcdef)": "abcdef",
    "Set(DB(secret/crm)=abcdef)": "abcdef",
    "Set(TOKEN(crm)=abcdef)": "abcdef",
    'GotoIf($["${PIN}" = "4711"]?in)': "4711",
    "SIPAddHeader(X-Auth: abcdef)": "abcdef",
    "Set(CURLOPT(httpheader)=Authorization: Token abcdef)": "abcdef",
    "Dial(SIP/bob:hunter2@trunk/${EXTEN})": "hunter2",
    "Dial(IAX2/bob:hu$nter@trunk.example.com/100)": "hu$nter",
    "System(mysql -u bob -phunter2 crm)": "hunter2",
}
"""Lines, and what must not be left of each."""


def files_of(data: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        assert all(each.isfile() and each.mode == 0o640 for each in members)
        assert all(each.uid == 0 and not each.uname for each in members)
        return {
            each.name.removeprefix("elevenlabs-bundle/"): archive.extractfile(each).read().decode()  # type: ignore[union-attr]
            for each in members
        }


@pytest.mark.parametrize("line", KEPT)
def test_what_helps_stays(line: str) -> None:
    assert cutting.cut(line) == line


@pytest.mark.parametrize("line", CUT)
def test_what_is_nobodys_business_goes(line: str) -> None:
    left = cutting.cut(line)
    assert CUT[line] not in left
    assert "***" in left


@pytest.mark.parametrize(
    "word", ["key", "a", "pin.", "key,", "key(", "a:", "a@", "a://", "+(1", "1 "]
)
def test_a_long_line_takes_no_longer_than_its_length(word: str) -> None:
    """A match holds up the loop. Looking at each piece again and again would take hours."""
    line = word * 20_000
    assert cutting.cut(f"{line} api_key=abc").endswith(" api_key=***")


def test_a_number_keeps_its_last_digits() -> None:
    """So that two of them can be told apart."""
    assert cutting.without_numbers("from +49 30 1234567 to 0301234568") == "from ***67 to ***68"


def test_secrets_that_the_engine_holds_go_by_their_value() -> None:
    held = Secret("plain words of a secret")
    assert cutting.cut("it says plain words of a secret, no more") == "it says ***, no more"
    assert held


def planted() -> str:
    """Every credential that tests plant, in every way in which it may stand."""
    texts = [text for name in SECRETS for text in (secret(name), key(name), signature(name))]
    lines = [
        line
        for text in texts
        for line in (
            text,
            f"api_key = {text}",
            f'Set(ELEVENLABS_OVERRIDE_custom_llm_extra_body={{"token":"{text}"}})',
            f"NoOp(${{X}}{text})",
            f"System(curl -H 'X-Y: {text}' https://h/{text}?a={text})",
            f"'100' =>  1. Authenticate({text}) [extensions.ael:1]",
            f"https://{text}@h/",
            f"{text[:30]},{text[30:]}",
        )
    ]
    numbers = [digits(PIN), f"+{digits(PIN)}", f"PJSIP/{digits(PIN)}@trunk"]
    return "\n".join((*lines, *numbers, ""))


def test_no_secret_is_in_a_bundle() -> None:
    text = planted()
    assert mark("key") in text
    names = ("config.txt", "dialplan.txt", "log.txt", "state.txt", "versions.txt", "counters.txt")
    told = facts(caller_number=digits(PIN), caller_name=secret("token"), asked_agent=key("key"))
    over = record.ended(
        told | end(reason=text, detail=text, status="ERROR"),
        None,
    ) | {"transcript": [{"speaker": "caller", "text": text, "at_ms": 0, "cut_short": False}]}
    files = files_of(bundle.made([(name, text) for name in names], [over], NOW))
    assert {*names, "README.txt", "endings.jsonl"} == set(files)
    search = Search((*SECRETS, PIN))
    found = [
        each
        for name, content in files.items()
        for each in search.text(content, name)
        # Figures of ours have no telephone number; dates and sizes stay what they are.
        if not (each.what == PIN and name in ("versions.txt", "counters.txt"))
    ]
    assert not found, "\n".join(map(str, found))
    assert '"status":"ERROR"' in files["endings.jsonl"]
    assert "caller_number" not in files["endings.jsonl"]
    assert "transcript" not in files["endings.jsonl"]


def test_a_bundle_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUNDLE_PART_CHARACTERS", 1000)
    parts = [("log.txt", "x y\n" * 1000), ("../evil.txt", "no"), ("/etc/x", "no"), ("A.txt", "no")]
    files = files_of(bundle.made(parts, [], NOW))
    assert set(files) == {"README.txt", "versions.txt", "log.txt", "endings.jsonl"}
    assert files["log.txt"].endswith("... 3000 characters more are left out\n")
    assert len(files["log.txt"]) < 1100
    many = [(f"p{number}.txt", "x") for number in range(limits.BUNDLE_PARTS + 10)]
    assert len(files_of(bundle.made(many, [], NOW))) == limits.BUNDLE_PARTS + 3
