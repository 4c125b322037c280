"""Sessions to export: any, and one in which every text is hostile."""

from hypothesis import settings
from hypothesis import strategies as st

from tests.support.sessions import LABELS, Script, sessions
from tracker.recordings.exports.conversation import conversation

HOSTILE = "-->\n\n1\n00:00:00,000 --> 99:00:00,000\n</v><i>\"'&amp;]]>\x00\x1b[2J\ufffe{\\an8}=1+1\r\n;,\u2028<NA>\tNaN"


def spoken(events, source="telephone.wav", labels=LABELS, audio=None):
    return conversation(events, source, "2026-01-02T03:04:05.000Z", labels, audio)


def hostile():
    script = Script().start(HOSTILE).says(0, 2, HOSTILE, HOSTILE, "joy", unsure=HOSTILE)
    return script.says(1, 1, "B", HOSTILE, "anger").renames(2, "B", HOSTILE[:60] + "!").end(3)


a_while = settings(max_examples=50)
any_session = sessions() | st.just(hostile())
