"""Processed feature files, and pickles that must not be trusted."""

import io
import os
import pickle
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adapters.datasets.processed import Samples, load_mmsa, load_mse, read_mse
from adapters.datasets.unpickle import Unpickler
from adapters.errors import AdapterError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_TRACKER_CACHE", str(tmp_path / "cache"))


def _read(content: bytes, folder: Path) -> Samples:
    """Read it as a file of MSE-Adapter's, as a user does."""
    (folder / "meld_train.pkl").write_bytes(content)
    return load_mse(folder, "meld", "train")


def _write(path: Path, value: Any) -> Path:
    path.write_bytes(pickle.dumps(value))
    return path


def _mse_row(**changes: Any) -> dict[str, Any]:
    features = {
        "text": "Hi.",
        "audio": np.ones((4, 3)),
        "video": np.ones((5, 2), np.float32),
        "audio_len": 2,
        "video_len": np.int64(5),
    }
    return {"features": {**features, **changes}, "label": "joy"}


def test_mse_rows_are_cut_to_their_length(tmp_path: Path) -> None:
    _write(tmp_path / "meld_valid.pkl", [_mse_row()])
    (sample,) = load_mse(tmp_path, "meld", "valid").samples
    assert (sample.text, sample.label) == ("Hi.", "joy")
    assert (sample.audio.shape, sample.video.shape) == ((2, 3), (5, 2))


def test_bad_mse_rows_are_counted_and_named(tmp_path: Path) -> None:
    rows = [
        _mse_row(audio_len=0),
        _mse_row(audio_len=9),
        _mse_row(audio_len=1.5),
        _mse_row(audio=[[1.0], [1.0, 2.0]]),
        _mse_row(audio=[[10**400]]),
        _mse_row(audio_len=10**400),
        _mse_row(audio=np.ones(4)),
        _mse_row(video=np.full((5, 2), np.nan)),
        _mse_row(text=None),
        {"features": {}, "label": "joy"},
        {"features": _mse_row()["features"]},
        "joy",
        *({**_mse_row(), "label": label} for label in (None, float("nan"), "bored", 7, 10**400, True, ["joy"])),
    ]
    split = load_mse(_write(tmp_path / "meld_test.pkl", rows).parent, "meld", "test")
    assert not split.samples
    assert split.refused == {
        "audio: a length of no frames, or of more than there are": 3,
        "audio: not a table of numbers with a length": 3,
        "audio: 1 axes instead of 2": 1,
        "video: numbers that are not finite": 1,
        "the text is a NoneType": 1,
        "no text, audio, audio_len, video, video_len": 1,
        "no label": 1,
        "no features, label": 1,
        "no usable label": 7,
    }


def test_chermas_labels_are_read_by_name_and_by_id(tmp_path: Path) -> None:
    rows = [{**_mse_row(), "label": label} for label in ("愤怒", "惊奇", np.str_("平静"), 3, np.int64(4))]
    split = load_mse(_write(tmp_path / "cherma_train.pkl", rows).parent, "cherma", "train")
    assert [sample.label for sample in split.samples] == ["anger", "surprise", "neutral", "joy", "neutral"]


def test_an_unknown_set(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="unknown set 'mosi'"):
        load_mse(tmp_path, "mosi", "train")


@given(
    st.integers(0, 4), st.integers(-1, 6), st.floats(width=32), st.sampled_from(["joy", 3, "bored", None, float("inf")])
)
def test_every_mse_row_is_kept_whole_or_refused(frames: int, length: int, value: float, label: object) -> None:
    row = {**_mse_row(audio=np.full((frames, 3), value), audio_len=length), "label": label}
    split = read_mse([row], "meld", size=0)
    assert len(split.samples) + split.refused.total() == 1
    good = 0 < length <= frames and np.isfinite(value) and label in ("joy", 3)
    assert len(split.samples) == good


def _columns(**changes: Any) -> dict[str, Any]:
    columns = {
        "raw_text": np.array(["good", "bad"]),
        "audio": np.ones((2, 4, 3)),
        "vision": np.ones((2, 5, 2)),
        "regression_labels": np.array([1.5, -2.0], np.float32),
        "audio_lengths": [4, 1],
        "vision_lengths": [5, 2],
    }
    return {**columns, **changes}


def test_mmsa(tmp_path: Path) -> None:
    path = _write(tmp_path / "unaligned_50.pkl", {"valid": _columns()})
    split = load_mmsa(path, "valid")
    assert [(sample.text, sample.label, len(sample.audio)) for sample in split.samples] == [
        ("good", 1.5, 4),
        ("bad", -2.0, 1),
    ]
    with pytest.raises(AdapterError, match="no split 'test'"):
        load_mmsa(path, "test")


def test_mmsa_without_a_column(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no audio, vision"):
        load_mmsa(_write(tmp_path / "x.pkl", {"train": {"raw_text": []}}), "train")


def test_silence_and_lost_faces_are_zero_in_mmsa(tmp_path: Path) -> None:
    audio, vision = np.ones((2, 4, 3)), np.ones((2, 5, 2))
    audio[0, 1] = -np.inf
    vision[0, 0] = np.nan
    path = _write(tmp_path / "ch-simsv2s.pkl", {"test": _columns(audio=audio, vision=vision)})
    first, _ = load_mmsa(path, "test").samples
    assert first.audio[1].tolist() == [0.0, 0.0, 0.0]
    assert first.video[0].tolist() == [0.0, 0.0]


def test_bad_mmsa_rows_are_counted_and_named(tmp_path: Path) -> None:
    audio = np.ones((2, 4, 3))
    audio[1, 0] = np.inf
    columns = _columns(audio=audio, regression_labels=np.array([np.nan, 1.0]))
    split = load_mmsa(_write(tmp_path / "x.pkl", {"train": columns}), "train")
    assert split.refused == {"no usable label": 1, "audio: numbers that are not finite": 1}


def test_mmsa_columns_of_different_lengths(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.pkl", {"train": _columns(audio_lengths=[4])})
    with pytest.raises(AdapterError, match="'audio_lengths': 1"):
        load_mmsa(path, "train")


def test_mmsa_columns_that_are_none(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.pkl", {"train": _columns(audio=np.array(1.0))})
    with pytest.raises(AdapterError, match="'audio': -1"):
        load_mmsa(path, "train")


def test_scores_that_are_no_numbers(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.pkl", {"train": _columns(regression_labels=[10**400, "1.5"])})
    assert load_mmsa(path, "train").refused == {"no usable label": 2}


def test_a_small_list_that_comes_to_gigabytes_is_refused(tmp_path: Path) -> None:
    """The same row again and again: some kilobytes on disk."""
    row = [1.0] * 2**13
    deep: list[Any] = [1.0]
    for _ in range(30):
        deep = [deep, deep]
    rows = [_mse_row(audio=[row] * 2**14), _mse_row(audio=deep)]
    split = load_mse(_write(tmp_path / "meld_train.pkl", rows).parent, "meld", "train")
    assert (tmp_path / "meld_train.pkl").stat().st_size < 2**18
    assert split.refused == {"audio: not a table of numbers with a length": 2}


@pytest.mark.parametrize("name", ["meld_train.pkl", "x.pkl"])
def test_a_row_that_comes_again_and_again_is_refused(tmp_path: Path, name: str) -> None:
    """An array of 4 MB that a file of 4 MB names 200 times."""
    frames = np.ones((1000, 1000), np.float32)
    rows = [_mse_row(audio=frames) for _ in range(200)]
    columns = {
        key: [row["features"][key] for row in rows] for key in ("text", "audio", "video", "audio_len", "video_len")
    }
    mmsa = _columns(
        raw_text=columns["text"],
        audio=columns["audio"],
        vision=columns["video"],
        regression_labels=[1.0] * 200,
        audio_lengths=columns["audio_len"],
        vision_lengths=columns["video_len"],
    )
    path = _write(tmp_path / name, rows if name == "meld_train.pkl" else {"train": mmsa})
    split = load_mse(tmp_path, "meld", "train") if name == "meld_train.pkl" else load_mmsa(path, "train")
    assert path.stat().st_size < 2**23
    assert 0 < len(split.samples) < 30
    assert split.refused["audio: not a table of numbers with a length"] == 200 - len(split.samples)


def test_frames_without_numbers_are_refused(tmp_path: Path) -> None:
    split = load_mse(_write(tmp_path / "meld_train.pkl", [_mse_row(audio=np.ones((4, 0)))]).parent, "meld", "train")
    assert split.refused == {"audio: frames without numbers": 1}


def test_something_else_than_a_list(tmp_path: Path) -> None:
    _write(tmp_path / "meld_train.pkl", {"a": 1})
    with pytest.raises(AdapterError, match="holds a dict"):
        load_mse(tmp_path, "meld", "train")


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


@pytest.mark.parametrize("value", [Bomb(), np.array([Bomb()], dtype=object), Path("x"), print])
def test_pickles_that_could_run_code_are_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(AdapterError, match="it wants to use"):
        _read(pickle.dumps(value), tmp_path)


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


_OBJECTS = _name("numpy", "dtype") + b"(\x8c\x02O8\x89\x88tR(K\x03\x8c\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
_NUMBERS = _name("numpy", "dtype") + b"(\x8c\x02f4\x89\x88tR"
_LAUGHS = b"]" + b"q\x00]h\x00ah\x00ah\x00ah\x00ah\x00ah\x00ah\x00ah\x00a" * 20
_EMPTY = _name("numpy.core.multiarray", "_reconstruct") + b"(" + _name("numpy", "ndarray") + b"K\x00\x85C\x01btR"
_ADDRESS = b"C\x08" + b"A" * 8
_RECORD = (
    b"(K\x03\x8c\x01|N(\x8c\x01at}\x8c\x01a("
    + _name("numpy", "dtype")
    + b"(\x8c\x02O8\x89\x88tRK\x00tsK\x08K\x08K\x00tb"
)
_RECORDS = _name("numpy", "dtype") + b"(\x8c\x02V8\x89\x88tR" + _RECORD


def _filled(shape: bytes, dtype: bytes, content: bytes) -> bytes:
    return _EMPTY + b"(K\x01" + shape + dtype + b"\x89" + content + b"tb"


@pytest.mark.parametrize(
    "content",
    [
        _name("numpy", "ndarray") + b"(K\x01\x85\x8c\x01O" + _ADDRESS + b"tR",
        _filled(b"K\x01\x85", _OBJECTS, _ADDRESS),
        _filled(b"K\x02\x85", _OBJECTS, b"]K\x01a"),
        _filled(b"K\x01\x85", _RECORDS, _ADDRESS),
        _name("numpy.core.multiarray", "scalar") + b"(" + _OBJECTS + _ADDRESS + b"tR",
        _name("numpy.core.numeric", "_frombuffer") + b"(" + _ADDRESS + _OBJECTS + b"K\x01\x85\x8c\x01CtR",
        _name("numpy", "ndarray") + b"}\x8c\x05shapeK\x01sb",
        _name("collections", "OrderedDict") + b"N}\x8c\x01aK\x01s\x86b",
        _name("_codecs", "encode") + b"(\x8c\x01a\x8c\x03hextR",
        b"\x8e" + struct.pack("<Q", 2**40),
        b"\x96" + struct.pack("<Q", 2**32),
        b"})" + b"\x85" * 10**6 + b"Ns",
        b"C\x08" + b"A" * 8 + b"\x98",
        _filled(b"K\x01\x85", _NUMBERS, b"C\x04abcd") + b"K\x00K\x01s",
        _filled(b"K\x01\x85", _NUMBERS, b"C\x04abcd") + b"(K\x01K\x01\x85" + _NUMBERS + b"\x89C\x04abcdtb",
        _name("numpy.core.numeric", "_frombuffer") + b"(J\x00\xca\x9a\x3b" + _NUMBERS + b"K\x01\x85\x8c\x01CtR",
        _name("numpy", "dtype") + b"(" + _LAUGHS + b"\x89\x88tR",
        _filled(b"(K\x00J\x00\xca\x9a\x3bt", _NUMBERS, b"C\x00"),
    ],
    ids=[
        *("an array of addresses", "objects from bytes", "objects that are missing", "records of objects", "an object"),
        *("objects from a buffer", "a changed type", "a changed class", "another codec"),
        *("bytes that are missing", "a buffer that is missing", "a deep key", "a view", "a changed array"),
        *("an array filled twice", "a billion zeros", "a billion laughs in an error", "a billion empty rows"),
    ],
)
def test_pickles_that_reach_into_memory_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(AdapterError, match=r"is refused|, not a list of utterances") as caught:
        _read(b"\x80\x04" + content + b".", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        (_name("__builtin__", "bytes") + b"\x8a\x04\x00\x00\x00\x02\x85Ra") * 100,
        (b"\x96" + struct.pack("<Q", 2**24) + bytes(2**24) + b"0") + b"\x8e" + struct.pack("<Q", 2**31),
    ],
    ids=["a hundred times 32 MiB", "2 GiB in a file of 16 MiB"],
)
def test_a_file_gets_memory_by_its_size(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(AdapterError, match=r"is refused: reading it takes more than (512|768) MiB of memory"):
        _read(b"\x80\x05]" + content + b".", tmp_path)


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("open('made', 'w')", "Too many open files"),
        ("__import__('socket').socket()", "Too many open files"),
        ("__import__('os').pwrite(1, b'x', 2**29)", "File too large"),
        ("bytearray(2**30)", "it takes more than 512 MiB"),
        ("10**10**9", ""),
    ],
)
def test_whoever_reads_can_do_nothing_else(tmp_path: Path, does: str, says: str) -> None:
    program = "from adapters.datasets import unpickle; unpickle._limits = lambda size: (1, 2**29)\n{}"
    program = program.format(f"unpickle.limited(lambda size: {does})")
    with (tmp_path / "out").open("wb") as out:
        command = [sys.executable, "-c", program]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, env=env, cwd=tmp_path
        )
    assert done.returncode == 1 if says else done.returncode in (-signal.SIGKILL, -signal.SIGXCPU)
    assert says in done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "meld_train.pkl", [_mse_row(), _mse_row(text=None)])
    (first,) = (once := load_mse(tmp_path, "meld", "train")).samples
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "run", None)
        (second,) = (again := load_mse(tmp_path, "meld", "train")).samples
    assert once.refused == again.refused == {"the text is a NoneType": 1}
    np.testing.assert_equal(second.audio, first.audio)
    (kept,) = (tmp_path / "cache" / "training").iterdir()
    assert kept.suffix == ".npz"
    _write(tmp_path / "meld_train.pkl", [_mse_row(text="Other.")])
    assert load_mse(tmp_path, "meld", "train").samples[0].text == "Other."


def test_what_is_refused_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(AdapterError):
        _read(b"", tmp_path)
    assert not list((tmp_path / "cache" / "training").iterdir())


_TYPES = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(),
    arrays.unsigned_integer_dtypes(),
    arrays.floating_dtypes(sizes=(16, 32, 64)),
    arrays.unicode_string_dtypes(min_len=1, max_len=4),
    arrays.byte_string_dtypes(min_len=1, max_len=4),
)


@given(_TYPES.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_side=0))), st.integers(0, 5))
def test_arrays_come_through_in_every_protocol(array: np.ndarray[Any, Any], protocol: int) -> None:
    turned = np.moveaxis(array, 0, 1) if array.ndim > 1 else array
    values = {
        "whole": array,
        "transposed": array.T,
        "turned": turned,
        "first": array.ravel()[:1].tolist(),
        "one": [*array.ravel()[:1]],
    }
    found = Unpickler(io.BytesIO(pickle.dumps(values, protocol))).load()
    np.testing.assert_equal(found, values)
    assert found["whole"].dtype == pickle.loads(pickle.dumps(array, protocol)).dtype


@pytest.mark.parametrize("content", [b"", b"\x80\x04nonsense", b"not a pickle"])
def test_damaged_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(AdapterError, match="is refused"):
        _read(content, tmp_path)


def test_a_missing_pickle(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no pickle at"):
        load_mse(tmp_path, "meld", "train")


@pytest.mark.parametrize("value", [np.arange(3), np.float32(2), {"a": [1, "b", None, (2.0, b"c")]}])
def test_plain_data_comes_through(value: object) -> None:
    np.testing.assert_equal(Unpickler(io.BytesIO(pickle.dumps(value))).load(), value)
