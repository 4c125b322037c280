"""The report's HTML. Everything that comes from a session is untrusted, and escaped exactly once: in `_t`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files

from tracker.dashboard.words import clock_time, outcome, printable, skip_reason
from tracker.events import SessionEnded, TurnEnded, TurnSkipped
from tracker.recordings.format import StartFile
from tracker.recordings.report import plots
from tracker.recordings.report.summary import Summary

Clip = Callable[[int, int, int], str | None]
"""Channel, start and end in nanoseconds to a ``data:`` URI."""

_STAGE_WORDS = {"event": "end of speech to event", "total": "decision to event"}


def page(start: StartFile, ended: SessionEnded | None, summary: Summary, clip: Clip) -> str:
    """The whole page.

    Args:
        start: How the session began.
        ended: How it ended, where that is known.
        summary: What happened.
        clip: Gives a turn's audio.
    """
    style, script = _resource("page.css"), _resource("page.js")
    policy = (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    )
    body = [
        _head(start, ended, summary),
        _section("Timeline", _figure(plots.svg(plots.timeline(summary, start.labels), "timeline"))),
        _section("Shares of each speaker's time", _shares(start, summary)),
        _section("Whose emotion follows whose", _follows(start, summary)),
        _section("Confidence", _confidence(summary)),
        _section("Latency", _latency(summary)),
        _section("Turns", _turns(summary, clip)),
        _section("How this was made", _made(start)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{_t(start.source)}, {_t(start.started_at)}</title>\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n{''.join(body)}<script>{script}</script>\n</body>\n</html>\n"
    )


def _head(start: StartFile, ended: SessionEnded | None, summary: Summary) -> str:
    numbers = [
        (str(len(summary.turns)), "turns judged"),
        (str(summary.unsure), "of them unsure"),
        (str(len(summary.skipped)), "skipped"),
        (str(len(summary.people)), "speakers"),
        (f"{summary.confidence:.0%}" if summary.confidence is not None else "none", "median confidence"),
        (f"{summary.latencies['event'][0] / 1000:.1f} s" if summary.latencies else "none", "median time to event"),
    ]
    tiles = "".join(f'<div class="tile"><b>{_t(number)}</b>{_t(words)}</div>' for number, words in numbers)
    how = outcome(ended) if ended else "the recording was cut off"
    return (
        f'<header><h1>{_t(start.source)}</h1><div class="soft">{_t(start.started_at)} · {_t(how)}</div>'
        f'<div class="tiles">{tiles}</div><p class="soft">Emotions as a machine judged them from voice and words: what '
        "was expressed, with how much confidence, not what anybody felt.</p></header>\n"
    )


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{_t(title)}</h2>\n{inside}</section>\n"


def _figure(svg: str) -> str:
    return f"<figure>{svg}</figure>\n"


def _shares(start: StartFile, summary: Summary) -> str:
    rows = [
        [person.name, str(len(person.turns)), clock_time(person.spoken_ns), str(person.unsure)]
        + [f"{person.shares.get(label, 0):.0%}" for label in start.labels]
        for person in summary.people
    ]
    table = _table(["speaker", "turns", "spoken", "unsure", *start.labels], rows)
    drawn = _figure(plots.svg(plots.shares(summary, start.labels), "shares")) if rows else ""
    return f'{drawn}{table}<p class="soft">Turns without a clear judgement are left out of the shares.</p>\n'


def _follows(start: StartFile, summary: Summary) -> str:
    if not summary.follows:
        return "<p>No two clear judgements of different speakers follow each other.</p>\n"
    labels = [label for label in start.labels if any(label in pair for pair in summary.follows)]
    most = max(summary.follows.values())
    head = "".join(f"<th>{_t(label)}</th>" for label in labels)
    body = ""
    for before in labels:
        cells = ""
        for after in labels:
            count = summary.follows.get((before, after), 0)
            shade = f' style="background: rgb(0 114 178 / {count / most * 0.5:.2f})"' if count else ""
            cells += f"<td{shade}>{count or ''}</td>"
        body += f"<tr><th>{_t(before)}</th>{cells}</tr>"
    return (
        '<p class="soft">Rows: the emotion of a turn. Columns: the emotion of the next turn, of somebody else.</p>'
        f'<div class="wide"><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>\n"
    )


def _confidence(summary: Summary) -> str:
    if not summary.turns:
        return "<p>No turn was judged.</p>\n"
    reasons: dict[str, int] = {}
    for turn in summary.turns:
        if turn.abstained:
            reason = turn.abstained_reason or "no reason given"
            reasons[reason] = reasons.get(reason, 0) + 1
    why = (
        _table(["why unsure", "turns"], [[reason, str(count)] for reason, count in reasons.items()]) if reasons else ""
    )
    return _figure(plots.svg(plots.confidences(summary), "confidence")) + why


def _latency(summary: Summary) -> str:
    rows = [
        [_STAGE_WORDS.get(name, name), f"{p50:.0f}", f"{p95:.0f}"] for name, (p50, p95) in summary.latencies.items()
    ]
    return _table(["milliseconds", "p50", "p95"], rows) if rows else "<p>No turn was judged.</p>\n"


def _turns(summary: Summary, clip: Clip) -> str:
    turns: list[TurnEnded | TurnSkipped] = sorted([*summary.turns, *summary.skipped], key=lambda turn: turn.start_ns)
    rows = "".join(_turn(turn, summary, clip) if isinstance(turn, TurnEnded) else _skipped(turn) for turn in turns)
    marks = "".join(f"<li>{clock_time(mark.at_ns)} {_t(mark.note or 'marked')}</li>" for mark in summary.marks)
    head = "".join(f"<th>{name}</th>" for name in ("time", "speaker", "emotion", "confidence", "words", "audio"))
    return (
        (f"<p>Marked moments:</p><ul>{marks}</ul>" if marks else "")
        + '<p class="tools"><input type="search" id="search" placeholder="search words, speakers, emotions" '
        'aria-label="search the turns"> <span id="found" class="soft" role="status"></span></p>\n'
        f'<div class="wide"><table class="turns"><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>\n'
    )


def _turn(turn: TurnEnded, summary: Summary, clip: Clip) -> str:
    unsure = (
        f'<div class="soft">unsure: {_t(turn.abstained_reason or "no reason given")}</div>' if turn.abstained else ""
    )
    ranked = sorted(turn.probabilities.items(), key=lambda one: -one[1])
    every = ", ".join(f"{label} {share:.1%}" for label, share in ranked)
    sound = clip(turn.channel, turn.start_ns, turn.end_ns)
    button = f'<button type="button" data-clip="{_t(sound)}" aria-pressed="false">play</button>' if sound else ""
    emotion = f"{turn.emotion}?" if turn.abstained else turn.emotion
    said = _t(turn.text) if turn.text.strip() else '<i class="soft">no words</i>'
    return (
        f'<tr{" class=unsure" if turn.abstained else ""}><td class="number">{clock_time(turn.start_ns)}</td>'
        f'<td>{_t(summary.name_of(turn.speaker))}</td><td title="{_t(every)}">{_t(emotion)}</td>'
        f'<td class="number"><meter min="0" max="1" value="{turn.confidence:.3f}"></meter> {turn.confidence:.0%}</td>'
        f'<td class="words"><span class="said">{said}</span>{unsure}</td><td>{button}</td></tr>\n'
    )


def _skipped(turn: TurnSkipped) -> str:
    return (
        f'<tr class="unsure"><td class="number">{clock_time(turn.start_ns)}</td><td></td><td>skipped</td><td></td>'
        f'<td class="words">{_t(skip_reason(turn))}</td><td></td></tr>\n'
    )


def _made(start: StartFile) -> str:
    rows = [["software", start.software], *([part, name] for part, name in start.models.items())]
    return _table(["part", ""], [*rows, ["session", start.session]])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th{' class=number' if i else ''}>{_t(name)}</th>" for i, name in enumerate(heads))
    body = "".join(
        "<tr>" + "".join(f"<td{' class=number' if i else ''}>{_t(cell)}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n'


def _t(text: str) -> str:
    """Text from a session, as it may stand in an element or a quoted attribute."""
    return escape(printable(text), quote=True)


def _resource(name: str) -> str:
    return files("tracker.recordings.report").joinpath(name).read_text(encoding="utf-8")
