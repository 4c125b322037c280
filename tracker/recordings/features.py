"""Records the features of each turn's voice and face, one file a turn.

``features-00007.safetensors`` is turn 7: ``audio`` and ``video``, frames by width, as the adapter was given them; its
metadata name the speaker and the features. A turn without either has no file.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import final

import anyio.to_thread
from safetensors.numpy import save

from adapters.contract import Features
from tracker.observe.records import FailedTurn, ObservedTurn
from tracker.recognise import JudgedTurn, SilentTurn
from tracker.recordings.format import RecordedFile, features_file
from tracker.runtime.threads import gather

Recognise = Callable[[ObservedTurn], Awaitable[JudgedTurn | SilentTurn | FailedTurn]]


@final
class FeatureRecorder:
    """Wraps the step that judges turns, and records the features that it is given.

    Args:
        recognise: The step.
        folder: Of the session.
        report: Says one sentence to the user, once, when features cannot be written any more.
    """

    def __init__(self, recognise: Recognise, folder: Path, report: Callable[[str], None]) -> None:
        self._recognise = recognise
        self._folder = folder
        self._report = report
        self._writable = True

    async def __call__(self, observed: ObservedTurn) -> JudgedTurn | SilentTurn | FailedTurn:
        """Judge a turn, and meanwhile write its features."""
        judged, _ = await gather(lambda: self._recognise(observed), lambda: self._record(observed))
        return judged

    async def _record(self, observed: ObservedTurn) -> None:
        every = {"audio": observed.audio, "video": observed.video}
        features = {name: one for name, one in every.items() if isinstance(one, Features)}
        if features and self._writable:
            try:
                await anyio.to_thread.run_sync(self._write, observed, features)
            except OSError as error:
                self._writable = False
                self._report(f"{self._folder}: features are no longer kept ({error.strerror})")

    def _write(self, observed: ObservedTurn, features: dict[str, Features]) -> None:
        specs = {name: str(one.spec) for name, one in features.items()}
        contents = save({name: one.values for name, one in features.items()}, specs | {"speaker": observed.speaker})
        RecordedFile(self._folder / features_file(observed.turn.number)).put(contents)
