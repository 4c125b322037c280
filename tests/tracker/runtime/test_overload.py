"""What is left out for lack of time, in which order."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.fakes import FakeClock
from tracker.metrics.gauges import Gauges
from tracker.runtime.clock import NS_PER_MS
from tracker.runtime.overload import LEVELS, LoadMonitor, level_of

levels = st.sampled_from(LEVELS)
counts = st.integers(0, 50)
waits = st.floats(0, 20_000)


@given(counts, waits, counts, waits, levels)
def test_more_turns_and_longer_waits_never_leave_out_less(count, ms, more, longer, before):
    worse = level_of(count + more, ms + longer, before)
    assert LEVELS.index(worse) >= LEVELS.index(level_of(count, ms, before))


@given(waits, levels)
def test_nothing_is_left_out_where_nobody_waits(ms, before):
    assert level_of(0, ms, before) == "normal"


@given(counts, waits, levels)
def test_a_level_is_held_or_is_what_it_would_be_anyway(count, ms, before):
    found = level_of(count, ms, before)
    assert found in (before, level_of(count, ms))
    assert level_of(count, ms, found) == found  # asked again, it does not change


def test_things_go_in_the_stated_order():
    assert [level_of(1, ms) for ms in (100, 500, 1500, 5000)] == list(LEVELS)
    assert level_of(12, 300) == "no_partials"  # many that wait a little are as bad as one that waits long


def test_a_level_ends_well_below_where_it_began():
    assert level_of(1, 300, "no_speculation") == "no_speculation"
    assert level_of(1, 150, "no_speculation") == "normal"


def test_turns_of_all_sessions_wait_together_and_those_of_a_session_that_ends_are_forgotten():
    clock = FakeClock()
    load, one, other = LoadMonitor(clock), object(), object()
    gauges = Gauges(load)
    assert gauges.may_publish_partials()
    long_ago = clock.now - 5000 * NS_PER_MS
    load.turn_decided(one, 1, long_ago)
    load.turn_decided(other, 1, clock.now)
    assert load.waiting == 2
    assert load.update() == "waiting"
    assert not load.may_speculate()
    assert not gauges.may_publish_partials()
    assert Gauges().may_publish_partials()  # where nobody counts, there is time
    load.turn_published(one, 1)
    assert load.update() == "normal"
    assert load.may_speculate()
    assert load.may_publish_partials()
    load.session_ended(other)
    assert load.waiting == 0
