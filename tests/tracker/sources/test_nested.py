"""A file that is opened as media can name other files and addresses: none of them is ever opened."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from av.format import ContainerFormat

from tests.support.recordings import hear, tone, write
from tracker.errors import SourceError
from tracker.sources.decode import FORMATS, open_media, open_regular
from tracker.sources.file_video import file_frames, has_video
from tracker.sources.files import FileSource
from tracker.sources.media import RATE_HZ
from tracker.sources.opencv import load_opencv
from tracker.sources.recorded_audio import RecordedSource
from tracker.sources.recorded_video import recorded_frames

pytestmark = pytest.mark.anyio

_HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXTINF:4.0,\n{}\n#EXT-X-ENDLIST\n"
_DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT4S" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="audio/mp4">'
    '<Representation id="1" bandwidth="1000"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>'
)
_SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {} RTP/AVP 0\na=rtpmap:0 PCMU/8000\n"


@contextmanager
def counting_server():
    """A server on this machine; gives its address and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def hostile(folder, address):
    """Files that name others; the neighbour is a sound file that can be read."""
    neighbour = write(folder / "neighbour.ts", tone(440, RATE_HZ, 1)[:, None], RATE_HZ)
    port = address.rpartition(":")[2]
    return {
        "fetches.m3u8": _HLS.format(f"{address}/segment.ts"),
        "fetches.mp4": _HLS.format(f"{address}/segment.ts"),
        "reads.m3u8": _HLS.format(f"file://{neighbour}"),
        "reads.wav": _HLS.format(neighbour),
        "beside.mkv": _HLS.format("neighbour.ts"),
        "concat.mp4": "ffconcat version 1.0\nfile 'neighbour.ts'\n",
        "concat.flac": "ffconcat version 1.0\nfile 'neighbour.ts'\n",
        "fetches.mpd": _DASH.format(f"{address}/segment.mp4"),
        "listens.sdp": _SDP.format(port),
        "listens.wav": _SDP.format(port),
    }


async def test_what_names_other_files_is_no_media_and_nothing_is_fetched(tmp_path):
    with counting_server() as (address, asked):
        for name, text in hostile(tmp_path, address).items():
            path = tmp_path / name
            path.write_text(text)
            for source in (FileSource(str(path)), RecordedSource("x", [(0, path)], 1, 20)):
                chunks, error = await hear(source)
                assert (name, chunks, type(error)) == (name, [], SourceError)
                assert "is not a media file that can be read" in str(error)
            with pytest.raises(SourceError, match="is not a media file that can be read"):
                FileSource(str(path)).check()
            assert not has_video(str(path))
            assert not [*file_frames(str(path), 5), *recorded_frames(str(path), load_opencv())]
    assert asked == []


async def test_the_tracks_of_a_recording_are_flac_and_nothing_else(tmp_path):
    track = write(tmp_path / "a.flac", tone(440, RATE_HZ, 1)[:, None], RATE_HZ)
    assert (await hear(RecordedSource("x", [(0, track)], 1, 20)))[1] is None
    other = write(tmp_path / "b.wav", tone(440, RATE_HZ, 1)[:, None], RATE_HZ).rename(tmp_path / "b.flac")
    assert isinstance((await hear(RecordedSource("x", [(0, other)], 1, 20)))[1], SourceError)


def test_no_demuxer_may_open_anything_even_if_it_were_allowed(tmp_path):
    """The second lock behind the list of formats."""
    with counting_server() as (address, asked):
        path, neighbour = tmp_path / "a.m3u8", write(tmp_path / "b.ts", tone(440, RATE_HZ, 1)[:, None], RATE_HZ)
        for target in (f"{address}/segment.ts", f"file://{neighbour}"):
            path.write_text(_HLS.format(target))
            with open_regular(str(path)) as file, pytest.raises(PermissionError, match="names another file"):
                open_media(file, "hls,mpegts")
    assert asked == []


def test_the_formats_that_are_read_are_known_and_open_nothing():
    """Those that open further files by themselves: lists, streams of the network, devices, files beside the file."""
    known = {name for one in FORMATS.split(",") for name in ContainerFormat(one, "r").name.split(",")}
    assert known
    assert not known & {
        *(
            "hls",
            "dash",
            "concat",
            "sdp",
            "rtsp",
            "rtp",
            "sap",
            "imf",
            "webm_dash_manifest",
            "lavfi",
            "image2",
            "mpegtsraw",
        ),
        *(
            "vobsub",
            "tty",
            "mlv",
            "rcwt",
            "ffmetadata",
            "alsa",
            "oss",
            "fbdev",
            "x11grab",
            "video4linux2",
            "v4l2",
            "concatf",
        ),
    }
