"""Keeps what the models made of each turn's voice and face, beside a recorded session: one file a turn.

``features-00007.safetensors`` is turn 7: ``audio`` and ``video``, frames by width, as the adapter was given them; its
metadata say whose turn it was and what the frames are. A turn without either has no file.
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
class FeatureKeeper:
    """Stands before a step that judges turns, and keeps what passes.

    Args:
        recognise: The step.
        folder: Of the session.
        report: Says one sentence to the user, once, where nothing more can be kept.
    """

    def __init__(self, recognise: Recognise, folder: Path, report: Callable[[str], None]) -> None:
        self._recognise = recognise
        self._folder = folder
        self._report = report
        self._writes = True

    async def __call__(self, observed: ObservedTurn) -> JudgedTurn | SilentTurn | FailedTurn:
        """Judge a turn, and meanwhile keep its features."""
        judged, _ = await gather(lambda: self._recognise(observed), lambda: self._keep(observed))
        return judged

    async def _keep(self, observed: ObservedTurn) -> None:
        given = {"audio": observed.audio, "video": observed.video}
        features = {name: one for name, one in given.items() if isinstance(one, Features)}
        if features and self._writes:
            try:
                await anyio.to_thread.run_sync(self._write, observed, features)
            except OSError as error:
                self._writes = False
                self._report(f"{self._folder}: features are no longer kept ({error.strerror})")

    def _write(self, observed: ObservedTurn, features: dict[str, Features]) -> None:
        told = {name: str(one.spec) for name, one in features.items()}
        whole = save({name: one.values for name, one in features.items()}, told | {"speaker": observed.speaker})
        RecordedFile(self._folder / features_file(observed.turn.number)).put(whole)
