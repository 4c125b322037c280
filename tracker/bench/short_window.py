"""Words from the short window against Whisper's own: ``python -m tracker.bench.short_window --data DATA``.

Every file is transcribed as a turn is: from a window that fits it, decoded again from 30 s where it repeats itself; and
once from 30 s alone. Prints the word error rate of both, the share of files that were decoded again, and the ratio of
processor time, for each margin of silence behind the speech. The sentences of RAVDESS are known from field 5 of a
name; those of the LibriSpeech pair stand in its README. ``--model`` and ``--beam`` measure another one.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from adapters.assets import SPEECH_ENCODER
from adapters.contract import Features, asset_folder
from adapters.features import acoustic
from adapters.features.acoustic import SPEC, Encoded, SpeechEncoder
from tracker.observe.gate import TextGate
from tracker.observe.transcribe import Transcriber
from tracker.turns.segment import Samples

RAVDESS = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
LIBRISPEECH = {
    "6930-75918-0000": "concord returned to its place amidst the tents",
    "7902-96591-0000": "i am from the cutter lying off the coast",
}


class FullWindow(SpeechEncoder):
    """An encoder that always takes 30 s."""

    def encode(self, samples: Samples) -> Encoded:
        """Encode one turn as Whisper's own pipelines do."""
        return Encoded(Features(SPEC, np.zeros((1, SPEC.dim), np.float32)), self.windows.full(samples))


def words(text: str) -> list[str]:
    """Lower case, letters and apostrophes only."""
    return re.findall(r"[a-z']+", text.lower())


def errors(reference: list[str], words: list[str]) -> int:
    """Insertions, deletions and substitutions (Levenshtein)."""
    row = list(range(len(words) + 1))
    for i, word in enumerate(reference, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(words, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def sample(data: Path, count: int) -> list[tuple[str, Samples]]:
    """RAVDESS files spread over actors and emotions, and the LibriSpeech pair, with their words."""
    files = sorted((data / "ravdess").glob("*/*.flac"))
    chosen = files[:: max(1, len(files) // count)][:count]
    known = [(RAVDESS[file.stem.split("-")[4]], file) for file in chosen]
    known += [(text, data / "librispeech_pair" / f"{name}.flac") for name, text in LIBRISPEECH.items()]
    return [(text, soundfile.read(file, dtype="float32")[0]) for text, file in known]


def measure(
    encoder: SpeechEncoder | None, folder: Path, files: list[tuple[str, Samples]], beam: int = 1
) -> tuple[float, float, float]:
    """Word error rate and share decoded again, both in percent, and processor seconds; without encoder by its own."""
    transcriber = Transcriber(folder, "en", TextGate(), encoder, beam=beam)
    wrong = total = 0
    begun = time.process_time()
    for text, samples in files:
        text_found = transcriber(samples, encoder.encode(samples) if encoder else None).text
        wrong += errors(words(text), words(text_found))
        total += len(words(text))
    return 100 * wrong / total, 100 * transcriber.fallbacks / len(files), time.process_time() - begun


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line per margin."""
    parser = argparse.ArgumentParser(
        prog="python -m tracker.bench.short_window", description=(__doc__ or "").partition("\n")[0]
    )
    data = os.environ.get("EMOTION_TRACKER_DATA")
    parser.add_argument(
        "--data", type=Path, default=data, required=not data, help="folder with ravdess/ and librispeech_pair/"
    )
    parser.add_argument("--files", type=int, default=200, help="number of RAVDESS files")
    parser.add_argument("--margins", type=float, nargs="+", default=[acoustic._MARGIN_S], help="seconds of silence")
    parser.add_argument("--model", default=SPEECH_ENCODER, help="another recogniser: one line, for its own encoder")
    parser.add_argument("--beam", type=int, default=1, help="hypotheses that it keeps")
    options = parser.parse_args(arguments)
    folder = asset_folder(options.model)
    files = sample(Path(options.data), options.files)
    if options.model != SPEECH_ENCODER or options.beam > 1:
        wrong, again, took_s = measure(None, folder, files, options.beam)
        print(f"{options.model}, {options.beam}: word error rate {wrong:.1f} %, {again:.0f} % again, {took_s:.0f} s")
        return
    full, again, full_s = measure(FullWindow(folder), folder, files)
    print(f"30 s: word error rate {full:.1f} %, {again:.0f} % decoded again, {full_s:.0f} s")
    for margin in options.margins:
        acoustic._MARGIN_S = margin
        short, again, short_s = measure(SpeechEncoder(folder), folder, files)
        print(
            f"turn + {margin:g} s: word error rate {short:.1f} % ({short - full:+.1f}), {again:.0f} % decoded again, "
            f"{short_s:.0f} s, {full_s / short_s:.1f} times faster",
            flush=True,
        )


if __name__ == "__main__":
    main()
