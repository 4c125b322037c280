"""Every setting, read once: built-in defaults < config.toml < ``TRACKER_SECTION__KEY`` < ``--set section.key=value``.

`config.toml` at the top of the project documents each of them. Steps never see this object, only the values they need.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tracker.errors import ConfigError

ENV_PREFIX = "TRACKER_"
SECRETS = ("TRACKER_MQTT_USERNAME", "TRACKER_MQTT_PASSWORD")
"""Environment variables that are read where they are used and never become part of the configuration."""

FrameMs = Annotated[int, Field(gt=0, multiple_of=20)]
Share = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=1)]
Device = Literal["auto", "cpu", "cuda"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputConfig(_Section):
    """What is listened to."""

    device: str = ""
    block_ms: Annotated[int, Field(ge=5, le=1000)] = 20
    channels: Literal["mix", "separate"] = "mix"
    pace: Literal["realtime", "fast"] = "realtime"


class TurnsConfig(_Section):
    """Where turns begin and end."""

    vad_mode: Annotated[int, Field(ge=0, le=3)] = 2
    speech_gate: Share = 0.5
    start_window_ms: FrameMs = 200
    start_voiced_ms: FrameMs = 140
    min_voiced_ms: FrameMs = 200
    pre_roll_ms: FrameMs = 300
    hangover_ms: FrameMs = 100
    pause_ms: FrameMs = 200
    end_silence_ms: FrameMs = 500
    max_turn_s: Annotated[float, Field(ge=3, le=28)] = 20.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start_voiced_ms > self.start_window_ms:
            raise ValueError(
                f"start_voiced_ms ({self.start_voiced_ms}) must not exceed start_window_ms ({self.start_window_ms})"
            )
        if self.pause_ms > self.end_silence_ms:
            raise ValueError(f"pause_ms ({self.pause_ms}) must not exceed end_silence_ms ({self.end_silence_ms})")
        if self.max_turn_s * 1000 < 3 * (self.start_window_ms + self.pre_roll_ms):
            raise ValueError(
                f"max_turn_s ({self.max_turn_s}) must be at least three times start_window_ms + pre_roll_ms"
            )
        return self


class TranscribeConfig(_Section):
    """How words are recognised."""

    model: str = "whisper-tiny.en"
    language: str = "en"
    device: Device = "auto"
    no_speech_above: Share = 0.6
    logprob_below: Annotated[float, Field(le=0)] = -1.0
    compression_above: Annotated[float, Field(gt=1)] = 2.4


class SpeakersConfig(_Section):
    """How voices are told apart."""

    model: str = "campplus-zh-en"
    same_above: Cosine = 0.45
    max_speakers: Annotated[int, Field(ge=1, le=64)] = 8
    short_turn_s: Annotated[float, Field(ge=0)] = 1.5
    continuity: Share = 0.1


class DialogueConfig(_Section):
    """How much of the conversation the judgement sees."""

    max_turns: Annotated[int, Field(ge=0, le=100)] = 12
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 400


class RecogniseConfig(_Section):
    """How emotions are judged."""

    adapter: str = "default"
    device: Device = "auto"
    abstain_below: Share = 0.0
    min_voice_s: Annotated[float, Field(ge=0)] = 0.8


class TerminalConfig(_Section):
    """The view in the terminal."""

    enabled: bool = True
    max_fps: Annotated[int, Field(ge=1, le=30)] = 8


class MqttConfig(_Section):
    """Publishing over MQTT."""

    enabled: bool = True
    url: str = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 1883
    base_topic: Annotated[str, Field(pattern=r"^[^/#+\s][^#+\s]*[^/#+\s]$|^[^/#+\s]$")] = "emotion-tracker"
    allow_plain: bool = False
    keep_undelivered: Annotated[int, Field(ge=1)] = 10_000


class RecordConfig(_Section):
    """What a recorded session keeps."""

    audio: bool = True


class AssetsConfig(_Section):
    """Where models come from."""

    paths: dict[str, str] = {}


class Config(_Section):
    """All settings."""

    input: InputConfig = InputConfig()
    turns: TurnsConfig = TurnsConfig()
    transcribe: TranscribeConfig = TranscribeConfig()
    speakers: SpeakersConfig = SpeakersConfig()
    dialogue: DialogueConfig = DialogueConfig()
    recognise: RecogniseConfig = RecogniseConfig()
    terminal: TerminalConfig = TerminalConfig()
    mqtt: MqttConfig = MqttConfig()
    record: RecordConfig = RecordConfig()
    assets: AssetsConfig = AssetsConfig()


def load(path: Path | None, environ: Mapping[str, str] = os.environ, sets: Sequence[str] = ()) -> Config:
    """Read the settings.

    Args:
        path: A configuration file, or None for ``./config.toml`` where there is one.
        environ: The environment; ``TRACKER_TURNS__VAD_MODE=3`` overrides ``turns.vad_mode``.
        sets: ``section.key=value`` overrides, each value as TOML, or a plain string.

    Raises:
        ConfigError: The file cannot be read, or any setting is unknown or bad; the message names all of them.
    """
    if path is None and Path("config.toml").is_file():
        path = Path("config.toml")
    values = _read(path) if path else {}
    faults = [fault for fault in (_override(values, key, text) for key, text in _overrides(environ, sets)) if fault]
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        faults += [_fault(details["loc"], details["msg"], details["type"]) for details in error.errors()]
    if faults:
        raise ConfigError("; ".join(faults))
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _overrides(environ: Mapping[str, str], sets: Sequence[str]) -> list[tuple[str, str]]:
    """Dotted keys and their new values as text, weakest first."""
    from_environment = [
        (name.removeprefix(ENV_PREFIX).lower().replace("__", "."), value)
        for name, value in sorted(environ.items())
        if name.startswith(ENV_PREFIX) and name not in SECRETS
    ]
    return from_environment + [(key.strip(), value) for key, _, value in (one.partition("=") for one in sets)]


def _override(values: dict[str, Any], key: str, text: str) -> str | None:
    """Put one override in its place; returns what is wrong with it, if anything."""
    *sections, name = key.split(".")
    if not sections or not all([*sections, name]):
        return f"{key}: an override is section.key=value"
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            return f"{key}: {section} is not a section"
        values = inner
    try:
        values[name] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[name] = text
    return None


def _fault(location: tuple[int | str, ...], message: str, kind: str) -> str:
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"{key}: there is no such setting"
    return f"{key}: {message.removeprefix('Value error, ')}"
