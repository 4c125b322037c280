"""What a first voice may overrule, on made-up judgements."""

from types import SimpleNamespace

from adapters import recogniser
from adapters.contract import Absent, TurnInput, Utterance
from adapters.evaluation.first_voice import accuracies


class Judge:
    """Says neutral by the words, anger by words and voice, and notes what a first voice may overrule meanwhile."""

    def __init__(self):
        self.limits = set()

    def scores(self, turn):
        self.limits.add(recogniser._CLEAR)
        alone = isinstance(turn.audio, Absent)
        return SimpleNamespace(probabilities=(0.65, 0.35), label="neutral" if alone else "anger")


def test_below_the_limit_the_voice_may_overrule():
    before = recogniser._CLEAR
    turns = [
        (TurnInput(Utterance("Speaker 1", "No."), audio=object()), label) for label in ("neutral", "anger", "anger")
    ]
    judge = Judge()
    found = accuracies(judge, turns)
    assert found == {0.0: 1 / 3, 0.4: 1 / 3, 0.45: 1 / 3, 0.5: 1 / 3, 0.6: 1 / 3, 0.7: 2 / 3, 1.1: 2 / 3}
    assert judge.limits == {1.1}
    assert recogniser._CLEAR == before == 0.45
