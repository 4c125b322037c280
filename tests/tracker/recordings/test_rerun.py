"""A second run over the same media: what people did in the first one is taken over, and the log is the same."""

from dataclasses import replace
from pathlib import Path

import anyio
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fakes import LIMITS, Collect, FakeClock, FakeSource, header, outlets, stamp, steps
from tests.support.recordings import hear, joined
from tests.support.sessions import LABELS, Script
from tracker.errors import SessionError
from tracker.events import Asked, SessionEnded, TurnEnded
from tracker.pipeline import run
from tracker.recordings.diff import bare, compare
from tracker.recordings.format import AudioTrack, StartFile, StopFile
from tracker.recordings.replay import RecordedSession
from tracker.recordings.rerun import not_the_same, past_of, tracks_of
from tracker.runtime.control import Control
from tracker.sources.media import AudioChunk
from tracker.sources.recorded_audio import RecordedSource
from tracker.sources.resample import as_recorded
from tracker.sources.video import NoVideo, RecordedVideo
from tracker.turns.recorded_pauses import RecordedPauses
from tracker.turns.segment import AudioSegmenter
from tracker.turns.segmenter import SpeechFrame
from tracker.turns.turn import Turn, TurnOpened

ACTIONS = {
    "pause": lambda control: (control.pause(), control.resume()),
    "mark": lambda control: control.mark("here"),
    "rename": lambda control: control.rename("Speaker 1", "Ada"),
    "stop": lambda control: control.stop(),
}
calm = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def recorded(events, channels=1, audio=()) -> RecordedSession:
    """What a recorder would have kept of these events."""
    first, last = events[0], events[-1]
    start = StartFile(
        session=first.session, started_at=first.time, software=first.software, source=first.source, live=first.live,
        channels=channels, labels=LABELS, models=first.models, config={},
    )  # fmt: skip
    stop = None
    if isinstance(last, SessionEnded):
        stop = StopFile(
            session=last.session, ended_at=last.time, outcome=last.outcome, error=last.error, media_ns=last.media_ns,
            events=len(events), turns_started=last.turns_started, turns_ended=last.turns_ended,
            turns_skipped=last.turns_skipped, dropped=last.dropped, audio=list(audio),
        )  # fmt: skip
    return RecordedSession(start, stop, tuple(events), torn=False)


async def again(pattern, events):
    """Run the same media a second time."""
    past, collect = past_of(recorded(events)), Collect()

    def made(_):
        plain = steps()
        return replace(plain, segmenter=RecordedPauses(plain.segmenter, [0], past.pauses))

    how = "stopped" if past.stopped else "completed"
    source = FakeSource(pattern)
    await run(source, made, outlets(collect), header, stamp, FakeClock(), Control(), past.asked, ended_as=how)
    return collect.events


@calm
@given(
    st.lists(st.tuples(st.sampled_from(".#"), st.integers(1, 15)), max_size=12),
    st.dictionaries(st.integers(0, 60), st.sampled_from(sorted(ACTIONS)), max_size=5),
)
def test_the_same_media_give_the_same_log_whatever_people_did(runs, asked):
    pattern = "".join(sign * length for sign, length in runs)
    asked = {at: what for at, what in asked.items() if at < len(pattern)}
    if stops := [at for at, what in asked.items() if what == "stop"]:
        asked = {at: what for at, what in asked.items() if at <= min(stops)}

    async def both():
        control, collect = Control(), Collect()
        at = {at: (lambda what=what: ACTIONS[what](control)) for at, what in asked.items()}
        source = FakeSource(pattern, at=at)
        await run(source, lambda _: steps(), outlets(collect), header, stamp, FakeClock(), control)
        heard = pattern[: min(stops) + 1] if stops else pattern
        return collect.events, await again(heard, collect.events)

    first, second = anyio.run(both)
    assert [bare(event) for event in first] == [bare(event) for event in second]
    assert not compare(first, second)


def loud_is_voice():
    return lambda samples: SpeechFrame(bool(np.mean(samples**2) > 0.1), float(np.mean(samples**2)))


@calm
@given(
    st.lists(st.booleans(), min_size=1, max_size=80),
    st.lists(st.integers(0, 80 * 320), max_size=3).map(sorted),
    st.integers(100, 1000),
)
def test_turns_end_where_listening_was_paused_however_the_audio_is_cut(loud, pauses, size):
    samples = np.repeat(np.where(loud, 0.9, 0.0), 320).astype(np.float32)
    pauses = [at for at in pauses if at < len(samples)]

    def segmenter():
        return AudioSegmenter(2, loud_is_voice, LIMITS, None)

    by_hand, wanted = segmenter(), []
    for begin, end in zip([0, *pauses], [*pauses, len(samples)], strict=True):
        for channel in range(2):
            wanted += by_hand.feed(AudioChunk(channel, begin, samples[begin:end]))
        wanted += by_hand.finish()

    paused, found = RecordedPauses(segmenter(), range(2), pauses), []
    for begin in range(0, len(samples), size):
        for channel in range(2):
            found += paused.feed(AudioChunk(channel, begin, samples[begin : begin + size]))
    found += paused.finish()
    assert paused.media_ns == by_hand.media_ns

    def told(records):
        return [
            (type(one).__name__, one.number, one.channel, one.start_ns, getattr(one, "end_ns", 0))
            for one in records
            if isinstance(one, TurnOpened | Turn)
        ]

    assert told(found) == told(wanted)


@pytest.mark.anyio
async def test_the_channels_of_a_session_are_one_source(tmp_path):
    one, two = (np.arange(1000) % 7 / 10).astype(np.float32), (np.arange(700) % 5 / 10).astype(np.float32)
    for channel, samples in ((0, one), (2, two)):
        soundfile.write(tmp_path / f"audio-{channel}.flac", samples, 16_000, "PCM_16")
    tracks = [(channel, tmp_path / f"audio-{channel}.flac") for channel in (0, 2)]
    source = RecordedSource("mic", tracks, 3, block_ms=20)
    chunks, error = await hear(source)
    assert error is None
    assert (source.name, source.channels, source.live) == ("mic", 3, False)
    assert [chunk.channel for chunk in chunks] == [0, 2, 0, 2, 0, 2, 0]
    for channel, samples in ((0, one), (2, two)):
        np.testing.assert_array_equal(joined(chunks, channel), as_recorded(AudioChunk(channel, 0, samples)).samples)


def test_what_is_heard_is_what_is_kept():
    sound = AudioChunk(1, 320, np.random.default_rng(0).uniform(-1.1, 1.1, 320).astype(np.float32))
    kept = as_recorded(sound)
    np.testing.assert_array_equal(as_recorded(kept).samples, kept.samples)
    assert np.abs(kept.samples - np.clip(sound.samples, -1, 1)).max() <= 1 / 32768
    assert (kept.channel, kept.start) == (1, 320)


def test_what_a_second_run_takes_over():
    script = Script().start(live=True).marks(1, "here").pauses(2.0000625).resumes(2.0000625, 500)
    past = past_of(recorded(script.renames(3, "Speaker 1", "Ada").end(4, outcome="stopped")))
    assert (past.source, past.live, past.stopped, past.pauses) == ("telephone.wav", True, True, [32_001])
    assert len(past.asked) == 4
    assert all(isinstance(event, Asked) for event in past.asked)


def test_a_session_without_audio_is_refused_in_a_sentence(tmp_path):
    events = Script().start(channels=2).end(1)
    with pytest.raises(SessionError, match=r"its audio was not kept, .* record.audio = true can"):
        tracks_of(tmp_path, recorded(events))
    tracks = [AudioTrack(channel=at, file=f"audio-{at}.flac", samples=1, silence=0) for at in range(2)]
    with pytest.raises(SessionError, match="its audio was not kept"):
        tracks_of(tmp_path, recorded(events, 2, tracks))
    (tmp_path / "audio-1.flac").touch()
    with pytest.raises(SessionError, match=r"audio-0.flac is missing; without it the session is not the same"):
        tracks_of(tmp_path, recorded(events, 2, tracks))
    # One that was cut off has what it has.
    assert tracks_of(tmp_path, recorded(events[:-1], 2)) == [(1, Path(tmp_path / "audio-1.flac"))]


def test_why_a_second_run_may_differ():
    events = Script().start().end(1)
    models = dict(events[0].models)
    assert not_the_same(recorded(events), models) == []
    assert not_the_same(recorded(events), models | {"adapter": "other"}) == ["the adapter was meld-1, and is other now"]
    (cut,) = not_the_same(recorded(events[:-1]), models)
    assert "cut off" in cut
    assert len(not_the_same(recorded(Script().start().end(1, outcome="aborted", dropped={"chunks": 1})), models)) == 2


def test_what_was_looked_at_is_looked_at_again_where_it_was_kept(tmp_path):
    def seen(source, config, models):
        session = recorded(Script().start(source).end(1))
        start = session.start.model_copy(update={"config": config, "models": {**session.start.models, **models}})
        return replace(session, start=start)

    faces = {"faces": "centerface", "expressions": "mini-xception-fer"}
    auto, camera = {"video": {"source": "auto"}}, {"video": {"source": "0"}}
    for source, config, reason in [
        ("mic", auto, "no camera"),
        ("call.wav", auto, "no picture"),
        ("call.wav", {"video": {"source": ""}}, "no camera"),
        ("old.wav", {}, "no camera"),  # from before there was a picture
    ]:
        past = past_of(seen(source, config, {}))
        assert past.video(tmp_path) == NoVideo(reason)
    talk, live = seen("talk.mp4", auto, faces), seen("mic", camera, faces)
    assert past_of(talk).video(tmp_path) == NoVideo("picture not kept")
    (lost,) = not_the_same(talk, {name: model for name, model in talk.start.models.items() if name not in faces})
    assert lost == "its pictures were not kept, or with faces blurred: it is judged without faces now"
    file = tmp_path / "video.mkv"
    file.touch()
    assert past_of(talk).video(tmp_path) == RecordedVideo(str(file), "video.mkv", "no picture")
    assert past_of(live).video(tmp_path) == RecordedVideo(str(file), "video.mkv", "camera off")
    assert not_the_same(talk, talk.start.models) == []
    hidden = seen("talk.mp4", auto | {"record": {"blur_faces": True}}, faces)
    assert past_of(hidden).video(tmp_path) == NoVideo("picture not kept")


def test_what_was_asked_for_is_published_even_where_fewer_turns_are_found():
    script = Script().start().says(0.1, 0.2, "Speaker 1", "a").says(0.3, 0.4, "Speaker 1", "b").marks(1, "here")
    events = anyio.run(again, "." * 60, script.end(1.2))
    assert [event.type for event in events] == ["session.started", "moment.marked", "session.ended"]
    assert not any(isinstance(event, TurnEnded) for event in events)
