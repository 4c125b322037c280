"""Sound as it should not be, through the whole program: the turns of what can be heard in it, and a word about it."""

from itertools import groupby
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.command import Done, telephone, tracker, turns
from tests.support.sessions import bare

pytestmark = pytest.mark.models

RATE_HZ = 16_000


def heard(folder: Path, *arguments: str, **sounds: np.ndarray) -> tuple[Done, dict[str, list]]:
    """Run all sounds at once; what was said, and each one's turns."""
    for name, samples in sounds.items():
        soundfile.write(folder / f"{name}.flac", samples, RATE_HZ)
    files = [f"{name}.flac" for name in sounds]
    done = tracker("run", *files, "--pace", "fast", "--json", "--mqtt", "off", *arguments, folder=folder)
    assert done.code == 0
    by_session = groupby(sorted(done.events, key=attrgetter("session", "seq")), key=attrgetter("session"))
    sessions = [list(events) for _, events in by_session]
    return done, {events[0].source.removesuffix(".flac"): turns(events) for events in sessions}


def without_sessions(found: list) -> list[dict]:
    return [bare(turn) for turn in found]


@pytest.fixture(scope="module")
def call() -> np.ndarray:
    samples, _ = soundfile.read(telephone(), start=7 * RATE_HZ, frames=8 * RATE_HZ, dtype="float32")
    return samples


def test_out_of_phase_or_very_quiet_or_none_at_all(call, tmp_path):
    done, found = heard(
        tmp_path,
        plain=call,
        opposed=np.stack([call, -call], 1),
        quiet=call * 10 ** (-45 / 20),
        silence=np.zeros(RATE_HZ),
        whistle=0.1 * np.sin(np.arange(3 * RATE_HZ)),
    )
    assert len(found["plain"]) >= 2
    assert without_sessions(found["opposed"]) == without_sessions(found["plain"])
    assert "cancel each other out" in said_of("opposed", done)
    assert len(found["quiet"]) >= 2
    assert "New Jersey" in " ".join(turn.text for turn in found["quiet"])
    assert "very quiet" in said_of("quiet", done)
    assert found["silence"] == found["whistle"] == []
    assert "nothing but silence" in said_of("silence", done)
    assert "music or noise" in said_of("whistle", done)
    assert said_of("plain", done) == ""


def test_both_channels_the_same_or_one_in_the_other(call, tmp_path):
    gap = np.zeros(RATE_HZ, np.float32)
    first, second = call[: 1 * RATE_HZ + 8000], call[5 * RATE_HZ :]
    left = np.concatenate([first, gap, 0 * second, gap])
    right = np.concatenate([0 * first, gap, second, gap])
    late, share = 60 * RATE_HZ // 1000, 10 ** (-12 / 20)
    leaks = np.stack([left + share * np.roll(right, late), right + share * np.roll(left, late)], 1)
    done, found = heard(
        tmp_path,
        "--channels",
        "separate",
        same=np.stack([call, call], 1),
        sides=np.stack([left, right], 1),
        leaks=leaks,
    )
    assert {turn.channel for turn in found["same"]} == {0}
    assert "channels 1 and 2 are the same" in said_of("same", done)
    assert [turn.channel for turn in found["sides"]] == [turn.channel for turn in found["leaks"]] == [0, 1]
    assert "quieter and 60 ms later" in said_of("leaks", done)
    assert said_of("sides", done) == ""


def said_of(name: str, done: Done) -> str:
    return "\n".join(line for line in done.said.splitlines() if line.startswith(name))
