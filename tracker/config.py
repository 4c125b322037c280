"""Every setting, read once: built-in defaults < config.toml < ``TRACKER_SECTION__KEY`` < ``--set section.key=value``.

`config.toml` at the top of the project documents each of them. Steps never see this object, only the values they need.
`Config()` is the defaults alone; only `load` reads files and the environment.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource

from tracker.assets.manifest import load_manifest
from tracker.errors import ConfigError
from tracker.mqtt.credentials import PASSWORD, USERNAME
from tracker.purpose import Purpose, Reason
from tracker.sources.video import parse_camera, without_login

ENV_PREFIX = "TRACKER_"
DECIDING = ("session", "input", "video", "turns", "transcribe", "speakers", "dialogue", "recognise")
"""The sections that decide, together with the media and the models, what a session's turns are."""

FrameMs = Annotated[int, Field(gt=0, multiple_of=20)]
Share = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=1)]
Days = Annotated[int, Field(ge=0, le=36_500)]
Device = Literal["auto", "cpu", "cuda"]


_MOST_OF_A_TOPIC = 200
_LEAST_PACE_S = 0.5  # a reading of a long turn takes about as long


def _topic(text: str) -> str:
    if not text or text != text.strip("/") or not _fits_topic(text):
        raise ValueError(f"must be a topic {_FITS}, and without / at its ends")
    return text


def _level(text: str) -> str:
    if "/" in text or not _fits_topic(text):
        raise ValueError(f"must be one level of a topic, without / and {_FITS}")
    return text


def _several(given: object) -> object:
    """A text alone is a list of one."""
    return [given] if isinstance(given, str) else given


_FITS = f"of at most {_MOST_OF_A_TOPIC} printable characters without #, + and spaces"


def _fits_topic(text: str) -> bool:
    """Whether brokers accept it as a part of a topic: MQTT allows 65,535 bytes for the whole."""
    return len(text) <= _MOST_OF_A_TOPIC and text.isprintable() and not any(sign in "#+ " for sign in text)


def _camera(text: str) -> str:
    if text not in ("", "auto"):
        parse_camera(text)
    return text


def _language(text: str) -> str:
    if text != "auto" and not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", text):
        raise ValueError("must be auto, or the BCP 47 tag of a language, such as en or en-GB")
    return text


def _refuse(*checks: tuple[bool, str]) -> None:
    """Raise everything that is wrong with a section at once; each check says whether its fault is there."""
    if faults := [fault for wrong, fault in checks if wrong]:
        raise ValueError("\n".join(faults))


class _Section(BaseModel):
    # A device or topic that is all digits is a number in TOML.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)


class SessionConfig(_Section):
    """What a session is for, and what people who are listened to are told."""

    purpose: Purpose = ""
    exception: Reason = ""
    notice: str = "This conversation is listened to and judged for the emotions that it expresses."


class InputConfig(_Section):
    """What is listened to."""

    device: str = ""
    block_ms: Annotated[int, Field(ge=5, le=1000)] = 20
    channels: Literal["mix", "separate"] = "mix"
    track: Annotated[int, Field(ge=0, le=1000)] = 0
    pace: Literal["realtime", "fast"] = "realtime"


class VideoConfig(_Section):
    """What is looked at."""

    source: Annotated[str, AfterValidator(_camera)] = "auto"
    rate_hz: Annotated[float, Field(ge=0.5, le=15)] = 5.0
    min_face_px: Annotated[int, Field(ge=16, le=1000)] = 40
    offset_ms: Annotated[int, Field(ge=-2000, le=2000)] = 0

    @field_serializer("source")
    def _without_login(self, source: str) -> str:
        """What is written into recorded sessions holds no password."""
        return without_login(source)


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
    endpoint: Literal["fixed", "adaptive"] = "fixed"
    end_silence_ms: FrameMs = 500
    adaptive_min_ms: FrameMs = 300
    adaptive_max_ms: FrameMs = 900
    complete_above: Share = 0.7
    max_turn_s: Annotated[float, Field(ge=3, le=28)] = 20.0
    speculate: bool = True
    partials: bool = False
    partial_every_s: Annotated[float, Field(ge=0, le=28)] = 0.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        window, longest_s, adaptive = self.start_window_ms, self.max_turn_s, self.endpoint == "adaptive"
        silence, least, most = self.end_silence_ms, self.adaptive_min_ms, self.adaptive_max_ms
        least_s = 3 * (window + self.pre_roll_ms) / 1000
        _refuse(
            (self.start_voiced_ms > window, f"start_voiced_ms: must not exceed start_window_ms ({window})"),
            (self.partials and not self.speculate, "partials: need speculate = true"),
            (0 < self.partial_every_s < _LEAST_PACE_S, f"partial_every_s: must be 0 or at least {_LEAST_PACE_S}"),
            (self.partial_every_s > 0 and not self.partials, "partial_every_s: needs partials = true"),
            (not adaptive and self.pause_ms > silence, f"pause_ms: must not exceed end_silence_ms ({silence})"),
            # The turn is judged at the pause, so it ends a frame later at the earliest.
            (adaptive and self.pause_ms >= least, f"pause_ms: must be less than adaptive_min_ms ({least})"),
            (least > most, f"adaptive_min_ms: must not exceed adaptive_max_ms ({most})"),
            (
                longest_s < least_s,
                f"max_turn_s: must be three times start_window_ms + pre_roll_ms or more ({least_s})",
            ),
        )
        return self


class TranscribeConfig(_Section):
    """How words are recognised."""

    model: str = "whisper-base"
    language: Annotated[str, AfterValidator(_language)] = "en"
    beam: Annotated[int, Field(ge=1, le=10)] = 5
    words: bool = False
    translate: bool = True
    device: Device = "auto"
    no_speech_above: Share = 0.6
    logprob_below: Annotated[float, Field(le=0)] = -1.0
    compression_above: Annotated[float, Field(gt=1)] = 2.4

    @model_validator(mode="after")
    def _known_to_the_model(self) -> Self:
        english = self.language.partition("-")[0].lower() == "en"
        wrong = self.model.endswith(".en") and not english
        _refuse(
            (wrong, f"language: {self.model} knows English alone, not {self.language!r}; use 'en', or another model")
        )
        return self


class SpeakersConfig(_Section):
    """How voices are told apart."""

    model: str = "campplus-zh-en"
    same_above: Cosine = 0.45
    max_speakers: Annotated[int, Field(ge=1, le=64)] = 8
    short_turn_s: Annotated[float, Field(ge=0)] = 1.5
    continuity: Share = 0.1
    enrolled: str = ""
    enrolled_days: Days = 365


class DialogueConfig(_Section):
    """How much of the conversation the judgement sees."""

    max_turns: Annotated[int, Field(ge=0, le=100)] = 12
    max_tokens: Annotated[int, Field(ge=1, le=4096)] = 400


class RecogniseConfig(_Section):
    """How emotions are judged."""

    recogniser: str = "adapter"
    adapter: str = "default"
    dimensions: Annotated[list[str], BeforeValidator(_several)] = []
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
    base_topic: Annotated[str, AfterValidator(_topic)] = "emotion-tracker"
    node: Annotated[str, AfterValidator(_level)] = ""
    text: bool = True
    allow_plain: bool = False
    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    credentials_file: str = ""
    keep_undelivered: Annotated[int, Field(ge=1)] = 10_000
    outbox_mb: Annotated[int, Field(ge=0)] = 100
    outbox_days: Days = 30
    speaker_expiry_s: Annotated[int, Field(ge=1)] = 600
    commands: bool = False
    homeassistant: bool = False
    homeassistant_prefix: Annotated[str, AfterValidator(_topic)] = "homeassistant"
    homeassistant_forget: bool = False

    @model_validator(mode="after")
    def _together(self) -> Self:
        _refuse(
            (bool(self.client_key and not self.client_cert), "client_key: is of no use without client_cert"),
            (
                bool((self.ca_file or self.client_cert) and self.url and not self.url.startswith("mqtts:")),
                "url: certificates are only used with mqtts://",
            ),
        )
        return self


class RecordConfig(_Section):
    """What a recorded session keeps, and for how long."""

    audio: bool = False
    video: bool = False
    blur_faces: bool = False
    features: bool = False
    text: bool = False
    folder: str = "sessions"
    audio_days: Days = 0
    video_days: Days = 0
    features_days: Days = 0
    text_days: Days = 0
    events_days: Days = 0


class MetricsConfig(_Section):
    """Metrics for Prometheus."""

    port: Annotated[int, Field(ge=0, le=65535)] = 0


class AssetsConfig(_Section):
    """Where models come from."""

    paths: dict[str, str] = {}

    @model_validator(mode="after")
    def _known(self) -> Self:
        _refuse(*((name not in load_manifest().assets, f"paths.{name}: there is no such asset") for name in self.paths))
        return self


class Config(_Section):
    """All settings."""

    session: SessionConfig = SessionConfig()
    input: InputConfig = InputConfig()
    video: VideoConfig = VideoConfig()
    turns: TurnsConfig = TurnsConfig()
    transcribe: TranscribeConfig = TranscribeConfig()
    speakers: SpeakersConfig = SpeakersConfig()
    dialogue: DialogueConfig = DialogueConfig()
    recognise: RecogniseConfig = RecogniseConfig()
    terminal: TerminalConfig = TerminalConfig()
    mqtt: MqttConfig = MqttConfig()
    record: RecordConfig = RecordConfig()
    metrics: MetricsConfig = MetricsConfig()
    assets: AssetsConfig = AssetsConfig()
    sinks: dict[str, dict[str, Any]] = {}

    @field_serializer("sinks", when_used="json")
    def _without_settings(self, sinks: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """What is written into recorded sessions holds none of a plug-in's settings: they may be secrets."""
        return {name: {} for name in sinks}


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
    names = sorted(name for name in environ if name.startswith(ENV_PREFIX) and name not in (USERNAME, PASSWORD))
    overrides = [
        (name.removeprefix(ENV_PREFIX).lower().replace("__", "."), environ[name], name, "TRACKER_SECTION__KEY=value")
        for name in names
    ]
    return _layered(_read(path) if path else {}, [*overrides, *_from_command_line(sets)])


def load_again(current: Config, recorded: Mapping[str, Any], sets: Sequence[str] = ()) -> Config:
    """The settings for a recorded session that runs through the models again.

    Args:
        current: Decides what has no part in the result: where to publish, what to keep, where models lie.
        recorded: The session's settings; they decide everything in `DECIDING`.
        sets: ``section.key=value`` overrides, stronger than either.

    Raises:
        ConfigError: A recorded setting or an override is unknown or bad, or the recording names an adapter elsewhere
            that the current settings do not name: it may be a stranger's.
    """
    values = current.model_dump()
    values |= {section: recorded[section] for section in DECIDING if section in recorded}
    if isinstance(speakers := values["speakers"], Mapping):  # a stranger's session names no folder on this machine
        values["speakers"] = {**speakers, **current.speakers.model_dump(include={"enrolled", "enrolled_days"})}
    config, mine = _layered(values, _from_command_line(sets)), current.recognise
    named = [("adapter", config.recognise.adapter), *(("dimensions", one) for one in config.recognise.dimensions)]
    for setting, adapter in named:
        if adapter not in (mine.adapter, *mine.dimensions) and not _PLAIN_NAME.fullmatch(adapter):
            raise ConfigError(
                f"recognise.{setting}: the recording was judged with {adapter!r}; to load that, "
                f"add --set recognise.{setting}={adapter}, or name another one"
            )
    return config


_PLAIN_NAME = re.compile(r"[\w-][\w.-]*")


_Override = tuple[str, str, str, str]
"""One setting from outside the file: its dotted key, its value as text, how the user wrote it, how to write it."""


def _from_command_line(sets: Sequence[str]) -> list[_Override]:
    parts = [(one, *one.partition("=")) for one in sets]
    return [(key.strip() if sign else "", text, one, "section.key=value") for one, key, sign, text in parts]


def _layered(values: dict[str, Any], overrides: Sequence[_Override]) -> Config:
    """The settings, with overrides over them, weakest first."""
    faults, layers = [], [values]
    for key, text, written, form in overrides:
        *sections, name = key.split(".", 2)  # an asset's name, below assets.paths, has dots of its own
        if not sections or not all([*sections, name]):
            faults.append(f"{written}: a setting is overridden by {form}")
            continue
        place: Any = values
        for section in sections:
            place = place.get(section, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict):
            faults.append(f"{written}: {sections[-1]} is not a section")
            continue
        layer = {name: _value(text)}
        for section in reversed(sections):
            layer = {section: layer}
        layers.append(layer)

    class Layered(BaseSettings, extra="allow"):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[InitSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, layer) for layer in reversed(layers))

    try:
        config = Config.model_validate(Layered().model_extra)
    except ValidationError as error:
        faults += [fault for details in error.errors() for fault in _said(details)]
    if faults:
        raise ConfigError("; ".join(faults))
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _value(text: str) -> Any:
    """A value as TOML, or the text as it is where it is not TOML."""
    try:
        read = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return read["value"] if len(read) == 1 else text


def _said(details: ErrorDetails) -> list[str]:
    """What is wrong, by dotted key: one entry for each line that a validator says."""
    key = ".".join(str(part) for part in details["loc"])
    match details["type"]:
        case "extra_forbidden":
            return [f"{key}: there is no such setting"]
        case "value_error":
            faults = str(details["ctx"]["error"]).splitlines()
            return [f"{key}.{fault}" if len(details["loc"]) == 1 else f"{key}: {fault}" for fault in faults]
        case _:
            return [f"{key}: {details['msg'].replace('Input should', 'must')}, not {details['input']!r}"]
