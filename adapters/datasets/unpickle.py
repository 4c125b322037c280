"""Reading foreign pickles: plain containers, texts, numbers and numpy arrays, nothing that could run code.

The authors of MSE-Adapter and of MMSA publish their processed features as pickles. A pickle is a program. `Unpickler`
lets it name only what rebuilds a numpy array, and of that it has versions that check what they are given: numpy's own
would take any bytes for the addresses of Python objects. A pickle can still ask for any amount of memory and time, or
crash Python's unpickler, so `convert` reads it in a process of its own, with limits.
"""

from __future__ import annotations

import math
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn

import numpy as np

from adapters.errors import AdapterError

_NUMBERS_AND_TEXT = re.compile(r"[biuf][1248]|[SU][0-9]{1,9}|O8?")
_NDARRAY = object()
_MIB = 2**20


def _refuse(why: str) -> NoReturn:
    raise pickle.UnpicklingError(why)


class _Dtype:
    """A type of numbers, texts or objects; a pickle adds the order of its bytes as the state."""

    __slots__ = ("real",)

    def __init__(self, code: Any) -> None:
        if type(code) is not str or not _NUMBERS_AND_TEXT.fullmatch(code):
            _refuse(f"it wants an array of {code[:40] if type(code) is str else type(code).__name__}")
        self.real = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        _, order, *rest = state
        if any(part is not None for part in rest[:3]):
            _refuse("it wants an array of records")
        self.real = self.real.newbyteorder(order)


class _Array(np.ndarray[Any, np.dtype[Any]]):
    """An array that is given its content once."""

    filled = True

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if self.filled:
            _refuse("it wants to change an array")
        np.ndarray.__setstate__(self, (1, shape, _checked(raw, dtype, shape), bool(fortran), raw))  # type: ignore[arg-type]
        self.filled = True
        self.flags.writeable = False


def _checked(raw: Any, dtype: Any, shape: Any) -> Any:
    """The type of an array whose content is what its type and shape say: bytes, or a list of objects."""
    if type(dtype) is not _Dtype or type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
        _refuse("it has an array without a type or a shape")
    objects, count = dtype.real.hasobject, math.prod(shape)
    if objects and (type(raw) is not list or len(raw) != count or not shape):
        _refuse("it has an array of objects that are not there")
    if not objects and (type(raw) is not bytes or len(raw) != count * dtype.real.itemsize):
        _refuse("it has an array with other content than its shape says")
    return dtype.real


class Unpickler(pickle.Unpickler):
    """Reads plain data; what a pickle may call are methods, since it cannot change those."""

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up, as numpy's first and second major versions write it.

        Raises:
            UnpicklingError: Plain data do not need it.
        """
        known = {
            "numpy.ndarray": _NDARRAY,
            "numpy.dtype": self._dtype,
            "numpy.core.multiarray._reconstruct": self._reconstruct,
            "numpy.core.multiarray.scalar": self._scalar,
            "numpy.core.numeric._frombuffer": self._from_buffer,
            "_codecs.encode": self._encode,
            "__builtin__.bytes": bytes,
            "collections.OrderedDict": dict,
        }
        full = f"{module}.{name}"
        try:
            return known[full.replace("numpy._core", "numpy.core")]
        except KeyError:
            _refuse(f"it wants to use {full[:80]}")

    def _dtype(self, code: Any, *_: Any) -> _Dtype:
        return _Dtype(code)

    def _reconstruct(self, kind: Any, *_: Any) -> _Array:
        if kind is not _NDARRAY:
            _refuse("it wants another array than numpy's")
        made = np.ndarray.__new__(_Array, (0,), "b")
        made.filled = False
        return made

    def _scalar(self, dtype: Any, raw: Any) -> Any:
        real = _checked(raw, dtype, ())
        return np.frombuffer(raw, real)[0] if raw else real.type()

    def _from_buffer(self, raw: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> _Array:
        raw = bytes(raw) if type(raw) is bytearray else raw
        array = np.frombuffer(raw, _checked(raw, dtype, shape))
        made = array.reshape(shape, order=order) if axes is None else array.reshape(shape).transpose(axes)
        return made.view(_Array)

    def _encode(self, text: Any, encoding: Any) -> bytes:
        """Old protocols write bytes as text."""
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            _refuse("it wants to use another codec than latin1")
        return text.encode("latin1")


def convert(module: str, arguments: tuple[str, ...], source: BinaryIO, out: BinaryIO) -> None:
    """Run a module that calls `limited`, with a pickle's file as its standard input.

    Args:
        module: Its name.
        arguments: Its arguments.
        source: The pickle's file.
        out: Its standard output.

    Raises:
        AdapterError: It failed, or reached a limit; the message lacks the file's name.
    """
    command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    seconds, memory = _limits(os.fstat(source.fileno()).st_size)
    try:
        done = subprocess.run(  # noqa: S603  # ourselves
            command,
            stdin=source,
            stdout=out,
            stderr=subprocess.PIPE,
            env=environment,
            timeout=10 * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AdapterError(f"is refused: reading it takes more than {10 * seconds} s") from error
    if done.returncode < 0:
        ended = signal.Signals(-done.returncode).name
        raise AdapterError(f"is refused: reading it ended with {ended} (it has {seconds} s and {memory // _MIB} MiB)")
    if done.returncode:
        raise AdapterError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or "is refused")


def limited(work: Callable[[int], None]) -> None:
    """Do the work of a module that `convert` runs, given its input's size, with limits that go by it.

    From here on the process can open no file, start nothing, and write no more than it may hold.
    """
    size = os.fstat(0).st_size
    seconds, memory = _limits(size)
    limits = {"AS": memory, "FSIZE": memory, "CPU": seconds, "NOFILE": 3, "NPROC": 0, "CORE": 0}
    try:
        import resource

        for name, most in limits.items():
            kind = getattr(resource, f"RLIMIT_{name}")
            allowed = resource.getrlimit(kind)[1]
            most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
            resource.setrlimit(kind, (most, most))
        work(size)
    except MemoryError:
        sys.exit(f"is refused: reading it takes more than {memory // _MIB} MiB of memory")
    except Exception as error:  # a damaged pickle may raise anything
        why = " ".join(str(error).split())[:500]
        sys.exit(why if isinstance(error, AdapterError) else f"is refused: {why}")


def _limits(size: int) -> tuple[int, int]:
    """Seconds of processor time and bytes of memory that a file of some size may take to read."""
    return 60 + size // _MIB, 512 * _MIB + 16 * size
