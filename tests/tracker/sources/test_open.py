import io

import pytest

from tracker.errors import SourceError
from tracker.runtime.clock import SystemClock
from tracker.sources.files import FileSource
from tracker.sources.microphone import MicrophoneSource
from tracker.sources.open import FileInput, MicrophoneInput, StdinInput, create_source, parse_source
from tracker.sources.pacing import PacedSource
from tracker.sources.stdin import StdinSource


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("mic", MicrophoneInput()),
        ("mic:USB Audio", MicrophoneInput("USB Audio")),
        ("mic:2", MicrophoneInput("2")),
        ("mic:hw:1,0", MicrophoneInput("hw:1,0")),
        ("-", StdinInput()),
        ("./mic", FileInput("./mic")),
        ("mic.wav", FileInput("mic.wav")),
        ("talk/a b.m4a", FileInput("talk/a b.m4a")),
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
        assert type(create_source(argument, clock=SystemClock(), stdin=io.BytesIO(), pace=pace)) is kind
