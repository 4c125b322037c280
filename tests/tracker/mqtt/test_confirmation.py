"""How far our own broker's subscribers are: never further than what they have surely got."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tracker.mqtt.broker import SubscriberConfirmation


@dataclass
class Standing:
    """A broker of which only `idle` is asked, and a clock that stands where it is put."""

    idle: bool = True
    now: int = 0

    def now_ns(self) -> int:
        return self.now


@given(st.lists(st.tuples(st.integers(0, 700), st.booleans()), max_size=40))
def test_an_event_has_arrived_a_second_after_it_was_published_while_nobody_owes_an_answer(steps):
    standing = Standing()
    confirm = SubscriberConfirmation(standing, standing)
    published = []
    for seq, (ms, standing.idle) in enumerate(steps):
        standing.now += ms * 1_000_000
        published.append(standing.now)
        arrived = confirm(seq)
        old = [n for n, at in enumerate(published) if at <= standing.now - 1_000_000_000]
        if not standing.idle:
            assert arrived is None
        elif arrived is not None:
            assert arrived == old[-1]
        assert confirm.complete == standing.idle


def test_what_waited_for_a_slow_subscriber_has_arrived_once_it_answers():
    standing = Standing(idle=False)
    confirm = SubscriberConfirmation(standing, standing)
    assert [confirm(0), confirm(1)] == [None, None]
    standing.now = 2_000_000_000
    assert confirm(2) is None
    standing.idle = True
    assert confirm(3) == 1
