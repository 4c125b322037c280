"""The tables of any session: CSV and Parquet, as readers that are not ours read them."""

import csv
import io
import sys
from datetime import datetime

import pandas
import pyarrow.parquet
import pytest
from hypothesis import given

from adapters.contract import LabelSet, Polarity
from tests.pictures.story import story, write_session
from tests.support.conversations import a_while, any_session, spoken
from tests.support.sessions import LABELS, Script
from tracker.errors import ConfigError, TrackerError
from tracker.recordings.exports.conversation import one_line
from tracker.recordings.exports.parquet import parquet
from tracker.recordings.exports.table import FIELDS, to_csv
from tracker.recordings.exports.write import export_session


@a_while
@given(any_session)
def test_a_csv_holds_the_words(events):
    heard = spoken(events)
    read = list(csv.DictReader(io.StringIO(to_csv(heard), newline="")))
    assert [one_line(row["text"]) for row in read] == [turn.text for turn in heard.turns]
    for row, turn in zip(read, heard.turns, strict=True):
        assert {label: float(row[label]) for label in LABELS} == turn.event.probabilities
        assert (float(row["start_s"]), float(row["end_s"])) == (turn.event.start_ns / 1e9, turn.event.end_ns / 1e9)
        assert row["speaker_name"] == turn.name


def test_line_breaks_in_a_csv_are_kept_and_nothing_moves_the_cursor():
    events = Script().start().says(0, 1, "A", 'a "b",\r\n\tc\x1b[2J\x00').end(2)
    (row,) = csv.DictReader(io.StringIO(to_csv(spoken(events)), newline=""))
    assert row["text"] == 'a "b",\r\n\tc [2J '


def test_no_name_in_a_csv_moves_the_cursor_or_turns_text_around():
    nasty = "\x1b[2J\x9b31m\u202egnp"
    labels = LabelSet("nasty", (nasty, "joy"), (Polarity(negative=1.0), Polarity(positive=1.0)))
    written = to_csv(spoken(Script(labels=labels).start().says(0, 1, nasty, nasty, nasty).end(2), labels=labels.labels))
    assert not set("\x1b\x9b\u202e") & set(written)
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    assert row[" [2J 31m gnp"] == "0.6"
    assert (row["speaker"], row["text"]) == (" [2J 31m gnp",) * 2


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＠x"]


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_spreadsheet_takes_no_text_for_a_formula_where_that_is_asked_for(formula):
    labels = LabelSet("formulas", (formula, "joy"), (Polarity(negative=1.0), Polarity(positive=1.0)))
    script = Script(labels=labels).start().says(0, 1, formula, formula, formula, unsure=formula)
    heard = spoken(script.end(2), labels=labels.labels)
    (row,) = csv.DictReader(io.StringIO(to_csv(heard), newline=""))
    assert (row["speaker"], row["text"], row[formula]) == (formula, formula, "0.6")
    (row,) = csv.DictReader(io.StringIO(to_csv(heard, guard=True), newline=""))
    assert {row[name] for name in ("speaker", "text", "emotion", "abstained_reason")} == {f"'{formula}"}
    assert (row[f"'{formula}"], row["joy"], row["start_s"]) == ("0.6", "0.4", "0.0")


def test_a_byte_order_mark_is_written_where_it_is_asked_for_and_hides_no_column(tmp_path):
    write_session(tmp_path / "s", Script().start().says(0, 1, "Zoë", "naïve").end(2), audio=False)
    export_session(tmp_path / "s", None, tmp_path / "plain.csv")
    export_session(tmp_path / "s", None, tmp_path / "marked.csv", bom=True)
    plain_bytes, marked = (tmp_path / "plain.csv").read_bytes(), (tmp_path / "marked.csv").read_bytes()
    assert marked == b"\xef\xbb\xbf" + plain_bytes
    assert list(pandas.read_csv(tmp_path / "marked.csv").columns) == [*FIELDS, *LABELS]
    for asked in ({"bom": True}, {"guard": True}):
        with pytest.raises(ConfigError, match="are for csv, not vtt"):
            export_session(tmp_path / "s", "vtt", None, **asked)


def test_pandas_reads_the_csv(tmp_path):
    (tmp_path / "s.csv").write_bytes(to_csv(spoken(story())).encode())
    frame = pandas.read_csv(tmp_path / "s.csv", parse_dates=["start_time", "end_time"])
    assert list(frame.columns) == [*FIELDS, *LABELS]
    assert frame[LABELS].sum(axis=1).to_numpy() == pytest.approx(1)
    assert (frame[LABELS].idxmax(axis=1) == frame["emotion"]).all()
    assert frame["abstained"].dtype == bool


@a_while
@given(any_session)
def test_pyarrow_reads_the_parquet(events):
    heard = spoken(events)
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(parquet(heard)))
    assert table.column_names == [*FIELDS, *LABELS]
    for row, turn in zip(table.to_pylist(), heard.turns, strict=True):
        event = turn.event
        assert (row["text"], row["abstained"], row["confidence"]) == (event.text, event.abstained, event.confidence)
        assert row["start_time"] == datetime.fromisoformat(event.start_time)
        assert {label: row[label] for label in LABELS} == event.probabilities


def test_an_emotion_that_is_called_like_a_field_gets_a_column_of_its_own():
    events = Script().start().says(0, 1, "A", "hello").end(2)
    heard = spoken(events, labels=["text", "joy"])
    (row,) = csv.DictReader(io.StringIO(to_csv(heard)))
    assert (row["text"], row["text_2"]) == ("hello", "")


def test_pandas_reads_the_parquet(tmp_path):
    (tmp_path / "s.parquet").write_bytes(parquet(spoken(story())))
    frame = pandas.read_parquet(tmp_path / "s.parquet")
    assert len(frame) == len(spoken(story()).turns)
    assert str(frame["start_time"].dtype.tz) == "UTC"


def test_without_pyarrow_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TrackerError, match=r"pip install 'emotion-tracker\[export\]'"):
        parquet(spoken(story()))
