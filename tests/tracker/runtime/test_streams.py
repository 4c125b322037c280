"""Standard streams that are closed, full, or that nobody reads any more: the program in a process of its own."""

import subprocess
import sys
import threading

import pytest

from tests.support import TOP
from tests.support.sessions import conversation
from tests.tracker.cli.test_main import keep
from tracker.runtime.threads import stuck

REPLAY = "replay session --speed max --mqtt off"
NOTICE = "session: the recording was cut off; what there is follows\n"


def shell(folder, words: str, streams: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the program with redirections or a pipe; the exit code is the program's."""
    line = f'"$0" -W error -m tracker {words} {streams}; exit "${{PIPESTATUS[0]}}"'
    where = {"PYTHONPATH": str(TOP), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        ["bash", "-c", line, sys.executable], cwd=folder, env=where, capture_output=True, text=True, check=False
    )


@pytest.fixture
def session(tmp_path):
    keep(tmp_path / "session", conversation())
    return tmp_path


@pytest.mark.parametrize(
    ("words", "streams", "code", "said"),
    [
        (REPLAY, "| head -n 1", 0, ""),
        (f"{REPLAY} --json", "2>&1 | true", 0, ""),
        (REPLAY, ">&-", 0, NOTICE + "terminal: standard output cannot be written: Bad file descriptor\n"),
        (
            REPLAY,
            ">/dev/full",
            0,
            NOTICE + "terminal: standard output cannot be written: No space left on device\n",
        ),
        (REPLAY, "<&- >&- 2>&-", 0, ""),
        ("schema", ">&-", 6, "error: standard output cannot be written: Bad file descriptor\n"),
        ("schema", "2>/dev/full >/dev/full", 6, ""),
        (
            "export session --format vtt",
            ">/dev/full",
            6,
            "error: standard output cannot be written: No space left on device\n",
        ),
        ("export session --format vtt", "| true", 1, ""),
    ],
)
def test_a_stream_that_cannot_be_used_costs_what_goes_there_and_nothing_else(session, words, streams, code, said):
    done = shell(session, words, streams)
    assert (done.returncode, done.stderr) == (code, said)


OPENS = """
import sys
from tracker.runtime.streams import open_standard_streams

open_standard_streams()
with open("events", "w") as events:
    print("to nobody", file=sys.stderr, flush=True)
    print(events.fileno(), file=events)
"""


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path):
    line = '"$0" -W error -c "$1" <&- >&- 2>&-'
    subprocess.run(["bash", "-c", line, sys.executable, OPENS], cwd=tmp_path, env={"PYTHONPATH": str(TOP)}, check=True)
    assert (tmp_path / "events").read_text() == "3\n"


def test_a_thread_that_does_not_end_is_noticed():
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    assert stuck(within_s=0.01)
    release.set()
    thread.join()
    assert not stuck(within_s=20)
