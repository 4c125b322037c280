"""Reading foreign pickles: lists, tuples, dicts, texts, numbers and numpy arrays, nothing that could run code.

The authors of MSE-Adapter and of MMSA publish their processed features as pickles. A pickle is a program; this reader
runs only the instructions that build those values, on nothing but the values themselves, and lets it name only what
rebuilds a numpy array. Of that it has copies that look at what they are given: numpy's own would take any bytes for the
addresses of Python objects. What is rebuilt is never much more than the file holds. The base is Python's unpickler that
is written in Python, since the one in C can be told neither of these things.
"""

from __future__ import annotations

import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NoReturn

import numpy as np

from adapters.errors import AdapterError

_NUMBERS_AND_TEXT = re.compile(r"[biuf][1248]|[SU][0-9]{1,9}|O8?")
_OBJECTS = "O"
_LAST_CHARACTER = 0x10FFFF
_MOST_AXES = 64
_KEYS = (str, int, float, bool, bytes, type(None))
_INSTRUCTIONS = (
    *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("EMPTY_LIST", "LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "DICT"),
    *("APPEND", "APPENDS", "SETITEM", "SETITEMS"),
    *("GET", "BINGET", "LONG_BINGET", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"),
    *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
)


def _refuse(why: str) -> NoReturn:
    raise pickle.UnpicklingError(why)


def _shown(value: Any) -> str:
    """A value in an error: a text's beginning, of anything else the kind."""
    return repr(value[:40]) if type(value) is str else type(value).__name__


class _Dtype:
    """A type of numbers, texts or objects; a pickle adds the order of its bytes as the state."""

    def __init__(self, code: Any) -> None:
        if type(code) is not str or not _NUMBERS_AND_TEXT.fullmatch(code):
            _refuse(f"it wants an array of {_shown(code)}")
        self.real = np.dtype(code)

    def set(self, state: Any) -> None:
        """Take the order of bytes."""
        if type(state) is not tuple or len(state) < 5 or any(part is not None for part in state[2:5]):
            _refuse("it wants an array of records")
        self.real = self.real.newbyteorder(state[1])


class _Array(np.ndarray[Any, np.dtype[Any]]):
    """An array that comes without its content, which is its state."""

    filled = True


class _Numpy:
    """What rebuilds numpy's arrays and scalars, each out of its own bytes in a file of ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = 2 * size  # old protocols hold a text that becomes bytes that become an array
        reconstruct, scalar, buffer = self.reconstruct, self.scalar, self.from_buffer
        # Names under which numpy's own pickles refer to it, in its first and second major version.
        self.names: dict[tuple[str, str], Any] = {
            ("numpy", "ndarray"): _Array,
            ("numpy", "dtype"): lambda code, *_: _Dtype(code),
            ("_codecs", "encode"): self.encode,
            ("__builtin__", "bytes"): lambda: b"",
            ("collections", "OrderedDict"): lambda: OrderedDict(),
            **{(f"numpy.{core}.multiarray", "_reconstruct"): reconstruct for core in ("core", "_core")},
            **{(f"numpy.{core}.multiarray", "scalar"): scalar for core in ("core", "_core")},
            **{(f"numpy.{core}.numeric", "_frombuffer"): buffer for core in ("core", "_core")},
        }

    def encode(self, text: Any, encoding: Any) -> bytes:
        """``_codecs.encode``, with which old protocols write bytes."""
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            _refuse(f"it wants to encode as {_shown(encoding)}")
        self._take(len(text))
        return text.encode("latin1")

    def reconstruct(self, kind: Any, *_: Any) -> _Array:
        """``_reconstruct``: an array without its content."""
        if kind is not _Array:
            _refuse("it wants another array than numpy's")
        made = np.ndarray.__new__(_Array, (0,), "b")
        made.filled = False
        return made

    def fill(self, array: _Array, state: Any) -> None:
        """Give an array its content, once."""
        if array.filled or type(state) is not tuple or len(state) != 5:
            _refuse("it wants to change an array")
        _, shape, dtype, fortran, raw = state
        self._check(raw, dtype, shape)
        state = (1, shape, dtype.real, bool(fortran), raw)
        np.ndarray.__setstate__(array, state)
        array.filled = True

    def from_buffer(self, raw: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray[Any, Any]:
        """``_frombuffer``: an array as protocol 5 has it."""
        raw = bytes(raw) if type(raw) is bytearray else raw
        self._check(raw, dtype, shape)
        if dtype.real.kind == _OBJECTS:
            _refuse("it wants objects out of bytes")
        array = np.frombuffer(raw, dtype.real)
        if order == "K" and type(axes) is tuple:
            return array.reshape(shape).transpose(axes).copy()
        return array.reshape(shape, order="F" if order == "F" else "C").copy(order="K")

    def scalar(self, dtype: Any, raw: Any) -> Any:
        """``scalar``: one number or text."""
        self._check(raw, dtype, ())
        return np.frombuffer(raw, dtype.real)[0] if raw else dtype.real.type()

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            _refuse("it comes to more than it holds")

    def _check(self, raw: Any, dtype: Any, shape: Any) -> None:
        """The content is as long as shape and type say, and none of it is taken for anything but what it is."""
        if type(dtype) is not _Dtype or type(shape) is not tuple or len(shape) > _MOST_AXES:
            _refuse("it has an array without a type or a shape")
        if any(type(length) is not int or not 0 <= length <= self._size for length in shape):
            _refuse("it has an array of a size that it cannot have")
        count, kind, width = math.prod(shape), dtype.real.kind, dtype.real.itemsize
        if width > self._size or (count > 1 and not width):
            _refuse(f"it has values of {width} bytes each")
        if kind == _OBJECTS:
            if type(raw) is not list or len(raw) != count or not shape:
                _refuse("it has an array of objects that are not there")
        elif type(raw) is not bytes or len(raw) != count * width:
            _refuse("it has an array with other content than its shape says")
        elif kind == "U" and (np.frombuffer(raw, f"{dtype.real.byteorder}u4") > _LAST_CHARACTER).any():
            _refuse("it has a text with characters that do not exist")
        self._take(len(raw))


class _File:
    """A file that is never asked for more than it has, since memory is set aside for what is asked for."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.readline = file.readline
        self._file = file
        self._size = size

    def read(self, count: int) -> bytes:
        """Some bytes."""
        if count > self._size:
            _refuse(f"it is shorter than it says by {count - self._size} bytes")
        return self._file.read(count)


class _Instructions(dict[int, Any]):
    def __missing__(self, code: int) -> NoReturn:
        _refuse(f"it has an instruction that no plain data need: {bytes([code])!r}")


class _PlainData(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]]
    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(_File(file, size))
        self._numpy = _Numpy(size)

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up, if it may be used."""
        try:
            return self._numpy.names[module, name]
        except KeyError:
            _refuse(f"it wants to use {_shown(module)[1:-1]}.{_shown(name)[1:-1]}")

    def load_reduce(self) -> None:
        """Call what may be named."""
        arguments, called = self.stack.pop(), self.stack[-1]
        if type(arguments) is not tuple or not any(called is known for known in self._numpy.names.values()):
            _refuse("it wants to call something else than it named")
        if called is _Array:
            _refuse("it wants to call numpy.ndarray")
        self.stack[-1] = called(*arguments)

    def load_build(self) -> None:
        """Give an array its content, or a type its order of bytes."""
        state, made = self.stack.pop(), self.stack[-1]
        if type(made) is _Dtype:
            made.set(state)
        elif type(made) is _Array:
            self._numpy.fill(made, state)
        else:
            _refuse(f"it wants to change a {_shown(made)}")

    def load_bytearray8(self) -> None:
        """Bytes, read before room is made for them."""
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    def load_dict(self) -> None:
        """A dict of what came since the mark."""
        items = self.pop_mark()
        self.append({})
        self._set(items)

    def load_setitem(self) -> None:
        """One entry of a dict."""
        value = self.stack.pop()
        self._set([self.stack.pop(), value])

    def load_setitems(self) -> None:
        """Entries of a dict."""
        self._set(self.pop_mark())

    def load_append(self) -> None:
        """One item of a list."""
        self._extend([self.stack.pop()])

    def load_appends(self) -> None:
        """Items of a list."""
        self._extend(self.pop_mark())

    def _set(self, items: list[Any]) -> None:
        made = self.stack[-1]
        if type(made) not in (dict, OrderedDict) or any(type(key) not in _KEYS for key in items[::2]):
            _refuse("it has a key that is neither text nor number, or sets one of something else than a dict")
        made.update(zip(items[::2], items[1::2], strict=True))

    def _extend(self, items: list[Any]) -> None:
        made = self.stack[-1]
        if type(made) is not list:
            _refuse(f"it wants to append to a {_shown(made)}")
        made.extend(items)


def _code(name: str) -> int:
    code: bytes = getattr(pickle, name)
    return code[0]


_OWN = {
    "REDUCE": _PlainData.load_reduce,
    "BUILD": _PlainData.load_build,
    "BYTEARRAY8": _PlainData.load_bytearray8,
    "DICT": _PlainData.load_dict,
    "SETITEM": _PlainData.load_setitem,
    "SETITEMS": _PlainData.load_setitems,
    "APPEND": _PlainData.load_append,
    "APPENDS": _PlainData.load_appends,
}
_PlainData.dispatch = _Instructions(
    {_code(name): _OWN.get(name, pickle._Unpickler.dispatch[_code(name)]) for name in _INSTRUCTIONS}
)


def unpickle(path: Path) -> Any:
    """Read a pickle of plain containers, strings, numbers and numpy arrays.

    Raises:
        AdapterError: It is missing, damaged, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            return _PlainData(file, path.stat().st_size).load()
    except FileNotFoundError as error:
        raise AdapterError(f"no pickle at {path}") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise AdapterError(f"{path} is refused: {error}") from error
