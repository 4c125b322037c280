"""The telephone call judged by an adapter that was trained on labels that are not MELD's, and all that follows."""

import csv
import json
from dataclasses import replace

import pytest

from adapters.datasets import emorynlp
from adapters.features.acoustic import SpeechEncoder
from adapters.features.visual import FaceEncoder
from adapters.training.recipe import RECIPES, read_recipe
from adapters.training.sources import Encoders
from adapters.training.train import train
from tests.support.command import asset, telephone, tracker, turns
from tracker.mqtt.homeassistant import HomeAssistant
from tracker.mqtt.topics import Topics
from tracker.recordings.exports.write import FORMATS

pytestmark = [pytest.mark.models, pytest.mark.data]

LABELS = emorynlp.LABELS.labels
SCENES = 15


@pytest.fixture(scope="module")
def adapter(data_dir, tmp_path_factory):
    """Words of EmoryNLP's first scenes, read by the real LLM."""
    asset("smollm2-135m-instruct")
    root = tmp_path_factory.mktemp("emorynlp")
    (root / "data/emorynlp").mkdir(parents=True)
    for name in ("emorynlp_train_final.csv", "emorynlp_dev_final.csv"):
        with (data_dir / "emorynlp" / name).open(encoding="utf-8", newline="") as table:
            rows = list(csv.reader(table))
        scenes = list(dict.fromkeys((row[3], row[5], row[6]) for row in rows[1:]))[:SCENES]
        with (root / "data/emorynlp" / name).open("w", encoding="utf-8", newline="") as table:
            csv.writer(table).writerows([rows[0], *(row for row in rows[1:] if (row[3], row[5], row[6]) in scenes)])
    recipe = read_recipe(RECIPES / "emorynlp.toml")
    recipe = replace(recipe, members=2, soft_targets=0.0, words=replace(recipe.words, epochs=3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("adapters.training.feature_cache.training_folder", lambda: root / "cache")
        train(recipe, root / "data", root / "adapter", 0, Encoders(SpeechEncoder, FaceEncoder))
    return root / "adapter"


@pytest.fixture(scope="module")
def judged(adapter, tmp_path_factory):
    """The call: its events, and the folder that holds the recorded session."""
    folder = tmp_path_factory.mktemp("call")
    done = tracker(
        *("run", str(telephone()), "--pace", "fast", "--json", "--mqtt", "off", "--record", "session"),
        *("--set", f"recognise.adapter={adapter}", "--set", "record.text=true", "--set", "record.audio=true"),
        folder=folder,
    )
    assert (done.code, done.said) == (0, "")
    return done.events, folder


def test_events_are_valid_and_tell_the_labels(judged):
    events, _ = judged
    started, ended = events[0], turns(events)
    assert started.labels == list(LABELS)
    assert started.polarity["peaceful"] == {"positive": 1.0}
    assert len(ended) >= 5
    for turn in ended:
        assert tuple(turn.probabilities) == LABELS
        assert turn.emotion in LABELS
        shares = dict.fromkeys(("neutral", "negative", "positive"), 0.0)
        for label, share in turn.probabilities.items():
            for sentiment, part in started.polarity[label].items():
                shares[sentiment] += share * part
        assert shares[turn.sentiment] == pytest.approx(max(shares.values()))


def test_home_assistant_is_told_the_labels(judged):
    events, _ = judged
    home = HomeAssistant(Topics("et", "desk"), "homeassistant", 600, False)
    (*_, last) = [message for event in events for message in home.compose(event, late=False)]
    parts = json.loads(last.payload)["cmps"]
    emotions = [part for name, part in parts.items() if name.startswith("emotion_")]
    assert len(emotions) == 2
    assert all(part["options"] == list(LABELS) for part in emotions)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_export_works(judged, kind):
    events, folder = judged
    out = folder / f"call.{kind}"
    assert tracker("export", "session", "--out", str(out), folder=folder).code == 0
    if kind == "emotionml":
        for label in LABELS:
            assert f'<item name="{label}" />' in out.read_text()
    if kind == "csv":
        with out.open(encoding="utf-8", newline="") as table:
            rows = list(csv.DictReader(table))
        assert [row["emotion"] for row in rows] == [turn.emotion for turn in turns(events)]
        assert set(LABELS) <= set(rows[0])


def test_the_report_shows_every_label(judged):
    _, folder = judged
    done = tracker("report", "session", "--out", "call.html", "--png", "call.png", folder=folder)
    assert (done.code, done.said) == (0, "")
    page = (folder / "call.html").read_text()
    assert all(f">{label}</th>" in page for label in LABELS)


def test_it_is_shown_and_replayed(judged):
    events, folder = judged
    again = tracker("replay", "session", "--speed", "max", "--json", "--mqtt", "off", folder=folder)
    assert (again.code, again.events) == (0, events)
