"""How often a strong emotion splits a speaker in two, and is put right: ``python -m tracker.bench.splits DATA``.

Simulates conversations of one to four people from acted emotions (RAVDESS, EmoDB and nEMO, each below DATA): 30 turns,
each a clip of one of them with any emotion. ``--mixed`` is the share of turns that hold two voices, as where a change
of speaker was missed. Prints for each number of people how many speakers were named and how many were left at the end,
the share of merges that were right, and of turns given to the wrong speaker before and after (the best pairing of
speakers).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import soundfile
import typer

from adapters.contract import asset_folder
from tracker.config import SpeakersConfig
from tracker.observe.campplus import VoiceEmbedder
from tracker.observe.speakers import SpeakerRegistry, Vector, VoiceSample
from tracker.sources.media import RATE_HZ

TURNS = 30
_LEAST_S = 1.0
_TENTH = RATE_HZ // 10  # samples of a tenth of a second
_QUIET = 1e-3  # of the loudest tenth of a second


class Outcome(NamedTuple):
    """One simulated conversation."""

    named: int
    left: int
    right: int
    wrong: int
    confused_before: float
    confused_after: float


def clips(data: Path) -> Iterator[tuple[str, str, Path]]:
    """Data set, speaker and file of every clip."""
    for file in sorted((data / "ravdess").glob("*/*.flac")):
        if file.stem.split("-")[5] == "01":  # the first repetition
            yield "ravdess", file.stem[-2:], file
    for file in sorted((data / "emodb").glob("*.flac")):
        yield "emodb", file.stem[:2], file
    with open(data / "nemo" / "data.tsv", encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            file = data / "nemo" / f"{Path(row['file_id']).stem}.flac"
            if file.is_file():
                yield "nemo", row["speaker_id"], file


def voice(file: Path, embed: VoiceEmbedder) -> Vector | None:
    """The voice of a clip without the silence around it; None where it is too short."""
    samples, _ = soundfile.read(file, dtype="float32")
    tenths = samples[: len(samples) // _TENTH * _TENTH].reshape(-1, _TENTH)
    power = (tenths**2).sum(1)
    loud = np.flatnonzero(power > power.max() * _QUIET)
    speech = samples[loud[0] * _TENTH : (loud[-1] + 1) * _TENTH]
    return embed(speech) if len(speech) >= _LEAST_S * RATE_HZ else None


def simulate(
    voices: dict[str, list[Vector]], people: int, mixed: float, registry: SpeakerRegistry, rng: np.random.Generator
) -> Outcome:
    """One conversation."""
    present = [str(name) for name in rng.choice(sorted(voices), people, replace=False)]

    def one_of(who: str) -> Vector:
        return voices[who][rng.integers(len(voices[who]))]

    spoke, named = [], []
    for _ in range(TURNS):
        who = present[rng.integers(people)]
        heard = one_of(who)
        if people > 1 and rng.random() < mixed:
            heard = heard + one_of(next(other for other in present if other != who))
            heard = heard / np.linalg.norm(heard)
        spoke.append(who)
        named.append(registry.identify(VoiceSample(heard.astype(np.float32), 3.0)))
    mostly = {name: Counter(w for w, n in zip(spoke, named, strict=True) if n == name).most_common(1) for name in named}
    right = sum(mostly[one.speaker][0][0] == mostly[one.into][0][0] for one in registry.merges)
    final = named
    for merge in registry.merges:
        final = [merge.into if name == merge.speaker else name for name in final]
    wrong = len(registry.merges) - right
    return Outcome(len(set(named)), len(set(final)), right, wrong, confused(spoke, named), confused(spoke, final))


def confused(spoke: Sequence[str], named: Sequence[str]) -> float:
    """The share of turns of the wrong speaker, under the best pairing."""
    pairs, people = Counter(zip(spoke, named, strict=True)), sorted(set(spoke))
    names = [*sorted(set(named)), *[""] * len(people)]
    orders = set(permutations(names, len(people)))
    most = max(sum(pairs[pair] for pair in zip(people, order, strict=True)) for order in orders)
    return 1 - most / len(spoke)


def main(
    data: Annotated[Path, typer.Argument(help="Folder with one folder per data set.")],
    count: Annotated[int, typer.Option(help="Conversations of each number of people, from each data set.")] = 15,
    mixed: Annotated[float, typer.Option(help="Share of turns that hold two voices.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 200,
) -> None:
    """Print it."""
    settings = SpeakersConfig()
    embed = VoiceEmbedder(asset_folder(settings.model))
    voices: dict[str, dict[str, list[Vector]]] = {}
    for corpus, speaker, file in clips(data):
        if (vector := voice(file, embed)) is not None:
            voices.setdefault(corpus, {}).setdefault(speaker, []).append(vector)
    book = partial(
        SpeakerRegistry, settings.same_above, settings.max_speakers, settings.short_turn_s, settings.continuity
    )
    every: list[Outcome] = []
    for people in (1, 2, 3, 4):
        found = [
            simulate(voices[corpus], people, mixed, book(), np.random.default_rng(seed + number))
            for corpus in voices
            for number in range(count)
        ]
        every += found
        named, left = (np.mean([getattr(one, name) for one in found]) for name in ("named", "left"))
        typer.echo(f"{people} people: {named:.1f} speakers named, {left:.1f} at the end")
    right, wrong = sum(one.right for one in every), sum(one.wrong for one in every)
    before, after = (np.mean([getattr(one, f"confused_{when}") for one in every]) for when in ("before", "after"))
    typer.echo(f"merges: {right} right, {wrong} wrong")
    typer.echo(f"turns of the wrong speaker: {before:.3f} before, {after:.3f} after")


if __name__ == "__main__":
    typer.run(main)
