"""What is cut out of a bundle, and that no credential is left in it wherever it stood."""

from __future__ import annotations

import io
import re
import tarfile

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pyconvai import limits
from pyconvai.conversation.steps import TOOL_NAME
from pyconvai.records import record
from pyconvai.report import bundle, cutting
from pyconvai.secret import Secret
from tests.planted import PIN, SECRETS, Search, digits, key, mark, secret, signature
from tests.unit.frame_reader import examples
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
    "Local/4711@vault-0000001a;1: ended": "4711@vault",
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


# ---- The dialplan ----

APPLICATIONS = """\
    -= Registered Asterisk Applications =-
              Answer: Answer a channel if ringing.
        Authenticate: Authenticate a user
                Dial: Attempt to connect to another device or endpoint and bridge the call.
    ElevenLabsConvAI: Talk with an ElevenLabs voice agent.
              GotoIf: Conditional goto.
                 Set: Set channel variable or function value.
              System: Execute a system command.
    -= 7 Applications Registered =-
"""

NAMES = [
    ("agent", "sales_agent"),
    ("context", "elevenlabs-steps"),
    ("context", "shop"),
    ("applications", APPLICATIONS),
]

Line = tuple[str, str, int, str, str]


def dialplan_of(*lines: Line) -> str:
    """What a bundle shows of a dialplan."""
    text = "".join(f"{orjson.dumps(line).decode()}\n" for line in lines)
    return files_of(bundle.made([*NAMES, ("dialplan", text)], [], NOW))["dialplan.txt"]


def test_what_is_shown_of_a_dialplan() -> None:
    """What the module is told, in order, and of all else that there is something."""
    shown = dialplan_of(
        ("incoming", "100", 1, "Answer", ""),
        ("incoming", "100", 2, "set", "ELEVENLABS_VAR_plan=gold"),
        ("incoming", "100", 3, "Set", "__ELEVENLABS_OVERRIDE_prompt=${X} is it"),
        ("incoming", "100", 4, "ElevenLabsConvAI", "Sales_Agent,cm(quiet)g"),
        ("incoming", "100", 5, "GotoIf", '$["${ELEVENLABSSTATUS}" = "LIMIT"]?busy'),
        ("incoming", "100", 6, "Nothing", "x"),
        ("incoming", "_0X.", 1, "ElevenLabsConvAI", "${AGENT}"),
        ("incoming", "_X.", 1, "ElevenLabsConvAI", "hunter2,z"),
        ("incoming", "h", 1, "Set", "X=${ELEVENLABS(heard)}${ELEVENLABSES}XELEVENLABSDTMF"),
        ("elevenlabs-steps", "look_up", 1, "Answer", ""),
        ("elevenlabs-steps", "4711", 1, "Set", "X=${ELEVENLABS_ARG_what}"),
        ("other", "look_up", 1, "ElevenLabsConvAI", ""),
    )
    assert shown.partition("\n\n")[2].splitlines() == [
        "[*** 1]",
        "extension ***",
        "  1 Answer()",
        "  2 Set(ELEVENLABS_VAR_plan ***)",
        "  3 Set(ELEVENLABS_OVERRIDE_prompt ***)",
        "  4 ElevenLabsConvAI(sales_agent,cm(***)g)",
        "  5 GotoIf(ELEVENLABSSTATUS ***)",
        "  6 ***(***)",
        "extension ***",
        "  1 ElevenLabsConvAI(${***})",
        "extension _X.",
        "  1 ElevenLabsConvAI(***,***)",
        "extension h",
        "  1 Set(ELEVENLABS ***)",
        "",
        "[elevenlabs-steps]",
        "extension look_up",
        "  1 Answer()",
        "extension ***",
        "  1 Set(ELEVENLABS_ARG_what ***)",
        "",
        "[*** 2]",
        "extension ***",
        "  1 ElevenLabsConvAI()",
        "",
        "there is no context shop",
    ]


PLACES = (
    ("Authenticate", "{}"),
    ("VMAuthenticate", "100@default,{}"),
    ("DISA", "{},internal"),
    ("VoiceMailMain", "{}@default,s"),
    ("Read", "PIN,,4,,,{}"),
    ("System", "curl -u user:{} https://crm.example.com/"),
    ("System", "PGPASSWORD={} psql -h db"),
    ("TrySystem", "#exec /usr/bin/secrets {}"),
    ("AGI", "agi://user:{}@agi.example.com/run?key={}"),
    ("Set", "X=${{CURL(https://user:{}@crm.example.com/{}?t={})}}"),
    ("Set", "CURLOPT(userpwd)=user:{}"),
    ("Set", "CURLOPT(httpheader)=Authorization: Bearer {}"),
    ("Set", "PJSIP_HEADER(add,Authorization)=Basic {}"),
    ("SIPAddHeader", "Proxy-Authorization: Digest {}"),
    ("Dial", "SIP/user:{}@trunk.example.com/${{EXTEN}},30,G(vault^{}^1)"),
    ("Dial", "PJSIP/100,30,U(check^{})"),
    ("MYSQL", "Connect connid db.example.com user {} crm"),
    ("Set", "ODBC_LOGIN(${{EXTEN}},{})=yes"),
    ("Set", "HASH=${{SHA1({}${{EXTEN}})}}"),
    ("Set", "AES=${{AES_ENCRYPT({},${{X}})}}"),
    ("GotoIf", '$["${{PIN}}" = "{}"]?in:out'),
    ("Goto", "{},s,1"),
    ("Gosub", "check,s,1({})"),
    ("ExecIf", "$[1]?Authenticate({})"),
    ("Set", "GLOBAL({})=1"),
    ("{}", "x"),
    ("{}", "{}"),
    ("NoOp", "{}"),
    ("ElevenLabsConvAI", "{}"),
    ("ElevenLabsConvAI", "{},c"),
    ("ElevenLabsConvAI", "sales_agent,{}"),
    ("ElevenLabsConvAI", "sales_agent,m({})"),
    ("ElevenLabsConvAI", "${{DB(agents/{})}}"),
    ("Set", "ELEVENLABS_VAR_secret__token={}"),
    ("Set", "ELEVENLABS(context)={}"),
    ("Set", 'ELEVENLABS_OVERRIDE_custom_llm_extra_body={{"token":"{}"}}'),
)
"""Applications and their arguments, with a secret somewhere."""

SHAPES = (
    st.text(min_size=1, max_size=40),
    st.text(alphabet="0123456789*#", min_size=4, max_size=12),
    st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=12),
    *(
        st.from_regex(shape, fullmatch=True)
        for shape in (
            r"eyJ[A-Za-z0-9_-]{10,30}\.eyJ[A-Za-z0-9_-]{10,30}\.[A-Za-z0-9_-]{20,40}",  # a JWT
            r"AKIA[A-Z2-7]{16}|[A-Za-z0-9/+]{40}",  # of a cloud
            r"-----BEGIN (RSA )?PRIVATE KEY-----\n[A-Za-z0-9+/\n]{20,60}\n-----END",
            r"[a-z]{3,8}[ _.-][A-Za-z0-9!$%&/=?]{4,12}",  # of a person
        )
    ),
)


def placed(name: str, secret: str) -> list[Line]:
    """A dialplan with a secret in one place of each line, around the application."""
    lines = [
        (secret, "s", 1, "ElevenLabsConvAI", "sales_agent"),
        (f"vault-{secret}", secret, 1, "ElevenLabsConvAI", "sales_agent"),
        (name, secret, 1, "Answer", ""),
        (name, f"_{secret}", 1, "Answer", ""),
        (name, f"_X{secret}.", 2, "ElevenLabsConvAI", "sales_agent"),
    ]
    lines += [
        (name, "s", number, application.format(secret), text.format(*[secret] * 3))
        for number, (application, text) in enumerate(PLACES, 1)
    ]
    return lines


@given(secret=st.one_of(*SHAPES), name=st.sampled_from(["incoming", "elevenlabs-steps"]))
@examples(100, 2_000)
def test_no_secret_of_a_dialplan_is_shown_wherever_it_stands(secret: str, name: str) -> None:
    """What a dialplan shows with one in each place is what it shows with another one."""
    # Behind a _ that is a pattern, which is shown: it says how long a number is.
    assume(not re.fullmatch("[XZNxzn.!]+", secret))
    parts = {*re.findall(r"\w{3,}", secret), secret}
    shown = dialplan_of(*(_in_tools(line) for line in placed(name, secret)))
    other = dialplan_of(*(_in_tools(line) for line in placed(name, "\u2603")))
    told = [part for part in parts if part in shown and part not in other]
    assert not told, shown


def _in_tools(line: Line) -> Line:
    """Extensions of steps are names of tools, which the service has: no place for a secret."""
    context, extension, *rest = line
    is_tool = context == "elevenlabs-steps" and TOOL_NAME.fullmatch(extension)
    return line if not is_tool else (context, "s", *rest)  # type: ignore[return-value]


@given(secret=st.from_regex(r"[A-Za-z0-9_.+-]{4,20}", fullmatch=True))
@examples(100, 2_000)
def test_what_elevenlabs_conf_does_not_show_is_shown_nowhere(secret: str) -> None:
    """Values that are in effect, and those that are quoted, in lines of the log and reasons."""
    lines = (
        f"elevenlabs.conf:3 [sales_agent]: max_sessions = {secret}: allowed is a whole number",
        f"elevenlabs.conf:4 [sales_agent]: there is no key {secret}; allowed are var_NAME",
        f"elevenlabs.conf:4 [sales_agent]: there is no override {secret}; there are: prompt",
        f"ELEVENLABS({secret}) cannot be read: there are agent, state",
        f"PJSIP/desk: ELEVENLABS_OVERRIDE_max is a whole number, it is '{secret}'",
        f"PJSIP/desk: NOAGENT: there is no such agent in elevenlabs.conf [{secret}]",
    )
    quoted = "".join(f"2026-11-30 07:00:00 WARNING {line}\n" for line in lines)
    held = f"desk: connecting to {secret}.example.com, {secret}, https://{secret}.example.com/x\n"
    over = record.ended(
        facts(asked_agent=secret, agent="sales_agent") | end(reason=lines[4], detail="x"), None
    )
    files = files_of(
        bundle.made(
            [
                *NAMES,
                ("hidden", f"https://{secret}.example.com/x"),
                ("hidden", f"none,{secret}"),
                ("log.txt", quoted + held),
                ("state.txt", held),
            ],
            [over],
            NOW,
        )
    )
    base = "".join((quoted, held)).replace(secret, "")
    for name in ("log.txt", "state.txt", "endings.jsonl"):
        assert secret not in files[name].replace("sales_agent", "") or secret in base, files[name]


def test_settings_of_asterisk_without_its_names() -> None:
    text = (
        "  System name:                 vault\n  Entity ID: 00:11\nPrefix: /vault\n"
        "/vault/elevenlabs/... => The live page\n  /vault/door => /x\n  Path: vault\n"
    )
    shown = files_of(bundle.made([("asterisk.txt", text)], [], NOW))["asterisk.txt"]
    assert "vault" not in shown
    assert "/elevenlabs/... => The live page" in shown
