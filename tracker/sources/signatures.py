"""How piped media files begin, so that they are not taken for raw samples. Pure.

Containers begin with four bytes or more of their own, which sound hardly ever has. MPEG streams have only a few bits;
so several frames must follow each other.
"""

from __future__ import annotations

CONTAINER = 16
"""Bytes in which a container shows."""

ENOUGH = 1 << 14
"""Bytes in which a stream of frames, text, or the order of an MP4 file shows."""

_AT_START = (
    *(b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b"ID3", b"caff", b".snd", b"#!AMR", b"FLV\x01"),
    *(b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"\x00\x00\x01\xba", b"\x7f\xfe\x80\x01", b"wvpk", b"MAC ", b"TTA1"),
    *(b"DSD ", b"MPCK", b"tBaK", b".RMF", b"Creative Voice", b"NIST_1A", b"\x02dss", b"\x03dss"),
)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_OTHERS = {
    b"%PDF": "a PDF file",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b\x08": "a gzip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
_IN_A_ROW = 4  # frames
_TS_PACKET = 188  # bytes
_NO_TEXT = {*range(32)} - {*b"\t\n\r"}
_LAYER_KBPS = (  # by MPEG 1's layer I, II and III, then MPEG 2's layer I, and II and III; ISO 11172-3, 13818-3
    (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
_HZ = (44100, 48000, 32000)


def undecided(head: bytes) -> bool:
    """Whether what begins so may be a stream of frames, text or MP4, so that `ENOUGH` bytes are needed to tell."""
    frames = head[:1] == b"\x47" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")
    return frames or head[4:8] in _MP4_BOXES or _is_text(head)


def is_media(head: bytes) -> bool:
    """Whether what begins so is a media file."""
    return head.startswith(_AT_START) or head[4:8] in _MP4_BOXES or _is_transport_stream(head) or _is_frames(head)


def index_is_last(head: bytes) -> bool:
    """Whether it is an MP4 file whose sound comes before the index, without which nothing of it can be decoded."""
    at = 0
    while at + 8 <= len(head) and (kind := head[at + 4 : at + 8]) in _MP4_BOXES and kind != b"moov":
        if kind == b"mdat":
            return True
        at += max(8, int.from_bytes(head[at : at + 4], "big"))
    return False


def other_kind(head: bytes) -> str:
    """What else it is, in words; empty where it may be raw samples."""
    known = next((kind for sign, kind in _OTHERS.items() if head.startswith(sign)), "")
    return known or ("text" if _is_text(head) else "")


def _is_text(head: bytes) -> bool:
    return len(head) >= CONTAINER and head.isascii() and not set(head) & _NO_TEXT


def _is_transport_stream(head: bytes) -> bool:
    begins = head[: _IN_A_ROW * _TS_PACKET : _TS_PACKET]
    return len(begins) == _IN_A_ROW and set(begins) == {0x47}


def _is_frames(head: bytes) -> bool:
    at = count = 0
    while at + 6 <= len(head):
        size = _adts_size(head[at : at + 6]) or _mpeg_size(head[at : at + 4])
        if not size:
            return False
        at, count = at + size, count + 1
        if count == _IN_A_ROW:
            return True
    return count > 1 and at == len(head)


def _adts_size(header: bytes) -> int:
    """Bytes of an AAC frame with its header (ISO 13818-7); 0 where it is none."""
    if header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return size if size > 7 else 0


def _mpeg_size(header: bytes) -> int:
    """Bytes of an MPEG audio frame with its header (ISO 11172-3); 0 where it is none."""
    version, layer, kbps, hz = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3), header[2] >> 4, header[2] >> 2 & 3
    if header[0] != 0xFF or header[1] < 0xE0 or version == 1 or layer == 4 or kbps in (0, 15) or hz == 3:
        return 0
    old = version == 3
    rate_hz = _HZ[hz] // (1 if old else 2 if version == 2 else 4)
    bits = 1000 * _LAYER_KBPS[layer - 1 if old else 3 + (layer > 1)][kbps - 1]
    padding = header[2] >> 1 & 1
    if layer == 1:
        return (12 * bits // rate_hz + padding) * 4
    return (144 if old or layer == 2 else 72) * bits // rate_hz + padding
