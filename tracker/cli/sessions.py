"""``tracker sessions list | show | verify | prune | flush``."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import anyio
import typer

from tracker import config as settings
from tracker.cli.say import say, say_table
from tracker.errors import SessionError, SinkError
from tracker.events import MomentMarked, TurnEnded, with_merged_speakers
from tracker.recordings.retention import Retention, StoredSession, expired_kinds, find_sessions, prune, verify

app = typer.Typer(help="Recorded sessions: look through them, check them, remove what is old.", no_args_is_help=True)

Place = Annotated[Path | None, typer.Argument(help="A folder of sessions, or one; record.folder of the settings.")]
File = Annotated[Path | None, typer.Option("--config", help="Settings; ./config.toml where there is one.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value: override one setting.")]


@app.command("list")
def list_sessions(place: Place = None, config: File = None, sets: Sets = None) -> None:
    """List recorded sessions."""
    rows = []
    for found in _find(place, config, sets):
        start = found.session.start if found.session else None
        turns = sum(isinstance(event, TurnEnded) for event in found.session.events) if found.session else 0
        began, source = (start.started_at, start.source) if start else ("", "")
        removed = ", ".join(found.pruned)
        rows.append((str(found.folder), began, source, str(turns), found.state, _bytes(found.size), removed))
    say_table(("folder", "began", "source", "turns", "ended", "size", "removed"), rows, width=200)


@app.command()
def show(folder: Annotated[Path, typer.Argument(help="A recorded session.")]) -> None:
    """Tell what a session holds."""
    (found,) = _one(folder)
    if not found.session:
        raise SessionError(found.fault)
    start, stop = found.session.start, found.session.stop
    turns = [event for event in with_merged_speakers(found.session.events) if isinstance(event, TurnEnded)]
    say(f"session   {start.session}")
    say(f"began     {start.started_at}, {start.source}, {start.software}")
    if start.purpose:
        say(f"purpose   {start.purpose}")
    say(f"ended     {stop.ended_at}, {stop.outcome}" if stop else "ended     cut off: there is no stop.json")
    say(f"models    {', '.join(f'{part} {name}' for part, name in start.models.items())}")
    say(f"kept      {', '.join(sorted(file.name for file in found.folder.iterdir()))} ({_bytes(found.size)})")
    for speaker, count in sorted(Counter(turn.speaker for turn in turns).items()):
        emotions = Counter(turn.emotion for turn in turns if turn.speaker == speaker).most_common()
        say(f"{speaker:9} {count} turns: {', '.join(f'{emotion} {times}' for emotion, times in emotions)}")
    for event in found.session.events:
        if isinstance(event, MomentMarked):
            say(f"marked    {event.time} {event.note}")


@app.command("verify")
def verify_sessions(place: Place = None, config: File = None, sets: Sets = None) -> None:
    """Check that sessions are whole; a recording that was cut off is readable up to there, and said to be."""
    wrong = 0
    every = _find(place, config, sets)
    if not every and place:
        raise SessionError(f"{place}: holds no recorded session")
    if not every:
        say("there is no recorded session in record.folder")
    for found in every:
        faults = verify(found)
        wrong += bool(faults)
        for fault in faults:
            say(f"{found.folder}: {fault}" if found.session else fault)
        if not faults and found.session:
            say(f"{found.folder}: {found.state}, {len(found.session.events)} events, whole")
    if wrong:
        raise SessionError(f"{wrong} of the sessions are damaged")


@app.command("prune")
def prune_sessions(
    place: Place = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    config: File = None,
    sets: Sets = None,
) -> None:
    """Remove what the settings keep no longer: record.{audio,video,features,text,events}_days."""
    keep = settings.load(config, sets=sets or []).record
    retention = Retention(keep.audio_days, keep.video_days, keep.features_days, keep.text_days, keep.events_days)
    if retention == Retention():
        say(
            "everything is kept for ever; to change that, set record.audio_days, record.video_days, "
            "record.features_days, record.text_days or record.events_days"
        )
        return
    failed = 0
    for found in _find(place, config, sets):
        kinds = expired_kinds(found, retention, datetime.now(UTC))
        try:
            if not dry_run:
                prune(found, kinds)
        except (OSError, RecursionError) as error:  # the others are pruned all the same
            failed += 1
            say(f"{found.folder}: cannot be pruned ({getattr(error, 'strerror', None) or error})")
            continue
        if kinds:
            what = "all of it" if kinds == ["events"] else ", ".join(kinds)
            say(f"{found.folder}: {what} {'would be' if dry_run else 'is'} removed")
    if failed:
        raise SessionError(f"{failed} of the sessions could not be pruned")


@app.command()
def flush(
    mqtt: Annotated[str | None, typer.Option(help="Broker: mqtt://host[:port] or mqtts://...")] = None,
    wait: Annotated[float, typer.Option(help="Seconds that it may take.", min=0.1)] = 30.0,
    config: File = None,
    sets: Sets = None,
) -> None:
    """Deliver to the broker what earlier runs could not (the next run does it, too)."""
    from tracker.app.mqtt import flush as deliver

    over = [f"mqtt.url={mqtt}"] if mqtt else []
    chosen = settings.load(config, sets=[*(sets or []), *over])
    if left := anyio.run(deliver, chosen, lambda sentence: say(sentence, err=True), wait):
        raise SinkError(f"{left} messages are still to be delivered")


def _find(place: Path | None, config: Path | None, sets: list[str] | None) -> list[StoredSession]:
    return list(find_sessions(place or Path(settings.load(config, sets=sets or []).record.folder)))


def _one(folder: Path) -> list[StoredSession]:
    found = list(find_sessions(folder))
    if len(found) != 1:
        raise SessionError(f"{folder}: is not a recorded session, but holds {len(found)} of them")
    return found


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
