"""Lines in other languages, heard, translated and judged: ``python -m tracker.bench.languages DATA``.

espeak-ng speaks lines of XED (film subtitles, each with one emotion) in eight languages. For each language: how often
it is told right, and how often the emotion is, by the line as written, by the words heard, and by their translation. No
line is neutral, so the most probable of the six emotions counts; one in six is chance. English lines show what the
judgement comes to without a language between.
"""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import soxr
import typer

from adapters.assets import asset_folder
from adapters.contract import Absent, TurnInput, Utterance
from adapters.recogniser import load
from tracker.observe.gate import TextGate
from tracker.observe.languages import LanguageHabit
from tracker.observe.transcribe import AUTO, Transcriber

LANGUAGES = ("en", "de", "fr", "es", "it", "pl", "pt", "nl", "ru")
EMOTIONS = {"1": "anger", "3": "disgust", "4": "fear", "5": "joy", "6": "sadness", "7": "surprise"}
_RATE_HZ = 16_000
_WORDS = range(4, 16)


def lines(path: Path, count: int) -> list[tuple[str, str]]:
    """So many lines of each emotion, with their emotion: the first that have this one alone, and some words."""
    found: dict[str, list[str]] = {emotion: [] for emotion in EMOTIONS.values()}
    with path.open(encoding="utf-8", newline="") as file:
        for text, *labels in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            kept = found.get(EMOTIONS.get("".join(labels).strip(), ""))
            if kept is not None and len(kept) < count and len(text.split()) in _WORDS:
                kept.append(text)
    return [(text, emotion) for emotion, texts in found.items() for text in texts]


def say(text: str, language: str) -> np.ndarray:
    """The samples of a spoken line, 16 kHz."""
    command = ["espeak-ng", "-v", language, "-s", "150", "--stdout", "--", text]
    spoken = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 - no shell, and text is behind --
    samples, rate = soundfile.read(io.BytesIO(spoken), dtype="float32")
    return np.asarray(soxr.resample(samples, rate, _RATE_HZ), np.float32)


def main(
    data: Annotated[Path, typer.Argument(help="Folder with one folder per data set.")],
    count: Annotated[int, typer.Option(help="Lines of each emotion and language.")] = 10,
    model: Annotated[str, typer.Option(help="The recogniser, an asset.")] = "whisper-base",
    beam: Annotated[int, typer.Option(help="Hypotheses that it keeps.")] = 5,
) -> None:
    """Print a row per language."""
    hear = Transcriber(asset_folder(model), AUTO, TextGate(), beam=beam, translate=True)
    judge = load()
    nothing = Absent("words alone")

    def right(texts: list[str], emotions: list[str]) -> float:
        turns = [TurnInput(Utterance("Speaker 1", text), (), nothing, nothing) for text in texts]
        scores = [judge.follow(turn, judge.start())[0] for turn in turns]
        judged = [
            max(EMOTIONS.values(), key=dict(zip(one.labels.labels, one.probabilities, strict=True)).__getitem__)
            for one in scores
        ]
        return float(np.mean([a == b for a, b in zip(judged, emotions, strict=True)]))

    typer.echo("language  lines  told right  understood  emotion: as written  as heard  as translated")
    for language in LANGUAGES:
        name = "en-annotated" if language == "en" else f"{language}-projections"
        pairs = lines(data / "xed" / f"{name}.tsv", count)
        texts, emotions = [text for text, _ in pairs], [emotion for _, emotion in pairs]
        habit, heard = LanguageHabit(), []
        for text in texts:
            heard.append(hear(say(text, language), choose=habit.choose))
            habit.learn(heard[-1].odds)
        told = np.mean([one.language == language for one in heard])
        understood = np.mean([bool(one.text) for one in heard])
        written = right(texts, emotions)
        spoken = right([one.text for one in heard], emotions)
        translated = right([one.readable for one in heard], emotions)
        row = f"{language:8}  {len(pairs):5}  {told:10.2f}  {understood:10.2f}"
        typer.echo(f"{row}  {written:19.2f}  {spoken:8.2f}  {translated:13.2f}")


if __name__ == "__main__":
    typer.run(main)
