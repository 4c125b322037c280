"""A session folder may come from anybody: whatever lies in it, each command ends soon, with an exit code and one line.

`$EMOTION_TRACKER_FUZZ` sets how many random changes are tried.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sys
from pathlib import Path

import anyio
import numpy as np
import pytest
from safetensors.numpy import save

from tests.support.recordings import hear
from tests.support.sessions import Script
from tests.tracker.cli.test_printed import CONTROLS, NASTY
from tests.tracker.recordings.test_recorder import ramp
from tracker.cli import main
from tracker.config import Config
from tracker.events import SessionEnded, to_json
from tracker.recordings.exports.write import FORMATS
from tracker.recordings.format import EVENTS, START, STOP, RecordedFile
from tracker.recordings.recorder import Recorder
from tracker.recordings.retention import PRUNED
from tracker.sources.opencv import load_opencv
from tracker.sources.recorded_video import VIDEO_FILE, VideoWriter, encode_jpeg, recorded_frames
from tracker.sources.video import RecordedVideo, VideoFrame

FUZZ = int(os.environ.get("EMOTION_TRACKER_FUZZ", "25"))
LONGEST_S, LONGEST_CPU_S, MOST_BYTES = 120.0, 20.0, 2 << 30
SECRET = "what lies elsewhere is nobody's business"

EVERY_DAY = [f"--set=record.{kind}_days=1" for kind in ("audio", "video", "features", "text")]
COMMANDS = [
    ["sessions", "list", "."],
    ["sessions", "show", "s"],
    ["sessions", "verify", "."],
    ["diff", "s", "good"],
    ["diff", "--json", "good", "s"],
    ["replay", "s", "--speed=max", "--mqtt=off"],
    ["replay", "s", "--speed=max", "--mqtt=off", "--json"],
    ["replay", "s", "--through-models", "--mqtt=off"],
    ["report", "s", "--out=page.html", "--png=line.png"],
    *(["export", "s", f"--format={one}", f"--out=out.{one}"] for one in FORMATS),
    ["sessions", "prune", ".", "--dry-run", "--set=record.events_days=1"],
    ["sessions", "prune", ".", *EVERY_DAY],
    ["sessions", "verify", "."],
    ["sessions", "prune", ".", "--set=record.events_days=1"],
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A session with everything that a session can hold."""
    folder = tmp_path_factory.mktemp("recorded") / "good"
    script = Script().start("call.wav", channels=2)
    script.says(0, 1, "Speaker 1", "Hello?", "joy").says(0.5, 2, "Speaker 2", "Oh.", unsure="short", channel=1)
    script.pauses(2).resumes(2, 300).marks(2, "here").renames(2, "Speaker 1", "Anna").skips(2, 2.5)
    events = script.end(3)
    started = events[0].model_copy(update={"models": events[0].models | {"faces": "yunet"}})
    config = Config(record={"audio": True, "video": True, "features": True, "text": True})  # type: ignore[arg-type]

    async def record():
        recorder = Recorder(folder, config.model_dump(mode="json"))

        async def chunks():
            for channel in range(2):
                yield ramp(0, 48_000, channel)

        async def all_events():
            for event in [started, *events[1:]]:
                yield event

        async with anyio.create_task_group() as group:
            group.start_soon(recorder.record_audio, chunks())
            await recorder.run(all_events())

    anyio.run(record)
    image, writer = np.full((48, 64, 3), 127, np.uint8), VideoWriter(folder / VIDEO_FILE)
    for at in range(5):
        writer.write(VideoFrame(at * 200_000_000, image, encode_jpeg(image, load_opencv())))
    writer.close()
    RecordedFile(folder / "features-00001.safetensors").put(save({"audio": np.zeros((3, 4), np.float32)}))
    RecordedFile(folder / PRUNED).put(b'{"kinds": []}')
    return folder


@pytest.fixture
def place(tmp_path, recorded, monkeypatch):
    """A folder with that session twice: `s`, which a test spoils, and `good`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("s", "good"):
        shutil.copytree(recorded, tmp_path / name)
    (tmp_path / "secret").write_text(SECRET)
    return tmp_path


@pytest.fixture(autouse=True)
def heard_only(monkeypatch):
    """A second run through the models, as far as it can be had without any: all of its sound and pictures."""

    def run_all(sessions, config, options):
        (prepared,) = sessions.values()

        async def everything():
            chunks, error = await hear(prepared.source)
            if error:
                raise error
            return chunks

        assert all(chunk.channel < prepared.source.channels for chunk in anyio.run(everything))
        if isinstance(prepared.video, RecordedVideo):
            list(recorded_frames(prepared.video.path, load_opencv()))
        values = {"time": "2026-01-02T03:04:05.000Z", "outcome": "completed", "error": None, "media_ns": 0}
        return [SessionEnded(session="s", seq=0, turns_started=0, turns_ended=0, turns_skipped=0, dropped={}, **values)]

    monkeypatch.setattr("tracker.cli.run.run_all", run_all)


@contextlib.contextmanager
def bounded():
    """Fail what takes too long, or too much memory."""

    def too_long(*_):
        pytest.fail("takes too long")  # no Exception, so that nothing catches it

    before = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    was = signal.signal(signal.SIGALRM, too_long), signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    signal.setitimer(signal.ITIMER_PROF, LONGEST_CPU_S)
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGALRM, was[0])
        signal.signal(signal.SIGPROF, was[1])


def run(monkeypatch, capfd, *arguments):
    """One command: its exit code, and what it said."""
    monkeypatch.setattr(sys, "argv", ["tracker", *arguments])
    with pytest.raises(SystemExit) as ended, bounded():
        main.main()
    code, (out, err) = int(ended.value.code or 0), capfd.readouterr()
    said = f"{' '.join(arguments)}: exit code {code}, {err}"
    assert code in ((0, 1) if arguments[0] == "diff" else (0,)) or code in (2, 3, 5), said
    assert "this should not happen" not in err, said
    assert "Traceback" not in err, said
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (code > 1), said
    assert code < 2 or err.splitlines()[-1] == errors[0], said
    assert len(err) < 10_000, said
    for stream in (out, err):
        assert not CONTROLS.search(stream), said
        assert SECRET not in stream, said
    return code, out, err


def run_every_command(monkeypatch, capfd, place):
    codes = {}
    for arguments in COMMANDS:
        if arguments[0] == "export" and codes["sessions show"] and "export s" in codes:
            continue  # what no command can read is refused before the format matters
        code, out, _ = run(monkeypatch, capfd, *arguments)
        codes[" ".join(arguments[:2])] = code
        if arguments[:2] == ["sessions", "list"]:
            assert "good" in out
        if arguments == ["sessions", "prune", ".", *EVERY_DAY]:
            assert sorted(os.listdir(place / "good")) == [EVENTS, PRUNED, START, STOP]
    assert not (place / "good").exists()
    assert (place / "secret").read_text() == SECRET
    for made in (*place.glob("out.*"), *place.glob("page.html")):
        assert SECRET.encode() not in made.read_bytes()
    return codes


def test_every_command_reads_a_session(place, monkeypatch, capfd):
    assert set(run_every_command(monkeypatch, capfd, place).values()) == {0}
    assert not (place / "s").exists()


def link(path, to):
    path.unlink(missing_ok=True)
    path.symlink_to(to)


def change(path, change):
    contents = json.loads(path.read_text())
    change(contents)
    path.write_text(json.dumps(contents))


def change_event(session, number, values):
    lines = (session / EVENTS).read_text().splitlines()
    lines[number] = json.dumps(json.loads(lines[number]) | values)
    (session / EVENTS).write_text("\n".join(lines) + "\n")


def fifo(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def deep(path):
    path.write_text('{"a":' * 200_000)


def other_events(session, turns):
    """The log of a session that was cut off, with these turns: start, end and speaker."""
    script = Script().start()
    for start_s, end_s, speaker in turns:
        script.says(start_s, end_s, speaker, "yes")
    (session / EVENTS).write_text("".join(to_json(event) + "\n" for event in script.events))
    (session / STOP).unlink()


EVERY_FILE = (START, EVENTS, STOP, PRUNED, "audio-0.flac", VIDEO_FILE)
STRANGE = {
    **{
        f"{name} is {what}": (lambda s, make=make, name=name: make(s / name))
        for name in EVERY_FILE
        for what, make in {"a pipe": fifo, "a folder": folder}.items()
    },
    **{f"{name} is huge": (lambda s, name=name: os.truncate(s / name, 8 << 30)) for name in EVERY_FILE[:4]},
    **{f"{name} is deep": (lambda s, name=name: deep(s / name)) for name in EVERY_FILE[:4]},
    **{
        f"{name} links to {to}": (lambda s, to=to, name=name: link(s / name, to))
        for name in EVERY_FILE
        for to in ("/dev/zero", "../secret", "nowhere")
    },
    "audio elsewhere": lambda s: change(s / STOP, lambda it: it["audio"][0].update(file="../secret")),
    "audio by a full name": lambda s: change(s / STOP, lambda it: it["audio"][0].update(file="/etc/passwd")),
    "a playlist for audio": lambda s: (s / "audio-0.flac").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
    "one channel many times": lambda s: change(s / STOP, lambda it: it.update(audio=it["audio"][:1] * 999)),
    "a channel too many": lambda s: change(s / STOP, lambda it: it["audio"][0].update(channel=7)),
    "a billion channels": lambda s: change(s / START, lambda it: it.update(channels=10**9)),
    "month 99": lambda s: change(s / START, lambda it: it.update(started_at="2026-99-25T23:13:12.102Z")),
    "month 99 in an event": lambda s: change_event(s, 2, {"end_time": "2026-99-25T23:13:12.102Z"}),
    "3000 labels": lambda s: change(s / START, lambda it: it.update(labels=[f"l{one}" for one in range(3000)])),
    "3000 labels of a turn": lambda s: change_event(s, 2, {"probabilities": {f"l{one}": 0.1 for one in range(3000)}}),
    "a time beyond numbers": lambda s: change_event(s, 2, {"end_ns": 10**400}),
    "the largest time": lambda s: change_event(s, 2, {"end_ns": 2**63 - 1}),
    "the largest pause": lambda s: change_event(s, 5, {"at_ns": 2**63 - 1}),
    "an endless wait": lambda s: change_event(s, 6, {"paused_ms": 1e308}),
    "settings that are none": lambda s: change(s / START, lambda it: it.update(config={"record": 5, "input": []})),
    "a section that is none": lambda s: change(s / START, lambda it: it["config"].update(turns=5)),
    "parts that link elsewhere": lambda s: [link(s / f"{name}.part", "../secret") for name in (EVENTS, PRUNED)],
    "a part that is a pipe": lambda s: os.mkfifo(s / f"{EVENTS}.part"),
    "a link to nowhere more": lambda s: link(s / "audio-7.flac", "nowhere"),
    "a folder more": lambda s: (s / "audio-7.flac").mkdir(),
    "nasty names": lambda s: change_event(s, 2, {"speaker": NASTY, "emotion": NASTY, "text": NASTY}),
    "a hundred turns at once": lambda s: other_events(s, [(0, 10, "Speaker 1")] * 100),
    "a hundred turns in no time": lambda s: other_events(s, [(1, 1, "Speaker 1")] * 100),
    "three hundred speakers": lambda s: other_events(s, [(at, at + 1, f"Speaker {at}") for at in range(300)]),
    "a name without an end": lambda s: change_event(s, 2, {"probabilities": {"x" * 100_000: 2}}),
    "a kind without an end": lambda s: change_event(s, 2, {"type": "x" * 100_000}),
    "an id without an end": lambda s: change(s / START, lambda it: it.update(session="x" * 100_000)),
    "an event of another session": lambda s: change_event(s, 2, {"session": NASTY}),
}  # fmt: skip


@pytest.mark.parametrize("spoil", STRANGE.values(), ids=STRANGE)
def test_what_is_strange_is_one_line(spoil, place, monkeypatch, capfd):
    spoil(place / "s")
    run_every_command(monkeypatch, capfd, place)


def test_a_file_out_of_the_folder_is_never_read(place, monkeypatch, capfd):
    for name in ("../good/audio-0.flac", str(place / "good" / "audio-0.flac"), "..", "a\\b", "", "x" * 300):
        change(place / "s" / STOP, lambda it, name=name: it["audio"][0].update(file=name))
        code, _, err = run(monkeypatch, capfd, "replay", "s", "--through-models", "--mqtt=off")
        assert (code, "stop.json: audio.0.file" in err) == (5, True), name
    change(place / "s" / STOP, lambda it: it["audio"][0].update(file="audio-0.flac"))
    link(place / "s" / "audio-0.flac", place / "good" / "audio-0.flac")
    code, _, err = run(monkeypatch, capfd, "replay", "s", "--through-models", "--mqtt=off")
    assert (code, "audio-0.flac is missing" in err) == (5, True)
    code, _, err = run(monkeypatch, capfd, "report", "s", "--out=page.html")
    assert (code, "audio-0.flac: is a link" in err) == (5, True)
    assert run(monkeypatch, capfd, "sessions", "verify", "s")[1] == "s: audio-0.flac: is a link\n"


def test_a_folder_name_that_no_system_takes_is_one_line(place, monkeypatch, capfd):
    for words in (["sessions", "show"], ["sessions", "list"], ["replay"], ["export", "--format=vtt"]):
        assert run(monkeypatch, capfd, *words, "x" * 5000)[0] == 5


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a billion channels", "start.json: channels: "),
        ("month 99", "start.json: started_at: month must be in 1..12"),
        ("3000 labels", "start.json: labels: "),
        ("3000 labels of a turn", "events.jsonl: has more than 200 emotions"),
        ("a hundred turns at once", "events.jsonl: has more than 64 turns of one channel at once"),
        ("a hundred turns in no time", "events.jsonl: has more than 64 turns of one channel at once"),
        ("three hundred speakers", "events.jsonl: has more than 256 speakers"),
        ("events.jsonl is huge", "events.jsonl: is larger than 256 MiB, so it is not read"),
        ("pruned.json is a folder", "pruned.json: cannot be read (Is a directory)"),
        ("events.jsonl is a pipe", "events.jsonl: is not an ordinary file"),
        ("events.jsonl links to /dev/zero", "events.jsonl: is a link"),
        ("audio elsewhere", "stop.json: audio.0.file: must be the plain name of a file in the session's folder"),
    ],
)
def test_what_is_strange_is_named(name, fault, place, monkeypatch, capfd):
    STRANGE[name](place / "s")
    code, out, _ = run(monkeypatch, capfd, "sessions", "verify", "s")
    assert (code, fault in out) == (5, True), out


VALUES = [
    None, True, -1, 0, 1, 2**31, 2**63 - 1, 2**63, 10**400, 1e308, -1e-300, float("nan"), float("inf"),
    "", "x", "x" * 100_000, NASTY, "../secret", [], {}, [[]], {"": 0},
    "2026-99-25T23:13:12.102Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00.000Z",
]  # fmt: skip


def spots(value, path=()):
    """Every place in a JSON document."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from spots(one, (*path, key))


def spoil_json(document, dice):
    """Another value, of another type, or none, at one place."""
    *way, last = dice.choice(list(spots(document))[1:])
    place = document
    for key in way:
        place = place[key]
    match dice.randrange(4):
        case 0:
            del place[last]
        case 1 if isinstance(place, dict):
            place[dice.choice(["", NASTY, "file"])] = place[last]
        case _:  # most often of the same type, so that it is read
            alike = [value for value in VALUES if type(value) is type(place[last])]
            place[last] = dice.choice(alike if alike and dice.random() < 0.8 else VALUES)


def spoil_bytes(contents, dice):
    at = dice.randrange(len(contents) + 1)
    match dice.randrange(6):
        case 0:
            return contents[:at]
        case 1:
            spoiled = bytearray(contents)
            for _ in range(dice.choice([1, 20])):
                spoiled[dice.randrange(len(spoiled))] ^= 1 << dice.randrange(8)
            return bytes(spoiled)
        case 2:
            return contents[:at] + bytes(dice.choice([1, 100_000])) + contents[at:]
        case 3:
            return contents[at:] + contents[:at]
        case 4:
            return contents + dice.randbytes(100) + contents
        case _:
            return dice.randbytes(dice.choice([1, 10_000]))


def spoil(session, dice):
    """One random change of a session, by which it may still be whole."""
    files = sorted(one for one in session.iterdir() if RecordedFile(one).kept)
    path, other = dice.choice(files), dice.choice(files)
    match dice.randrange(8):
        case 0:
            path.unlink()
        case 1:
            dice.choice([fifo, folder, lambda it: link(it, other.name), lambda it: link(it, "/dev/zero")])(path)
        case 2:
            one, two = path.read_bytes(), other.read_bytes()
            path.write_bytes(two)
            other.write_bytes(one)
        case 3 | 4:
            path.write_bytes(spoil_bytes(path.read_bytes(), dice))
        case 5:
            path = dice.choice([one for one in files if one.suffix == ".json"])
            change(path, lambda document: spoil_json(document, dice))
        case _:
            if session / EVENTS not in files:
                return
            lines = (session / EVENTS).read_text().splitlines()
            at = dice.randrange(len(lines))
            event = json.loads(lines[at])
            spoil_json(event, dice)
            lines[at] = json.dumps(event)
            (session / EVENTS).write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("seed", range(FUZZ))
def test_whatever_is_spoilt(seed, place, monkeypatch, capfd):
    dice = random.Random(seed)
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        with contextlib.suppress(OSError, ValueError, LookupError):  # what is spoilt already cannot be once more
            spoil(place / "s", dice)
    run_every_command(monkeypatch, capfd, place)
