"""Fixed and adaptive endpoints on real conversations: ``python -m tracker.bench.endpoints --data DATA``.

The telephone call and the meeting excerpts trn03 to trn05, with their reference annotation (RTTM). A turn that ended by
a pause is *cut* where its speaker goes on although nobody else has spoken: by the annotation they speak at some time
between 0.25 s (what annotation and voice detection differ by) and 1.5 s after the turn's speech, and nobody else
begins between its end and that. Beside them single sentences (RAVDESS), each complete where its last voice is. Prints,
for each way to end turns, the turns that a pause ended, how many were cut, and the silence that was waited for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from adapters.contract import asset_folder
from tracker.app.models import SEGMENTATION, TURN_COMPLETENESS
from tracker.sources.media import AudioChunk
from tracker.turns.activity import SpeakerActivity
from tracker.turns.completeness import TurnCompleteness
from tracker.turns.endpoint import EndpointRule
from tracker.turns.segment import Activity, AudioSegmenter, EndpointSilence, Samples
from tracker.turns.segmenter import FRAME_MS, Limits, SpeechFrame
from tracker.turns.turn import Turn
from tracker.turns.voice import FRAME_SAMPLES, VoiceDetector

T = TypeVar("T")

SLACK_S, GOES_ON_S = 0.25, 1.5
CALL = ("telephone/sample.flac", "telephone/sample.rttm", "sample")
MEETINGS = [(f"meetings/{name}.flac", "meetings/reference.train.rttm", name) for name in ("trn03", "trn04", "trn05")]


@dataclass(frozen=True)
class ReferenceSegment:
    """One line of a reference annotation, seconds."""

    begin: float
    end: float
    speaker: str


@dataclass(frozen=True)
class AnnotatedRecording:
    """Audio, the evidence of its frames, and who speaks when."""

    samples: Samples
    frames: list[SpeechFrame]
    reference: list[ReferenceSegment]


def read_rttm(path: Path, name: str) -> list[ReferenceSegment]:
    """The lines of one recording."""
    lines = [line.split() for line in path.read_text("utf-8").splitlines()]
    return [
        ReferenceSegment(float(f[3]), float(f[3]) + float(f[4]), f[7]) for f in lines if len(f) > 7 and f[1] == name
    ]


def read_audio(path: Path) -> tuple[Samples, list[SpeechFrame]]:
    """Audio, with voice detection done once for every way to end turns."""
    samples, _ = soundfile.read(path, dtype="float32")
    detector = VoiceDetector(2, 0.5)
    return samples, [
        detector.frame(samples[at : at + FRAME_SAMPLES])
        for at in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    ]


def conversation(data: Path, audio: str, rttm: str, name: str) -> AnnotatedRecording:
    """A recording with its reference annotation."""
    return AnnotatedRecording(*read_audio(data / audio), read_rttm(data / rttm, name))


def sentence(path: Path) -> AnnotatedRecording:
    """A clip of one sentence and the silence after it: it is over where its last voice is."""
    samples, frames = read_audio(path)
    last = max((at for at, frame in enumerate(frames) if frame.voiced), default=0)
    return AnnotatedRecording(samples, frames, [ReferenceSegment(0.0, (last + 1) * FRAME_MS / 1000, "speaker")])


def is_cut(end: float, reference: Sequence[ReferenceSegment]) -> bool:
    """Whether the speaker of a turn whose speech ends at ``end`` goes on, and nobody else begins before that."""
    speaking = [one for one in reference if one.begin < end and one.end > end - SLACK_S]
    for speaker in {one.speaker for one in speaking}:
        later = [one for one in reference if one.end > end + SLACK_S and one.begin <= end + GOES_ON_S]
        own = [one for one in later if one.speaker == speaker]
        others = [one.begin for one in reference if one.speaker != speaker and one.begin > end]
        if own and not any(begin < min(one.begin for one in own) for begin in others):
            return True
    return False


def waiting(rule: EndpointRule, complete: Callable[[Samples], float]) -> EndpointSilence:
    """How long to wait after the speech in some samples, in frames."""
    return lambda samples: rule.silence(complete(samples))


def ended_by_pause(
    recording: AnnotatedRecording, limits: Limits, activity: Activity, wait: EndpointSilence | None
) -> list[tuple[bool, float]]:
    """Of each turn that a pause ended: whether it was cut, and the seconds of silence that ended it."""
    frames = iter(recording.frames)
    segmenter = AudioSegmenter(1, lambda: lambda _: next(frames), limits, activity, wait)
    records = [*segmenter.feed(AudioChunk(0, 0, recording.samples)), *segmenter.finish()]
    turns = [record for record in records if isinstance(record, Turn) and record.ended_by == "pause"]
    ends = [turn.end_ns / 1e9 - limits.hangover * FRAME_MS / 1000 for turn in turns]
    return [
        (is_cut(end, recording.reference), turn.decided_ns / 1e9 - end) for turn, end in zip(turns, ends, strict=True)
    ]


def cached(model: Callable[[Samples], T]) -> Callable[[Samples], T]:
    """The same model, run once for the same audio."""
    known: dict[bytes, T] = {}

    def call(samples: Samples) -> T:
        key = samples.tobytes()
        if key not in known:
            known[key] = model(samples)
        return known[key]

    return call


def figures(found: Sequence[tuple[bool, float]]) -> str:
    """Turns, cut turns, and the mean and 95th percentile of the silence waited for, in seconds."""
    waited = np.array([silence_s for _, silence_s in found] or [np.nan])
    cut = sum(was_cut for was_cut, _ in found)
    return f"{len(found):>5} {cut:>5} {waited.mean():>6.2f} {np.percentile(waited, 95):>6.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line for each way to end turns."""
    parser = argparse.ArgumentParser(
        prog="python -m tracker.bench.endpoints", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with telephone/, meetings/ and ravdess/")
    parser.add_argument(
        "--fixed", type=int, nargs="+", default=[300, 500, 600, 700, 900], help="silences that end a turn, milliseconds"
    )
    parser.add_argument("--above", type=float, nargs="+", default=[0.5, 0.7, 0.9], help="turns.complete_above")
    parser.add_argument(
        "--bounds",
        type=int,
        nargs=2,
        default=[300, 900],
        help="shortest and longest silence of the adaptive endpoint, milliseconds",
    )
    parser.add_argument("--clips", type=int, default=30, help="number of RAVDESS clips")
    parser.add_argument("--first", type=int, default=0, help="index of the first clip")
    options = parser.parse_args(arguments)
    clips = sorted((options.data / "ravdess").glob("*/*.flac"))
    recordings = {
        "conversations": [conversation(options.data, *names) for names in (CALL, *MEETINGS)],
        "sentences": [
            sentence(path) for path in clips[options.first :: max(1, len(clips) // options.clips)][: options.clips]
        ],
    }
    activity = cached(SpeakerActivity(asset_folder(SEGMENTATION)))
    complete = cached(TurnCompleteness(asset_folder(TURN_COMPLETENESS)))

    def line(name: str, silence_ms: int, wait: EndpointSilence | None) -> None:
        limits = Limits(silence=silence_ms // FRAME_MS)
        found = [
            [one for each in kind for one in ended_by_pause(each, limits, activity, wait)]
            for kind in recordings.values()
        ]
        print(f"{name:<20}", "   ".join(map(figures, found)), flush=True)

    print(f"{'':<20}", "   ".join(f"{kind:<24}" for kind in recordings))
    print(f"{'':<20}", "   ".join("turns   cut   mean    p95" for _ in recordings))
    for silence_ms in options.fixed:
        line(f"fixed {silence_ms} ms", silence_ms, None)
    shortest, longest = options.bounds
    for above in options.above:
        rule = EndpointRule(shortest // FRAME_MS, longest // FRAME_MS, above)
        line(f"adaptive above {above:g}", longest, waiting(rule, complete))


if __name__ == "__main__":
    main()
