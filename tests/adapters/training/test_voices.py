"""Fitting the voice's classifier: who speaks, and how."""

import numpy as np
import torch

from adapters.contract import MELD_LABELS
from adapters.readout.voice import SPEAKERS, VoiceClassifier
from adapters.readout.voice_summary import SUMMARY_DIM
from adapters.training.feature_cache import VoiceRows
from adapters.training.voices import speaker_directions


def voices(speakers: int, habit: torch.Tensor, anger: torch.Tensor) -> VoiceRows:
    """Two calm and two angry clips of each speaker, whose voices differ along one direction."""
    random = torch.Generator().manual_seed(0)
    people = torch.arange(speakers).repeat_interleave(4)
    labels = torch.tensor([0, 0, 6, 6]).repeat(speakers)
    summaries = 0.01 * torch.randn(len(labels), SUMMARY_DIM, generator=random)
    summaries += torch.randn(speakers, generator=random)[people, None] * habit + (labels == 6)[:, None] * anger
    names = np.array([f"one {number}" for number in people.tolist()])
    every = torch.zeros(len(labels), dtype=torch.bool)
    return VoiceRows(summaries, labels, np.full(len(labels), "one"), names, every, MELD_LABELS)


HABIT, ANGER = (torch.nn.functional.one_hot(torch.tensor(column), SUMMARY_DIM).float() for column in (3, 900))


def test_the_directions_of_speakers_are_found_in_calm_voices():
    found = speaker_directions(voices(20, HABIT, 9 * ANGER), torch.ones(SUMMARY_DIM))
    torch.testing.assert_close(found @ found.T, torch.eye(SPEAKERS), atol=1e-5, rtol=0)
    assert abs(float(found[0] @ HABIT)) > 0.99
    assert float((found @ ANGER).abs().max()) < 0.5  # an emotion is no habit


def test_with_few_speakers_there_are_few_directions():
    found = speaker_directions(voices(3, HABIT, ANGER), torch.ones(SUMMARY_DIM))
    assert found.norm(dim=1).round().tolist() == [1.0, 1.0] + [0.0] * (SPEAKERS - 2)
    assert not speaker_directions(voices(1, HABIT, ANGER), torch.ones(SUMMARY_DIM)).any()


def test_who_speaks_changes_nothing_along_these_directions():
    torch.manual_seed(0)
    classifier = VoiceClassifier(4, 2, 7, (0.0, 0.0)).train(False)
    classifier.speakers.copy_(speaker_directions(voices(20, HABIT, ANGER), classifier.spread))
    heard = torch.randn(5, SUMMARY_DIM)
    torch.testing.assert_close(classifier(heard), classifier(heard + 3 * classifier.speakers[0]), atol=1e-2, rtol=0)
    assert not torch.allclose(classifier(heard), classifier(heard + 3 * ANGER), atol=1e-2)
