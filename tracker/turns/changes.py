"""Where, inside one turn, the floor passes from one speaker to another. Pure: speaker activity in, frames out.

The floor stays with its holder while the holder speaks, whoever else does: a backchannel is not a change. It passes
once the holder is silent and somebody else has spoken long enough.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool


def speaker_changes(active: Bool[np.ndarray, "frames speakers"], least_new: int, least_old: int) -> list[int]:
    """The frames at which the speaker changes.

    Args:
        active: Who speaks in each frame.
        least_new: Frames that a new holder must have spoken, with the old one silent, for a change to count.
        least_old: Frames that a holder must have spoken for the change away from them to count.

    Returns:
        The change frames in order: halfway between the old holder's last frame and the new one's first, whether they
        left a gap or overlapped.
    """
    found: list[int] = []
    holder: int | None = None
    last = 0  # the holder's last active frame
    held = 0  # frames the holder has spoken
    for at in range(len(active)):
        if holder is not None and active[at, holder]:
            last, held = at, held + 1
            continue
        if not active[at].any():
            continue
        new = _next_holder(active, at, holder, least_new if holder is not None else 1)
        if new is None:
            continue
        if holder is not None and held >= least_old:
            found.append((last + 1 + _onset(active, at, new)) // 2)
        holder, last, held = new, at, 1
    return found


def _next_holder(active: Bool[np.ndarray, "frames speakers"], at: int, holder: int | None, least: int) -> int | None:
    """Who speaks through the next ``least`` frames (one in ten may be missing) while the holder is silent."""
    ahead = active[at : at + least]
    if len(ahead) < least or (holder is not None and ahead[:, holder].any()):
        return None
    spoken = ahead.sum(0)
    best = int(spoken.argmax())
    return best if spoken[best] * 10 >= least * 9 else None


def _onset(active: Bool[np.ndarray, "frames speakers"], at: int, speaker: int) -> int:
    """The first frame of the speaker's run that includes or follows ``at``."""
    while at > 0 and active[at - 1, speaker]:
        at -= 1
    return at
