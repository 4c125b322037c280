"""What the reader of words is taught beside the labels."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from adapters.readout.ensemble import Ensemble
from adapters.training.distil import FOLDS, assign_folds, soft_targets
from adapters.training.recipe import FitSpec

FIT = FitSpec(
    epochs=30, batch=16, learning_rate=1e-2, weight_decay=0.0, label_smoothing=0.0, dropout=(0.0, 0.0), adjust=0.0
)


def _teach(inputs: torch.Tensor, labels: torch.Tensor, dialogues: torch.Tensor, share: float) -> torch.Tensor | None:
    def fresh() -> Ensemble:
        return Ensemble(inputs.shape[1], 8, 2, 2, (0.0, 0.0))

    return soft_targets(fresh, inputs, labels, torch.ones(len(labels)), dialogues, FIT, share)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(0, 9))
def test_a_dialogue_lies_in_one_fold_and_folds_are_alike(numbers: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    folds = assign_folds(torch.tensor(numbers)).tolist()
    of = dict(zip(numbers, folds, strict=True))
    assert [of[number] for number in numbers] == folds
    sizes = [list(of.values()).count(fold) for fold in range(FOLDS)]
    assert max(sizes) - min(sizes) <= 1


def test_teachers_doubt_a_wrong_label() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(200, 4)
    true = (inputs[:, 0] > 0).long()
    labels = true.clone()
    wrong = inputs[:, 0].abs().topk(8).indices
    labels[wrong] = 1 - labels[wrong]
    targets = _teach(inputs, labels, torch.arange(200) // 5, 0.6)
    assert targets is not None
    torch.testing.assert_close(targets.sum(1), torch.ones(200))
    assert (targets.argmax(1) == true)[wrong].all()
    assert (targets[torch.arange(200), labels] >= 0.4 - 1e-6).all()  # the label's own share stays


def test_no_teacher_saw_the_dialogue_that_it_judges() -> None:
    torch.manual_seed(0)
    dialogues = torch.arange(20).repeat_interleave(10)
    labels = torch.randint(2, (20,))[dialogues]
    inputs = torch.eye(20)[dialogues]  # which dialogue it is, and no more: whoever saw it knows its label
    targets = _teach(inputs, labels, dialogues, 1.0)
    assert targets is not None
    assert targets[torch.arange(200), labels].mean() < 0.7
    seen = _teach(inputs, labels, torch.arange(200), 1.0)  # every turn by itself: others of its dialogue are seen
    assert seen is not None
    assert seen[torch.arange(200), labels].mean() > 0.95


def test_without_a_share_labels_are_all() -> None:
    assert _teach(torch.randn(4, 2), torch.tensor([0, 1, 0, 1]), torch.arange(4), 0.0) is None
