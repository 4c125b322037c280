"""What the pseudo tokens of a trained adapter do: attention, gradient, and how far voice and face move the judgement.

Dialogues of dev with simulated voices and faces (see `adapters.training.simulate`). Attention is that of the position
whose states are read, mean over heads and layers; the gradient is that of the loss with respect to each part of the
pseudo tokens; and the words' classifier is asked again with the voices, or the faces, of other turns in their place.
One JSON on stdout.

Letters: ``turns`` of the dialogues, ``b`` turns of one stretch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import nll_loss

from adapters.checkpoint import store
from adapters.checkpoint.backbone import llm_of
from adapters.checkpoint.hub import locate
from adapters.errors import AdapterError
from adapters.features import acoustic, visual
from adapters.features.acoustic import SpeechEncoder
from adapters.features.visual import FaceEncoder
from adapters.llm.backbone import Backbone
from adapters.llm.presets import backbone_source
from adapters.readout.ensemble import mean_log_probs
from adapters.readout.head import EmotionHead
from adapters.readout.pseudo import Nonverbal, PseudoTokens, query
from adapters.training.feature_cache import word_rows
from adapters.training.fit_pseudo import CachedChunk, read_dialogues
from adapters.training.modality_scores import Split, face_pool, voice_pool, word_states
from adapters.training.recipe import read_recipe, shipped_recipe
from adapters.training.simulate import draw
from adapters.training.sources import Encoders, read_faces, read_voices, sources_of

_FACES = 300  # turns with a face of each label
PARTS = ("voice", "face", "mixer", "fusion", "question", "no_voice", "no_face")


@torch.no_grad()
def attention(
    pseudo: PseudoTokens, backbone: Backbone, chunks: Sequence[CachedChunk], nonverbal: Nonverbal
) -> dict[str, float]:
    """Shares of the last position's attention: the first token, the dialogue, the pseudo tokens, the question."""
    found: list[Float[Tensor, "b groups"]] = []
    questions = len(pseudo.question)
    for chunk in chunks:
        suffix = pseudo(chunk.words, nonverbal.rows(chunk.rows))
        length, positions = chunk.prefix.length, suffix.shape[1]
        shares = backbone.attention(chunk.prefix, suffix, chunk.ends).mean(0)
        own = shares[:, length:].unflatten(1, (-1, positions))[torch.arange(len(suffix)), torch.arange(len(suffix))]
        tokens, asked = own[:, : positions - questions].sum(1), own[:, positions - questions :].sum(1)
        found.append(torch.stack([shares[:, 0], shares[:, 1:length].sum(1), tokens, asked], dim=1))
    first, dialogue, tokens, asked = torch.cat(found).mean(0).tolist()
    return {"first_token": first, "dialogue": dialogue, "pseudo_tokens": tokens, "question": asked}


def gradients(head: EmotionHead, backbone: Backbone, split: Split, nonverbal: Nonverbal) -> dict[str, dict[str, float]]:
    """Norms of the loss's gradient by part, and that of its weights beside each."""
    pseudo = _pseudo(head)
    pseudo.requires_grad_(True)
    turns = len(split.rows.labels)
    for chunk in split.chunks:
        answers = query(pseudo, backbone, chunk.prefix, chunk.ends, chunk.words, nonverbal.rows(chunk.rows))
        states = torch.cat([split.rows.states[chunk.rows], answers[:, :, None]], dim=2).flatten(1)
        loss = nll_loss(mean_log_probs(head.words(states)), split.rows.labels[chunk.rows], reduction="sum")
        (loss / turns).backward()
    named = dict(pseudo.named_parameters())
    parts = {part: [one for name, one in named.items() if name.split(".")[0] == part] for part in PARTS}
    return {
        part: {
            "gradient": _norm([one.grad for one in some if one.grad is not None]),
            "weights": _norm([one.detach() for one in some]),
        }
        for part, some in parts.items()
    }


def moved(
    head: EmotionHead, backbone: Backbone, split: Split, nonverbal: Nonverbal, seed: int
) -> dict[str, dict[str, float]]:
    """How the words' classifier answers with other turns' voices, faces or both, and with none."""
    order = torch.randperm(len(split.rows.labels), generator=torch.Generator().manual_seed(seed))
    other = nonverbal.rows(order)
    asked = {
        "other_voice": replace(nonverbal, voice=other.voice),
        "other_face": replace(nonverbal, face=other.face),
        "neither": Nonverbal.none(len(order), nonverbal.voice.shape[1]),
    }

    @torch.no_grad()
    def probabilities(shown: Nonverbal) -> Float[Tensor, "turns classes"]:
        return mean_log_probs(head.words(word_states(head, backbone, split, shown).flatten(1))).exp()

    before = probabilities(nonverbal)
    return {name: _difference(before, probabilities(shown)) for name, shown in asked.items()}


def simulated(head: EmotionHead, split: Split, data: Path, seed: int) -> Nonverbal:
    """What a voice and a face of every turn suggest, from those that are held out."""
    sources = sources_of(read_recipe(shipped_recipe("default")))
    encoders = Encoders(SpeechEncoder, FaceEncoder)
    voices, faces = read_voices(sources, data, encoders)[1], read_faces(sources, data, encoders, _FACES, seed)[1]
    if head.voice is None or voices is None or faces is None:
        raise AdapterError("the adapter reads no voices, or there are none to draw from")
    labels, known = split.rows.labels, split.rows.label_set
    pool, everybody = voice_pool(head.voice, voices, seed), torch.ones(len(labels), dtype=torch.bool)
    shown = replace(Nonverbal.none(len(labels), len(known)), has_voice=everybody)
    shown = replace(shown, voice=pool.scores[-1, draw(labels, pool.labels, known, seed)])
    if head.face is None:
        return shown
    seen = face_pool(head.face, faces)
    return replace(shown, face=seen.scores[draw(labels, seen.labels, known, seed + 10_000)], has_face=everybody)


def _pseudo(head: EmotionHead) -> PseudoTokens:
    if head.pseudo is None:
        raise AdapterError("the adapter has no pseudo tokens: train one with --method mse")
    return head.pseudo


def _norm(values: Sequence[Tensor]) -> float:
    return float(torch.stack([value.float().square().sum() for value in values]).sum().sqrt()) if values else 0.0


def _difference(one: Float[Tensor, "turns classes"], other: Float[Tensor, "turns classes"]) -> dict[str, float]:
    labels: Int[Tensor, " turns"] = one.argmax(1) != other.argmax(1)
    return {
        "labels_changed": float(labels.float().mean()),
        "probability_moved": float((one - other).abs().sum(1).mean() / 2),
    }


def main(
    data: Annotated[Path, typer.Option(help="Folder with one folder per data set.")],
    checkpoint: Annotated[str, typer.Option(help="Folder or name of an adapter with pseudo tokens.")] = "mse",
    dialogues: Annotated[int, typer.Option(help="Take so many of dev only; 0 takes all.", min=0)] = 30,
    seed: Annotated[int, typer.Option(help="Of the draws.", min=0)] = 0,
) -> None:
    """Probe an adapter's pseudo tokens."""
    head, card = store.load(locate(checkpoint), acoustic.SPEC, visual.SPEC)
    pseudo = _pseudo(head)
    sources = sources_of(read_recipe(shipped_recipe("default")))
    backbone, prompter = llm_of(head, card, backbone_source(card.backbone.name), dtype="bfloat16")
    corpus = sources.dialogues.read(data, list(sources.dialogues.splits)[1])
    corpus = replace(corpus, dialogues=corpus.dialogues[: dialogues or None])
    rows = word_rows(corpus, card.labels, backbone, prompter, card.prompt)
    split = Split(rows, read_dialogues(corpus, backbone, prompter))
    nonverbal = simulated(head, split, data, seed)
    found: dict[str, Any] = {
        "turns": len(rows.labels),
        "positions": {"pseudo_tokens": card.shape.pseudo.tokens, "question": card.shape.pseudo.question}
        if card.shape.pseudo
        else {},
        "attention": attention(pseudo, backbone, split.chunks, nonverbal),
        "moved": moved(head, backbone, split, nonverbal, seed),
        "gradients": gradients(head, backbone, split, nonverbal),
    }
    typer.echo(json.dumps(found, indent=2))
