"""The plots, with matplotlib. A colour never stands alone: hatches or letters say the same."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any

from tracker.errors import needs_extra
from tracker.events import TurnEnded
from tracker.recordings.report.summary import Summary
from tracker.sinks.palette import assign, common_name, letter
from tracker.sinks.text import clock_time, printable

INK = "#010203"
"""Stands for the page's own text colour until the SVG is in the page."""
_NS_PER_S = 1_000_000_000

_FILLS = {  # Okabe and Ito's colours, which colour-blind people can tell apart, and hatches
    "neutral": ("#999999", ""),
    "joy": ("#009E73", "//"),
    "surprise": ("#F0E442", ".."),
    "sadness": ("#0072B2", "\\\\"),
    "anger": ("#D55E00", "xx"),
    "fear": ("#CC79A7", "oo"),
    "disgust": ("#E69F00", "++"),
}
_MORE_FILLS = (  # and Paul Tol's
    ("#56B4E9", "--"), ("#999933", "||"), ("#44AA99", "**"), ("#882255", "///"), ("#DDCC77", "---"),
    ("#332288", "|||"), ("#AA4499", "\\\\\\"), *_FILLS.values(),
)  # fmt: skip

_MARKERS = (("o", "#0072B2"), ("s", "#D55E00"), ("^", "#009E73"), ("D", "#CC79A7"), ("v", "#E69F00"))


def fills(labels: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The colour and the hatch of each label."""
    return assign(labels, lambda label: _FILLS.get(common_name(label)), lambda _: _MORE_FILLS)


def timeline(summary: Summary, labels: Sequence[str], ink: str = INK) -> Any:
    """Every speaker's emotion over the session, as a matplotlib figure."""
    people = summary.people
    with _style(ink) as pyplot:
        figure, axes = pyplot.subplots(figsize=(10, 1.3 + 0.6 * max(1, len(people))), layout="constrained")
        end_s = max((turn.end_ns for turn in summary.turns), default=_NS_PER_S) / _NS_PER_S
        for row, person in enumerate(people):
            for turn in person.turns:
                _turn(axes, row, turn, end_s, labels, ink)
        for mark in summary.marks:
            axes.axvline(mark.at_ns / _NS_PER_S, color=ink, linestyle=":", linewidth=1)
        axes.set_yticks(range(len(people)), [printable(person.name)[:30] for person in people])
        axes.set_ylim(len(people) - 0.5 if people else 0.5, -0.5)
        axes.set_xlim(0, end_s)
        axes.xaxis.set_major_formatter(lambda at, _: clock_time(max(0, round(at * _NS_PER_S))).partition(".")[0])
        handles = [_patch(label, labels, ink) for label in labels]
        figure.legend(handles=handles, loc="outside lower center", ncols=max(1, len(labels)), frameon=False)
    return figure


def shares(summary: Summary, labels: Sequence[str], ink: str = INK) -> Any:
    """How each speaker's time divides among the emotions."""
    people = [person for person in summary.people if person.shares]
    with _style(ink) as pyplot:
        figure, axes = pyplot.subplots(figsize=(10, 0.8 + 0.5 * max(1, len(people))), layout="constrained")
        for row, person in enumerate(people):
            left = 0.0
            for label in labels:
                share = person.shares.get(label, 0.0)
                if share:
                    colour, hatch = fills(labels)[label]
                    axes.barh(
                        row, share, left=left, color=colour, hatch=hatch, edgecolor=ink, height=0.6, linewidth=0.4
                    )
                if share > 0.08:
                    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
                    axes.text(
                        left + share / 2, row, f"{printable(label)} {share:.0%}", ha="center", va="center",
                        color="black", fontsize=9, bbox=box,
                    )  # fmt: skip
                left += share
        axes.set_yticks(range(len(people)), [printable(person.name)[:30] for person in people])
        axes.set_ylim(len(people) - 0.5 if people else 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    return figure


def confidences(summary: Summary, ink: str = INK) -> Any:
    """How sure the judgements are, clear and unsure ones apart."""
    with _style(ink) as pyplot:
        figure, axes = pyplot.subplots(figsize=(10, 2.4), layout="constrained")
        clear = [turn.confidence for turn in summary.turns if not turn.abstained]
        unsure = [turn.confidence for turn in summary.turns if turn.abstained]
        edges = [step / 20 for step in range(21)]
        axes.hist(
            [clear, unsure], bins=edges, stacked=True, label=["clear", "unsure"], color=["#0072B2", "#999999"],
            hatch=["", "//"], edgecolor=ink, linewidth=0.4,
        )  # fmt: skip
        axes.set_xlim(0, 1)
        axes.set_xlabel("confidence")
        axes.set_ylabel("turns")
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.legend(frameon=False)
    return figure


def dimensions(summary: Summary, ink: str = INK) -> Any:
    """Where each speaker's turns lie in each dimension of affect, with the interval of each, over the session."""
    names = summary.dimensions
    with _style(ink) as pyplot:
        size = (10, 0.6 + 1.8 * len(names))
        figure, rows = pyplot.subplots(len(names), figsize=size, layout="constrained", sharex=True, squeeze=False)
        for axes, name in zip(rows[:, 0], names, strict=True):
            for person, (marker, colour) in zip(summary.people, cycle(_MARKERS), strict=False):
                told = [(turn, turn.dimensions or {}) for turn in person.turns]
                found = [(turn, known[name]) for turn, known in told if name in known]
                at = [(turn.start_ns + turn.end_ns) / 2 / _NS_PER_S for turn, _ in found]
                values = [one.value for _, one in found]
                below = [one.value - one.low for _, one in found]
                above = [one.high - one.value for _, one in found]
                axes.errorbar(
                    at, values, (below, above), color=colour, marker=marker, markersize=5, linewidth=1,
                    elinewidth=0.6, label=printable(person.name)[:30],
                )  # fmt: skip
            axes.axhline(0, color=ink, linewidth=0.5, linestyle=":")
            axes.set_ylim(-1.05, 1.05)
            axes.set_ylabel(printable(name)[:30])
        rows[-1, 0].set_xlim(left=0)
        rows[-1, 0].xaxis.set_major_formatter(lambda at, _: clock_time(max(0, round(at * _NS_PER_S))).partition(".")[0])
        handles, people = rows[0, 0].get_legend_handles_labels()
        figure.legend(handles, people, loc="outside lower center", ncols=max(1, min(5, len(people))), frameon=False)
    return figure


def svg(figure: Any, name: str) -> str:
    """A figure as an SVG element for a page, in the page's own colours.

    Args:
        figure: Made here; closed.
        name: Keeps the ids of several figures apart.
    """
    matplotlib, pyplot = _matplotlib()
    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), _quietly():
        figure.savefig(
            out, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    pyplot.close(figure)
    drawn = out.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", drawn)
    return drawn.replace(INK, "currentColor")


def png(figure: Any, dots_per_inch: int = 150) -> bytes:
    """A figure as a PNG file; closed here."""
    _, pyplot = _matplotlib()
    out = io.BytesIO()
    with _quietly():
        figure.savefig(out, format="png", dpi=dots_per_inch, facecolor="white")
    pyplot.close(figure)
    return out.getvalue()


def _turn(axes: Any, row: int, turn: TurnEnded, all_s: float, labels: Sequence[str], ink: str) -> None:
    start_s, end_s = turn.start_ns / _NS_PER_S, turn.end_ns / _NS_PER_S
    colour, hatch = ("none", "") if turn.abstained else fills(labels).get(turn.emotion, _MORE_FILLS[0])
    axes.broken_barh(
        [(start_s, end_s - start_s)], (row - 0.3, 0.6), facecolor=colour, edgecolor=ink, hatch=hatch, linewidth=0.4
    )
    if end_s - start_s > all_s / 60:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
        sign = "?" if turn.abstained else printable(letter(turn.emotion, labels))
        axes.text((start_s + end_s) / 2, row, sign, ha="center", va="center", fontsize=8, color="black", bbox=box)


def _patch(label: str, labels: Sequence[str], ink: str) -> Any:
    from matplotlib.patches import Patch

    colour, hatch = fills(labels)[label]
    named = f"{letter(label, labels)} {printable(label)}"
    return Patch(facecolor=colour, hatch=hatch, edgecolor=ink, linewidth=0.4, label=named)


def _matplotlib() -> tuple[Any, Any]:
    with needs_extra("report", "tracker report"):
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot
    return mpl, pyplot


@contextmanager
def _style(ink: str) -> Iterator[Any]:
    matplotlib, pyplot = _matplotlib()
    style = {
        "text.parse_math": False,  # a name with $ in it is no formula
        "hatch.linewidth": 0.5,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        **{f"{part}.color": ink for part in ("text", "xtick", "ytick")},
        **{f"axes.{part}color": ink for part in ("edge", "label")},
    }
    with matplotlib.rc_context(style), _quietly():
        yield pyplot


@contextmanager
def _quietly() -> Iterator[None]:
    """Names in scripts that matplotlib's font lacks are drawn by the browser."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
