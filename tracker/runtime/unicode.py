"""Text that any program can read, from names that are not Unicode."""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def as_unicode(text: str) -> str:
    """The text with a replacement character for each surrogate.

    Python represents by surrogates the bytes of a file name or an argument that is not UTF-8; they cannot be encoded.
    """
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
