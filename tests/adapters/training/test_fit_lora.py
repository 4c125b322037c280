"""Reading packed dialogues, and training inside a tiny LLM."""

import pytest
import torch
from torch.nn.functional import one_hot

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets.records import Dialogues, Line
from adapters.llm.backbone import Backbone
from adapters.llm.lora import Lora
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.readout.ensemble import Ensemble, mean_log_probs, pool
from adapters.training.fit_lora import draw_units, fit_lora, offsets
from adapters.training.packs import Packer, TrainingSet, batches, read_units, some_of, training_set, visible
from adapters.training.recipe import FitSpec, LoraSpec
from tests.support.tiny import byte_tokenizer, write_backbone

SPEC = PromptSpec("Read: ", max_tokens=60, max_words=20)
CLASSES = len(MELD_LABELS)
WORDS = FitSpec(1, 4, 1e-2, 0.0, 0.0, (0.0, 0.0), 0.0)


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = write_backbone(tmp_path_factory.mktemp("llm"), request.param)
    return Backbone.load(folder, [1, 3], device="cpu", dtype="float32")


@pytest.fixture
def prompter() -> Prompter:
    return Prompter(byte_tokenizer(), SPEC)


def _said(*dialogues: list[tuple[str, int | None]]) -> Dialogues:
    return Dialogues(
        tuple(
            tuple(Line(Utterance(f"Speaker {place % 2 + 1}", text), label) for place, (text, label) in enumerate(lines))
            for lines in dialogues
        )
    )


FOUND = _said(
    [("Hi.", 0), ("No!", 6), ("Well.", None), ("Oh?", 1)],
    [("Fine.", 4)],
    [("A turn.", 0), ("Another, longer one.", 3), ("It goes on and on.", 0), ("It does not fit.", 5)],
)


def _packer(backbone: Backbone, prompter: Prompter, learned: TrainingSet, first: int = 2, most: int = 90) -> Packer:
    lower = backbone.span(0, first - 1)
    return Packer(
        learned.units, prompter.intro_ids(), lambda ids, at, seen: lower(backbone.embed(ids), at, seen)[0], most
    )


def test_packed_dialogues_have_the_states_of_each_by_itself(backbone: Backbone, prompter: Prompter) -> None:
    """Whatever is packed with a dialogue: the states that live use reads."""
    learned = training_set(FOUND, range(CLASSES), prompter)
    expected = []
    for dialogue in FOUND.dialogues:
        for place, line in enumerate(dialogue):
            layout = prompter.layout([one.utterance for one in dialogue[: place + 1]])
            if line.label is not None:
                expected.append(pool(backbone.states(layout.ids), *layout.spans[-1]))
    with torch.no_grad():
        packs = _packer(backbone, prompter, learned)
        found = read_units(backbone.span(1), packs, len(learned.labels))
    same = torch.stack(expected).flatten(1)
    short = [row for row, number in enumerate(learned.dialogues.tolist()) if number < 2]  # the third is cut into parts
    torch.testing.assert_close(found[short], same[short], atol=0.02, rtol=0.02)  # lower states are kept in bfloat16
    assert learned.labels.tolist() == [0, 6, 1, 4, 0, 3, 0, 5]


def test_each_unit_sees_the_introduction_and_itself() -> None:
    seen = visible(2, [2, 3])
    assert seen.int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 1, 0],
        [1, 1, 0, 0, 1, 1, 1],
    ]


def test_batches_hold_every_unit_once(prompter: Prompter) -> None:
    learned = training_set(FOUND, range(CLASSES), prompter)
    order = list(range(len(learned.units)))[::-1]
    for most in (1, 30, 10_000):
        made = list(batches(learned.units, most, order))
        assert [index for one in made for index in one] == order
        assert all(len(one) == 1 or sum(len(learned.units[i].ids) for i in one) <= most for one in made)


def test_sets_together_keep_their_rows(prompter: Prompter) -> None:
    one = training_set(FOUND, range(CLASSES), prompter)
    both = one + training_set(FOUND, [6 - label for label in range(CLASSES)], prompter, 1, 0.5, 3)
    assert both.labels.tolist() == one.labels.tolist() + [6 - label for label in one.labels.tolist()]
    assert sorted(row for unit in both.units for row in unit.rows) == list(range(16))
    assert both.weights.tolist() == [1.0] * 8 + [0.5] * 8
    assert both.dialogues.unique().tolist() == [0, 1, 2, 3, 4, 5]
    priors = offsets(both, CLASSES, 1.0).exp()
    torch.testing.assert_close(priors.sum(1), torch.ones(2))
    assert priors[0, 0] == priors[0].max()
    assert priors[1, 6] == priors[1].max()


def test_of_a_dialogue_and_its_copy_one_is_drawn(prompter: Prompter) -> None:
    once = training_set(FOUND, range(CLASSES), prompter)
    learned = once + training_set(FOUND, range(CLASSES), prompter, weight=0.7, copy=1)
    torch.manual_seed(0)
    heard = 0
    for _ in range(50):
        rows = [row for index in draw_units(learned) for row in learned.units[index].rows]
        assert sorted(learned.dialogues[rows].tolist()) == sorted(once.dialogues.tolist())
        heard += int(learned.copies[rows].sum())
    assert 0.25 < heard / (50 * 8) < 0.6  # 0.7 / 1.7


def test_no_more_dialogues_of_a_label_than_asked_for() -> None:
    found = _said(*[[("Hi.", 6), ("Yes.", label)] for label in (0, 4) for _ in range(5)], [("No.", None)])
    kept = some_of(found, 2).dialogues
    assert sorted(dialogue[-1].label or 0 for dialogue in kept) == [0, 0, 4, 4]


def test_training_inside_learns_and_leaves_the_llm_alone(backbone: Backbone, prompter: Prompter) -> None:
    texts = {0: "aaa", 4: "zzz", 6: "mmm"}
    found = _said(*[[(texts[label] * (1 + n % 3), label)] for n in range(12) for label in texts])
    learned = training_set(found, range(CLASSES), prompter)
    packs, upper = _packer(backbone, prompter, learned), backbone.span(1)
    before, digest = backbone.states(torch.arange(1, 9)), backbone.weights_digest
    torch.manual_seed(0)
    lora = Lora(backbone.lora_shape(2, 4))
    inputs = read_units(upper, packs, len(learned.labels))
    classifier = Ensemble(inputs.shape[1], 8, 2, CLASSES, (0.0, 0.0))
    classifier.standardise.measure(inputs)
    targets = one_hot(learned.labels, CLASSES).float()
    spec = LoraSpec(4, 2, 6, 120, 2e-2, 1e-2, 0.0)
    scored: list[float] = []

    def score() -> float:
        with torch.no_grad():
            guesses = mean_log_probs(classifier(read_units(upper, packs, len(learned.labels)))).argmax(1)
        scored.append(float((guesses == learned.labels).float().mean()))
        return scored[-1]

    with backbone.adapted(lora):
        curves = fit_lora(lora, classifier, upper, packs, learned, targets, spec, WORDS, score)
    assert curves.losses[-1] < curves.losses[0]
    assert curves.scores == tuple(scored)
    assert scored[-1] == 1.0
    assert max(float(up.detach().abs().max()) for up in lora.up.values()) > 0.01
    assert backbone.weights_digest == digest
    assert torch.equal(backbone.states(torch.arange(1, 9)), before)
