"""``tracker speakers enrol | list | forget``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import anyio
import typer

from tracker import config as settings
from tracker.app.voices import VoiceFolder
from tracker.cli.say import say, say_table
from tracker.errors import ConfigError

app = typer.Typer(
    help="Voices that are known before a session: enrol them, list them, forget them.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="The name that their turns get.")]
File = Annotated[Path | None, typer.Option("--config", help="Settings; ./config.toml where there is one.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value: override one setting.")]


@app.command("enrol")
def enrol_voice(
    name: Name,
    file: Annotated[str, typer.Argument(help="A recording in which that person alone speaks.")],
    consent: Annotated[str, typer.Option(help="How the person agreed, in words; asked for where it is missing.")] = "",
    config: File = None,
    sets: Sets = None,
) -> None:
    """Keep the voice of a person who agreed to it, so that later sessions know it."""
    name, consent = name.strip(), consent.strip()
    if not 0 < len(name) <= 80:
        raise ConfigError(f"NAME: has {len(name)} characters; it must have 1 to 80")
    chosen = settings.load(config, sets=sets or [])
    folder, now = VoiceFolder(chosen.speakers), datetime.now(UTC)
    until = folder.until(now)
    span = f"until {until:%Y-%m-%d}" if until else "until you remove it"
    say(f"A voice print of {name} will be kept in {folder.path} {span}. It is biometric data: it needs their consent.")
    if not consent and sys.stdin.isatty():
        asked = f"How did they agree (for example: in writing, {now:%d %B %Y})"
        consent = typer.prompt(asked, default="").strip()
    if not consent:
        raise ConfigError(f"--consent: say in words how {name} agreed; without that, no voice is kept")
    if len(consent) > 500:
        raise ConfigError(f"--consent: has {len(consent)} characters; it may have 500")
    from tracker.app.enrol import voice_in

    embedding = anyio.run(voice_in, file, chosen)
    folder.put(name, chosen.speakers.model, consent, embedding, now)
    say(f"{name} is enrolled; sessions with speakers.enrolled = {str(folder.path)!r} know the voice")


@app.command("list")
def list_voices(config: File = None, sets: Sets = None) -> None:
    """List the enrolled voices; those whose time is over are removed."""
    folder = VoiceFolder(settings.load(config, sets=sets or []).speakers)
    for name in folder.forget_expired(datetime.now(UTC)):
        say(f"{name}: was kept long enough, and is removed")
    rows = [
        (one.name, f"{one.enrolled_at:%Y-%m-%d}", f"{one.keep_until:%Y-%m-%d}" if one.keep_until else "", one.consent)
        for one in folder
    ]
    say_table(("name", "enrolled", "kept until", "consent"), rows, width=150)


@app.command("forget")
def forget_voice(name: Name, config: File = None, sets: Sets = None) -> None:
    """Remove a voice."""
    folder = VoiceFolder(settings.load(config, sets=sets or []).speakers)
    folder.forget(name.strip())
    say(f"the voice of {name} is removed from {folder.path}")
