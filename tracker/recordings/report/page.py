"""The report's page: `page.html`, filled in.

Everything that comes from a session is untrusted. jinja2 escapes it; only what `page.html` marks as safe is not.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from tracker.errors import needs_extra
from tracker.events import SessionEnded
from tracker.recordings.format import StartFile
from tracker.recordings.report import plots
from tracker.recordings.report.summary import Summary
from tracker.sinks.text import clock_time, outcome, printable, skip_reason

Clip = Callable[[int, int, int], str | None]
"""Channel, start and end in nanoseconds to a ``data:`` URI."""

_STAGE_WORDS = {"event": "end of speech to event", "total": "decision to event"}


def page(start: StartFile, ended: SessionEnded | None, summary: Summary, clip: Clip) -> str:
    """The whole page.

    Args:
        start: How the session began.
        ended: How it ended, where that is known.
        summary: What happened.
        clip: Gives a turn's audio.

    Raises:
        ExtraMissing: jinja2 or matplotlib is not installed.
    """
    with needs_extra("report", "tracker report"):
        from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_printable, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"clock_time": clock_time, "percent": _percent, "skip_reason": skip_reason}
    script = _resource("page.js")
    labels, people = list(start.labels), summary.people
    tiles = {
        "turns judged": len(summary.turns),
        "of them unsure": summary.unsure,
        "skipped": len(summary.skipped),
        "speakers": len(people),
        "median confidence": "none" if summary.confidence is None else _percent(summary.confidence),
        "median time to event": f"{summary.latencies['event'][0] / 1000:.1f} s" if summary.latencies else "none",
    }
    return environment.from_string(_resource("page.html")).render(
        start=start,
        outcome=outcome(ended) if ended else "the recording was cut off",
        summary=summary,
        clip=clip,
        style=_resource("page.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        tiles=tiles,
        timeline=plots.svg(plots.timeline(summary, labels), "timeline"),
        shares=plots.svg(plots.shares(summary, labels), "shares") if people else "",
        confidence=plots.svg(plots.confidences(summary), "confidence") if summary.turns else "",
        dimensions=plots.svg(plots.dimensions(summary), "dimensions") if summary.dimensions else "",
        labels=labels,
        people=[
            [person.name, len(person.turns), clock_time(person.spoken_ns), person.unsure]
            + [_percent(person.shares.get(label, 0)) for label in labels]
            for person in people
        ],
        followed=[label for label in labels if any(label in pair for pair in summary.follows)],
        most_followed=max(summary.follows.values(), default=0),
        unsure=Counter(turn.abstained_reason or "no reason given" for turn in summary.turns if turn.abstained),
        latencies=[
            (_STAGE_WORDS.get(name, name), round(p50), round(p95)) for name, (p50, p95) in summary.latencies.items()
        ],
        made=[("software", start.software), *start.models.items(), ("session", start.session)],
    )


def _printable(value: Any) -> Any:
    """What the template puts out, before it is escaped; text that is marked as safe is no plain str."""
    return printable(value) if type(value) is str else value


def _percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}"


def _resource(name: str) -> str:
    return files("tracker.recordings.report").joinpath(name).read_text(encoding="utf-8")
