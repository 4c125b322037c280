"""What subscribers may ask of a running session: pause, resume, stop, mark. Decides, and does no I/O."""

from __future__ import annotations

from typing import Literal, Protocol, final, get_args

from tracker.errors import TrackerError
from tracker.mqtt.connection import Heard
from tracker.mqtt.messages import JSON
from tracker.mqtt.payloads import Reply, dumps
from tracker.mqtt.topics import Message, Topics

Name = Literal["pause", "resume", "stop", "mark"]
NAMES: tuple[Name, ...] = get_args(Name)
LONGEST_NOTE = 200


class Remote(Protocol):
    """A session that can be told what to do; each call returns at once."""

    def pause(self) -> None:
        """Close the source until `resume`."""

    def resume(self) -> None:
        """Listen again."""

    def stop(self) -> None:
        """Hear nothing more and finish what was heard."""

    def mark(self, note: str) -> None:
        """Mark this moment."""


class Refused(TrackerError):
    """A command cannot be obeyed; the message says why."""


@final
class Commands:
    """Obeys what comes on ``cmd/<command>`` and answers each one.

    A retained command is not obeyed: it is one of an earlier time, and would meet every session anew.

    Args:
        topics: Where commands come in and answers go out.
        remote: The session.
    """

    def __init__(self, topics: Topics, remote: Remote) -> None:
        self._topics = topics
        self._remote = remote
        self._names = {topics[f"cmd/{name}"]: name for name in NAMES}
        self.topics = tuple(self._names)

    def heard(self, heard: Heard) -> list[Message]:
        """Obey a message if it is a command; returns the answer."""
        name = self._names.get(heard.topic)
        if heard.retained or not name:
            return []
        try:
            self._obey(name, heard.payload)
        except Refused as why:
            return [self._answer(heard, Reply(command=name, ok=False, error=str(why)))]
        return [self._answer(heard, Reply(command=name, ok=True, error=None))]

    def _obey(self, name: Name, payload: bytes) -> None:
        match name:
            case "pause":
                self._remote.pause()
            case "resume":
                self._remote.resume()
            case "stop":
                self._remote.stop()
            case _:
                self._remote.mark(note_in(payload))

    def _answer(self, heard: Heard, reply: Reply) -> Message:
        topic = heard.reply_to or self._topics["cmd/reply"]
        return Message(topic, dumps(reply), retain=False, content_type=JSON, correlation=heard.correlation)


def note_in(payload: bytes) -> str:
    """The note of a mark: the payload as text, which may be empty.

    Raises:
        Refused: It is not text, or too long.
    """
    try:
        note = payload.decode()
    except UnicodeDecodeError:
        raise Refused("the note must be UTF-8 text") from None
    if len(note) > LONGEST_NOTE:
        raise Refused(f"the note must not exceed {LONGEST_NOTE} characters; it has {len(note)}")
    return "".join(character if character.isprintable() else " " for character in note).strip()
