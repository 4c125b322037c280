"""Each variant of the readers of words and voices sees what its row says, and nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from adapters.contract import MELD_LABELS, Absent, Utterance
from adapters.datasets.records import Dialogues, Line
from adapters.evaluation.ablate import voice, words
from adapters.features.acoustic import SPEC, STATES
from adapters.llm.backbone import Backbone
from adapters.llm.prompt import Prompter, PromptSpec
from adapters.readout.ensemble import Standardiser
from adapters.readout.voice import VoiceClassifier
from adapters.readout.voice_summary import SUMMARY_DIM, summarise
from adapters.training.feature_cache import VoiceRows, WordRows, word_rows
from adapters.training.recipe import RECIPES, FitSpec, Recipe, read_recipe
from adapters.training.voices import mean_voice
from tests.support.tiny import write_backbone

D = 64
FIT = FitSpec(
    epochs=4, batch=16, learning_rate=1e-2, weight_decay=0.0, label_smoothing=0.0, dropout=(0.0, 0.0), adjust=1.0
)


@pytest.fixture
def recipe() -> Recipe:
    shipped = read_recipe(RECIPES / "mse.toml")
    return replace(shipped, layers=(1, 2, 3), members=2, words_hidden=4, voice_hidden=4, words=FIT, voice=FIT)


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
    rows = words.contexts(corpus, MELD_LABELS, backbone, prompter, spec)
    assert all(context.labels.tolist() == corpus.labels for context in rows.values())
    single = Dialogues(tuple((line,) for dialogue in corpus.dialogues for line in dialogue))
    expected = word_rows(single, MELD_LABELS, backbone, prompter, spec).states
    torch.testing.assert_close(rows["alone"].states, expected, atol=2e-3, rtol=2e-3)
    others = rows["attributed"].states, rows["unattributed"].states, expected
    first, second, third = (torch.stack([states[turn] for states in others]) for turn in (0, 1, 2))
    torch.testing.assert_close(first, expected[0].expand_as(first), atol=2e-3, rtol=2e-3)  # nothing is before it
    for turn in (second, third):
        assert all(not turn[a].equal(turn[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_a_fresh_mix_is_the_mean_of_the_standardised_layers() -> None:
    torch.manual_seed(0)
    rows = torch.randn(20, 3 * 4) * 2 + 1
    mix, plain = words.LayerMix(3, 4), Standardiser(12)
    mix.measure(rows)
    plain.measure(rows)
    torch.testing.assert_close(mix(rows), plain(rows).unflatten(1, (3, 4)).mean(1))
    with torch.no_grad():
        mix.scores.copy_(torch.tensor([0.0, 0.0, 100.0]))
    torch.testing.assert_close(mix(rows), plain(rows)[:, 8:])  # all weight on one layer is that layer alone


def test_each_reader_of_words_sees_what_its_row_says(recipe: Recipe) -> None:
    states = torch.randn(5, 3, 2, D)
    seen = {one.name: words.classifier(one, states, 7) for one in words.variants(recipe)}
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
    useful = WordRows(told + 0.1 * torch.randn_like(told), labels, labels, MELD_LABELS)
    useless = WordRows(torch.randn_like(told), labels, labels, MELD_LABELS)
    given = {"attributed": useful, "unattributed": useless, "alone": useless}
    rows = {one.name: one for one in words.variants(replace(recipe, words=replace(FIT, epochs=40)))}
    for name in ("the recipe", "a learned mix of the layers", "mean of the words only"):
        assert words.evaluate(rows[name], given, given, seed=0)[0] > 0.9, name
    assert words.evaluate(rows["the turn alone"], given, {**given, "alone": useful}, seed=0)[0] < 0.9
    members = words.classifier(rows["a learned mix of the layers"], told, 7)
    members(told.flatten(1)).square().sum().backward()
    assert isinstance(members.standardise, words.LayerMix)
    assert members.standardise.scores.grad is not None
    assert members.standardise.scores.grad.abs().sum() > 0


# Voice


def made_up_voices() -> tuple[VoiceRows, voice.Frames]:
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
        MELD_LABELS,
    )
    return rows, frames


def test_fresh_attention_pools_as_the_summary_does_whatever_the_padding() -> None:
    rows, frames = made_up_voices()
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
    rows, frames = made_up_voices()
    pool = voice.AttentivePool(frames)
    habits = torch.randn(len(rows.labels), 2 * STATES)
    given = torch.cat([torch.arange(len(rows.labels))[:, None].float(), habits], dim=1)
    pool.measure(given)
    plain = Standardiser(2 * STATES)
    plain.measure(rows.summaries[:, : 2 * STATES] - habits)
    expected = plain(rows.summaries[:, : 2 * STATES] - habits)
    torch.testing.assert_close(pool(given), expected, atol=5e-3, rtol=5e-3)
    pool(given).square().sum().backward()
    assert pool.score.weight.grad is not None
    assert pool.score.weight.grad.abs().sum() > 0


def test_who_speaks_does_not_matter_to_one_who_takes_no_habits_off() -> None:
    rows, _ = made_up_voices()
    before, turns = torch.randn(42, SUMMARY_DIM), torch.full((42,), 5.0)
    for kind, same in ((voice.MeanVoiceOnly, True), (VoiceClassifier, False)):
        reader = kind(4, 2, 7, (0.0, 0.0))
        reader.mean_voice.copy_(mean_voice(rows))
        first = reader.normalise(rows.summaries, torch.zeros_like(before), torch.zeros_like(turns))
        assert first.equal(reader.normalise(rows.summaries, before, turns)) == same


def test_views_leave_out_what_their_rows_say(recipe: Recipe) -> None:
    rows, frames = made_up_voices()
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
    rows, frames = made_up_voices()
    results = {one.name: voice.evaluate(one, recipe, rows, frames, 0) for one in voice.VARIANTS}
    assert all(0 <= recall <= 1 for recalls in results.values() for recall in recalls)
    attentive = results["speech states alone, attentive mean and spread"]
    assert attentive == voice.evaluate(voice.VARIANTS[-1], recipe, rows, frames, 0)  # a seed gives the same
    assert max(attentive) > 0.5  # of what can be learned, chance is 0.14
