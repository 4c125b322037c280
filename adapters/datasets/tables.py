"""Tables in CSV: whole rows, each with the columns that a data set promises."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from adapters.errors import AdapterError

_CONTROLS = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}


def clean(text: str) -> str:
    """The text with Windows' quotes and dashes in place of control characters, and single spaces."""
    return " ".join(text.translate(_CONTROLS).split())


def read_lines(path: Path) -> list[str]:
    """The lines of a text, without their ends.

    Raises:
        AdapterError: It is no file in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except IsADirectoryError as error:
        raise AdapterError(f"{path} is a folder: a table is wanted there") from error
    except UnicodeDecodeError as error:
        raise AdapterError(f"{path} is not a text in UTF-8: {error}") from error


def read_rows(
    path: Path, needed: tuple[str, ...], refused: Counter[str], delimiter: str = ","
) -> Iterator[dict[str, str]]:
    """The rows of a table that have a cell for every column.

    Args:
        path: A CSV file in UTF-8 with one line of column names.
        needed: Columns that must be there; there may be others.
        refused: Counts the rows that are left out.
        delimiter: What stands between two cells.

    Raises:
        AdapterError: A column is missing, or it is no file in CSV and UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise AdapterError(f"{path} has no column {', '.join(missing)}: is it the file of that name?")
            for row in reader:
                if None in row or None in row.values():
                    refused["more or fewer cells than columns"] += 1
                else:
                    yield row
    except IsADirectoryError as error:
        raise AdapterError(f"{path} is a folder: a table is wanted there") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AdapterError(f"{path} is not a CSV file in UTF-8: {error}") from error
