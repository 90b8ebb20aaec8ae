"""Ring and playout queue held against the simplest thing that could be right, by hypothesis.

The C code is compiled as it is and called through cffi. Threads are another test's matter
(``test_threads.py``): here one thread plays both sides, in every order.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.frame_reader import examples
from tests.unit.kept import module

CALLS = """
struct convai_ring { ...; };
int convai_ring_init(struct convai_ring *ring, uint64_t capacity);
void convai_ring_free(struct convai_ring *ring);
uint64_t convai_ring_room(struct convai_ring *ring);
uint64_t convai_ring_waiting(struct convai_ring *ring);
uint32_t convai_ring_put(struct convai_ring *ring, const uint8_t *bytes, int fill, uint32_t length);
void convai_ring_take(struct convai_ring *ring, uint8_t *out, uint64_t length);
void convai_ring_skip(struct convai_ring *ring, uint64_t length);

struct convai_segment { uint8_t data[]; ...; };
struct convai_playout { ...; };
struct convai_segment *convai_segment_new(uint32_t length);
int convai_playout_init(struct convai_playout *playout);
void convai_playout_free(struct convai_playout *playout);
void convai_playout_append(struct convai_playout *playout, struct convai_segment *segment);
uint64_t convai_playout_queued(const struct convai_playout *playout);
uint64_t convai_playout_flush(struct convai_playout *playout, int64_t now_us);
uint32_t convai_playout_take(struct convai_playout *playout, uint8_t *out, uint32_t length,
	uint32_t sample_bytes);
"""


@pytest.fixture(scope="module")
def c() -> Any:
    """The compiled headers: (ffi, lib)."""
    return module("convai_rings", CALLS, '#include "playout.h"\n', unused=True)


data = st.binary(max_size=40)
sizes = st.integers(0, 60)
ring_steps = st.lists(
    st.tuples(st.just("put"), data)
    | st.tuples(st.just("fill"), sizes)
    | st.tuples(st.just("take"), sizes)
    | st.tuples(st.just("skip"), sizes),
    max_size=60,
)
relaxed = examples(100, 5_000)


@relaxed
@given(capacity=st.integers(1, 50), steps=ring_steps)
def test_the_ring_is_a_bounded_queue_of_bytes(c: Any, capacity: int, steps: list[Any]) -> None:
    ffi, lib = c.ffi, c.lib
    ring = ffi.new("struct convai_ring *")
    assert lib.convai_ring_init(ring, capacity) == 0
    model = bytearray()
    for what, value in steps:
        if what in ("put", "fill"):
            length = len(value) if what == "put" else value
            taken = lib.convai_ring_put(ring, value if what == "put" else ffi.NULL, 0xFF, length)
            fits = length <= capacity - len(model)
            assert taken == (length if fits else 0)
            if fits:
                model += value if what == "put" else b"\xff" * length
        else:
            length = min(value, len(model))
            if what == "take":
                out = ffi.new("uint8_t[]", max(1, length))
                lib.convai_ring_take(ring, out, length)
                assert bytes(ffi.buffer(out, length)) == model[:length]
            else:
                lib.convai_ring_skip(ring, length)
            del model[:length]
        assert lib.convai_ring_waiting(ring) == len(model)
        assert lib.convai_ring_room(ring) == capacity - len(model)
    lib.convai_ring_free(ring)


playout_steps = st.lists(
    st.tuples(st.just("append"), st.binary(min_size=1, max_size=40))
    | st.tuples(st.just("take"), sizes)
    | st.tuples(st.just("flush"), st.none()),
    max_size=60,
)


@relaxed
@given(sample_bytes=st.sampled_from([1, 2]), steps=playout_steps)
def test_the_playout_is_a_queue_that_can_be_flushed(
    c: Any, sample_bytes: int, steps: list[Any]
) -> None:
    """Whole samples only, in order; after a flush nothing older is ever given out."""
    ffi, lib = c.ffi, c.lib
    playout = ffi.new("struct convai_playout *")
    assert lib.convai_playout_init(playout) == 0
    model = bytearray()
    for what, value in steps:
        if what == "append":
            segment = lib.convai_segment_new(len(value))
            ffi.memmove(segment.data, value, len(value))
            lib.convai_playout_append(playout, segment)
            model += value
        elif what == "flush":
            assert lib.convai_playout_flush(playout, 1) == len(model)
            model.clear()
        else:
            out = ffi.new("uint8_t[]", max(1, value))
            length = lib.convai_playout_take(playout, out, value, sample_bytes)
            expected = min(len(model) - len(model) % sample_bytes, value)
            assert length == expected
            assert bytes(ffi.buffer(out, length)) == model[:length]
            del model[:length]
        assert lib.convai_playout_queued(playout) == len(model)
    lib.convai_playout_free(playout)
