"""What a joblib file holds, as inert records and arrays: nothing of it is imported, and none of its code runs.

A joblib file is a pickle in which each numpy array is announced by a wrapper and follows it as plain bytes. Here every name in it stands for a record that keeps its
attributes and does nothing, but for the few of numpy that numbers need.
"""

import io
import math
import pickle
from typing import Any

import numpy as np

__all__ = ["Record", "read_joblib"]


class Record:
    """An object of the file: its attributes, and none of its behaviour."""

    def __init__(self, *given: object) -> None:
        self.given = given


def read_joblib(content: bytes) -> Any:
    """The object in an uncompressed joblib file; arrays in it are `numpy.ndarray`s under `.array` of a record.

    Raises: pickle.UnpicklingError, ValueError, EOFError, where it is none, or holds arrays of objects.
    """
    return _Reader(io.BytesIO(content)).load()


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._file = file

    def find_class(self, module: str, name: str) -> Any:
        """A record's class, whatever the file names; of numpy the types of numbers."""
        if module.partition(".")[0] == "numpy" and name in ("dtype", "float64"):
            return getattr(np, name)
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return _array_class(self._file)
        return _scalar if name == "scalar" and module.startswith("numpy.") else type(name, (Record,), {})


def _array_class(file: io.BytesIO) -> type[Record]:
    """A record that, once its attributes are known, takes the array's bytes from the file."""

    class Array(Record):
        def __setstate__(self, state: dict[str, Any]) -> None:
            if state.get("numpy_array_alignment_bytes") is not None:
                file.read(file.read(1)[0])
            dtype, shape = _plain(state["dtype"]), state["shape"]
            found = np.frombuffer(file.read(math.prod(shape) * dtype.itemsize), dtype)
            self.array = found.reshape(shape, order=state["order"])

    return Array


def _scalar(dtype: Any, content: bytes) -> Any:
    return np.frombuffer(content, _plain(dtype))[0]


def _plain(dtype: Any) -> np.dtype[Any]:
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise ValueError("an array of objects")
    return dtype
