"""What the user has chosen to see, as a value, and what each key makes of it; pure, without a terminal."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from tracker.dashboard.view import Row, View
from tracker.metrics.gauges import Status

Over = Literal["", "help", "detail", "rename", "mark"]
What = Literal["pause", "resume", "mark", "rename", "stop", "seek", "speed", "session"]

SEEK_S = 5.0
NAME_LENGTH = 40
_PAGE = 10
_DIGITS = tuple("123456789")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a key asks of whoever runs the session.

    Attributes:
        what: The wish.
        speaker: Whose name, for ``rename``.
        text: The name, or a mark's note.
        amount: Seconds to ``seek`` by, a factor of ``speed``, or the number of steps to another ``session``.
    """

    what: What
    speaker: str = ""
    text: str = ""
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user has chosen.

    Attributes:
        selected: A turn; None follows the conversation.
        only: Id of the only speaker shown; empty for all.
        over: What lies over the conversation.
        typed: What has been typed into it.
        subject: Id of the speaker who is given a name.
    """

    selected: int | None = None
    only: str = ""
    over: Over = ""
    typed: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Playing:
    """Where a replay is.

    Attributes:
        position_ns: Media time.
        length_ns: Of the whole session.
        speed: 1 is as it was; None does not wait.
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
        status: The machine.
        choices: The user's.
        notice: A sentence for those who are listened to; may be empty.
        keys: What the keys can do: nothing, a live session, a replay, or looking on from afar.
        playing: Where the replay is, if it is one.
        sessions: When several sessions can be looked at: which one this is, and how many there are.
    """

    view: View = field(default_factory=View)
    status: Status = field(default_factory=Status)
    choices: Choices = field(default_factory=Choices)
    notice: str = ""
    keys: Literal["", "live", "replay", "watch"] = ""
    playing: Playing | None = None
    sessions: tuple[int, int] = (1, 1)

    @property
    def now_ns(self) -> int:
        """Media time that has been reached."""
        if self.playing:
            return self.playing.position_ns
        return max(self.status.media_ns, self.view.reached_ns)


def shown(view: View, choices: Choices) -> tuple[Row, ...]:
    """The turns that the conversation shows."""
    if not choices.only:
        return view.rows
    return tuple(row for row in view.rows if row.speaker == choices.only)


def selected(view: View, choices: Choices) -> Row | None:
    """The turn that is selected, or else the last judged one."""
    rows = shown(view, choices)
    if choices.selected is not None:
        return next((row for row in rows if row.turn == choices.selected), None)
    return next((row for row in reversed(rows) if row.judged), None)


def press(screen: Screen, key: str) -> tuple[Choices, Ask | None]:
    """What a key does.

    Args:
        screen: What the user sees.
        key: A printable character, or the name of a key as `tracker.dashboard.keyboard` gives it.

    Returns:
        The choices from now on, and what is asked of the session, if anything.
    """
    choices = screen.choices
    if choices.over in ("rename", "mark"):
        return _type(choices, key)
    if choices.over and key in ("escape", "enter", "?", "q"):
        return replace(choices, over=""), None
    match key:
        case "?" | "h":
            return replace(choices, over="help"), None
        case "q":
            return choices, Ask("stop")
        case "up" | "k":
            return _move(screen, -1), None
        case "down" | "j":
            return _move(screen, +1), None
        case "page up":
            return _move(screen, -_PAGE), None
        case "page down":
            return _move(screen, +_PAGE), None
        case "escape" | "end" | "G":
            return replace(choices, selected=None, over=""), None
        case "enter" | "d":
            return replace(choices, over="detail" if selected(screen.view, choices) else ""), None
        case "f":
            return _next_speaker(screen.view, choices), None
        case "0":
            return replace(choices, only="", selected=None), None
        case _ if key in _DIGITS and int(key) <= len(screen.view.people):
            return replace(choices, only=screen.view.people[int(key) - 1].id, selected=None), None
    return _ask(screen, key)


def _ask(screen: Screen, key: str) -> tuple[Choices, Ask | None]:
    choices = screen.choices
    match screen.keys, key:
        case "live", " " | "p":
            return choices, Ask("resume" if screen.view.paused or screen.status.paused else "pause")
        case "live", "m":
            return choices, Ask("mark")
        case "live", "M":
            return replace(choices, over="mark", typed=""), None
        case "live", "r" if row := selected(screen.view, choices):
            return replace(choices, over="rename", typed="", subject=row.speaker), None
        case "replay", " " | "p" if screen.playing:
            return choices, Ask("resume" if screen.playing.paused else "pause")
        case "replay", "left":
            return choices, Ask("seek", amount=-SEEK_S)
        case "replay", "right":
            return choices, Ask("seek", amount=SEEK_S)
        case "replay", "home":
            return choices, Ask("seek", amount=float("-inf"))
        case "replay", "+" | "=":
            return choices, Ask("speed", amount=2.0)
        case "replay", "-":
            return choices, Ask("speed", amount=0.5)
        case "watch", "n" | "tab":
            return Choices(), Ask("session", amount=1)
        case "watch", "N":
            return Choices(), Ask("session", amount=-1)
    return choices, None


def _type(choices: Choices, key: str) -> tuple[Choices, Ask | None]:
    done = replace(choices, over="", typed="", subject="")
    match key:
        case "escape":
            return done, None
        case "backspace":
            return replace(choices, typed=choices.typed[:-1]), None
        case "enter":
            text = choices.typed.strip()
            if choices.over == "mark":
                return done, Ask("mark", text=text)
            return done, Ask("rename", choices.subject, text) if text else None
        case _ if len(key) == 1 and key.isprintable():
            return replace(choices, typed=(choices.typed + key)[:NAME_LENGTH]), None
    return choices, None


def _move(screen: Screen, by: int) -> Choices:
    """Select a turn further up or down; past the last one, the conversation is followed again."""
    rows, choices = shown(screen.view, screen.choices), screen.choices
    if not rows:
        return choices
    numbers = [row.turn for row in rows]
    at = numbers.index(choices.selected) if choices.selected in numbers else len(rows)
    to = max(0, at + by)
    return replace(choices, selected=numbers[to] if to < len(rows) else None)


def _next_speaker(view: View, choices: Choices) -> Choices:
    order = ["", *view.speakers]
    at = order.index(choices.only) if choices.only in order else 0
    return replace(choices, only=order[(at + 1) % len(order)], selected=None)
