"""A published adapter's README of its repository, made from its card."""

from __future__ import annotations

from typing import Any

from adapters.checkpoint.dimensions import DimensionCard
from adapters.checkpoint.store import BackboneSpec, Card

_HEADER = """\
---
library_name: emotion-tracker
pipeline_tag: text-classification
license: other
license_name: see-the-data-below
tags:
- emotion-recognition
- conversation
- speech
- mse-adapter
{base}---

# {name}

{tells} A small trained adapter ({parameters}) on a frozen language model, whose weights are not part of it.

```{language}
{use}
```
"""
_CODE = """\
from adapters import recogniser
from adapters.contract import TurnInput, Utterance

model = recogniser.load("hf:OWNER/NAME", device="cpu")
print(model.scores(TurnInput(Utterance("Ann", "I got the job!"))).label)"""


def header(name: str, tells: str, backbone: BackboneSpec, parameters: object, use: str, language: str = "sh") -> str:
    """The hub's header, what the adapter does, and how it is used."""
    return _HEADER.format(
        base=f"base_model: {backbone.name}\n" if "/" in backbone.name else "",
        name=name,
        tells=tells,
        parameters=f"{parameters:,} weights" if isinstance(parameters, int) else "a few million weights",
        use=use,
        language=language,
    )


def describe_dimensions(card: DimensionCard) -> str:
    """The README of an adapter for dimensions."""
    names = [f"{one.name} (-1 {one.low}, 1 {one.high})" for one in card.dimensions]
    tells = f"Says where the words of a turn lie in {' and '.join(names)}, beside an adapter for emotions."
    use = f"tracker run call.wav --set recognise.dimensions=hf:OWNER/NAME  # reads what {card.backbone.name} reads"
    about = card.about
    dev = about.get("dev")
    rows = [
        (name, *(_number(values.get(one)) for one in ("mae", "mae_of_the_mean", "correlation")))
        for name, values in (dev.items() if isinstance(dev, dict) else ())
        if isinstance(values, dict)
    ]
    made_for: list[tuple[str, ...]] = [
        ("language model", f"{card.backbone.name}, fingerprint {card.backbone.fingerprint}"),
        ("layers", ", ".join(map(str, card.layers))),
        ("SHA-256 of adapter.safetensors", card.weights_sha256),
    ]
    return "\n".join(
        [
            header(card.name, tells, card.backbone, about.get("parameters"), use),
            section("Limits", _words(about.get("limits"))),
            section("Data and licences", table(("data", "licence"), _pairs(about.get("data")))),
            section("Metrics on the dev split", table(("dimension", "MAE", "MAE of the mean", "correlation"), rows)),
            section("What it was made for", table(("what", "which"), made_for)),
        ]
    )


def describe(card: Card) -> str:
    """The README of an adapter for emotions, in Markdown with the hub's header."""
    about = card.about
    senses = _listed(["its words", "the turns before it", *_senses(card)])
    labels = ", ".join(card.labels.labels)
    tells = f"Says which emotion each turn of a conversation carries, from {senses}: one of\n{labels}."
    parts = [
        header(card.name, tells, card.backbone, about.get("parameters"), _CODE, "python"),
        section("Intended use", _words(about.get("intended_use"))),
        section("Limits", _words(about.get("limits"))),
        section("What it does not read", table(("modality", "why"), _pairs(about.get("absent")))),
        section("Data and licences", table(("data", "licence"), _pairs(about.get("data")))),
        section("Metrics on the dev split", _metrics(about.get("dev"))),
        section("What it was made for", _made_for(card)),
    ]
    return "\n".join(part for part in parts if part)


def _senses(card: Card) -> list[str]:
    return [name for name, spec in (("the voice", card.audio), ("the face", card.video)) if spec is not None]


def _listed(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def section(title: str, body: str) -> str:
    """A section; nothing where its body is empty."""
    return f"\n## {title}\n\n{body}" if body else ""


def _words(text: object) -> str:
    return f"{text}\n" if text else "Not stated.\n"


def _pairs(values: object) -> list[tuple[str, ...]]:
    return [(str(key), str(value)) for key, value in values.items()] if isinstance(values, dict) else []


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown; nothing where there are no rows."""
    if not rows:
        return ""
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in lines)


def _metrics(cases: Any) -> str:
    """One row per case."""
    names = ("n", "weighted_f1", "macro_f1", "accuracy", "ece", "brier")
    rows: list[tuple[str, ...]] = []
    for case, values in cases.items() if isinstance(cases, dict) else ():
        if isinstance(values, dict):
            rows.append((str(case), *(_number(values.get(name)) for name in names)))
    return table(("case", *(name.replace("_", " ") for name in names)), rows)


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str("" if value is None else value)


def _made_for(card: Card) -> str:
    rows: list[tuple[str, ...]] = [
        ("language model", f"{card.backbone.name}, fingerprint {card.backbone.fingerprint}"),
        ("voice features", str(card.audio or "none")),
        ("face features", str(card.video or "none")),
        ("seed", str(card.about.get("seed", "not stated"))),
        ("SHA-256 of adapter.safetensors", card.weights_sha256),
    ]
    if card.sets is not None:
        rows.append(("sets of emotions hold the true one in", f"{card.sets.coverage:.0%} of turns, per emotion"))
    return table(("what", "which"), rows)
