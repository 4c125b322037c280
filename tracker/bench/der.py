"""Who spoke when, against a reference: ``python -m tracker.bench.der EVENTS RTTM``.

EVENTS is what ``tracker run FILE --json`` printed; the RTTM may hold other recordings, too, than the one that EVENTS is
named after. Prints the diarization error rate (overlapped speech counted, no collar; Bredin, "pyannote.metrics",
Interspeech 2017), its parts as shares of the speech, how many speakers were found, and how late turns were known to be
over that a change of speaker ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Annotated

import numpy as np
import typer

from tracker.errors import needs_extra
from tracker.events import SessionEnded, SessionStarted, TurnEnded, from_json, with_merged_speakers
from tracker.runtime.clock import NS_PER_S

Stretch = tuple[float, float, str]
"""Start and end in seconds, speaker."""


def read_rttm(lines: Iterable[str], file: str) -> list[Stretch]:
    """Who speaks when in one recording; in the only one, where it has another name."""
    found = [line.split() for line in lines if line.startswith("SPEAKER ")]
    names = {fields[1] for fields in found}
    wanted = {file} if file in names else names if len(names) == 1 else set()
    return [(float(f[3]), float(f[3]) + float(f[4]), f[7]) for f in found if f[1] in wanted]


def parts(said: Sequence[Stretch], heard: Sequence[Stretch], until_s: float) -> dict[str, float]:
    """The diarization error rate and its parts, as shares of the speech.

    Args:
        said: The reference.
        heard: What was found.
        until_s: Length of the recording; what the reference has after it is left out.
    """
    with needs_extra("dev", "the diarization error rate"):
        from pyannote.core import Annotation, Segment, Timeline
        from pyannote.metrics.diarization import DiarizationErrorRate

    def annotation(stretches: Sequence[Stretch]) -> Annotation:
        made = Annotation()
        for number, (start, end, speaker) in enumerate(stretches):
            made[Segment(start, end), number] = speaker
        return made

    found = DiarizationErrorRate()(
        annotation(said), annotation(heard), uem=Timeline([Segment(0, until_s)]), detailed=True
    )
    total = found["total"]
    shares = {name: float(found[name] / total) for name in ("missed detection", "false alarm", "confusion")}
    return {"DER": float(found["diarization error rate"]), **shares}


def main(
    events: Annotated[Path, typer.Argument(help="What tracker run --json printed.")],
    rttm: Annotated[Path, typer.Argument(help="Who spoke when.")],
) -> None:
    """Print it."""
    log = with_merged_speakers(from_json(line) for line in events.read_text("utf-8").splitlines())
    turns = [event for event in log if isinstance(event, TurnEnded)]
    name = next((PurePath(event.source).stem for event in log if isinstance(event, SessionStarted)), "")
    until_s = next((event.media_ns / NS_PER_S for event in log if isinstance(event, SessionEnded)), 0.0)
    said = read_rttm(rttm.read_text("utf-8").splitlines(), name)
    heard = [(turn.start_ns / NS_PER_S, turn.end_ns / NS_PER_S, turn.speaker) for turn in turns]
    row = "  ".join(f"{part} {share:.3f}" for part, share in parts(said, heard, until_s).items())
    speakers = len({one[2] for one in said if one[0] < until_s})
    typer.echo(f"{name}: {row}  speakers {len({one[2] for one in heard})} of {speakers}")
    late = [turn.latency_ms.endpoint / 1000 for turn in turns if turn.ended_by == "speaker_change"]
    if late:
        p50, p95 = np.percentile(late, [50, 95])
        typer.echo(f"changes of speaker {len(late)}, known after p50 {p50:.2f} s, p95 {p95:.2f} s")


if __name__ == "__main__":
    typer.run(main)
