import io
import subprocess
import sys

import pytest

from tests.support.sessions import conversation, given_out
from tracker.events import to_json
from tracker.sinks.jsonl import JsonLines

pytestmark = pytest.mark.anyio


class Stream(io.StringIO):
    """Remembers what was there at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


async def test_each_event_is_a_line_and_out_at_once():
    stream, events = Stream(), conversation()
    await JsonLines(stream).run(given_out(events))
    lines = [to_json(event) + "\n" for event in events]
    assert stream.flushed == ["".join(lines[: count + 1]) for count in range(len(lines))]


PIPED = """
import sys, anyio
from tests.support.sessions import Script, given_out
from tracker.sinks.jsonl import JsonLines

script = Script().start()
for second in range(5000):
    script.says(second, second + 1, "Speaker 1", "and so on")

async def main():
    seen = 0
    async def counted():
        nonlocal seen
        async for event in given_out(script.events):
            seen += 1
            yield event
    await JsonLines(sys.stdout).run(counted())
    print(f"{seen} of {len(script.events)}", file=sys.stderr)

anyio.run(main)
"""


async def test_a_reader_that_has_gone_ends_it_quietly():
    shell = ["sh", "-c", '"$0" -W error -c "$1" | head -n 2', sys.executable, PIPED]
    done = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 2
    seen, _, sent = done.stderr.strip().partition(" of ")  # nothing else was said
    assert int(seen) < int(sent)


async def test_a_full_disk_is_said_once():
    shell = ["sh", "-c", '"$0" -W error -c "$1" > /dev/full', sys.executable, PIPED]
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()
    assert said[-1] == "tracker.errors.SinkError: the JSON lines cannot be written: No space left on device"
    assert done.returncode == 1
