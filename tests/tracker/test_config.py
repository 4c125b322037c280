import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from adapters.recogniser import PRETRAINED
from tests.support import TOP
from tracker.app.models import TURN_COMPLETENESS, limits, needed_assets, waiting
from tracker.config import Config, TurnsConfig, load, load_again
from tracker.errors import ConfigError

FILE = TOP / "config.toml"


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
    assert set(str(caught.value).split("; ")) == {
        "TRACKER_COLOUR: a setting is overridden by TRACKER_SECTION__KEY=value",
        "x: a setting is overridden by section.key=value",
        "turns.vad_mod: there is no such setting",
        "turns.max_turn_s: must be a valid number, unable to parse string as a number, not 'long'",
        "turns.pre_roll_ms: must be a multiple of 20, not 310",
        "sound: there is no such setting",
        "mqtt.port: must be less than or equal to 65535, not 70000",
        "recognise.abstain_below: must be less than or equal to 1, not 2",
    }


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["turns.start_voiced_ms=400"], r"turns\.start_voiced_ms: must not exceed start_window_ms \(200\)"),
        (["turns.pause_ms=600"], r"turns\.pause_ms: must not exceed end_silence_ms \(500\)"),
        (
            ["turns.endpoint=adaptive", "turns.pause_ms=300"],
            r"turns\.pause_ms: must be less than adaptive_min_ms \(300\)",
        ),
        (["turns.adaptive_min_ms=920"], r"turns\.adaptive_min_ms: must not exceed adaptive_max_ms \(900\)"),
        (["turns.endpoint=quick"], r"turns\.endpoint: must be 'fixed' or 'adaptive'"),
        (["turns.complete_above=1.1"], r"turns\.complete_above: must be less than or equal to 1"),
        (["turns.max_turn_s=3", "turns.pre_roll_ms=1200"], r"turns\.max_turn_s: must be .* or more \(4\.2\)"),
        (["turns.pause_ms=600", "turns.start_voiced_ms=400"], r"turns\.start_voiced_ms: .*; turns\.pause_ms: "),
        (["turns.speech_gate=nan"], r"turns\.speech_gate: must be a finite number"),
        (["recognise.min_voice_s=inf"], r"recognise\.min_voice_s: must be a finite number"),
        (["mqtt.base_topic=a/#"], r"mqtt\.base_topic: must be a topic of at most 200 printable characters without"),
        (["mqtt.base_topic=/a"], r"mqtt\.base_topic: must be a topic "),
        (["mqtt.base_topic="], r"mqtt\.base_topic: must be a topic "),
        (["mqtt.homeassistant_prefix=a\0b"], r"mqtt\.homeassistant_prefix: must be a topic "),
        ([f"mqtt.node={70_000 * 'x'}"], r"mqtt\.node: must be one level of a topic, without / and of at most 200"),
        (["mqtt.node=\udce9"], r"mqtt\.node: must be one level of a topic"),
        (["turns.vad_mode=1", "turns.vad_mode.x=1"], r"turns\.vad_mode\.x=1: vad_mode is not a section"),
        (
            ["transcribe.model=whisper-tiny.en", "transcribe.language=fr"],
            r"transcribe\.language: whisper-tiny\.en knows English alone, not 'fr'",
        ),
        (["transcribe.language=french!"], r"transcribe\.language: must be auto, or the BCP 47 tag"),
        (["turns=3"], r"turns=3: a setting is overridden by section\.key=value"),
        (["input.device"], r"input\.device: a setting is overridden by section\.key=value"),
        (["assets.paths.gpt=/models/gpt"], r"assets\.paths\.gpt: there is no such asset"),
    ],
)
def test_settings_that_are_bad_or_contradict_each_other_are_faults(wrong, says):
    with pytest.raises(ConfigError, match=f"^{says}"):
        load(FILE, {}, wrong)


@pytest.mark.parametrize("tag", ["en", "en-GB", "EN-us"])
def test_english_has_several_tags(tag):
    assert load(FILE, {}, [f"transcribe.language={tag}"]).transcribe.language == tag


def test_an_override_is_toml_or_else_a_plain_string():
    sets = ['input.device="My mic"', "mqtt.enabled=false", "assets.paths.whisper-tiny.en=/models/whisper"]
    config = load(FILE, {"TRACKER_INPUT__DEVICE": "2"}, sets)
    assert (config.input.device, config.mqtt.enabled) == ("My mic", False)
    assert config.assets.paths == {"whisper-tiny.en": "/models/whisper"}
    assert load(FILE, {"TRACKER_INPUT__DEVICE": "2"}, []).input.device == "2"


def test_the_file_in_the_working_directory_is_read_unless_another_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(None, {}) == Config()
    write(tmp_path, "[turns]\nvad_mode = 0\n")
    assert load(None, {}).turns.vad_mode == 0
    assert load(FILE, {}) == Config()


def test_a_config_that_is_not_loaded_is_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "[turns]\nvad_mode = 0\n[colour]\n")
    monkeypatch.setenv("TRACKER_TURNS__VAD_MODE", "1")
    monkeypatch.setenv("TURNS", "{}")
    assert Config().turns.vad_mode == 2
    assert Config(turns=TurnsConfig(vad_mode=3)).turns.vad_mode == 3


def test_a_byte_order_mark_is_no_fault(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[turns]\nvad_mode = 0\n", encoding="utf-8-sig")
    assert load(path, {}).turns.vad_mode == 0


def test_a_section_that_is_a_value_is_a_fault_even_where_it_is_overridden(tmp_path):
    path = write(tmp_path, "mqtt = false\n")
    with pytest.raises(ConfigError, match=r"^TRACKER_MQTT__PORT: mqtt is not a section; mqtt: must be a valid"):
        load(path, {"TRACKER_MQTT__PORT": "0"})


def test_plug_in_sinks_have_settings_of_any_kind_that_are_not_written_down(tmp_path):
    path = write(tmp_path, "[sinks.mine]\nurl = 'https://a'\ntoken = 'secret'\n[sinks.mine.retry]\ntimes = [1, 2]\n")
    config = load(path, {"TRACKER_SINKS__MINE__URL": "https://b"}, ["sinks.other.on=true"])
    mine = {"url": "https://b", "token": "secret", "retry": {"times": [1, 2]}}
    assert config.sinks == {"mine": mine, "other": {"on": True}}
    assert config.model_dump(mode="json")["sinks"] == {"mine": {}, "other": {}}
    assert load_again(config, {}).sinks == config.sinks
    with pytest.raises(ConfigError, match=r"sinks\.mine: must be a valid dictionary"):
        load(None, {}, ["sinks.mine=3"])


def test_secrets_are_no_settings():
    environ = {"TRACKER_MQTT_USERNAME": "me", "TRACKER_MQTT_PASSWORD": "secret"}
    assert load(FILE, environ) == Config()


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "cannot be read"), ("a = ", "not TOML"), ("\udcff", "not TOML"), ("a = " + "[" * 9000, "not TOML")],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path, text, says):
    path = tmp_path / "my.toml"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"my\.toml .*" + says):
        load(path, {})


def test_milliseconds_become_frames():
    frames = limits(Config().turns)
    assert (frames.window, frames.needed, frames.pre_roll, frames.silence, frames.maximum) == (10, 7, 15, 25, 1000)


def test_the_adaptive_endpoint_needs_its_model_and_has_bounds_of_its_own():
    fixed = Config()
    adaptive = load(None, {}, ["turns.endpoint=adaptive", "turns.adaptive_min_ms=400", "turns.end_silence_ms=100"])
    assert TURN_COMPLETENESS not in needed_assets(fixed)
    assert needed_assets(adaptive) == [*needed_assets(fixed), TURN_COMPLETENESS]
    assert limits(adaptive.turns).silence == 45

    def silence(complete: float) -> int:
        return waiting(adaptive.turns, lambda _: complete)(np.zeros(0, np.float32))

    assert [silence(complete) for complete in (0.0, 0.7, 0.71, 1.0)] == [45, 45, 20, 20]


def test_the_llm_is_the_one_that_the_adapter_reads(tmp_path: Path) -> None:
    card = json.loads((PRETRAINED / "default" / "card.json").read_text("utf-8"))
    card["backbone"] = {"name": "gemma-3-270m", "fingerprint": "0" * 16}
    (tmp_path / "card.json").write_text(json.dumps(card), "utf-8")
    other = load(None, {}, [f"recognise.adapter={tmp_path}"])
    assert set(needed_assets(other)) - set(needed_assets(Config())) == {"gemma-3-270m"}
    assert set(needed_assets(Config())) - set(needed_assets(other)) == {"smollm2-135m-instruct"}
    card["backbone"]["name"] = "qwen2.5-0.5b"  # from the Hugging Face hub
    (tmp_path / "card.json").write_text(json.dumps(card), "utf-8")
    assert set(needed_assets(other)) < set(needed_assets(Config()))
    for unknown in ("hf:owner/name", str(tmp_path / "nothing")):
        asked = load(None, {}, [f"recognise.adapter={unknown}"])
        assert needed_assets(asked) == needed_assets(Config())


def test_a_session_runs_again_with_what_decided_it_and_the_rest_of_now():
    then = load(None, {}, ["turns.vad_mode=0", "recognise.adapter=mine", "mqtt.port=1", "record.folder=there"])
    now = load(None, {}, ["turns.vad_mode=3", "mqtt.port=2", "assets.paths.whisper-tiny.en=/models"])
    recorded = then.model_dump(mode="json")
    again = load_again(now, recorded, ["turns.min_voiced_ms=400"])
    assert (again.turns.vad_mode, again.turns.min_voiced_ms, again.recognise.adapter) == (0, 400, "mine")
    assert (again.mqtt, again.record, again.assets) == (now.mqtt, now.record, now.assets)
    assert recorded == then.model_dump(mode="json")
    foreign = {"speakers": {"same_above": 0.3, "enrolled": "/home/me/voices", "enrolled_days": 1}}
    assert load_again(now, foreign).speakers == now.speakers.model_copy(update={"same_above": 0.3})
    assert load_again(now, {}) == now
    with pytest.raises(ConfigError, match=r"turns\.vad_mode: .*; turns\.later: there is no such setting"):
        load_again(now, recorded | {"turns": {"vad_mode": 9, "later": 1}})


@pytest.mark.parametrize("adapter", ["hf:owner/name", "/home/me/adapter", "../adapter", "a/b", "a\\b", ""])
def test_a_recording_chooses_no_adapter_for_dimensions_elsewhere(adapter):
    recorded = {"recognise": {"dimensions": ["valence-arousal", adapter]}}
    with pytest.raises(ConfigError, match=r"recognise\.dimensions: .* --set recognise\.dimensions="):
        load_again(Config(), recorded)
    named = load(None, {}, [f"recognise.dimensions={adapter}"])
    assert named.recognise.dimensions == [adapter]
    assert load_again(named, recorded).recognise.dimensions == ["valence-arousal", adapter]


@pytest.mark.parametrize("adapter", ["hf:owner/name", "/home/me/adapter", "../adapter", "a/b", "a\\b", ""])
def test_a_recording_chooses_no_adapter_elsewhere(adapter):
    recorded = {"recognise": {"adapter": adapter}}
    with pytest.raises(ConfigError, match=r"recognise\.adapter: .* --set recognise\.adapter="):
        load_again(Config(), recorded)
    named = load(None, {}, [f"recognise.adapter={adapter}"])
    assert load_again(named, recorded).recognise.adapter == adapter
    assert load_again(Config(), recorded, ["recognise.adapter=default"]).recognise.adapter == "default"


def test_a_cameras_password_is_not_written_down():
    config = load(None, {}, ["video.source=rtsp://me:secret@cam.example/live"])
    assert config.video.source == "rtsp://me:secret@cam.example/live"
    assert config.model_dump(mode="json")["video"]["source"] == "rtsp://cam.example/live"
    assert load(None, {}, ["video.source=0"]).video.source == "0"
    with pytest.raises(ConfigError, match=r'video.source: must be "", "auto", a device'):
        load(None, {}, ["video.source=file:///etc/passwd"])


@pytest.mark.parametrize("recorded", [5, "x", [1], None])
def test_a_recorded_section_that_is_none_is_one_line(recorded):
    with pytest.raises(ConfigError, match=r"^turns: must be a valid dictionary"):
        load_again(Config(), {"turns": recorded})


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["turns.partial_every_s=2"], "partial_every_s: needs partials = true"),
        (["turns.partials=true", "turns.partial_every_s=0.1"], "partial_every_s: must be 0 or at least 0.5"),
    ],
)
def test_partial_results_at_a_pace_that_cannot_be_kept_are_refused(sets, said):
    with pytest.raises(ConfigError, match=said):
        load(None, {}, sets)
    assert load(None, {}, ["turns.partials=true", "turns.partial_every_s=0.5"]).turns.partial_every_s == 0.5
