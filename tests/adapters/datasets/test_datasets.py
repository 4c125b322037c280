"""The data sets' readers, on small files written in their formats, broken ones included."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from adapters.contract import MELD_LABELS, Utterance
from adapters.datasets import emodb, meld, nemo, neutral_talk, ravdess, sound, urdu
from adapters.errors import AdapterError

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"


def _meld(folder: Path, rows: str, header: str = HEADER) -> Path:
    (folder / "dev_sent_emo.csv").write_text(header + rows, encoding="utf-8")
    return folder


def test_meld(tmp_path: Path) -> None:
    rows = (
        '1,"It\x92s  me, Joey.",Joey,joy,positive,7,0,1,1,0,0\n'
        "2,What?,Ross,surprise,negative,7,1,1,1,0,0\n"
        "3,Hm.,Ross,bored,neutral,7,2,1,1,0,0\n"
        "4,,Ross,neutral,neutral,7,3,1,1,0,0\n"
        "5,No!,Monica,anger,negative,2,0,1,1,0,0\n"
    )
    corpus = meld.load(_meld(tmp_path, rows), "dev")
    assert [[line.utterance for line in dialogue] for dialogue in corpus.dialogues] == [
        [Utterance("Joey", "It’s me, Joey."), Utterance("Ross", "What?")],
        [Utterance("Monica", "No!")],
    ]
    assert [MELD_LABELS.labels[label] for label in corpus.labels] == ["joy", "surprise", "anger"]
    assert corpus.refused == {"unknown emotion 'bored'": 1, "no words": 1}


def test_meld_with_other_columns(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no column Emotion"):
        meld.load(_meld(tmp_path, "", HEADER.replace("Emotion", "Feeling")), "dev")


def test_meld_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"test_sent_emo\.csv"):
        meld.load(tmp_path, "test")


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _labels(clips: ravdess.Clips) -> list[str]:
    return [MELD_LABELS.labels[clip.label] for clip in clips.clips]


def test_ravdess(tmp_path: Path) -> None:
    _touch(
        tmp_path / "actor_01/03-01-02-01-01-01-01.flac",
        tmp_path / "actor_17/03-01-08-01-01-01-17.wav",
        tmp_path / "actor_17/notes.txt",
        tmp_path / "actor_xx/03-01-05-01-01-01-xx.wav",
    )
    corpus = ravdess.load(tmp_path, "all")
    assert _labels(corpus) == ["neutral", "surprise"]
    assert [clip.held_out for clip in corpus.clips] == [False, True]
    assert [_labels(ravdess.load(tmp_path, split)) for split in ("train", "dev")] == [["neutral"], ["surprise"]]
    assert corpus.refused == {"not a name of RAVDESS": 2}


def test_emodb(tmp_path: Path) -> None:
    _touch(tmp_path / "03a01Wa.flac", tmp_path / "16b02Lb.wav", tmp_path / "README")
    corpus = emodb.load(tmp_path, "all")
    assert _labels(corpus) == ["anger"]
    assert corpus.refused == {"emotion L": 1, "not a name of EMO-DB": 1}


def test_nemo(tmp_path: Path) -> None:
    _touch(tmp_path / "AB0_fear_1.flac")
    rows = ["emotion\tspeaker_id\tfile_id", "fear\tAB0\tAB0_fear_1.wav", "fear\tCD0\tCD0_fear_2.wav", "fear"]
    (tmp_path / "data.tsv").write_text("\n".join(rows), encoding="utf-8")
    corpus = nemo.load(tmp_path, "all")
    assert _labels(corpus) == ["fear"]
    assert corpus.refused == {"no such file": 1, "more or fewer cells than columns": 1}


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (b"file\temotion\nAB0_fear_1.wav\tfear\n", r"data\.tsv has no column file_id, speaker_id"),
        ("file_id\temotion\tspeaker_id\nŻ\tfear\tAB0\n".encode("iso8859-2"), r"data\.tsv is not a CSV file in UTF-8"),
    ],
)
def test_nemo_with_another_table(tmp_path: Path, table: bytes, reason: str) -> None:
    (tmp_path / "data.tsv").write_bytes(table)
    with pytest.raises(AdapterError, match=reason):
        nemo.load(tmp_path, "all")


def test_urdu(tmp_path: Path) -> None:
    _touch(tmp_path / "Happy/SM1_F2_H03.wav", tmp_path / "odd/SM1_F2_X03.wav")
    corpus = urdu.load(tmp_path, "all")
    assert [clip.speaker for clip in corpus.clips] == ["SM1"]
    assert corpus.refused == {"folder odd": 1}


@pytest.mark.parametrize("load", [ravdess.load, emodb.load, nemo.load, urdu.load])
def test_a_missing_corpus_is_named(tmp_path: Path, load: object) -> None:
    assert callable(load)
    with pytest.raises(AdapterError, match="nowhere"):
        load(tmp_path / "nowhere", "all")


@pytest.mark.parametrize("load", [ravdess.load, emodb.load, nemo.load, urdu.load])
def test_a_file_in_place_of_a_corpus_is_named(tmp_path: Path, load: object) -> None:
    assert callable(load)
    (tmp_path / "clips.zip").touch()
    with pytest.raises(AdapterError, match=r"clips\.zip.*give the folder"):
        load(tmp_path / "clips.zip", "all")


def test_windows_of_ordinary_talk_keep_training_and_held_out_time_apart(tmp_path: Path) -> None:
    names = ["telephone/sample", "meetings/trn03", "meetings/trn04", "meetings/trn05"]
    names += ["librispeech_pair/6930-75918-0000", "librispeech_pair/7902-96591-0000"]
    for name in names:
        path = tmp_path / f"{name}.flac"
        path.parent.mkdir(exist_ok=True)
        seconds = np.arange(16_000 * (22 if "trn" in name or "tele" in name else 3)) / 16_000 / 100
        soundfile.write(path, seconds, 16_000)
    heard = neutral_talk.CORPUS.read(tmp_path, "all").clips
    for window in heard:
        begin, end = sound.read_clip(window)[[0, -1]] * 100  # each sample says when it was
        if "librispeech" not in window.speaker:
            assert (begin >= 17.9) if window.held_out else (end < 18.1)
    assert {window.speaker for window in heard if window.held_out} == {f"{name}.flac" for name in names}


def test_a_sound_of_another_rate_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros(800), 8_000)
    with pytest.raises(AdapterError, match="8000 Hz"):
        sound.read_mono(tmp_path / "x.wav")


@pytest.mark.parametrize(
    ("name", "content"), [("x.wav", b""), ("x.wav", b"hello"), ("x.wav", b"RIFFxxxx"), ("x.raw", b"\x00\x00")]
)
def test_a_file_that_is_no_sound_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AdapterError, match=rf"{name} is damaged or no sound file"):
        sound.read_mono(tmp_path / name)


def test_a_pipe_in_a_corpus_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.wav")
    with pytest.raises(AdapterError, match=r"x\.wav is missing, or no ordinary file"):
        sound.read_mono(tmp_path / "x.wav")


def test_nothing_beside_a_sound_is_opened(tmp_path: Path) -> None:
    """By its name, libsndfile looks for a resource fork, and would wait for this one."""
    (tmp_path / "x.wav").write_bytes(b"no sound that anything knows")
    os.mkfifo(tmp_path / "._x.wav")
    with pytest.raises(AdapterError, match=r"x\.wav is damaged or no sound file"):
        sound.read_mono(tmp_path / "x.wav")


def test_a_damaged_sound_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.flac"
    soundfile.write(path, np.sin(np.arange(16_000)), 16_000)
    whole = path.read_bytes()
    longest = bytes([whole[21] | 0x0F]) + b"\xff" * 4  # 2**36 - 1 samples, as the header counts them
    for damaged in (whole[: len(whole) // 2], whole[:21] + longest + whole[26:]):
        path.write_bytes(damaged)
        with pytest.raises(AdapterError, match=r"x\.flac is damaged or no sound file"):
            sound.read_mono(path)


@pytest.mark.data
def test_the_real_meld(data_dir: Path) -> None:
    train, dev = (meld.load(data_dir / "meld", split) for split in ("train", "dev"))
    assert (len(train.labels), len(train.dialogues), len(dev.labels), len(dev.dialogues)) == (9989, 1038, 1109, 114)
    assert not train.refused
    assert not dev.refused
