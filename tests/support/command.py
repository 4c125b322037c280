"""The program as a user runs it, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from adapters.assets import asset_folder
from tests.support import TOP
from tracker.events import Event, SessionEnded, TurnEnded, from_json, json_schema

TIMEOUT_S = 180


def asset(name: str) -> Path:
    """The folder of a pulled asset."""
    folder = asset_folder(name)
    if not folder.is_dir():
        pytest.skip(f"{name} is not in the cache: run tracker assets pull")
    return folder


def telephone() -> Path:
    """The half minute of a telephone call."""
    asset("smollm2-135m-instruct")
    return asset("telephone-sample") / "sample.wav"


def events_in(text: str) -> list[Event]:
    """Every line as an event that is valid against the published schema."""
    schema = Draft202012Validator(json_schema())
    events = [from_json(line) for line in text.splitlines()]
    for event in events:
        schema.validate(event.model_dump(mode="json", by_alias=True))
    return events


def turns(events: Sequence[Event]) -> list[TurnEnded]:
    return [event for event in events if isinstance(event, TurnEnded)]


_METRICS = '{"type": "metrics"'


@dataclass(frozen=True)
class Done:
    """What a run has left: its exit code, standard output, and standard error with the lines of metrics set apart."""

    code: int
    out: str
    stderr: str

    @property
    def said(self) -> str:
        return "".join(line for line in self.stderr.splitlines(keepends=True) if not line.startswith(_METRICS))

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.splitlines() if line.startswith(_METRICS)]

    @property
    def events(self) -> list[Event]:
        return events_in(self.out)

    @property
    def last(self) -> SessionEnded:
        last = self.events[-1]
        assert isinstance(last, SessionEnded)
        return last


class Tracker:
    """A running ``tracker``; what it prints is read line by line.

    Args:
        arguments: Of the command line.
        folder: Where it runs, so that no config.toml and no session of the project's folder is met.
        environment: Instead of this process's.
    """

    def __init__(self, *arguments: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        environment = dict(os.environ) if environment is None else environment
        path = filter(None, [environment.get("PYTHONPATH"), str(TOP)])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tracker", *arguments],
            cwd=folder,
            env=environment | {"PYTHONPATH": os.pathsep.join(path), "XDG_STATE_HOME": str(folder / "state")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._read = ""

    def until(self, text: str) -> None:
        """Read its output up to a line that contains a text."""
        assert self.process.stdout
        for line in self.process.stdout:
            self._read += line
            if text in line:
                return
        raise AssertionError(f"it ended without saying {text!r}: {self.process.stderr.read()}")  # type: ignore[union-attr]

    def signal(self, number: int = signal.SIGINT) -> None:
        self.process.send_signal(number)

    def finish(self) -> Done:
        """Wait until it ends."""
        try:
            out, said = self.process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return Done(self.process.returncode, self._read + out, said)


def tracker(*arguments: str, folder: Path, environment: dict[str, str] | None = None) -> Done:
    """Run it to its end."""
    return Tracker(*arguments, folder=folder, environment=environment).finish()
