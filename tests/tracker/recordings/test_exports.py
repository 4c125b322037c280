"""Any session exports, and a reader that is not ours reads the same turns back."""

import csv
import io
import shutil
import tempfile
from datetime import datetime, timedelta
from html import unescape
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet
import pympi
import pytest
import srt as srt_reader
import webvtt
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pyannote.database.util import load_rttm

from tests.pictures.story import story, write_session
from tests.support import TOP
from tests.support.command import tracker
from tests.support.conversations import HOSTILE, a_while, any_session, hostile, spoken
from tests.support.sessions import LABELS, Script
from tracker.errors import ConfigError, SessionError
from tracker.events import TurnEnded, without_words
from tracker.recordings.exports.conversation import Conversation, distinct, one_line
from tracker.recordings.exports.eaf import eaf
from tracker.recordings.exports.emotionml import NAMESPACE, emotionml
from tracker.recordings.exports.parquet import parquet
from tracker.recordings.exports.rttm import rttm, token
from tracker.recordings.exports.srt import plain, srt
from tracker.recordings.exports.table import to_csv
from tracker.recordings.exports.vtt import vtt
from tracker.recordings.exports.write import FORMATS, export_session
from tracker.recordings.report.summary import summarise

SCHEMA = etree.RelaxNG(file=str(TOP / "tests" / "support" / "emotionml.rng"))


def from_ms(ms):
    return timedelta(milliseconds=ms)


def ms_of(time):
    return ((time.hours * 60 + time.minutes) * 60 + time.seconds) * 1000 + time.milliseconds


@a_while
@given(any_session)
def test_every_judged_turn_is_told_once_in_the_order_of_its_start(events):
    turns = spoken(events).turns
    assert {turn.event.turn for turn in turns} == {event.turn for event in events if isinstance(event, TurnEnded)}
    assert [turn.event.start_ns for turn in turns] == sorted(turn.event.start_ns for turn in turns)
    assert all(turn.start_ms < turn.end_ms for turn in turns)
    assert all(turn.name and turn.name == one_line(turn.name) for turn in turns)


def test_the_last_name_of_a_speaker_is_used_for_all_turns():
    assert {turn.name for turn in spoken(story()).turns} == {"Anna", "Speaker 2"}


def test_the_turns_of_two_speakers_who_are_one_have_one_name():
    script = Script().start().says(0, 1, "Speaker 1", "a").says(2, 3, "Speaker 2", "b").renames(4, "Speaker 2", "Ben")
    events = script.merges(5, "Speaker 2", "Speaker 1").says(6, 7, "Speaker 1", "c").end(8)
    assert [turn.name for turn in spoken(events).turns] == ["Ben", "Ben", "Ben"]
    assert [(person.name, len(person.turns)) for person in summarise(events).people] == [("Ben", 3)]


def test_a_name_that_only_a_turn_carries_is_used_too():
    events = Script().start().says(0, 1, "Speaker 1", "a").says(2, 3, "Speaker 1", "b", name="Anna").end(4)
    assert [turn.name for turn in spoken(events).turns] == ["Anna", "Anna"]


def test_an_emotion_that_the_tracker_would_not_stand_by_has_a_question_mark():
    events = Script().start().says(0, 1, "A", "a", "joy").says(2, 3, "A", "b", "joy", unsure="too short").end(4)
    assert [turn.emotion for turn in spoken(events).turns] == ["joy", "joy?"]
    assert "A [joy]: a" in srt(spoken(events))
    assert "A [joy?]: b" in srt(spoken(events))


@given(st.lists(st.text(max_size=3)), st.sets(st.text("ab_2", max_size=3)))
def test_what_differs_stays_different(texts, taken):
    shaped = distinct(texts, lambda text: "".join(c if c in "ab" else "_" for c in text), taken)
    assert set(shaped) == set(texts)
    assert len(set(shaped.values())) == len(shaped)
    assert not taken & set(shaped.values())


@a_while
@given(any_session)
def test_webvtt_reads_the_cues(events):
    heard = spoken([event for event in events if not getattr(event, "words", None)])
    read = webvtt.from_string(vtt(heard), strict=True)
    assert [
        (ms_of(cue.start_time), ms_of(cue.end_time), cue.identifier, unescape(cue.voice or ""), unescape(cue.text))
        for cue in read
    ] == [
        (
            turn.start_ms, turn.end_ms, f"turn-{turn.event.turn}", turn.name,
            f"[{turn.emotion}] {turn.text}".rstrip(),
        )
        for turn in heard.turns
    ]  # fmt: skip


CUES = """async text => {
  const track = document.createElement('track');
  track.src = URL.createObjectURL(new Blob([text], {type: 'text/vtt'}));
  const read = new Promise((done, failed) => { track.onload = done; track.onerror = failed; });
  document.querySelector('video').append(track);
  track.track.mode = 'showing';
  await read;
  return [...track.track.cues].map(cue => {
    const shown = cue.getCueAsHTML();
    const voice = shown.firstElementChild;
    return [cue.startTime, cue.endTime, voice.title, shown.textContent, voice.querySelectorAll('*').length];
  });
}"""


def test_a_browser_reads_the_cues():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium: install Debian's chromium")
    heard = spoken(hostile())
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content("<video></video>")
        read = page.evaluate(CUES, vtt(heard))
        browser.close()
    assert read == [
        [turn.start_ms / 1000, turn.end_ms / 1000, turn.name, f"[{turn.emotion}] {turn.text}", 1]
        for turn in heard.turns
    ]


@a_while
@given(any_session)
def test_srt_reads_the_subtitles(events):
    heard = spoken(events)
    read = list(srt_reader.parse(srt(heard)))
    assert [(one.index, one.start, one.end, one.content) for one in read] == [
        (
            number,
            from_ms(turn.start_ms),
            from_ms(turn.end_ms),
            plain(f"{turn.name} [{turn.emotion}]: {turn.text}").rstrip(),
        )
        for number, turn in enumerate(heard.turns, start=1)
    ]  # fmt: skip
    assert not set("<>{}") & set("".join(one.content for one in read))


@a_while
@given(any_session)
def test_pyannote_reads_the_rttm(events):
    heard = spoken(events, source=events[0].source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.rttm"
        path.write_text(rttm(heard), encoding="utf-8")
        read = load_rttm(path) if heard.turns else {}
    assert set(read) == ({token(Path(events[0].source).stem)} if heard.turns else set())
    found = sorted(
        (round(segment.start * 1000), round(segment.end * 1000), name)
        for annotation in read.values()
        for segment, _, name in annotation.itertracks(yield_label=True)
    )
    names = distinct((turn.name for turn in heard.turns), token)
    assert found == sorted((turn.start_ms, turn.end_ms, names[turn.name]) for turn in heard.turns)


@pytest.mark.parametrize("text", ["NA", "nan", "NULL", "None", "<NA>", "", " ", '"a b"', "-NaN"])
def test_no_name_in_an_rttm_is_taken_for_nothing(text, tmp_path):
    (tmp_path / "s.rttm").write_text(f"SPEAKER {token(text)} 1 0.000 1.000 <NA> <NA> {token(text)} <NA> <NA>\n")
    assert load_rttm(tmp_path / "s.rttm")[token(text)].labels() == [token(text)]


def test_tables_and_emotionml_have_the_place_of_a_turn_in_each_dimension():
    script = Script().start().says(0, 1, "A", "hello", dimensions={"valence": 0.5, "joy": -1.0, HOSTILE: 1.0})
    heard = spoken(script.says(1, 2, "A", "well").end(3))
    frame = pyarrow.parquet.read_table(pyarrow.BufferReader(parquet(heard))).to_pylist()
    for read in (frame, [*csv.DictReader(io.StringIO(to_csv(heard), newline=""))]):
        assert (float(read[0]["valence"]), float(read[0]["joy_2"])) == (0.5, -1.0)
        assert read[1]["valence"] in ("", None)
    first, second = emotions_in(heard)
    places = [(one.get("name"), float(one.get("value"))) for one in first.iter(f"{{{NAMESPACE}}}dimension")]
    assert places[:2] == [("valence", 0.75), ("joy", 0.0)]
    assert (places[2][1], list(second.iter(f"{{{NAMESPACE}}}dimension"))) == (1.0, [])


def emotions_in(heard: Conversation):
    root = etree.fromstring(emotionml(heard).encode())
    SCHEMA.assertValid(root)
    ids = root.xpath("//@id")
    assert len(ids) == len(set(ids))
    vocabularies = {one.get("type"): one for one in root.findall(f"{{{NAMESPACE}}}vocabulary")}
    items = {kind: [item.get("name") for item in one] for kind, one in vocabularies.items()}
    found = root.findall(f"{{{NAMESPACE}}}emotion")
    for kind, words in items.items():
        assert len(words) == len(set(words))
        assert root.get(f"{kind}-set") == "#" + vocabularies[kind].get("id")
    for emotion in found:
        for kind in ("category", "dimension"):
            names = [one.get("name") for one in emotion.findall(f"{{{NAMESPACE}}}{kind}")]
            assert len(names) == len(set(names))
            assert set(names) <= set(items.get(kind, []))
        assert int(emotion.get("start")) <= int(emotion.get("end"))
    return found


@a_while
@given(any_session)
def test_emotionml_is_what_the_recommendation_asks_for(events):
    heard = spoken(events, audio={0: "audio-0.flac"})
    found = emotions_in(heard)
    assert [one_line("".join(emotion.itertext())) for emotion in found] == [turn.text for turn in heard.turns]
    for emotion, turn in zip(found, heard.turns, strict=True):
        shares = {one.get("name"): float(one.get("confidence")) for one in emotion.iter(f"{{{NAMESPACE}}}category")}
        assert shares == pytest.approx(turn.event.probabilities, abs=1e-6)
        (about,) = emotion.iter("{urn:emotion-tracker:turn}turn")
        assert about.get("name") == turn.name
        assert int(emotion.get("start")) == round(datetime.fromisoformat(turn.event.start_time).timestamp() * 1000)


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_label_is_a_token_of_emotionml(labels):
    emotions_in(spoken(story(1), labels=labels))


def test_emotionml_points_to_the_audio():
    events = Script().start().says(1.5, 2, "A", "hello").end(2)
    (emotion,) = emotions_in(spoken(events, audio={0: "./s/audio-0.flac"}))
    (reference,) = emotion.iter(f"{{{NAMESPACE}}}reference")
    assert reference.get("uri") == "./s/audio-0.flac#t=1.500,2.000"


@a_while
@given(any_session)
def test_pympi_reads_the_elan_file(events):
    heard = spoken(events, audio={0: "./audio-0.flac"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.eaf"
        path.write_text(eaf(heard), encoding="utf-8")
        read = pympi.Eaf(path)
    words = [tier for tier in read.get_tier_names() if read.tiers[tier][2]["LINGUISTIC_TYPE_REF"] == "words"]
    found = []
    for tier in words:
        who = read.get_parameters_for_tier(tier)["PARTICIPANT"]
        own = sorted(read.get_annotation_data_for_tier(tier))
        assert all(before[1] <= after[0] for before, after in pairwise(own))
        emotions = {
            one[:2]: one[2] for one in read.get_ref_annotation_data_for_tier(tier.replace("words", "emotion", 1))
        }
        found += [(start, end, who, text, emotions[start, end]) for start, end, text in own]
    assert sorted(found) == sorted(
        (turn.start_ms, turn.end_ms, turn.name, turn.text, turn.event.emotion) for turn in heard.turns
    )
    timed = [
        (read.get_parameters_for_tier(tier)["PARTICIPANT"], *one)
        for tier in read.get_tier_names()
        if read.tiers[tier][2]["LINGUISTIC_TYPE_REF"] == "word"
        for one in read.get_annotation_data_for_tier(tier)
    ]
    assert sorted(timed) == sorted(
        (turn.name, word.start_ms, word.end_ms, word.text) for turn in heard.turns for word in turn.words
    )
    slots = list(read.timeslots.values())
    assert slots == sorted(slots)
    (vocabulary,) = read.controlled_vocabularies.values()
    assert [values[0][0] for values, _ in vocabulary[1].values()] == LABELS


@a_while
@given(any_session)
def test_an_elan_file_is_in_order_and_every_reference_leads_somewhere(events):
    root = etree.fromstring(eaf(spoken(events, audio={0: "./audio-0.flac"})).encode())
    order = ("HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LANGUAGE", "CONSTRAINT", "CONTROLLED_VOCABULARY")
    tags = [child.tag for child in root]
    assert tags == sorted(tags, key=order.index)
    ids = root.xpath("//@TIME_SLOT_ID | //@ANNOTATION_ID | //@CVE_ID")
    assert len(ids) == len(set(ids))
    for reference, named in {
        "TIME_SLOT_REF1": "TIME_SLOT_ID",
        "TIME_SLOT_REF2": "TIME_SLOT_ID",
        "ANNOTATION_REF": "ANNOTATION_ID",
        "PARENT_REF": "TIER_ID",
        "LINGUISTIC_TYPE_REF": "LINGUISTIC_TYPE_ID",
        "CONSTRAINTS": "STEREOTYPE",
        "CONTROLLED_VOCABULARY_REF": "CV_ID",
        "LANG_REF": "LANG_ID",
    }.items():
        assert set(root.xpath(f"//@{reference}")) <= set(root.xpath(f"//@{named}"))
    tiers = root.xpath("//TIER/@TIER_ID")
    assert len(tiers) == len(set(tiers))
    last = int(root.findtext("HEADER/PROPERTY[@NAME='lastUsedAnnotationId']"))
    assert last == max((int(id_[1:]) for id_ in root.xpath("//@ANNOTATION_ID")), default=0)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in ("rttm", "parquet")])
def test_without_words_there_is_no_text(kind):
    events = [without_words(event) for event in story(1)]
    assert "Hello?" not in FORMATS[kind](spoken(events))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_session_in_which_nobody_spoke(kind):
    assert FORMATS[kind](spoken(Script().start().skips(0, 1).end(2))) is not None


@pytest.mark.parametrize("kind", FORMATS)
def test_the_extension_tells_the_format(kind, tmp_path):
    session = write_session(tmp_path / "my session", story(1))
    export_session(session, None, tmp_path / f"out.{kind.upper()}")
    assert (tmp_path / f"out.{kind.upper()}").stat().st_size
    if kind in ("emotionml", "eaf"):
        assert '"./my%20session/audio-0.flac' in (tmp_path / f"out.{kind.upper()}").read_text()


@pytest.mark.parametrize(
    ("kind", "out", "sentence"),
    [
        (None, None, "name a format with --format"),
        (None, Path("-"), "name a format with --format"),
        (None, Path("s.docx"), "'docx' is no format; there are vtt, srt"),
        ("", None, "'' is no format"),
        ("parquet", None, "parquet is no text; name a file with --out"),
    ],
)
def test_what_cannot_be_written_is_said(kind, out, sentence, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        export_session(tmp_path, kind, out)


def test_a_session_that_was_cut_off_exports_up_to_there(tmp_path):
    session = write_session(tmp_path / "s", story(1), audio=False)
    (session / "stop.json").unlink()
    lines = (session / "events.jsonl").read_bytes().splitlines(keepends=True)
    (session / "events.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:40])
    export_session(session, None, tmp_path / "s.srt")
    assert len(list(srt_reader.parse((tmp_path / "s.srt").read_text()))) == 1


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    session = write_session(tmp_path / "s", story(1), audio=False)
    with pytest.raises(SessionError, match="cannot be written"):
        export_session(session, None, tmp_path / "nowhere" / "s.vtt")


def test_from_the_command_line(tmp_path):
    write_session(tmp_path / "s", story(1), audio=False)
    printed = tracker("export", "s", "--format", "vtt", folder=tmp_path)
    assert printed.code == 0
    assert printed.out.startswith(
        "WEBVTT\n\nturn-1\n00:00:01.200 --> 00:00:03.000\n<v Anna><c.surprise>[surprise]</c> Hello?"
    )
    assert tracker("export", "s", "--out", "s.srt", folder=tmp_path).code == 0
    assert (tmp_path / "s.srt").read_text().startswith("1\n00:00:01,200 --> 00:00:03,000\nAnna [surprise]: Hello?")
    refused = tracker("export", "s", "--out", "s.docx", folder=tmp_path)
    assert (refused.code, len(refused.said.splitlines())) == (2, 1)


@a_while
@given(any_session)
def test_words_lie_in_their_turn_one_after_the_other(events):
    for turn in spoken(events).turns:
        times = [at for word in turn.words for at in (word.start_ms, word.end_ms)]
        assert times == sorted(times)
        assert all(word.start_ms < word.end_ms for word in turn.words)
        assert not times or turn.start_ms <= times[0] <= times[-1] <= turn.end_ms


@a_while
@given(any_session)
def test_no_word_is_lost_for_want_of_time(events):
    for turn in spoken(events).turns:
        kept = [one_line(word.text) for word in turn.event.words or () if one_line(word.text)]
        assert not turn.words or " ".join(word.text for word in turn.words) == " ".join(kept)


def test_webvtt_has_the_time_of_each_word():
    words = [("Hello", 1.5, 1.8), ("<there>.", 1.8, 2)]
    heard = spoken(Script().start().says(1.5, 2, "A", "Hello <there>.", words=words).end(2))
    assert "[neutral]</c> Hello <00:00:01.800>&lt;there&gt;.</v>" in vtt(heard)
    (cue,) = webvtt.from_string(vtt(heard), strict=True)
    assert unescape(cue.text) == "[neutral] Hello <there>."
    assert "there" not in vtt(spoken(map(without_words, Script().start().says(0, 1, "A", "there", words=words).events)))


def test_sounds_stand_beside_the_words_or_in_their_place():
    script = Script().start().says(0, 2, "A", "Well.", sounds=["laughter", "cough", "laughter"])
    told = spoken(script.says(3, 4, "B", "", "joy", sounds=["<b>"]).end(5))
    assert "Well. (laughter) (cough)</v>" in vtt(told)
    assert "[joy]</c> (&lt;b&gt;)</v>" in vtt(told)
    assert "A [neutral]: Well. (laughter) (cough)" in srt(told)
    assert [row["sounds"] for row in csv.DictReader(io.StringIO(to_csv(told)))] == ["laughter, cough", "<b>"]
