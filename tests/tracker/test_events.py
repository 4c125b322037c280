import json
import os
from datetime import UTC, datetime, timedelta, timezone

import jsonschema
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import MELD_LABELS, EmotionScores
from tests.support.fakes import INFO, Collect, FakeClock, FakeSource, outlets, steps
from tests.support.sessions import Script, conversation
from tracker import pipeline
from tracker.events import (
    Latency,
    Preview,
    SessionEnded,
    SessionStarted,
    SpeakerRenamed,
    Stamp,
    TurnEnded,
    from_json,
    json_schema,
    to_json,
    with_merged_speakers,
    without_words,
)
from tracker.runtime.clock import NS_PER_S, ns_to_samples, samples_to_ns, wall_time

TURN = "#####" + "......" + ".."


@pytest.fixture
async def session():
    collect = Collect()
    fates = ["merged", "silent", "failed"]
    await pipeline.run(
        FakeSource(TURN * 3), lambda _: steps(fates), outlets(collect), INFO, FakeClock(), pipeline.Control()
    )
    return collect.events


@pytest.mark.anyio
async def test_every_event_fits_the_published_schema(session):
    schema = jsonschema.Draft202012Validator(json_schema())
    schema.check_schema(schema.schema)
    for event in session:
        schema.validate(json.loads(to_json(event)))
        assert from_json(to_json(event)) == event
    assert {event.type for event in session} == {
        "session.started", "turn.started", "speaker.merged", "turn.ended", "turn.skipped", "session.ended",
    }  # fmt: skip


@pytest.mark.anyio
async def test_unknown_fields_and_kinds_are_refused(session):
    line = to_json(session[0])
    with pytest.raises(pydantic.ValidationError):
        from_json(line.replace('"type"', '"kind"'))
    with pytest.raises(pydantic.ValidationError):
        from_json(line[:-1] + ', "more": 1}')
    with pytest.raises(pydantic.ValidationError):
        from_json(line.replace("emotion-tracker/1", "emotion-tracker/2"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("session.started", "time", "2026-99-02T03:04:05.000Z"),
        ("session.started", "session", "s" * 201),
        ("session.started", "channels", 2**63),
        ("turn.started", "start_ns", 2**63),
        ("turn.ended", "turn", 10**400),
        ("turn.ended", "channel", 2**63),
        ("turn.ended", "end_time", "0000-01-02T03:04:05.000Z"),
        ("turn.ended", "confidence", float("nan")),
        ("turn.ended", "latency_ms", dict.fromkeys(Latency.model_fields, 1e308)),
        ("turn.ended", "latency_ms", dict.fromkeys(Latency.model_fields, float("inf"))),
        ("session.ended", "turns_ended", 2**63),
        ("session.ended", "dropped", {"edge": -1}),
    ],
)
async def test_what_no_session_has_is_refused(session, kind, field, value):
    event = next(event for event in session if event.type == kind)
    line = json.dumps(json.loads(to_json(event)) | {field: value})
    with pytest.raises(pydantic.ValidationError, match=field):
        from_json(line)


def distribution(**weights: float) -> EmotionScores:
    total = sum(weights.values())
    values = tuple(weights.get(name, 0.0) / total for name in MELD_LABELS.labels)
    return EmotionScores(MELD_LABELS, values, {})


def test_sentiment_sums_over_emotions():
    assert distribution(neutral=1).sentiment == "neutral"
    assert distribution(joy=1).sentiment == "positive"
    assert distribution(neutral=4, anger=2, disgust=2, fear=1).sentiment == "negative"
    assert distribution(surprise=3, joy=1).sentiment == "positive"


@pytest.mark.parametrize("wrong", [(0.5,) * 7, (1.0,), (1.5, -0.5, 0, 0, 0, 0, 0), (float("nan"),) * 7])
def test_what_is_no_distribution_is_refused(wrong):
    with pytest.raises(ValueError, match="not a distribution"):
        EmotionScores(MELD_LABELS, wrong, {})


@given(st.integers(0, 10**12), st.sampled_from([8000, 16_000, 44_100, 48_000]))
def test_samples_and_media_time_are_inverse(samples, rate):
    assert ns_to_samples(samples_to_ns(samples, rate), rate) == samples


def test_wall_time_is_utc_wherever_the_clock_is():
    start = datetime(2026, 3, 1, 1, 0, 0, tzinfo=timezone(timedelta(hours=2)))
    assert wall_time(start, 3 * NS_PER_S // 2) == "2026-02-28T23:00:01.500Z"
    assert Stamp("s", start.astimezone(UTC)).wall(0) == "2026-02-28T23:00:00.000Z"


def test_what_is_no_unicode_is_published_with_replacement_characters():
    name = os.fsdecode(b"entrevue_\xe9t\xe9.flac")
    first, last = conversation()[0], conversation()[-1]
    told = {**first.model_dump(), "source": name, "notice": name, "models": {"adapter": name}}
    started = SessionStarted(**told)
    assert (started.source, started.notice) == ("entrevue_\ufffdt\ufffd.flac",) * 2
    assert from_json(to_json(started)) == started
    ended = SessionEnded(**{**last.model_dump(), "error": f"{name}: ends in the middle"})
    assert ended.error == "entrevue_\ufffdt\ufffd.flac: ends in the middle"
    assert from_json(to_json(ended)) == ended


def test_without_words_nothing_of_what_was_said_is_left():
    *_, ended = Script().start().says(0, 1, "A", "secret", words=[("secret", 0, 1)]).events
    ended = ended.model_copy(update={"text_en": "secret"})
    assert "secret" in to_json(ended)
    assert "secret" not in to_json(without_words(ended))
    assert from_json(to_json(ended)) == ended
    opened, now = Script().start().events[0], Script().stamp.span(0, NS_PER_S)
    preview = Preview(
        session="s-1", seq=opened.seq, turn=1, channel=0, speaker="A", text="secret now", stable="secret", **now,
        emotion="joy", probabilities={"joy": 1.0}, confidence=1.0,
    )  # fmt: skip
    assert "secret" in to_json(preview)
    assert "secret" not in to_json(without_words(preview))


def test_the_turns_of_speakers_who_are_one_are_the_one_s_that_stays():
    script = Script().start().says(0, 1, "Speaker 1", "a").says(2, 3, "Speaker 2", "b").says(4, 5, "Speaker 3", "c")
    script.renames(5, "Speaker 3", "Anna").merges(6, "Speaker 3", "Speaker 2").merges(7, "Speaker 2", "Speaker 1")
    found = with_merged_speakers(script.events)
    assert {event.speaker for event in found if isinstance(event, TurnEnded | SpeakerRenamed)} == {"Speaker 1"}
    assert [event.seq for event in found] == [event.seq for event in script.events]


@given(st.lists(st.tuples(*[st.sampled_from("abc")] * 2), max_size=6))
def test_whatever_a_log_says_of_speakers_it_can_be_read(pairs):
    script = Script().start().says(0, 1, "a", "x").says(2, 3, "b", "y")
    for speaker, into in pairs:
        script.merges(4, speaker, into)
    assert len(with_merged_speakers(script.events)) == len(script.events)
