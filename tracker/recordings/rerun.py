"""What a second run through the models takes over from a recorded session, beside its audio.

The audio and the settings decide the turns; requests by people do not follow from them:

- a pause ends the turns under way, so they end at the same sample again;
- pauses, marks and new names are published again at the same place in the log;
- a session that was stopped ends as stopped: its audio ends there.

What a session did not judge because it was aborted, lost its source or dropped audio is judged now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path
from typing import Literal

from tracker.errors import SessionError
from tracker.events import ListeningPaused, RequestEvent
from tracker.recordings.format import STOP, RecordedFile, StartFile, audio_file
from tracker.recordings.replay import RecordedSession, read_session
from tracker.runtime.clock import ns_to_samples
from tracker.sources.media import RATE_HZ
from tracker.sources.recorded_video import VIDEO_FILE
from tracker.sources.video import NoVideo, RecordedVideo

NOT_KEPT = "picture not kept"
"""Why a session is judged again without the faces that it was judged by."""


@dataclass(frozen=True, slots=True)
class Rerun:
    """A recorded session that runs through the models again.

    Attributes:
        recorded: As it was read.
        audio: The channel and the file of each part of its audio.
    """

    recorded: RecordedSession
    audio: Sequence[tuple[int, Path]] = ()

    @property
    def requests(self) -> tuple[RequestEvent, ...]:
        """The pauses, marks and new names, in order."""
        return tuple(event for event in self.recorded.events if isinstance(event, RequestEvent))

    @property
    def pauses(self) -> list[int]:
        """The samples before which listening was paused."""
        return [ns_to_samples(one.at_ns, RATE_HZ) for one in self.requests if isinstance(one, ListeningPaused)]

    @property
    def ended_as(self) -> Literal["completed", "stopped"]:
        """How it ends once all audio is judged."""
        stop = self.recorded.stop
        return "stopped" if stop and stop.outcome == "stopped" else "completed"

    def video(self, folder: Path) -> NoVideo | RecordedVideo:
        """The recorded video, where it shows faces."""
        start = self.recorded.start
        missing = _no_video(start)
        if "faces" not in start.models:
            return NoVideo(missing)
        file = folder / VIDEO_FILE
        if RecordedFile(file).kept and not start.setting("record", "blur_faces"):
            return RecordedVideo(str(file), VIDEO_FILE, missing)
        return NoVideo(NOT_KEPT)


def read_rerun(folder: Path) -> Rerun:
    """Read a recorded session to run it again.

    Raises:
        SessionError: The session cannot be read, or its audio was not kept.
    """
    recorded = read_session(folder)
    return Rerun(recorded, audio_files(folder, recorded))


def _no_video(start: StartFile) -> str:
    """The reason that turns without video gave."""
    from_file = start.setting("video", "source") == "auto" and start.source not in ("mic", "stdin")
    if "faces" in start.models and not from_file:
        return "camera off"
    return "no picture" if from_file else "no camera"


def audio_files(folder: Path, session: RecordedSession) -> list[tuple[int, Path]]:
    """The audio of a session: the channel and the file of each part.

    Raises:
        SessionError: There is none, or a file of it is missing, or it is not that of the session's channels.
    """
    channels = session.start.channels
    if session.stop:
        wanted = [(track.channel, folder / track.file) for track in session.stop.audio]
        if len({channel for channel, _ in wanted if channel < channels}) < len(wanted):
            raise SessionError(f"{folder / STOP}: its audio is not that of {channels} different channels")
    else:  # cut off: what there is
        names = [(channel, folder / audio_file(channel)) for channel in range(channels)]
        wanted = [(channel, path) for channel, path in names if lexists(path)]
    missing = [path.name for _, path in wanted if not RecordedFile(path).kept]
    if missing and len(missing) < len(wanted):
        raise SessionError(f"{folder}: {', '.join(missing)} is missing; without it the session is not the same")
    if missing or not wanted:
        raise SessionError(
            f"{folder}: its audio was not kept, so it cannot run through the models again; "
            "sessions recorded with record.audio = true can"
        )
    return wanted


def expected_differences(session: RecordedSession, models: Mapping[str, str]) -> list[str]:
    """Why a second run may give other results, one sentence each.

    Args:
        session: The recorded one.
        models: What each part runs now.
    """
    then, stop, faces = session.start.models, session.stop, ("faces", "expressions")
    no_faces = "faces" in then and "faces" not in models
    found = ["its pictures were not kept, or with faces blurred: it is judged without faces now"] if no_faces else []
    found += [
        f"the {part} was {then.get(part, 'none')}, and is {models.get(part, 'none')} now"
        for part in dict.fromkeys([*then, *models])
        if then.get(part) != models.get(part) and not (no_faces and part in faces)
    ]
    if stop is None:
        found.append("the recording was cut off: what it holds is judged")
    elif stop.outcome in ("aborted", "failed"):
        found.append(f"the session {stop.outcome}: what it left is judged now")
    if stop and stop.dropped:
        found.append("the session dropped something because the machine was too slow: it is judged now")
    return found
