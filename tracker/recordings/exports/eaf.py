"""ELAN's annotation format 3.0 (https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf).

Three tiers for each speaker: ``words@Anna`` with the times, and ``emotion@Anna`` and ``confidence@Anna`` that hang from
it (symbolic association); where the times of words were kept, ``word@Anna`` has each with its own (included in). The
emotions are a controlled vocabulary. Annotations of a tier may not overlap: where one speaker's turns do, the later
ones go to a further set of tiers, with the same participant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tracker.recordings.exports.conversation import Conversation, NamedTurn, distinct, one_line

_SCHEMA_AT = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_ASSOCIATION = "Symbolic_Association"
_STEREOTYPES = {  # ELAN writes all four into every file
    "Time_Subdivision": (
        "Time subdivision of parent annotation's time interval, no time gaps allowed within this interval"
    ),
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations cannot be time aligned",
    _ASSOCIATION: "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
}
_VOCABULARY = "emotions"
_LANGUAGE = "und"


def eaf(conversation: Conversation) -> str:
    """The whole document."""
    root = Element(
        "ANNOTATION_DOCUMENT",
        {"AUTHOR": "", "DATE": conversation.started_at, "FORMAT": "3.0", "VERSION": "3.0", _SCHEMA_AT: _SCHEMA},
    )
    header = SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    for url in conversation.audio.values():
        media = {"MEDIA_URL": url, "MIME_TYPE": "audio/flac", "RELATIVE_MEDIA_URL": url}
        SubElement(header, "MEDIA_DESCRIPTOR", media)
    last = SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"})
    order = SubElement(root, "TIME_ORDER")
    slots = _slots(order, conversation.turns)
    ids = count(1)
    for (name, _), (place, numbers) in _lanes(conversation.turns).items():
        root.extend(_tiers(place, name, [(number, conversation.turns[number]) for number in numbers], slots, ids))
    last.text = str(next(ids) - 1)
    _types(root)
    _vocabulary(root, conversation.labels)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _slots(order: Element, turns: Sequence[NamedTurn]) -> dict[tuple[int, int], str]:
    """Two slots for each turn and word, in the order of time: by the turn's number, and their place in it.

    The turn itself has the places 0 and 1, its first word 2 and 3.
    """
    times = [
        (ms, number, place)
        for number, turn in enumerate(turns)
        for nth, span in enumerate([(turn.start_ms, turn.end_ms), *((one.start_ms, one.end_ms) for one in turn.words)])
        for place, ms in enumerate(span, start=2 * nth)
    ]
    slots = {}
    for at, (ms, number, place) in enumerate(sorted(times), start=1):
        slots[number, place] = f"ts{at}"
        SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{at}", "TIME_VALUE": str(ms)})
    return slots


def _lanes(turns: Sequence[NamedTurn]) -> dict[tuple[str, int], tuple[str, list[int]]]:
    """For each speaker's name and lane: what it is called, and the numbers of its turns, which do not overlap."""
    lanes: dict[tuple[str, int], list[int]] = {}
    for number, turn in enumerate(turns):
        further = 1
        while (lane := lanes.setdefault((turn.name, further), [])) and turns[lane[-1]].end_ms > turn.start_ms:
            further += 1
        lane.append(number)
    places = distinct(lanes, lambda lane: lane[0] if lane[1] == 1 else f"{lane[0]} ({lane[1]})")
    return {lane: (places[lane], numbers) for lane, numbers in lanes.items()}


def _tiers(
    place: str,
    name: str,
    turns: Iterable[tuple[int, NamedTurn]],
    slots: Mapping[tuple[int, int], str],
    ids: Iterator[int],
) -> list[Element]:
    words, emotion, confidence, each = (
        Element("TIER", {"LINGUISTIC_TYPE_REF": kind, "PARTICIPANT": name, "TIER_ID": f"{kind}@{place}"})
        for kind in ("words", "emotion", "confidence", "word")
    )
    for tier in (emotion, confidence, each):
        tier.set("PARENT_REF", words.attrib["TIER_ID"])
    for number, turn in turns:
        first, second, third = (f"a{next(ids)}" for _ in range(3))
        ends = {"TIME_SLOT_REF1": slots[number, 0], "TIME_SLOT_REF2": slots[number, 1]}
        sure = f"{turn.event.confidence:.3f}"
        if turn.event.abstained:
            sure += f" unsure: {one_line(turn.event.abstained_reason or 'no reason given')}"
        _annotate(words, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": first, **ends}, turn.text)
        _annotate(
            emotion, "REF_ANNOTATION", {"ANNOTATION_ID": second, "ANNOTATION_REF": first}, one_line(turn.event.emotion)
        )
        _annotate(confidence, "REF_ANNOTATION", {"ANNOTATION_ID": third, "ANNOTATION_REF": first}, sure)
        for nth, word in enumerate(turn.words, start=1):
            times = {"TIME_SLOT_REF1": slots[number, 2 * nth], "TIME_SLOT_REF2": slots[number, 2 * nth + 1]}
            _annotate(each, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{next(ids)}", **times}, word.text)
    return [words, emotion, confidence, *([each] if len(each) else [])]


def _annotate(tier: Element, kind: str, about: Mapping[str, str], value: str) -> None:
    annotation = SubElement(SubElement(tier, "ANNOTATION"), kind, dict(about))
    SubElement(annotation, "ANNOTATION_VALUE").text = value


def _types(root: Element) -> None:
    shared = {"GRAPHIC_REFERENCES": "false"}
    SubElement(root, "LINGUISTIC_TYPE", {**shared, "LINGUISTIC_TYPE_ID": "words", "TIME_ALIGNABLE": "true"})
    hangs = {**shared, "CONSTRAINTS": _ASSOCIATION, "TIME_ALIGNABLE": "false"}
    controlled = {"CONTROLLED_VOCABULARY_REF": _VOCABULARY}
    SubElement(root, "LINGUISTIC_TYPE", {**hangs, **controlled, "LINGUISTIC_TYPE_ID": "emotion"})
    SubElement(root, "LINGUISTIC_TYPE", {**hangs, "LINGUISTIC_TYPE_ID": "confidence"})
    within = {**shared, "CONSTRAINTS": "Included_In", "TIME_ALIGNABLE": "true"}
    SubElement(root, "LINGUISTIC_TYPE", {**within, "LINGUISTIC_TYPE_ID": "word"})
    language = {"LANG_DEF": "http://cdb.iso.org/lg/CDB-00130975-001", "LANG_ID": _LANGUAGE}
    SubElement(root, "LANGUAGE", {**language, "LANG_LABEL": "undetermined (und)"})
    for stereotype, description in _STEREOTYPES.items():
        SubElement(root, "CONSTRAINT", {"DESCRIPTION": description, "STEREOTYPE": stereotype})


def _vocabulary(root: Element, labels: Iterable[str]) -> None:
    vocabulary = SubElement(root, "CONTROLLED_VOCABULARY", {"CV_ID": _VOCABULARY})
    SubElement(vocabulary, "DESCRIPTION", {"LANG_REF": _LANGUAGE})
    for number, label in enumerate(dict.fromkeys(map(one_line, labels)), start=1):
        entry = SubElement(vocabulary, "CV_ENTRY_ML", {"CVE_ID": f"cveid{number}"})
        SubElement(entry, "CVE_VALUE", {"DESCRIPTION": "", "LANG_REF": _LANGUAGE}).text = label
