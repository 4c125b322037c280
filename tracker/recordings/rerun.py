"""What of a recorded session a second run through the models takes over, beside its audio. Pure.

The audio and the settings decide the turns; what people did meanwhile does not come from them:

- a pause ends the turns under way, so they are ended at the same sample again;
- pauses, marks and new names are published again at the same place in the log;
- a session that was stopped ends as stopped: its audio ends there.

A session that was ended at once (aborted), lost its source or dropped audio because the machine was too slow is not
repeated in that: what was left is judged now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tracker.errors import SessionError
from tracker.events import Asked, ListeningPaused
from tracker.recordings.format import audio_file
from tracker.recordings.replay import RecordedSession
from tracker.runtime.clock import ns_to_samples
from tracker.sources.media import RATE_HZ
from tracker.sources.recorded_video import VIDEO_FILE
from tracker.sources.video import NoVideo, RecordedVideo, VideoSource

NOT_KEPT = "picture not kept"
"""Why a session is judged again without the faces that it was judged by."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is taken over.

    Attributes:
        source: What was listened to.
        live: Whether it was heard as it happened.
        asked: What people asked for meanwhile, in order.
        stopped: Whether the session was stopped before its source ended.
        unseen: Why there is nothing to look at, or what a picture that is missing meant.
        saw: Whether faces were looked at.
        blurred: Whether they cannot be seen in what was recorded.
    """

    source: str
    live: bool
    asked: tuple[Asked, ...]
    stopped: bool
    unseen: str
    saw: bool
    blurred: bool

    def video(self, folder: Path) -> VideoSource:
        """The recorded video, where it shows faces."""
        if not self.saw:
            return NoVideo(self.unseen)
        file = folder / VIDEO_FILE
        kept = file.is_file() and not self.blurred
        return RecordedVideo(str(file), VIDEO_FILE, self.unseen) if kept else NoVideo(NOT_KEPT)

    @property
    def pauses(self) -> list[int]:
        """The samples before which listening was paused."""
        return [ns_to_samples(one.at_ns, RATE_HZ) for one in self.asked if isinstance(one, ListeningPaused)]


def past_of(session: RecordedSession) -> Past:
    """What is taken over from a session."""
    return Past(
        source=session.start.source,
        live=session.start.live,
        asked=tuple(event for event in session.events if isinstance(event, Asked)),
        stopped=session.stop is not None and session.stop.outcome == "stopped",
        unseen=_unseen(session),
        saw="faces" in session.start.models,
        blurred=bool(session.start.config.get("record", {}).get("blur_faces")),
    )


def _unseen(session: RecordedSession) -> str:
    """What a turn said that had nothing to look at."""
    start, source = session.start, session.start.config.get("video", {}).get("source")
    from_file = source == "auto" and start.source not in ("mic", "stdin")
    if "faces" in start.models and not from_file:
        return "camera off"
    return "no picture" if from_file else "no camera"


def tracks_of(folder: Path, session: RecordedSession) -> list[tuple[int, Path]]:
    """The audio of a session: each file and its channel.

    Raises:
        SessionError: There is none, or a file of it is missing.
    """
    if session.stop:
        wanted = [(track.channel, folder / track.file) for track in session.stop.audio]
    else:  # cut off: what there is
        names = [(channel, folder / audio_file(channel)) for channel in range(session.start.channels)]
        wanted = [(channel, path) for channel, path in names if path.exists()]
    missing = [path.name for _, path in wanted if not path.is_file()]
    if missing and len(missing) < len(wanted):
        raise SessionError(f"{folder}: {', '.join(missing)} is missing; without it the session is not the same")
    if missing or not wanted:
        raise SessionError(
            f"{folder}: its audio was not kept, so it cannot run through the models again; "
            "sessions recorded with record.audio = true can"
        )
    return wanted


def not_the_same(session: RecordedSession, models: Mapping[str, str]) -> list[str]:
    """Why a second run cannot be expected to give the same, one sentence each.

    Args:
        session: The recorded one.
        models: What each part runs now.
    """
    then, faces = session.start.models, ("faces", "expressions")
    unseen = "faces" in then and "faces" not in models
    said = ["its pictures were not kept, or with faces blurred: it is judged without faces now"] if unseen else []
    said += [
        f"the {part} was {then.get(part, 'none')}, and is {models.get(part, 'none')} now"
        for part in dict.fromkeys([*then, *models])
        if then.get(part) != models.get(part) and not (unseen and part in faces)
    ]
    if session.stop is None:
        said.append("the recording was cut off: what it holds is judged")
    elif session.stop.outcome in ("aborted", "failed"):
        said.append(f"the session {session.stop.outcome}: what it left is judged now")
    if session.stop and session.stop.dropped:
        said.append("the session dropped something because the machine was too slow: it is judged now")
    return said
