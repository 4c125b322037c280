"""Publishing put together from the settings: which broker, what waits where, who may command."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel

from tracker.clock import SystemClock
from tracker.config import Config, MqttConfig
from tracker.errors import SinkError
from tracker.sinks import Sink, journal
from tracker.sinks.address import Address, parse_url, refuse_plain
from tracker.sinks.backlog import WITH_THE_BROKER, Arrival, Backlog
from tracker.sinks.broker import Arrivals, OwnBroker, embedded_broker
from tracker.sinks.connection import Connect, Connector
from tracker.sinks.credentials import Login, login, trust
from tracker.sinks.durable import Durable
from tracker.sinks.homeassistant import HomeAssistant
from tracker.sinks.messages import Composer, EventMessages
from tracker.sinks.mqtt import Listener, Mqtt
from tracker.sinks.outbox import Outbox, Waiting, all_of
from tracker.sinks.recorder import Recorder
from tracker.sinks.topics import Topics, this_machine
from tracker.vitals import Vitals

_MB = 1 << 20
_OWN = "our own broker"  # whatever its port: what a killed run left is delivered by the next one
_COME_BACK_S = 30.0

Report = Callable[[str], None]
Broker = tuple[Address | None, OwnBroker | None]
"""Where to publish, and the broker there where it is our own."""


def external(mqtt: MqttConfig) -> Address | None:
    """The broker that the settings name, if they do, once all that can be refused without it is refused.

    Raises:
        SinkError: The URL or a file is no good, or transcripts must not travel there.
    """
    if not mqtt.enabled or not mqtt.url:
        return None
    address = parse_url(mqtt.url)
    refuse_plain(address, mqtt.allow_plain)
    _connector(mqtt, address)
    return address


def topics_of(mqtt: MqttConfig) -> Topics:
    """The topics of this tracker."""
    return Topics(mqtt.base_topic, mqtt.node or this_machine())


@asynccontextmanager
async def publishing(
    config: Config,
    report: Report,
    recorder: Recorder | None = None,
    *,
    live: bool,
    listeners: Callable[[Topics], Sequence[Listener]] = lambda _: (),
    broker: Broker | None = None,
    vitals: Callable[[], Vitals] = Vitals,
) -> AsyncIterator[list[Sink]]:
    """The sinks that record and publish; a broker of our own runs meanwhile where one is wanted.

    Args:
        config: The settings.
        report: Says one sentence to the user.
        recorder: Records the session, or None.
        live: Whether the events are new, and must not be lost; else they are a recorded session's.
        listeners: Take messages from the broker; made here for these topics.
        broker: One that several sessions share; None opens the one of the settings.
        vitals: How the session goes in numbers, for its metrics.

    Raises:
        SinkError: The broker's URL or a file is no good.
        SessionError: What is to be published cannot be kept.
    """
    async with nullcontext(broker) if broker else open_broker(config.mqtt) as (address, own):
        if not address:
            yield [recorder] if recorder else []
            return
        topics = topics_of(config.mqtt)
        report(f"publishing on {address}, topics {topics.root}/#")
        composers = _composers(config, topics)
        hear: list[Listener] = [*listeners(topics)]
        hear += [one for one in composers if isinstance(one, HomeAssistant)]
        root = journal.outbox_folder()
        outbox: Waiting = Outbox(config.mqtt.keep_undelivered, all_of(composers))
        log: Sink | None = recorder
        beside: list[Sink] = []
        earlier: list[Backlog] = []
        check: Callable[[], None] = _no_check
        if live and config.mqtt.outbox_mb:
            whose = _OWN if own else str(address)
            for name in journal.make_room(root, config.mqtt.outbox_mb * _MB):
                report(f"the outbox was full; what the run {name} had not delivered is gone")
            earlier = _earlier(root, whose, config.mqtt.text, own)
            # A recording without words cannot deliver them later.
            kept = recorder if recorder and (config.record.text or not config.mqtt.text) else None
            entry = journal.begin(root, _name(), kept.folder if kept else None, whose, topics)
            outbox = Backlog(entry, all_of(composers), arrival=_arrival(own))
            if not kept:
                beside = [recorder] if recorder else []
                log = Recorder(entry.session, {}, config.mqtt.text)
                check = _bounded(root, config.mqtt.outbox_mb)
        connect: Connect = _connector(config.mqtt, address)
        ready = settled = anyio.lowlevel.checkpoint
        if own:
            connect, settled = own.lingering(connect), own.settle
            if earlier:  # it was cut off: whoever listened then is about to come back
                ready = partial(own.wait_for_listener, topics["late"], _COME_BACK_S)
        mqtt = Mqtt(
            address,
            connect,
            topics,
            outbox,
            report,
            earlier=earlier,
            listeners=hear,
            text=config.mqtt.text,
            ready=ready,
            settled=settled,
            vitals=vitals,
        )
        try:
            yield [*beside, Durable(log, mqtt, report, check) if log else mqtt]
        finally:  # done already, unless the session never began
            for waiting in (*earlier, outbox):
                waiting.close(over=False)


async def flush(config: Config, report: Report, wait_s: float) -> int:
    """Deliver what earlier runs have left for the broker of the settings.

    Args:
        config: The settings; must name a broker.
        report: Says one sentence to the user.
        wait_s: Seconds that it may take.

    Returns:
        How many messages could not be delivered.

    Raises:
        SinkError: The settings name no broker, or its URL or a file is no good.
    """
    address = external(config.mqtt)
    if not address:
        raise SinkError("there is no broker to deliver to; set mqtt.url, or give --mqtt mqtt://host")
    earlier = _earlier(journal.outbox_folder(), str(address), config.mqtt.text)
    if not sum(map(len, earlier)):
        for backlog in earlier:
            backlog.close(over=True)
        report(f"nothing is left to be delivered to {address}")
        return 0

    async def nothing() -> AsyncIterator[None]:
        return
        yield

    topics = topics_of(config.mqtt)
    mqtt = Mqtt(
        address,
        _connector(config.mqtt, address),
        topics,
        Outbox(1, lambda _event, _late: []),
        report,
        earlier=earlier,
        last_words_s=wait_s,
    )
    await mqtt.run(nothing())  # type: ignore[arg-type]  # there is no event
    return mqtt.counters.waiting


def _arrival(own: OwnBroker | None) -> Arrival:
    return Arrivals(own, SystemClock()) if own else WITH_THE_BROKER


def _earlier(root: Path, broker: str, text: bool, own: OwnBroker | None = None) -> list[Backlog]:
    return [
        Backlog.of_earlier_run(left, EventMessages(left.topics, text=text).afterwards, arrival=_arrival(own))
        for left in journal.left_over(root, broker)
    ]


def _composers(config: Config, topics: Topics) -> list[Composer]:
    mqtt = config.mqtt
    made: list[Composer] = [EventMessages(topics, config.session.notice, mqtt.speaker_expiry_s, mqtt.text)]
    if mqtt.homeassistant:
        made.append(HomeAssistant(topics, mqtt.homeassistant_prefix, mqtt.speaker_expiry_s, mqtt.homeassistant_forget))
    return made


@asynccontextmanager
async def open_broker(mqtt: MqttConfig) -> AsyncIterator[Broker]:
    """The broker of the settings; one of our own runs meanwhile.

    Raises:
        SinkError: The URL or a file is no good, or our own broker cannot listen.
    """
    if mqtt.enabled and not mqtt.url:
        async with embedded_broker(mqtt.port) as own:
            yield own.address, own
    else:
        yield external(mqtt), None


def _connector(mqtt: MqttConfig, address: Address) -> Connector:
    if not mqtt.url:
        return Connector(address, mqtt5=False)  # our own broker speaks 3.1.1 and asks nobody who he is
    who: Login = login(mqtt.credentials_file)
    tls = trust(mqtt.ca_file, mqtt.client_cert, mqtt.client_key) if address.tls else None
    return Connector(address, who.username, who.password, tls)


def _bounded(root: Path, most_mb: int) -> Callable[[], None]:
    def check() -> None:
        if journal.size(root) > most_mb * _MB:
            raise SinkError(f"the outbox {root} has reached mqtt.outbox_mb = {most_mb}")

    return check


def _no_check() -> None:
    pass


def _name() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
