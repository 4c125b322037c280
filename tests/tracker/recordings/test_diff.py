import json

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.sessions import Script, bare, conversation, sessions
from tracker.events import TurnEnded, TurnSkipped
from tracker.recordings.diff import _near_in_time, align, compare, overlap
from tracker.recordings.diff_text import lines, to_plain

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)

OTHER = {
    "speaker": "Speaker 9",
    "speaker_name": "Somebody else",
    "ended_by": "max_length",
    "text": "something else altogether",
    "language": "sv",
    "emotion": "disgust",
    "confidence": 0.123456789,
    "abstained": None,
    "abstained_reason": "for another reason",
    "sentiment": "positive",
    "modalities": {"text": "used", "audio": "not heard", "video": "no camera"},
    "probabilities": {"joy": 1.0},
}


@calm
@given(sessions())
def test_a_session_is_like_itself(events):
    assert not compare(events, events)
    assert list(lines(compare(events, events))) == []
    again = [event.model_copy(update={"session": "s-2", "seq": event.seq + 5}) for event in events]
    assert not compare(events, again)


@calm
@given(sessions(), st.data())
def test_any_single_change_in_a_turn_is_found_and_named(events, data):
    ended = [place for place, event in enumerate(events) if isinstance(event, TurnEnded)]
    if not ended:
        return
    place = data.draw(st.sampled_from(ended))
    name = data.draw(st.sampled_from(sorted(OTHER)))
    turn = events[place]
    other = not turn.abstained if name == "abstained" else OTHER[name]
    assume(getattr(turn, name) != other)
    changed = [*events]
    changed[place] = turn.model_copy(update={name: other})
    (found,) = compare(events, changed).turns
    assert (found.a, found.b) == (turn, changed[place])
    assert [field.name for field in found.fields] == [name]
    (line,) = lines(compare(events, changed))
    assert name in line
    json.dumps(to_plain(compare(events, changed)))


@calm
@given(sessions(), st.data())
def test_a_turn_that_is_gone_is_found(events, data):
    numbers = [event.turn for event in events if isinstance(event, TurnEnded | TurnSkipped)]
    if not numbers:
        return
    number = data.draw(st.sampled_from(numbers))
    fewer = [event for event in events if getattr(event, "turn", None) != number]
    gone, new = compare(events, fewer), compare(fewer, events)
    assert sum(change.b is None for change in gone.turns) - sum(change.a is None for change in gone.turns) == 1
    assert sum(change.a is None for change in new.turns) - sum(change.b is None for change in new.turns) == 1


def talk(*spans, channel=0, text="yes"):
    script = Script().start()
    for begin, end in spans:
        script.says(begin, end, "Speaker 1", text, channel=channel)
    return script.end(30)


def pairs(a, b):
    of = [[event for event in events if isinstance(event, TurnEnded)] for events in (a, b)]
    return [(one and one.turn, other and other.turn) for one, other in align(*of)]


def test_turns_are_aligned_by_time():
    a = talk((0, 2), (3, 5), (6, 10))
    assert pairs(a, talk((3.1, 5), (6, 10))) == [(1, None), (2, 1), (3, 2)]
    # A turn that was cut in two: its longer part is its counterpart.
    assert pairs(a, talk((0, 2), (3, 5), (6, 7), (7, 10))) == [(1, 1), (2, 2), (3, 4), (None, 3)]
    assert pairs(a, talk((0, 2), channel=1)) == [(1, None), (None, 1), (2, None), (3, None)]


@calm
@given(sessions(), sessions())
def test_no_two_turns_that_share_time_are_missed(a, b):
    of_a, of_b = ([event for event in events if isinstance(event, TurnEnded | TurnSkipped)] for events in (a, b))
    every = [(i, j) for i in range(len(of_a)) for j in range(len(of_b)) if of_a[i].channel == of_b[j].channel]
    sharing = {(i, j) for i, j in every if overlap(of_a[i], of_b[j])}
    assert sharing <= set(_near_in_time(of_a, of_b)) <= set(every)


def test_what_is_said_of_a_change():
    a, b = conversation(), conversation("s-2")
    at = next(place for place, event in enumerate(b) if isinstance(event, TurnEnded))
    b[at] = b[at].model_copy(update={"emotion": "joy", "confidence": 0.5})
    assert list(lines(compare(a, b))) == [
        "0.4-1.2 s Speaker 1: emotion: 'neutral' -> 'joy'; confidence: 0.710 -> 0.500"
    ]


def test_a_turn_that_was_judged_and_is_skipped_now():
    a, b = Script().start(), Script().start()
    a.says(1, 2, "Speaker 1", "well")
    b.skips(1, 2)
    (change,) = compare(a.end(3), b.end(3)).turns
    assert [field.name for field in change.fields] == ["type"]


def test_words_that_were_not_kept_are_not_compared():
    a, b = talk((0, 1), text="yes"), talk((0, 1), text="")
    assert compare(a, b)
    assert not compare(a, b, words=False)


def test_pauses_marks_names_and_the_session_itself_are_compared():
    a, b = Script().start(), Script().start()
    a.marks(2, "here").pauses(3).resumes(3, 1000)
    b.pauses(3).resumes(3, 2000).renames(4, "Speaker 1", "Ada")
    found = compare(a.end(5), b.end(5, outcome="stopped"))
    assert [(remark.only_in, remark.event["type"]) for remark in found.remarks] == [
        ("a", "moment.marked"),
        ("b", "speaker.renamed"),
    ]
    assert [(field.name, field.a, field.b) for field in found.session] == [("outcome", "completed", "stopped")]
    assert "2.0 s: moment.marked (note 'here'): only in A" in lines(found)


def test_a_bare_event_has_no_id_and_no_clock():
    turn = bare(next(event for event in conversation() if isinstance(event, TurnEnded)))
    assert {"session", "start_time", "end_time", "latency_ms"}.isdisjoint(turn)
    assert turn["start_ns"] == 400_000_000


@given(st.floats(-1e-6, 1e-6), st.floats(1e-9, 1e-5))
def test_probabilities_may_differ_by_a_tolerance(noise, tolerance):
    a, b = conversation(), conversation()
    at = next(place for place, event in enumerate(b) if isinstance(event, TurnEnded))
    likely = {name: p + (noise if name == "joy" else 0) for name, p in b[at].probabilities.items()}
    b[at] = b[at].model_copy(update={"probabilities": likely, "confidence": b[at].confidence - noise})
    joy, sure = a[at].probabilities["joy"], a[at].confidence
    near = max(abs(likely["joy"] - joy), abs(b[at].confidence - sure)) <= tolerance
    assert bool(compare(a, b, tolerance=tolerance)) is not near
    assert compare(a, [*b[:-1], b[-1].model_copy(update={"media_ns": 1})], tolerance=1.0)
