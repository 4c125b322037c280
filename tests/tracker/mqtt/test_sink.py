import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sessions import Script, conversation, given_out, sessions
from tracker.errors import SinkError
from tracker.events import Preview, TurnEnded, from_json, preview_from_json
from tracker.mqtt.address import Address, parse_url, refuse_plain
from tracker.mqtt.backoff import FIRST_S, LONGEST_S, delays_s
from tracker.mqtt.connection import ConnectionLost, IncomingMessage, MessageRefused
from tracker.mqtt.messages import EventMessages
from tracker.mqtt.outbox import MemoryOutbox
from tracker.mqtt.refusals import Refusals
from tracker.mqtt.sink import Endpoint, MqttSink, SinkOptions
from tracker.mqtt.topics import Message, Topics, slug, status
from tracker.runtime.edges import Edge

pytestmark = pytest.mark.anyio

HOME = Address("127.0.0.1", 1883)
TOPICS = Topics("et", "desk")


class ScriptedBroker:
    """Lets each attempt to connect meet its fate, the last one without end.

    A fate is a reason for refusing, or how many messages are acknowledged before the connection is lost; the message
    after them arrives without being acknowledged (-1: the greeting already). ``None`` is a connection that lasts.
    """

    def __init__(self, *fates: str | int | None) -> None:
        self._fates = list(fates)
        self.received: list[Message] = []
        self.said: list[str] = []
        self.says: list[IncomingMessage] = []
        self.waited: list[float] = []
        self.refuses: dict[str, str] = {}  # why, by the end of the topic or by what the payload contains
        self.closes_at = ""  # what the payload contains at which it closes the connection
        self.up = anyio.Event()

    @asynccontextmanager
    async def connect(self, will: Message | None) -> AsyncIterator["ScriptedBroker"]:
        await anyio.lowlevel.checkpoint()
        fate = self._fates.pop(0) if len(self._fates) > 1 else self._fates[0]
        if isinstance(fate, str):
            raise ConnectionLost(fate)
        self._acknowledges = itertools.count() if fate is None else iter(range(fate + 1))
        self.up.set()
        try:
            yield self
        finally:
            self.received += [will] if will else []

    async def publish(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        for part, why in self.refuses.items():
            if message.topic.endswith(part) or part in message.payload:
                raise MessageRefused(why)
        if self.closes_at and self.closes_at in message.payload:
            raise ConnectionLost("it closed the connection")
        self.received.append(message)
        if message.qos and next(self._acknowledges, None) is None:
            raise ConnectionLost("the network is down")

    async def subscribe(self, filters) -> dict[str, str]:
        return {topic: "Not authorized" for topic in filters if topic in self.refuses}

    async def receive(self, on_message) -> None:
        for message in self.says:
            await on_message(message)
        await anyio.sleep_forever()

    async def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        await anyio.lowlevel.checkpoint()

    def sink(self, keep: int = 1000, handlers=(), earlier=(), **other) -> MqttSink:
        options = SinkOptions(**{"rand": lambda: 0.0, "sleep": self.wait} | other)
        outbox = MemoryOutbox(keep, EventMessages(TOPICS, "You are heard.").compose)
        endpoint = Endpoint(HOME, self.connect, TOPICS)
        return MqttSink(endpoint, outbox, self.said.append, earlier=earlier, handlers=handlers, options=options)

    @property
    def events(self) -> list[Message]:
        """The events that subscribers got, repeats left out."""
        return list(dict.fromkeys(message for message in self.received if message.seq is not None))


async def publish(broker: ScriptedBroker, events, keep: int = 1000) -> None:
    with anyio.fail_after(20):
        await broker.sink(keep).run(given_out(events))
    assert not broker._fates[1:], "the script was not used up"


async def test_a_session_on_its_topics():
    broker = ScriptedBroker(None)
    events = conversation("abc")
    await publish(broker, events)
    turn, ada, bob = ("turn", False, 1), ("speaker/speaker-1", True, 1), ("speaker/speaker-2", True, 1)
    assert [
        (m.topic.removeprefix("et/desk/"), m.retain, m.qos) for m in broker.received if "metrics" not in m.topic
    ] == [
        ("status", True, 1),
        ("state", True, 1),
        ("notice", True, 1),
        ("listening", True, 1),
        *[turn, turn, ada, turn, turn, bob, turn, turn, ada, turn, turn],
        ada,
        bob,
        ("listening", True, 1),
        ("notice", True, 1),
        ("state", True, 1),
        ("status", True, 1),
    ]
    assert [m.payload for m in broker.received if m.topic == "et/desk/status"] == ["online", "offline"]
    assert {m.topic: m.payload for m in broker.received if m.topic.startswith("et/desk/speaker")} == {
        "et/desk/speaker/speaker-1": "",
        "et/desk/speaker/speaker-2": "",
    }
    assert [from_json(m.payload) for m in broker.events] == events
    assert broker.events[0].user_properties == (("schema", "emotion-tracker/1"), ("session", "abc"))
    assert not broker.said
    assert not broker.waited


FATES = st.lists(st.one_of(st.just("refused"), st.integers(-1, 4)), max_size=5)


@settings(max_examples=60)
@given(sessions(), FATES)
def test_whatever_the_connection_does_everything_arrives_in_order(events, fates):
    taken = 0  # each lost connection loses a message, so there must be one left to lose
    fates = [fate for fate in fates if isinstance(fate, str) or (taken := taken + max(fate, 0)) < len(events)]
    lost = 0  # three in a row would be the message's fault
    fates = [fate for fate in fates if isinstance(fate, str) or (lost := lost + 1) <= 2]
    broker = ScriptedBroker(*fates, None)
    anyio.run(publish, broker, events)
    assert [from_json(message.payload) for message in broker.events] == events
    assert broker.received[-1] == status(TOPICS, online=False)


async def test_what_is_refused_is_named_once_counted_and_set_aside():
    broker = ScriptedBroker(None)
    broker.refuses = {"et/desk/turn": "Not authorized", "et/desk/status": "Not authorized"}
    sink = broker.sink()
    with anyio.fail_after(20):
        await sink.run(given_out(conversation()))
    assert broker.said == [
        "the broker at mqtt://127.0.0.1:1883 refuses et/desk/status (Not authorized)",
        "the broker at mqtt://127.0.0.1:1883 refuses et/desk/turn (Not authorized, event 1)",
        "the broker at mqtt://127.0.0.1:1883 refused 9 messages; lost: events 1-8",
    ]
    assert [from_json(message.payload).seq for message in broker.events] == [0, 9]
    assert (sink.metrics.messages_refused, sink.metrics.messages_waiting, sink.undelivered) == (9, 0, 8)
    assert sink.state() == "connected, 9 refused"


async def test_subscriptions_that_are_refused_are_named():
    class Obeys:
        subscriptions = ("et/desk/cmd/stop", "et/desk/cmd/pause")

    broker = ScriptedBroker(None)
    broker.refuses = {"et/desk/cmd/stop": "Not authorized"}
    with anyio.fail_after(20):
        await broker.sink(handlers=[Obeys()]).run(given_out(conversation()))
    assert broker.said == ["the broker at mqtt://127.0.0.1:1883 refuses et/desk/cmd/stop (Not authorized)"]


async def test_a_message_at_which_the_broker_closes_the_connection_stops_no_other():
    broker = ScriptedBroker(None)
    broker.closes_at = "didn't know you were there"
    with anyio.fail_after(20):
        await broker.sink().run(given_out(conversation()))
    assert [from_json(message.payload).seq for message in broker.events] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    lost = "the connection was lost 3 times while it was sent"
    assert [sentence.removeprefix(f"the broker at {HOME} ") for sentence in broker.said] == [
        "cannot be reached (it closed the connection); trying again, messages are kept",
        "is back; 12 kept messages follow",
        f"refuses et/desk/turn ({lost}, event 4)",
        "refused 1 message; lost: events 4",
    ]
    assert broker.waited == [0.5, 1.0, 2.0]


async def test_metrics_at_which_the_broker_closes_the_connection_stop_nothing():
    broker = ScriptedBroker(None)
    broker.closes_at = "messages_delivered"
    with anyio.fail_after(20):
        await broker.sink().run(given_out(conversation()))
    assert [from_json(message.payload) for message in broker.events] == conversation()


@given(st.lists(st.integers(0, 12), unique=True, min_size=1, max_size=8).map(sorted))
def test_refused_events_are_told_as_ranges(numbers):
    refusals = Refusals()
    refusals.events += numbers
    parts = refusals.summary(kept=True).partition("events ")[2].split(", ")
    ends = [(int(first), int(last or first)) for first, _, last in (part.partition("-") for part in parts)]
    assert [number for first, last in ends for number in range(first, last + 1)] == numbers


def test_of_very_many_ranges_the_first_are_told():
    refusals = Refusals()
    refusals.events += range(0, 100, 2)
    assert refusals.summary(kept=False).endswith("lost: events 0, 2, 4, 6, 8, 10, 12, 14, ...")


async def test_what_a_turn_comes_to_so_far_is_told_where_there_is_time_and_never_kept():
    broker = ScriptedBroker(None)
    started, opened, ended, *rest = conversation("a")
    assert isinstance(ended, TurnEnded)
    fields = ("turn", "channel", "speaker", "start_ns", "end_ns", "start_time", "end_time", "text", "emotion")
    told = {name: getattr(ended, name) for name in (*fields, "probabilities", "confidence")}
    shown = Preview(session=ended.session, seq=opened.seq, **told)

    events, previews, sink = Edge("events", 100), Edge("previews", 1, "latest"), broker.sink(text=False)

    async def give():
        for event in (started, opened):
            events.send_nowait(event)
            await anyio.wait_all_tasks_blocked()
        previews.send_nowait(shown)
        await anyio.wait_all_tasks_blocked()
        previews.send_nowait(shown)  # the second comes too late to be of use
        for event in (ended, *rest):
            events.send_nowait(event)
        previews.close()
        events.close()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(sink.run_previews, previews)
            group.start_soon(sink.run, events)
            await give()
    (message,) = [m for m in broker.received if m.topic == "et/desk/partial"]
    assert (message.qos, message.retain, message.seq) == (0, False, None)
    assert preview_from_json(message.payload) == shown.model_copy(update={"text": ""})
    assert [from_json(m.payload) for m in broker.events] == [started, opened, ended, *rest]


async def test_an_outage_is_said_once_and_its_end_once():
    broker = ScriptedBroker("Connection refused", "Connection refused", "timed out", 3, "Connection refused", None)
    await publish(broker, conversation())
    assert broker.said == [
        "the broker at mqtt://127.0.0.1:1883 cannot be reached (Connection refused); trying again, messages are kept",
        "the broker at mqtt://127.0.0.1:1883 is back; 19 kept messages follow",
        "the broker at mqtt://127.0.0.1:1883 cannot be reached (the network is down); trying again, messages are kept",
        "the broker at mqtt://127.0.0.1:1883 is back; 16 kept messages follow",
    ]


async def test_what_is_retained_is_told_again_to_a_broker_that_may_have_forgotten_it():
    broker = ScriptedBroker(5, None)
    await publish(broker, conversation())
    again = [message.topic for message in broker.received].index("et/desk/status", 1) + 2  # the will, the greeting
    assert [message.topic for message in broker.received[again : again + 2]] == ["et/desk/state", "et/desk/notice"]


async def test_waits_grow_and_the_end_of_the_session_cuts_them_short():
    broker = ScriptedBroker("no", "no", "no", "no", None)
    asleep = anyio.Event()

    async def wait(seconds: float) -> None:
        broker.waited.append(seconds)
        if len(broker.waited) == 3:
            asleep.set()
            await anyio.sleep_forever()

    async def events():
        yield conversation()[0]
        await asleep.wait()

    with anyio.fail_after(20):
        await broker.sink(9, sleep=wait).run(events())
    assert broker.waited == [0.5, 1.0, 2.0, 0.5]
    assert len(broker.events) == 1


@pytest.mark.parametrize(
    ("fates", "waits"),
    [
        ([4, "no", "no", 4, "no"], [0.5, 1.0, 2.0, 0.5, 1.0]),  # those that delivered something begin anew
        (["no", -1, "no", 0, "no"], [0.5, 1.0, 2.0, 4.0, 8.0]),  # those that were open alone do not
    ],
)
async def test_a_connection_that_delivers_nothing_lets_waits_grow(fates, waits):
    broker = ScriptedBroker(*fates, None)
    back = anyio.Event()

    async def events():
        for event in conversation():
            yield event
        await back.wait()

    async def wait(seconds: float) -> None:
        await broker.wait(seconds)
        if len(broker.waited) == len(waits):
            back.set()

    with anyio.fail_after(20):
        await broker.sink(sleep=wait).run(events())
    assert broker.waited == waits


async def test_what_cannot_be_delivered_is_counted():
    broker = ScriptedBroker("Connection refused")
    with anyio.fail_after(20):
        await broker.sink(6, drain_s=0.05, sleep=anyio.sleep).run(given_out(conversation()))
    assert broker.said[1:] == [
        "the broker at mqtt://127.0.0.1:1883: 13 messages were dropped and 6 could not be delivered"
    ]


async def test_a_broker_that_never_answered_is_named_as_the_reason():
    @asynccontextmanager
    async def silent(will: Message) -> AsyncIterator[ScriptedBroker]:
        await anyio.sleep_forever()
        yield ScriptedBroker(None)

    said: list[str] = []
    outbox = MemoryOutbox(99, EventMessages(TOPICS).compose)
    sink = MqttSink(Endpoint(HOME, silent, TOPICS), outbox, said.append, options=SinkOptions(drain_s=0.05))
    with anyio.fail_after(20):
        await sink.run(given_out(conversation()))
    assert said == ["the broker at mqtt://127.0.0.1:1883: 19 could not be delivered, as it has not answered yet"]


async def test_while_connected_nothing_is_dropped_for_lack_of_room():
    broker = ScriptedBroker(None)
    script = Script().start()
    for second in range(50):
        script.says(second, second + 1, "Speaker 1", "quick")

    async def in_a_hurry():
        await broker.up.wait()
        await anyio.wait_all_tasks_blocked()
        for event in script.end(50):
            yield event

    with anyio.fail_after(20):
        await broker.sink(keep=2).run(in_a_hurry())
    assert [from_json(message.payload) for message in broker.events] == script.events
    assert not broker.said


def named(name: str, retain: bool = False, expendable: bool = False) -> Message:
    return Message(name, name, retain, "text/plain", (), expendable)


def line(capacity: int) -> MemoryOutbox:
    """An outbox whose events are messages already."""
    return MemoryOutbox(capacity, lambda message, _late: [message])


def test_openings_go_before_turns_and_state_stays():
    outbox = line(3)
    for message in (named("started", retain=True), named("opened", expendable=True), named("a"), named("b")):
        outbox.put(message, False)
    assert (outbox.dropped, len(outbox), outbox.full) == (1, 3, True)
    outbox.put(named("c"), False)
    outbox.put(named("ended", retain=True), False)
    left = []
    while head := outbox.head:
        left.append(head.topic)
        outbox.acknowledge(head)
    assert left == ["started", "c", "ended"]
    assert outbox.dropped == 3


def test_an_acknowledgement_for_what_was_dropped_meanwhile_changes_nothing():
    outbox = line(1)
    first, second = named("a"), named("b")
    outbox.put(first, False)
    outbox.put(second, False)
    outbox.acknowledge(first)
    assert outbox.head is second


@given(st.lists(st.booleans(), max_size=20), st.integers(1, 5))
def test_kept_and_dropped_are_all_there_were(expendable, capacity):
    outbox = line(capacity)
    for index, one in enumerate(expendable):
        outbox.put(named(str(index), expendable=one), False)
    assert len(outbox) == min(capacity, len(expendable))
    assert len(outbox) + outbox.dropped == len(expendable)


@given(st.floats(0, 1, exclude_max=True))
def test_waits_double_up_to_the_longest_and_are_shortened_by_half_at_most(number):
    waits = list(itertools.islice(delays_s(lambda: number), 12))
    assert FIRST_S / 2 <= waits[0] <= FIRST_S
    assert waits == sorted(waits)
    assert LONGEST_S / 2 <= waits[-1] <= LONGEST_S


@given(st.text())
def test_any_name_is_one_level_of_a_topic(name):
    level = slug(name)
    assert level
    assert set(level) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert slug(level) == level


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://localhost", Address("localhost", 1883)),
        ("mqtts://broker.example", Address("broker.example", 8883, tls=True)),
        ("mqtt://10.0.0.7:2883/", Address("10.0.0.7", 2883)),
        ("MQTT://[::1]:1884", Address("::1", 1884)),
    ],
)
def test_urls(url, address):
    assert parse_url(url) == address
    assert parse_url(str(address)) == address


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost", "'localhost' names no broker; expected mqtt://host"),
        ("http://localhost", "names no broker"),
        ("mqtt://", "names no broker"),
        ("mqtt://host:port", "malformed"),
        ("mqtt://host:70000", "malformed; .* a port from 1 to 65535"),
        ("mqtt://host:0", "port 0"),
        ("mqtt://host/topic", "something after the port"),
        ("mqtt://[::1", "malformed"),
        ("mqtt://me:secret@host", "must not carry a user or password; set TRACKER_MQTT_USERNAME and"),
        ("me:secret@host", "must not carry"),
    ],
)
def test_urls_that_are_none(url, message):
    with pytest.raises(SinkError, match=message) as refused:
        parse_url(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["mqtt://localhost", "mqtt://127.0.0.9", "mqtt://[::1]", "mqtts://far.example"])
def test_nobody_can_listen_here(url):
    refuse_plain(parse_url(url), allow_plain=False)


@pytest.mark.parametrize("url", ["mqtt://far.example", "mqtt://10.0.0.7", "mqtt://localhost.example"])
def test_transcripts_do_not_leave_the_machine_unencrypted(url):
    refuse_plain(parse_url(url), allow_plain=True)
    with pytest.raises(SinkError, match=r"is not encrypted.*use mqtts://.*, or set mqtt\.allow_plain = true"):
        refuse_plain(parse_url(url), allow_plain=False)
