import re
import tomllib
from pathlib import Path

import pytest

from tracker.config import Config, load
from tracker.errors import ConfigError
from tracker.parts import limits

FILE = Path(__file__).parents[2] / "config.toml"


def write(tmp_path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_the_file_says_what_the_defaults_are():
    assert load(FILE, {}) == Config()
    assert tomllib.loads(FILE.read_text()) == Config().model_dump()


def test_every_setting_is_explained():
    for line in FILE.read_text().splitlines():
        if re.match(r"\w+ *=", line):
            assert re.search(r"# \S+.*", line), line


def test_command_line_over_environment_over_file_over_defaults(tmp_path):
    path = write(tmp_path, "[turns]\nvad_mode = 0\npause_ms = 100\nend_silence_ms = 600\n[mqtt]\nport = 0\n")
    environ = {"TRACKER_TURNS__VAD_MODE": "1", "TRACKER_TURNS__PAUSE_MS": "120", "HOME": "/"}
    config = load(path, environ, ["turns.vad_mode=3", "input.device=USB mic", "mqtt.base_topic=home"])
    turns = config.turns
    assert (turns.vad_mode, turns.pause_ms, turns.end_silence_ms, turns.hangover_ms) == (3, 120, 600, 100)
    assert (config.input.device, config.mqtt.base_topic, config.mqtt.port) == ("USB mic", "home", 0)


def test_all_faults_are_reported_together_with_their_keys(tmp_path):
    path = write(tmp_path, "[turns]\nvad_mod = 0\nmax_turn_s = 'long'\n[sound]\nloud = true\n[mqtt]\nport = 70000\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {"TRACKER_TURNS__PRE_ROLL_MS": "310", "TRACKER_COLOUR": "red"}, ["recognise.abstain_below=2", "x"])
    said = str(caught.value)
    for key in ("turns.vad_mod", "turns.max_turn_s", "sound", "mqtt.port", "turns.pre_roll_ms", "colour",
                "recognise.abstain_below", "x: an override is"):  # fmt: skip
        assert key in said
    assert "turns.vad_mod: there is no such setting" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("turns.start_voiced_ms=400", "start_voiced_ms"),
        ("turns.pause_ms=600", "pause_ms"),
        ("turns.max_turn_s=3.0", None),
        ("mqtt.base_topic=a/#", "mqtt.base_topic"),
        ("mqtt.base_topic=/a", "mqtt.base_topic"),
        ("turns.vad_mode.x=1", "turns.vad_mode"),
    ],
)
def test_settings_that_contradict_each_other_are_faults(wrong, says):
    sets = (
        [wrong, "turns.pre_roll_ms=1200"] if says is None else [wrong, "turns.vad_mode=1"][:: -1 if "x" in wrong else 1]
    )
    with pytest.raises(ConfigError, match=says or "max_turn_s"):
        load(None, {}, sets)


def test_secrets_are_no_settings():
    environ = {"TRACKER_MQTT_USERNAME": "me", "TRACKER_MQTT_PASSWORD": "secret"}
    assert load(FILE, environ) == Config()


@pytest.mark.parametrize(("text", "says"), [(None, "cannot be read"), ("a = ", "not TOML"), ("\udcff", "not TOML")])
def test_a_file_that_is_no_configuration_is_named(tmp_path, text, says):
    path = tmp_path / "my.toml"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"my\.toml .*" + says):
        load(path, {})


def test_milliseconds_become_frames():
    frames = limits(Config().turns)
    assert (frames.window, frames.needed, frames.pre_roll, frames.silence, frames.maximum) == (10, 7, 15, 25, 1000)
