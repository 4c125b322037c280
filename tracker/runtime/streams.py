"""Standard input, output and error of the process: also where one is closed, or nobody reads it any more."""

from __future__ import annotations

import io
import os
import sys
from typing import IO, Any, final

STANDARD_OUTPUT = "standard output"
"""The file name in errors of writing there."""


def open_standard_streams() -> None:
    """Make the three streams safe to use; called once, before any other file is opened.

    A program that is started without one of them would get its number for the next file that it opens, and write into
    that file what was meant for the stream. So /dev/null takes its place, opened such that reading standard input and
    writing standard output fail, as they do on a closed stream. What cannot be written to standard error is dropped:
    nobody could be told. Characters that standard output cannot show are replaced. A stream that this process has
    redirected by itself is left as it is.
    """
    for descriptor, name, mode in ((0, "stdin", os.O_WRONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            os.open(os.devnull, mode)  # the lowest free number, which is this one
            opened = open(descriptor, "w" if descriptor else "r", closefd=False)  # noqa: SIM115
            for stream in (name, f"__{name}__"):
                setattr(sys, stream, opened)
    if (out := sys.__stdout__) and sys.stdout is out:
        written = io.BufferedWriter(_Output(1, "w", closefd=False))
        sys.stdout = io.TextIOWrapper(written, out.encoding, "replace", line_buffering=out.isatty())
    if (messages := sys.__stderr__) and sys.stderr is messages:
        told = io.BufferedWriter(_Messages(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(told, messages.encoding, "backslashreplace", line_buffering=True)


def let_go(stream: IO[str]) -> None:
    """Leave nothing in standard output that Python would flush at exit, fail again at, and complain about.

    Args:
        stream: Could not be written. One that is not standard output is left as it is.
    """
    if stream is sys.stdout:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@final
class _Output(io.FileIO):
    """Names itself in its errors."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


@final
class _Messages(io.FileIO):
    """Drops what cannot be written."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or len(data)
        except OSError:
            return len(data)
