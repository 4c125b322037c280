"""A second run over the same media: what people did in the first one is taken over, and the log is the same."""

from dataclasses import asdict, replace
from pathlib import Path

import anyio
import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.fakes import INFO, LIMITS, Collect, FakeClock, FakeSource, header, outlets, stamp, steps
from tests.support.recordings import hear, joined
from tests.support.sessions import LABELS, Script, bare
from tracker.errors import SessionError
from tracker.events import RequestEvent, SessionEnded, TurnEnded
from tracker.pipeline import SessionInfo, run
from tracker.recordings.diff import compare
from tracker.recordings.format import AudioTrack, StartFile, StopFile
from tracker.recordings.replay import RecordedSession
from tracker.recordings.rerun import Rerun, audio_files, expected_differences
from tracker.runtime.control import Control, Mark, Pause, Rename, Resume
from tracker.sources.media import AudioChunk
from tracker.sources.recorded_audio import RecordedSource
from tracker.sources.resample import as_recorded
from tracker.sources.video import NoVideo, RecordedVideo
from tracker.turns.segment import AudioSegmenter
from tracker.turns.segmenter import SpeechFrame

ACTIONS = {
    "pause": lambda control: (control.request(Pause()), control.request(Resume())),
    "mark": lambda control: control.request(Mark("here")),
    "rename": lambda control: control.request(Rename("Speaker 1", "Ada")),
    "stop": lambda control: control.stop(),
}
calm = settings(max_examples=40)


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


async def again(source, events):
    """Run the same media a second time."""
    rerun, collect = Rerun(recorded(events)), Collect()

    def made(channels):
        made = replace(steps(), segmenter=AudioSegmenter(channels, loud_is_voice, LIMITS, None))
        for at in rerun.pauses:
            made.segmenter.pause(at)
        return made

    info = SessionInfo(header, stamp, rerun.requests, rerun.ended_as)
    await run(source, made, outlets(collect), info, FakeClock(), Control())
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
        await run(source, lambda _: steps(), outlets(collect), INFO, FakeClock(), control)
        heard = pattern[: min(stops) + 1] if stops else pattern
        return collect.events, await again(FakeSource(heard), collect.events)

    first, second = anyio.run(both)
    assert [bare(event) for event in first] == [bare(event) for event in second]
    assert not compare(first, second)


class BothSpeak(FakeSource):
    """The same on two channels; what is asked for comes between the two chunks of a block."""

    channels = 2

    async def _chunks(self):
        between, self._at = self._at, {}
        async for chunk in super()._chunks():
            yield chunk
            if action := between.pop(chunk.start // 320, None):
                action()
                await anyio.wait_all_tasks_blocked()
            yield replace(chunk, channel=1)


@pytest.mark.anyio
@pytest.mark.parametrize("at", range(12))
async def test_a_pause_between_two_channels_ends_the_turns_of_both_at_the_same_time(at):
    pattern, control, first = "..######....", Control(), Collect()
    source = BothSpeak(pattern, at={at: lambda: ACTIONS["pause"](control)})
    await run(source, of_both, outlets(first), INFO, FakeClock(), control)
    second = await again(BothSpeak(pattern), first.events)
    assert [bare(event) for event in first.events] == [bare(event) for event in second]


@pytest.mark.anyio
async def test_turns_are_over_while_listening_is_paused_between_two_channels():
    control = Control()

    class GoOn(Collect):
        async def run(self, events):
            async for event in events:
                if event.type == "turn.ended" and event.channel == 1:
                    control.request(Resume())

    source = BothSpeak("..######....", at={6: lambda: control.request(Pause())})
    with anyio.fail_after(10):
        await run(source, of_both, outlets(GoOn()), INFO, FakeClock(), control)


def of_both(_):
    return replace(steps(), segmenter=AudioSegmenter(2, loud_is_voice, LIMITS, None))


def told(records):
    """Records with all that they hold, so that they can be compared."""
    return [
        (type(one).__name__, [as_bytes(value) for value in asdict(getattr(one, "turn", one)).values()])
        for one in records
    ]


def as_bytes(value):
    return value.tobytes() if isinstance(value, np.ndarray) else value


def loud_is_voice():
    return lambda samples: SpeechFrame(bool(np.mean(samples**2) > 0.1), float(np.mean(samples**2)))


@calm
@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=80), min_size=1, max_size=3),
    st.lists(st.integers(0, 80 * 320), max_size=4).map(sorted),
    st.lists(st.integers(1, 1000), min_size=3, max_size=3),
    st.integers(0, 4),
)
@example([[True] * 3] * 2, [513, 640], [128] * 3, 4)
@example([[True] * 12, [True] * 3], [320, 2000], [320, 100, 1], 0)  # one is heard on when the other is over
def test_turns_end_where_listening_was_paused_however_the_audio_is_cut(loud, pauses, sizes, before):
    heard = [np.repeat(np.where(one, 0.9, 0.0), 320).astype(np.float32) for one in loud]
    end = max(map(len, heard))
    pauses = [at for at in pauses if at < end]

    def segmenter():
        return AudioSegmenter(len(heard), loud_is_voice, LIMITS, None)

    by_hand, wanted = segmenter(), []
    for begin, stop in zip([0, *pauses], [*pauses, end], strict=True):
        for channel, samples in enumerate(heard):
            if begin < len(samples):
                wanted += by_hand.feed(AudioChunk(channel, begin, samples[begin:stop]))
        wanted += by_hand.finish()

    paused, found = segmenter(), []
    for at in pauses[:before]:  # known before anything is heard, as in a second run
        found += paused.pause(at)
    later, fed = pauses[before:], [0] * len(heard)
    while left := [channel for channel, samples in enumerate(heard) if fed[channel] < len(samples)]:
        channel = min(left, key=lambda channel: fed[channel] // sizes[channel])
        stop = fed[channel] + sizes[channel]
        while later and later[0] < stop:  # as in a first run, where one channel may have been heard further
            found += paused.pause(later.pop(0))
        found += paused.feed(AudioChunk(channel, fed[channel], heard[channel][fed[channel] : stop]))
        fed[channel] = stop
    found += paused.finish()
    assert paused.media_ns == by_hand.media_ns
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
    rerun = Rerun(recorded(script.renames(3, "Speaker 1", "Ada").end(4, outcome="stopped")))
    start = rerun.recorded.start
    assert (start.source, start.live, rerun.ended_as, rerun.pauses) == ("telephone.wav", True, "stopped", [32_001])
    assert len(rerun.requests) == 4
    assert all(isinstance(event, RequestEvent) for event in rerun.requests)


def test_a_session_without_audio_is_refused_in_a_sentence(tmp_path):
    events = Script().start(channels=2).end(1)
    with pytest.raises(SessionError, match=r"its audio was not kept, .* record.audio = true can"):
        audio_files(tmp_path, recorded(events))
    tracks = [AudioTrack(channel=at, file=f"audio-{at}.flac", samples=1, silence=0) for at in range(2)]
    with pytest.raises(SessionError, match="its audio was not kept"):
        audio_files(tmp_path, recorded(events, 2, tracks))
    (tmp_path / "audio-1.flac").touch()
    with pytest.raises(SessionError, match=r"audio-0.flac is missing; without it the session is not the same"):
        audio_files(tmp_path, recorded(events, 2, tracks))
    # One that was cut off has what it has.
    assert audio_files(tmp_path, recorded(events[:-1], 2)) == [(1, Path(tmp_path / "audio-1.flac"))]


def test_why_a_second_run_may_differ():
    events = Script().start().end(1)
    models = dict(events[0].models)
    assert expected_differences(recorded(events), models) == []
    assert expected_differences(recorded(events), models | {"adapter": "other"}) == [
        "the adapter was meld-1, and is other now"
    ]
    (cut,) = expected_differences(recorded(events[:-1]), models)
    assert "cut off" in cut
    assert (
        len(expected_differences(recorded(Script().start().end(1, outcome="aborted", dropped={"chunks": 1})), models))
        == 2
    )


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
        assert Rerun(seen(source, config, {})).video(tmp_path) == NoVideo(reason)
    talk, live = seen("talk.mp4", auto, faces), seen("mic", camera, faces)
    assert Rerun(talk).video(tmp_path) == NoVideo("picture not kept")
    (lost,) = expected_differences(
        talk, {name: model for name, model in talk.start.models.items() if name not in faces}
    )
    assert lost == "its pictures were not kept, or with faces blurred: it is judged without faces now"
    file = tmp_path / "video.mkv"
    file.touch()
    assert Rerun(talk).video(tmp_path) == RecordedVideo(str(file), "video.mkv", "no picture")
    assert Rerun(live).video(tmp_path) == RecordedVideo(str(file), "video.mkv", "camera off")
    assert expected_differences(talk, talk.start.models) == []
    hidden = seen("talk.mp4", auto | {"record": {"blur_faces": True}}, faces)
    assert Rerun(hidden).video(tmp_path) == NoVideo("picture not kept")


def test_what_was_asked_for_is_published_even_where_fewer_turns_are_found():
    script = Script().start().says(0.1, 0.2, "Speaker 1", "a").says(0.3, 0.4, "Speaker 1", "b").marks(1, "here")
    events = anyio.run(again, FakeSource("." * 60), script.end(1.2))
    assert [event.type for event in events] == ["session.started", "moment.marked", "session.ended"]
    assert not any(isinstance(event, TurnEnded) for event in events)
