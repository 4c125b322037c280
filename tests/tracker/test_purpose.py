import pytest

from tests.support.sessions import conversation
from tracker.config import Config, load
from tracker.errors import ConfigError
from tracker.events import SessionStarted, from_json, to_json
from tracker.purpose import PURPOSES, kept, refuse_undeclared, words_only


@pytest.mark.parametrize("purpose", PURPOSES)
def test_at_work_and_in_education_words_alone_are_judged_unless_there_is_a_reason(purpose):
    assert words_only(purpose, "") is (purpose in ("workplace", "education"))
    assert not words_only(purpose, "medical")
    assert not words_only(purpose, "safety")
    refuse_undeclared(purpose, "We listen.")


def test_a_microphone_needs_a_purpose_and_a_notice():
    with pytest.raises(
        ConfigError,
        match=r"session\.purpose: a microphone or camera needs a declared purpose; set it to one of personal",
    ):
        refuse_undeclared("", "We listen.")
    with pytest.raises(ConfigError, match=r"session\.notice: .* set it"):
        refuse_undeclared("research", " ")


@pytest.mark.parametrize("setting", ["session.purpose=fun", "session.exception=research"])
def test_what_is_not_in_the_vocabulary_is_refused(setting):
    with pytest.raises(ConfigError, match=setting.partition("=")[0]):
        load(None, {}, [setting])


def test_judgements_alone_are_kept_unless_more_is_asked_for():
    record = Config().record
    assert not record.audio
    assert not record.text
    assert kept(False, False) == "keeping judgements; set record.audio = true and record.text = true to keep more"
    assert kept(True, False) == "keeping judgements and audio; set record.text = true to keep more"
    assert kept(True, True) == ""
    assert kept(True, False, True) == "keeping judgements and audio and pictures; set record.text = true to keep more"
    assert not record.video


def test_older_logs_say_no_purpose_and_newer_ones_do():
    started = conversation()[0]
    assert isinstance(started, SessionStarted)
    assert (started.purpose, started.notice) == ("", "")
    old = to_json(started).replace(',"purpose":"","notice":""', "")
    assert "purpose" not in old
    assert from_json(old) == started
