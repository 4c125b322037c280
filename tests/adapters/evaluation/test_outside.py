"""The table of words from elsewhere, on made-up corpora and a tiny LLM."""

from pathlib import Path

import pytest
import torch

from adapters.checkpoint import store
from adapters.checkpoint.store import BackboneSpec, Card
from adapters.contract import MELD_LABELS
from adapters.llm.backbone import Backbone
from adapters.llm.prompt import PromptSpec
from adapters.readout.head import EmotionHead, HeadShape
from adapters.readout.pseudo import PseudoShape
from tests.support.corpora import write_corpora
from tests.support.program import adapters
from tests.support.tiny import write_backbone

SHAPE = HeadShape((1, 2), 64, 7, members=2, words_hidden=4, voice_hidden=None)
RECIPE = """
name = "tiny"
backbone = "{backbone}"
dtype = "float32"
layers = [1, 2]
intro = ""
max_tokens = 64
members = 2
words_hidden = 8

[data]
dialogues = "meld"

[words]
epochs = 20
batch = 16
learning_rate = 3e-2
weight_decay = 0.0
label_smoothing = 0.0
dropout = [0.0, 0.0]
adjust = 0.0
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Corpora, an untrained adapter, its LLM, and a recipe."""
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))
    write_corpora(tmp_path / "data")
    llm = write_backbone(tmp_path / "llm", hidden_size=64)
    torch.manual_seed(0)
    spec = BackboneSpec(str(llm), Backbone.load(llm, (1, 2), device="cpu").fingerprint)
    for name, shape in (("adapter", SHAPE), ("asking", HeadShape((1, 2), 64, 7, 2, 4, None, PseudoShape(2, 2)))):
        store.save(tmp_path / name, EmotionHead(shape), Card(name, MELD_LABELS, None, spec, PromptSpec("", 64), shape))
    (tmp_path / "recipe.toml").write_text(RECIPE.format(backbone=llm), encoding="utf-8")
    return tmp_path


def test_who_learned_a_corpus_alone_knows_it_better(files: Path) -> None:
    words = ("--data", files / "data", "--checkpoint", files / "adapter", "--config", files / "recipe.toml")
    sets = ("--dataset", "goemotions", "--dataset", "plain-sentences")
    result = adapters("outside", *words, *sets, "--specialists", 10)
    assert result.exit_code == 0, result.output
    head, rule, comments, sentences = result.stdout.splitlines()
    assert len({line.count("|") for line in (head, rule, comments, sentences)}) == 1
    untrained, _, _, alone, _, _ = (float(cell) for cell in comments.split("|")[2:-1])
    assert alone == 1.0 > untrained
    assert sentences.endswith("| | |")
    assert "plain sentences" in result.stderr
    assert " of 36" in result.stderr


def test_an_adapter_with_pseudo_tokens_is_refused(files: Path) -> None:
    result = adapters("outside", "--data", files / "data", "--checkpoint", files / "asking")
    assert result.exit_code == 1
    assert "without pseudo tokens is wanted" in result.stderr
