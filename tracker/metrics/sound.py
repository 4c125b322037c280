"""What a user should know about the sound of a session, in sentences. Pure."""

from __future__ import annotations

from tracker.turns.turn import ChannelRepeats

_SAME_DB = 3.0


def repetition(found: ChannelRepeats) -> str:
    """A channel has what another one has."""
    channel, of = found.channel + 1, found.of + 1
    if abs(found.level_db) < _SAME_DB:
        return f"channels {of} and {channel} are the same; what is in both is heard once, in channel {of}"
    return (
        f"channel {of} is also heard in channel {channel}, {-found.level_db:.0f} dB quieter and {found.lag_ms} ms later; "
        f"it is left out there"
    )
