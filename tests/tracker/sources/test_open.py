import io

import pytest

from tracker.app import plugins
from tracker.errors import ConfigError, SourceError
from tracker.sources.files import FileSource
from tracker.sources.microphone import MicrophoneSource
from tracker.sources.open import SourceName, SourceOptions, open_source, parse_source
from tracker.sources.pacing import PacedSource
from tracker.sources.stdin import StdinSource


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("mic", SourceName("mic")),
        ("mic:USB Audio", SourceName("mic", "USB Audio")),
        ("mic:2", SourceName("mic", "2")),
        ("mic:hw:1,0", SourceName("mic", "hw:1,0")),
        ("-", SourceName("stdin")),
        ("./mic", SourceName("file", "./mic")),
        ("mic.wav", SourceName("file", "mic.wav")),
        ("odd:name.wav", SourceName("file", "odd:name.wav")),
        ("Radio://station/one", SourceName("radio", "Radio://station/one")),
        ("talk/a b.m4a", SourceName("file", "talk/a b.m4a")),
    ],
)
def test_what_an_argument_means(argument, meant):
    assert parse_source(argument) == meant


@pytest.mark.parametrize(("argument", "message"), [("", "no source was named"), ("mic: ", "mic: names no device")])
def test_arguments_that_mean_nothing(argument, message):
    with pytest.raises(SourceError, match=message):
        parse_source(argument)


@pytest.mark.parametrize(
    ("argument", "fast", "realtime"),
    [("mic", MicrophoneSource, MicrophoneSource), ("-", StdinSource, PacedSource), ("a.wav", FileSource, PacedSource)],
)
def test_the_source_and_its_pace(argument, fast, realtime):
    for pace, kind in (("fast", fast), ("realtime", realtime)):
        options = SourceOptions(stdin=io.BytesIO(), pace=pace)
        assert type(open_source(argument, options, plugins.source)) is kind


def test_a_scheme_that_nobody_provides_is_refused():
    with pytest.raises(ConfigError, match=r"^radio://one: 'radio' is not installed; there are: .*file.*mic.*stdin"):
        open_source("radio://one", SourceOptions(), plugins.source)
