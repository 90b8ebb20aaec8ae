"""Histograms and stamps held against the simplest thing that could be right, by hypothesis.

The C code is compiled as it is and called through cffi. Threads are ``test_threads.py``'s matter.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.frame_reader import examples
from tests.unit.kept import module

LAST_US = 2**24 - 1
"""The longest time that has a bucket of its own size."""

CALLS = """
enum { CONVAI_TIMING_BUCKETS = ..., CONVAI_STAMPS = ... };
struct convai_timing { uint64_t max_us; uint64_t counts[...]; };
struct convai_histogram { ...; };
uint32_t convai_histogram_bucket(uint64_t us);
uint64_t convai_histogram_upper(uint32_t bucket);
void convai_histogram_add(struct convai_histogram *histogram, int64_t us);
void convai_histogram_copy(struct convai_histogram *histogram, struct convai_timing *timing);

struct convai_stamps { ...; };
void convai_stamps_put(struct convai_stamps *stamps, uint64_t from, uint64_t to, int64_t now_us);
int64_t convai_stamps_find(struct convai_stamps *stamps, uint64_t position);
"""


@pytest.fixture(scope="module")
def c() -> Any:
    """The compiled headers: (ffi, lib)."""
    source = '#include "histogram.h"\n#include "stamps.h"\n'
    return module("convai_histogram", CALLS, source, unused=True)


def upper(us: int) -> int:
    """The longest time that is counted together with this one."""
    us = min(max(us, 0), LAST_US)
    step = 1 << max(us.bit_length() - 5, 0)
    return us // step * step + step - 1


times = st.integers(-10, 100) | st.integers(0, 2 * LAST_US) | st.integers(0, 2**62)
relaxed = examples(100, 5_000)


def test_buckets_cover_all_times_without_gap(c: Any) -> None:
    """Each a sixteenth wide at most, from microseconds to 16 s."""
    uppers = [c.lib.convai_histogram_upper(i) for i in range(c.lib.CONVAI_TIMING_BUCKETS)]
    assert (uppers[0], uppers[-1]) == (0, LAST_US)
    for i, (below, above) in enumerate(pairwise(uppers), 1):
        assert 0 < above - below <= max(1, (below + 1) // 16)
        assert c.lib.convai_histogram_bucket(below + 1) == i
        assert c.lib.convai_histogram_bucket(above) == i
    assert c.lib.convai_histogram_bucket(2**63) == c.lib.CONVAI_TIMING_BUCKETS - 1


@relaxed
@given(values=st.lists(times, max_size=60))
def test_a_histogram_counts_each_time_where_it_belongs(c: Any, values: list[int]) -> None:
    histogram, timing = c.ffi.new("struct convai_histogram *"), c.ffi.new("struct convai_timing *")
    for value in values:
        c.lib.convai_histogram_add(histogram, value)
    c.lib.convai_histogram_copy(histogram, timing)
    counted = {c.lib.convai_histogram_upper(i): n for i, n in enumerate(timing.counts) if n}
    assert counted == Counter(upper(value) for value in values)
    assert timing.max_us == max([0, *values])


@relaxed
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["stamped", "not stamped"]), st.integers(1, 30))
        | st.tuples(st.just("look"), st.integers(0, 60)),
        max_size=120,
    )
)
def test_a_byte_has_its_own_time_or_none(c: Any, steps: list[tuple[str, int]]) -> None:
    """None where it was put without one, or found no room; never that of another byte."""
    stamps = c.ffi.new("struct convai_stamps *")
    kept: list[tuple[range, int]] = []
    put = looked = 0
    for now, (what, n) in enumerate(steps, 1):
        if what == "look":
            looked = min(looked + n, put)
            kept = [(where, at) for where, at in kept if where.stop > looked]
            known = [at for where, at in kept if looked in where]
            assert c.lib.convai_stamps_find(stamps, looked) == (known[0] if known else 0)
            continue
        if what == "stamped":
            c.lib.convai_stamps_put(stamps, put, put + n, now)
            if len(kept) < c.lib.CONVAI_STAMPS:
                kept.append((range(put, put + n), now))
        put += n
