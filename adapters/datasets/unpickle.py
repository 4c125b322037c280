"""Reading foreign pickles through an allow-list: plain containers and numpy arrays, nothing that could run code.

The authors of MSE-Adapter and of MMSA publish their processed features as pickles. A pickle may name any function to be
called while it is read; this reader lets it name only what rebuilds a numpy array.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from adapters.errors import AdapterError

# Names under which numpy's own pickles refer to it, in its first and second major version.
_ALLOWED = {(f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")} | {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
}


class _AllowList(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Look a name up, if it may be used."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it wants to use {module}.{name}")
        return super().find_class(module, name)


def unpickle(path: Path) -> Any:
    """Read a pickle of plain containers, strings, numbers and numpy arrays.

    Raises:
        AdapterError: It is missing, damaged, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            return _AllowList(file).load()
    except FileNotFoundError as error:
        raise AdapterError(f"no pickle at {path}") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise AdapterError(f"{path} is refused: {error}") from error
