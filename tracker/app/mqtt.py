"""Publishing assembled from the settings: which broker, which outbox, who may send commands."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel

from tracker.config import Config, MqttConfig
from tracker.errors import ExtraMissing, SinkError, needs_extra
from tracker.metrics.model import SessionMetrics
from tracker.mqtt import spool
from tracker.mqtt.address import Address, parse_url, refuse_plain
from tracker.mqtt.broker import EmbeddedBroker, SubscriberConfirmation, embedded_broker
from tracker.mqtt.commands import Commands
from tracker.mqtt.connection import Connect
from tracker.mqtt.credentials import login, trust
from tracker.mqtt.disk_outbox import BROKER_CONFIRMS, Confirmation, DiskOutbox
from tracker.mqtt.homeassistant import HomeAssistant
from tracker.mqtt.messages import EventMessages
from tracker.mqtt.outbox import Compose, MemoryOutbox, Outbox, compose_all
from tracker.mqtt.presence import Presence
from tracker.mqtt.sink import Endpoint, MessageHandler, MqttSink, SinkOptions
from tracker.mqtt.topics import Topics, this_machine
from tracker.mqtt.write_ahead import WriteAhead
from tracker.recordings.recorder import Recorder
from tracker.runtime.clock import SystemClock
from tracker.runtime.control import Request
from tracker.sinks import Sink

_MB = 1 << 20
_S_PER_DAY = 86_400
_EMBEDDED = "our own broker"  # in spools, whatever its port: the next run delivers what a killed one has left
_RETURN_S = 30.0
_PUBLISHING = "publishing over MQTT"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to publish.

    Attributes:
        address: None: nowhere.
        embedded: The broker there, if it is the embedded one.
    """

    address: Address | None
    embedded: EmbeddedBroker | None = None


NOWHERE = Broker(None)


@dataclass(frozen=True, slots=True)
class LiveSession:
    """What publishing needs of a session whose events are new and must not be lost.

    Attributes:
        recorder: Records the session, or None.
        request: Takes the requests that arrive as commands; None ignores commands.
        broker: Shared with other sessions; None opens the one of the settings.
        metrics: Reads the session's metrics.
    """

    recorder: Recorder | None = None
    request: Callable[[Request], None] | None = None
    broker: Broker | None = None
    metrics: Callable[[], SessionMetrics] = SessionMetrics


@dataclass(frozen=True, slots=True)
class _Store:
    """Where events are kept until they are delivered.

    Attributes:
        outbox: Those of this session.
        earlier: What earlier runs have left.
        log: Written ahead of publishing, or None.
        check: Raises `SinkError` if the log may not grow any more.
        beside: Sinks that do not write ahead.
    """

    outbox: Outbox
    earlier: Sequence[DiskOutbox] = ()
    log: Recorder | None = None
    check: Callable[[], None] = lambda: None
    beside: Sequence[Sink] = ()


def as_installed(config: Config, report: Report) -> Config:
    """The settings, without publishing if that needs packages that are not installed and nobody asked for it.

    Publishing is on by default, but its packages are not installed by default. Naming a broker asks for it.

    Args:
        config: The settings.
        report: Tells the user that nothing is published.
    """
    if config.mqtt.enabled and not config.mqtt.url:
        try:
            with needs_extra("mqtt", _PUBLISHING):
                import aiomqtt  # noqa: F401
                import amqtt  # noqa: F401
        except ExtraMissing as error:
            report(f"nothing is published: {error}")
            return config.model_copy(update={"mqtt": config.mqtt.model_copy(update={"enabled": False})})
    return config


def external(mqtt: MqttConfig) -> Address | None:
    """The address of the broker that the settings name, or None; refuses whatever can be refused without connecting.

    Raises:
        SinkError: The URL or a file is unusable, or transcripts may not be sent there.
        ExtraMissing: aiomqtt is not installed.
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
async def open_broker(mqtt: MqttConfig) -> AsyncIterator[Broker]:
    """The broker of the settings; the embedded one runs until the block ends.

    Raises:
        SinkError: The URL or a file is unusable, the embedded broker cannot listen, or the event loop is not asyncio's.
    """
    if mqtt.enabled:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise SinkError(
                "publishing over MQTT needs an asyncio event loop; run under asyncio, or without it"
            ) from None
    if mqtt.enabled and not mqtt.url:
        async with embedded_broker(mqtt.port) as embedded:
            yield Broker(embedded.address, embedded)
    else:
        yield Broker(external(mqtt))


@asynccontextmanager
async def publishing(config: Config, report: Report, live: LiveSession | None = None) -> AsyncIterator[list[Sink]]:
    """The sinks that record and publish; opens the broker if need be.

    Args:
        config: The settings.
        report: Tells the user one sentence.
        live: The session; None: the events are a recorded session's.

    Raises:
        SinkError: The broker's URL or a file is unusable.
        SessionError: Undelivered events cannot be kept on disk.
    """
    session = live or LiveSession()
    async with nullcontext(session.broker) if session.broker else open_broker(config.mqtt) as broker:
        if not broker.address:
            yield [session.recorder] if session.recorder else []
            return
        topics = topics_of(config.mqtt)
        report(f"publishing on {broker.address}, topics {topics.root}/#")
        events = EventMessages(topics, config.session.notice, config.mqtt.speaker_expiry_s, config.mqtt.text)
        devices = _home_assistant(config.mqtt, topics)
        compose = compose_all([events, *devices])
        if live and config.mqtt.outbox_mb:
            store = _disk_store(config, report, live, broker, compose)
        else:
            store = _Store(MemoryOutbox(config.mqtt.keep_undelivered, compose), log=session.recorder)
        commands = [Commands(topics, session.request)] if session.request and config.mqtt.commands else []
        endpoint = _endpoint(config.mqtt, broker, await_subscriber=bool(store.earlier))
        presence = Presence(endpoint.connect, topics, ask=not broker.embedded)
        handlers: list[MessageHandler] = [presence, *commands, *devices]
        mqtt = MqttSink(
            replace(endpoint, connect=presence),
            store.outbox,
            report,
            earlier=store.earlier,
            handlers=handlers,
            options=SinkOptions(text=config.mqtt.text, session_metrics=session.metrics),
        )
        try:
            yield [*store.beside, WriteAhead(store.log, mqtt, report, store.check) if store.log else mqtt]
        finally:  # closed already, unless the session never began
            for outbox in (*store.earlier, store.outbox):
                outbox.close(over=False)


def check_outbox(mqtt: MqttConfig) -> Path:
    """The folder of what is still to be delivered, once something could be kept there.

    Raises:
        SessionError: Nothing can.
    """
    root = spool.outbox_folder()
    spool.create_spool(root, _name(), None, _EMBEDDED, topics_of(mqtt)).close(complete=True)
    return root


async def flush(config: Config, report: Report, wait_s: float) -> int:
    """Deliver what earlier runs have left for the broker of the settings.

    Args:
        config: The settings; must name a broker.
        report: Tells the user one sentence.
        wait_s: Seconds that it may take.

    Returns:
        How many messages could not be delivered.

    Raises:
        SinkError: The settings name no broker, or its URL or a file is unusable.
    """
    broker = Broker(external(config.mqtt))
    if not broker.address:
        raise SinkError("there is no broker to deliver to; set mqtt.url, or give --mqtt mqtt://host")
    earlier = _earlier(spool.outbox_folder(), config.mqtt, broker)
    if not sum(map(len, earlier)):
        for outbox in earlier:
            outbox.close(over=True)
        report(f"nothing is left to be delivered to {broker.address}")
        return 0

    async def nothing() -> AsyncIterator[None]:
        return
        yield

    mqtt = MqttSink(
        _endpoint(config.mqtt, broker),
        MemoryOutbox(1, lambda _event, _late: []),
        report,
        earlier=earlier,
        options=SinkOptions(present=False, drain_s=wait_s),
    )
    await mqtt.run(nothing())  # type: ignore[arg-type]  # there is no event
    return mqtt.undelivered


def _disk_store(config: Config, report: Report, live: LiveSession, broker: Broker, compose: Compose) -> _Store:
    root, mqtt, recorder = spool.outbox_folder(), config.mqtt, live.recorder
    if mqtt.outbox_days:
        for name in spool.expire(root, time.time() - mqtt.outbox_days * _S_PER_DAY):
            report(f"what the run {name} had not delivered within {mqtt.outbox_days} days is gone from the outbox")
    for name in spool.make_room(root, mqtt.outbox_mb * _MB):
        report(f"the outbox was full; what the run {name} had not delivered is gone")
    earlier = _earlier(root, mqtt, broker)
    # A recording without words cannot deliver them later.
    recorded = recorder if recorder and (config.record.text or not mqtt.text) else None
    own = spool.create_spool(root, _name(), recorded.folder if recorded else None, _spooled(broker), topics_of(mqtt))
    outbox = DiskOutbox(own, compose, confirm=_confirmation(broker))
    if recorded:
        return _Store(outbox, earlier, recorded)
    log = Recorder(own.session, {}, mqtt.text)
    return _Store(outbox, earlier, log, partial(_bounded, root, mqtt.outbox_mb), [recorder] if recorder else [])


def _earlier(root: Path, mqtt: MqttConfig, broker: Broker) -> list[DiskOutbox]:
    return [
        DiskOutbox.of_earlier_run(
            left, EventMessages(left.topics, text=mqtt.text).late_messages, confirm=_confirmation(broker)
        )
        for left in spool.leftover_spools(root, _spooled(broker))
    ]


def _confirmation(broker: Broker) -> Confirmation:
    return SubscriberConfirmation(broker.embedded, SystemClock()) if broker.embedded else BROKER_CONFIRMS


def _spooled(broker: Broker) -> str:
    """How a spool names the broker."""
    return _EMBEDDED if broker.embedded else str(broker.address)


def _home_assistant(mqtt: MqttConfig, topics: Topics) -> list[HomeAssistant]:
    if not mqtt.homeassistant:
        return []
    return [HomeAssistant(topics, mqtt.homeassistant_prefix, mqtt.speaker_expiry_s, mqtt.homeassistant_forget)]


def _endpoint(mqtt: MqttConfig, broker: Broker, await_subscriber: bool = False) -> Endpoint:
    assert broker.address
    topics, connector = topics_of(mqtt), _connector(mqtt, broker.address)
    if not (embedded := broker.embedded):
        return Endpoint(broker.address, connector, topics)
    ready = anyio.lowlevel.checkpoint
    if await_subscriber:  # an earlier run was cut off: its subscribers are about to come back
        ready = partial(embedded.wait_for_subscriber, topics["late"], _RETURN_S)
    return Endpoint(broker.address, embedded.lingering(connector), topics, ready, embedded.flush)


def _connector(mqtt: MqttConfig, address: Address) -> Connect:
    with needs_extra("mqtt", _PUBLISHING):
        from tracker.mqtt.client import Connector

    if not mqtt.url:
        return Connector(address, mqtt5=False)  # the embedded broker speaks 3.1.1 and wants no login
    tls = trust(mqtt.ca_file, mqtt.client_cert, mqtt.client_key) if address.tls else None
    return Connector(address, login(mqtt.credentials_file), tls)


def _bounded(root: Path, most_mb: int) -> None:
    if spool.size(root) > most_mb * _MB:
        raise SinkError(f"the outbox {root} has reached mqtt.outbox_mb = {most_mb}")


def _name() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
