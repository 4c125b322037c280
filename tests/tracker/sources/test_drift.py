from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.runtime.clock import NS_PER_MS, NS_PER_S
from tracker.sources.drift import MediaClock

BLOCK_NS = 20 * NS_PER_MS


def heard(ppm: float, seconds: int, late_ms: list[float]) -> tuple[MediaClock, int]:
    """A microphone whose clock runs ahead by so much, its blocks late in turn by so much."""
    clock, began = MediaClock(), 5 * NS_PER_S
    for block in range(1, seconds * 50):
        media = block * BLOCK_NS
        arrived = began + round(media / (1 + ppm / 1e6) + late_ms[block % len(late_ms)] * NS_PER_MS)
        clock.note(arrived, media)
    return clock, began


@settings(max_examples=30)
@given(st.floats(-300, 300), st.integers(60, 300), st.lists(st.floats(2, 90), min_size=3, max_size=40), st.randoms())
def test_drift_and_offset_are_found_under_any_delays(ppm, seconds, late_ms, random):
    late_ms = [2.0, *late_ms]
    random.shuffle(late_ms)
    clock, began = heard(ppm, seconds, late_ms)
    assert abs(clock.drift_ppm - ppm) < 20
    for second in (1, seconds // 2, seconds - 1, seconds + 60):
        truly = second * NS_PER_S * (1 + ppm / 1e6)
        found = clock.media_ns(began + second * NS_PER_S)
        assert found is not None
        assert abs(found + 2 * NS_PER_MS - truly) < 3 * NS_PER_MS  # the shortest delay cannot be told from an offset


def test_nothing_is_known_before_anything_is_heard_and_after_a_pause():
    clock = MediaClock()
    assert clock.media_ns(0) is None
    assert clock.drift_ppm == 0.0
    clock, began = heard(100, 60, [1.0])
    clock.restart()
    assert clock.media_ns(began) is None
    clock.note(began + 200 * NS_PER_S, 60 * NS_PER_S)
    assert clock.media_ns(began + 201 * NS_PER_S) == 61 * NS_PER_S
    assert clock.drift_ppm == 0.0


def test_a_few_seconds_tell_no_drift():
    clock, began = heard(0, 5, [30, 1, 20])
    assert clock.drift_ppm == 0.0
    assert abs((clock.media_ns(began + 3 * NS_PER_S) or 0) - 3 * NS_PER_S) < 2 * NS_PER_MS
