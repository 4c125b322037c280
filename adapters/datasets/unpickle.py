"""Reading foreign pickles through an allow-list: plain containers and numpy arrays, nothing that could run code.

The authors of MSE-Adapter and of MMSA publish their processed features as pickles. A pickle may name any function to be
called while it is read; this reader lets it name only what rebuilds a numpy array, and of that only copies that look at
what they are given: numpy's own would take any bytes for the addresses of Python objects.
"""

from __future__ import annotations

import math
import pickle
import pickletools
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from adapters.errors import AdapterError

_NUMBERS_AND_TEXT = re.compile(r"[biuf][1248]|[SU][0-9]{1,9}|O8?")
_OBJECTS = "O"
_LAST_CHARACTER = 0x10FFFF


class _Sealed:
    """What a pickle may name and call, but not change."""

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it wants to change what it may only use")


class _Ndarray(_Sealed):
    """Stands for the name ``numpy.ndarray``, which pickles hand to `_Reconstruct`."""

    def __new__(cls, *_: Any) -> Any:
        raise pickle.UnpicklingError("it wants to call numpy.ndarray")


class _Dtype:
    """A type of numbers, texts or objects; a pickle adds the order of its bytes as the state."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        del align, copy
        if not isinstance(code, str) or not _NUMBERS_AND_TEXT.fullmatch(code):
            raise pickle.UnpicklingError(f"it wants an array of {code!r}")
        self.real = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *parts = state[:5]
        if any(part is not None for part in parts):
            raise pickle.UnpicklingError("it wants an array of records")
        self.real = self.real.newbyteorder(order)


class _Array(np.ndarray[Any, np.dtype[Any]]):
    """An array to be filled."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        _check(raw, dtype, shape)
        state = (1, shape, dtype.real, bool(fortran), raw)
        np.ndarray.__setstate__(self, state)  # type: ignore[arg-type]  # numpy's own stub wants its bool, numpy does not


class _Reconstruct(_Sealed):
    """``numpy.core.multiarray._reconstruct``: an empty array, to which a pickle adds the content as the state."""

    def __new__(cls, kind: Any, *_: Any) -> Any:
        if kind is not _Ndarray:
            raise pickle.UnpicklingError("it wants another array than numpy's")
        return np.ndarray.__new__(_Array, (0,), "b")


class _FromBuffer(_Sealed):
    """``numpy.core.numeric._frombuffer``: an array as protocol 5 has it."""

    def __new__(cls, raw: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> Any:
        _check(bytes(raw), dtype, shape)
        return np.frombuffer(bytes(raw), dtype.real).reshape(shape, order="F" if order == "F" else "C")


class _Scalar(_Sealed):
    """``numpy.core.multiarray.scalar``: one number or text."""

    def __new__(cls, dtype: _Dtype, raw: Any) -> Any:
        _check(raw, dtype, ())
        return np.frombuffer(raw, dtype.real)[0] if raw else dtype.real.type()


class _Encode(_Sealed):
    """``_codecs.encode``, with which old protocols write bytes."""

    def __new__(cls, text: str, encoding: str) -> Any:
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"it wants to encode as {encoding!r}")
        return text.encode("latin1")


class _NoBytes(_Sealed):
    """``bytes``, with which old protocols write that there are none."""

    def __new__(cls) -> Any:
        return b""


# Names under which numpy's own pickles refer to it, in its first and second major version.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Ndarray,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Encode,
    ("__builtin__", "bytes"): _NoBytes,
    ("collections", "OrderedDict"): OrderedDict,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FromBuffer for core in ("core", "_core")},
}


class _AllowList(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Look a name up, if it may be used."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it wants to use {module}.{name}")
        return _ALLOWED[module, name]


def unpickle(path: Path) -> Any:
    """Read a pickle of plain containers, strings, numbers and numpy arrays.

    Raises:
        AdapterError: It is missing, damaged, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            _assert_honest(file, path.stat().st_size)
            file.seek(0)
            return _AllowList(file).load()
    except FileNotFoundError as error:
        raise AdapterError(f"no pickle at {path}") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise AdapterError(f"{path} is refused: {error}") from error


def _assert_honest(file: Any, size: int) -> None:
    """Every length in it is there, and no place in the memo lies beyond what a file of this size can hold."""
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > size:
            raise pickle.UnpicklingError(f"it wants to remember {argument} things")


def _check(raw: Any, dtype: Any, shape: Any) -> None:
    """The content is as long as shape and type say, and none of it is taken for anything but what it is."""
    if not isinstance(dtype, _Dtype) or type(shape) is not tuple:
        raise pickle.UnpicklingError("it has an array without a type or a shape")
    if any(type(length) is not int or length < 0 for length in shape):
        raise pickle.UnpicklingError(f"it has an array of shape {shape}")
    count = math.prod(shape)
    if count > 1 and not dtype.real.itemsize:
        raise pickle.UnpicklingError(f"it has an array of {count} values of no size")
    if dtype.real.kind == _OBJECTS:
        if type(raw) is not list or len(raw) != count or not shape:
            raise pickle.UnpicklingError("it has an array of objects that are not there")
    elif type(raw) is not bytes or len(raw) != count * dtype.real.itemsize:
        raise pickle.UnpicklingError(f"it has an array of {count} values with other content")
    elif dtype.real.kind == "U" and (np.frombuffer(raw, f"{dtype.real.byteorder}u4") > _LAST_CHARACTER).any():
        raise pickle.UnpicklingError("it has a text with characters that do not exist")
