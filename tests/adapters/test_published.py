"""The published method, trained on a tiny transformer."""

from pathlib import Path

import pytest
import torch

from adapters.contract import Absent, Utterance
from adapters.datasets.records import Line
from adapters.published import Fit, fit, judge, published, text_of
from tests.adapters.tiny import WIDTH, write_backbone

SAID = ("I am so glad!", "No.", "This is awful.", "Well.", "Leave me alone!", "Hm.", "Good.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_backbone(tmp_path_factory.mktemp("llm"), hidden_size=WIDTH * 8)


def test_a_turn_comes_with_five_turns_before_it_and_none_after() -> None:
    said = [Utterance(name, text) for name, text in zip("RJRMRJP", SAID, strict=True)]
    dialogue = tuple(Line(one, 0, Absent("none")) for one in said)
    assert text_of(dialogue, 1) == "Speaker 1: I am so glad!\nSpeaker 2: No."
    assert text_of(dialogue, 6).count("\n") == 5
    assert text_of(dialogue, 6).endswith("Speaker 4: Good.")


def test_it_learns_what_it_is_shown_and_keeps_the_best_epoch(folder: Path) -> None:
    model = published(str(folder), "float32", seed=0)
    turns = [(text, index % 2) for index, text in enumerate(SAID[:4])]
    labels = torch.tensor([label for _, label in turns])

    def loss() -> float:
        return float(-judge(model, turns)[torch.arange(4), labels].log().mean())

    before = loss()
    result = fit(model, turns, turns, Fit(epochs=6, batch=2, learning_rate=1e-2), seed=0)
    assert loss() < before
    assert result["accuracy"] == float((judge(model, turns).argmax(1) == labels).float().mean())
    assert 1 <= result["epoch"] <= 6


def test_a_seed_gives_the_same_adapter(folder: Path) -> None:
    one, two, other = (published(str(folder), "float32", seed).adapter.state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
