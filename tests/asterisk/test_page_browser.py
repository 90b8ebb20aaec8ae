"""The live page in Chromium during real calls: what is seen, by whom, what keys and buttons do."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk import browser, page_scene
from tests.asterisk.browser import Page, browse
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.page import Viewer, add_users
from tests.asterisk.phone import configure, section, wait_state, wait_talking
from tests.timing import SECOND, only_in_full

pytestmark = [
    only_in_full("drives a browser through many calls"),
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing() or "-"),
    pytest.mark.limit(300),
]

SIZES = {"wide": (1400, 900), "middle": (1000, 860), "phone": (390, 844)}
HOSTILE = (
    "<img src=x onerror=pwned=1><script>pwned=1</script></textarea> \\u202eevil \\u0007 & done"
)
SERVICE = f"""\
title = "hostile"
[agents.default]
format = "ulaw_8000"
first_message = {{ text = "{HOSTILE}", sound = "noise:1:30000" }}
[[agents.default.turns]]
caller = "{HOSTILE}"
say = {{ text = "{HOSTILE}", sound = "noise:2:20000" }}
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    pbx = asterisk(dialplan=page_scene.DIALPLAN_OF_ALL, elevenlabs="[general]\nhttp_page = yes\n")
    add_users(pbx)
    return pbx


# ---- What is seen ----


def check_layout(page: Page) -> None:
    """Nothing sticks out at the side, nothing is complained of, nothing came from elsewhere."""
    assert page.run("document.scrollingElement.scrollWidth <= innerWidth")
    assert page.complaints() == []
    hosts = page.run("performance.getEntriesByType('resource').map(e => new URL(e.name).host)")
    assert set(hosts) <= {page.run("location.host")}


@pytest.mark.parametrize("size", SIZES)
def test_pictures(pbx: Instance, root: Root, size: str) -> None:
    """Light and dark, at each width, during the same calls; build/page has them."""
    with page_scene.service(root) as mock:
        configure(pbx, page_scene.conf(mock))
        with page_scene.callers(pbx, root, page_scene.AT_DESK) as calls:
            calls.wait_up()
            wait_state(pbx, "queued", 1)
            for dark in (False, True):
                name = f"{size}-{'dark' if dark else 'light'}"
                with browse(pbx, *SIZES[size], dark=dark) as page:
                    page.open().picture(f"{name}-login")
                    page.log_in("acts").wait_live()
                    page.wait_calls(len(page_scene.AT_DESK))
                    page.wait("Number(document.getElementById('n-mos').innerText) > 1", "the line")
                    page.picture(name)
                    check_layout(page)
                    assert page.text("#n-queued") == "1"
                    assert page.text("#n-calls") == str(len(page_scene.AT_DESK))
                    page.click("#call-list .row", 7)
                    page.wait("document.querySelectorAll('#d-words .turn').length > 3", "words")
                    page.wait("document.querySelectorAll('.bars rect').length > 1", "answers")
                    page.wait(
                        "document.querySelector('#d-levels path.of-agent').getAttribute('d')",
                        "levels",
                    )
                    assert page.run("document.getElementById('d-newest').hidden"), "it follows"
                    page.picture(f"{name}-call")
                    check_layout(page)
                    assert page.text("#d-state") == "talking"
        pbx.wait_no_channels()


# ---- Who sees it ----


@contextmanager
def call_with(pbx: Instance, root: Root, count: int = 1) -> Iterator[MockAgent]:
    """Calls with an agent that says what would be a script, in HTML."""
    with MockAgent(root, SERVICE) as mock:
        conf = "[general]\nhttp_page = yes\n" + section("sales", mock.url, transcripts="all")
        configure(pbx, conf)
        with Callers(pbx, count, "sales", caller=lambda i: f"+4930123{4 + i}") as calls:
            calls.wait_up()
            wait_talking(pbx, count)
            yield mock
            calls.hangup_all()
            calls.wait()
        pbx.wait_no_channels()


def test_without_permission(pbx: Instance, root: Root) -> None:
    with call_with(pbx, root), browse(pbx) as page:
        page.open()
        assert page.run("document.body.dataset.view") == "login"
        page.log_in("calls")
        page.wait("document.getElementById('login-error').innerText", "why not")
        assert "reporting" in page.text("#login-error")
        assert page.run("document.body.dataset.view") == "login"
        assert "+49301234" not in page.run("document.documentElement.outerHTML")
        page.run("document.getElementById('login-form').reset()")
        page.open().log_in("nobody")
        page.wait("document.getElementById('login-error').innerText", "why not")
        # Who may see alone has no buttons.
        page.open().log_in("looks").wait_live()
        page.wait_calls(1)
        page.click("#call-list .row")
        page.wait("!document.getElementById('d-may-not').hidden", "why there are no buttons")
        assert page.run("document.getElementById('d-act').hidden")


def test_hostile_text(pbx: Instance, root: Root) -> None:
    """HTML, scripts, control characters and right-to-left marks are text."""
    with call_with(pbx, root), browse(pbx) as page:
        page.open().log_in("acts").wait_live()
        page.wait_calls(1)
        page.click("#call-list .row")
        shown = "<img src=x onerror=pwned=1><script>pwned=1</script></textarea> evil & done"
        page.wait("document.querySelector('#d-words .turn')", "words")
        assert shown in page.text("#d-words .turn")
        assert page.text("#call-list .said") == shown
        assert page.run("document.querySelectorAll('#live img, #live script').length") == 0
        assert page.run("typeof pwned") == "undefined"
        assert page.complaints() == []
        # The report of the call opens from here, and is no script's either.
        report = page.run("document.querySelector('#d-report a').href")
        page.driver.get(report)
        assert shown.partition(" evil")[0] in page.run("document.body.innerText")
        assert page.run("document.querySelectorAll('img, script').length") == 0


FOREIGN = (Path(__file__).parents[1] / "browser" / "foreign.html").read_text(encoding="utf-8")


@contextmanager
def site(text: str) -> Iterator[str]:
    """A page at another port of this machine: the cookie comes along, for it is of the host."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_another_origin(pbx: Instance, root: Root) -> None:
    """It can read nothing and press nothing, in a browser that has logged in."""
    with call_with(pbx, root), browse(pbx) as page:
        page.open().log_in("acts").wait_live()
        page.wait_calls(1)
        call = page.run("document.querySelector('#call-list li').dataset.id")
        text = FOREIGN.replace("TARGET", page.address).replace("CALL", call)
        with site(text) as address:
            page.driver.get(address)
            page.wait("document.title != 'waiting'", "what another site can do")
            title = page.run("document.title")
        # A form's request goes out, without the header: it is refused, and the call is still up.
        assert title == "button:no events:no fetch:no form:no frame:refused"
        assert " talking " in pbx.cli("elevenlabs show sessions")
        page.open().wait_live()
        page.wait_calls(1)


# ---- What keys do ----


def test_by_keyboard_alone(pbx: Instance, root: Root) -> None:
    with call_with(pbx, root) as mock, browse(pbx) as page:
        page.open().log_in("acts").wait_live()
        page.wait_calls(1)
        page.type("?")
        assert page.run("document.getElementById('help').open")
        page.type("\ue00c")  # Escape
        page.type("/")
        assert page.run("document.activeElement.id") == "find"
        page.type("nothing like that")
        page.wait("document.querySelectorAll('#call-list .row').length == 0", "no calls")
        page.type("\ue00c")
        page.wait_calls(1)
        page.type("j")
        assert page.run("document.activeElement.matches('#call-list .row')")
        outline = page.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.type("\ue007")
        assert page.run("document.activeElement.id") == "detail"
        page.type("m")
        page.type("Grüße an alle\ue007")
        page.wait("document.getElementById('d-done').innerText", "what has become of it")
        assert page.text("#d-done") == "Sent to the agent: message"
        page.type("\ue00c")
        assert page.run("document.getElementById('detail').hidden")
        assert page.run("document.activeElement.matches('#call-list .row')")
        page.type("\ue007")
        page.type("x")
        assert page.run("document.activeElement.id") == "d-hangup"
        page.type("\ue007")
        assert "again" in page.text("#d-hangup")
        page.type("\ue007")
        page.wait_calls(0)
        page.wait("document.querySelector('#ending-list .past')", "the ending")
        assert "HANGUP" in page.text("#ending-list .past")
        assert "command or a program" in page.text("#d-ending")
        assert page.run("document.activeElement !== document.body")
    assert "Grüße an alle" in json.dumps(mock.report, ensure_ascii=False)


def test_what_is_written_is_for_one_call(pbx: Instance, root: Root) -> None:
    written = "document.getElementById('d-act').elements.text.value"
    with call_with(pbx, root, 2), browse(pbx) as page:
        page.open().log_in("acts").wait_live()
        page.wait_calls(2)
        page.click("#call-list .row")
        page.type("m")
        page.type("Only for you\ue00c")
        page.click("#call-list .row")
        assert page.run(written) == "Only for you"
        page.click("#call-list .row", 1)
        page.wait("document.getElementById('d-title').innerText == '+49301234'", "the other call")
        assert page.run(written) == ""


# ---- What comes and goes ----


def test_a_fifth_viewer_polls(pbx: Instance, root: Root) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            next(stack.enter_context(Viewer(pbx, "looks").watch()))
        with call_with(pbx, root), browse(pbx) as page:
            page.open().log_in("looks").wait_live()
            page.wait_calls(1)
            page.wait("document.getElementById('link').dataset.link == 'polled'", "polling")
            assert page.text("#link") == "live, every 2 s"
            page.wait("document.querySelector('#call-list .said').innerText", "words")


def test_an_asterisk_that_stands_still(pbx: Instance) -> None:
    """Nothing ends such a connection; what is shown is not taken for live."""
    link = "document.getElementById('link').dataset.link"
    with browse(pbx) as page:
        page.open().log_in("looks").wait_live()
        page.wait(f"{link} == 'live'", "the stream")
        os.kill(pbx.pid, signal.SIGSTOP)
        try:
            page.wait(f"{link} == 'lost'", "that nothing comes")
        finally:
            os.kill(pbx.pid, signal.SIGCONT)
        page.wait(f"{link} != 'lost'", "Asterisk", 40 * SECOND)


def test_a_log_in_that_is_forgotten(pbx: Instance) -> None:
    with browse(pbx) as page:
        page.open().log_in("looks").wait_live()
        other = Viewer(pbx)
        [cookie] = page.driver.get_cookies()
        other.cookie = f"{cookie['name']}={cookie['value']}"
        other.ask("POST", "/rawman", {"action": "logoff"})
        page.wait("document.body.dataset.view == 'login'", "the log-in form")
        assert page.text("#login-error") == "Asterisk has forgotten this log-in."


def test_module_and_log_in_that_go_and_come(pbx: Instance, root: Root) -> None:
    with browse(pbx) as page:
        page.open().log_in("acts").wait_live()
        page.wait("document.getElementById('link').dataset.link == 'live'", "the stream")
        pbx.cli("module unload app_elevenlabs_convai")
        page.wait("document.getElementById('link').dataset.link == 'lost'", "no module")
        pbx.cli("module load app_elevenlabs_convai")
        page.wait(
            "document.getElementById('link').dataset.link != 'lost'", "the module", 40 * SECOND
        )
        with call_with(pbx, root):
            page.wait_calls(1)
        page.wait_calls(0)
        page.click("#logout")
        page.wait("document.body.dataset.view == 'login'", "the log-in form")
        page.open()
        assert page.run("document.body.dataset.view") == "login"
