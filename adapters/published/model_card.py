"""The README of an adapter in the paper's layout, in its repository on the hub."""

from __future__ import annotations

from adapters.checkpoint.model_card import header, section, table
from adapters.published.checkpoint import MseCard


def describe(card: MseCard) -> str:
    """The README, in Markdown with the hub's header."""
    live = card.calibration is not None
    tells = f"MSE-Adapter (AAAI 2025, arXiv 2502.12478) in the paper's own layout, trained on {card.dataset}."
    use = (
        "tracker run call.wav --set recognise.adapter=hf:OWNER/NAME"
        if live
        else f"python -m adapters published evaluate FOLDER --data DATA  # {card.dataset}"
    )
    rows: list[tuple[str, ...]] = [
        ("language model", f"{card.backbone.name}, fingerprint {card.backbone.fingerprint}"),
        ("turns from", card.source),
        ("voice features", str(card.audio or f"{card.shape.audio.dim} a frame")),
        ("face features", str(card.video or f"{card.shape.video.dim} a frame")),
        ("SHA-256 of adapter.safetensors", card.weights_sha256),
    ]
    figures: list[tuple[str, ...]] = [
        (name, f"{value:.3f}")
        for name, value in card.about.items()
        if isinstance(value, float) and name != "minutes_per_epoch"
    ]
    return "\n".join(
        [
            header(card.adapter_id, tells, card.backbone, card.about.get("parameters"), use),
            section("Metrics on the validation split", table(("metric", "value"), figures)),
            section("What it was made for", table(("what", "which"), rows)),
        ]
    )
