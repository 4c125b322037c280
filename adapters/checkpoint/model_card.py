"""A published adapter's README of its repository, made from its card."""

from __future__ import annotations

from typing import Any

from adapters.checkpoint.store import Card

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

Says which emotion each turn of a conversation carries, from its words, the turns before it and {senses}: one of
{labels}. A small trained adapter ({parameters}) on a frozen language model, whose weights are not part of it.

```python
from adapters import recogniser
from adapters.contract import TurnInput, Utterance

model = recogniser.load("hf:OWNER/NAME", device="cpu")
print(model.scores(TurnInput(Utterance("Ann", "I got the job!"))).label)
```
"""


def describe(card: Card) -> str:
    """The README, in Markdown with the hub's header."""
    about = card.about
    base = f"base_model: {card.backbone.name}\n" if "/" in card.backbone.name else ""
    count = about.get("parameters")
    parts = [
        _HEADER.format(
            base=base,
            name=card.name,
            senses="the voice" if card.video is None else "voice and face",
            labels=", ".join(card.labels.labels),
            parameters=f"{count:,} weights" if isinstance(count, int) else "a few million weights",
        ),
        _section("Intended use", _words(about.get("intended_use"))),
        _section("Limits", _words(about.get("limits"))),
        _section("Data and licences", _table(("data", "licence"), _pairs(about.get("data")))),
        _section("Metrics on the dev split", _metrics(about.get("dev"))),
        _section("What it was made for", _made_for(card)),
    ]
    return "\n".join(part for part in parts if part)


def _section(title: str, body: str) -> str:
    return f"\n## {title}\n\n{body}" if body else ""


def _words(text: object) -> str:
    return f"{text}\n" if text else "Not stated.\n"


def _pairs(values: object) -> list[tuple[str, ...]]:
    return [(str(key), str(value)) for key, value in values.items()] if isinstance(values, dict) else []


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
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
    return _table(("case", *(name.replace("_", " ") for name in names)), rows)


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str("" if value is None else value)


def _made_for(card: Card) -> str:
    rows: list[tuple[str, ...]] = [
        ("language model", f"{card.backbone.name}, fingerprint {card.backbone.fingerprint}"),
        ("voice features", str(card.audio)),
        ("face features", "none" if card.video is None else str(card.video)),
        ("seed", str(card.about.get("seed", "not stated"))),
        ("SHA-256 of adapter.safetensors", card.weights_sha256),
    ]
    if card.sets is not None:
        rows.append(("sets of emotions hold the true one in", f"{card.sets.coverage:.0%} of turns, per emotion"))
    return _table(("what", "which"), rows)
