"""What a session is for, and what follows from it. Pure. This is help, not legal advice (see the README)."""

from __future__ import annotations

from typing import Literal

from tracker.errors import ConfigError

Purpose = Literal[
    "", "personal", "research", "customer-service", "medical", "safety", "workplace", "education", "other"
]
Reason = Literal["", "medical", "safety"]

PURPOSES = ("personal", "research", "customer-service", "medical", "safety", "workplace", "education", "other")
NOT_USED = "not used for this purpose"
"""Why a voice or a face was not judged."""

_WORDS_ONLY = ("workplace", "education")


def words_only(purpose: Purpose, exception: Reason) -> bool:
    """Whether emotions may be read from words alone, and not from voices and faces.

    So at work and in education, unless it is for a medical or safety reason (Regulation (EU) 2024/1689, article
    5(1)(f): what is inferred from words is outside of it).
    """
    return purpose in _WORDS_ONLY and not exception


def refuse_undeclared(purpose: Purpose, notice: str) -> None:
    """Refuse to listen to a microphone or watch a camera before it is said what for, and before people can be told.

    Raises:
        ConfigError: The purpose or the notice is missing.
    """
    if not purpose:
        raise ConfigError(
            "session.purpose: a microphone or camera needs a declared purpose; "
            f"set it to one of {', '.join(PURPOSES)} in config.toml"
        )
    if not notice.strip():
        raise ConfigError(
            "session.notice: a microphone or camera needs a text that tells people they are listened to; set it"
        )


def kept(audio: bool, text: bool, video: bool = False) -> str:
    """What a recording keeps and how to keep more, in a sentence; empty where it keeps all that was heard."""
    if audio and text:
        return ""
    also = (("audio", audio), ("words", text), ("pictures", video))
    what = ["judgements", *(name for name, on in also if on)]
    more = " and ".join(f"record.{name} = true" for name, on in (("audio", audio), ("text", text)) if not on)
    return f"keeping {' and '.join(what)}; set {more} to keep more"
