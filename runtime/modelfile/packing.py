"""Model files packed by gzip: a network most of whose weights are zero is small on its way."""

import gzip
import zlib

from tombola.errors import ModelError

MAGIC = b"\x1f\x8b"
# Of zlib, 6 of 9: more takes five times as long for two hundredths of the size.
LEVEL = 6
_GZIP = 31  # zlib's number for a gzip stream and no other


def is_packed(content: bytes) -> bool:
    """Whether a file's bytes are gzip's; an .onnx file begins otherwise."""
    return content[:2] == MAGIC


def pack(content: bytes) -> bytes:
    """A model's bytes as a gzip file, the same for the same bytes."""
    return gzip.compress(content, LEVEL, mtime=0)


def unpack(content: bytes, max_bytes: int) -> bytes:
    """What `pack` packed, its checksum held. No more than `max_bytes` are ever made of it.

    ModelError where there would be more, or the file is damaged, cut off or goes on behind its end.
    """
    stream = zlib.decompressobj(_GZIP)
    try:
        model = stream.decompress(content, max_bytes + 1)
    except zlib.error as error:
        raise ModelError(f"the packed file is damaged: {error}; copy it again.") from error
    if len(model) > max_bytes:
        raise ModelError(
            f"unpacked it is larger than the limit of {max_bytes / 1e6:.0f} MB; "
            "raise max_bytes if you trust it."
        )
    if not stream.eof:
        raise ModelError("the packed file is damaged or cut off: it ends before its own contents do.")
    if stream.unused_data:
        raise ModelError("the packed file is damaged: something follows its end.")
    return model
