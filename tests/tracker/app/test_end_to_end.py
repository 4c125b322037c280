"""The whole program on real sound, with real models and a real broker."""

import os
import resource
import signal
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import anyio
import numpy as np
import pytest
import soundfile

from adapters.checkpoint.conformal import EmotionSets
from adapters.features import acoustic, visual
from adapters.published.checkpoint import Calibration, MseCard, save
from adapters.published.inputs import LIVE
from adapters.published.model import fresh, load_llm, shape_for
from tests.support.brokers import Mosquitto, subscribed
from tests.support.command import Tracker, asset, events_in, telephone, tracker, turns
from tests.support.sessions import bare
from tests.support.sound import SoundCard, absent, until
from tracker.events import SessionEnded, TurnSkipped, from_json
from tracker.recordings.format import EVENTS
from tracker.recordings.replay import read_session

pytestmark = pytest.mark.models

OFFLINE = ("--pace", "fast", "--json", "--mqtt", "off")
KEPT = ("--set", "record.audio=true", "--set", "record.text=true", "--set", "recognise.dimensions=valence-arousal")
AGAIN = ("--through-models", "--json", "--mqtt", "off")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The call, recorded once: what was printed, and the session's folder."""
    folder = tmp_path_factory.mktemp("call")
    return tracker("run", str(telephone()), *OFFLINE, *KEPT, "--record", "session", folder=folder), folder / "session"


def test_a_call_becomes_its_speakers_turns(recorded):
    done, _ = recorded
    assert (done.code, done.said) == (0, "")
    said = turns(done.events)
    assert len(said) >= 5
    assert {turn.speaker for turn in said} == {"Speaker 1", "Speaker 2"}
    # Speakers take turns in this call, after its first word.
    assert all(a.speaker != b.speaker for a, b in pairwise(said))
    words = " ".join(turn.text for turn in said)
    for heard in ("Hello", "I didn't know you were there", "originally from Chicago", "New Jersey", "a Yankee"):
        assert heard in words
    for turn in said:
        assert sum(turn.probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert turn.confidence == max(turn.probabilities.values())
        assert turn.modalities["text"] == "used"
        assert turn.modalities["video"] == "no picture"
        assert turn.dimensions
        assert turn.dimensions.keys() == {"valence", "arousal"}
    assert (done.last.outcome, done.last.dropped) == ("completed", {})
    assert [one["turns"] for one in done.metrics] == [len(said)]


def test_a_recorded_session_holds_it_all_and_replays_the_same(recorded):
    done, session = recorded
    assert (session / EVENTS).read_text() == done.out
    kept = read_session(session)
    assert kept.stop is not None
    assert not kept.torn
    assert kept.start.config["turns"]["vad_mode"] == 2
    original, _ = soundfile.read(telephone(), dtype="int16")
    audio, rate = soundfile.read(session / "audio-0.flac", dtype="int16")
    assert rate == 16_000
    np.testing.assert_array_equal(audio, original)
    again = tracker("replay", str(session), "--speed", "max", "--json", "--mqtt", "off", folder=session.parent)
    assert (again.code, again.out) == (0, done.out)


def bare_events(done):
    return [bare(event) for event in done.events]


def test_the_models_judge_a_recorded_session_the_same(recorded):
    done, session = recorded
    folder = session.parent
    again = tracker("replay", str(session), *AGAIN, *KEPT, "--record", "again", folder=folder)
    assert (again.code, again.said) == (0, "")
    assert bare_events(again) == bare_events(done)
    same = tracker("diff", str(session), "again", folder=folder)
    assert (same.code, same.out) == (0, "nothing changed\n")
    # What is kept of the second run is as good as the first.
    assert [file.read_bytes() for file in (folder / "again").glob("*.flac")] == [
        file.read_bytes() for file in session.glob("*.flac")
    ]
    other = tracker(
        "replay", str(session), *AGAIN, *KEPT, "--record", "other", "--set", "dialogue.max_turns=0", folder=folder
    )
    assert other.code == 0
    changed = tracker("diff", str(session), "other", folder=folder)
    assert changed.code == 1
    assert "probabilities." in changed.out


def paper_layout(folder):
    """An adapter in the paper's own layout beside the real LLM; it was never trained."""
    llm = load_llm("smollm2-135m-instruct")
    shape = replace(shape_for("meld-2048", llm, (acoustic.SPEC.dim, visual.SPEC.dim)), live=True)
    cases = "words", "words and voice", "words and face", "words, voice and face"
    sets = EmotionSets(0.9, dict.fromkeys(cases, (0.9,) * 7))
    card = MseCard("meld", LIVE, llm.spec, shape, acoustic.SPEC, visual.SPEC, Calibration(1.0, sets))
    save(folder, fresh(shape, seed=0), card)
    return str(folder)


@pytest.mark.parametrize("name", ["mse", "paper"])
def test_other_adapters_judge_the_call_and_judge_it_the_same_again(name, tmp_path):
    adapter = paper_layout(tmp_path / "paper") if name == "paper" else name
    how = ("--set", f"recognise.adapter={adapter}")
    call, rate = soundfile.read(telephone(), dtype="float32")
    soundfile.write(tmp_path / "call.wav", call[: rate * 14], rate)
    done = tracker("run", "call.wav", *OFFLINE, *KEPT[:4], *how, "--record", "first", folder=tmp_path)
    assert done.code == 0
    assert ("every turn is read from the beginning" in done.said) == (name == "paper")
    said = turns(done.events)
    assert len(said) >= 2
    assert all(turn.modalities["text"] == "used" for turn in said)
    assert any(turn.modalities["audio"] == "used" for turn in said)
    assert done.events[0].models["adapter"].startswith("mse-")
    again = tracker("replay", "first", *AGAIN, *how, folder=tmp_path)
    assert again.code == 0
    assert bare_events(again) == bare_events(done)


def test_channels_are_judged_the_same_again(tmp_path):
    """Two people on a channel each, heard at another rate, so that what is heard is not what was in the file."""
    call, rate = soundfile.read(telephone(), dtype="float32")
    both = np.stack([call[: rate * 12], call[rate * 8 : rate * 20]], axis=1)
    soundfile.write(tmp_path / "both.wav", both, 15_000, "FLOAT")
    how = ("--channels", "separate", *KEPT, "--record", "first")
    done = tracker("run", "both.wav", *OFFLINE, *how, folder=tmp_path)
    again = tracker("replay", "first", *AGAIN, folder=tmp_path)
    assert (done.code, again.code) == (0, 0)
    assert {turn.channel for turn in turns(done.events)} == {0, 1}
    assert bare_events(again) == bare_events(done)
    refused = tracker("replay", "first", *AGAIN, "--set", "input.channels=mix", folder=tmp_path)
    assert (refused.code, refused.out) == (2, "")
    assert "input.channels: the recording holds its channels as they were" in refused.said


def test_at_work_words_alone_are_judged(tmp_path):
    how = ("--set", "session.purpose=workplace", "--record", "kept")
    done = tracker("run", str(telephone()), *OFFLINE, *how, folder=tmp_path)
    assert done.code == 0
    assert done.said == "kept: keeping judgements; set record.audio = true and record.text = true to keep more\n"
    unused = {"audio": "not used for this purpose", "video": "not used for this purpose"}
    assert all(turn.modalities == {"text": "used", **unused} for turn in turns(done.events))
    kept = read_session(tmp_path / "kept")
    assert (kept.start.purpose, kept.events[0].purpose) == ("workplace", "workplace")
    assert kept.start.notice == kept.events[0].notice != ""
    assert not any(turn.text for turn in turns(kept.events))
    assert {file.name for file in (tmp_path / "kept").iterdir()} == {"start.json", "events.jsonl", "stop.json"}


@pytest.mark.broker
@pytest.mark.anyio
@pytest.mark.parametrize("whose", ["mosquitto", "own"])
async def test_subscribers_get_every_event(whose, recorded, tmp_path):
    done, session = recorded
    broker = Mosquitto(tmp_path)
    if whose == "mosquitto":
        await broker.start()
        where = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}")
    else:
        where = ("--set", f"mqtt.port={broker.port}")
    program = Tracker("replay", str(session), "--json", "--speed", "4", *where, folder=tmp_path)
    try:
        await anyio.to_thread.run_sync(program.until, "session.started")
        with anyio.fail_after(60):
            async with subscribed(broker.address, "emotion-tracker/#", "-V", "311") as subscriber:
                await subscriber.until("session.ended")
        again = await anyio.to_thread.run_sync(program.finish)
        assert (again.code, again.out) == (0, done.out)
    finally:
        broker.stop()
    messages = [from_json(payload) for topic, _, payload in subscriber.lines if topic.endswith(("/state", "/turn"))]
    # The session's start was retained, and came with the subscription.
    assert {event.seq: event for event in messages if event.seq} == {event.seq: event for event in done.events[1:]}


@pytest.mark.data
@pytest.mark.parametrize("name", ["trn01", "trn02", "trn03", "trn04", "trn05"])
def test_meetings(name, data_dir, tmp_path):
    recording = str(data_dir / "meetings" / f"{name}.flac")
    done = tracker("run", recording, *OFFLINE, *KEPT, "--record", "kept", folder=tmp_path)
    assert done.code == 0
    if name in ("trn03", "trn05"):
        assert bare_events(tracker("replay", "kept", *AGAIN, folder=tmp_path)) == bare_events(done)
    assert done.last.outcome == "completed"
    assert done.last.media_ns == pytest.approx(30e9, abs=1e6)
    said = turns(done.events)
    if name == "trn01":  # holds practically no speech
        assert said == []
    if name == "trn03":  # one speaker who hardly stops, after a word of somebody else
        spoken = Counter[str]()
        for turn in said:
            spoken[turn.speaker] += turn.end_ns - turn.start_ns
        assert max(spoken.values()) > 25e9


@pytest.mark.data
def test_a_meetings_turns_end_sooner_where_they_sound_complete(data_dir, tmp_path):
    asset("smart-turn-v3")
    adaptive = ("--set", "turns.endpoint=adaptive", "--set", "turns.complete_above=0.6")
    recording = str(data_dir / "meetings" / "trn04.flac")
    done = tracker("run", recording, *OFFLINE, *KEPT, *adaptive, "--record", "kept", folder=tmp_path)
    assert done.code == 0
    assert done.events[0].models["endpoint"] == "smart-turn-v3"
    # 300 and 900 ms of silence, of which 100 ms belong to the turn.
    assert {turn.latency_ms.endpoint for turn in turns(done.events) if turn.ended_by == "pause"} == {200, 800}
    assert bare_events(tracker("replay", "kept", *AGAIN, folder=tmp_path)) == bare_events(done)


@pytest.mark.data
def test_who_laughs_or_sobs_has_turns_and_no_words(data_dir, tmp_path):
    """Real people, one after the other, with pauses."""
    pause = np.zeros(24_000, np.float32)
    laughing, crying = (sorted((data_dir / "nonverbal" / kind).iterdir()) for kind in ("laughing", "crying"))
    parts = [pause]
    for clip in (*laughing[2:6], *crying[:4]):
        parts += [soundfile.read(clip, dtype="float32")[0], pause]
    soundfile.write(tmp_path / "people.wav", np.concatenate(parts), 16_000)
    done = tracker("run", "people.wav", *OFFLINE, "--record", "kept", "--set", "record.audio=true", folder=tmp_path)
    assert (done.code, done.last.outcome) == (0, "completed")
    laughed = [turn for turn in turns(done.events) if any(sound.label == "laughter" for sound in turn.sounds)]
    assert len(laughed) >= 3
    assert all(not turn.text and turn.emotion == "joy" for turn in laughed)
    for turn in laughed:
        for sound in turn.sounds:
            assert turn.start_ns <= sound.start_ns < sound.end_ns <= turn.end_ns
    assert bare_events(tracker("replay", "kept", *AGAIN, folder=tmp_path)) == bare_events(done)
    at_work = tracker("run", "people.wav", *OFFLINE, "--set", "session.purpose=workplace", folder=tmp_path)
    assert not any(turn.sounds for turn in turns(at_work.events))


def sounds():
    rng = np.random.default_rng(0)
    return {
        "silence": np.zeros(160_000, np.float32),
        "noise": (0.1 * rng.standard_normal(160_000)).astype(np.float32),
        "ten milliseconds": (0.1 * rng.standard_normal(160)).astype(np.float32),
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("silence", "nothing but silence was heard"),
        ("noise", "no speech was found in the sound"),
        ("ten milliseconds", "no speech was found in the sound"),
    ],
)
def test_no_words_are_made_of_nothing(name, said, tmp_path):
    soundfile.write(tmp_path / "sound.wav", sounds()[name], 16_000)
    done = tracker("run", "sound.wav", *OFFLINE, folder=tmp_path)
    assert done.code == 0
    assert done.said.startswith(f"sound.wav: {said}")
    assert done.said.count("\n") == 1
    assert [event.type for event in done.events] == ["session.started", "session.ended"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop_it_finishes_what_it_heard(number, tmp_path):
    program = Tracker("run", str(telephone()), "--json", "--mqtt", "off", *KEPT, "--record", "kept", folder=tmp_path)
    program.until("turn.started")
    program.signal(number)
    done = program.finish()
    assert done.code == 0
    assert done.last.outcome == "stopped"
    assert done.last.turns_started == done.last.turns_ended + done.last.turns_skipped == 1
    assert done.said == ("finishing what was heard; Ctrl-C again ends at once\n" if number == signal.SIGINT else "")
    assert read_session(tmp_path / "kept").stop is not None


def test_asked_twice_it_ends_at_once_and_keeps_what_was_judged(tmp_path):
    program = Tracker("run", str(telephone()), "--json", "--mqtt", "off", *KEPT, "--record", "kept", folder=tmp_path)
    program.until("turn.ended")
    program.until("turn.started")
    program.signal()
    program.signal(signal.SIGTERM)
    done = program.finish()
    assert done.code == 130
    assert done.last.outcome == "aborted"
    assert [event.reason for event in done.events if isinstance(event, TurnSkipped)] == ["aborted"]
    assert (tmp_path / "kept" / EVENTS).read_text() == done.out


@pytest.fixture
def card():
    if why := absent():
        pytest.skip(why)
    with SoundCard() as card:
        yield card


@pytest.mark.sound
@pytest.mark.parametrize("ending", ["interrupted", "unplugged"])
def test_a_microphone_hears_the_same_turns(ending, recorded, card, tmp_path):
    done, _ = recorded
    program = Tracker(
        "run",
        "mic",
        "--set",
        "session.purpose=research",
        "--json",
        "--mqtt",
        "off",
        *KEPT,
        "--record",
        "kept",
        folder=tmp_path,
        environment=card.environment,
    )
    until(lambda: card.recorders() or program.process.poll() is not None, "the microphone is open", 60)
    card.play(telephone())
    if ending == "interrupted":
        program.signal()
    else:
        card.control("unload-module", "module-null-sink")
    live = program.finish()
    assert (live.last.outcome, live.code) == (("stopped", 0) if ending == "interrupted" else ("failed", 3))
    assert live.last.error is None or "the microphone was removed or stopped" in live.last.error
    assert live.last.dropped == {}
    heard, wanted = turns(live.events), turns(done.events)
    # A turn may be cut in two where both speak at once; whatever was one in the file has its end here, too.
    offset = heard[0].end_ns - wanted[0].end_ns
    for turn in wanted[1:-1]:
        (same,) = [other for other in heard if abs(other.end_ns - offset - turn.end_ns) < 0.2e9]
        assert same.speaker == turn.speaker
    assert len(heard) - len(wanted) in (0, 1, 2)
    assert {turn.speaker for turn in heard} == {"Speaker 1", "Speaker 2"}
    assert "originally from Chicago" in " ".join(turn.text for turn in heard)
    kept = read_session(tmp_path / "kept")
    assert kept.stop is not None
    assert events_in((tmp_path / "kept" / EVENTS).read_text()) == live.events
    if ending == "interrupted":
        again = tracker("replay", "kept", *AGAIN, folder=tmp_path)
        assert bare_events(again) == bare_events(live)


def test_a_disk_that_takes_no_more_costs_the_recording_and_nothing_else(tmp_path):
    program = Tracker("run", str(telephone()), *OFFLINE, *KEPT, "--record", "kept", folder=tmp_path)
    program.until("turn.started")
    resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, (0, 0))  # no file gets another byte
    done = program.finish()
    assert done.code == 6
    assert isinstance(done.events[-1], SessionEnded)
    full = "events.jsonl in kept cannot be written: File too large"
    assert f"recorder: {full}; what was recorded is kept\n" in done.said
    lost = [line.removeprefix("recorder: ") for line in done.said.splitlines() if line.startswith("recorder: ")]
    whole = "error: kept: the recording is not whole: "
    assert done.said.splitlines()[-1] in [f"{whole}{one}" for one in lost]  # the audio may be lost first
    assert len(done.metrics) == 1


def test_a_broker_that_is_not_there_is_said_and_waited_for(tmp_path):
    name = os.fsdecode(b"entrevue_\xe9t\xe9.wav")  # is not UTF-8
    with (tmp_path / name).open("wb") as sound:
        soundfile.write(sound, np.zeros(1600, np.float32), 16_000, format="WAV")
    where = ("--mqtt", "mqtt://127.0.0.1:1", "--record", f"{name}.kept")
    done = tracker("run", name, "--pace", "fast", "--json", *where, folder=tmp_path)
    assert (done.code, done.last.outcome) == (0, "completed")
    assert done.events[0].source == "entrevue_\ufffdt\ufffd.wav"
    assert list(read_session(tmp_path / f"{name}.kept").events) == done.events
    assert "cannot be reached (Connection refused); trying again, messages are kept" in done.said
    assert "6 could not be delivered; the next run, or tracker sessions flush, delivers them" in done.said
