import sys

import pytest

from tests.support.portaudio import FakePortAudio
from tracker.errors import SourceError, TrackerError
from tracker.sources.devices import AudioDevice, find_device, list_cameras, list_devices, load_portaudio

PORTAUDIO = FakePortAudio(
    ("Speakers", "ALSA", 0),
    ("USB Audio: Mic", "ALSA", 2),
    ("Webcam Mic", "ALSA", 1),
    ("Webcam Mic", "OSS", 1),
    ("Webcam Mic 2", "JACK", 1),
    default=2,
)


def test_the_list_holds_what_can_record():
    devices = list_devices(PORTAUDIO)
    assert devices[0] == AudioDevice(1, "USB Audio: Mic", "ALSA", 2, 48000, is_default=False)
    assert [(device.index, device.is_default) for device in devices] == [(1, False), (2, True), (3, False), (4, False)]


@pytest.mark.parametrize(
    ("wanted", "index"), [("", 2), ("1", 1), ("usb", 1), ("webcam oss", 3), ("webcam mic 2", 4), ("jack", 4)]
)
def test_which_device_is_meant(wanted, index):
    assert find_device(list_devices(PORTAUDIO), wanted).index == index


@pytest.mark.parametrize(
    ("portaudio", "wanted", "message"),
    [
        (FakePortAudio(("Speakers", "ALSA", 0)), "", "mic: there is no microphone; connect one, or name a media file"),
        (PORTAUDIO, "piano", "mic:piano: available: 1 USB Audio: Mic (ALSA); 2 Webcam Mic (ALSA); 3 Webcam Mic (OSS)"),
        (PORTAUDIO, "0", "mic:0: available: 1 USB Audio: Mic (ALSA)"),
        (PORTAUDIO, "webcam", "mic:webcam: matches several devices; give more of the name, or the index: 2 Webcam Mic"),
        (FakePortAudio(default=None), "", "mic: the system has no default microphone; available: 0 Room (ALSA)"),
    ],
)
def test_a_device_that_is_not_there_or_not_clear(portaudio, wanted, message):
    with pytest.raises(SourceError) as raised:
        find_device(list_devices(portaudio), wanted)
    assert str(raised.value).startswith(message)


def test_a_sound_system_that_does_not_answer(monkeypatch):
    portaudio = FakePortAudio()

    def refuse():
        raise portaudio.PortAudioError("not initialized")

    monkeypatch.setattr(portaudio, "query_hostapis", refuse)
    with pytest.raises(SourceError, match=r"mic: the sound system does not answer \(not initialized\)"):
        list_devices(portaudio)


class _Unloadable:
    """An import hook in whose world sounddevice cannot be imported."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def find_spec(self, name, path=None, target=None):
        if name == "sounddevice":
            raise self.error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError("PortAudio library not found"), "apt install libportaudio2"),
        (
            ModuleNotFoundError("No module named 'sounddevice'", name="sounddevice"),
            r"pip install 'emotion-tracker\[mic\]'",
        ),
    ],
)
def test_what_to_install_where_there_is_no_portaudio(monkeypatch, error, advice):
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Unloadable(error), *sys.meta_path])
    with pytest.raises(TrackerError, match=advice):
        load_portaudio()


def test_cameras_are_listed_once_each_and_in_order(tmp_path):
    for number, index, name in [(10, 0, "Second"), (0, 0, "First"), (1, 1, "First")]:
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "index").write_text(f"{index}\n")
        (tmp_path / f"video{number}" / "name").write_text(f"{name}\n")
    (tmp_path / "video7").mkdir()
    assert list_cameras(tmp_path) == [("/dev/video0", "First"), ("/dev/video10", "Second")]
    assert list_cameras(tmp_path / "elsewhere") == []
