"""``python -m adapters.train``: from the data to a checkpoint, by a recipe, with one seed or several.

The frozen models are run over the data once and kept in the cache; fitting the adapter itself takes minutes. The LLM's
weights are hashed before and after.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from jaxtyping import Float, Int
from torch import Tensor

from adapters import checkpoint, conformal
from adapters.backbone import Backbone
from adapters.cache import asset_folder, backbone_source
from adapters.checkpoint import BackboneSpec, Card
from adapters.conformal import EmotionSets
from adapters.contract import MELD_LABELS
from adapters.corpora import Encoder, VoiceRows, WordRows, voice_rows, word_rows
from adapters.datasets import meld
from adapters.errors import AdapterError
from adapters.features.acoustic import SPEC, SpeechEncoder
from adapters.fit import Curves, fit_members, fit_weigh
from adapters.fit_pseudo import ReadPart, Voices, ask, fit_pseudo, read
from adapters.prompt import Prompter, PromptSpec
from adapters.readout.judge import Judge, JudgeShape
from adapters.readout.members import average
from adapters.readout.pseudo import PseudoShape
from adapters.readout.voice_summary import SUMMARY_DIM
from adapters.recipe import RECIPES, PseudoSpec, Recipe, read_recipe
from adapters.runs import finished, summarise, write_run, write_summary
from adapters.scores import Figures, figures, weighted_f1
from adapters.simulate import SHARES, draw_voices
from adapters.voices import MOMENTS, centred, fit_voice

COVERAGE = 0.9  # what the sets of emotions promise, for every emotion
DATA_USED = {
    "MELD train (fitting words), dev (calibration)": "GPL-3.0",
    "RAVDESS actors 01-16 (fitting voice), 17 on (calibration)": "CC BY-NC-SA 4.0",
    "EMO-DB without speaker 16 (fitting voice), 16 (calibration)": "CC0",
    "nEMO without speaker MP0 (fitting voice), MP0 (calibration)": "CC BY-NC-SA 4.0",
    "URDU talk shows without speaker SM3 (fitting voice), SM3 (calibration)": "research use",
    "AMI meetings trn03-05 and a pyannote.audio telephone call, first 18 s each, as neutral": "CC BY 4.0; MIT",
}
LIMITS = (
    "English words. The voice is judged by what acted voices in three languages and talk shows in a fourth have in "
    "common; how voice and words are weighed was fitted on simulated pairs, because no conversational audio with "
    "labels could be had. Says what a turn expresses, not what a person feels; not for decisions about people, and "
    "not for use at work or in education."
)

INTENDED_USE = (
    "Showing people how a conversation that they take part in, or agreed to have analysed, comes across turn by turn; "
    "and research on emotion in conversations."
)


@dataclass(frozen=True, slots=True)
class Split:
    """A text corpus as the LLM has read it; ``parts`` only where pseudo tokens ask it more."""

    rows: WordRows
    parts: Sequence[ReadPart] = ()


@torch.no_grad()
def states(judge: Judge, backbone: Backbone, split: Split, voices: Voices) -> Float[Tensor, "turns read parts d"]:
    """All that is read of each turn: pooled words, and the LLM's answer where pseudo tokens ask."""
    if judge.pseudo is None:
        return split.rows.states
    return torch.cat([split.rows.states, ask(judge.pseudo, backbone, split.parts, voices)[:, :, None]], dim=2)


def no_voices(labels: Int[Tensor, " turns"]) -> Voices:
    """Turns without a voice."""
    return torch.zeros(len(labels), SUMMARY_DIM), torch.zeros(len(labels), dtype=torch.bool)


@torch.no_grad()
def simulated(
    judge: Judge, rows: VoiceRows, labels: Int[Tensor, " turns"], step: int, seed: int
) -> tuple[Voices, Float[Tensor, "turns classes"]]:
    """A voice for each turn, drawn from some corpus, and what the voice's reader makes of it.

    Args:
        judge: Its voice's reader is fitted.
        rows: The voices.
        labels: Class ids of the turns.
        step: Which draw; how many turns of a speaker were heard before goes round with it.
        seed: Of all draws.
    """
    heard = centred(judge.voice, rows, MOMENTS[step % len(MOMENTS)], seed)
    chosen = draw_voices(labels, rows.labels, seed + step)
    return (heard[chosen], torch.ones(len(labels), dtype=torch.bool)), judge.voice(heard)[chosen]


def fit_judge(
    recipe: Recipe, judge: Judge, backbone: Backbone, fitting: Split, dev: Split, voices: VoiceRows, seed: int
) -> dict[str, Curves]:
    """Fit the voice's reader, then pseudo tokens where there are any, then the words' reader, scored on dev."""
    curves: dict[str, Curves] = {}
    trained = voices.where(~voices.held_out.numpy())
    labels = fitting.rows.labels
    fit_voice(judge.voice, trained, recipe.voice, seed)
    rows = [states(judge, backbone, fitting, no_voices(labels))] if judge.pseudo is None else []
    if judge.pseudo is not None and recipe.pseudo is not None:
        spec = recipe.pseudo

        def draw(epoch: int) -> Voices:
            (heard, _), _ = simulated(judge, trained, labels, epoch, seed)
            return heard, torch.rand(len(labels)) < spec.voices

        judge.pseudo.measure(centred(judge.voice, trained, MOMENTS[-1], seed))
        curves["pseudo tokens"] = fit_pseudo(judge.pseudo, backbone, fitting.parts, labels, draw, spec)
        heard, _ = simulated(judge, trained, labels, spec.epochs, seed)
        rows = [states(judge, backbone, fitting, given) for given in (no_voices(labels), heard)]
    held_out, wanted = states(judge, backbone, dev, no_voices(dev.rows.labels)).flatten(1), dev.rows.labels.numpy()

    @torch.no_grad()
    def score() -> float:
        return weighted_f1(average(judge.words(held_out)).argmax(1).numpy(), wanted)

    inputs, repeated = torch.cat(rows).flatten(1), labels.repeat(len(rows))
    curves["words"] = fit_members(judge.words, inputs, repeated, torch.ones(len(inputs)), recipe.words, score)
    return curves


@torch.no_grad()
def calibrate(
    judge: Judge, backbone: Backbone, dev: Split, voices: VoiceRows, seed: int
) -> tuple[dict[str, Figures], EmotionSets]:
    """Fit how words and voice are weighed, and emotion sets, on held-out data, and say how each case does there."""
    held, labels = voices.where(voices.held_out.numpy()), dev.rows.labels

    def said(given: Voices) -> Float[Tensor, "turns classes"]:
        return average(judge.words(states(judge, backbone, dev, given).flatten(1)))

    (heard, first), (_, second), (tested, test) = (simulated(judge, held, labels, step, seed) for step in range(3))
    alone, beside, beside_tested = said(no_voices(labels)), said(heard), said(tested)
    with torch.enable_grad():
        fit_weigh(judge.weigh, alone, beside, first, second, labels)
    yes, no = torch.ones(len(labels), dtype=torch.bool), torch.zeros(len(labels), dtype=torch.bool)
    given = {"words": (alone, yes, no), "words and voice": (beside_tested, yes, yes), "voice": (alone, no, yes)}
    cases = {case: judge.weigh(s, w, test, v).exp().double().numpy() for case, (s, w, v) in given.items()}
    true = labels.numpy()
    sets = EmotionSets(COVERAGE, {case: conformal.fit(rows, true, COVERAGE) for case, rows in cases.items()})
    named = {case if case == "words" else f"{case} (simulated)": rows for case, rows in cases.items()}
    return {name: figures(rows, true, MELD_LABELS.labels) for name, rows in named.items()}, sets


def pseudo_shape(spec: PseudoSpec, prompter: Prompter) -> PseudoShape:
    """Sizes of pseudo tokens, the question as long as its words are in the LLM's tokens."""
    return PseudoShape(spec.tokens, len(prompter.ids(spec.question)))


def train(recipe: Recipe, data: Path, out: Path, seed: int, encoder: Callable[[], Encoder]) -> dict[str, Any]:
    """Run one recipe.

    Args:
        recipe: What to do.
        data: Folder with one folder per data set.
        out: Where the checkpoint goes.
        seed: Of initial weights, order and draws.
        encoder: Loads the speech encoder, should voices have to be heard.

    Returns:
        What goes into the card's ``about``.

    Raises:
        AdapterError: Data or models are missing.
    """
    begun = time.monotonic()
    source = backbone_source(recipe.backbone)
    backbone = Backbone.load(source, recipe.layers, dtype=recipe.dtype)
    before = backbone.weights_digest
    prompt = PromptSpec(recipe.intro, recipe.max_tokens)
    prompter = Prompter.load(source, prompt)

    def split(name: str) -> Split:
        corpus = meld.load(data / "meld", name)
        parts = read(corpus, backbone, prompter) if recipe.pseudo else []
        return Split(word_rows(corpus, backbone, prompter, prompt), parts)

    fitting, dev = split("train"), split("dev")
    voices = voice_rows(data, encoder)
    read_s = time.monotonic() - begun
    shape = JudgeShape(
        layers=recipe.layers,
        width=backbone.width,
        classes=len(MELD_LABELS),
        members=recipe.members,
        words_hidden=recipe.words_hidden,
        voice_hidden=recipe.voice_hidden,
        pseudo=None if recipe.pseudo is None else pseudo_shape(recipe.pseudo, prompter),
    )
    torch.manual_seed(seed)
    judge = Judge(shape, recipe.words.dropout, recipe.voice.dropout)
    if judge.pseudo is not None and recipe.pseudo is not None:
        judge.pseudo.ask(backbone.embed(prompter.ids(recipe.pseudo.question)))
    curves = fit_judge(recipe, judge, backbone, fitting, dev, voices, seed)
    results, sets = calibrate(judge, backbone, dev, voices, seed)
    if backbone.weights_digest != before:
        raise AdapterError("the backbone's weights changed in training; it must stay frozen")
    about = {
        "data": DATA_USED,
        "intended_use": INTENDED_USE,
        "limits": LIMITS,
        "seed": seed,
        "simulated_voice_shares": SHARES,
        "dev": results,
        "parameters": sum(value.numel() for value in judge.parameters()),
        "seconds": {"reading": round(read_s), "all": round(time.monotonic() - begun)},
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    backbone_spec = BackboneSpec(recipe.backbone, backbone.fingerprint)
    card = Card(recipe.name, MELD_LABELS, SPEC, backbone_spec, prompt, shape, about=about, sets=sets)
    checkpoint.save(out, judge, card)
    write_run(out, recipe, seed, about, curves)
    return about


def train_seeds(
    recipe: Recipe, data: Path, out: Path, seeds: Sequence[int], encoder: Callable[[], Encoder]
) -> dict[str, Any]:
    """Run one recipe with several seeds, each in a folder of its own; a seed that is done is not run again.

    Args:
        recipe: What to do.
        data: Folder with one folder per data set.
        out: Where the folders go.
        seeds: Which ones.
        encoder: Loads the speech encoder, should voices have to be heard.

    Returns:
        Mean and spread of the figures on dev.

    Raises:
        AdapterError: As `train`.
    """
    abouts: dict[int, dict[str, Any]] = {}
    for seed in seeds:
        folder = out / f"seed-{seed}"
        abouts[seed] = finished(folder, recipe, seed) or train(recipe, data, folder, seed, encoder)
    summary = summarise(abouts)
    write_summary(out, summary)
    return summary


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    out: Annotated[Path, typer.Option(help="Where the checkpoint goes.")],
    config: Annotated[Path, typer.Option(help="The recipe.")] = RECIPES / "default.toml",
    seed: Annotated[int, typer.Option(help="Of initial weights, order and draws; the first of several.")] = 0,
    seeds: Annotated[int, typer.Option(help="How many to train with, each in a folder of its own.", min=1)] = 1,
) -> None:
    """Train an adapter and print its figures as JSON."""

    def encoder() -> SpeechEncoder:
        return SpeechEncoder(asset_folder("whisper-tiny.en"))

    try:
        recipe = read_recipe(config)
        if seeds == 1:
            result = train(recipe, data, out, seed, encoder)
        else:
            result = train_seeds(recipe, data, out, range(seed, seed + seeds), encoder)
    except AdapterError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    typer.run(main)
