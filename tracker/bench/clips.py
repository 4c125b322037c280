"""A data set's own recordings, judged as live: ``python -m tracker.bench.clips --data DATA --split dev``.

Every labelled turn whose clip is there (MELD.Raw's, IEMOCAP's sentences) is heard and seen by the live observers: its
words recognised, the voice of its sound, the speaker's face in its picture. Then it is judged from every combination of
modalities, with its words as written and as heard, and the dialogue before it likewise. This is what the simulation of
docs/results.md stands in for. Clips that are missing, silent or cannot be read are counted by reason.

What was observed is kept in OUT, one file per clip, so that an interrupted run goes on where it was. These files hold
words and features, no sound and no picture. Where every dialogue of a split was observed, OUT has it for training, too:
``python -m adapters train --recordings OUT``, once the first two splits are there.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import anyio
import numpy as np
import typer
from jaxtyping import Float32

from adapters.contract import Absent, AdapterError, Features, FeatureSpec, Recogniser, TurnInput, Utterance
from adapters.datasets.corpus import find_kind
from adapters.datasets.records import Dialogues, Line
from adapters.errors import first_line
from adapters.features import acoustic, visual
from adapters.training.metrics import compute_metrics
from adapters.training.progress import progress
from adapters.training.recorded import Recordings, place
from tracker.app.models import Models, load_models
from tracker.config import Config
from tracker.config import load as load_config
from tracker.errors import TrackerError
from tracker.observe.observe import SpeechObserver
from tracker.observe.video.buffer import FrameBuffer
from tracker.observe.video.faces import FaceObserver
from tracker.runtime.clock import samples_to_ns
from tracker.sources.file_video import file_frames, has_video
from tracker.sources.files import FileSource
from tracker.sources.media import RATE_HZ, opened
from tracker.turns.turn import Turn

CASES = {
    "T": (True, False, False),
    "A": (False, True, False),
    "V": (False, False, True),
    "T+A": (True, True, False),
    "T+V": (True, False, True),
    "A+V": (False, True, True),
    "T+A+V": (True, True, True),
}
"""By name: whether words, voice and face are given."""

_SILENT = 1e-4  # the loudest sample of a clip in which there is nothing to hear
_LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Observed:
    """What was heard and seen of one clip."""

    text: str
    audio: Features | Absent
    video: Features | Absent


async def _samples(path: Path) -> Float32[np.ndarray, " samples"]:
    parts: list[np.ndarray] = []
    async with opened(FileSource(str(path))) as chunks:
        async for chunk in chunks:
            parts.append(chunk.samples)
            if sum(map(len, parts)) > _LONGEST_S * RATE_HZ:
                raise TrackerError(f"{path.name} is longer than {_LONGEST_S:g} s")
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def observer(models: Models, config: Config) -> Callable[[Path, str], Observed | Absent]:
    """Observes clips as live turns are observed.

    Args:
        models: With a face reader.
        config: The settings of a session.

    Returns:
        Takes a clip and its speaker; what was observed, or why nothing was.
    """
    listen = SpeechObserver(models.encoder, models.transcriber, config.recognise.min_voice_s)

    def observe(path: Path, speaker: str) -> Observed | Absent:
        try:
            samples = anyio.run(_samples, path)
            if np.abs(samples).max(initial=0.0) < _SILENT:
                return Absent("silent")
            end_ns = samples_to_ns(len(samples), RATE_HZ)
            turn = Turn(1, 0, 0, end_ns, end_ns, "end_of_media", end_ns, samples)
            heard = listen(turn)
            video: Features | Absent = Absent("no picture")
            if models.new_face_reader and has_video(str(path)):
                read = models.new_face_reader()
                frames = [read(frame) for frame in file_frames(str(path), config.video.rate_hz)]
                video = FaceObserver(FrameBuffer(None), "no picture").observe(turn, speaker, frames).features
        except TrackerError as error:
            return Absent(first_line(error))
        return Observed(heard.transcript.text, heard.audio, video)

    return observe


def kept(folder: Path, path: Path, observe: Callable[[], Observed | Absent]) -> Observed | Absent:
    """What was observed of a clip, from the folder if it is there, else put there.

    Args:
        folder: Where it is kept.
        path: The clip; another size or time of change makes it another one.
        observe: Observes it.
    """
    about = path.stat()
    key = hashlib.sha256(f"{path.resolve()} {about.st_size} {about.st_mtime_ns}".encode()).hexdigest()[:24]
    place = folder / f"{key}.npz"
    if place.is_file():
        try:
            return _read(place)
        except (KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile):  # half a file
            place.unlink()
    found = observe()
    partial = place.with_suffix(".partial")
    with partial.open("wb") as file:
        _write(file, found)
    partial.rename(place)
    return found


_SPECS = {"audio": acoustic.SPEC, "video": visual.SPEC}


def _write(file: object, found: Observed | Absent) -> None:
    about: dict[str, str] = {"why": found.reason} if isinstance(found, Absent) else {"text": found.text}
    arrays: dict[str, np.ndarray] = {}
    if isinstance(found, Observed):
        for name in _SPECS:
            part: Features | Absent = getattr(found, name)
            if isinstance(part, Absent):
                about[name] = part.reason
            else:
                arrays[name] = part.values.astype(np.float16)
    np.savez(file, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]


def _read(place: Path) -> Observed | Absent:
    with place.open("rb") as file, np.lib.npyio.NpzFile(file) as arrays:  # which unpickles nothing
        about: dict[str, str] = json.loads(str(arrays["about"]))
        if "why" in about:
            return Absent(about["why"])

        def part(name: str, spec: FeatureSpec) -> Features | Absent:
            if name in about:
                return Absent(about[name])
            values = arrays[name].astype(np.float32)
            if values.ndim != 2 or values.shape[1] != spec.dim:
                raise ValueError(f"{name} is {values.shape}")
            return Features(spec, values)

        return Observed(about["text"], *(part(name, spec) for name, spec in _SPECS.items()))


@dataclass(frozen=True, slots=True)
class Pair:
    """A labelled turn with its clip's observations."""

    line: Line
    observed: Observed


def judge(
    model: Recogniser, dialogues: Sequence[Sequence[Line | Pair]], case: tuple[bool, bool, bool], *, heard: bool
) -> Iterator[tuple[int, tuple[float, ...]]]:
    """The label and the probabilities of every turn that has a clip.

    Args:
        model: Judges.
        dialogues: Turns in order; those without a clip are context, as written.
        case: As `CASES` has it.
        heard: Whether words are those that were recognised.
    """
    words, voice, face = case
    not_given = Absent("not given")
    for dialogue in dialogues:
        history: list[Utterance] = []
        state = model.start()
        for one in dialogue:
            line = one.line if isinstance(one, Pair) else one
            said = line.utterance
            if isinstance(one, Pair):
                said = replace(said, text=one.observed.text) if heard else said
                turn = TurnInput(
                    said if words else replace(said, text=""),
                    tuple(history) if words else (),
                    one.observed.audio if voice else not_given,
                    one.observed.video if face else not_given,
                )
                scores, state = model.follow(turn, state)
                assert line.label is not None
                yield line.label, scores.probabilities
            if said.text:
                history.append(said)


def table(model: Recogniser, dialogues: Sequence[Sequence[Line | Pair]]) -> Iterator[str]:
    """A row for each combination of modalities."""
    yield "| recorded turns | as written: weighted F1 | macro F1 | ECE | as heard: weighted F1 | macro F1 | ECE |"
    yield "|---|---|---|---|---|---|---|"
    for name, case in CASES.items():
        cells: list[str] = []
        for heard in (False, True):
            labels, rows = zip(*judge(model, dialogues, case, heard=heard), strict=True)
            metrics = compute_metrics(np.array(rows), np.array(labels), model.labels.labels)
            cells += [f"{metrics[key]:.3f}" for key in ("weighted_f1", "macro_f1", "ece")]
        yield f"| {name} | {' | '.join(cells)} |"


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    out: Annotated[Path, typer.Option(help="Where observations are kept.")],
    dataset: Annotated[str, typer.Option(help="Dialogues with recordings.")] = "meld",
    split: Annotated[str, typer.Option(help="One of the data set's.")] = "dev",
    checkpoint: Annotated[str, typer.Option(help="The adapter: a name or a folder.")] = "default",
    dialogues: Annotated[int, typer.Option(help="Take so many only; 0 takes all.", min=0)] = 0,
    judged: Annotated[bool, typer.Option(help="Whether to judge them, too, which takes memory for all.")] = True,
) -> None:
    """Observe the clips, and print the table."""
    corpus = find_kind(dataset, Dialogues)
    found = corpus.read(data, split).dialogues[: dialogues or None]
    config = load_config(None, sets=[f"recognise.adapter={checkpoint}"])
    models = load_models(config, faces=True)
    if models.recogniser.labels != corpus.labels:
        raise AdapterError(f"{checkpoint} does not have the labels of {dataset}: train one that has")
    observe, missing, there, recordings = observer(models, config), Counter[str](), Counter[str](), Recordings()
    out.mkdir(parents=True, exist_ok=True)
    begun = time.process_time()

    def paired(line: Line) -> Line | Pair:
        if line.label is None:
            return line
        path = line.media
        seen = path if isinstance(path, Absent) else kept(out, path, lambda: observe(path, line.utterance.speaker))
        if isinstance(seen, Absent):
            missing[seen.reason] += 1
            recordings.add(line.label, seen, seen)
            return line
        there.update(name for name in ("text", *_SPECS) if not isinstance(getattr(seen, name), Absent))
        recordings.add(line.label, seen.audio, seen.video)
        return Pair(line, seen) if judged else line

    read = [[paired(line) for line in dialogue] for dialogue in progress(found, "observing")]
    if not there["text"]:
        raise AdapterError(f"no clip of {dataset} {split} could be observed: {dict(missing.most_common(5))}")
    seconds = (time.process_time() - begun) / there["text"]
    typer.echo(
        f"{there['text']} turns with clips, {there['audio']} with a voice, {there['video']} with a face, "
        f"{seconds:.2f} processor seconds each; without: {dict(missing.most_common(8))}",
        err=True,
    )
    if not dialogues:
        recordings.write(place(out, corpus.name, split))
    for row in table(models.recogniser, read) if judged else ():
        typer.echo(row)


if __name__ == "__main__":
    try:
        typer.run(main)
    except (AdapterError, TrackerError) as error:
        sys.exit(f"error: {error}")
