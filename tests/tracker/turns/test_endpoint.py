import pytest

from tracker.bench.endpoints import ReferenceSegment as Spoken
from tracker.bench.endpoints import is_cut
from tracker.turns.endpoint import EndpointRule


@pytest.mark.parametrize(
    ("reference", "cut"),
    [
        ([Spoken(0, 5, "a")], False),  # the annotation ends a little later than the voice
        ([Spoken(0, 9, "a")], True),  # ... or runs on through the pause
        ([Spoken(0, 5, "a"), Spoken(6, 9, "a")], True),
        ([Spoken(0, 5, "a"), Spoken(6.5, 9, "a")], False),  # too late to be the same turn
        ([Spoken(0, 5, "a"), Spoken(5.2, 5.6, "b"), Spoken(6, 9, "a")], False),  # somebody else had the floor
        ([Spoken(0, 5, "a"), Spoken(3, 4, "b"), Spoken(6, 9, "a")], True),  # ... or no longer had it
        ([Spoken(6, 9, "a")], False),  # nobody spoke
    ],
)
def test_a_turn_is_cut_where_its_speaker_goes_on_and_nobody_else_has_begun(reference, cut):
    assert is_cut(4.9, reference) == cut


@pytest.mark.parametrize(("complete", "silence"), [(0.0, 45), (0.7, 45), (0.71, 15), (1.0, 15)])
def test_a_turn_that_sounds_complete_is_waited_for_less_long(complete, silence):
    assert EndpointRule(15, 45, 0.7).silence(complete) == silence
