import re
import shutil
import sys
from importlib.resources import files

import pytest
import soundfile

from adapters.contract import NEGATIVE, POSITIVE, LabelSet
from tests.pictures.story import story, write_session
from tests.support.command import tracker
from tests.support.sessions import Script, conversation
from tests.support.sound import until
from tracker.errors import SessionError, TrackerError
from tracker.recordings.replay import read_session
from tracker.recordings.report.clips import Clips
from tracker.recordings.report.summary import summarise
from tracker.recordings.report.write import render, write_report

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&$\\frac{1}$]]>"


def hostile():
    labels = LabelSet.of("hostile", {HOSTILE: POSITIVE, "anger": NEGATIVE})
    script = Script(labels=labels).start(f"{HOSTILE}.wav").says(0, 2, HOSTILE, HOSTILE, HOSTILE)
    script.says(2.5, 4, "B", "b", "anger", dimensions={HOSTILE: -0.5, "valence": 0.25})
    script.says(5, 7, HOSTILE, HOSTILE, HOSTILE, unsure=HOSTILE).marks(7, HOSTILE).renames(7, "B", HOSTILE)
    script.skips(8, 9, HOSTILE)
    return script.end(10, error=HOSTILE)


def test_a_session_in_numbers():
    summary = summarise(conversation())
    assert [person.name for person in summary.people] == ["Speaker 1", "Speaker 2"]
    assert summary.people[0].shares == {"neutral": 1.0}
    assert (summary.unsure, len(summary.skipped)) == (1, 1)
    assert summary.follows == {("neutral", "surprise"): 1}
    assert summary.latencies["event"] == (700, 700)
    assert summary.confidence == 0.58
    assert sum(summarise(story()).people[0].shares.values()) == pytest.approx(1)


def test_dimensions_are_drawn_where_a_turn_has_them(tmp_path):
    script = Script().start("a.wav")
    script.says(0, 2, "A", "Yes!", "joy", dimensions={"valence": 0.7, "arousal": 0.9})
    script.says(2, 3, "B", "No.", "anger", dimensions={"arousal": -0.2})
    events = script.says(4, 6, "A", "").end(10)
    assert summarise(events).dimensions == ("valence", "arousal")
    page = render(read_session(write_session(tmp_path / "s", events)), tmp_path / "s")
    assert "<h2>Valence, arousal</h2>" in page
    assert page.count('id="dimensions-axes_') == 2
    plain = render(read_session(write_session(tmp_path / "t", story())), tmp_path / "t")
    assert 'id="dimensions-axes_' not in plain


def test_the_last_name_of_a_speaker_is_used_for_all_turns():
    assert [person.name for person in summarise(story()).people] == ["Anna", "Speaker 2"]


def test_nothing_from_a_session_becomes_markup(tmp_path):
    page = render(read_session(write_session(tmp_path / "s", hostile())), tmp_path / "s")
    assert page.count("<script>") == page.count("</script>") == 1
    assert "<img" not in page
    assert "onerror=alert(2)&gt;" in page
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert "default-src 'none'" in policy[1]


def test_only_what_is_made_here_is_not_escaped():
    template = files("tracker.recordings.report").joinpath("page.html").read_text("utf-8")
    unescaped = re.findall(r"\{\{ ?(\w+) ?\| ?safe", template)
    assert sorted(unescaped) == ["confidence", "dimensions", "script", "shares", "style", "timeline"]
    assert template.count("| safe") == len(unescaped)


def test_without_jinja2_the_extra_is_named(tmp_path, monkeypatch):
    session = write_session(tmp_path / "s", story(1), audio=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(TrackerError, match=r"jinja2, which is not installed: pip install 'emotion-tracker\[report\]'"):
        write_report(session, tmp_path / "r.html", None)


@pytest.mark.parametrize("events", [Script().start().end(1), Script().start().skips(0, 1).end(2)])
def test_a_session_without_a_judged_turn(events, tmp_path):
    session = write_session(tmp_path / "s", events, audio=False)
    write_report(session, tmp_path / "r.html", tmp_path / "r.png")
    assert "No turn was judged." in (tmp_path / "r.html").read_text()


def test_nothing_in_the_page_points_elsewhere(tmp_path):
    page = render(read_session(write_session(tmp_path / "s", story(1))), tmp_path / "s")
    outside = set(re.findall(r"https?://[^\s\"'<]+", page))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, not addresses
    assert "currentColor" in page


def test_clips_are_the_turns_audio(tmp_path):
    import base64
    import io

    session = write_session(tmp_path / "s", story(1))
    uri = Clips(session).cut(0, 1_000_000_000, 3_000_000_000)
    assert uri
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))
    assert len(samples) / rate == pytest.approx(2.3, abs=0.15)
    assert Clips(session).cut(3, 0, 1) is None
    assert Clips(session).cut(0, 10**15, 10**15 + 1) is None


def test_damaged_audio_is_said(tmp_path):
    session = write_session(tmp_path / "s", story(1))
    (session / "audio-0.flac").write_bytes(b"nothing")
    with pytest.raises(SessionError, match=r"cannot be read .*--no-audio leaves it out"):
        write_report(session, tmp_path / "r.html", None)
    write_report(session, tmp_path / "r.html", None, audio=False)
    assert "data-clip" not in (tmp_path / "r.html").read_text().partition("<script>")[0]


def test_from_the_command_line(tmp_path):
    write_session(tmp_path / "s", story(1))
    done = tracker("report", "s", "--out", "r.html", "--png", "r.png", folder=tmp_path)
    assert (done.code, done.said) == (0, "")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    done = tracker("report", "s", folder=tmp_path)
    assert done.code == 2
    assert "name a file with --out" in done.said
    assert tracker("report", "s", "--out", "no/where.html", folder=tmp_path).code == 5


ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 380)])
def test_in_a_browser(scheme, width, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium: install Debian's chromium")
    events = hostile()
    session = write_session(tmp_path / "s", events)
    write_report(session, tmp_path / "r.html", None)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url.partition(":")[0]))
        page.goto((tmp_path / "r.html").as_uri())
        assert page.locator("body").evaluate("body => body.scrollWidth <= innerWidth")
        dark = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") == "rgb(22, 22, 26)"
        assert dark == (scheme == "dark")
        page.fill("#search", "ANGER")
        assert page.locator("#found").text_content() == "1 of 4 turns"
        page.fill("#search", "<script>")
        assert page.locator("#found").text_content() == "4 of 4 turns"
        assert page.locator("mark").first.text_content() == "<script>"
        page.fill("#search", "")
        button = page.locator("button[data-clip]").first
        page.evaluate("new Audio().canPlayType('audio/mpeg')")
        button.click()
        until(lambda: page.evaluate("player.currentTime > 0.2 && !player.paused && !player.error"), "it plays", 20)
        assert button.text_content() == "stop"
        button.click()
        assert page.evaluate("player.paused")
        browser.close()
    assert said == []
    assert asked.count("file") == 1
    assert set(asked) <= {"file", "data"}


def test_sounds_and_close_calls_are_shown(tmp_path):
    script = Script().start().says(0, 2, "A", "Well.", sounds=["laughter", "laughter"], mixed=["neutral", "joy"])
    script.says(3, 4, "A", "", "joy", sounds=[HOSTILE])
    page = render(read_session(write_session(tmp_path / "s", script.end(5))), tmp_path / "s")
    assert page.count("(laughter)") == 1
    assert "neutral or joy" in page
    assert "no words" not in page
    assert HOSTILE not in page
