"""What runs no model: a recorded session played again, and sessions elsewhere looked at. Both block."""

from __future__ import annotations

from pathlib import Path

import anyio

from tracker.app.mqtt import as_installed, external, publishing
from tracker.cli.outputs import RunOptions, shown, terminal_of
from tracker.config import Config
from tracker.dashboard.player import Player
from tracker.errors import needs_extra
from tracker.mqtt.address import parse_url
from tracker.mqtt.credentials import login, trust
from tracker.recordings import replay
from tracker.runtime.clock import SystemClock
from tracker.runtime.control import Control, Stop
from tracker.runtime.signals import with_signals


def play(folder: Path, config: Config, options: RunOptions, speed: float | None) -> None:
    """Give a recorded session's events to the sinks again.

    Args:
        folder: The recorded session.
        config: The settings.
        options: What this run shall do.
        speed: 1 is as it was, 2 twice as fast; None does not wait.

    Raises:
        TrackerError: The session cannot be read, or the broker's URL is no good.
    """
    recorded = replay.read_session(folder)
    terminal = terminal_of(config, options)
    config = as_installed(config, terminal.say)
    external(config.mqtt)
    if recorded.stop is None:
        terminal.say(f"{folder}: the recording was cut off; what there is follows")

    async def again(control: Control) -> None:
        async with publishing(config, terminal.say) as sinks:
            if speed is None:
                events = replay.replay(recorded.events, SystemClock(), speed)
            else:
                player = Player(recorded.events, SystemClock(), speed)
                terminal.show_replay(player.read)
                terminal.read_keys("replay", lambda one: control.stop() if one == Stop() else player.request(one))
                events = player.events()
            await replay.publish(events, [*shown(config, options, terminal), *sinks], terminal.say, control.drained)

    anyio.run(with_signals, again, terminal.say)


def watch(url: str, config: Config, plain: bool) -> None:
    """Show what a broker tells of sessions elsewhere, until stopped.

    Args:
        url: The broker's.
        config: The settings.
        plain: Show lines even where a picture could be drawn.

    Raises:
        SinkError: The URL or a file is no good.
        ExtraMissing: aiomqtt is not installed.
    """
    with needs_extra("mqtt", "tracker watch"):
        from tracker.mqtt.watch import RemoteDashboard

    address, mqtt = parse_url(url), config.mqtt
    who = login(mqtt.credentials_file)
    tls = trust(mqtt.ca_file, mqtt.client_cert, mqtt.client_key) if address.tls else None
    terminal = terminal_of(config, RunOptions(plain=plain))

    async def look_on(control: Control) -> None:
        dashboard = RemoteDashboard(address, mqtt.base_topic, terminal, who, tls)
        terminal.show_remote()
        terminal.show_status(dashboard.status)
        terminal.read_keys("watch", dashboard.request)
        await dashboard.run(control.drained)

    anyio.run(with_signals, look_on, terminal.say)
