"""How the voice carries over: what is judged was never trained on."""

from typing import Any

import numpy as np
import pytest
import torch

from adapters.contract import MELD_LABELS
from adapters.evaluation import cross_corpus
from adapters.evaluation.cross_corpus import SHARED, leave_out
from adapters.readout.voice_summary import SUMMARY_DIM
from adapters.training.feature_cache import VoiceRows
from adapters.training.recipe import RECIPES, read_recipe
from adapters.training.voices import fit_voice

CORPORA = ("ravdess", "emodb", "neutral-talk")


def rows() -> VoiceRows:
    """Each label twice in each corpus, ordinary talk neutral."""
    corpora = np.repeat(CORPORA, 14)
    labels = torch.arange(7).repeat(6)
    labels[corpora == "neutral-talk"] = 0
    torch.manual_seed(0)
    summaries = torch.randn(len(labels), SUMMARY_DIM)
    speakers = np.array([f"{corpus} {turn % 2}" for turn, corpus in enumerate(corpora)])
    return VoiceRows(summaries, labels, corpora, speakers, torch.zeros(len(labels), dtype=torch.bool))


@pytest.mark.parametrize("corpus", ["ravdess", "emodb"])
def test_a_corpus_that_is_left_out_is_never_heard(corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[VoiceRows] = []

    def watched(reader: Any, some: VoiceRows, *others: Any) -> Any:
        heard.append(some)
        return fit_voice(reader, some, *others)

    monkeypatch.setattr(cross_corpus, "fit_voice", watched)
    recalls = leave_out(read_recipe(RECIPES / "default.toml"), rows(), corpus, seed=0)
    assert set(heard[0].corpora) == {"ravdess", "emodb"} - {corpus}
    assert {MELD_LABELS.labels[label] for label in heard[0].labels.tolist()} == set(SHARED)
    assert all(0.0 <= recall <= 1.0 for recall in recalls.values())
