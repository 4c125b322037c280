"""EmotionML 1.0 (W3C Recommendation of 22 May 2014, https://www.w3.org/TR/emotionml/).

The emotions are declared as a vocabulary of the document's own: W3C's ``big6`` knows no neutral. An ``emotion`` per
turn holds every label with its probability as ``confidence``, the most probable first, and the place in each dimension
of affect as ``value``, from 0 to 1; ``start`` and ``end`` are milliseconds since 1970, ``reference`` points to the
stretch of audio where that was kept, and the words are the element's text, as where the Recommendation annotates texts.
Who spoke stands in ``info``, in a namespace of ours, since EmotionML has no element for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tracker.recordings.exports.conversation import Conversation, NamedTurn, distinct, one_line

NAMESPACE = "http://www.w3.org/2009/10/emotionml"
TURN_NAMESPACE = "urn:emotion-tracker:turn"
VOCABULARY, DIMENSIONS = "emotions", "dimensions"

# Some of what every edition of XML 1.0 allows in an NMTOKEN: ASCII, Latin 1, Greek, Cyrillic, kana, Han, Hangul.
_NOT_IN_TOKENS = re.compile(
    "[^-.0-9A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\xff\u0391-\u03a1\u03a3-\u03ce\u0410-\u044f\u3041-\u3094\u30a1-\u30fa"
    "\u4e00-\u9fa5\uac00-\ud7a3]+"
)
_THROUGH = {"text": "text", "audio": "voice", "video": "face"}  # the Recommendation's words


def emotionml(conversation: Conversation) -> str:
    """The whole document."""
    names, dimensions = _tokens(conversation.labels), _tokens(conversation.dimensions)
    root = Element("emotionml", {"xmlns": NAMESPACE, "version": "1.0"})
    for kind, identity, items in (("category", VOCABULARY, names), ("dimension", DIMENSIONS, dimensions)):
        if items:
            root.set(f"{kind}-set", f"#{identity}")
            vocabulary = SubElement(root, "vocabulary", {"type": kind, "id": identity})
            for name in items.values():
                SubElement(vocabulary, "item", {"name": name})
    for turn in conversation.turns:
        root.append(_emotion(turn, names, dimensions, conversation.audio.get(turn.event.channel)))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _tokens(items: Iterable[str]) -> dict[str, str]:
    return distinct(items, lambda item: _NOT_IN_TOKENS.sub("_", item) or "_")


def _emotion(turn: NamedTurn, names: Mapping[str, str], dimensions: Mapping[str, str], audio: str | None) -> Element:
    event = turn.event
    start, end = (round(datetime.fromisoformat(at).timestamp() * 1000) for at in (event.start_time, event.end_time))
    element = Element("emotion", {"id": f"turn-{event.turn}", "start": str(start), "end": str(max(start, end))})
    if through := [word for name, word in _THROUGH.items() if event.modalities.get(name) == "used"]:  # type: ignore[call-overload]
        element.set("expressed-through", " ".join(through))
    about = {"speaker": event.speaker, "name": turn.name, "language": event.language, "sentiment": event.sentiment}
    if event.abstained:
        about["unsure"] = event.abstained_reason or "no reason given"
    about = {key: one_line(value) for key, value in about.items()}
    SubElement(SubElement(element, "info"), "turn", {"xmlns": TURN_NAMESPACE, **about})
    shares = event.probabilities or {event.emotion: event.confidence}
    for label, share in sorted(shares.items(), key=lambda one: (-one[1], one[0] != event.emotion)):
        SubElement(element, "category", {"name": names[label], "confidence": f"{share:.6f}"})
    for dimension, place in (event.dimensions or {}).items():
        SubElement(element, "dimension", {"name": dimensions[dimension], "value": f"{(place.value + 1) / 2:.6f}"})
    if audio:
        at = f"{audio}#t={turn.start_ms / 1000:.3f},{turn.end_ms / 1000:.3f}"  # https://www.w3.org/TR/media-frags/
        SubElement(element, "reference", {"uri": at, "role": "expressedBy", "media-type": "audio/flac"})
    element[-1].tail = f"\n    {turn.text}\n  " if turn.text else None
    return element
