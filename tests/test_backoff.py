"""Pauses between tries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_kueue.backoff import Backoff, pause_by_age


def test_pauses_double_up_to_the_longest():
    backoff = Backoff(1.0, 10.0, jitter=0)
    assert [backoff.next() for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_factor_says_how_fast_they_grow():
    backoff = Backoff(1.0, 100.0, factor=3, jitter=0)
    assert [backoff.next() for _ in range(4)] == [1.0, 3.0, 9.0, 27.0]


def test_after_success_they_begin_with_the_first():
    backoff = Backoff(1.0, 10.0, jitter=0)
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert [backoff.next(), backoff.next()] == [1.0, 2.0]


def test_a_lower_limit_holds_at_once_and_the_next_pauses_grow_from_it():
    backoff = Backoff(1.0, 10.0, jitter=0)
    for _ in range(5):
        backoff.next()
    assert [backoff.next(3.0), backoff.next(3.0), backoff.next()] == [3.0, 3.0, 6.0]


def test_a_first_pause_is_never_longer_than_the_longest():
    backoff = Backoff(5.0, 2.0, jitter=0)
    assert [backoff.next(), backoff.next()] == [2.0, 2.0]


@given(
    first=st.floats(0.001, 10),
    longest=st.floats(10, 100),
    factor=st.floats(1, 10),
    jitter=st.floats(0, 1),
)
def test_only_the_jitters_share_of_a_pause_is_random(first, longest, factor, jitter):
    backoff = Backoff(first, longest, factor=factor, jitter=jitter)
    steady = Backoff(first, longest, factor=factor, jitter=0)
    for _ in range(10):
        whole = steady.next()
        assert whole * (1 - jitter) <= backoff.next() <= whole


def test_those_who_failed_together_do_not_try_again_together():
    assert len({Backoff(1.0, 10.0).next() for _ in range(50)}) > 1


@pytest.mark.parametrize(("age", "pause"), [(0, 1.0), (2, 1.0), (8, 2.0), (40, 10.0), (4000, 15.0)])
def test_what_has_lasted_long_is_looked_at_rarely(age, pause):
    assert pause_by_age(age, 1.0, 15.0) == pause
