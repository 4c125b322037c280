import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.recordings import CODECS, tone, write
from tracker.sources.signatures import CONTAINER, ENOUGH, is_media, other_kind, undecided


def first_bytes(data):
    return data[: ENOUGH if undecided(data[:CONTAINER]) else CONTAINER]


@pytest.mark.parametrize("extension", CODECS)
def test_media_files_are_known_by_their_first_bytes(tmp_path, extension):
    data = write(tmp_path / f"a.{extension}", tone(440, 48000, 1)[:, None], 48000).read_bytes()
    assert is_media(first_bytes(data))


@pytest.mark.parametrize("extension", ["mp3", "mp2", "aac"])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 44100])
def test_streams_of_frames_are_known_without_a_header(tmp_path, extension, rate_hz):
    """MPEG 1, 2 and 2.5 in two layers, and ADTS."""
    if extension == "mp2" and rate_hz < 16000:
        return  # MPEG 2.5 has layer III alone
    data = write(tmp_path / f"a.{extension}", tone(440, rate_hz, 1)[:, None], rate_hz).read_bytes()
    data = data[data.index(b"\xff") :]  # after what ID3 says
    assert is_media(first_bytes(data))
    assert not is_media(first_bytes(data[1:]))


@settings(deadline=None)
@given(
    st.integers(0, 2**32), st.sampled_from([0, 1, 2, 30, 1000, 20000]), st.sampled_from([-1, -257, -1025, -3841, 71])
)
def test_raw_samples_are_no_media_even_where_they_begin_like_a_frame(seed, level, first):
    samples = np.round(np.random.default_rng(seed).normal(0, level, ENOUGH)).astype("<i2")
    samples[0] = first
    head = first_bytes(samples.tobytes())
    assert len(head) == ENOUGH
    assert not is_media(head)
    assert not other_kind(head)


def test_silence_and_what_ends_at_once_are_no_media():
    for data in (b"", b"\xff", b"G", b"\xff\xfb", bytes(100), b"Hello"):
        assert not is_media(data)
        assert not other_kind(data)
