"""A session made up for the pictures: two people who have not seen each other for years, and nobody real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from tests.support.sessions import Script
from tracker.events import Event, SessionEnded, SessionStarted, to_json
from tracker.recordings.format import EVENTS, START, STOP, AudioTrack, StartFile, StopFile, audio_file

_TURNS = (
    ("Speaker 1", 1.8, "Hello? Is that you?", "surprise", 0.74),
    ("Speaker 2", 3.1, "It is. I can't believe you found my number.", "joy", 0.68),
    ("Speaker 1", 4.4, "I asked your sister. She said you had moved back to the coast.", "neutral", 0.81),
    ("Speaker 2", 3.9, "After the accident we did not want to stay there any longer.", "sadness", 0.63),
    ("Speaker 1", 2.2, "I am so sorry. I didn't know.", "sadness", 0.71),
    ("Speaker 2", 0.7, "Yes.", "neutral", 0.38),
    ("Speaker 1", 5.2, "And they never even called you? After all those years you worked for them?", "anger", 0.59),
    ("Speaker 2", 4.1, "They sent a letter. A letter! With a typing error in my name.", "anger", 0.77),
    ("Speaker 1", 2.0, "No. You are joking.", "surprise", 0.52),
    ("Speaker 2", 3.3, "I keep it on the wall now. It makes everybody laugh.", "joy", 0.83),
    ("Speaker 1", 3.6, "That sounds more like the person that I remember.", "joy", 0.61),
    ("Speaker 2", 2.9, "So tell me, how is the old house?", "neutral", 0.9),
    ("Speaker 1", 4.8, "There was something in the cellar last night. I did not dare to look.", "fear", 0.66),
    ("Speaker 2", 2.4, "If it is the fish from your birthday, don't.", "disgust", 0.57),
)


def story(times: int = 4) -> list[Event]:
    """The conversation, so many times over."""
    script = Script("made-up").start("telephone.wav")
    now = 1.2
    for round_ in range(times):
        for number, (speaker, length, text, emotion, confidence) in enumerate(_TURNS):
            unsure = "turn under 0.8 s" if length < 0.8 else None
            named = "Anna" if speaker == "Speaker 1" and (number > 5 or round_) else None
            script.says(now, now + length, speaker, text, emotion, confidence, unsure=unsure, name=named)
            now += length + 0.6
            if number == 5 and round_ == 0:
                script.renames(now, "Speaker 1", "Anna")
            if number == 8:
                script.marks(now, "the letter")
        script.skips(now, now + 0.6)
        now += 1.5
    return script.end(now)


def write_session(folder: Path, events: list[Event], audio: bool = True) -> Path:
    """A recorded session that holds these events, and a quiet hum for audio."""
    folder.mkdir(parents=True)
    first, last = events[0], events[-1]
    assert isinstance(first, SessionStarted)
    assert isinstance(last, SessionEnded)
    start = StartFile(
        session=first.session, started_at=first.time, software=first.software, source=first.source, live=first.live,
        channels=first.channels, labels=first.labels, models=first.models, config={},
    )  # fmt: skip
    tracks = []
    if audio:
        samples = last.media_ns * 16 // 1_000_000
        hum = 0.1 * np.sin(2 * np.pi * 220 * np.arange(samples) / 16_000)
        soundfile.write(folder / audio_file(0), hum, 16_000, subtype="PCM_16")
        tracks.append(AudioTrack(channel=0, file=audio_file(0), samples=samples, silence=0))
    stop = StopFile(
        session=first.session, ended_at=last.time, outcome=last.outcome, error=last.error, media_ns=last.media_ns,
        events=len(events), turns_started=last.turns_started, turns_ended=last.turns_ended,
        turns_skipped=last.turns_skipped, dropped=last.dropped, audio=tracks,
    )  # fmt: skip
    (folder / START).write_text(start.model_dump_json())
    (folder / STOP).write_text(stop.model_dump_json())
    (folder / EVENTS).write_text("".join(to_json(event) + "\n" for event in events))
    return folder
