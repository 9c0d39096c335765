"""Protobuf's wire format, read by hand: the runtime looks into an `.onnx` file without the onnx package.

Nothing is copied: bytes come back as views of the buffer they were found in.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tombola.errors import ModelError

Value = int | memoryview

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MAX_NAME = 1024


@dataclass
class Budget:
    """How many more fields of one file are read. The shipped detector has 7,531; a million take a second."""

    fields: int = 2_000_000

    def spend(self) -> None:
        """Count one; ModelError where none is left."""
        self.fields -= 1
        if self.fields < 0:
            raise ModelError(
                "it is made of more than two million parts; export it again, with its numbers as raw data."
            )


def fields(message: memoryview, budget: Budget) -> Iterator[tuple[int, Value]]:
    """Yield (field number, value) in file order: an int for numbers, a view for text, bytes and messages.

    ModelError where the bytes end too early, are no protobuf, or hold more than the budget allows.
    """
    position, end = 0, len(message)
    while position < end:
        budget.spend()
        # Nearly all keys, numbers and lengths are one byte long; a call for each would be half of the time.
        key = message[position]
        position += 1
        if key > 0x7F:
            key, position = _varint(message, position - 1)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise ModelError("the file is damaged: it is not a valid protobuf message.")
        if wire_type in (VARINT, LENGTH):
            if position < end and (length := message[position]) <= 0x7F:
                position += 1
            else:
                length, position = _varint(message, position)
            if wire_type == VARINT:
                yield number, length
                continue
        elif wire_type == FIXED32:
            length = 4
        elif wire_type == FIXED64:
            length = 8
        else:
            raise ModelError("the file is damaged: it is not a valid protobuf message.")
        if length > end - position:
            raise ModelError("the file is damaged or cut off: it ends before its own contents do.")
        yield number, message[position : position + length]
        position += length


def varints(packed: memoryview, budget: Budget) -> Iterator[int]:
    """The numbers of a packed repeated field."""
    position = 0
    while position < len(packed):
        budget.spend()
        value, position = _varint(packed, position)
        yield value


def to_text(value: Value) -> str:
    """A string field as str; ModelError where it is no text or no UTF-8."""
    try:
        return str(to_view(value), "utf-8")
    except UnicodeDecodeError as error:
        raise ModelError("the file is damaged: a name in it is not valid UTF-8.") from error


def to_name(value: Value) -> str:
    """The name of something, at most MAX_NAME characters."""
    name = to_text(value)
    if len(name) > MAX_NAME:
        raise ModelError(f"a name in it is longer than {MAX_NAME:,} characters.")
    return name


def to_int(value: Value) -> int:
    """A number field as int64; ModelError where the file holds something else."""
    if not isinstance(value, int):
        raise ModelError("the file is damaged: a number in it is not one.")
    return value - (1 << 64) if value >> 63 else value


def to_view(value: Value) -> memoryview:
    """A text, bytes or message field; ModelError where the file holds a number."""
    if isinstance(value, int):
        raise ModelError("the file is damaged: a message in it is a number.")
    return value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(message) and shift < 64:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise ModelError("the file is damaged or cut off: it ends before its own contents do.")
