"""Words wrong in a call, counted for the right speaker: ``python -m tracker.bench.cpwer EVENTS REFERENCE``.

EVENTS is what ``tracker run FILE --json`` printed. A line of REFERENCE is a turn: speaker, start, end, words; brackets
hold what is not counted. Each speaker's words are joined, and speakers are paired so that the fewest words are wrong
(concatenated minimum-permutation word error rate, Watanabe et al. 2020, section 3.2).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Annotated

import typer

from tracker.bench.short_window import errors, words
from tracker.events import TurnEnded, from_json, with_merged_speakers


def fewest_errors(reference: Mapping[str, Sequence[str]], heard: Mapping[str, Sequence[str]]) -> int:
    """Words wrong under the best pairing of speakers; words of a speaker without a partner are all wrong."""
    said, found = list(reference.values()), list(heard.values())
    size = max(len(said), len(found))
    said += [[]] * (size - len(said))
    found += [[]] * (size - len(found))
    return min(sum(errors([*a], [*b]) for a, b in zip(said, order, strict=True)) for order in permutations(found))


def heard_words(lines: Sequence[str]) -> dict[str, list[str]]:
    """Each speaker's words, from a log of events."""
    found = defaultdict[str, list[str]](list)
    for event in with_merged_speakers(map(from_json, lines)):
        if isinstance(event, TurnEnded):
            found[event.speaker] += words(event.text)
    return found


def reference_words(lines: Sequence[str]) -> dict[str, list[str]]:
    """Each speaker's words, from a reference."""
    found = defaultdict[str, list[str]](list)
    for line in lines:
        if not line.startswith("#"):
            speaker, _, _, said = line.split(" ", 3)
            found[speaker] += words(re.sub(r"\[[^]]*\]", "", said))
    return found


def main(
    events: Annotated[Path, typer.Argument(help="What tracker run --json printed.")],
    reference: Annotated[Path, typer.Argument(help="What was said, a turn a line.")],
) -> None:
    """Count them."""
    said = reference_words(reference.read_text("utf-8").splitlines())
    wrong = fewest_errors(said, heard_words(events.read_text("utf-8").splitlines()))
    total = sum(map(len, said.values()))
    typer.echo(f"{wrong} of {total} words wrong, cpWER {wrong / total:.3f}")


if __name__ == "__main__":
    typer.run(main)
