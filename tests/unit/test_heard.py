"""What the caller has heard of a response, by the positions of the playout queue."""

from __future__ import annotations

from pyconvai.conversation.heard import Heard


def test_nothing_has_been_cut() -> None:
    assert str(Heard()) == "heard: nothing"


def test_part_of_a_response() -> None:
    heard = Heard()
    heard.begin(7, 0)
    heard.cut(3000, 1000)
    assert str(heard) == "heard: 2000 of 3000 ms of response 7"


def test_an_earlier_response_waits_as_well() -> None:
    """Then nothing of the last one has been heard, and never less than nothing."""
    heard = Heard()
    heard.begin(7, 0)
    heard.begin(8, 3000)
    heard.cut(4000, 1500)
    assert str(heard) == "heard: 0 of 1000 ms of response 8"


def test_nothing_new_since_the_last_cut() -> None:
    """L11: a hold that ends flushes once more, and what was heard before it stays as it was."""
    heard = Heard()
    heard.begin(7, 0)
    heard.cut(3000, 1000)
    heard.cut(3000, 0)
    assert str(heard) == "heard: 2000 of 3000 ms of response 7"


def test_a_reply_under_the_same_id_is_a_response_of_its_own() -> None:
    heard = Heard()
    heard.begin(7, 0)
    heard.cut(3000, 1000)
    assert heard.event_id is None
    heard.begin(7, 3000)
    heard.cut(3500, 0)
    assert str(heard) == "heard: 500 of 500 ms of response 7"
