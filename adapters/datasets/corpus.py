"""A data set as one record, and the registry in which commands and recipes look it up by name.

Packages register theirs as entry points of the group ``emotion_tracker.corpora``, this one included.
"""

from __future__ import annotations

import pkgutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import typer

from adapters.contract import LabelSet
from adapters.datasets.records import Clips, Dialogues, Faces
from adapters.errors import AdapterError, first_line

GROUP = "emotion_tracker.corpora"


class Records(Protocol):
    """What is read of a split, such as `Dialogues`, `Clips` or `Faces`."""

    @property
    def refused(self) -> Counter[str]:
        """Rows left out, counted by reason."""

    def __len__(self) -> int:
        """How many labelled turns, clips or faces there are."""


R = TypeVar("R", bound=Records)


@dataclass(frozen=True, slots=True)
class Corpus(Generic[R]):
    """A data set.

    Attributes:
        name: In commands and recipes; also of its folder among those of other data sets.
        title: As its authors call it.
        licence: Its data's.
        kind: The class of what is read of it.
        labels: Its classes; None where turns have a score.
        splits: Each split's name, and what is in it where the name does not say so. Training fits to the first and
            calibrates on the second.
        load: Reads a split from the data set's folder; `read` checks what it returns.
    """

    name: str
    title: str
    licence: str
    kind: type[R]
    labels: LabelSet | None
    splits: Mapping[str, str]
    load: Callable[[Path, str], R]

    def read(self, data: Path, split: str) -> R:
        """Read a split.

        Args:
            data: Folder with one folder per data set, or of the data set itself.
            split: One of `splits`.

        Raises:
            AdapterError: There is no such split, or nothing to read, or reading it fails.
        """
        if split not in self.splits:
            raise AdapterError(f"{self.name} has no split {split!r}: take {', '.join(self.splits)}")
        folder = data / self.name if (data / self.name).is_dir() else data
        try:
            found = self.load(folder, split)
            if not isinstance(found, self.kind):
                raise TypeError(f"load returned a {type(found).__name__}, not {self.kind.__name__}")
            if isinstance(found, (Clips, Dialogues, Faces)):
                wrong = set(map(int, found.labels)) - set(range(len(self.labels or ())))
                if wrong:
                    raise ValueError(f"{min(wrong)} is not the id of a label")
        except AdapterError:
            raise
        except Exception as error:  # of another package
            raise AdapterError(f"the data set {self.name!r} fails on {folder}: {first_line(error)}") from error
        if not len(found):
            why = f"; refused: {dict(found.refused)}" if found.refused else ""
            raise AdapterError(f"{self.name} {split}: nothing to use in {folder}{why}")
        return found

    def names(self) -> tuple[str, ...]:
        """The names of the classes; none where turns have a score."""
        return self.labels.labels if self.labels else ()


def entries() -> Mapping[str, list[EntryPoint]]:
    """Who provides each data set, by its name.

    Where the metadata of this package are missing or older than its code, its own data sets are those that its modules
    hold.
    """
    found: dict[str, list[EntryPoint]] = {}
    registered = list(entry_points(group=GROUP))
    if not any(entry.module.startswith(f"{__package__}.") for entry in registered):
        registered += _own()
    for entry in sorted(registered, key=lambda entry: entry.name):
        found.setdefault(entry.name, []).append(entry)
    return found


def _own() -> list[EntryPoint]:
    modules = [f"{__package__}.{module.name}" for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    return [
        EntryPoint(value.name, f"{module}:{variable}", GROUP)
        for module in modules
        for variable, value in vars(import_module(module)).items()
        if isinstance(value, Corpus)
    ]


def find(name: str) -> Corpus[Any]:
    """A data set by name.

    Raises:
        AdapterError: There is none of that name, there are several, or its package fails.
    """
    known = entries()
    if name not in known:
        raise AdapterError(f"unknown data set {name!r}: take {', '.join(known)}")
    if len(known[name]) > 1:
        raise AdapterError(
            f"the data set {name!r} is provided by {', '.join(map(_package, known[name]))}: uninstall all but one"
        )
    (entry,) = known[name]
    try:
        found = entry.load()
    except Exception as error:
        raise AdapterError(f"the data set {name!r} of {_package(entry)} fails: {first_line(error)}") from error
    if not isinstance(found, Corpus):
        raise AdapterError(f"the data set {name!r} of {_package(entry)} is a {type(found).__name__}, not a Corpus")
    return found


def find_kind(name: str, kind: type[R]) -> Corpus[R]:
    """A data set by name that holds what is wanted.

    Raises:
        AdapterError: As `find`, or it holds something else.
    """
    found = find(name)
    if found.kind is not kind:
        wanted, held = kind.__name__.lower(), found.kind.__name__.lower()
        raise AdapterError(f"{wanted} are wanted, but the data set {name!r} holds {held}")
    return found


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


def main() -> None:
    """List the data sets: name, kind, licence, labels and splits."""
    failed: list[str] = []
    for name in entries():
        try:
            one = find(name)
        except AdapterError as error:
            failed.append(str(error))
            continue
        labels = ", ".join(one.names()) or "a score"
        splits = ", ".join(f"{split} ({what})" if what else split for split, what in one.splits.items())
        typer.echo(f"{name}: {one.kind.__name__.lower()}; {one.licence}; labels {labels}; splits {splits}")
    if failed:
        raise AdapterError("; ".join(failed))
