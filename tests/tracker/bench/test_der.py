import pytest

from tests.support.sessions import Script
from tracker.bench.der import main, parts, read_rttm
from tracker.events import to_json

SAID = [(0.0, 2.0, "anna"), (2.0, 4.0, "ben"), (3.0, 4.0, "anna")]


def test_names_do_not_matter_and_overlap_counts():
    assert parts(SAID, [(a, b, name.upper()) for a, b, name in SAID], 4)["DER"] == 0
    without_overlap = parts(SAID, SAID[:2], 4)
    assert without_overlap["missed detection"] == without_overlap["DER"] == pytest.approx(1 / 5)


def test_the_parts_are_shares_of_the_speech():
    found = parts(SAID, [(0.0, 4.0, "one"), (4.0, 5.0, "two")], 5)
    assert found["confusion"] == pytest.approx(1 / 5)
    assert found["false alarm"] == pytest.approx(1 / 5)
    assert found["DER"] == pytest.approx(3 / 5)


def test_what_lies_beyond_the_recording_is_left_out():
    assert parts([*SAID, (4.0, 9.0, "anna")], SAID, 4)["DER"] == 0


def test_an_events_log_against_a_file_with_several_recordings(tmp_path, capsys):
    script = Script().start("meetings/one.flac").says(0, 2, "Speaker 1", "a").says(2, 4, "Speaker 2", "b").end(4)
    (tmp_path / "log.jsonl").write_text("".join(to_json(event) + "\n" for event in script))
    lines = [f"SPEAKER {file} 1 {at} 2.0 <NA> <NA> {who} <NA> <NA>" for file, at, who in (
        ("one", 0.0, "anna"), ("one", 2.0, "ben"), ("two", 0.0, "carl"),
    )]  # fmt: skip
    assert len(read_rttm(lines, "one")) == 2
    assert read_rttm(lines, "three") == []
    assert len(read_rttm(lines[:2], "three")) == 2
    (tmp_path / "reference.rttm").write_text("\n".join(lines))
    main(tmp_path / "log.jsonl", tmp_path / "reference.rttm")
    assert "one: DER 0.000" in (said := capsys.readouterr().out)
    assert "speakers 2 of 2" in said
