"""``--set recognise.recogniser=keywords``: a mood from single words, with labels of its own."""

import re

from adapters.contract import NEGATIVE, NEUTRAL, POSITIVE, DialogueState, EmotionScores, LabelSet

LABELS = LabelSet.of("mood", {"calm": NEUTRAL, "pleased": POSITIVE, "upset": NEGATIVE})
WORDS = {"pleased": {"great", "glad", "thanks", "hello"}, "upset": {"no", "not", "don't", "sorry"}}


class KeywordRecogniser:
    labels = LABELS
    adapter_id = "keywords-1"
    backbone_id = "none"
    max_tokens = 1000

    def __init__(self, options):
        self.feature_specs = {}  # words alone
        self._certainty = 0.9

    def start(self):
        return DialogueState()

    def follow(self, turn, state):
        words = set(re.findall(r"[\w']+", turn.utterance.text.lower()))
        found = max(WORDS, key=lambda mood: len(words & WORDS[mood]))
        mood = found if words & WORDS[found] else "calm"
        rest = (1 - self._certainty) / (len(LABELS) - 1)
        probabilities = tuple(self._certainty if label == mood else rest for label in LABELS.labels)
        unused = {"audio": "not read by this recogniser", "video": "not read by this recogniser"}
        return EmotionScores(LABELS, probabilities, {"text": "used", **unused}), state

    def count_tokens(self, utterance):
        return len(utterance.text.split())

    def emotions(self, scores):
        return (scores.label,)
