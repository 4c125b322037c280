"""How far our own broker's subscribers are: never further than what they have surely got, and not far behind it."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sessions import Script
from tests.tracker.mqtt.test_disk_outbox import BROKER, TOPICS, take, write
from tracker.mqtt.broker import SubscriberConfirmation
from tracker.mqtt.disk_outbox import DiskOutbox
from tracker.mqtt.messages import EventMessages
from tracker.mqtt.spool import create_spool, leftover_spools

MS = 1_000_000


@dataclass
class Standing:
    """A broker of which only `inflight` is asked, and a clock that stands where it is put."""

    inflight: set = field(default_factory=set)
    now: int = 0

    def now_ns(self) -> int:
        return self.now


@dataclass
class Answering(Standing):
    """The same with a subscriber: when each message is on its way to it, and when it is acknowledged."""

    under_way: list[tuple[int, int]] = field(default_factory=list)

    @property
    def inflight(self) -> set:
        return {n for n, (sent, acknowledged) in enumerate(self.under_way) if sent <= self.now < acknowledged}

    @inflight.setter
    def inflight(self, _: set) -> None: ...

    def publish(self, sent_ms: int, answered_ms: int) -> None:
        self.under_way.append((self.now + sent_ms * MS, self.now + (sent_ms + answered_ms) * MS))


waits = st.tuples(
    st.integers(0, 700) | st.sampled_from([1, 5000]),
    st.sampled_from([0, 1]) | st.integers(0, 999),
    st.sampled_from([0, 50]) | st.integers(0, 5000),
)


@given(st.lists(waits, max_size=60))
def test_an_event_has_arrived_once_it_is_acknowledged_and_no_sooner(events):
    broker, last = Answering(), -1
    confirm = SubscriberConfirmation(broker, broker)
    for seq, (ms, sent_ms, answered_ms) in enumerate(events):
        broker.now += ms * MS
        broker.publish(sent_ms, answered_ms)
        arrived = confirm(seq)
        if arrived is not None:
            assert last < arrived < seq
            assert all(acknowledged <= broker.now for _, acknowledged in broker.under_way[: arrived + 1])
            last = arrived
        assert confirm.complete == (not broker.inflight)


@given(st.lists(waits, max_size=60))
def test_no_more_is_on_its_way_than_is_published_in_a_second_and_twice_the_time_of_an_answer(events):
    broker, last = Answering(), -1
    confirm, published = SubscriberConfirmation(broker, broker), []
    longest = max((sent_ms + answered_ms for _, sent_ms, answered_ms in events), default=0)
    for seq, (ms, sent_ms, answered_ms) in enumerate(events):
        broker.now += ms * MS
        broker.publish(sent_ms, answered_ms)
        published.append(broker.now)
        arrived = confirm(seq)
        last = last if arrived is None else arrived
        assert seq - last <= most_within(1000 + longest, published) + most_within(longest, published)


def most_within(ms: int, published: list[int]) -> int:
    """The most events in any stretch of so many milliseconds."""
    return max(sum(begin <= at <= begin + ms * MS for at in published) for begin in published)


def test_what_waited_for_a_slow_subscriber_has_arrived_once_it_answers():
    standing = Standing({("slow", 1)})
    confirm = SubscriberConfirmation(standing, standing)
    assert [confirm(0), confirm(1)] == [None, None]
    standing.now = 2_000_000_000
    assert confirm(2) is None
    standing.inflight = set()
    assert confirm(3) == 1


@settings(max_examples=20)
@given(st.integers(1, 400), st.sampled_from([5, 20, 100]), st.integers(0, 300))
def test_after_a_kill_at_any_moment_little_is_repeated_although_something_is_always_inflight(
    killed_at, every_ms, answered_ms
):
    script = Script().start()
    for second in range(200):
        script.says(second, second + 0.5, "Speaker 1", "yes")
    events = script.end(200)[:killed_at]
    with tempfile.TemporaryDirectory() as name:
        spool, broker = create_spool(Path(name), "one", None, BROKER, TOPICS), Answering()
        write(spool.session, events)
        outbox = DiskOutbox(spool, EventMessages(TOPICS).compose, confirm=SubscriberConfirmation(broker, broker))
        for event in events:
            outbox.put(event, late=False)
            broker.now += every_ms * MS
            broker.publish(1, answered_ms)
            take(outbox, 1)
        outbox.close(over=False)
        (left,) = leftover_spools(Path(name))
        again = DiskOutbox.of_earlier_run(left, EventMessages(TOPICS).late_messages)
        repeated = len(again)
        again.close(over=True)
    assert repeated <= 2 + (1000 + 2 * (1 + answered_ms)) // every_ms  # two: both ends of a stretch count
