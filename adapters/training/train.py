"""From the data to a checkpoint, by a recipe, with one seed or several.

The frozen models are run over the data once and kept in the cache; fitting the adapter itself takes minutes. The LLM's
weights are hashed before and after.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from jaxtyping import Float, Int
from torch import Tensor

from adapters.checkpoint import store
from adapters.checkpoint.conformal import EmotionSets
from adapters.checkpoint.store import BackboneSpec, Card
from adapters.errors import AdapterError, without_controls
from adapters.features import acoustic, visual
from adapters.features.acoustic import SpeechEncoder
from adapters.features.visual import FaceEncoder
from adapters.llm.backbone import Backbone
from adapters.llm.presets import backbone_source
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.readout.ensemble import Ensemble, mean_log_probs
from adapters.readout.head import EmotionHead, HeadShape
from adapters.readout.pseudo import Nonverbal, PseudoShape
from adapters.training.distil import soft_targets
from adapters.training.faces import FaceTurns, fit_face, halves
from adapters.training.feature_cache import VoiceRows, WordRows, word_rows
from adapters.training.fit import LearningCurves, fit_ensemble
from adapters.training.fit_lora import learn_words, read_corpora
from adapters.training.fit_pseudo import fit_pseudo, read_dialogues
from adapters.training.fusion import CONFLICTS, DRAWS, evaluate_cases, fit_fusion, fit_recorded
from adapters.training.metrics import Metrics, weighted_f1
from adapters.training.modality_scores import (
    Split,
    TurnScores,
    cross_fitted,
    face_pool,
    simulate_scores,
    voice_pool,
    word_states,
)
from adapters.training.recipe import PseudoSpec, Recipe, read_recipe, shipped_recipe
from adapters.training.recorded import Recorded, place, read_recorded, recorded_scores, with_faces, with_voices
from adapters.training.runs import Seed, begin, finished, summarise, write_run, write_summary
from adapters.training.simulate import CONFLICT, PRESENT, SHARES, draw
from adapters.training.sources import Encoders, Sources, read_faces, read_voices, sources_of
from adapters.training.voices import fit_voice

ASR_WORDS = Path("asr")  # in the data folder, with one folder per data set
INTENDED_USE = (
    "Showing people how a conversation that they take part in, or agreed to have analysed, comes across turn by turn; "
    "and research on emotion in conversations."
)


def fit_head(
    recipe: Recipe,
    head: EmotionHead,
    backbone: Backbone,
    fitting: Split | None,
    dev: Split,
    voices: VoiceRows | None,
    faces: FaceTurns | None,
    seed: int,
    asr_words: WordRows | None = None,
    unseen: FaceTurns | None = None,
) -> dict[str, LearningCurves]:
    """Fit the classifiers of voice and face, pseudo tokens if any, and the words' classifier, scored on dev.

    There is nothing to fit the words to (``fitting``) where they were learned inside the LLM.

    Pseudo tokens learn from scores of voices by classifiers that were not fitted to their speakers, and of faces that
    are ``unseen``: of those that a classifier knows it is surer than it will ever be live.
    """
    curves: dict[str, LearningCurves] = {}
    if head.voice is not None and recipe.voice is not None and voices is not None:
        fit_voice(head.voice, voices, recipe.voice, seed)
    if fitting is None:
        if head.face is not None and recipe.face is not None and faces is not None:
            curves["faces"] = fit_face(head.face, faces, recipe.face)
        return curves
    labels, label_set = fitting.rows.labels, fitting.rows.label_set
    if head.pseudo is not None and head.face is not None and recipe.face is not None and faces is not None:
        curves["faces"] = fit_face(head.face, faces, recipe.face)  # before the tokens, which it speaks to
    shown = [Nonverbal.none(len(labels), len(label_set))]
    if head.pseudo is not None and recipe.pseudo is not None and head.voice is not None and voices is not None:
        spec, heard = recipe.pseudo, cross_fitted(head.voice, voices, recipe.voice_spec, seed)
        seen = None if head.face is None or unseen is None else face_pool(head.face, unseen)

        def drawn(epoch: int) -> Nonverbal:
            made = replace(shown[0], has_voice=torch.rand(len(labels)) < spec.voices)
            chosen = draw(labels, heard.labels, label_set, seed + epoch)
            made = replace(made, voice=heard.scores[epoch % len(heard.scores), chosen])
            if seen is None:
                return made
            chosen = draw(labels, seen.labels, label_set, seed + epoch + 10_000)
            return replace(made, face=seen.scores[chosen], has_face=torch.rand(len(labels)) < spec.faces)

        head.pseudo.measure(heard.scores.flatten(0, 1), None if seen is None else seen.scores)
        curves["pseudo tokens"] = fit_pseudo(head.pseudo, backbone, fitting.chunks, labels, len(label_set), drawn, spec)
        shown.append(drawn(spec.epochs))
    rows = [word_states(head, backbone, fitting, one) for one in shown]
    none = Nonverbal.none(len(dev.rows.labels), len(label_set))
    held_out, wanted = word_states(head, backbone, dev, none).flatten(1), dev.rows.labels.numpy()

    @torch.no_grad()
    def score() -> float:
        return weighted_f1(mean_log_probs(head.words(held_out)).argmax(1).numpy(), wanted)

    written = [replace(fitting.rows, states=states) for states in rows]
    inputs, targets, weights, dialogues = _together(written, asr_words, recipe.asr_words)

    def fresh() -> Ensemble:
        sizes = inputs.shape[1], recipe.words_hidden, recipe.members, len(label_set)
        return Ensemble(*sizes, recipe.words.dropout)

    softened = soft_targets(fresh, inputs, targets, weights, dialogues, recipe.words, recipe.soft_targets)
    curves["words"] = fit_ensemble(head.words, inputs, targets, weights, recipe.words, score, softened)
    if head.face is not None and recipe.face is not None and faces is not None and head.pseudo is None:
        curves["faces"] = fit_face(head.face, faces, recipe.face)
    return curves


def _same_turns(one: WordRows, other: WordRows) -> bool:
    """Whether two copies of a corpus have the same dialogues in the same order, as far as turns and labels tell."""
    return torch.equal(one.dialogues, other.dialogues) and torch.equal(one.labels, other.labels)


def _together(
    written: Sequence[WordRows], asr_words: WordRows | None, weight: float
) -> tuple[Float[Tensor, "b dim"], Int[Tensor, " b"], Float[Tensor, " b"], Int[Tensor, " b"]]:
    """Inputs, class ids, weights and dialogues of all rows: written words, and ASR words with their weight."""
    rows = [*written, *([] if asr_words is None else [asr_words])]
    weights = [torch.full((len(one.labels),), weight if one is asr_words else 1.0) for one in rows]
    return (
        torch.cat([one.states for one in rows]).flatten(1),
        torch.cat([one.labels for one in rows]),
        torch.cat(weights),
        torch.cat([one.dialogues for one in rows]),
    )


def calibrate(
    head: EmotionHead,
    backbone: Backbone,
    dev: Split,
    voices: VoiceRows | None,
    faces: FaceTurns | None,
    seed: int,
    heard: Split | None = None,
    recorded: Recorded | None = None,
) -> tuple[dict[str, Metrics], EmotionSets]:
    """Fit late fusion and conformal sets, and compute the metrics of each combination of modalities on dev.

    Fusion is fitted to the same turns with their words as a recogniser transcribes them (``heard``), too, if given; and
    to dev's own voices and faces, where they were ``recorded``, instead of simulated ones.
    """
    labels = dev.rows.labels
    if recorded is not None:
        none = Nonverbal.none(len(labels), len(dev.rows.label_set))
        with torch.no_grad():
            texts = [word_states(head, backbone, of, none).flatten(1) for of in (dev, heard) if of is not None]
            turns = [recorded_scores(head, mean_log_probs(head.words(text)), recorded) for text in texts]
        return fit_recorded(head.fusion, turns, labels, dev.rows.label_set.labels)
    voice_draws = voice_pool(head.voice, voices, seed) if head.voice and voices else None
    face_draws = face_pool(head.face, faces) if head.face and faces else None

    def simulated(draw: int, shares: Mapping[str, float] = SHARES, of: Split = dev) -> TurnScores:
        return simulate_scores(head, backbone, of, voice_draws, face_draws, seed + draw, shares)

    drawn = [simulated(draw) for draw in range(DRAWS + 1)]
    fitted, contradicting = drawn[:-1], [simulated(DRAWS + 1 + draw, CONFLICT) for draw in range(CONFLICTS)]
    if heard is not None:
        fitted += [simulated(draw, of=heard) for draw in range(DRAWS)]
        contradicting += [simulated(DRAWS + 1 + draw, CONFLICT, heard) for draw in range(CONFLICTS)]
    fit_fusion(head.fusion, fitted, labels, contradicting)
    return evaluate_cases(head.fusion, drawn[-1], simulated(DRAWS, CONFLICT), labels, dev.rows.label_set.labels, seed)


def pseudo_shape(spec: PseudoSpec, prompter: Prompter) -> PseudoShape:
    """Sizes of pseudo tokens, the question as long as its words are in the LLM's tokens."""
    return PseudoShape(spec.tokens, len(prompter.ids(spec.question)))


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    seed: int,
    encoders: Encoders,
    dialogues: int = 0,
    recordings: Path | None = None,
) -> dict[str, Any]:
    """Run one recipe.

    Args:
        recipe: What to run.
        data: Folder with one folder per data set.
        out: Where the checkpoint goes.
        seed: Of initial weights, order and draws.
        encoders: Load the models for voices and faces.
        dialogues: Fit the words to so many dialogues only, the first ones; 0 takes all.
        recordings: Where ``python -m tracker.bench.clips`` has left what was recorded of the dialogues' turns.

    Returns:
        What goes into the card's ``about``.

    Raises:
        AdapterError: Data or models are missing, or ``out`` is no folder.
    """
    if not data.is_dir():
        raise AdapterError(f"no folder {data}: give the folder of the data sets")
    sources = sources_of(recipe)
    fitting_split, dev_split = list(sources.dialogues.splits)[:2]
    fitted_to = judged_on = None
    if recordings is not None:
        if recipe.pseudo:
            raise AdapterError("pseudo tokens are trained with simulated voices and faces: leave out --recordings")
        fitted_to, judged_on = (
            read_recorded(place(recordings, sources.dialogues.name, name), sources.dialogues.read(data, name))
            for name in (fitting_split, dev_split)
        )
    transcribed = data / ASR_WORDS / sources.dialogues.name
    if recipe.asr_words and not transcribed.is_dir():
        raise AdapterError(
            f"no ASR words in {transcribed}: make them by python -m tracker.bench.asr_copy "
            f"--data {data} --split train --out {data / ASR_WORDS}, or set asr_words = 0"
        )
    begin(out)
    begun = time.monotonic()
    source = backbone_source(recipe.backbone)
    backbone = Backbone.load(source, recipe.layers, dtype=recipe.dtype)
    before = backbone.weights_digest
    prompt = PromptSpec(recipe.intro, recipe.max_tokens)
    prompter = Prompter.load(source, prompt)

    def split(name: str, most: int = 0, folder: Path = data) -> Split:
        found = sources.dialogues.read(folder, name)
        some = replace(found, dialogues=found.dialogues[: most or None])
        chunks = read_dialogues(some, backbone, prompter) if recipe.pseudo else []
        return Split(word_rows(some, sources.labels, backbone, prompter, prompt), chunks)

    shape = HeadShape(
        layers=recipe.layers,
        width=backbone.width,
        classes=len(sources.labels),
        members=recipe.members,
        words_hidden=recipe.words_hidden,
        voice_hidden=recipe.voice_hidden if sources.voices else None,
        pseudo=None if recipe.pseudo is None else pseudo_shape(recipe.pseudo, prompter),
        face_hidden=recipe.face_hidden if sources.faces else None,
        lora=backbone.lora_shape(recipe.lora.first, recipe.lora.rank) if recipe.lora else None,
    )
    torch.manual_seed(seed)
    head = EmotionHead(
        shape, *(spec.dropout if spec else (0.0, 0.0) for spec in (recipe.words, recipe.voice, recipe.face))
    )
    if head.pseudo is not None and recipe.pseudo is not None:
        head.pseudo.initialise(backbone.embed(prompter.ids(recipe.pseudo.question)))
    curves: dict[str, LearningCurves] = {}
    if head.lora is not None:
        learned, held_out = read_corpora(recipe, sources, data, data / ASR_WORDS, prompter, seed, dialogues)
        curves |= learn_words(recipe, head.lora, head.words, backbone, prompter, learned, held_out, seed)
        backbone.put_on(head.lora)
    fitting, dev = None if recipe.lora else split(fitting_split, dialogues), split(dev_split)
    asr_words = None
    if fitting is not None and recipe.asr_words:
        asr_words = split(fitting_split, dialogues, data / ASR_WORDS).rows
        if not _same_turns(asr_words, fitting.rows):
            raise AdapterError(
                f"{transcribed} is of other dialogues than {sources.dialogues.name}: make it anew from those"
            )
    voices, held = read_voices(sources, data, encoders)
    shown, unseen = read_faces(sources, data, encoders, recipe.face_turns, seed)
    read_s = time.monotonic() - begun
    if fitted_to is not None:
        voices = None if voices is None else with_voices(voices, fitted_to, sources.dialogues.name)
        shown = None if shown is None else with_faces(shown, fitted_to)
    unseen, tokens_see = (unseen, None) if unseen is None or head.pseudo is None else halves(unseen)
    curves |= fit_head(recipe, head, backbone, fitting, dev, voices, shown, seed, asr_words, tokens_see)
    heard = None
    if recipe.asr_words and any(transcribed.glob(f"{dev_split}*")):
        heard = split(dev_split, folder=data / ASR_WORDS)
        if not _same_turns(heard.rows, dev.rows):
            raise AdapterError(f"{transcribed}: the {dev_split} split is of other dialogues: make it anew")
    results, sets = calibrate(head, backbone, dev, held, unseen, seed, heard, judged_on)
    if backbone.weights_digest != before:
        raise AdapterError("the backbone's weights changed in training; it must stay frozen")
    about = {
        "data": sources.licences(asr_words=recipe.asr_words > 0, recorded=recordings is not None),
        "intended_use": INTENDED_USE,
        "limits": sources.limits(recorded=recordings is not None),
        "absent": sources.absent,
        "seed": seed,
        **({"dialogues": dialogues} if dialogues else {}),
        **_voices_and_faces(sources, fitted_to, judged_on),
        "dev": results,
        "parameters": sum(value.numel() for value in head.parameters()),
        "seconds": {"reading": round(read_s), "all": round(time.monotonic() - begun)},
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    backbone_spec = BackboneSpec(recipe.backbone, backbone.fingerprint, backbone.lora)
    card = Card(
        recipe.name,
        sources.labels,
        acoustic.SPEC if sources.voices else None,
        backbone_spec,
        prompt,
        shape,
        about=about,
        sets=sets,
        video=visual.SPEC if sources.faces else None,
    )
    store.save(out, head, card)
    write_run(out, recipe, seed, about, curves)
    return about


def _voices_and_faces(sources: Sources, fitted_to: Recorded | None, judged_on: Recorded | None) -> dict[str, Any]:
    """What the card says of where voices and faces are from, beside their data sets."""
    if not (sources.voices or sources.faces):
        return {}
    if fitted_to is None or judged_on is None:
        return {"simulated_shares": SHARES, "simulated_presence": PRESENT}
    parts = {"fitting": fitted_to, "calibration": judged_on}
    return {
        "recorded": {
            name: {"turns": len(one.labels), "voices": int(one.has_voice.sum()), "faces": int(one.has_face.sum())}
            for name, one in parts.items()
        }
    }


def train_seeds(
    recipe: Recipe,
    data: Path,
    out: Path,
    seeds: Sequence[int],
    encoders: Encoders,
    dialogues: int = 0,
    recordings: Path | None = None,
) -> dict[str, Any]:
    """Run one recipe with several seeds, each in a folder of its own; a seed that is done is not run again.

    Args:
        recipe: What to run.
        data: Folder with one folder per data set.
        out: Where the folders go.
        seeds: Which ones.
        encoders: Load the models for voices and faces.
        dialogues: As `train`.
        recordings: Likewise.

    Returns:
        Mean and standard deviation of the metrics on dev.

    Raises:
        AdapterError: As `train`.
    """
    abouts: dict[int, dict[str, Any]] = {}
    for seed in seeds:
        folder = out / f"seed-{seed}"
        done = finished(folder, recipe, seed)
        if done is not None and (done.get("dialogues", 0) != dialogues or ("recorded" in done) != bool(recordings)):
            done = None
        if done is not None:
            typer.echo(without_controls(f"seed {seed} is done and kept: {folder}"), err=True)
        abouts[seed] = done or train(recipe, data, folder, seed, encoders, dialogues, recordings)
    summary = summarise(abouts)
    write_summary(out, summary)
    return summary


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    out: Annotated[Path, typer.Option(help="Where the checkpoint goes.")],
    config: Annotated[Path | None, typer.Option(help="The recipe; that of --method if not given.")] = None,
    method: Annotated[
        str, typer.Option(help="A recipe that ships: default, or mse, which has pseudo tokens of voice and face.")
    ] = "default",
    dialogues: Annotated[
        int, typer.Option(help="Fit the words to the first so many dialogues only, to try it; 0 takes all.", min=0)
    ] = 0,
    seed: Seed = 0,
    seeds: Annotated[int, typer.Option(help="How many to train with, each in a folder of its own.", min=1)] = 1,
    recordings: Annotated[
        Path | None,
        typer.Option(help="What tracker.bench.clips made of the dialogues' own clips; simulated turns if not given."),
    ] = None,
) -> None:
    """Train an adapter and print its metrics as JSON."""
    encoders = Encoders(SpeechEncoder, FaceEncoder)
    recipe = read_recipe(config or shipped_recipe(method))
    if seeds == 1:
        result = train(recipe, data, out, seed, encoders, dialogues, recordings)
    else:
        result = train_seeds(recipe, data, out, range(seed, seed + seeds), encoders, dialogues, recordings)
    typer.echo(json.dumps(result, indent=2, ensure_ascii=False))
