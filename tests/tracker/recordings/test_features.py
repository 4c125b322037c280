"""What the adapter was given, kept beside a recorded session."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from safetensors import safe_open

from adapters.contract import Absent, Features, FeatureSpec
from tests.support.command import telephone, tracker, turns
from tracker.observe.records import ObservedTurn, Transcript
from tracker.recordings.features import FeatureRecorder
from tracker.recordings.retention import Retention, expired_kinds, find_sessions, prune
from tracker.turns.turn import Turn

pytestmark = pytest.mark.anyio

SPEC = FeatureSpec("made-up", 3, 4, 5.0)


def observed(number: int, audio: Features | Absent) -> ObservedTurn:
    turn = Turn(number, 0, 0, 10**9, 10**9, "pause", 10**9, np.zeros(16_000, np.float32))
    return ObservedTurn(turn, "Speaker 2", Transcript("Hello.", "en", None), audio, Absent("no picture"), {})


async def test_a_turns_features_are_kept_as_they_were_and_it_is_judged(tmp_path):
    judged, said = [], []

    async def recognise(turn):
        judged.append(turn)
        return turn

    keeper = FeatureRecorder(recognise, tmp_path, said.append)
    frames = np.arange(8, dtype=np.float32).reshape(2, 4)
    heard, silent = observed(7, Features(SPEC, frames)), observed(8, Absent("voice under 0.8 s"))
    assert [await keeper(heard), await keeper(silent)] == judged == [heard, silent]
    (file,) = tmp_path.iterdir()
    assert file.name == "features-00007.safetensors"
    with safe_open(file, "numpy") as kept:
        assert kept.metadata() == {"audio": "made-up v3 (4 x 5 Hz)", "speaker": "Speaker 2"}
        np.testing.assert_array_equal(kept.get_tensor("audio"), frames)
    assert not said


async def test_a_full_disk_is_said_once_and_turns_are_judged_all_the_same(tmp_path):
    judged, said = [], []

    async def recognise(turn):
        judged.append(turn.turn.number)
        return turn

    keeper = FeatureRecorder(recognise, tmp_path / "gone", said.append)
    for number in (1, 2):
        await keeper(observed(number, Features(SPEC, np.zeros((1, 4), np.float32))))
    assert judged == [1, 2]
    assert said == [f"{tmp_path / 'gone'}: features are no longer kept (No such file or directory)"]


@pytest.mark.models
def test_a_session_keeps_them_where_wanted_and_prune_takes_them(tmp_path):
    call, kept = str(telephone()), ("--set", "record.features=true")
    done = tracker("run", call, "--pace", "fast", "--json", "--mqtt", "off", *kept, "--record", "call", folder=tmp_path)
    heard = [turn for turn in turns(done.events) if turn.modalities["audio"] == "used"]
    files = sorted((tmp_path / "call").glob("features-*.safetensors"))
    assert [file.name for file in files] == [f"features-{turn.turn:05d}.safetensors" for turn in heard]
    (found,) = find_sessions(tmp_path / "call")
    kinds = expired_kinds(found, Retention(features=1), datetime.now(UTC) + timedelta(days=2))
    assert kinds == ["features"]
    prune(found, kinds)
    assert list((tmp_path / "call").glob("features-*")) == []
    assert tracker("sessions", "verify", "call", folder=tmp_path).code == 0
