"""A real PortAudio on a private pulseaudio; in a process of its own, since PortAudio lists its devices once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support import TOP
from tests.support.recordings import pitch, tone
from tests.support.sound import SoundCard, absent, until
from tracker.sources.media import RATE_HZ

_ABSENT = absent()
pytestmark = [pytest.mark.sound, pytest.mark.skipif(bool(_ABSENT), reason=_ABSENT)]

LISTEN = """
import asyncio, json, signal, sys
import numpy as np
from tracker.runtime.clock import SystemClock
from tracker.errors import SourceError
from tracker.sources.devices import list_devices
from tracker.sources.microphone import MicrophoneSource

async def listen(folder):
    source = MicrophoneSource("", clock=SystemClock())
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, source.stop)
    chunks, error = [], None
    try:
        async with source.open() as stream:
            async for chunk in stream:
                chunks.append(chunk)
    except SourceError as lost:
        error = f"{type(lost).__name__}: {lost}"
    np.save(f"{folder}/heard.npy", np.concatenate([chunk.samples for chunk in chunks]))
    end = chunks[-1].start + len(chunks[-1].samples)
    default = [str(device) for device in list_devices() if device.is_default]
    print(json.dumps({"error": error, "end": end, "dropped": source.dropped, "default": default}))

asyncio.run(listen(sys.argv[1]))
"""


class Listener:
    """A process that records what the card's default microphone hears."""

    def __init__(self, card: SoundCard, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", LISTEN, str(folder)],
            env=card.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: card.recorders() or self._process.poll() is not None, "the microphone is open", 30)

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def result(self) -> dict[str, object]:
        out, complaints = self._process.communicate(timeout=20)
        assert self._process.returncode == 0, complaints
        return json.loads(out) | {"heard": np.load(self._folder / "heard.npy")}


@pytest.fixture
def card():
    with SoundCard() as card:
        yield card


@pytest.fixture
def tone_file(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.stack([tone(440, 44100, 2)] * 2, 1), 44100)
    return path


def loud(samples):
    """The stretch from the first to the last loud sample."""
    places = np.flatnonzero(np.abs(samples) > 0.05)
    return samples[places[0] : places[-1] + 1]


def test_what_is_played_is_heard(card, tone_file, tmp_path):
    listener = Listener(card, tmp_path)
    card.play(tone_file)
    listener.interrupt()
    result = listener.result()
    assert (result["error"], result["dropped"]) == (None, 0)
    assert [name.split(" ", 1)[1] for name in result["default"]] == ["default (ALSA)"]
    assert result["end"] == len(result["heard"])
    heard = loud(result["heard"])
    # The sound server may begin to listen, and stop, a little late.
    assert len(heard) / RATE_HZ == pytest.approx(2, abs=0.2)
    assert pitch(heard) == pytest.approx(440, abs=2)
    assert np.abs(heard).max() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("loss", ["server dies", "device is removed"])
def test_a_microphone_that_goes_away_ends_it_with_all_that_was_heard(card, tone_file, tmp_path, loss):
    listener = Listener(card, tmp_path)
    card.play(tone_file)
    if loss == "server dies":
        card.kill()
    else:
        card.control("unload-module", "module-null-sink")
    result = listener.result()
    assert result["error"] == "SourceLost: mic: the microphone was removed or stopped; everything until then is kept"
    assert len(loud(result["heard"])) / RATE_HZ == pytest.approx(2, abs=0.2)


def test_a_device_that_is_not_there_is_named_with_those_that_are(card):
    code = (
        "from tracker.sources.devices import find_device, list_devices\n"
        "from tracker.errors import SourceError\n"
        "try: find_device(list_devices(), 'piano')\n"
        "except SourceError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=card.environment, capture_output=True, text=True)
    assert done.stdout.startswith("mic:piano: available: ")
    assert "pulse (ALSA)" in done.stdout


def test_the_card_plays_into_a_command(tmp_path, tone_file):
    command = [
        sys.executable,
        "tests/support/sound.py",
        str(tone_file),
        "--",
        sys.executable,
        "-c",
        LISTEN,
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(loud(np.load(tmp_path / "heard.npy"))) / RATE_HZ == pytest.approx(2, abs=0.2)
