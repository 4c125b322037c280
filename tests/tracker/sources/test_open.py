import io

import pytest

from tracker.errors import SourceError
from tracker.runtime.clock import SystemClock
from tracker.sources.files import FileSource
from tracker.sources.microphone import MicrophoneSource
from tracker.sources.open import File, Microphone, Stdin, parse_source, source_from
from tracker.sources.pacing import Paced
from tracker.sources.stdin import StdinSource


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("mic", Microphone()),
        ("mic:USB Audio", Microphone("USB Audio")),
        ("mic:2", Microphone("2")),
        ("mic:hw:1,0", Microphone("hw:1,0")),
        ("-", Stdin()),
        ("./mic", File("./mic")),
        ("mic.wav", File("mic.wav")),
        ("talk/a b.m4a", File("talk/a b.m4a")),
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
    [("mic", MicrophoneSource, MicrophoneSource), ("-", StdinSource, Paced), ("a.wav", FileSource, Paced)],
)
def test_the_source_and_its_pace(argument, fast, realtime):
    for pace, kind in (("fast", fast), ("realtime", realtime)):
        assert type(source_from(argument, clock=SystemClock(), stdin=io.BytesIO(), pace=pace)) is kind
