"""Each variant of an ablation takes away what its name says, and nothing else."""

import math
from dataclasses import replace
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
import soundfile
import torch
from torch import nn
from typer.testing import CliRunner

from adapters.ablate import pseudo, table, voice, words
from adapters.ablate.__main__ import app
from adapters.backbone import Backbone
from adapters.contract import Absent, Features, Utterance
from adapters.corpora import VoiceRows, WordRows, word_rows
from adapters.datasets.records import Dialogues, Line
from adapters.features.acoustic import SPEC, STATES, Encoded
from adapters.features.prosody import prosody
from adapters.prompt import Prompter, PromptSpec
from adapters.readout.members import Standardise
from adapters.readout.pseudo import PseudoShape, PseudoTokens
from adapters.readout.voice import VoiceReader
from adapters.readout.voice_summary import SUMMARY_DIM, summarise
from adapters.recipe import RECIPES, FitSpec, Recipe, read_recipe
from adapters.voices import average_voice
from tests.adapters.tiny import write_backbone

D, TOKENS, QUESTION = 64, 4, 2
FIT = FitSpec(
    epochs=4, batch=16, learning_rate=1e-2, weight_decay=0.0, label_smoothing=0.0, dropout=(0.0, 0.0), adjust=1.0
)


class StillEncoder:
    """Hears prosody only."""

    def encode(self, samples: np.ndarray) -> Encoded:
        frames = math.ceil(len(samples) / 320)
        values = np.concatenate([np.zeros((frames, STATES), np.float32), prosody(samples, frames)], axis=1)
        return Encoded(Features(SPEC, values), ctranslate2.StorageView.from_array(np.zeros((1, 1, 1), np.float32)))


@pytest.fixture
def recipe() -> Recipe:
    shipped = read_recipe(RECIPES / "pseudo.toml")
    return replace(shipped, layers=(1, 2, 3), members=2, words_hidden=4, voice_hidden=4, words=FIT, voice=FIT)


def test_a_table_has_mean_and_spread_by_hand() -> None:
    rows = [voice.Variant("x")]
    lines = list(table.markdown(("a", "b"), rows, lambda _, seed: (0.5 + 0.1 * seed, 1.0), seeds=3))
    assert lines == ["| variant | a | b |", "|---|---|---|", "| x | 0.600 ± 0.100 | 1.000 ± 0.000 |"]
    (*_, single) = table.markdown(("a",), rows, lambda _, seed: (0.5,), seeds=1)
    assert single == "| x | 0.500 ± 0.000 |"


# Words


def _corpus() -> Dialogues:
    said = (("Ann", "No."), ("Bob", "Yes!"), ("Ann", "Well."))
    line = tuple(Line(Utterance(*one), label, Absent("none")) for label, one in enumerate(said))
    return Dialogues((line, line[:2]))


def test_contexts_change_what_is_before_a_turn_and_no_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))
    llm, spec = write_backbone(tmp_path / "llm"), PromptSpec("Read:\n")
    backbone, prompter = Backbone.load(llm, (1, 2), dtype="float32"), Prompter.load(llm, spec)
    corpus = _corpus()
    rows = words.contexts(corpus, backbone, prompter, spec)
    assert all(context.labels.tolist() == corpus.labels for context in rows.values())
    single = Dialogues(tuple((line,) for dialogue in corpus.dialogues for line in dialogue))
    expected = word_rows(single, backbone, prompter, spec).states
    torch.testing.assert_close(rows["alone"].states, expected, atol=2e-3, rtol=2e-3)
    others = rows["attributed"].states, rows["unattributed"].states, expected
    first, second, third = (torch.stack([states[turn] for states in others]) for turn in (0, 1, 2))
    torch.testing.assert_close(first, expected[0].expand_as(first), atol=2e-3, rtol=2e-3)  # nothing is before it
    for turn in (second, third):
        assert all(not turn[a].equal(turn[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_a_fresh_mix_is_the_mean_of_the_standardised_layers() -> None:
    torch.manual_seed(0)
    rows = torch.randn(20, 3 * 4) * 2 + 1
    mix, plain = words.LayerMix(3, 4), Standardise(12)
    mix.measure(rows)
    plain.measure(rows)
    torch.testing.assert_close(mix(rows), plain(rows).unflatten(1, (3, 4)).mean(1))
    with torch.no_grad():
        mix.scores.copy_(torch.tensor([0.0, 0.0, 100.0]))
    torch.testing.assert_close(mix(rows), plain(rows)[:, 8:])  # all weight on one layer is that layer alone


def test_each_reader_of_words_sees_what_its_row_says(recipe: Recipe) -> None:
    states = torch.randn(5, 3, 2, D)
    seen = {one.name: words.reader(one, states) for one in words.variants(recipe)}
    widths = {name: members.inner.in_features for name, members in seen.items()}
    whole = 3 * 2 * D
    assert widths["the recipe"] == widths["the turn alone"] == whole
    assert widths["mean of the words only"] == widths["last word only"] == whole // 2
    assert widths["layer 2 only"] == widths["a learned mix of the layers"] == whole // 3
    assert len(seen["one member"].outer) == 1
    picks = {one.name: one.pick(states) for one in words.variants(recipe)}
    assert picks["last word only"].equal(states[:, :, [1]])
    assert picks["layer 2 only"].equal(states[:, [1]])


def test_a_mix_is_learned_and_a_row_reads_its_own_context(recipe: Recipe) -> None:
    torch.manual_seed(0)
    labels = torch.arange(7).repeat(6)
    told = torch.randn(7, 3, 2, D)[labels]
    useful = WordRows(told + 0.1 * torch.randn_like(told), labels)
    useless = WordRows(torch.randn_like(told), labels)
    given = {"attributed": useful, "unattributed": useless, "alone": useless}
    rows = {one.name: one for one in words.variants(replace(recipe, words=replace(FIT, epochs=40)))}
    for name in ("the recipe", "a learned mix of the layers", "mean of the words only"):
        assert words.judge(rows[name], given, given, seed=0)[0] > 0.9, name
    assert words.judge(rows["the turn alone"], given, {**given, "alone": useful}, seed=0)[0] < 0.9
    members = words.reader(rows["a learned mix of the layers"], told)
    members(told.flatten(1)).square().sum().backward()
    assert isinstance(members.standardise, words.LayerMix)
    assert members.standardise.scores.grad is not None
    assert members.standardise.scores.grad.abs().sum() > 0


# Voice


def _voices() -> tuple[VoiceRows, voice.Frames]:
    """Six clips of each of seven labels by three speakers, of different lengths; one speaker is held out."""
    random = np.random.default_rng(0)
    count = 42
    clips = [random.normal(size=(20 + index % 9, SPEC.dim)).astype(np.float32) for index in range(count)]
    for index, clip in enumerate(clips):
        clip[:, 50 * (index % 7) : 50 * (index % 7) + 50] += 1.0
    frames = voice.Frames(torch.from_numpy(np.concatenate(clips)).half(), torch.tensor([len(clip) for clip in clips]))
    speakers = np.array([f"ravdess {index // 14}" for index in range(count)])
    rows = VoiceRows(
        torch.from_numpy(np.stack([summarise(clip.float().numpy()) for clip in frames.clips()])),
        torch.arange(count) % 7,
        np.array(["ravdess"] * count),
        speakers,
        torch.from_numpy(speakers == "ravdess 2"),
    )
    return rows, frames


def test_fresh_attention_pools_as_the_summary_does_whatever_the_padding() -> None:
    rows, frames = _voices()
    pool = voice.AttentivePool(frames)
    values = nn.utils.rnn.pad_sequence([clip[:, :STATES].float() for clip in frames.clips()], batch_first=True)
    own = torch.arange(values.shape[1]) < frames.lengths[:, None]
    pooled = pool.pool(values, own)
    torch.testing.assert_close(pooled, rows.summaries[:, : 2 * STATES], atol=2e-3, rtol=1e-3)
    spoilt = torch.where(own[..., None], values, torch.tensor(9.0))
    nn.init.normal_(pool.score.weight)  # equal weights or not, padding is not heard
    torch.testing.assert_close(pool.pool(spoilt, own), pool.pool(values, own), atol=0, rtol=0)
    assert not torch.allclose(pool.pool(values, own), pooled, atol=1e-2)


def test_attention_takes_habits_off_and_is_learned() -> None:
    rows, frames = _voices()
    pool = voice.AttentivePool(frames)
    habits = torch.randn(len(rows.labels), 2 * STATES)
    given = torch.cat([torch.arange(len(rows.labels))[:, None].float(), habits], dim=1)
    pool.measure(given)
    plain = Standardise(2 * STATES)
    plain.measure(rows.summaries[:, : 2 * STATES] - habits)
    expected = plain(rows.summaries[:, : 2 * STATES] - habits)
    torch.testing.assert_close(pool(given), expected, atol=5e-3, rtol=5e-3)
    pool(given).square().sum().backward()
    assert pool.score.weight.grad is not None
    assert pool.score.weight.grad.abs().sum() > 0


def test_who_speaks_does_not_matter_to_one_who_takes_no_habits_off() -> None:
    rows, _ = _voices()
    before, turns = torch.randn(42, SUMMARY_DIM), torch.full((42,), 5.0)
    for kind, same in ((voice.Unaccustomed, True), (VoiceReader, False)):
        reader = kind(4, 2, 7, (0.0, 0.0))
        reader.usual.copy_(average_voice(rows))
        first = reader.centre(rows.summaries, torch.zeros_like(before), torch.zeros_like(turns))
        assert first.equal(reader.centre(rows.summaries, before, turns)) == same


def test_views_leave_out_what_their_rows_say(recipe: Recipe) -> None:
    rows, frames = _voices()
    of = {one.name: one for one in voice.VARIANTS}
    loud = replace(rows, summaries=rows.summaries.clone())
    loud.summaries[:, 2 * STATES :] += torch.randn(42, SUMMARY_DIM - 2 * STATES)  # another prosody

    def said(name: str, heard: VoiceRows) -> torch.Tensor:
        return voice.fit(of[name], recipe, heard, frames, 0)(0)

    without = "without prosody (speech states alone, mean and spread)"
    assert said(without, rows).equal(said(without, loud))
    assert not said("the recipe", rows).equal(said("the recipe", loud))
    other = replace(rows, summaries=torch.cat([torch.randn(42, 2 * STATES), rows.summaries[:, 2 * STATES :]], dim=1))
    alone = "without speech states (prosody alone)"
    assert said(alone, rows).equal(said(alone, other))


def test_every_row_of_the_voices_table_is_judged_on_held_out_speakers(recipe: Recipe) -> None:
    rows, frames = _voices()
    results = {one.name: voice.judge(one, recipe, rows, frames, 0) for one in voice.VARIANTS}
    assert all(0 <= recall <= 1 for recalls in results.values() for recall in recalls)
    attentive = results["speech states alone, attentive mean and spread"]
    assert attentive == voice.judge(voice.VARIANTS[-1], recipe, rows, frames, 0)  # a seed gives the same
    assert max(attentive) > 0.5  # of what can be learned, chance is 0.14


# Pseudo tokens


def _pseudo(alter: pseudo.Alter, seed: int = 0) -> PseudoTokens:
    made = pseudo.build(alter, D, PseudoShape(TOKENS, QUESTION), 0.0, torch.randn(QUESTION, D), seed)
    return made.train(False)


def _suffix(made: PseudoTokens, *, said: int = 0, heard: int = 0, has_voice: bool = True) -> torch.Tensor:
    """The suffixes of two turns, by the seeds of what is said and heard."""
    texts = torch.randn(2, D, generator=torch.Generator().manual_seed(said))
    voices = torch.randn(2, SUMMARY_DIM, generator=torch.Generator().manual_seed(heard))
    suffix: torch.Tensor = made(texts, voices, torch.full((2,), has_voice))
    return suffix


@pytest.mark.parametrize(
    "alter",
    [pseudo.whole, pseudo.without_mixer, pseudo.without_fusion, pseudo.tied, pseudo.without_vector],
)
def test_pseudo_tokens_are_as_many_and_hear_the_voice(alter: pseudo.Alter) -> None:
    made = _pseudo(alter)
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


def test_what_is_asked_is_trained_once_and_every_row_sees_its_own_parts() -> None:
    seen = {one.name: (one.seen, one.asks) for one in pseudo.VARIANTS}
    assert seen["the whole"] == ((0, 1, 2), True)
    assert seen["pooled states alone, nothing asked"] == ((0, 1), False)
    assert seen["the answer alone"] == ((2,), True)
    assert len({one.name for one in pseudo.VARIANTS}) == len(pseudo.VARIANTS)


# The command


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two dialogues and a few clips, in the corpora's formats."""
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("adapters.ablate.__main__._speech", StillEncoder)
    root, random = tmp_path / "data", np.random.default_rng(0)
    emotions = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
    rows = [f"{word}!,Ann,{word},{turn // 7},{turn % 7}" for turn, word in enumerate(emotions * 2)]
    (root / "meld").mkdir(parents=True)
    for split in ("train", "dev"):
        text = "\n".join(["Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID", *rows])
        (root / "meld" / f"{split}_sent_emo.csv").write_text(text, encoding="utf-8")
    names = [f"ravdess/actor_{a}/03-01-0{e}-01-01-01-{a}.flac" for a in ("01", "17") for e in range(1, 9)]
    for name in (*names, "emodb/03a01Wa.flac", "emodb/16a01Wa.flac"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / name, 0.1 * random.normal(size=4000), 16_000)
    return root


@pytest.mark.parametrize("what", ["words", "voice", "pseudo"])
def test_the_command_prints_a_row_for_every_variant(what: str, data: Path, tmp_path: Path) -> None:
    text = (RECIPES / "pseudo.toml").read_text(encoding="utf-8")
    llm = write_backbone(tmp_path / "llm", hidden_size=D)
    changes = {'"smollm2-135m-instruct"': f'"{llm}"', '"bfloat16"': '"float32"', "[11, 13, 15, 17]": "[1, 2]"}
    for old, new in {**changes, "epochs = 12": "epochs = 1", "epochs = 15": "epochs = 1"}.items():
        text = text.replace(old, new)
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    asked = [what, "--data", str(data), "--config", str(tmp_path / "recipe.toml"), "--seeds", "1"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + {"words": 9, "voice": 5, "pseudo": 8}[what]
    assert all("±" in row for row in rows[1:])


def test_what_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["voice", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: no EMO-DB at")
    bare = CliRunner().invoke(app, ["pseudo", "--data", str(tmp_path), "--config", str(RECIPES / "default.toml")])
    assert bare.exit_code == 1
    assert "give a recipe with [pseudo]" in bare.stderr
