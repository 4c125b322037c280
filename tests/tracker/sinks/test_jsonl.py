import io
import os
import subprocess
import sys

import anyio
import anyio.to_thread
import pytest

from tests.support.sessions import conversation, given_out
from tracker.errors import SinkError
from tracker.events import to_json
from tracker.sinks.jsonl import FileLines, JsonLines

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


async def test_a_pipe_is_written_once_somebody_reads_it_and_holds_up_nothing(tmp_path):
    events, pipe = conversation(), tmp_path / "pipe"
    os.mkfifo(pipe)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(FileLines(pipe).run, given_out(events))
            await anyio.sleep(0)  # the event loop goes on
            read = await anyio.to_thread.run_sync(pipe.read_text)
    assert read == "".join(to_json(event) + "\n" for event in events)


async def test_a_pipe_that_nobody_reads_can_be_given_up(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with anyio.move_on_after(0.01) as scope:
        await FileLines(tmp_path / "pipe").run(given_out(conversation()))
    assert scope.cancelled_caught


@pytest.mark.parametrize("name", ["no/file", "."])
async def test_a_file_that_cannot_be_opened_is_said(tmp_path, name):
    with pytest.raises(SinkError, match="cannot be written: "):
        await FileLines(tmp_path / name).run(given_out(conversation()))
