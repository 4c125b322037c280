"""The readers of dialogues, on small files written in the sets' formats, broken ones included."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.contract import MELD_LABELS, Absent, LabelSet, Utterance
from adapters.datasets import dailydialog, emocontext, emorynlp, goemotions, iemocap, meld, plain_sentences, xed
from adapters.datasets.records import Dialogues
from adapters.errors import AdapterError

MELD_HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
EMORY_HEADER = "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode,Start_Time,End_Time\n"


def _said(dialogues: meld.Dialogues) -> list[list[Utterance]]:
    return [[line.utterance for line in dialogue] for dialogue in dialogues.dialogues]


def _names(dialogues: meld.Dialogues, labels: LabelSet) -> list[str]:
    return [labels.labels[label] for label in dialogues.labels]


def test_meld_clips(tmp_path: Path) -> None:
    rows = "".join(f"{n},Hi {n}.,Ross,joy,positive,7,{n},1,1,0,0\n" for n in range(4))
    rows += "5,Out.,Ross,joy,positive,../x,0,1,1,0,0\n"
    long_ids = ["9" * 300, "9" * 5000]  # longer than a file's name may be, and than a number may be
    rows += "".join(f"6,Far.,Ross,joy,positive,7,{number},1,1,0,0\n" for number in long_ids)
    (tmp_path / "dev_sent_emo.csv").write_text(MELD_HEADER + rows, encoding="utf-8")
    clips = tmp_path / "dev_splits_complete"
    clips.mkdir()
    for name, content in {
        "dia7_utt0.mp4": "x",
        "dia7_utt1.mp4": "x",
        "dia7_utt1.wav": "x",
        "dia7_utt2.flac": "",
    }.items():
        (clips / name).write_text(content)
    media = [line.media for dialogue in meld.load(tmp_path, "dev").dialogues for line in dialogue]
    assert media == [
        clips / "dia7_utt0.mp4",
        clips / "dia7_utt1.wav",
        Absent("dia7_utt2.flac is empty"),
        Absent("no clip dia7_utt3"),
        *(Absent(f"ids '7' and {number!r} name no clip") for number in long_ids),
        Absent("ids '../x' and '0' name no clip"),
    ]


def test_meld_without_clips(tmp_path: Path) -> None:
    (tmp_path / "test_sent_emo.csv").write_text(MELD_HEADER + "1,Hi.,Ross,joy,positive,7,0,1,1,0,0\n", encoding="utf-8")
    ((line,),) = meld.load(tmp_path, "test").dialogues
    assert line.media == Absent("no media folder of the test split")


def test_meld_rows_that_are_cut_short(tmp_path: Path) -> None:
    text = MELD_HEADER + "1,Hi.,Ross,joy,positive,7,0,1,1,0,0\n2,Hi.,Ross\n3,Hi.,Ross,joy,positive,7,2,1,1,0,0,9\n"
    (tmp_path / "dev_sent_emo.csv").write_text(text, encoding="utf-8")
    corpus = meld.load(tmp_path, "dev")
    assert len(corpus.labels) == 1
    assert corpus.refused == {"more or fewer cells than columns": 2}


def test_a_table_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "dev_sent_emo.csv").write_bytes(MELD_HEADER.encode() + b"1,\xff\xfe\n")
    with pytest.raises(AdapterError, match="not a CSV file in UTF-8"):
        meld.load(tmp_path, "dev")


@pytest.mark.parametrize(("load", "name"), [(meld.load, "dev_sent_emo.csv"), (emorynlp.load, "emorynlp_dev_final.csv")])
def test_a_folder_in_place_of_a_table(tmp_path: Path, load: Callable[[Path, str], Dialogues], name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(AdapterError, match=f"{name} is a folder"):
        load(tmp_path, "dev")


def test_emorynlp(tmp_path: Path) -> None:
    rows = (
        "Coffee.,['Rachel Green'],Neutral,1,1,1,15,00:00:03.795,00:00:05.004\n"
        "\"Hey, \x93you\x94!\",\"['Joey Tribbiani', 'Monica Geller']\",Joyful,1,2,1,15,0,0\n"
        'Hi.,"["Phoebe\'s Assistant"]",Mad,1,1,2,15,0,0\n'.replace('"["', '"[""').replace('"]"', '""]"')
        + "Hi.,Ross,Mad,1,3,1,15,0,0\n"
        "Hi.,[1],Mad,1,4,1,15,0,0\n"
        "Hi.,['Ross'],Bored,1,5,1,15,0,0\n"
        ",['Ross'],Sad,1,6,1,15,0,0\n"
        "Hi.,['Ross'],Sad\n"
    )
    (tmp_path / "emorynlp_dev_final.csv").write_text(EMORY_HEADER + rows, encoding="utf-8")
    corpus = emorynlp.load(tmp_path, "dev")
    assert _said(corpus) == [
        [Utterance("Rachel Green", "Coffee."), Utterance("Joey Tribbiani and Monica Geller", "Hey, “you”!")],
        [Utterance("Phoebe's Assistant", "Hi.")],
    ]
    assert _names(corpus, emorynlp.LABELS) == ["neutral", "joyful", "mad"]
    assert corpus.refused == {
        "speakers are not a list of names": 2,
        "unknown emotion 'Bored'": 1,
        "no words": 1,
        "more or fewer cells than columns": 1,
    }


@pytest.mark.parametrize("cell", ["['Ross'", "{[]}", "-" * 20_000 + "1", "[" * 5_000 + "]" * 5_000])
def test_emorynlp_speakers_that_are_no_list(tmp_path: Path, cell: str) -> None:
    rows = f"Hi.,{cell},Mad,1,1,1,15,0,0\nHi.,['Ross'],Mad,1,2,1,15,0,0\n"
    (tmp_path / "emorynlp_dev_final.csv").write_text(EMORY_HEADER + rows, encoding="utf-8")
    corpus = emorynlp.load(tmp_path, "dev")
    assert _said(corpus) == [[Utterance("Ross", "Hi.")]]
    assert corpus.refused == {"speakers are not a list of names": 1}


def test_emorynlp_with_other_columns(tmp_path: Path) -> None:
    (tmp_path / "emorynlp_dev_final.csv").write_text("Utterance,Speaker\n", encoding="utf-8")
    with pytest.raises(AdapterError, match="no column Emotion, Scene_ID"):
        emorynlp.load(tmp_path, "dev")


def test_emorynlp_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"emorynlp_test_final\.csv"):
        emorynlp.load(tmp_path, "test")


@pytest.mark.data
def test_the_real_emorynlp(data_dir: Path) -> None:
    train, dev = (emorynlp.load(data_dir / "emorynlp", split) for split in ("train", "dev"))
    assert (len(train.labels), len(train.dialogues), len(dev.labels), len(dev.dialogues)) == (7551, 659, 954, 89)
    assert not train.refused + dev.refused


def _iemocap(root: Path, session: int, name: str, turns: str, labels: str | None) -> Path:
    dialog = root / f"Session{session}" / "dialog"
    for folder in ("transcriptions", "EmoEvaluation"):
        (dialog / folder).mkdir(parents=True, exist_ok=True)
    (dialog / "transcriptions" / f"{name}.txt").write_text(turns, encoding="utf-8")
    if labels is not None:
        (dialog / "EmoEvaluation" / f"{name}.txt").write_text(labels, encoding="utf-8")
    return root


def test_iemocap(tmp_path: Path) -> None:
    turns = (
        "Ses05F_impro01_F000 [006.2901-008.2357]: Excuse me.\n"
        "Ses05F_impro01_F001 [014.8872-018.0175]: Is there a problem?\n"
        "Ses05F_impro01_M000 [010.0100-011.3925]: Do you have your forms?\n"
        "Ses05F_impro01_MXX0 [012.0000-012.5000]: Uh-huh.\n"
        "Ses05F_impro01_M001 [019.2900-020.7875]: \n"
        "M: Well.\n"
    )
    labels = (
        "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        "[6.2901 - 8.2357]\tSes05F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
        "C-E2:\tNeutral;\t()\n"
        "A-E3:\tval 3; act 2; dom  2;\t()\n"
        "[10.0100 - 11.3925]\tSes05F_impro01_M000\tfru\t[2.5000, 2.5000, 2.5000]\n"
        "[14.8872 - 18.0175]\tSes05F_impro01_F001\txxx\t[2.5000, 2.5000, 2.5000]\n"
    )
    _iemocap(tmp_path, 5, "Ses05F_impro01", turns, labels)
    clip = tmp_path / "Session5/sentences/wav/Ses05F_impro01/Ses05F_impro01_F000.wav"
    clip.parent.mkdir(parents=True)
    clip.touch()
    corpus = iemocap.load(tmp_path, "test")
    assert _said(corpus) == [
        [
            Utterance("F", "Excuse me."),
            Utterance("M", "Do you have your forms?"),
            Utterance("M", "Uh-huh."),
            Utterance("F", "Is there a problem?"),
        ]
    ]
    assert _names(corpus, iemocap.LABELS) == ["neutral", "frustrated"]
    assert [line.label is None for line in corpus.dialogues[0]] == [False, False, True, True]
    assert [line.media for line in corpus.dialogues[0]][:2] == [clip, Absent("no clip Ses05F_impro01_M000")]
    assert corpus.refused == {
        "no words": 1,
        "not a turn of a transcription": 1,
        "no label; kept as context": 1,
        "emotion xxx; kept as context": 1,
    }


@pytest.mark.parametrize(
    "turn",
    [
        "Ses04F_impro01_F001 [6.29.01-008.2357]: Hi.",
        "Ses04F_impro01_F001 [.-008.2357]: Hi.",
        f"Ses04F_impro01_F{'0' * 300} [006.2901-008.2357]: Hi.",
    ],
)
def test_iemocap_turns_of_another_form(tmp_path: Path, turn: str) -> None:
    turns = f"Ses04F_impro01_F000 [001.0-002.0]: Excuse me.\n{turn}\n"
    _iemocap(tmp_path, 4, "Ses04F_impro01", turns, "")
    corpus = iemocap.load(tmp_path, "dev")
    assert _said(corpus) == [[Utterance("F", "Excuse me.")]]
    assert corpus.refused == {"not a turn of a transcription": 1, "no label; kept as context": 1}


def test_iemocap_with_files_and_folders_exchanged(tmp_path: Path) -> None:
    texts = tmp_path / "Session4/dialog/transcriptions"
    (texts / "Ses04F_impro01.txt").mkdir(parents=True)
    with pytest.raises(AdapterError, match=r"Ses04F_impro01\.txt is a folder"):
        iemocap.load(tmp_path, "dev")
    (texts / "Ses04F_impro01.txt").rmdir()
    texts.rmdir()
    texts.touch()
    with pytest.raises(AdapterError, match="transcriptions is a file"):
        iemocap.load(tmp_path, "dev")


def test_iemocap_without_labels_of_a_dialogue(tmp_path: Path) -> None:
    _iemocap(tmp_path, 4, "Ses04M_script01_1", "Ses04M_script01_1_M000 [001.0-002.0]: Hi.\n", None)
    corpus = iemocap.load(tmp_path, "dev")
    assert corpus.labels == []
    assert corpus.refused["dialogue without a file of labels"] == 1


def test_iemocaps_splits_share_no_session(tmp_path: Path) -> None:
    for session in range(1, 6):
        name = f"Ses0{session}F_impro01"
        turn = f"{name}_F000"
        labels = f"[1.0 - 2.0]\t{turn}\thap\t[1.0, 1.0, 1.0]\n"
        _iemocap(tmp_path, session, name, f"{turn} [001.0-002.0]: Session {session}.\n", labels)
    said = {
        split: [line.text for (line,) in _said(iemocap.load(tmp_path, split))] for split in ("train", "dev", "test")
    }
    assert said == {
        "train": ["Session 1.", "Session 2.", "Session 3."],
        "dev": ["Session 4."],
        "test": ["Session 5."],
    }


def test_iemocap_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"no IEMOCAP session 1: put IEMOCAP into .*iemocap \(Session1 "):
        iemocap.load(tmp_path, "train")
    with pytest.raises(AdapterError, match="no split 'valid'"):
        iemocap.CORPUS.read(tmp_path, "valid")


def test_goemotions(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("anger\ndisgust\nfear\njoy\nneutral\nsadness\nsurprise\n")
    rows = ["How nice!\t3\ta1", "Fine.\t4\ta2", "Both.\t3,5\ta3", "None\t9\ta4", "cut short", "\t3\ta5", "“Bad”\t0\ta6"]
    (tmp_path / "dev.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = goemotions.load(tmp_path, "dev")
    assert _said(found) == [[Utterance("Speaker 1", text)] for text in ("How nice!", "Fine.", "“Bad”")]
    assert _names(found, MELD_LABELS) == ["joy", "neutral", "anger"]
    assert found.refused == {"several emotions": 1, "no comment with its emotions": 2, "no words": 1}
    (tmp_path / "labels.txt").write_text("admiration\namusement\n")
    with pytest.raises(AdapterError, match="take the grouping of Ekman"):
        goemotions.load(tmp_path, "dev")
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AdapterError, match="not a text in UTF-8"):
        goemotions.load(tmp_path, "dev")


def test_xed(tmp_path: Path) -> None:
    lines = [f"Line {number} , isn 't it ?\t{1 + number % 8}" for number in range(200)]
    lines += ["Several .\t1, 5", "...\t1", "cut short", "Odd .\tx"]
    (tmp_path / "en-annotated.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "neu_en.txt").write_text("".join(f"9\tNeutral {number}.\n" for number in range(100)), encoding="utf-8")
    train, dev = (xed.load(tmp_path, split) for split in ("train", "dev"))
    both = {line.utterance.text for found in (train, dev) for (line,) in found.dialogues}
    assert len(train) + len(dev) == len(both) == 150 + 100
    assert 5 < len(dev) < 60
    assert "Line 0, isn't it?" in both
    assert train.refused == {"several emotions": 1, "no line with its emotions": 3, "anticipation": 25, "trust": 25}
    assert set(_names(train, MELD_LABELS)) == set(MELD_LABELS.labels)


def test_dailydialog(tmp_path: Path) -> None:
    texts = "Hi . __eou__ Oh no ! __eou__\nWell . __eou__ Fine . __eou__ Good . __eou__\nOne . __eou__\n"
    (tmp_path / "validation_dialogues.txt").write_text(texts, encoding="utf-8")
    (tmp_path / "validation_dialogues_emotion.txt").write_text("0 1 \n0 4 5\n0 0\n", encoding="utf-8")
    dev = dailydialog.load(tmp_path, "dev")
    assert _names(dev, MELD_LABELS) == ["neutral", "anger", "neutral", "joy", "sadness"]
    assert [line.utterance.speaker for line in dev.dialogues[1]] == ["Speaker 1", "Speaker 2", "Speaker 1"]
    assert dev.refused == {"other numbers of utterances and emotions": 1}

    def turns(*said: tuple[str, str]) -> list[list[dict[str, str]]]:
        return [[{"utterance": text, "emotion": emotion} for text, emotion in said]]

    dialogues = {
        "tr_1": turns(("Hi.", "neutral"), ("Oh no!", "anger"), ("More.", "neutral")),  # the same as one above
        "tr_2": turns(("Great!", "happines"), ("Eh.", "mixed")),
    }
    (tmp_path / "reccon_train.json").write_text(json.dumps(dialogues), encoding="utf-8")
    train = dailydialog.load(tmp_path, "train")
    assert _names(train, MELD_LABELS) == ["joy"]
    assert train.refused == {"dialogue of the validation split": 1, "unknown emotion": 1}
    for damaged in ('{"a": [[{"utterance": "Hi."}]]}', "[1, 2]", "{", '{"a": 3}'):
        (tmp_path / "reccon_train.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(AdapterError, match="not RECCON's JSON"):
            dailydialog.load(tmp_path, "train")


def test_emocontext(tmp_path: Path) -> None:
    rows = ["id\tturn1\tturn2\tturn3\tlabel"]
    labels = ("happy", "sad", "angry", "others")
    rows += [f'{n}\tHi {n}\t"What\tYes {n}\t{labels[n % 4]}' for n in range(120)]
    rows += ["121\tHi\tWhat\tYes\tbored", "122\tHi\t\tYes\thappy", "123\tcut short"]
    (tmp_path / "train.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    train, dev = (emocontext.load(tmp_path, split) for split in ("train", "dev"))
    assert len(train) + len(dev) == 120
    assert len(dev) > 3
    assert [line.label is None for line in dev.dialogues[0]] == [True, True, False]
    assert dev.dialogues[0][1].utterance == Utterance("Speaker 2", '"What')
    assert set(_names(train, MELD_LABELS)) == {"joy", "sadness", "anger", "neutral"}
    assert train.refused == {"no three turns with a label": 2, "no words": 1}


def test_plain_sentences() -> None:
    found = plain_sentences.CORPUS.read(Path("nowhere"), "all")
    counted = Counter(_names(found, MELD_LABELS))
    assert min(counted.values()) >= 25
    assert set(counted) == set(MELD_LABELS.labels)
    assert len({line.utterance.text for (line,) in found.dialogues}) == len(found)
