"""`testbed up --agent`: a file of production leads to the mock agent, and nowhere else."""

from __future__ import annotations

from testbed.service import led_to

URL, KEY = "http://127.0.0.1:8765", "/etc/asterisk/elevenlabs.key"
WHERE = f"[general]\nbase_url = {URL}\napi_key_file = {KEY}\n"


def test_a_file_without_general_gets_one() -> None:
    text = "[sales]\nagent_id = a\n"
    assert led_to(URL, KEY, text) == f"{WHERE}\n{text}"


def test_addresses_and_keys_are_left_out_and_the_rest_stays() -> None:
    text = """\
; keys
[general](+)
api_key_file = /etc/key
chunk_ms = 40
[sales]
agent_id = a
  base_url=https://example.org
api_key => secret
ca_file = /x
tls_verify = no
signed_url_endpoint = /sign
"""
    assert led_to(URL, KEY, text) == f"; keys\n{WHERE}chunk_ms = 40\n[sales]\nagent_id = a\n"


def test_nothing_becomes_an_empty_configuration() -> None:
    assert led_to(URL, KEY, "") == f"{WHERE}\n"
