"""Where a model file goes, plain or packed."""

from pathlib import Path

from tombola.errors import OutputError
from tombola.runtime.load import check_model
from tombola.runtime.modelfile.packing import pack
from tombola.train.run.folder import check_place, write_atomic

PACKED = ".onnx.gz"


def packed_name(path: Path) -> Path:
    """`path` with .gz behind, unless it ends so."""
    return path if path.suffix == ".gz" else path.with_name(f"{path.name}.gz")


def check_model_place(path: Path) -> None:
    """OutputError, before the long work begins, if `path` cannot be an .onnx or .onnx.gz file."""
    check_place(path, ".onnx", ".gz")
    if path.suffix == ".gz" and not path.name.endswith(PACKED):
        raise OutputError(f"{path} does not end in .onnx or {PACKED}; give it such a name")


def write_model(path: Path, content: bytes) -> int:
    """Write a model's bytes, packed if the name ends in .gz; returns how many bytes the file has."""
    stored = pack(content) if path.suffix == ".gz" else content
    write_atomic(path, stored)
    return len(stored)


def pack_file(source: Path, output: Path) -> int:
    """Write a contract file to `output`, an .onnx.gz; returns how many bytes it has.

    Raises ModelError if `source` is none, OutputError if `output` cannot be written.
    """
    check_model_place(output)
    return write_model(output, check_model(source).content)
