"""What programs on AMI and ARI can read and do, by their class: the table of docs/security.md.

What they can is Asterisk's, and told here so that the page stays true; what they cannot is ours.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from testbed.config import MANAGER_SECRET
from testbed.instance import Instance
from testbed.root import Root
from tests.asterisk.ami import Ami
from tests.asterisk.conftest import Install
from tests.asterisk.phone import configure
from tests.planted import key
from tests.security import PAGE
from tests.timing import EVENT

IN_CONF, IN_FILE, IN_ENVIRONMENT = (
    key(name) for name in ("key in elevenlabs.conf", "key in the file", "key of the environment")
)
CLASSES = ("call", "reporting", "originate", "dialplan")
OF_CONF = "AST_CONFIG(elevenlabs.conf,inline,api_key)"
OF_ENVIRONMENT = "ENV(CONVAI_TEST_KEY)"
DIALPLAN = """\
[callers]
exten => 100,1,Answer()
 same => n,Wait(600)
"""


@pytest.fixture(scope="module")
def pbx(root: Root, install: Install) -> Iterator[Instance]:
    """An Asterisk as it should be: live_dangerously = no, a user for each class, and for ARI."""
    pbx = Instance(
        root,
        "ami-rights",
        dialplan=DIALPLAN,
        elevenlabs="[general]\n",
        env={"CONVAI_TEST_KEY": IN_ENVIRONMENT},
        files={
            "ari.conf": "[general]\nenabled = yes\n"
            f"[looks]\ntype = user\nread_only = yes\npassword = {MANAGER_SECRET}\n"
        },
    )
    pbx.prepare()
    try:
        install(pbx)
        harden(pbx)
        (pbx.etc / "elevenlabs.key").write_text(f"{IN_FILE}\n")
        (pbx.etc / "elevenlabs.conf").write_text(
            f"[general]\napi_key_file = {key_file(pbx)}\n[agent]\nagent_id = agent\n"
            f"[inline]\nagent_id = inline\napi_key = {IN_CONF}\n"
            "[environment]\nagent_id = environment\napi_key_env = CONVAI_TEST_KEY\n"
        )
        pbx.start()
        pbx.cli("channel originate Local/100@callers application Wait 600")
        yield pbx
    finally:
        assert pbx.stop() == 0


def harden(pbx: Instance) -> None:
    conf = pbx.conf
    conf.write_text(conf.read_text().replace("live_dangerously = yes", "live_dangerously = no"))
    modules = pbx.etc / "modules.conf"
    modules.write_text(f"{modules.read_text()}{block('modules.conf')}")
    manager = pbx.etc / "manager.conf"
    users = "".join(
        f"[{name}]\nsecret = {MANAGER_SECRET}\nread = {name}\nwrite = {name}\n" for name in CLASSES
    )
    manager.write_text(manager.read_text() + users)


def key_file(pbx: Instance) -> str:
    return pbx.root.path(pbx.etc / "elevenlabs.key")


def value(pbx: Instance, user: str, variable: str) -> str:
    """What a user of AMI reads."""
    with Ami(pbx, user=user) as ami:
        return ami.ask("Getvar", Variable=variable).get("Value", "")


@pytest.mark.parametrize("user", ["call", "reporting"])
def test_what_can_be_read_of_the_two_ways_to_give_a_key(pbx: Instance, user: str) -> None:
    """K1: so both are warned about when the file is read."""
    assert value(pbx, user, OF_CONF) == IN_CONF
    assert value(pbx, user, OF_ENVIRONMENT) == IN_ENVIRONMENT


def test_the_two_ways_are_warned_about(pbx: Instance) -> None:
    """K1: each line once, with its place and what to do; of the key file nothing is said."""
    said = [
        line
        for line in pbx.cli("elevenlabs reload").splitlines()
        if "AMI user of class call" in line
    ]
    places = [
        ("elevenlabs.conf:7 [inline]", "AST_CONFIG()"),
        ("elevenlabs.conf:10 [environment]", "ENV()"),
    ]
    for line, (place, function) in zip(said, places, strict=True):
        assert line.startswith(f"WARNING: {place}: ")
        assert f"read this key with {function}" in line
        assert "api_key_file" in line
    assert not any(secret in "".join(said) for secret in (IN_CONF, IN_FILE, IN_ENVIRONMENT))


@pytest.mark.parametrize("user", ["call", "reporting", "originate", "dialplan", "testbed"])
def test_the_key_file_is_out_of_reach(pbx: Instance, user: str) -> None:
    """K1: also for one who may do everything, as long as `live_dangerously` is no."""
    for variable in (
        f"FILE({key_file(pbx)},0,100)",
        f"SHELL(cat {key_file(pbx)})",
        f"CURL(file://{key_file(pbx)})",
        f"AST_CONFIG({key_file(pbx)},general,api_key)",
        "AST_CONFIG(elevenlabs.conf,agent,api_key)",
        "AST_CONFIG(elevenlabs.conf,general,api_key)",
    ):
        assert IN_FILE not in value(pbx, user, variable), variable
    assert IN_FILE not in pbx.log()


def test_a_function_that_reads_any_file(pbx: Instance) -> None:
    """K1: CURL() does, `live_dangerously = no` or not, where modules.conf lets it be loaded."""
    pbx.cli("module load func_curl.so")
    try:
        for user in ("call", "reporting"):
            assert value(pbx, user, f"CURL(file://{key_file(pbx)})") == IN_FILE
        assert pbx.cli("elevenlabs reload").count("noload = func_curl.so") == 1
    finally:
        pbx.cli("module unload func_curl.so")
    assert "CURL" not in pbx.cli("elevenlabs reload")


@pytest.mark.parametrize("user", ["originate", "dialplan"])
def test_who_cannot_read_variables(pbx: Instance, user: str) -> None:
    assert value(pbx, user, OF_CONF) == ""


def test_what_a_user_of_calls_can_do(pbx: Instance) -> None:
    """Set Asterisk's environment, but neither place calls, nor read files, nor type commands."""
    with Ami(pbx, user="call") as ami:
        ami.ask("Setvar", Variable="ENV(CONVAI_TEST_SET)", Value="x")
        assert value(pbx, "call", "ENV(CONVAI_TEST_SET)") == "x"
        for action, headers in (
            ("Originate", {"Channel": "Local/100@callers", "Application": "Wait", "Data": "1"}),
            ("GetConfig", {"Filename": "elevenlabs.conf"}),
            ("Command", {"Command": "core show version"}),
        ):
            assert ami.ask(action, **headers)["Response"] == "Error", action


def test_who_may_place_calls_runs_no_program(pbx: Instance) -> None:
    with Ami(pbx, user="originate") as ami:
        call = {"Channel": "Local/100@callers", "Async": "true"}
        assert ami.ask("Originate", **call, Application="System", Data="id")["Response"] == "Error"
        assert ami.ask("Originate", **call, Application="Wait", Data="1")["Response"] == "Success"


@pytest.mark.parametrize(
    ("user", "may"), [("call", True), ("reporting", False), ("dialplan", False)]
)
def test_who_may_speak_into_a_conversation(pbx: Instance, user: str, may: bool) -> None:
    """With the right the answer is that there is no such conversation."""
    with Ami(pbx, user=user) as ami:
        answer = ami.ask("ElevenLabsSend", Channel="Nobody/1", Type="activity")
    assert answer["Response"] == "Error"
    assert ("Permission" not in answer["Message"]) == may


def test_a_user_of_ari_who_may_only_look_can_read_as_much(pbx: Instance) -> None:
    """K1."""
    assert ari(pbx, OF_CONF) == IN_CONF
    assert ari(pbx, OF_ENVIRONMENT) == IN_ENVIRONMENT
    assert ari(pbx, f"FILE({key_file(pbx)},0,100)") == ""


def ari(pbx: Instance, variable: str) -> str:
    """A channel's variable, as a user of ARI reads it; "" if that is refused."""
    login = base64.b64encode(f"looks:{MANAGER_SECRET}".encode()).decode()

    def get(path: str) -> object:
        request = urllib.request.Request(
            f"http://127.0.0.1:{pbx.ports.http}/ari/{path}",
            headers={"Authorization": f"Basic {login}"},
        )
        with urllib.request.urlopen(request, timeout=EVENT) as answer:
            return json.load(answer)

    channels = get("channels")
    assert isinstance(channels, list)
    name = urllib.parse.quote(variable, safe="")
    try:
        found = get(f"channels/{channels[0]['id']}/variable?variable={name}")
    except urllib.error.HTTPError as refused:
        refused.close()
        return ""
    assert isinstance(found, dict)
    return str(found["value"])


# ---- The files of the page. They are put in place of the others, so this comes last. ----


def block(name: str) -> str:
    """A configuration file as docs/security.md shows it."""
    page = PAGE.read_text(encoding="utf-8").partition("## An installation as it should be")[2]
    (found,) = re.findall(rf"^```\n; {re.escape(name)} .*?\n(.*?)^```$", page, re.M | re.S)
    return str(found)


def test_the_configuration_of_the_page(pbx: Instance) -> None:
    """It is read without a word."""
    file = pbx.etc / "elevenlabs.key"
    file.chmod(0o640)
    text = block("elevenlabs.conf").replace("/etc/asterisk/elevenlabs.key", key_file(pbx))
    said = configure(pbx, text)
    assert "reloaded successfully" in said
    # That of a checkout is whose it is, and no place for a configuration.
    assert not [line for line in said.splitlines() if "WARNING" in line and "directory" not in line]


def test_the_dialler_of_the_page(pbx: Instance) -> None:
    """It places calls and sees them, and reads nothing else."""
    manager = pbx.etc / "manager.conf"
    text = block("manager.conf").replace("secret = ...", f"secret = {MANAGER_SECRET}")
    manager.write_text(f"{manager.read_text()}\n{text}")
    pbx.cli("manager reload")
    with Ami(pbx, user="dialler", events="on") as ami:
        call = {"Channel": "Local/100@callers", "Application": "Wait", "Data": "1"}
        assert ami.ask("Originate", **call, Async="true")["Response"] == "Success"
        assert ami.wait_event("Newchannel")["Channel"].startswith("Local/100@callers")
    for variable in (OF_CONF, OF_ENVIRONMENT):
        assert value(pbx, "dialler", variable) == ""
