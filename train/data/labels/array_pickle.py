"""Pickle files that hold plain values and arrays of bytes, read without running what else they may hold."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError


def load_arrays(path: Path) -> Any:
    """Return what is in the file: numbers, texts, lists, dictionaries, and NumPy arrays of uint8.

    Texts that Python 2 wrote come as bytes. DataError if the file is missing, damaged, or names any other
    class or function.
    """
    try:
        with path.open("rb") as file:
            return _finished(_ArrayUnpickler(file, encoding="bytes").load())
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; check the path") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"{path} is damaged or no pickle: {error}; download it again") from error


class _Dtype:
    """The type of an array as it was written."""

    def __init__(self, name: bytes | str, *_: object) -> None:
        self.name = name.decode("ascii") if isinstance(name, bytes) else name

    def __setstate__(self, state: object) -> None:
        """Byte order and the like, which single bytes do not need."""


class _Array:
    """An array as it was written; NumPy itself never sees what the file says but the bytes."""

    array_u8: NDArray[np.uint8]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, _Dtype) or dtype.name != "u1":
            raise DataError(
                f"an array of {getattr(dtype, 'name', dtype)}, not of bytes (u1); save it as uint8"
            )
        array_u8: NDArray[np.uint8] = np.frombuffer(data, np.uint8)
        self.array_u8 = array_u8.reshape(tuple(shape), order="F" if is_fortran else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _from_buffer(data: bytes, dtype: object, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise DataError(f"bytes in the encoding {encoding!r}; save it with pickle's protocol 2 or newer")
    return text.encode("latin-1")


_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,  # protocol 5
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,  # how protocol 2 writes bytes
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) not in _ALLOWED:
            raise DataError(
                f"it asks for {module_name}.{global_name}, which no array needs; download it again"
            )
        return _ALLOWED[module_name, global_name]


def _finished(value: Any) -> Any:
    """`value` with each array in its place, at the depths where data sets keep them."""
    if isinstance(value, _Array):
        return value.array_u8
    if isinstance(value, dict):
        return {key: _finished(item) for key, item in value.items()}
    return value
