"""What the dashboard shows, as a value, and what each key changes in it or requests; pure, without a terminal."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from tracker.dashboard.view import Row, View
from tracker.metrics.gauges import Status
from tracker.runtime.control import MAX_NAME_LENGTH, MAX_NOTE_LENGTH, Mark, Pause, Rename, Request, Resume, Stop

Mode = Literal["", "live", "replay", "watch"]
"""What the keys steer: nothing, a live session, a replay, or the choice of a remote session."""
Overlay = Literal["", "help", "detail", "rename", "mark"]

SEEK_S = 5.0
_PAGE = 10
_DIGITS = tuple("123456789")


@dataclass(frozen=True, slots=True)
class Seek:
    """Move a replay by so many seconds; minus infinity is the start."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ChangeSpeed:
    """Multiply the speed of a replay."""

    factor: float


@dataclass(frozen=True, slots=True)
class SwitchSession:
    """Show another remote session, so many steps further."""

    steps: int


KeyRequest = Request | Seek | ChangeSpeed | SwitchSession


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user has chosen to see.

    Attributes:
        selected: Number of the selected turn; None follows the conversation.
        speaker_filter: Id of the only speaker shown; empty for all.
        overlay: What replaces the conversation, or is typed below it.
        typed: The text typed so far.
        rename_speaker: Id of the speaker who is being renamed.
        machine: Whether latencies, queues, cost and models are shown.
    """

    selected: int | None = None
    speaker_filter: str = ""
    overlay: Overlay = ""
    typed: str = ""
    rename_speaker: str = ""
    machine: bool = False


@dataclass(frozen=True, slots=True)
class Playback:
    """The state of a replay.

    Attributes:
        position_ns: Media time.
        length_ns: Of the whole session.
        speed: 1 is the original speed; None does not wait.
        paused: Whether it stands still.
    """

    position_ns: int
    length_ns: int
    speed: float | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Screen:
    """Everything that one drawing shows.

    Attributes:
        view: The session.
        status: The gauges.
        choices: The user's.
        notice: A sentence for the people who are listened to; may be empty.
        mode: What the keys steer.
        playback: The state of the replay, if it is one.
        sessions: Among several remote sessions: the number of this one, and how many there are.
    """

    view: View = field(default_factory=View)
    status: Status = field(default_factory=Status)
    choices: Choices = field(default_factory=Choices)
    notice: str = ""
    mode: Mode = ""
    playback: Playback | None = None
    sessions: tuple[int, int] = (1, 1)

    @property
    def waiting(self) -> bool:
        """Whether a broker is watched that nobody publishes to."""
        return self.mode == "watch" and self.view.started is None

    @property
    def now_ns(self) -> int:
        """The present media time."""
        if self.playback:
            return self.playback.position_ns
        return max(self.status.media_ns, self.view.reached_ns)


def visible_rows(view: View, choices: Choices) -> tuple[Row, ...]:
    """The turns that the conversation shows."""
    if not choices.speaker_filter:
        return view.rows
    return tuple(row for row in view.rows if row.speaker == choices.speaker_filter)


def selected_row(view: View, choices: Choices) -> Row | None:
    """The selected turn, or else the last judged one."""
    rows = visible_rows(view, choices)
    if choices.selected is not None:
        return next((row for row in rows if row.turn == choices.selected), None)
    return next((row for row in reversed(rows) if row.judged), None)


def handle_key(screen: Screen, key: str) -> tuple[Choices, KeyRequest | None]:
    """The effect of a key.

    Args:
        screen: What the user sees.
        key: A printable character, or the name of a key as `tracker.dashboard.keyboard` gives it.

    Returns:
        The new choices, and the request to the session, if there is one.
    """
    choices = screen.choices
    if choices.overlay in ("rename", "mark"):
        return _type(choices, key)
    if choices.overlay and key in ("escape", "enter", "?", "q"):
        return replace(choices, overlay=""), None
    match key:
        case "?" | "h":
            return replace(choices, overlay="help"), None
        case "q":
            return choices, Stop()
        case "up" | "k":
            return _move(screen, -1), None
        case "down" | "j":
            return _move(screen, +1), None
        case "page up":
            return _move(screen, -_PAGE), None
        case "page down":
            return _move(screen, +_PAGE), None
        case "escape" | "end" | "G":
            return replace(choices, selected=None, overlay=""), None
        case "enter" | "d":
            return replace(choices, overlay="detail" if selected_row(screen.view, choices) else ""), None
        case "t":
            return replace(choices, machine=not choices.machine), None
        case "f":
            return _next_speaker(screen.view, choices), None
        case "0":
            return replace(choices, speaker_filter="", selected=None), None
        case _ if key in _DIGITS and int(key) <= len(screen.view.speakers):
            return replace(choices, speaker_filter=screen.view.speakers[int(key) - 1].id, selected=None), None
    return _handle_mode_key(screen, key)


def _handle_mode_key(screen: Screen, key: str) -> tuple[Choices, KeyRequest | None]:
    choices = screen.choices
    match screen.mode, key:
        case "live", " " | "p":
            return choices, Resume() if screen.view.paused or screen.status.paused else Pause()
        case "live", "m":
            return choices, Mark()
        case "live", "M":
            return replace(choices, overlay="mark", typed=""), None
        case "live", "r" if (row := selected_row(screen.view, choices)) and row.speaker:
            return replace(choices, overlay="rename", typed="", rename_speaker=row.speaker), None
        case "replay", " " | "p" if screen.playback:
            return choices, Resume() if screen.playback.paused else Pause()
        case "replay", "left":
            return choices, Seek(-SEEK_S)
        case "replay", "right":
            return choices, Seek(SEEK_S)
        case "replay", "home":
            return choices, Seek(float("-inf"))
        case "replay", "+" | "=":
            return choices, ChangeSpeed(2.0)
        case "replay", "-":
            return choices, ChangeSpeed(0.5)
        case "watch", "n" | "tab":
            return Choices(machine=choices.machine), SwitchSession(1)
        case "watch", "N":
            return Choices(machine=choices.machine), SwitchSession(-1)
    return choices, None


def _type(choices: Choices, key: str) -> tuple[Choices, KeyRequest | None]:
    done = replace(choices, overlay="", typed="", rename_speaker="")
    match key:
        case "escape":
            return done, None
        case "backspace":
            return replace(choices, typed=choices.typed[:-1]), None
        case "enter":
            text = choices.typed.strip()
            if choices.overlay == "mark":
                return done, Mark(text)
            return done, Rename(choices.rename_speaker, text) if text else None
        case _ if len(key) == 1 and key.isprintable():
            longest = MAX_NOTE_LENGTH if choices.overlay == "mark" else MAX_NAME_LENGTH
            return replace(choices, typed=(choices.typed + key)[:longest]), None
    return choices, None


def _move(screen: Screen, by: int) -> Choices:
    """Select a turn further up or down; past the last one, the conversation is followed again."""
    rows, choices = visible_rows(screen.view, screen.choices), screen.choices
    if not rows:
        return choices
    numbers = [row.turn for row in rows]
    at = numbers.index(choices.selected) if choices.selected in numbers else len(rows)
    to = max(0, at + by)
    return replace(choices, selected=numbers[to] if to < len(rows) else None)


def _next_speaker(view: View, choices: Choices) -> Choices:
    order = ["", *view.speaker_ids]
    at = order.index(choices.speaker_filter) if choices.speaker_filter in order else 0
    return replace(choices, speaker_filter=order[(at + 1) % len(order)], selected=None)
