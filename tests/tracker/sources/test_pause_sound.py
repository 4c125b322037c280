"""A key closes the real microphone, and opens it again."""

import sys

import pytest

from tests.support.command import asset
from tests.support.sound import SoundCard, absent, until
from tests.support.tmux import Tmux
from tracker.recordings.replay import read_session

pytestmark = [pytest.mark.models, pytest.mark.sound]


def test_a_paused_session_lets_go_of_the_microphone(tmp_path):
    if why := absent():
        pytest.skip(why)
    asset("smollm2-135m-instruct")
    asked = ("run", "mic", "--mqtt", "off", "--record", "kept", "--set", "session.purpose=research")
    with SoundCard() as card:
        added = {name: card.environment[name] for name in card.environment if name.startswith(("PULSE_", "ALSA_"))}
        with Tmux(
            sys.executable, "-m", "tracker", *asked, folder=tmp_path, size=(120, 40), environment=added
        ) as screen:
            until(lambda: card.recorders() == 1, "the microphone is open", 120)
            screen.until("q quit")
            screen.press("p")
            until(lambda: card.recorders() == 0, "the microphone is closed", 20)
            screen.until("PAUSED")
            screen.press("p")
            until(lambda: card.recorders() == 1, "the microphone is open again", 20)
            screen.press("q")
            screen.until("left with 0", "echo")
    kinds = [event.type for event in read_session(tmp_path / "kept").events]
    assert kinds == ["session.started", "listening.paused", "listening.resumed", "session.ended"]
