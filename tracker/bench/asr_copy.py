"""A copy of MELD as a recogniser hears it: ``python -m tracker.bench.asr_copy --data DATA --split dev --out NOISY``.

espeak-ng speaks every line, each speaker with a voice of its own, and the live transcriber writes down what it hears.
Prints the word error rate and how many lines were heard as nothing; of those a dash is left. NOISY/meld then stands
where DATA/meld would: ``python -m adapters evaluate --data NOISY``.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
import typer

from adapters.assets import asset_folder
from adapters.datasets.tables import clean
from adapters.training.progress import progress
from tracker.errors import TrackerError, needs_extra
from tracker.observe.gate import TextGate
from tracker.observe.transcribe import Transcriber

RATE_HZ = 16_000
ACCENTS = ("en-us", "en-gb")
VARIANTS = ("m1", "m3", "m7", "f2", "f4", "f5")
WORDS_PER_MINUTE = (150, 165, 180)


def voice(speaker: str) -> tuple[str, int]:
    """A speaker's accent with its variant, and pace; always the same for one name."""
    number = zlib.crc32(speaker.encode())
    accent = ACCENTS[number % len(ACCENTS)]
    variant = VARIANTS[number // len(ACCENTS) % len(VARIANTS)]
    return f"{accent}+{variant}", WORDS_PER_MINUTE[number // 16 % len(WORDS_PER_MINUTE)]


def speak(text: str, speaker: str) -> np.ndarray:
    """The samples of a spoken line, 16 kHz, with the margins that a segmenter leaves."""
    name, pace = voice(speaker)
    command = ["espeak-ng", "-v", name, "-s", f"{pace}", "--stdout", "--", text]
    spoken = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 - no shell, and text is behind --
    samples, rate = soundfile.read(io.BytesIO(spoken), dtype="float32")
    margin = np.zeros(RATE_HZ // 10, np.float32)
    return np.concatenate([margin, soxr.resample(samples, rate, RATE_HZ), margin]).astype(np.float32)[: 28 * RATE_HZ]


def plain(text: str) -> str:
    """Words alone, for counting errors."""
    return " ".join("".join(c for c in text.lower() if c.isalnum() or c in " '").split())


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    out: Annotated[Path, typer.Option(help="Where the copy goes: OUT/meld.")],
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "dev",
    model: Annotated[str, typer.Option(help="The recogniser, an asset.")] = "whisper-base",
    beam: Annotated[int, typer.Option(help="Hypotheses that it keeps.")] = 5,
) -> None:
    """Make the copy."""
    with needs_extra("train", "counting word errors"):
        import jiwer

    transcribe = Transcriber(asset_folder(model), "en", TextGate(), beam=beam)
    name = f"{split}_sent_emo.csv"
    with (data / "meld" / name).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), list(reader.fieldnames or [])
    said, heard = [], []
    for row in progress(rows, "speaking and listening"):
        text = clean(row["Utterance"])
        samples = speak(text, row["Speaker"])
        row["Utterance"] = transcribe(samples).text or "-"
        said.append(plain(text))
        heard.append(plain(row["Utterance"]))
    (out / "meld").mkdir(parents=True, exist_ok=True)
    with (out / "meld" / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    pairs = [(a, b) for a, b in zip(said, heard, strict=True) if a]
    rate = jiwer.wer([a for a, _ in pairs], [b for _, b in pairs])
    typer.echo(
        f"{len(rows)} lines, word error rate {rate:.3f}, heard as nothing {heard.count('')}, "
        f"read again from the full window {transcribe.fallbacks}"
    )


if __name__ == "__main__":
    try:
        typer.run(main)
    except TrackerError as error:
        sys.exit(f"error: {error}")
