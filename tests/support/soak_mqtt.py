"""Publishing for minutes, with outages and a kill: ``python -m tests.support.soak_mqtt --minutes 10 --away-s 60``.

A process publishes turns at a steady pace and records nothing; the broker is stopped three times; the process is
killed with -9 half way and started again; at the end ``tracker sessions flush`` delivers what is left. With ``--own``
the broker is the process's own: both are killed with -9 three times, and started again after a while. Prints what
became of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from tests.support import TOP
from tests.support.brokers import Mosquitto, Subscriber, free_port, subscribed, until_open
from tests.support.command import tracker
from tracker.events import Event, from_json
from tracker.mqtt.address import Address

PACED = """
import sys, anyio
from tests.support.sessions import Script
from tracker.config import load
from tracker.app.mqtt import LiveSession, publishing

async def main():
    name, turns, pause, *sets = sys.argv[1:]
    script = Script(name).start()
    for second in range(int(turns)):
        script.says(second, second + 0.5, "Speaker 1", f"number {second}")
    config = load(None, sets=[*sets, "mqtt.node=desk", "mqtt.base_topic=et"])

    async def events():
        for event in script.end(int(turns)):
            print(event.model_dump_json(by_alias=True), flush=True)
            yield event
            await anyio.sleep(float(pause))

    async with publishing(config, lambda sentence: print(sentence, file=sys.stderr), LiveSession()) as (sink,):
        await sink.run(events())

anyio.run(main)
"""


async def publish(folder: Path, to: str, name: str, turns: int, pause_s: float, given: list[Event],
                  kill_after_s: float | None = None) -> None:  # fmt: skip
    environment = os.environ | {"XDG_STATE_HOME": str(folder / "state"), "PYTHONPATH": str(TOP)}
    command = [sys.executable, "-c", PACED, name, str(turns), str(pause_s), to]
    out = folder / f"{name}.jsonl"
    with out.open("wb") as file:
        async with await anyio.open_process(command, stdout=file, stderr=None, env=environment) as process:
            if kill_after_s is not None:
                await anyio.sleep(kill_after_s)
                process.kill()
            await process.wait()
    lines = out.read_bytes().split(b"\n")[:-1]
    given += [from_json(line) for line in lines]


@asynccontextmanager
async def listening(subscriber: Subscriber, given: list[Event], got: list[Event]) -> AsyncIterator[None]:
    """Collect what comes; at the end wait for what was given and is still missing, for a minute at most."""

    async def listen() -> None:
        while True:
            topic, _, payload = await subscriber.next()
            if topic.endswith(("/state", "/turn", "/late")) and payload:
                got.append(from_json(payload))

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        yield
        with anyio.move_on_after(60):
            while {(e.session, e.seq) for e in given} - {(e.session, e.seq) for e in got}:
                await anyio.sleep(0.5)
        group.cancel_scope.cancel()


async def beside(minutes: float, away_s: float, per_s: float, folder: Path) -> bool:
    """Against mosquitto."""
    (folder / "broker").mkdir()
    broker = Mosquitto(folder / "broker", settings="allow_anonymous true\nmax_queued_messages 0")
    to = f"mqtt.url=mqtt://127.0.0.1:{broker.port}"
    given: list[Event] = []
    got: list[Event] = []
    half_s = minutes * 30
    turns = round(half_s * per_s / 2)
    await broker.start()

    async def outages() -> None:
        for _ in range(3):
            await anyio.sleep((2 * half_s - 3 * away_s) / 4)
            broker.stop()
            await anyio.sleep(away_s)
            await broker.start()

    steady = subscribed(broker.address, "et/#", "-c", "-i", "steady")
    async with steady as subscriber, listening(subscriber, given, got):
        async with anyio.create_task_group() as group:
            group.start_soon(outages)
            await publish(folder, to, "s-1", turns * 2, 1 / per_s, given, kill_after_s=half_s)
            await publish(folder, to, "s-2", turns, 1 / per_s, given)
        done = await anyio.to_thread.run_sync(
            lambda: tracker("sessions", "flush", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", folder=folder)
        )
        print(done.said.strip())
    broker.stop()
    return told(given, got, subscriber.lines)


async def own(minutes: float, away_s: float, per_s: float, folder: Path) -> bool:
    """Against the broker that dies with the process."""
    port = free_port()
    given: list[Event] = []
    got: list[Event] = []
    part_s = (minutes * 60 - 3 * away_s) / 4
    turns = round(part_s * per_s / 2)
    to = f"mqtt.port={port}"
    async with anyio.create_task_group() as group:

        async def publish_all() -> None:
            for number in (1, 2, 3):
                await publish(folder, to, f"s-{number}", turns * 9, 1 / per_s, given, kill_after_s=part_s)
                await anyio.sleep(away_s)
            await publish(folder, to, "s-4", turns, 1 / per_s, given)

        group.start_soon(publish_all)
        address = Address("127.0.0.1", port)
        await until_open(port)
        async with subscribed(address, "et/#", "-c", "-i", "steady") as subscriber, listening(subscriber, given, got):
            while not (given and given[-1].session == "s-4"):
                await anyio.sleep(0.5)
    return told(given, got, subscriber.lines, heard_from=got[0].seq)


def told(given: list[Event], got: list[Event], lines: list[tuple[str, bool, str]], heard_from: int = 0) -> bool:
    """Print what became of the events; those before the subscriber's first one are not counted."""
    given = given[[e.seq for e in given].index(heard_from) :]
    received = [(e.session, e.seq) for e in got]
    once = list(dict.fromkeys(received))
    late = sum(topic.endswith("/late") for topic, _, _ in lines)
    in_order = all(
        [n for s, n in once if s == name] == sorted(n for s, n in once if s == name) for name in {s for s, _ in once}
    )
    lost = len({(e.session, e.seq) for e in given} - set(once))
    print(f"given {len(given)}, received {len(received)}, lost {lost}, repeated {len(received) - len(once)}, "
          f"late {late}, in order {'yes' if in_order else 'no'}")  # fmt: skip
    return not lost and in_order


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--away-s", type=float, default=60, help="how long the broker is away, three times")
    parser.add_argument("--per-s", type=float, default=10, help="events a second")
    parser.add_argument("--own", action="store_true", help="the tracker's own broker instead of mosquitto")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        sys.exit(not anyio.run(own if chosen.own else beside, chosen.minutes, chosen.away_s, chosen.per_s, folder))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
