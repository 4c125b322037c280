import io
import re
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tests.support.sessions import Script, conversation, sessions
from tracker.dashboard.blocks import fit, wrap
from tracker.dashboard.layout import draw
from tracker.dashboard.painter import Painter
from tracker.dashboard.panels import connections, head, video
from tracker.dashboard.screen import Choices, Screen, handle_key
from tracker.dashboard.timeline import timeline
from tracker.dashboard.view import Judgement, View, fold, fold_preview
from tracker.events import Preview, TurnEnded
from tracker.metrics.gauges import Queue, Status
from tracker.metrics.percentiles import percentile
from tracker.observe.video.watcher import VideoState
from tracker.runtime.clock import NS_PER_S
from tracker.sinks import palette
from tracker.sinks.palette import ASCII, UNICODE
from tracker.sinks.text import header

SIZES = [(80, 24), (120, 40), (200, 60)]


def seen(events) -> View:
    view = View()
    for event in events:
        view = fold(view, event)
    return view


def text_of(screen: Screen, width=80, height=24, glyphs=UNICODE) -> str:
    return "\n".join(line.plain.rstrip() for line in draw(screen, width, height, glyphs))


overs = st.sampled_from(["", "help", "detail", "rename", "mark"])


@settings(max_examples=60)
@given(sessions(), st.integers(1, 220), st.integers(1, 70), overs, st.sampled_from(["", "live", "replay", "watch"]))
def test_every_drawing_fills_the_terminal_exactly(events, width, height, over, keys):
    screen = Screen(seen(events), Status(levels_db=(-12.0,)), Choices(overlay=over), "A machine listens.", keys)
    lines = draw(screen, width, height, UNICODE)
    assert len(lines) == height
    assert {cell_len(line.plain) for line in lines} == {width}


@pytest.mark.parametrize("size", SIZES)
def test_what_matters_is_seen_at_every_size(size):
    status = Status(
        7 * NS_PER_S,
        (-20.0,),
        queues=(Queue("turns", 3, 32, 2),),
        broker="connected",
        recorder="kept",
        failed_sinks=("json",),
    )
    text = text_of(Screen(seen(conversation()[:-1]), status, notice="A machine listens.", mode="live"), *size)
    for words in (
        "LISTENING 0:07.0", "-20 dB", "A machine listens.", "telephone.wav, 1 channel",
        "Hello?", "neutral", "71%", "joy?", "turn under 0.8 s", "skipped (no speech: no words recognised)",
        "3 judged", "1 unsure", "1 skipped", "no camera", "connected", "kept", "left out: json", "p pause", "q quit",
    ):  # fmt: skip
        assert words in text
    assert "no turn under way" in text


@pytest.mark.parametrize("size", SIZES)
def test_the_machine_is_shown_where_the_user_asks_for_it(size):
    view = seen(conversation()[:-1])
    screen = Screen(view, Status(7 * NS_PER_S), mode="live")
    assert "p50" not in text_of(screen, *size)
    choices, request = handle_key(screen, "t")
    assert request is None
    shown = text_of(replace(screen, choices=choices), *size)
    assert "p50" in shown
    assert "waiting" in shown
    assert handle_key(replace(screen, choices=choices), "t")[0] == screen.choices


def test_what_is_lost_is_shown_to_everyone():
    status = Status(7 * NS_PER_S, queues=(Queue("turns", 0, 32, 2),), lost_samples=5)
    for size in SIZES:
        assert "dropped" in text_of(Screen(seen(conversation()[:-1]), status), *size)
        assert "dropped" not in text_of(Screen(seen(conversation()[:-1]), Status()), *size)


def test_a_speaker_s_valence_is_a_curve_where_turns_have_one():
    script = Script().start()
    for second, value in enumerate((-1.0, 0.0, 1.0)):
        script.says(60 * second, 60 * second + 50, "Speaker 1", "So.", dimensions={"valence": value})
    screen = Screen(seen(script.events), Status(170 * NS_PER_S))
    for size, glyphs in product(SIZES, (UNICODE, ASCII)):
        low, middle, high = glyphs.levels[0], glyphs.levels[len(glyphs.levels) // 2], glyphs.levels[-1]
        lines = text_of(screen, *size, glyphs=glyphs).splitlines()
        assert any(f"valence: {low} unpleasant {middle} neither {high} pleasant" in line for line in lines)
        (curve,) = (line for line in lines if low * 3 in line and middle * 3 in line and high * 3 in line)
        assert curve.index(low * 3) < curve.index(middle * 3) < curve.rindex(high * 3)
    without = Screen(seen(conversation()[:-1]), Status())
    assert not any("valence" in text_of(without, *size) for size in SIZES)


def test_nothing_is_said_by_colour_alone_and_ascii_suffices():
    view = seen(conversation()[:-1])
    for size in SIZES:
        text = text_of(Screen(view, Status(), mode="live"), *size, glyphs=ASCII)
        assert text.isascii()
        assert "surprise" in text
    letters = [palette.letter(label, tuple(palette.EMOTIONS)) for label in palette.EMOTIONS]
    assert len(set(letters)) == len(letters)


def test_a_turn_under_way_and_a_pause():
    script = Script().start(channels=2, live=True)
    script.opens(2, channel=1)
    text = text_of(Screen(seen(script.events)))
    assert "turn under way: channel 2, since 0:02.0" in text
    assert "PAUSED, nothing is heard" in text_of(Screen(seen(script.pauses(3).events)))
    assert "PAUSED" not in text_of(Screen(seen(script.resumes(3, 1500).events)))
    assert "listening again after 1.5 s" in text_of(Screen(seen(script.events)))


def test_a_new_name_is_everywhere_and_later_turns_carry_it():
    script = Script().start().says(0, 1, "Speaker 1", "hello").renames(2, "Speaker 1", "Anna")
    text = text_of(Screen(seen(script.events)))
    assert "Anna" in text
    assert "Speaker 1" not in text
    heard = fold(View(), conversation()[2].model_copy(update={"speaker_name": "Ben"}))
    assert heard.name_of("Speaker 1") == "Ben"


def test_two_speakers_who_are_one_are_shown_as_one():
    script = Script().start().says(0, 1, "Speaker 1", "hello").says(2, 3, "Speaker 2", "HELLO", "anger")
    script.renames(3, "Speaker 2", "Anna").merges(4, "Speaker 2", "Speaker 1").says(5, 6, "Speaker 1", "well")
    view = seen(script.events)
    (speaker,) = view.speakers
    assert (speaker.id, speaker.name, speaker.turns, len(speaker.judgements)) == ("Speaker 1", "Anna", 3, 3)
    assert {row.speaker for row in view.rows} == {"Speaker 1"}
    text = text_of(Screen(view))
    assert "Anna" in text
    assert "Speaker" not in text.replace("SPEAKERS", "").replace("1 speaker", "")
    late = script.says(7, 8, "Speaker 2", "a turn that comes late").events[-1]
    assert [one.turns for one in fold(view, late).speakers] == [4]


@given(sessions(), st.lists(st.tuples(*[st.sampled_from(["Speaker 1", "Speaker 2", "Speaker 3", "Ben"])] * 2)))
def test_however_speakers_are_merged_no_turn_is_lost(events, pairs):
    merges = Script().merges(0, "a", "b").events[0]
    view = seen(events)
    for speaker, into in pairs:
        view = fold(view, merges.model_copy(update={"speaker": speaker, "into": into}))
    assert sum(one.turns for one in view.speakers) == sum(isinstance(event, TurnEnded) for event in events)
    assert {row.speaker for row in view.rows if row.judged} <= set(view.speaker_ids)
    assert len(set(view.speaker_ids)) == len(view.speakers)


def test_the_words_of_a_long_turn_are_shown_as_they_come_the_stable_ones_clearer():
    script = Script().start()
    script.opens(2)
    opened = script.events[-1]
    words = "so I told her that we would come on Saturday, and that we might bring the children, but she said no"
    preview = Preview(
        session="s-1", seq=opened.seq, turn=1, channel=0, speaker="Speaker 1", text=words, stable=words[:61],
        **script.stamp.span(opened.start_ns, 9 * NS_PER_S), emotion="sadness", confidence=0.4,
        probabilities={"sadness": 0.4},
    )  # fmt: skip
    screen = Screen(fold_preview(seen(script.events), preview))
    drawn = draw(screen, 80, 24, UNICODE)
    shown = [line for line in drawn if set(words.split()) & set(line.plain.split()) - {"no", "turn"}]
    assert words in " ".join(" ".join(line.plain.split()) for line in shown).replace("sadness 40% ", "")
    assert "sadness" in shown[0].plain
    spans = [line.plain[span.start : span.end] for line in shown for span in line.spans if span.style == "italic"]
    assert " ".join(spans).split() == words[:61].split()


def test_marks_stand_where_they_were_made():
    script = Script().start().says(0, 1, "Speaker 1", "before").marks(2, "look here").says(3, 4, "Speaker 1", "after")
    text = text_of(Screen(seen(script.events)))
    assert text.index("before") < text.index("look here") < text.index("after")


def test_only_one_speaker():
    text = text_of(Screen(seen(conversation()), choices=Choices(speaker_filter="Speaker 2")))
    assert "Oh, hello." in text
    assert "Hello?" not in text
    assert "Speaker 2 only" in text


def test_all_that_is_known_of_a_turn():
    view = seen(conversation())
    text = text_of(Screen(view, choices=Choices(selected=2, overlay="detail")))
    event = next(row.judged for row in view.rows if row.turn == 2)
    assert isinstance(event, TurnEnded)
    for label, share in event.probabilities.items():
        assert any(label in line and f"{share:.1%}" in line for line in text.splitlines())
    for words in ("endpoint 500 ms, then 200 ms", "transcribe 110", "video: no camera", "ended by pause"):
        assert words in text


def test_valence_and_arousal_of_a_turn_are_shown_with_their_intervals():
    script = Script().start().says(0, 1, "Speaker 1", "hello", dimensions={"valence": 0.5, "aro\x1b[2Jusal": -0.25})
    text = text_of(Screen(seen(script.end(2)), choices=Choices(selected=1, overlay="detail")))
    assert "valence +0.50 (+0.20 to +0.80)" in text
    assert "-0.25 (-0.55 to +0.05)" in text
    assert "\x1b" not in text


def test_a_scrolled_conversation_ends_at_the_selected_turn():
    script = Script().start()
    for second in range(100):
        script.says(second, second + 0.5, "Speaker 1", f"number {second + 1}.")
    view = seen(script.events)
    assert "number 100." in text_of(Screen(view))
    text = text_of(Screen(view, choices=Choices(selected=40)))
    assert "number 40." in text
    assert "number 41." not in text
    assert "scrolled back" in text


@given(st.text(max_size=80), st.integers(1, 40))
@example("0 \x1f", 1)
@example("0 \u0301", 1)
@example("\u0301abc \u0301\u0301", 1)
def test_wrapping_keeps_every_character_and_the_width(text, width):
    lines = wrap(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(cell_len(line) <= max(2, width) for line in lines)


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"]), max_size=40), st.integers(0, 30))
def test_a_fitted_line_has_its_width(text, width):
    assert cell_len(fit(Text(text), width, UNICODE).plain) == width


def test_the_strip_shows_what_lasted_longest():
    def judgement(start_s, end_s, emotion):
        return Judgement(start_s * NS_PER_S, end_s * NS_PER_S, emotion, 0.9, False)

    found = timeline([judgement(1, 4, "joy"), judgement(4, 9, "anger")], 10 * NS_PER_S, 10 * NS_PER_S, 2)
    assert [cell.emotion if cell else None for cell in found] == ["joy", "anger"]
    assert timeline([judgement(1, 4, "joy")], 100 * NS_PER_S, 10 * NS_PER_S, 2) == [None, None]


@given(st.lists(st.floats(0, 1e4), min_size=1), st.sampled_from([0.5, 0.95, 1.0]))
def test_percentiles_are_values_that_enough_do_not_exceed(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


class Recording(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_only_changed_lines_are_painted_and_the_terminal_is_given_back():
    file = Recording()
    console = Console(file=file, width=80, height=24, force_terminal=True, color_system="256", _environ={})
    painter = Painter(console)
    painter.begin()
    screen = Screen(seen(conversation()[:-1]), Status(NS_PER_S), mode="live")
    painter.paint(draw(screen, 80, 24, UNICODE))
    first = file.tell()
    painter.paint(draw(screen, 80, 24, UNICODE))
    assert file.tell() == first
    painter.paint(draw(replace(screen, status=Status(20 * NS_PER_S)), 80, 24, UNICODE))
    assert 0 < file.tell() - first < 1200
    painter.end()
    painter.end()
    text = file.getvalue()
    assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == text.count("\x1b[?25h") == 1


def test_without_colour_no_colour_is_painted():
    file = Recording()
    console = Console(file=file, width=80, height=24, force_terminal=True, no_color=True, _environ={})
    Painter(console).paint(draw(Screen(seen(conversation())), 80, 24, UNICODE))
    styles = re.findall(r"\x1b\[([0-9;]*)m", file.getvalue())
    assert styles
    assert not [style for style in styles if any(len(code) > 1 for code in style.split(";"))]


def test_the_header_says_what_a_session_is_for():
    started = Script().start(live=True).events[0]
    assert header(started) == "telephone.wav, 1 channel, live"
    assert (
        header(started.model_copy(update={"purpose": "research"}))
        == "telephone.wav, 1 channel, live, purpose: research"
    )


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (VideoState("camera 0", live=True, on=True, rate_hz=5.0, drift_ppm=-12), "camera 0, 5.0/s, clocks -12 ppm"),
        (VideoState("camera 0", live=True, on=True, rate_hz=4.2, dropped=3, lost=1), "dropped 3, lost 1 times"),
        (VideoState("camera 0", live=True), "camera 0 is off"),
        (VideoState("talk.mp4", on=True, rate_hz=9.9), "talk.mp4, 9.9/s"),
    ],
)
def test_it_is_shown_what_is_watched_and_how_it_goes(state, told):
    assert told in video(state).plain
    shown = [line.plain for line in connections(Status(video=state), UNICODE)]
    assert any("video" in line and told in line for line in shown)
    assert not any("video" in line.plain for line in connections(Status(), UNICODE))


def test_a_broker_that_nobody_publishes_to_is_no_listening():
    (line,) = head(Screen(mode="watch", notice="You are listened to."), 80, UNICODE)
    assert line.plain == f"waiting for a session {UNICODE.more}"
