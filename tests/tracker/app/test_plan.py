"""What will run, decided before anything is touched."""

from pathlib import Path

import pytest

from tracker.app.plan import names_of, plan, video_of
from tracker.config import Config
from tracker.errors import ConfigError
from tracker.sources.video import CameraName, CameraVideo, NoVideo


def test_each_source_has_a_name_of_its_own():
    assert names_of(["a/call.wav", "mic", "-", "b/Call.flac", "mic:USB"]) == ["call", "mic", "stdin", "call-2", "mic-2"]
    for twice in ("mic", "-"):
        with pytest.raises(ConfigError, match="is named twice"):
            names_of([twice, "call.wav", twice])


def test_an_only_session_keeps_its_topics_and_its_folder():
    config = Config()
    (one,) = plan(["call.wav"], config, Path("kept"))
    assert (one.name, one.config, one.record) == ("", config, Path("kept"))


def test_several_sessions_have_topics_and_folders_of_their_own():
    both = plan(["call.wav", "mic"], Config(mqtt={"node": "desk"}), Path("kept"))
    assert [one.config.mqtt.node for one in both] == ["desk-call", "desk-mic"]
    assert [one.record for one in both] == [Path("kept/call"), Path("kept/mic")]


@pytest.mark.parametrize(
    ("scheme", "source", "pace", "wanted"),
    [
        ("file", "auto", "fast", None),
        ("file", "", "fast", NoVideo("no camera")),
        ("mic", "auto", "fast", NoVideo("no camera")),
        ("mic", "0", "fast", CameraVideo(CameraName(0))),
        ("file", "http://h/v", "realtime", CameraVideo(CameraName("http://h/v"))),
        ("", "0", "fast", CameraVideo(CameraName(0))),
    ],
)
def test_what_is_looked_at(scheme, source, pace, wanted):
    assert video_of(scheme, Config(video={"source": source}, input={"pace": pace})) == wanted


def test_no_face_is_looked_at_where_words_alone_may_be_judged():
    for purpose in ("workplace", "education"):
        assert video_of("mic", Config(video={"source": "0"}, session={"purpose": purpose})) == NoVideo(
            "not used for this purpose"
        )


def test_a_camera_goes_with_one_session_as_if_live():
    with pytest.raises(ConfigError, match="needs --pace realtime"):
        video_of("file", Config(video={"source": "0"}, input={"pace": "fast"}))
    with pytest.raises(ConfigError, match="a camera shows one conversation"):
        plan(["mic", "call.wav"], Config(video={"source": "0"}))
