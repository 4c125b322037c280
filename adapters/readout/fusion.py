"""Late fusion: each modality's log probabilities in, one calibrated distribution out.

The modalities' scores are added up, each times a learned weight, as independent evidence about the same turn. The voice
and face classifiers are trained on balanced classes, so their scores carry no prior; the prior comes from the words.
Every combination of modalities has weights of its own. Where there are no words, a learned prior replaces them; any
other absent modality adds nothing.

Letters: ``b`` turns, ``classes``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


@dataclass(frozen=True, slots=True)
class ModalityScores:
    """Log probabilities by modality for a batch of turns; rows of an absent modality hold anything finite."""

    words: Float[Tensor, "b classes"]
    has_words: Bool[Tensor, " b"]
    voice: Float[Tensor, "b classes"]
    has_voice: Bool[Tensor, " b"]
    face: Float[Tensor, "b classes"]
    has_face: Bool[Tensor, " b"]


class LateFusion(nn.Module):
    """Weighted sum of the modalities' scores; fitted after the classifiers.

    ``weights`` has a row for each combination of modalities (1 for words, 2 for voice, 4 for face, added up) and a
    column for each modality. Words may be misrecognised, or meant otherwise than they read: with the probability whose
    log odds are ``text_noise`` they carry no information, and only ``text_prior`` counts.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(8, 3))
        self.text_prior = nn.Parameter(torch.zeros(classes))
        self.text_noise = nn.Parameter(torch.tensor(-2.0))
        self.voice = ReliabilityModel(classes)
        self.face = ReliabilityModel(classes)

    def forward(self, scores: ModalityScores) -> Float[Tensor, "b classes"]:
        """Log probabilities of the turns."""
        present = torch.stack([scores.has_words, scores.has_voice, scores.has_face], dim=1)
        weights = self.weights[(present * torch.tensor([1, 2, 4])).sum(1)] * present
        words, voice, face = weights[:, :, None].unbind(1)
        text, prior = (scores.words * words).log_softmax(-1), self.text_prior.log_softmax(-1)
        noisy = torch.logaddexp(text + logsigmoid(-self.text_noise), prior + logsigmoid(self.text_noise))
        text = torch.where(scores.has_words[:, None], noisy, prior)
        fused: Tensor = (text + self.voice(scores.voice) * voice + self.face(scores.face) * face).log_softmax(-1)
        return fused


class ReliabilityModel(nn.Module):
    """How reliable a voice or a face is: people often sound and look neutral, whatever they say.

    With probability ``1 - noise`` the modality shows the emotion ``c``, else one drawn from ``noise_prior``, whatever
    ``c`` is. A classifier's output ``p`` is then evidence of ``(1 - noise) p_c + noise sum_k noise_prior_k p_k`` for
    ``c``: an emotion that is often shown anyway counts little, and however confident the classifier, the words can
    still outweigh it. ``p`` is sharpened first, because the classifier was fitted with smoothed labels.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.inverse_temperature = nn.Parameter(torch.ones(()))
        self.noise = nn.Parameter(torch.zeros(()))  # log odds
        self.noise_prior = nn.Parameter(torch.zeros(classes))  # log shares

    def forward(self, scores: Float[Tensor, "b classes"]) -> Float[Tensor, "b classes"]:
        """Log evidence, from the classifier's log probabilities."""
        sharpened = (scores * self.inverse_temperature).log_softmax(-1)
        background = (sharpened + self.noise_prior.log_softmax(-1)).logsumexp(-1, keepdim=True)
        evidence: Tensor = torch.logaddexp(sharpened + logsigmoid(-self.noise), background + logsigmoid(self.noise))
        return evidence
