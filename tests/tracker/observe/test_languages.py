from hypothesis import given
from hypothesis import strategies as st

from tracker.observe.languages import LanguageHabit

ODDS = st.dictionaries(st.sampled_from(["en", "de", "fr", "pl"]), st.floats(0, 1), min_size=1).map(
    lambda odds: {code: share / max(1, sum(odds.values())) for code, share in odds.items()}
)


def test_one_doubtful_turn_does_not_change_the_language():
    habit = LanguageHabit("en")
    assert habit.choose({"de": 0.9, "en": 0.05}) == "en"
    for _ in range(20):
        habit.learn({"en": 0.95, "de": 0.01})
    assert habit.choose({"cy": 0.98, "en": 0.01}) == "en"


def test_a_clear_turn_does_and_from_then_on_it_is_expected():
    habit = LanguageHabit("en")
    clear = {"de": 0.99, "en": 0.001}
    assert habit.choose(clear) == "de"
    for _ in range(10):
        habit.learn(clear)
    assert habit.choose({"de": 0.3, "en": 0.4}) == "de"


def test_nothing_declared_is_no_habit():
    assert LanguageHabit().choose({"de": 0.3, "en": 0.4}) == "en"


@given(st.lists(ODDS, max_size=20), ODDS)
def test_to_choose_teaches_nothing(heard, odds):
    habit = LanguageHabit("en")
    for one in heard:
        habit.learn(one)
    before = habit.state
    assert habit.choose(odds) in odds
    assert habit.state == before
    assert sum(turns for _, turns in before) <= 10 + 1e-9


def test_what_a_model_cannot_tell_teaches_nothing():
    habit = LanguageHabit("en")
    before = habit.state
    habit.learn({})
    assert habit.state == before
