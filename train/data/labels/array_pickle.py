"""Pickle files that hold plain values and arrays of bytes, read without running what else they may hold.

Only the opcodes that such files need are followed, one by one, so that a file costs no more time and memory
than its bytes; `pickle` itself can be made to hash, copy and reserve without end.
"""

import pickletools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tombola.errors import DataError
from tombola.train.data.text import LONGEST_NAME, quoted

MOST_BYTES = 1 << 30


def load_arrays(path: Path) -> Any:
    """Return what is in the file: numbers, texts, lists, dictionaries, and NumPy arrays of uint8.

    Texts that Python 2 wrote come as bytes. DataError if the file is missing, damaged, or names any other
    class or function.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataError(f"it is larger than {MOST_BYTES >> 20} MiB; check that it is a batch")
        return _finished(_Reader().read(path.read_bytes()))
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

    def build(self, _: object) -> None:
        """Byte order and the like, which single bytes do not need."""


class _Array:
    """An array as it was written; NumPy itself never sees what the file says but the bytes."""

    array_u8: NDArray[np.uint8]

    def build(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, _Dtype) or dtype.name != "u1":
            raise DataError(
                f"an array of {quoted(getattr(dtype, 'name', None))}, not of bytes (u1); save it as uint8"
            )
        array_u8: NDArray[np.uint8] = np.frombuffer(data, np.uint8)
        self.array_u8 = array_u8.reshape(tuple(shape), order="F" if is_fortran else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _from_buffer(data: bytes, dtype: object, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.build((1, shape, dtype, order == "F", data))
    return array


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise DataError(
            f"bytes in the encoding {quoted(encoding)}; save it with pickle's protocol 2 or newer"
        )
    return text.encode("latin-1")


_ALLOWED = {
    "numpy.core.multiarray _reconstruct": _reconstruct,
    "numpy._core.multiarray _reconstruct": _reconstruct,
    "numpy.core.numeric _frombuffer": _from_buffer,  # protocol 5
    "numpy._core.numeric _frombuffer": _from_buffer,
    "numpy ndarray": _Array,
    "numpy dtype": _Dtype,
    "_codecs encode": _encode,  # how protocol 2 writes bytes
}
_EMPTY: dict[str, type] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_PLAIN = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
    | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)
_WORDS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class _Reader:
    """Pickle's machine: a stack, the marks in it, and what was put aside to be used again."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def read(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            self._follow(opcode.name, argument)
        return self.stack.pop()

    def _follow(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case _ if name in _PLAIN:
                stack.append(argument)
            case "STRING" | "BINSTRING" | "SHORT_BINSTRING":  # Python 2's; pickletools makes them text
                stack.append(argument.encode("latin-1"))
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append(_WORDS[name])
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append(_EMPTY[name]())
            case "MARK":
                self.marks.append(len(stack))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._take(len(stack) - int(name[-1]))))
            case "TUPLE":
                stack.append(tuple(self._take(self.marks.pop())))
            case "LIST":
                stack.append(self._take(self.marks.pop()))
            case "DICT":
                items = self._take(self.marks.pop())
                stack.append({})
                self._set(items)
            case "APPEND" | "APPENDS":
                items = self._take(self.marks.pop() if name == "APPENDS" else len(stack) - 1)
                self._top(list).extend(items)
            case "SETITEM" | "SETITEMS":
                self._set(self._take(self.marks.pop() if name == "SETITEMS" else len(stack) - 2))
            case "GLOBAL":
                stack.append(_allowed(argument))
            case "STACK_GLOBAL":
                stack.append(_allowed(" ".join(self._take(len(stack) - 2))))
            case "REDUCE":
                function, arguments = self._take(len(stack) - 2)
                stack.append(function(*arguments))
            case "BUILD":
                (state,) = self._take(len(stack) - 1)
                stack[-1].build(state)
            case "PROTO" | "FRAME" | "STOP":
                pass
            case _:
                raise DataError(f"it uses pickle's {name}, which no array needs; download it again")

    def _take(self, start: int) -> list[Any]:
        """Take what lies on the stack from `start` on."""
        if start < (self.marks[-1] if self.marks else 0):
            raise ValueError("the stack is too short")
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise TypeError(f"{type(self.stack[-1]).__name__} where a {kind.__name__} must be")
        return self.stack[-1]

    def _set(self, items: list[Any]) -> None:
        place = self._top(dict)
        for key, value in zip(items[0::2], items[1::2], strict=True):
            if not isinstance(key, str | bytes | int):
                raise TypeError(f"{type(key).__name__} as a key")
            place[key] = value


def _allowed(name: str) -> Any:
    if name not in _ALLOWED:
        raise DataError(
            f"it asks for {name.replace(' ', '.')[:LONGEST_NAME]}, which no array needs; download it again"
        )
    return _ALLOWED[name]


def _finished(value: Any) -> Any:
    """`value`, or what it holds by name, with each array in its place."""
    if isinstance(value, dict):
        return {key: item.array_u8 if isinstance(item, _Array) else item for key, item in value.items()}
    return value
