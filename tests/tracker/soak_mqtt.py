"""Publishing for minutes, with outages and a kill: ``python -m tests.tracker.soak_mqtt --minutes 10 --away-s 60``.

A process publishes turns at a steady pace and records nothing; the broker is stopped three times; the process is
killed with -9 half way and started again; at the end ``tracker sessions flush`` delivers what is left. Prints what
became of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import anyio

from tests.tracker.brokers import Mosquitto, subscribed
from tests.tracker.command import tracker
from tracker.events import Event, from_json

PACED = """
import sys, anyio
from tests.tracker.sessions import Script
from tracker.config import load
from tracker.publishing import publishing

async def main():
    url, name, turns, pause = sys.argv[1:]
    script = Script(name).start()
    for second in range(int(turns)):
        script.says(second, second + 0.5, "Speaker 1", f"number {second}")
    config = load(None, sets=[f"mqtt.url={url}", "mqtt.node=desk", "mqtt.base_topic=et"])

    async def events():
        for event in script.end(int(turns)):
            print(event.model_dump_json(by_alias=True), flush=True)
            yield event
            await anyio.sleep(float(pause))

    async with publishing(config, lambda sentence: print(sentence, file=sys.stderr), None, live=True) as (sink,):
        await sink.run(events())

anyio.run(main)
"""


async def publish(folder: Path, broker: Mosquitto, name: str, turns: int, pause_s: float, given: list[Event],
                  kill_after_s: float | None = None) -> None:  # fmt: skip
    environment = os.environ | {"XDG_STATE_HOME": str(folder / "state"), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PACED, f"mqtt://127.0.0.1:{broker.port}", name, str(turns), str(pause_s)]
    out = folder / f"{name}.jsonl"
    with out.open("wb") as file:
        async with await anyio.open_process(command, stdout=file, stderr=None, env=environment) as process:
            if kill_after_s is not None:
                await anyio.sleep(kill_after_s)
                process.kill()
            await process.wait()
    lines = out.read_bytes().split(b"\n")[:-1]
    given += [from_json(line) for line in lines]


async def soak(minutes: float, away_s: float, per_s: float, folder: Path) -> bool:
    (folder / "broker").mkdir()
    broker = Mosquitto(folder / "broker", settings="allow_anonymous true\nmax_queued_messages 0")
    given: list[Event] = []
    half_s = minutes * 30
    turns = round(half_s * per_s / 2)
    await broker.start()

    async def outages() -> None:
        for _ in range(3):
            await anyio.sleep((2 * half_s - 3 * away_s) / 4)
            broker.stop()
            await anyio.sleep(away_s)
            await broker.start()

    got: list[Event] = []
    async with subscribed(broker.address, "et/#", "-c", "-i", "steady") as subscriber:

        async def listen() -> None:
            while True:
                topic, _, payload = await subscriber.next()
                if topic.endswith(("/state", "/turn", "/late")):
                    got.append(from_json(payload))

        async with anyio.create_task_group() as listening:
            listening.start_soon(listen)
            async with anyio.create_task_group() as group:
                group.start_soon(outages)
                await publish(folder, broker, "s-1", turns * 2, 1 / per_s, given, kill_after_s=half_s)
                await publish(folder, broker, "s-2", turns, 1 / per_s, given)
            done = await anyio.to_thread.run_sync(
                lambda: tracker("sessions", "flush", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", folder=folder)
            )
            print(done.said.strip())
            with anyio.move_on_after(60):
                while {(e.session, e.seq) for e in given} - {(e.session, e.seq) for e in got}:
                    await anyio.sleep(0.5)
            listening.cancel_scope.cancel()
    broker.stop()
    asked, received = [(e.session, e.seq) for e in given], [(e.session, e.seq) for e in got]
    once = list(dict.fromkeys(received))
    late = sum(topic.endswith("/late") for topic, _, _ in subscriber.lines)
    in_order = all(
        [n for s, n in once if s == name] == sorted(n for s, n in once if s == name) for name in ("s-1", "s-2")
    )
    lost = len(set(asked) - set(once))
    print(f"given {len(asked)}, received {len(received)}, lost {lost}, repeated {len(received) - len(once)}, "
          f"late {late}, in order {'yes' if in_order else 'no'}")  # fmt: skip
    return not lost and in_order


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--away-s", type=float, default=60, help="how long the broker is away, three times")
    parser.add_argument("--per-s", type=float, default=10, help="events a second")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        sys.exit(not anyio.run(soak, chosen.minutes, chosen.away_s, chosen.per_s, folder))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
