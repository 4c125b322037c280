"""What is taken away from pseudo tokens, and the tables and the command of all ablations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.contract import MELD_LABELS, Absent, Utterance
from adapters.datasets.records import Dialogues, Line
from adapters.evaluation.ablate import pseudo, table, voice
from adapters.llm.backbone import Backbone
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.readout.pseudo import Nonverbal, PseudoShape, PseudoTokens
from adapters.readout.voice import VoiceClassifier
from adapters.training.feature_cache import word_rows
from adapters.training.fit import LearningCurves
from adapters.training.fit_pseudo import fit_pseudo, read_dialogues
from adapters.training.modality_scores import Split, cross_fitted
from adapters.training.recipe import RECIPES, Recipe, read_recipe
from tests.adapters.evaluation.test_ablate_readers import FIT, made_up_voices
from tests.support.corpora import StillEncoder, write_corpora
from tests.support.program import adapters
from tests.support.tiny import write_backbone

D, TOKENS, QUESTION, CLASSES = 64, 4, 2, 7


@pytest.fixture
def recipe() -> Recipe:
    shipped = read_recipe(RECIPES / "mse.toml")
    return replace(shipped, layers=(1, 2, 3), members=2, words_hidden=4, voice_hidden=4, words=FIT, voice=FIT)


def test_a_table_has_mean_and_spread_by_hand() -> None:
    rows = [voice.Variant("x")]
    lines = list(table.markdown(("a", "b"), rows, lambda _, seed: (0.5 + 0.1 * seed, 1.0), seeds=3))
    assert lines == ["| variant | a | b |", "|---|---|---|", "| x | 0.600 ± 0.100 | 1.000 ± 0.000 |"]
    (*_, single) = table.markdown(("a",), rows, lambda _, seed: (0.5,), seeds=1)
    assert single == "| x | 0.500 ± 0.000 |"


# Pseudo tokens


def _pseudo(alter: pseudo.Alter, seed: int = 0) -> PseudoTokens:
    made = pseudo.build(alter, D, PseudoShape(TOKENS, QUESTION), CLASSES, torch.randn(QUESTION, D), seed)
    return made.train(False)


def _suffix(
    made: PseudoTokens, *, said: int = 0, heard: int = 0, seen: int = 0, has_voice: bool = True, has_face: bool = True
) -> torch.Tensor:
    """The suffixes of two turns, by the seeds of what is said, heard and seen."""
    texts, voices, faces = (
        torch.randn(2, width, generator=torch.Generator().manual_seed(seed))
        for width, seed in ((D, said), (CLASSES, heard), (CLASSES, seen))
    )
    suffix: torch.Tensor = made(
        texts, Nonverbal(voices, torch.full((2,), has_voice), faces, torch.full((2,), has_face))
    )
    return suffix


@pytest.mark.parametrize(
    "alter",
    [pseudo.whole, pseudo.without_mixer, pseudo.without_fusion, pseudo.tied, pseudo.without_vector],
)
def test_pseudo_tokens_are_as_many_and_hear_the_voice_and_see_the_face(alter: pseudo.Alter) -> None:
    made = _pseudo(alter)
    assert not _suffix(made).allclose(_suffix(made, seen=1))
    assert _suffix(made, has_face=False).equal(_suffix(made, seen=1, has_face=False))
    assert _suffix(made).shape == (2, TOKENS + QUESTION, D)
    assert not _suffix(made).allclose(_suffix(made, heard=1))
    assert _suffix(made, has_voice=False).equal(_suffix(made, heard=1, has_voice=False))


def test_without_the_mixer_the_words_say_nothing() -> None:
    made = _pseudo(pseudo.without_mixer)
    assert _suffix(made).equal(_suffix(made, said=1))
    whole = _pseudo(pseudo.whole)
    assert not _suffix(whole).allclose(_suffix(whole, said=1))


def _rank(alter: pseudo.Alter) -> int:
    return int(torch.linalg.matrix_rank(_suffix(_pseudo(alter))[0, :TOKENS], tol=1e-4))


def test_tied_tokens_are_multiples_of_one_vector_plus_a_constant() -> None:
    assert _rank(pseudo.whole) == TOKENS
    assert _rank(pseudo.tied) == 2


def test_one_layer_is_linear_and_the_fusion_is_not() -> None:
    for alter, linear in ((pseudo.without_fusion, True), (pseudo.whole, False)):
        made = _pseudo(alter)
        a, b = torch.randn(2, 1, 256)
        middle = made.fusion((a + b) / 2)
        assert middle.allclose((made.fusion(a) + made.fusion(b)) / 2, atol=1e-6) == linear


def test_without_tokens_the_question_is_all() -> None:
    made = _pseudo(pseudo.without_tokens)
    assert _suffix(made).equal(made.question.expand(2, -1, -1))
    assert _suffix(made).equal(_suffix(made, said=1, heard=1))


def test_zeros_stand_for_an_absent_voice_and_stay() -> None:
    made = _pseudo(pseudo.without_vector)
    _suffix(made, has_voice=False).square().sum().backward()
    assert made.no_voice.grad is None
    assert not made.no_voice.any()
    whole = _pseudo(pseudo.whole)
    _suffix(whole, has_voice=False).square().sum().backward()
    assert whole.no_voice.grad is not None
    assert whole.no_voice.grad.abs().sum() > 0


def test_what_is_asked_is_trained_once_for_all_rows_that_need_it(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))
    llm, spec = write_backbone(tmp_path / "llm", hidden_size=D), PromptSpec("Read:\n")
    backbone, prompter = Backbone.load(llm, (1, 2), dtype="float32"), Prompter.load(llm, spec)
    line = tuple(Line(Utterance("Ann", text), label, Absent("none")) for label, text in enumerate("abcdefg"))
    corpus = Dialogues((line, line))
    split = Split(word_rows(corpus, MELD_LABELS, backbone, prompter, spec), read_dialogues(corpus, backbone, prompter))
    assert recipe.pseudo is not None
    question = backbone.embed(prompter.ids("Is?"))
    how = replace(recipe.pseudo, epochs=2, batch=1, tokens=TOKENS)
    rows, spec_of_voices = made_up_voices()[0], recipe.voice_spec
    classifier = VoiceClassifier(4, 2, CLASSES, (0.0, 0.0))
    heard = cross_fitted(classifier, rows, spec_of_voices, 0)
    bench = pseudo.Bench(recipe, how, backbone, question, split, split, heard, heard)
    trained: list[PseudoTokens] = []

    def fit(made: PseudoTokens, *rest: Any) -> LearningCurves:
        trained.append(made)
        return fit_pseudo(made, *rest)

    monkeypatch.setattr(pseudo, "fit_pseudo", fit)
    rows = {one.name: one for one in pseudo.VARIANTS}
    pooled = pseudo.evaluate(rows["pooled states alone, no question"], bench, 0)
    assert pooled[:2] == pooled[2:]  # a voice says nothing to states that were read without it
    assert not trained
    first = pseudo.evaluate(rows["the whole"], bench, 0)
    pseudo.evaluate(rows["the answer alone"], bench, 0)
    assert len(trained) == 1
    assert pseudo.evaluate(rows["the whole"], bench, 0) == first
    pseudo.evaluate(rows["without Text-Guide-Mixer"], bench, 0)
    assert len(trained) == 2
    before = pseudo.build(pseudo.whole, D, PseudoShape(TOKENS, len(question)), CLASSES, question, 0)
    changed = {name for name, value in before.named_parameters() if not value.equal(trained[0].get_parameter(name))}
    assert {"question", "no_voice", "voice.1.weight", "fusion.widen.weight"} <= changed
    states = pseudo.train_tokens(bench, pseudo.whole, 0)
    assert states.dev[0].shape == (14, 2, 3, D)
    assert states.dev[0][:, :, :2].equal(split.rows.states)


# The command


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("adapters.evaluation.ablate.commands.SpeechEncoder", StillEncoder)
    return write_corpora(tmp_path / "data")


@pytest.mark.parametrize("what", ["words", "voice", "pseudo"])
def test_the_command_prints_a_row_for_every_variant(what: str, data: Path, tmp_path: Path) -> None:
    text = (RECIPES / "mse.toml").read_text(encoding="utf-8")
    llm = write_backbone(tmp_path / "llm", hidden_size=D)
    changes = {'"smollm2-135m-instruct"': f'"{llm}"', '"bfloat16"': '"float32"', "[11, 13, 15, 17]": "[1, 2]"}
    for old, new in {**changes, "epochs = 12": "epochs = 1", "epochs = 15": "epochs = 1"}.items():
        text = text.replace(old, new)
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    asked = [what, "--data", str(data), "--config", str(tmp_path / "recipe.toml"), "--seeds", "1"]
    result = adapters("ablate", *asked)
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + {"words": 9, "voice": 6, "pseudo": 10}[what]
    assert all("±" in row for row in rows[1:])


def test_what_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    result = adapters("ablate", "voice", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert result.stderr.startswith("error: emodb all: nothing to use in ")
    bare = adapters("ablate", "pseudo", "--data", str(tmp_path), "--config", str(RECIPES / "default.toml"))
    assert bare.exit_code == 1
    assert "give a recipe with [pseudo]" in bare.stderr
    heard = adapters("ablate", "words", "--data", str(tmp_path), "--config", str(RECIPES / "default.toml"))
    assert heard.exit_code == 1
    assert "leave out asr_words" in heard.stderr
