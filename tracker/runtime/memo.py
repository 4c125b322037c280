"""A function that remembers its last result, so that speculative work is not done twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

A = TypeVar("A")
T = TypeVar("T")


class Memo(Generic[A, T]):
    """A function without side effects that remembers its last result; for one thread at a time.

    Args:
        function: Called where the key differs from the last call's; an error is not remembered.
        key: What makes two arguments the same.
    """

    def __init__(self, function: Callable[[A], T], key: Callable[[A], object]) -> None:
        self._function = function
        self._key = key
        self._last: tuple[object, T] | None = None

    def __call__(self, argument: A) -> T:
        """The function's result."""
        key = self._key(argument)
        if self._last is None or self._last[0] != key:
            self._last = (key, self._function(argument))
        return self._last[1]
