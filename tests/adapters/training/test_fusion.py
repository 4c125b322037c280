"""Weighing witnesses: what may be learned about voices and faces that are not always what is felt."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from adapters.contract import MELD_LABELS
from adapters.evaluation.modalities import CASES, Drawn, table_rows
from adapters.evaluation.probe_faces import probe
from adapters.features.visual import CHANNELS, SPEC
from adapters.readout.face import FaceClassifier
from adapters.readout.fusion import LateFusion, ModalityScores, ReliabilityModel
from adapters.training.faces import FaceRows
from adapters.training.fusion import cases_of, evaluate_cases, fit_fusion
from adapters.training.modality_scores import TurnScores
from adapters.training.simulate import CONFLICT, SHARES, draw
from tests.support.program import adapters

YES = torch.ones(1, dtype=torch.bool)

PRIOR = torch.tensor([0.4, 0.15, 0.05, 0.1, 0.15, 0.05, 0.1])


def sure(label: int, of: int = 7) -> Tensor:
    """A classifier that is all but certain of one class."""
    return (20.0 * torch.eye(of)[[label]]).log_softmax(-1)


def classified(labels: Tensor, right: float, seed: int) -> Tensor:
    """A calibrated classifier of balanced classes: right so often, with log probabilities that say so."""
    random = torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(labels), generator=random) > right
    named = torch.where(wrong, (labels + torch.randint(1, 7, labels.shape, generator=random)) % 7, labels)
    shares = torch.full((len(labels), 7), (1 - right) / 6)
    return shares.scatter(1, named[:, None], right).log()


def drawn(turns: Tensor, seed: int, shares: dict[str, float] = SHARES) -> TurnScores:
    """Words that are right in 60 %, and voices and faces that are read rightly in 80 %, but show what was drawn."""
    pool = torch.arange(7)
    words = (classified(turns, 0.6, seed) + PRIOR.log()).log_softmax(-1)
    voice, face = (classified(draw(turns, pool, MELD_LABELS, seed + k, shares), 0.8, seed + k) for k in (10, 20))
    return TurnScores(words.expand(2, 2, -1, -1), voice, face)


@given(st.lists(st.floats(-5, 5), min_size=7, max_size=7), st.floats(-4, 4), st.floats(0.2, 4))
def test_evidence_is_bounded_however_confident_the_classifier(b: list[float], a: float, sharpness: float) -> None:
    model = ReliabilityModel(7)
    with torch.no_grad():
        model.noise.fill_(a)
        model.inverse_temperature.fill_(sharpness)
        model.noise_prior.copy_(torch.tensor(b))
        evidence = model(sure(3))
    anyway = torch.tensor(b).softmax(0)[3].log() + torch.nn.functional.logsigmoid(torch.tensor(a))
    assert evidence.argmax() == 3
    assert float(evidence.max() - evidence.min()) <= float(torch.logaddexp(torch.tensor(0.0), -anyway)) + 1e-3


def test_reliability_by_hand() -> None:
    model = ReliabilityModel(2)
    with torch.no_grad():
        model.noise.copy_(torch.tensor(0.25).logit())
        model.noise_prior.copy_(torch.tensor([0.8, 0.2]).log())
        evidence = model(torch.tensor([[0.1, 0.9]]).log()).exp()
    anyway = 0.25 * (0.8 * 0.1 + 0.2 * 0.9)
    torch.testing.assert_close(evidence, torch.tensor([[0.75 * 0.1 + anyway, 0.75 * 0.9 + anyway]]))


def test_words_that_may_be_misrecognised_leave_the_prior_its_share() -> None:
    fusion = LateFusion(2)
    absent = torch.zeros(1, dtype=torch.bool)
    silent = torch.zeros(1, 2)
    prior = torch.tensor([0.8, 0.2])
    with torch.no_grad():
        fusion.text_prior.copy_(prior.log() + 3.0)  # any level: what counts is how the classes differ
        fusion.text_noise.copy_(torch.tensor(0.25).logit())
        fusion.weights[1, 0] = 2.0
        fused = fusion(ModalityScores(torch.tensor([[0.1, 0.9]]).log(), ~absent, silent, absent, silent, absent)).exp()
    read = torch.tensor([0.01, 0.81]) / 0.82
    torch.testing.assert_close(fused, (0.75 * read + 0.25 * prior)[None])


def test_what_is_absent_does_not_count() -> None:
    torch.manual_seed(0)
    fusion = LateFusion(7)
    said, other = (torch.randn(3, 1, 7).log_softmax(-1) for _ in range(2))
    for there in product((True, False), repeat=3):
        masks = [YES & given_ for given_ in there]
        mixed = [a if given_ else b for a, b, given_ in zip(said, other, there, strict=True)]
        results = [
            fusion(ModalityScores(w, masks[0], v, masks[1], f, masks[2])) for w, v, f in (tuple(said), tuple(mixed))
        ]
        torch.testing.assert_close(*results)


def test_cases_without_faces_have_none() -> None:
    said = drawn(torch.arange(7), 0)
    assert len(cases_of(said)) == 7
    blind = cases_of(TurnScores(said.words, said.voice, None))
    assert set(blind) == {"words and voice", "words", "voice"}
    assert not any(case.has_face.any() for case in blind.values())


@pytest.fixture(scope="module")
def fitted() -> tuple[LateFusion, Tensor]:
    random = torch.Generator().manual_seed(0)
    turns = torch.multinomial(PRIOR, 800, True, generator=random)
    fusion = LateFusion(7)
    fit_fusion(fusion, [drawn(turns, seed) for seed in range(2)], turns)
    return fusion.requires_grad_(False), turns


def test_a_modality_that_is_alone_contradicts_nothing() -> None:
    """Draws in conflict teach it to doubt a voice that contradicts the words, not one that is alone."""
    turns = torch.multinomial(PRIOR, 300, True, generator=torch.Generator().manual_seed(0))
    calm, contradicting = [drawn(turns, 0)], [drawn(turns, seed, CONFLICT) for seed in (3, 4)]
    apart, alike = LateFusion(7), LateFusion(7)
    fit_fusion(apart, calm, turns, contradicting)
    fit_fusion(alike, calm + contradicting, turns)
    voices = cases_of(calm[0])["voice"]
    sure, doubtful = (float(fusion(voices).exp().max(1).values.mean().detach()) for fusion in (apart, alike))
    assert sure > doubtful + 0.05


def test_it_learns_that_a_neutral_voice_says_little(fitted: tuple[LateFusion, Tensor]) -> None:
    fusion, _ = fitted
    shown_anyway = fusion.face.noise_prior.softmax(0)
    assert shown_anyway.argmax() == 0
    assert shown_anyway[0] > 0.5  # 0.83 was drawn
    evidence = fusion.face(torch.cat([sure(0), sure(4)]))
    spread = evidence.max(1).values - evidence.min(1).values
    assert spread[0] < spread[1] / 2


def test_every_modality_helps_and_none_spoils_the_others(fitted: tuple[LateFusion, Tensor]) -> None:
    fusion, turns = fitted
    results, sets = evaluate_cases(fusion, drawn(turns, 7), drawn(turns, 7, CONFLICT), turns, MELD_LABELS.labels, 0)
    brier = {name.removesuffix(" (simulated)"): figures["brier"] for name, figures in results.items()}
    alone = brier["words"]
    assert alone > brier["words and voice"] > brier["words, voice and face"]
    assert alone > brier["words and face"] > brier["words, voice and face"]
    assert alone > brier["words, voice and face, any of them absent"] > brier["words, voice and face"]
    assert brier["words, voice and face, in conflict"] > alone
    assert all(results[name]["ece"] < 0.05 for name in ("words", "words, voice and face (simulated)"))
    assert len(sets.limits) == 7


def by_conflict(matching: TurnScores, conflicting: TurnScores) -> Drawn:
    """What is evaluated: voices and faces of either draw."""
    draws = matching, conflicting
    return {
        (voice, face): replace(matching, voice=draws[voice].voice, face=draws[face].face)
        for voice, face in product((False, True), repeat=2)
    }


def test_no_turn_weighs_for_itself_in_the_table_of_modalities() -> None:
    """Where the halves want opposite weights, weights that judge the other half do worse than chance would."""
    turns = torch.arange(7).repeat(40)
    words = classified(turns, 0.9, 0)
    words[140:] = words[140:].roll(1, dims=1)  # the second half is always told the class before
    silent = torch.zeros(len(turns), 7).log_softmax(-1)
    said = TurnScores(words.expand(2, 2, -1, -1), silent, None)
    own = LateFusion(7)
    fit_fusion(own, [said.where(slice(0, 140))], turns[:140])
    assert float(own.weights[1, 0].detach()) > 0.5
    (accuracy,) = [
        values[2]
        for name, values in table_rows([said], [], by_conflict(said, said), turns, MELD_LABELS.labels)
        if name == "T"
    ]
    assert accuracy < 0.3


def test_the_table_of_modalities() -> None:
    turns = torch.multinomial(PRIOR, 400, True, generator=torch.Generator().manual_seed(1))
    matching, conflicting = drawn(turns, 5), drawn(turns, 5, CONFLICT)
    table = dict(table_rows([drawn(turns, 0)], [], by_conflict(matching, conflicting), turns, MELD_LABELS.labels))
    assert list(table) == [case.name for case in CASES]
    accuracy = {name: values[2] for name, values in table.items()}
    assert accuracy["T+A+V, both in conflict"] < accuracy["T+A+V, every face in conflict"] < accuracy["T+A+V"]


def test_adapters_that_read_no_faces_have_no_rows_for_them() -> None:
    turns = torch.arange(70) % 7
    blind = replace(drawn(turns, 0), face=None)
    names = [name for name, _ in table_rows([blind], [], by_conflict(blind, blind), turns, MELD_LABELS.labels)]
    assert names == ["T", "A", "T+A", "T+A, every voice in conflict"]


def test_a_probe_of_faces() -> None:
    labels = torch.arange(140) % 7
    features = torch.randn(140, 1, SPEC.dim, generator=torch.Generator().manual_seed(0))
    features[:, 0, :7] += 6 * torch.eye(7)[labels]
    features[:, 0, CHANNELS:] = torch.eye(7)[(labels + 1) % 7]
    rows = FaceRows(features, labels, torch.arange(140) >= 70, MELD_LABELS, torch.eye(7)[labels])
    result = probe(rows)
    assert (result["fitted_to"], result["evaluated_on"]) == (70, 70)
    assert result["linear_probe"]["accuracy"] > 0.8
    assert result["own_classes"] == {"accuracy": 0.0, "uar": 0.0}
    assert "reader" not in result
    reader = FaceClassifier(4, 2, 7, (0.0, 0.0)).train(False)
    with torch.no_grad():
        reader.ensemble.bias[:, 3] = 1e3  # finds everything sad
    assert probe(rows, reader)["reader"]["accuracy"] == pytest.approx(1 / 7)


@pytest.mark.parametrize("command", ["modalities", "probe-faces"])
def test_without_data_it_is_one_line(command: str, tmp_path: Path) -> None:
    result = adapters(command, "--data", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
